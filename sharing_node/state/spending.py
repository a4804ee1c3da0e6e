"""What is spent when a ticket is evaluated: the element, for ever, and one of the bank's evaluations in the epoch.

Every check runs these statements, so they are built once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Connection, Executable, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from models.problems import BadTicket, OverBudget
from sharing_node.database import metadata
from sharing_node.state.tables import BudgetRow, EpochRow, SpentRow

_ELEMENTS_A_QUERY = 10_000
_epoch = metadata.tables[EpochRow.__tablename__].c
_spent = metadata.tables[SpentRow.__tablename__]
_budget = metadata.tables[BudgetRow.__tablename__]
_EPOCH_ANSWERS = select(_epoch.epoch).where(
    _epoch.table_id == bindparam("table"),
    _epoch.epoch == bindparam("number"),
    _epoch.state == "open",
    _epoch.expires_at > bindparam("now"),
)
_SPENT_AMONG = select(_spent.c.element).where(_spent.c.element.in_(bindparam("elements", expanding=True)))
_SPEND = {
    "sqlite": sqlite.insert(_spent).on_conflict_do_nothing().returning(_spent.c.element),
    "postgresql": postgresql.insert(_spent).on_conflict_do_nothing().returning(_spent.c.element),
}


def _add(dialect: Any) -> Executable:
    insert = dialect.insert(_budget)
    more = insert.on_conflict_do_update(
        index_elements=["bank", "kind", "year"], set_={"used": _budget.c.used + insert.excluded.used}
    )
    return cast(Executable, more.returning(_budget.c.used))


_ADD_TO_BUDGET = {"sqlite": _add(sqlite), "postgresql": _add(postgresql)}


def epoch_answers(connection: Connection, table_id: str, epoch: int, now: int) -> bool:
    """Whether an epoch's tickets are evaluated and its columns answered: it is open and has not expired."""
    return connection.scalar(_EPOCH_ANSWERS, {"table": table_id, "number": epoch, "now": now}) is not None


def spent_among(connection: Connection, elements: Sequence[bytes]) -> set[bytes]:
    """Which of these elements were evaluated before, under any key."""
    found: set[bytes] = set()
    for start in range(0, len(elements), _ELEMENTS_A_QUERY):
        found.update(connection.scalars(_SPENT_AMONG, {"elements": elements[start : start + _ELEMENTS_A_QUERY]}))
    return found


def spend_elements(connection: Connection, table_id: str, elements: Sequence[bytes], at: int) -> None:
    """Mark elements as evaluated; raises `BadTicket` where one was, changing nothing.

    Waits for whoever spends one of them at this moment.
    """
    if elements:
        rows = [{"element": element, "table_id": table_id, "at": at} for element in elements]
        # Counted by what comes back: PostgreSQL's driver does not count rows over several parameter sets.
        if len(connection.scalars(_SPEND[connection.dialect.name], rows).all()) != len(rows):
            raise BadTicket("this ticket was spent before")


def add_to_budget(connection: Connection, bank: str, kind: str, period: int, amount: int) -> int:
    """What is used of a budget after adding to it; the row stays locked until the transaction ends."""
    row = {"bank": bank, "kind": kind, "year": period, "used": amount}
    return int(connection.execute(_ADD_TO_BUDGET[connection.dialect.name], row).scalar_one())


def spend_checks(connection: Connection, bank: str, table_id: str, epoch: int, *, amount: int, allowed: int) -> None:
    """Add to what a bank has asked of an epoch; raises `OverBudget` beyond `allowed`, changing nothing."""
    if amount:
        kind = f"checks-{hashlib.sha256(table_id.encode()).hexdigest()[:16]}"
        used = add_to_budget(connection, bank, kind, epoch, amount)
        if used > allowed:
            raise OverBudget(
                f"this would make {used} evaluations for this bank in one epoch where the node allows {allowed}",
                advice="Wait for the table's next epoch; the credit office sees every refusal in the node's log.",
            )
