"""Reason codes: why a score is not higher, in words that can be said to the applicant, and never a value.

What a field cost is the points by which its bin lies below the best bin, or below the average customer. The bank's own fields
are named by their labels; the node's band by the themes that its score table names, which are all that the bank knows of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bank_client.meanings import Language
from models.catalogue import default_catalogue
from models.scorecard.points import FieldPoints

Against = Literal["best", "average"]
MOST = 4
LEAST_LOST = 1e-6
_OWN = {"zh": "{}未达到较好水平", "en": "{} is below what scores well"}
_THEME = {"zh": "政务数据：{}", "en": "Public records: {}"}
_NODE = {"zh": "政务数据综合评价", "en": "Public records as a whole"}


@dataclass(frozen=True)
class Reason:
    """One reason: a code for machines, a sentence for people, and the points that the field cost.

    All themes of the node's band come with the same points, those of the band.
    """

    code: str
    text: str
    lost: float


@dataclass(frozen=True)
class Explanation:
    """A score, its probability of bad, and up to four reasons, the dearest first; NaN and none where it could not be scored."""

    score: float
    probability: float
    reasons: tuple[Reason, ...] = field(default=())


def lost_points(table: Sequence[FieldPoints], codes: Sequence[NDArray[np.int64]], against: Against) -> NDArray[np.float64]:
    """float64[fields, M]: how far each row lies below the best, or the average, of each field."""
    if against not in ("best", "average"):
        raise ValueError("against must be best or average")
    rows = [getattr(entry, against) - entry.points[code] for entry, code in zip(table, codes, strict=True)]
    return np.asarray(rows, dtype=np.float64)


def reasons(
    table: Sequence[FieldPoints],
    lost: NDArray[np.float64],
    themes: Sequence[str],
    names: Mapping[str, str],
    language: Language,
    most: int = MOST,
) -> tuple[Reason, ...]:
    """The reasons of one row, the dearest first; among equals in the table's order.

    Args:
        table: points; the node's band is its last entry.
        lost: of this row, float64[fields].
        themes: of the node, the heaviest first; none where it named none.
        names: what fields are called.
        language: of the texts.
        most: the number of reasons at most.
    """
    found: list[Reason] = []
    for i in np.argsort(-lost, kind="stable"):
        if lost[i] <= LEAST_LOST:
            break
        points = float(lost[i])
        if i == len(table) - 1:
            said = [Reason(f"node:{_said(t, 'en')}", _THEME[language].format(_said(t, language)), points) for t in themes]
            found += said or [Reason("node", _NODE[language], points)]
        else:
            name = table[i].field
            found.append(Reason(f"bank:{name}", _OWN[language].format(names.get(name, name)), points))
    return tuple(found[:most])


def field_names(language: Language, names: Mapping[str, str] | None, fields: Sequence[str]) -> dict[str, str]:
    """What fields are called: as the bank says, else as the catalogue has it, else by their own names."""
    known = {item.name: item for item in default_catalogue()}
    found = {}
    for name in fields:
        item = known.get(name)
        label = "" if item is None else (item.label_en if language == "en" else "") or item.label_zh
        found[name] = (names or {}).get(name) or label or name
    return found


def _said(theme: str, language: Language) -> str:
    """A theme is written "中文 / English"."""
    chinese, _, english = theme.partition(" / ")
    return (english if language == "en" else "") or chinese
