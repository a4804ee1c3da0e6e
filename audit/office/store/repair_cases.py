"""Applications for credit repair, and how they were decided."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, insert, select, update

from audit.office.office import WINDOW_KEY_ID
from audit.office.rights_tables import repair_case
from models.disputes import OPEN, ApplyRepair, FiledEvidence, RepairCase

_LISTED: tuple[ColumnElement[Any], ...] = (
    *(column for column in repair_case.c if column.name != "evidence"),
    func.length(repair_case.c.evidence).label("evidence_bytes"),
)


def add(connection: Connection, case: str, new: ApplyRepair, digest: str, filed_by: str, now: int) -> None:
    """Store an application."""
    file = new.evidence or FiledEvidence(name="", content=b"")
    told = {"subject": new.subject, "field": new.field, "grounds": new.grounds}
    kept = {"evidence_name": file.name, "evidence_digest": digest, "evidence": file.content}
    undecided = {"state": OPEN, "reason": "", "decided_by": "", "decided_at": 0}
    connection.execute(insert(repair_case).values(id=case, filed_by=filed_by, filed_at=now, **told, **kept, **undecided))


def get(connection: Connection, case: str) -> RepairCase | None:
    """One application, or None."""
    row = connection.execute(select(*_LISTED).where(repair_case.c.id == case)).one_or_none()
    return None if row is None else _case(row)


def listed(connection: Connection, subject: str) -> tuple[RepairCase, ...]:
    """All of a subject, or, where that is empty, the open ones of everybody; newest first."""
    which = repair_case.c.subject == subject if subject else repair_case.c.state == OPEN
    query = select(*_LISTED).where(which).order_by(repair_case.c.filed_at.desc(), repair_case.c.id)
    return tuple(_case(row) for row in connection.execute(query))


def evidence(connection: Connection, case: str) -> FiledEvidence | None:
    """The file that was handed in, or None."""
    query = select(repair_case.c.evidence_name, repair_case.c.evidence).where(repair_case.c.id == case)
    row = connection.execute(query).one_or_none()
    return None if row is None or not row.evidence_name else FiledEvidence(name=row.evidence_name, content=bytes(row.evidence))


def decide(connection: Connection, case: str, state: str, reason: str, by: str, now: int) -> bool:
    """Decide an application; False where it is decided."""
    values = {"state": state, "reason": reason, "decided_by": by, "decided_at": now}
    deciding = update(repair_case).where(repair_case.c.id == case, repair_case.c.state == OPEN).values(**values)
    return connection.execute(deciding).rowcount == 1


def _case(row: Row[tuple[object, ...]]) -> RepairCase:
    return RepairCase(**dict(row._mapping), by_subject=row.filed_by == WINDOW_KEY_ID)
