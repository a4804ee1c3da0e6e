"""Daily reconciliation: tickets = evaluations + unused ones, and each of them has its leaves; what does not fit is an alarm.

::

    office's rows          office's log              node's log
    ticket of the day  ⇄   its leaf
    ticket of the day  ⇄   what its subject is shown
    ticket             ⇄                             its one evaluation, of the same table, purpose and bank, in time
    report "used"      →                             an evaluation
    exposure ticket    ⇄   its leaf                  the question that was opened to other banks
    released sum       ⇄                             the sum that was given out
    seal of the day    ⇄                             the manifest that was built, and the epoch that was opened

Both logs are followed and verified first. Where the node's log cannot be followed beyond the day, nothing is said about what
is missing in it: the day is incomplete and is done again. A run leaves its result, one leaf, and an alarm for each rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta

import structlog
from sqlalchemy import Connection

from audit.database import writing
from audit.office.mirror import follow_node, follow_own
from audit.office.office import OFFICE, Office
from audit.office.store import alarms
from audit.office.store import reconciliations as store
from audit.office.store.orphans import Orphan, Period, counts, orphans
from audit.service.leaves import LeafDraft, finish
from audit.verifier.errors import DamagedLog
from models.alarm_rules import rule_of
from models.problems import PeerUnavailable, Unusable
from models.reconciliation import FINDINGS, INCOMPLETE, WHOLE, ReconciledDay, TableCount
from models.zones import day_at

logger = structlog.get_logger()
DAMAGED = "log-damaged"
MOST_KEPT = 10_000
"""Findings of one run that are kept one by one; all are counted."""
SERVICE = {"person": "office/service", "name": "office service", "role": "office"}


def reconcile(office: Office, day: date) -> ReconciledDay:
    """Run over one day that is over, and store what was found; raises `Unusable`."""
    begin, end = _bounds(office, day)
    if end > office.clock():
        raise Unusable(f"{day} is not over yet ({office.settings.time_zone}); a day is reconciled afterwards")
    sizes: list[int] = []
    damaged: list[Orphan] = []
    unread = ""
    for log, follow in (("node", follow_node), ("office", follow_own)):
        try:
            sizes.append(follow(office))
        except DamagedLog as damage:
            sizes.append(-1)
            damaged.append(Orphan(DAMAGED, detail=f"the {log}'s log, {damage}"))
        except PeerUnavailable as problem:
            sizes.append(-1)
            unread = unread or problem.detail
    tables: tuple[TableCount, ...] = ()
    found = damaged
    if not unread and not damaged:
        with office.engine.connect() as connection:
            period = Period(begin, end)
            tables, found = counts(connection, period), list(orphans(connection, period))
    state = INCOMPLETE if unread else FINDINGS if found else WHOLE
    totals = {name: sum(getattr(one, name) for one in tables) for name in ("tickets", "leaves", "evaluations", "unused")}
    run = ReconciledDay(
        day=day.isoformat(),
        at=int(office.clock()),
        state=state,
        **totals,
        findings=len(found),
        node_size=sizes[0],
        office_size=sizes[1],
        detail=unread or "; ".join(f"{number} × {rule}" for rule, number in Counter(one.rule for one in found).items()),
    )
    with writing(office.engine) as connection:
        number = store.add_run(connection, run, _log(office, connection, run))
        store.add_details(connection, number, run.day, tables, found[:MOST_KEPT])
        _alarm(connection, run, found)
    logger.info("a day was reconciled", day=run.day, state=run.state, findings=run.findings)
    return run


def due(office: Office, now: float) -> list[date]:
    """The days, of the last `reconcile_days`, that are over and were not reconciled to the end, oldest first."""
    moment = datetime.fromtimestamp(now, office.settings.zone)
    if f"{moment:%H:%M}" < office.settings.reconcile_at:
        return []
    before = [moment.date() - timedelta(days=back) for back in range(office.settings.reconcile_days, 0, -1)]
    with office.engine.connect() as connection:
        done = {run.day for run in store.days(connection, str(before[0]), str(before[-1])) if run.state != INCOMPLETE}
    # The days before the office's first one need nobody.
    return [day for day in before if str(day) not in done and _bounds(office, day)[1] > _first_moment(office)]


def yesterday(office: Office) -> date:
    """The last day that is over, in the office's time zone."""
    return day_at(office.clock(), office.settings.zone) - timedelta(days=1)


def _first_moment(office: Office) -> float:
    with office.engine.connect() as connection:
        first = office.log.store.placed_at(connection, 0)
    return office.clock() if first is None else first.time


def _bounds(office: Office, day: date) -> tuple[int, int]:
    """When a day begins and ends in the office's time zone, POSIX seconds."""
    midnights = (datetime(d.year, d.month, d.day, tzinfo=office.settings.zone) for d in (day, day + timedelta(days=1)))
    begin, end = (int(midnight.timestamp()) for midnight in midnights)
    return begin, end


def _log(office: Office, connection: Connection, run: ReconciledDay) -> int:
    names = ("day", "state", "tickets", "leaves", "evaluations", "unused", "findings", "node_size", "office_size")
    facts = {name: getattr(run, name) for name in names}
    leaf = finish(LeafDraft("reconcile", facts), institution=OFFICE, at=run.at, who=SERVICE)
    office.log.store_openings(connection, {leaf.commitment: leaf.opening})
    return office.log.enqueue(connection, leaf.entry)


def _alarm(connection: Connection, run: ReconciledDay, found: Sequence[Orphan]) -> None:
    """One alarm for each rule and day, which a second run renews."""
    for rule, number in sorted(Counter(one.rule for one in found).items()):
        first = next(one for one in found if one.rule == rule)
        alarms.raise_or_count(
            connection,
            same=("reconcile", rule, run.day),
            at=run.at,
            kind=rule,
            institution=OFFICE,
            about=f"reconciliation of {run.day}",
            detail=f"{rule_of(rule).en}: {number} on {run.day}; the first: {_place(first)}",
            measured=number,
            threshold=0,
        )


def _place(one: Orphan) -> str:
    where = f"table {one.table} epoch {one.epoch}" if one.table else ""
    leaves = [f"entry {i} of the {log}'s log" for log, i in (("node", one.node_index), ("office", one.office_index)) if i >= 0]
    ticket = f"ticket {one.ticket[:16]}…" if one.ticket else ""
    return ", ".join(part for part in (where, ticket, *leaves, one.detail) if part)
