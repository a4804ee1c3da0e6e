"""Rounds of joint trainings: commitments and HMACs of the bank's vectors, never a value; and the verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from audit.office.tables import round_, vector, verdict
from models.training import VectorInfo, Verdict
from models.wire import Signed, decode, encode

LABELS = 0


@dataclass(frozen=True)
class FiledRound:
    """A round's inputs as the office signed them: `digest` is that of its `RoundInputs`, `plan` that of the plan."""

    job: str
    round: int
    bank: str
    plan: str
    digest: str
    subjects: bytes
    vectors: tuple[tuple[bytes, bytes], ...]
    """(HMAC, commitment) of each vector."""


def add_round(connection: Connection, new: FiledRound, now: int) -> None:
    """Store a round's inputs; IntegrityError where they were filed before."""
    row = {"job": new.job, "round": new.round, "bank": new.bank, "plan": new.plan, "digest": new.digest}
    connection.execute(insert(round_).values(**row, filed_at=now))
    rows = [
        {
            "job": new.job,
            "round": new.round,
            "place": place,
            "subjects": new.subjects,
            "hmac": hmac,
            "commitment": commitment,
            "filed_at": now,
        }
        for place, (hmac, commitment) in enumerate(new.vectors)
    ]
    connection.execute(insert(vector), rows)


def rounds(connection: Connection, job: str) -> dict[int, FiledRound]:
    """The rounds of a job whose inputs were filed, by number."""
    query = select(vector).where(vector.c.job == job).order_by(vector.c.round, vector.c.place)
    rows = connection.execute(query).all()
    found = connection.execute(select(round_).where(round_.c.job == job))
    return {
        row.round: FiledRound(
            job=job,
            round=row.round,
            bank=row.bank,
            plan=row.plan,
            digest=row.digest,
            subjects=next(bytes(v.subjects) for v in rows if v.round == row.round),
            vectors=tuple((bytes(v.hmac), bytes(v.commitment)) for v in rows if v.round == row.round),
        )
        for row in found
    }


def label_hmacs(connection: Connection, subjects: bytes, since: int) -> set[bytes]:
    """The HMACs of the different label vectors filed for a cohort since then."""
    query = select(vector.c.hmac).where(vector.c.subjects == subjects, vector.c.place == LABELS, vector.c.filed_at > since)
    return {bytes(hmac) for hmac in connection.execute(query.distinct()).scalars()}


def pairs(vectors: Sequence[VectorInfo]) -> tuple[tuple[bytes, bytes], ...]:
    """(HMAC, commitment) of each vector."""
    return tuple((info.hmac, info.commitment) for info in vectors)


def add_verdict(connection: Connection, bank: str, given: Verdict, signed: Signed, now: int) -> None:
    """Store the verdict on a job; IntegrityError where there is one."""
    row = {"job": given.job, "bank": bank, "usable": int(given.usable), "document": encode(signed)}
    connection.execute(insert(verdict).values(**row, given_at=now))


def get_verdict(connection: Connection, job: str) -> Signed | None:
    """The signed verdict on a job, or None."""
    document = connection.execute(select(verdict.c.document).where(verdict.c.job == job)).scalar()
    return None if document is None else decode(bytes(document), Signed)
