"""A look at the standing of a subject's consents, before the question: at the counter one must know what to ask for."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from audit.office import patterns
from audit.office.consents import canonical
from audit.office.office import Office
from audit.office.standing import SCORE, Chosen, DoubleConsent, Wanted, wanted
from audit.office.store import manifests
from audit.office.store.questions import LOOKED, LOOKED_IN_VAIN, Attempt
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from models.consents import AskStanding, Consent, ConsentKind, Purpose, Standing, StandingConsent
from models.identity import region_of
from models.problems import NotFound, Unusable

DAY = 24 * 3600


class Looks:
    """The handler of looks. Each is logged and stands under "who looked at me": whoever only looks may be fishing too."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def look(self, call: Call) -> Outcome:
        """POST /consents/standing: what stands for this subject, table and purpose at the caller's bank."""
        ask: AskStanding = call.body
        subject = canonical(ask.subject, "the subject")
        if ask.purpose not in set(Purpose):
            raise Unusable(f"the purpose is one of {', '.join(Purpose)}")
        with call.engine.connect() as connection:
            standing = self._standing(connection, call, ask, subject)
        asked = Attempt(
            subject=subject,
            at=call.now,
            bank=call.institution.id,
            officer=call.person.id,
            purpose=ask.purpose,
            table_name=ask.table,
            outcome=LOOKED_IN_VAIN if standing.missing else LOOKED,
            region=region_of(subject),
        )

        def attach(connection: Connection, queue_ids: Sequence[int]) -> None:
            patterns.note(connection, self._office.settings, call, [(asked, queue_ids[0])])

        return Outcome(standing, [LeafDraft("consent.look", {}, {"subject": subject})], attach=attach)

    def _standing(self, connection: Connection, call: Call, ask: AskStanding, subject: str) -> Standing:
        newest = manifests.newest(connection, ask.table)
        if newest is None:
            raise NotFound("the office has sealed no epoch of such a table")
        manifest = newest.manifest
        what = Wanted((SCORE,)) if manifest.model else wanted(self._office.catalogue, manifest.fields)
        both = DoubleConsent(connection, [subject], ConsentKind.QUERY, call.institution, call.now)
        filed = both.filed_at()
        listed_at = manifest.listed_at or manifest.opened_at

        def is_in_table(consent: Consent) -> bool:
            return filed[consent.id] < listed_at

        # A collection consent that the table was built with goes before one that lasts longer.
        to_collect = both.to_collect(subject, what, best=lambda consent: (is_in_table(consent), consent.valid_to))
        to_use = both.to_use(subject, ask.purpose, what, best=lambda consent: (consent.valid_to,))
        collection, query = (self._first_to_end(chosen, filed, call.now) for chosen in (to_collect, to_use))
        found = {ConsentKind.COLLECTION: collection, ConsentKind.QUERY: query}
        return Standing(
            collection=collection,
            query=query,
            counts_from_next_epoch=collection is not None and not all(map(is_in_table, to_collect.consents)),
            missing=tuple(str(kind) for kind, consent in found.items() if consent is None),
            sensitive=what.sensitive,
            missing_sensitive=tuple(name for name in what.sensitive if name in to_collect.lacks + to_use.lacks),
        )

    def _first_to_end(self, chosen: Chosen, filed: dict[str, int], now: int) -> StandingConsent | None:
        if not chosen.complete:
            return None
        consent = min(chosen.consents, key=lambda one: one.valid_to)
        return StandingConsent(
            valid_from=consent.valid_from,
            valid_to=consent.valid_to,
            filed_at=filed[consent.id],
            ends_soon=consent.valid_to - now <= self._office.settings.notice_days * DAY,
        )
