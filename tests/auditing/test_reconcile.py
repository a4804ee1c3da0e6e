"""A day's tickets, evaluations and leaves: whole when all is in order, and each way of not fitting is found by its rule."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import delete, insert, select, update

import audit.office as office_package
from audit.database import writing
from audit.office import tables
from audit.office.mirror import follow_node
from audit.office.nightly import Nightly
from audit.office.reconcile import due, reconcile
from audit.office.store import reconciliations as store
from audit.verifier.errors import DamagedLog
from models.alarm_rules import RULES, rule_of
from models.alarms import Alarms, AskAlarms
from models.problems import PeerUnavailable, Unusable
from models.reconciliation import (
    FINDINGS,
    INCOMPLETE,
    WHOLE,
    AskReconciliation,
    AskReconciliations,
    Finding,
    Reconciliation,
    Reconciliations,
)
from models.reports import CheckOutcome
from models.tickets import Ticket
from sharing_node.app import LOG_TABLES
from tests.auditing.conftest import ALICE, BOB, TIMEOUT, Audited
from tests.office.world import blind_of


def node_says(audit: Audited, action: str, institution: str = "bank-a", **facts: Any) -> int:
    """Whoever runs the node can have its log say anything; the index of the leaf, once it is cosigned."""
    said = {"v": 1, "at": audit.world.now, "action": action, "outcome": "done", "institution": institution}
    log = audit.pair.app.state.node.log
    index: int = log.append(msgspec.json.encode({**said, "facts": facts, "opening": secrets.token_hex(32)}), TIMEOUT)
    log.wait_cosigned(index, TIMEOUT)
    return index


def evaluation(audit: Audited, ticket: str, **changes: Any) -> dict[str, Any]:
    return {
        "table": audit.table,
        "epoch": audit.epoch,
        "ticket": ticket,
        "purpose": "loan-approval",
        "project": "check",
    } | changes


# ---------------------------------------------------------------------- each tampering, and what the finding must name


def forged_ticket(audit: Audited) -> str:
    """Somebody has the office's key and gives tickets past the office."""
    context = audit.world.context(project="check", table=audit.table, epoch=audit.epoch)
    made = Ticket(element=bytes(blind_of(ALICE)[1]), context=context, consent=secrets.token_bytes(32))
    ticket = audit.office.sign(made)
    assert not audit.spend(ticket).results[0].problem
    return ticket.digest()


def evaluated_again(audit: Audited) -> str:
    ticket = audit.tickets[ALICE].digest()
    node_says(audit, "check.evaluate", **evaluation(audit, ticket))
    return ticket


def evaluated_elsewhere(audit: Audited) -> str:
    ticket = audit.ask(BOB).digest()
    node_says(audit, "check.evaluate", **evaluation(audit, ticket, purpose="post-loan"))
    return ticket


def used_without_evaluation(audit: Audited) -> str:
    """The node answered without a leaf, and the bank reports what it decided."""
    ticket = audit.ask(BOB).digest()
    audit.report(ticket, CheckOutcome.DECLINED)
    return ticket


def ticket_deleted(audit: Audited) -> str:
    ticket = audit.ask(BOB).digest()
    with writing(audit.office.engine) as connection:
        connection.execute(delete(tables.ticket).where(tables.ticket.c.digest == ticket))
    return ticket


def ticket_slipped_in(audit: Audited) -> str:
    forged = secrets.token_hex(32)
    with writing(audit.office.engine) as connection:
        row = connection.execute(select(tables.ticket).limit(1)).one()._mapping
        connection.execute(insert(tables.ticket), [{**row, "element": secrets.token_bytes(32), "digest": forged}])
        shown = connection.execute(select(tables.access).where(tables.access.c.ticket.is_not(None)).limit(1)).one()._mapping
        connection.execute(insert(tables.access), [{**shown, "id": None, "ticket": forged}])
    return forged


def access_deleted(audit: Audited) -> str:
    ticket = audit.ask(BOB).digest()
    with writing(audit.office.engine) as connection:
        connection.execute(delete(tables.access).where(tables.access.c.ticket == ticket))
    return ticket


def sealed_and_not_logged(audit: Audited) -> str:
    digest = secrets.token_hex(32)
    with writing(audit.office.engine) as connection:
        row = connection.execute(select(tables.manifest).limit(1)).one()._mapping
        connection.execute(insert(tables.manifest), [{**row, "epoch": 900, "digest": digest}])
    return digest


def opened_without_seal(audit: Audited) -> str:
    digest = secrets.token_hex(32)
    node_says(audit, "epoch.open", "node", table=audit.table, epoch=901, manifest=digest, seal=secrets.token_hex(32))
    return digest


TAMPERED: dict[str, Callable[[Audited], str]] = {
    "evaluation-without-ticket": forged_ticket,
    "evaluation-twice": evaluated_again,
    "evaluation-differs": evaluated_elsewhere,
    "used-without-evaluation": used_without_evaluation,
    "leaf-without-ticket": ticket_deleted,
    "ticket-without-leaf": ticket_slipped_in,
    "ticket-without-access": access_deleted,
    "seal-without-build": sealed_and_not_logged,
    "epoch-without-seal": opened_without_seal,
}


def findings(audit: Audited) -> list[Finding]:
    with audit.office.engine.connect() as connection:
        last = store.last_run(connection, str(audit.today))
        assert last is not None
        return list(store.findings_of(connection, last[0], 100))


