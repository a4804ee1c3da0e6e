"""Objections with their evidence and letters, and what the sources were asked and answered."""

from __future__ import annotations

from datetime import tzinfo
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, select, update

from audit.office.office import WINDOW_KEY_ID
from audit.office.rights_tables import correction, dispute
from audit.office.tables import objection
from models.disputes import OPEN, Correction, Dispute, FiledEvidence, Finding, RaiseDispute, due_day
from models.wire import Signed, decode, encode, fields_of
from models.zones import day_at

_LISTED: tuple[ColumnElement[Any], ...] = (
    *(column for column in dispute.c if column.name not in {"evidence", "warned"}),
    func.length(dispute.c.evidence).label("evidence_bytes"),
)


def add(connection: Connection, case: str, new: RaiseDispute, digest: str, filed_by: str, now: int) -> None:
    """Store an objection that is open."""
    file = new.evidence or FiledEvidence(name="", content=b"")
    told = {"subject": new.subject, "field": new.field, "statement": new.statement, "withheld": int(new.withheld)}
    kept = {"evidence_name": file.name, "evidence_digest": digest, "evidence": file.content}
    row = {"id": case, "filed_by": filed_by, "filed_at": now, "warned": 0, "state": OPEN, **told, **kept}
    connection.execute(insert(dispute).values(**row))


def get(connection: Connection, case: str, zone: tzinfo, now: int) -> Dispute | None:
    """One objection with its corrections, or None."""
    found = _all(connection, dispute.c.id == case, zone, now)
    return found[0] if found else None


def of_subject(connection: Connection, subject: str, zone: tzinfo, now: int) -> list[Dispute]:
    """All objections of a subject, oldest first."""
    return _all(connection, dispute.c.subject == subject, zone, now)


def open_ones(connection: Connection, zone: tzinfo, now: int) -> list[Dispute]:
    """All open objections, the one that is due first at the head."""
    return _all(connection, dispute.c.state == OPEN, zone, now)


def is_open(connection: Connection, subject: str, field: str) -> bool:
    """Whether an objection to this field waits for its answer."""
    return connection.execute(select(dispute.c.id).where(_about(subject, field), dispute.c.state == OPEN)).first() is not None


def noted_since(connection: Connection, subject: str, field: str, besides: str) -> int | None:
    """When the first of those objections to this field that are noted was filed, one of them left out; None without any."""
    query = select(func.min(dispute.c.filed_at)).where(_about(subject, field), dispute.c.state == Finding.NOTED)
    return connection.execute(query.where(dispute.c.id != besides)).scalar()


def mark(connection: Connection, subject: str, field: str) -> tuple[bool, int] | None:
    """Whether the mark of this field withholds it, and since when it stands; None where there is no mark."""
    query = select(objection.c.withheld, objection.c.filed_at)
    row = connection.execute(query.where(objection.c.subject == subject, objection.c.field == field)).one_or_none()
    return None if row is None else (bool(row.withheld), row.filed_at)


def evidence(connection: Connection, case: str) -> FiledEvidence | None:
    """The file that was handed in, or None."""
    row = connection.execute(select(dispute.c.evidence_name, dispute.c.evidence).where(dispute.c.id == case)).one_or_none()
    return None if row is None or not row.evidence_name else FiledEvidence(name=row.evidence_name, content=bytes(row.evidence))


def answer(connection: Connection, case: str, finding: Finding, letter: Signed) -> bool:
    """Close an objection with its letter; False where it is closed."""
    closing = update(dispute).where(dispute.c.id == case, dispute.c.state == OPEN)
    return connection.execute(closing.values(state=str(finding), letter=encode(letter))).rowcount == 1


def to_warn(connection: Connection, days: int, filed_before: int) -> list[tuple[str, int]]:
    """Number and day of filing of the open objections from before then whose warning of so many days was not given."""
    query = select(dispute.c.id, dispute.c.filed_at).where(dispute.c.state == OPEN, dispute.c.warned < days)
    return [(row.id, row.filed_at) for row in connection.execute(query.where(dispute.c.filed_at < filed_before))]


def warned(connection: Connection, case: str, days: int) -> bool:
    """Note that a warning is given; False where it was given before."""
    done = connection.execute(update(dispute).where(dispute.c.id == case, dispute.c.warned < days).values(warned=days))
    return done.rowcount == 1


# ---------------------------------------------------------------- corrections


def ask(connection: Connection, new: Correction) -> None:
    """Store a request to the source."""
    connection.execute(insert(correction).values(fields_of(new)))


def corrections(connection: Connection, *, of: str = "", state: str = "") -> tuple[Correction, ...]:
    """Requests of one objection, or in one state, or all; oldest first."""
    query = select(correction).order_by(correction.c.asked_at, correction.c.id)
    query = query.where(correction.c.dispute == of) if of else query
    query = query.where(correction.c.state == state) if state else query
    return tuple(Correction(**dict(row._mapping)) for row in connection.execute(query))


def reply(connection: Connection, request: str, state: str, text: str, batch: str, by: str, now: int) -> str | None:
    """Store the source's answer; the objection it belongs to, or None where there is no such open request."""
    values = {"state": state, "reply": text, "batch": batch, "answered_by": by, "answered_at": now}
    done = connection.execute(update(correction).where(correction.c.id == request, correction.c.state == OPEN).values(**values))
    if done.rowcount != 1:
        return None
    case: str = connection.execute(select(correction.c.dispute).where(correction.c.id == request)).scalar_one()
    return case


def _about(subject: str, field: str) -> ColumnElement[bool]:
    return and_(dispute.c.subject == subject, dispute.c.field == field)


def _all(connection: Connection, which: ColumnElement[bool], zone: tzinfo, now: int) -> list[Dispute]:
    rows = connection.execute(select(*_LISTED).where(which).order_by(dispute.c.filed_at, dispute.c.id)).all()
    return [_dispute(row, corrections(connection, of=row.id), zone, now) for row in rows]


def _dispute(row: Row[tuple[object, ...]], asked: tuple[Correction, ...], zone: tzinfo, now: int) -> Dispute:
    values = dict(row._mapping)
    due = due_day(row.filed_at, zone)
    told = {
        "withheld": bool(row.withheld),
        "by_subject": row.filed_by == WINDOW_KEY_ID,
        "due": due.isoformat(),
        "days_left": (due - day_at(now, zone)).days,
        "letter": None if row.letter is None else decode(bytes(row.letter), Signed),
    }
    return Dispute(**{**values, **told, "corrections": asked})
