"""双授权: what may be asked of a subject needs two consents, one to collect the data and one to use it.

A sensitive field needs both once more, in consents of its own that name it; one to a category, or to everything, never
covers it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from sqlalchemy import Connection

from audit.office.store import consents, parties
from models.catalogue import Catalogue
from models.consents import Consent, ConsentKind
from models.parties import Institution, InstitutionKind
from models.problems import NoConsent

SCORE = "score"
"""The field set of a model's scores: made, not collected, so that only the second consent speaks of it."""


@dataclass(frozen=True)
class Wanted:
    """What consents must cover: field sets, and sensitive fields by name."""

    field_sets: tuple[str, ...]
    sensitive: tuple[str, ...] = ()


def wanted(catalogue: Catalogue, fields: Iterable[str]) -> Wanted:
    """What consents must cover for these fields of the catalogue."""
    chosen = catalogue.select(fields)
    sets = tuple(sorted({one.category for one in chosen if not one.sensitive}))
    return Wanted(sets, tuple(sorted(one.name for one in chosen if one.sensitive)))


@dataclass(frozen=True, repr=False)
class Chosen:
    """The consents of one kind that cover what is wanted, the ordinary one first, and what none covers."""

    consents: tuple[Consent, ...]
    lacks_ordinary: bool
    lacks: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether everything is covered."""
        return not self.lacks_ordinary and not self.lacks


@dataclass(frozen=True, repr=False)
class Found:
    """The consents that a use relies on: those to collect, and those of the second kind."""

    collection: tuple[Consent, ...]
    use: tuple[Consent, ...]
    ids: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        """Name them all."""
        object.__setattr__(self, "ids", frozenset(consent.id for consent in self.collection + self.use))


def _unordered(_: Consent) -> tuple[int, ...]:
    return ()


class DoubleConsent:
    """The consents of many subjects towards one bank, read at once. `kind` is that of the second consent."""

    def __init__(self, connection: Connection, subjects: Iterable[str], kind: ConsentKind, bank: Institution, now: int) -> None:
        self._connection = connection
        self._stand = consents.standing(connection, subjects, {ConsentKind.COLLECTION, kind}, now)
        self._bank, self._kind, self._now = bank, kind, now

    @cached_property
    def _bureaus(self) -> set[str]:
        return {bureau.id for bureau in parties.institutions(self._connection, InstitutionKind.BUREAU)}

    def filed_at(self) -> dict[str, int]:
        """When each of these consents was filed."""
        return consents.filed_at(self._connection, {one.id for stand in self._stand.values() for one in stand})

    def find(self, subject: str, purpose: str, what: Wanted, until: int) -> Found:
        """The collection consents and the second ones that cover this until `until`; raises `NoConsent`."""
        collection = self.to_collect(subject, what, until)
        if collection.lacks_ordinary:
            raise NoConsent("no collection consent of this subject stands for these fields")
        use = self.to_use(subject, purpose, what, until)
        if use.lacks_ordinary:
            raise NoConsent(
                f"no {self._kind} consent of this subject names this bank, this purpose and these fields until then"
            )
        for kind, chosen in ((ConsentKind.COLLECTION, collection), (self._kind, use)):
            if chosen.lacks:
                raise NoConsent(
                    f"{', '.join(chosen.lacks)}: what is sensitive needs a {kind} consent of its own that names it, "
                    "and none of this subject stands"
                )
        return Found(collection.consents, use.consents)

    def to_collect(
        self, subject: str, what: Wanted, until: int = 0, best: Callable[[Consent], tuple[int, ...]] = _unordered
    ) -> Chosen:
        """The collection consents that cover this now and until `until`; of several the one with the highest `best`."""
        stand = [
            consent
            for consent in self._stand.get((subject, ConsentKind.COLLECTION), ())
            if consent.valid_to >= until and (consent.names(self._bank) or consent.recipient in self._bureaus)
        ]
        # Who consents to a sensitive field consents to more, not to something else: the ordinary consent goes first.
        return _choose(stand, [name for name in what.field_sets if name != SCORE], what.sensitive, best)

    def to_use(
        self, subject: str, purpose: str, what: Wanted, until: int = 0, best: Callable[[Consent], tuple[int, ...]] = _unordered
    ) -> Chosen:
        """The second consents that cover this bank, purpose and fields now and until `until`; likewise."""
        stand = [
            consent
            for consent in self._stand.get((subject, self._kind), ())
            if consent.valid_to >= until and consent.allows(self._bank, purpose, self._now)
        ]
        return _choose(stand, what.field_sets or None, what.sensitive, best)


def _choose(
    stand: Sequence[Consent], sets: Sequence[str] | None, sensitive: Sequence[str], best: Callable[[Consent], tuple[int, ...]]
) -> Chosen:
    """`sets` None: no ordinary consent is needed."""
    ordinary = None if sets is None else max((c for c in stand if c.covers(sets)), key=best, default=None)
    chosen = [] if ordinary is None else [ordinary]
    lacks = []
    for name in sensitive:
        own = max((c for c in stand if name in c.sensitive_fields), key=best, default=None)
        if own is None:
            lacks.append(name)
        elif own not in chosen:
            chosen.append(own)
    return Chosen(tuple(chosen), sets is not None and ordinary is None, tuple(lacks))
