"""Accounts at the self-service window: for whom it may act."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from audit.office.rights_tables import account
from models.rights import OpenAccount, SubjectAccount


def add(connection: Connection, new: OpenAccount, opened_by: str, now: int) -> None:
    """Store an account; IntegrityError where the name is taken."""
    told = {"account": new.account, "subject": new.subject, "checked": new.checked}
    connection.execute(insert(account).values(**told, opened_by=opened_by, opened_at=now, closed_at=0))


def begin_anew(connection: Connection, new: OpenAccount, by: str) -> None:
    """Note who gave out the last slip of an account, and on which document."""
    connection.execute(update(account).where(account.c.account == new.account).values(opened_by=by, checked=new.checked))


def opened_by(connection: Connection, subject: str) -> set[str]:
    """Who gave out the slips of a subject's accounts, open or closed."""
    return set(connection.execute(select(account.c.opened_by).where(account.c.subject == subject)).scalars())


def get(connection: Connection, name: str) -> SubjectAccount | None:
    """One account, or None."""
    row = connection.execute(select(*_TOLD).where(account.c.account == name)).one_or_none()
    return None if row is None else SubjectAccount(**dict(row._mapping))


def open_account(connection: Connection, subject: str) -> str | None:
    """The name of the subject's open account, or None."""
    return connection.execute(select(account.c.account).where(account.c.subject == subject, account.c.closed_at == 0)).scalar()


def close(connection: Connection, name: str, now: int) -> bool:
    """Close an account; False where there is none that is open."""
    closing = update(account).where(account.c.account == name, account.c.closed_at == 0).values(closed_at=now)
    return connection.execute(closing).rowcount == 1


_TOLD = [column for column in account.c if column.name != "checked"]
