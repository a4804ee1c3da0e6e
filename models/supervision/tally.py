"""Counting a log: what its entries say of questions, batches, trainings, models, objections and issued figures.

A function of entries, and of openings for what a leaf only commits to (of whom a question was, hence in which county; for
which purpose one was refused). Whoever has a mirror of the log and is given the openings gets the same numbers as the office;
with the mirror alone, the same but for these two. An opening that was erased counts under ``ELSEWHERE`` and ``OTHER``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

import msgspec

from models.consents import Purpose
from models.disputes import due_day
from models.identity import region_of
from models.supervision.messages import ELSEWHERE, OTHER
from models.zones import day_at

GRANTED, REFUSED = "questions.granted", "questions.refused"
FILED, ANSWERED = "objections.filed", "objections.answered"
FLOWS = (GRANTED, REFUSED, FILED, ANSWERED)
"""Measures that count events about subjects, by key, second and area: small cells are hidden."""
BATCHES, TRAININGS, UNUSABLE, MODELS = "batches.filed", "trainings.usable", "trainings.unusable", "models.registered"
ACTS = (BATCHES, TRAININGS, UNUSABLE, MODELS)
"""Measures that count acts of institutions, by bank: shown as they are."""
ACTIONS = {"batch.file": BATCHES, "model.register": MODELS}
OPEN_OBJECTIONS, OVERDUE = "objections.open", "objections.overdue"
"""Measures of what stands at a period's end, in tens."""
IN_TIME, LATE, DONE = "in-time", "late", "done"
Opening = Callable[[str], Mapping[str, Any] | None]
"""What a leaf's commitment (hex) opens to, or None where it was erased."""


class Entry(msgspec.Struct):
    """A log entry as far as it is counted."""

    at: int
    action: str
    outcome: str
    institution: str
    opening: str = ""
    facts: dict[str, Any] = {}


@dataclass
class Tally:
    """Counts in a period: `flows` by (measure, key, second, area), `acts` by (measure, institution).

    `open` holds the objections that are not answered at the period's end, by their random number, with the second of filing.
    """

    flows: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    acts: Counter[tuple[str, str]] = field(default_factory=Counter)
    open: dict[str, int] = field(default_factory=dict)

    def of(self, measure: str) -> dict[tuple[str, str, str], int]:
        """One measure's counts by (key, second, area)."""
        return {cell[1:]: count for cell, count in self.flows.items() if cell[0] == measure}

    def overdue(self, until: int, zone: tzinfo) -> int:
        """How many of the open objections should have been answered on a day before that of `until`."""
        return sum(due_day(filed, zone) < day_at(until, zone) for filed in self.open.values())


def tally(
    entries: Iterable[bytes], opening: Opening, begin: int, end: int, zone: tzinfo, still_open: Mapping[str, int] | None = None
) -> Tally:
    """Count the entries of the POSIX seconds from `begin` to before `end`; `still_open` were filed before and not answered."""
    found = Tally(open=dict(still_open or {}))
    decoder = msgspec.json.Decoder(Entry)
    for raw in entries:
        entry = decoder.decode(raw)
        if begin <= entry.at < end:
            _count(found, entry, opening, zone)
    return found


def _count(found: Tally, entry: Entry, opening: Opening, zone: tzinfo) -> None:
    if entry.action == "ticket":
        told = opening(entry.opening) or {}
        measure = GRANTED if entry.outcome == DONE else REFUSED
        purpose = str(entry.facts.get("purpose", told.get("purpose", "")))
        found.flows[measure, entry.institution, purpose if purpose in set(Purpose) else OTHER, _area(told)] += 1
    elif entry.outcome != DONE:
        return
    elif entry.action in ACTIONS:
        found.acts[ACTIONS[entry.action], entry.institution] += 1
    elif entry.action == "replay.verdict":
        found.acts[TRAININGS if entry.facts.get("usable") else UNUSABLE, entry.institution] += 1
    elif entry.action == "dispute.file":
        found.open[str(entry.facts["case"])] = entry.at
        found.flows[FILED, "", "", _area(opening(entry.opening) or {})] += 1
    elif entry.action == "dispute.answer":
        filed = found.open.pop(str(entry.facts["case"]), entry.at)
        in_time = day_at(entry.at, zone) <= due_day(filed, zone)
        area = _area(opening(entry.opening) or {})
        found.flows[ANSWERED, str(entry.facts["finding"]), IN_TIME if in_time else LATE, area] += 1


def _area(told: Mapping[str, Any]) -> str:
    return region_of(str(told.get("subject", ""))) or ELSEWHERE
