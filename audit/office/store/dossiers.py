"""What is kept about one access, in the rows of the tables that hold it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, select

from audit.dossier.parts import BatchEvidence, ConsentEvidence, PersonEvidence
from audit.office.store.consents import chunks
from audit.office.tables import batch, consent, log, manifest, person, report, ticket
from models.consents import Consent
from models.wire import Signed, decode


def ticket_row(connection: Connection, digest: str) -> Row[Any] | None:
    """The issued ticket of this digest."""
    return connection.execute(select(ticket).where(ticket.c.digest == digest)).one_or_none()


def batch_evidence(connection: Connection, batch_id: str) -> tuple[BatchEvidence, bytes | None] | None:
    """A batch without its subjects, and its second approval."""
    row = connection.execute(select(batch).where(batch.c.id == batch_id)).one_or_none()
    if row is None:
        return None
    names = [name for name in BatchEvidence.__struct_fields__ if name != "state"]  # type: ignore[attr-defined]
    state = "suspended" if row.suspended else row.state
    return BatchEvidence(**{name: getattr(row, name) for name in names}, state=state), row.approval


def consents(connection: Connection, ids: Iterable[str]) -> tuple[ConsentEvidence, ...]:
    """Consents as evidence, in the order of their ids."""
    found = []
    for chunk in chunks(sorted(set(ids))):
        for row in connection.execute(select(consent).where(consent.c.id.in_(chunk)).order_by(consent.c.id)):
            said = decode(bytes(row.document), Consent)
            names = ("id", "kind", "recipient", "purposes", "field_sets", "valid_from", "valid_to", "capture")
            found.append(
                ConsentEvidence(
                    **{name: getattr(said, name) for name in names},
                    evidence_digest=said.evidence_digest,
                    filed_by=row.filed_by,
                    filed_at=row.filed_at,
                    revoked_at=row.revoked_at or 0,
                )
            )
    return tuple(found)


def reports(connection: Connection, digest: str) -> list[bytes]:
    """The signed reports on a ticket, the first one first."""
    query = select(report.c.document).where(report.c.ticket == digest).order_by(report.c.number)
    return [bytes(document) for document in connection.execute(query).scalars()]


def sealed_manifest(connection: Connection, table: str, epoch: int) -> Signed | None:
    """The node's statement of an epoch's manifest."""
    query = select(manifest.c.document).where(manifest.c.table_name == table, manifest.c.epoch == epoch)
    document = connection.execute(query).scalar()
    return None if document is None else decode(bytes(document), Signed)


def person_evidence(connection: Connection, person_id: str) -> PersonEvidence | None:
    """Somebody's key and role."""
    row = connection.execute(select(person).where(person.c.id == person_id)).one_or_none()
    if row is None:
        return None
    return PersonEvidence(id=row.id, institution=row.institution, name=row.name, role=row.role, key=bytes(row.key))


def index_of(connection: Connection, queue_id: int) -> int | None:
    """The index of a queued leaf in the office's log, once it has one."""
    return connection.execute(select(log.entries.c.index).where(log.entries.c.queue_id == queue_id)).scalar()
