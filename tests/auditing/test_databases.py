"""What auditors ask of the office's tables, on each database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.office.mirror import follow_own
from audit.office.store import orphans
from models.alarms import CLOSED, AlarmHistory, Alarms, AskAlarms, HandleAlarm
from models.cases import AddItem, AskCases, Case, Cases, CloseCase, ItemKind, OpenCase
from models.logged import Empty
from models.oversight import RESULTS, FoundAccesses, SearchAccesses
from models.tables import Evidence
from tests.office.world import ALICE, BOB, CHECK_FIELDS, World, running

AUDITOR = "office/audit"


@pytest.fixture
def world(tmp_path: Path, database_url: str) -> Iterator[World]:
    with running(tmp_path / "office", database_url) as made:
        made.project("p1")
        made.seal()
        made.consented(ALICE, BOB)
        for subject in (ALICE, BOB, ALICE):
            made.ask(made.question(subject))
        yield made


def test_searches_counts_alarms_and_cases(world: World) -> None:
    auditor = world.client(AUDITOR)

    def found(**ask: object) -> list[str]:
        page = auditor.logged("/audit/search", SearchAccesses(**ask), FoundAccesses).answer  # type: ignore[arg-type]
        return [one.subject for one in page.accesses]

    assert found() == [ALICE, BOB, ALICE]
    assert found(subject=BOB) == [BOB]
    assert found(field=CHECK_FIELDS[0], project="p1", bank="bank-a", most=2) == [ALICE, BOB]
    assert [len(found(result=result)) for result in RESULTS] == [3, 0, 0, 0, 0, 0, 0, 0, 3, 0]
    first = auditor.logged("/audit/search", SearchAccesses(most=2), FoundAccesses).answer
    assert found(after=first.next) == [ALICE]

    # The node has built nothing here and logged nothing: the seal has no build, and no ticket is evaluated.
    follow_own(world.office)
    with world.office.engine.connect() as connection:
        period = orphans.Period(world.now - 86_400, world.now + 86_400)
        [table] = orphans.counts(connection, period)
        assert (table.tickets, table.leaves, table.evaluations, table.unused) == (3, 3, 0, 3)
        assert [one.rule for one in orphans.orphans(connection, period)] == ["seal-without-build"]

    world.officer.logged("/evidence", Evidence(what="w", table="t", epoch=1, detail="d", artefacts=()), Empty)
    [alarm] = auditor.logged("/audit/alarms", AskAlarms(kind="evidence"), Alarms).answer.alarms
    closing = HandleAlarm(alarm=alarm.id, state=CLOSED, reason="seen")
    assert auditor.logged("/audit/alarm/state", closing, AlarmHistory).answer.alarm.state == CLOSED

    case = auditor.logged("/audit/cases", OpenCase(title="one"), Case).answer
    for kind, ref in ((ItemKind.ACCESS, first.accesses[0].id), (ItemKind.ALARM, alarm.id), (ItemKind.NOTE, 0)):
        auditor.logged("/audit/cases/items", AddItem(case=case.id, kind=kind, ref=ref, text="n"), Case)
    closed = auditor.logged("/audit/cases/close", CloseCase(case=case.id, finding="in order"), Case).answer
    assert [item.number for item in closed.items] == [1, 2, 3]
    assert auditor.logged("/audit/cases/search", AskCases(state=CLOSED), Cases).answer.cases[0].finding == "in order"
