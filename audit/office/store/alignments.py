"""Alignments, and which subjects a bank has aligned when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from audit.office.rights_tables import alignment_element, alignment_row
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


@dataclass(frozen=True, repr=False)
class FiledRow:
    """One subject's place in an accepted alignment, and all elements of that alignment in order."""

    root: bytes
    project: str
    bank: str
    context: bytes
    filed_at: int
    place: int
    proof: bytes
    elements: bytes


def add_rows(
    connection: Connection, root: bytes, subjects: Sequence[str], elements: Sequence[bytes], proofs: Sequence[bytes]
) -> None:  # fmt: skip
    """Keep whose the accepted elements are, in the root's order; the rows may be erased and the root be proven still."""
    connection.execute(insert(alignment_element).values(root=root, elements=b"".join(elements)))
    rows = [
        {"root": root, "place": place, "subject": subject, "proof": proof}
        for place, (subject, proof) in enumerate(zip(subjects, proofs, strict=True))
    ]
    connection.execute(insert(alignment_row), rows)


def rows_of(connection: Connection, subject: str) -> list[FiledRow]:
    """Every accepted alignment with this subject, newest first. Those from before rows were kept are not in it."""
    query = (
        select(alignment, alignment_row.c.place, alignment_row.c.proof, alignment_element.c.elements)
        .join(alignment_row, alignment_row.c.root == alignment.c.root)
        .join(alignment_element, alignment_element.c.root == alignment.c.root)
        .where(alignment_row.c.subject == subject)
        .order_by(alignment.c.filed_at.desc(), alignment.c.root)
    )
    return [
        FiledRow(
            root=bytes(row.root),
            project=row.project,
            bank=row.bank,
            context=bytes(row.context),
            filed_at=row.filed_at,
            place=row.place,
            proof=bytes(row.proof),
            elements=bytes(row.elements),
        )
        for row in connection.execute(query)
    ]


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
