"""Exposure checks in the daily reconciliation: a day in order is whole, and what does not fit is found by its rule."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import delete, insert, select, update

from audit.database import writing
from audit.office.duties import run_once as run_duties
from audit.office.exposure_tables import exposure
from audit.office.reconcile import reconcile
from audit.office.store import reconciliations as store
from audit.office.tables import access
from models.alarms import Alarms, AskAlarms
from models.exposure import TABLE, DemandOpening
from models.logged import Empty
from models.reconciliation import FINDINGS, WHOLE, Finding, ReconciledDay, TableCount
from tests.exposure.banks import PROJECT, Opened, Place, place, pool, put


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder: Path = tmp_path_factory.mktemp("exposure")
    with place(folder) as made:
        made.consent(*(f"opaque:s{n}" for n in range(10)))
        for bank in ("bank-b", "bank-c", "bank-d", "bank-e"):
            made.owe(bank, {"s0": 5})
        yield made


def reconciled(here: Place) -> tuple[ReconciledDay, list[TableCount], list[Finding]]:
    """Today, as it is reconciled once it is over."""
    world = here.pair.office
    here.pair.app.state.node.log.wait_cosigned(here.pair.logged() - 1, 20.0)
    today = datetime.fromtimestamp(world.now, world.office.settings.zone).date()
    world.clock.shift += 86_400
    try:
        run = reconcile(world.office, today)
    finally:
        world.clock.shift -= 86_400
    with world.office.engine.connect() as connection:
        last = store.last_run(connection, str(today))
        assert last is not None
        tables = [one for one in store.tables_of(connection, last[0]) if one.table == TABLE]
        return run, tables, list(store.findings_of(connection, last[0], 100))


def node_says(here: Place, action: str, **facts: Any) -> None:
    """Whoever runs the node can have its log say anything."""
    said = {"v": 1, "at": here.pair.office.now, "action": action, "outcome": "done", "institution": "bank-a"}
    log = here.pair.app.state.node.log
    index = log.append(msgspec.json.encode({**said, "facts": facts, "opening": secrets.token_hex(32)}), 10.0)
    log.wait_cosigned(index, 20.0)


def change(here: Place, statement: Any) -> None:
    with writing(here.pair.office.office.engine) as connection:
        connection.execute(statement)


def test_a_day_of_exposure_checks_is_whole(here: Place) -> None:
    asked = put(here, "s0")
    here.answer()
    asked.summed(asked.released(asked.close()))
    check = here.check()
    check._leave(check.prepare("s1"), pool().take(), None)  # leave that is not used
    run, tables, findings = reconciled(here)
    assert (run.state, findings) == (WHOLE, [])
    [table] = tables
    assert (table.epoch, table.tickets, table.leaves, table.evaluations, table.unused) == (asked.question.epoch, 2, 2, 1, 1)


# ---------------------------------------------------------------------- each way of not fitting


def row_deleted(here: Place, asked: Opened) -> None:
    change(here, delete(exposure).where(exposure.c.id == asked.question.id))


def slipped_in(here: Place, asked: Opened) -> str:
    with writing(here.pair.office.office.engine) as connection:
        row = connection.execute(select(exposure).where(exposure.c.id == asked.question.id)).one()._mapping
        forged = {**row, "id": secrets.token_hex(16), "ticket": secrets.token_hex(32)}
        connection.execute(insert(exposure), [forged])
    return str(forged["ticket"])


def access_deleted(here: Place, _asked: Opened) -> None:
    change(
        here, delete(access).where(access.c.id == select(access.c.id).order_by(access.c.id.desc()).limit(1).scalar_subquery())
    )


def opened_twice(here: Place, asked: Opened) -> None:
    facts = {"table": TABLE, "epoch": asked.question.epoch, "purpose": "loan-approval", "project": PROJECT}
    node_says(here, "exposure.ask", **facts, ticket=asked.leave.ticket.digest())


def released_unseen(here: Place, asked: Opened) -> None:
    """The node gives out a sum that the office never looked at."""
    node_says(here, "exposure.release", ticket=asked.leave.ticket.digest(), release=secrets.token_hex(32))


def never_opened(here: Place, asked: Opened) -> str:
    """A sum was released of a question of which the node's log knows nothing."""
    forged = slipped_in(here, asked)
    change(here, update(exposure).where(exposure.c.ticket == forged).values(released_at=here.pair.office.now))
    return forged


TAMPERED: dict[str, tuple[str, Callable[[Place, Opened], str | None]]] = {
    "s2": ("evaluation-without-ticket", row_deleted),
    "s3": ("leaf-without-ticket", row_deleted),
    "s4": ("ticket-without-leaf", slipped_in),
    "s5": ("ticket-without-access", access_deleted),
    "s6": ("evaluation-twice", opened_twice),
    "s7": ("release-without-leave", released_unseen),
    "s8": ("used-without-evaluation", never_opened),
}


@pytest.mark.parametrize("subject", TAMPERED)
def test_what_does_not_fit_is_found_and_alarms(here: Place, subject: str) -> None:
    rule, tamper = TAMPERED[subject]
    asked = put(here, subject)
    named = tamper(here, asked) or asked.leave.ticket.digest()
    run, _tables, findings = reconciled(here)
    assert run.state == FINDINGS
    assert [one.table for one in findings if (one.rule, one.ticket) == (rule, named)] == [TABLE]
    alarms = here.pair.office.client("office/audit").logged("/audit/alarms", AskAlarms(kind=rule), Alarms).answer.alarms
    assert alarms[0].about.startswith("reconciliation of")


def test_an_answer_that_is_not_opened_in_time_alarms_once(here: Place) -> None:
    world, asked = here.pair.office, put(here, "s1")
    here.answer()
    asked.finish(asked.close())
    demand = DemandOpening(question=asked.question.id, bank="bank-b", reason="a complaint")
    auditor = world.client("office/audit")
    auditor.logged("/exposures/demands", demand, Empty)
    given = []
    for days in (2, 4, 5):
        world.clock.shift = days * 86_400
        given.append(run_duties(world.office).openings)
    world.clock.shift = 0
    assert given == [0, 1, 0]
    [raised] = auditor.logged("/audit/alarms", AskAlarms(kind="opening-overdue"), Alarms).answer.alarms
    assert (raised.institution, raised.about) == ("bank-b", f"exposure check {asked.question.id}")
