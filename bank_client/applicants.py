"""Bands of applicants: the released ones of the cohort's rows, and for everyone else a private query of the score table.

Each applicant is asked about once and then remembered: a ticket is a question that the office counts and the node logs.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from bank_client.alignment import Progress, silent
from bank_client.private_query import CheckResult, PrivateQuery
from models.tables import ScoreRecord

UNKNOWN = -1
"""The node has no record of the applicant for this model."""
REFUSED = -2
"""The applicant may not be asked about, e.g. for want of a consent."""


class Applicants:
    """Looks up one model's bands. `known` holds the released bands by canonical id."""

    def __init__(self, query: PrivateQuery, known: Mapping[str, int]) -> None:
        self._query = query
        self._known = known
        self._answers: dict[str, CheckResult] = {}

    def __repr__(self) -> str:
        return f"Applicants({self._query!r}, known={len(self._known)}, asked={len(self._answers)})"

    def bands(
        self, subjects: Sequence[str], purpose: str, progress: Progress = silent, *, again: bool = False
    ) -> NDArray[np.int64]:
        """Band of each canonical id, from 0, or `UNKNOWN` or `REFUSED`; warns of how many were refused, and why.

        With `again`, refused ones are asked about once more: a consent may have been filed since.
        """
        wanted = [s for s in dict.fromkeys(subjects) if s not in self._known and self._is_open(s, again)]
        if wanted:
            results = self._query.ask_many(wanted, purpose, progress=progress)
            self._answers |= dict(zip(wanted, results, strict=True))
            _warn(results)
        return np.array([self._band(subject) for subject in subjects], dtype=np.int64)

    def reasons(self, subjects: Sequence[str]) -> list[tuple[str, ...]]:
        """Reason codes of those looked up: themes that speak most against the applicant; none for the cohort's rows."""
        found = [self._answers.get(subject) for subject in subjects]
        return [() if result is None or result.record is None else _score(result.record).reasons for result in found]

    def _is_open(self, subject: str, again: bool) -> bool:
        return subject not in self._answers or (again and self._answers[subject].refused is not None)

    def _band(self, subject: str) -> int:
        if subject in self._known:
            return self._known[subject]
        result = self._answers[subject]
        if result.refused is not None:
            return REFUSED
        return UNKNOWN if result.record is None else _score(result.record).band


def _score(record: bytes) -> ScoreRecord:
    return msgspec.json.decode(record, type=ScoreRecord)


def _warn(results: Sequence[CheckResult]) -> None:
    refused = Counter(result.refused.detail for result in results if result.refused is not None)
    if refused:
        reasons = "; ".join(f"{count} × {reason}" for reason, count in refused.most_common(3))
        warnings.warn(f"{refused.total()} of {len(results)} applicants could not be scored: {reasons}", stacklevel=5)
