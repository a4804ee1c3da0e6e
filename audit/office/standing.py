"""双授权: what may be asked of a subject needs two consents, one to collect the data and one to use it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from sqlalchemy import Connection

from audit.office.store import consents, parties
from models.consents import ANY, Consent, ConsentKind
from models.parties import Institution, InstitutionKind
from models.problems import NoConsent

SCORE = "score"
"""The field set of a model's scores: made, not collected, so that only the second consent speaks of it."""


class DoubleConsent:
    """The consents of many subjects towards one bank, read at once. `kind` is that of the second consent."""

    def __init__(self, connection: Connection, subjects: Iterable[str], kind: ConsentKind, bank: Institution, now: int) -> None:
        self._connection = connection
        self._stand = consents.standing(connection, subjects, {ConsentKind.COLLECTION, kind}, now)
        self._bank, self._kind, self._now = bank, kind, now

    @cached_property
    def _bureaus(self) -> set[str]:
        return {bureau.id for bureau in parties.institutions(self._connection, InstitutionKind.BUREAU)}

    def find(self, subject: str, purpose: str, field_sets: tuple[str, ...], until: int) -> tuple[Consent, Consent]:
        """The collection consent and the second one that cover this until `until`; raises `NoConsent`."""
        collection = next((c for c in self.to_collect(subject, field_sets) if until <= c.valid_to), None)
        if collection is None:
            raise NoConsent("no collection consent of this subject stands for these fields")
        use = next((c for c in self.to_use(subject, purpose, field_sets) if until <= c.valid_to), None)
        if use is None:
            raise NoConsent(
                f"no {self._kind} consent of this subject names this bank, this purpose and these fields until then"
            )
        return collection, use

    def to_collect(self, subject: str, field_sets: tuple[str, ...]) -> Iterator[Consent]:
        """The collection consents that cover these field sets now."""
        collected = {name for name in field_sets if name != SCORE}
        for consent in self._stand.get((subject, ConsentKind.COLLECTION), ()):
            covered = ANY in consent.field_sets or collected <= set(consent.field_sets)
            if covered and (consent.names(self._bank) or consent.recipient in self._bureaus):
                yield consent

    def to_use(self, subject: str, purpose: str, field_sets: tuple[str, ...]) -> Iterator[Consent]:
        """The second consents that cover this bank, purpose and these field sets now."""
        for consent in self._stand.get((subject, self._kind), ()):
            if consent.covers(self._bank, purpose, field_sets, self._now):
                yield consent
