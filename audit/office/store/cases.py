"""Cases and what was gathered in them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from audit.office.audit_tables import case, case_item
from models.cases import CLOSED, OPEN, Case, CaseItem, ItemKind

PAGE = 100


def add(connection: Connection, title: str, by: str, now: int) -> int:
    """Open a case; its number."""
    row = {"title": title, "state": OPEN, "opened_by": by, "opened_at": now}
    key = connection.execute(insert(case).values(row)).inserted_primary_key
    assert key is not None
    return int(key[0])


def get(connection: Connection, number: int, *, lock: bool = False) -> Case | None:
    """A case with its items, or None; `lock` keeps others from changing it until the transaction ends."""
    query = select(case).where(case.c.id == number)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        return None
    items = connection.execute(select(case_item).where(case_item.c.case == number).order_by(case_item.c.number))
    return _case(row, tuple(_item(item) for item in items))


def find(connection: Connection, state: str, before: int) -> tuple[Case, ...]:
    """A page of cases without their items, newest first."""
    query = select(case).order_by(case.c.id.desc()).limit(PAGE)
    if state:
        query = query.where(case.c.state == state)
    if before:
        query = query.where(case.c.id < before)
    return tuple(_case(row, ()) for row in connection.execute(query))


def add_item(connection: Connection, number: int, item: CaseItem) -> None:
    """Add to a case; its kept bundle is no longer what it was."""
    row = {name: getattr(item, name) for name in ("number", "ref", "text", "by", "at")}
    connection.execute(insert(case_item).values(row | {"case": number, "kind": str(item.kind)}))
    connection.execute(update(case).where(case.c.id == number).values(bundle=None))


def close(connection: Connection, number: int, finding: str, by: str, now: int) -> None:
    """Close a case with what was found."""
    values = {"state": CLOSED, "finding": finding, "closed_by": by, "closed_at": now, "bundle": None}
    connection.execute(update(case).where(case.c.id == number).values(values))


def bundle(connection: Connection, number: int) -> bytes | None:
    """The bundle that was exported last, unless the case has changed since."""
    kept = connection.execute(select(case.c.bundle).where(case.c.id == number)).scalar()
    return None if kept is None else bytes(kept)


def keep_bundle(connection: Connection, number: int, items: int, state: str, data: bytes, digest: str, now: int) -> bool:
    """Keep a bundle of a case that has this many items and this state; False where it has changed meanwhile."""
    count = select(func.count()).select_from(case_item).where(case_item.c.case == number).scalar_subquery()
    unchanged = (case.c.id == number, case.c.state == state, count == items)
    kept = {"bundle": data, "bundle_digest": digest, "exported_at": now}
    return connection.execute(update(case).where(*unchanged).values(kept)).rowcount == 1


def _case(row: Row[Any], items: tuple[CaseItem, ...]) -> Case:
    names = ("id", "title", "state", "opened_by", "opened_at", "finding", "closed_by")
    return Case(**{name: getattr(row, name) for name in names}, closed_at=row.closed_at or 0, items=items)


def _item(row: Row[Any]) -> CaseItem:
    names = ("number", "ref", "text", "by", "at")
    return CaseItem(**{name: getattr(row, name) for name in names}, kind=ItemKind(row.kind))