def test_a_day_in_order_is_whole(clean: Audited) -> None:
    with pytest.raises(Unusable, match="not over"):
        reconcile(clean.office, clean.today)
    run = clean.reconciled()
    assert (run.state, run.findings) == (WHOLE, 0)
    assert (run.tickets, run.leaves, run.evaluations, run.unused) == (2, 2, 1, 1)
    asked = AskReconciliation(day=run.day)
    shown = clean.auditor.logged("/audit/reconciliation", asked, Reconciliation).answer
    [table] = shown.tables
    assert (table.table, table.epoch, table.tickets, table.unused) == (clean.table, clean.epoch, 2, 1)
    days = clean.auditor.logged("/audit/reconciliations", AskReconciliations(), Reconciliations).answer.days
    assert [day.state for day in days if day.day == run.day] == [WHOLE]
    # By now the run's leaf has its index: those of later calls stand behind it.
    shown = clean.auditor.logged("/audit/reconciliation", asked, Reconciliation).answer
    while shown.run.index < 0:  # its leaf is queued and has no place yet
        shown = clean.auditor.logged("/audit/reconciliation", asked, Reconciliation).answer
    leaf = clean.world.leaves()[shown.run.index]
    assert leaf["action"] == "reconcile"
    assert leaf["facts"]["node_size"] == run.node_size > 0


def test_the_nights_work_does_each_day_once(clean: Audited) -> None:
    late = replace(clean.office, settings=clean.office.settings.model_copy(update={"reconcile_at": "00:00"}))
    night = Nightly(late, lambda: True)
    clean.reconciled()
    with clean.tomorrow():
        assert due(late, late.clock()) == []
    two_days = 2 * 86_400
    clean.world.clock.shift += two_days
    try:
        assert due(late, late.clock()) == [clean.today - timedelta(days=1)]
        assert night.run_once()
        assert due(late, late.clock()) == []
    finally:
        clean.world.clock.shift -= two_days
    early = replace(clean.office, settings=clean.office.settings.model_copy(update={"reconcile_at": "23:59"}))
    later = clean.office.clock() + 3 * 86_400
    assert (len(due(late, later)), due(early, later)) == (1, [])


@pytest.mark.parametrize("rule", TAMPERED)
def test_each_orphan_is_found_and_alarms(audit: Audited, rule: str) -> None:
    named = TAMPERED[rule](audit)
    run = audit.reconciled()
    assert run.state == FINDINGS
    found = [one for one in findings(audit) if one.rule == rule]
    assert any(named in (one.ticket, one.detail.removeprefix("manifest ")) for one in found), found
    alarms = audit.auditor.logged("/audit/alarms", AskAlarms(kind=rule), Alarms).answer.alarms
    assert alarms[0].measured == len(found)
    assert alarms[0].threshold == 0
    assert rule_of(rule).id.startswith("R-")


def test_a_log_that_was_changed_is_an_alarm_and_nothing_is_counted(audit: Audited) -> None:
    index = node_says(audit, "job.cancel", job="j")
    entries = LOG_TABLES.entries
    with writing(audit.pair.engine) as connection:
        before = connection.execute(select(entries.c.entry).where(entries.c.index == index)).scalar_one()
        connection.execute(update(entries).where(entries.c.index == index).values(entry=before.replace(b"cancel", b"CANCEL")))
    try:
        with pytest.raises(DamagedLog, match="does not lead to the signed root"):
            follow_node(audit.office)
        run = audit.reconciled()
        assert (run.state, run.tickets) == (FINDINGS, 0)
        assert [one.rule for one in findings(audit)] == ["log-damaged"]
    finally:
        with writing(audit.pair.engine) as connection:
            connection.execute(update(entries).where(entries.c.index == index).values(entry=before))
    assert follow_node(audit.office) > index


def test_a_node_that_does_not_answer_makes_the_day_incomplete_and_it_is_done_again(audit: Audited) -> None:
    away = replace(audit.office, settings=audit.office.settings.model_copy(update={"node_url": "http://127.0.0.1:9"}))
    with pytest.raises(PeerUnavailable):
        follow_node(away)
    with audit.tomorrow():
        run = reconcile(away, audit.today_then)
        assert run.state == INCOMPLETE
        ready = replace(audit.office, settings=audit.office.settings.model_copy(update={"reconcile_at": "00:00"}))
        assert audit.today_then in due(ready, ready.clock())


def test_every_kind_of_alarm_has_a_rule_in_both_languages() -> None:
    assert len({rule.id for rule in RULES}) == len({rule.kind for rule in RULES}) == len(RULES)
    assert all(rule.zh and rule.en and rule.why_zh and rule.why_en and len(rule.kind) <= 32 for rule in RULES)
    kinds = {rule.kind for rule in RULES}
    assert set(TAMPERED) <= kinds
    raised = set()
    for file in Path(office_package.__file__).parent.glob("*.py"):
        source = file.read_text(encoding="utf-8")
        if "alarms.raise_" in source:
            raised |= set(re.findall(r'kind="([a-z-]+)"', source)) | set(re.findall(r'_raise\("([a-z-]+)"', source))
    assert {"night", "fork", "budget", "report-overdue"} <= raised
    assert raised - {"credit"} <= kinds
