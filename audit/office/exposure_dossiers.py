"""What an auditor is shown of the exposure check behind an access: whose answers were added up, and which were to be opened."""

from __future__ import annotations

from audit.office.store import accesses, exposures
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from models.exposure import AskExposureAsked, ExposureAsked
from models.problems import NotFound


def asked(call: Call) -> Outcome:
    """POST /exposures/asked: an auditor reads what became of an exposure check; logged, since opened amounts are in it."""
    ask: AskExposureAsked = call.body
    with call.engine.connect() as connection:
        row = accesses.exposure_of(connection, ask.access)
        if row is None:
            raise NotFound("this access is no exposure check that was granted, or was erased")
        demands = exposures.demands(connection, question=row.id)
    answer = ExposureAsked(
        question=row.id,
        bank=row.bank,
        asked_at=row.issued_at,
        released_at=row.released_at or 0,
        answered=tuple(row.answered.split()),
        demands=demands,
    )
    opening = {"question": row.id, "subject": row.subject}
    return Outcome(answer, [LeafDraft("exposure.opened", {"count": len(demands), "access": ask.access}, opening)])
