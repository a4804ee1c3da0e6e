"""Alignments, and which subjects a bank has aligned when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from audit.office.store.consents import chunks
from audit.office.tables import aligned_subject, alignment


@dataclass(frozen=True)
class Filed:
    """An accepted alignment: the root that was signed, and for whom."""

    root: bytes
    project: str
    bank: str
    modeller: str
    context: bytes
    rows: int


def add(connection: Connection, new: Filed, now: int) -> None:
    """Store an accepted alignment; its root is fresh, since blinds are."""
    connection.execute(insert(alignment).values(**vars(new), filed_at=now))


def add_subjects(connection: Connection, bank: str, subjects: Sequence[str], now: int) -> None:
    """Note that a bank has aligned these (distinct) subjects now."""
    for chunk in chunks(subjects):
        mine = (aligned_subject.c.bank == bank, aligned_subject.c.subject.in_(chunk))
        connection.execute(update(aligned_subject).where(*mine).values(last_filed_at=now))
        rows = [{"bank": bank, "subject": subject, "last_filed_at": now} for subject in chunk]
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        connection.execute(dialect.insert(aligned_subject).on_conflict_do_nothing(), rows)


def count_subjects(connection: Connection, bank: str, since: int) -> int:
    """How many distinct subjects a bank has aligned since then."""
    mine = (aligned_subject.c.bank == bank, aligned_subject.c.last_filed_at > since)
    return connection.execute(select(func.count()).select_from(aligned_subject).where(*mine)).scalar_one()
