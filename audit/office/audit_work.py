"""What auditors read and decide about: alarms with their rules, and the days that were reconciled."""

from __future__ import annotations

import re
from datetime import timedelta

from sqlalchemy import Connection

from audit.office.office import Office
from audit.office.store import alarms, reconciliations
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from models.alarms import (
    ACKNOWLEDGED,
    CLOSED,
    OPEN,
    STATES,
    AlarmEvent,
    AlarmHistory,
    Alarms,
    AskAlarm,
    AskAlarms,
    HandleAlarm,
)
from models.cases import MOST_TEXT
from models.problems import Conflict, NotFound, OwnRequest, Unusable
from models.reconciliation import AskReconciliation, AskReconciliations, Reconciliation, Reconciliations
from models.wire import fields_of, replace
from models.zones import day_at

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
DAYS_SHOWN = 35
MOST_FINDINGS = 1000


class AuditWork:
    """Handlers about alarms and reconciled days."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def alarms(self, call: Call) -> Outcome:
        """POST /audit/alarms: a page of them, newest first, by state, kind and institution."""
        ask: AskAlarms = call.body
        if ask.state and ask.state not in STATES:
            raise Unusable(f"an alarm's state is one of {', '.join(STATES)}")
        with call.engine.connect() as connection:
            found = alarms.find(connection, ask)
        named = {name: value for name, value in fields_of(ask).items() if isinstance(value, str) and value}
        return Outcome(Alarms(alarms=found), [LeafDraft("audit.alarms", {"count": len(found)}, named)])

    def alarm(self, call: Call) -> Outcome:
        """POST /audit/alarm: one alarm with its evidence and what was done about it."""
        ask: AskAlarm = call.body
        with call.engine.connect() as connection:
            history = find_alarm(connection, ask.alarm)
        return Outcome(history, [LeafDraft("audit.alarm", {"alarm": ask.alarm})])

    def handle(self, call: Call) -> Outcome:
        """POST /audit/alarm/state: acknowledge, close or open again, with a reason; nobody judges an alarm about themselves."""
        ask: HandleAlarm = call.body
        reason = ask.reason.strip()
        if ask.state not in {ACKNOWLEDGED, CLOSED, OPEN}:
            raise Unusable(f"an alarm's state is one of {', '.join(STATES)}")
        if not 1 <= len(reason) <= MOST_TEXT:
            raise Unusable(f"say in 1 to {MOST_TEXT} characters why")
        event = AlarmEvent(at=call.now, by=call.person.id, state=ask.state, reason=reason)
        with call.engine.connect() as connection:
            history = find_alarm(connection, ask.alarm)
        if history.alarm.about == call.person.id:
            raise OwnRequest()

        def record(connection: Connection) -> None:
            if not alarms.handle(connection, ask.alarm, event):
                raise Conflict(f"this alarm is {ask.state} already")

        handled = replace(history.alarm, state=event.state, handled_by=event.by, handled_at=event.at, reason=event.reason)
        answer = AlarmHistory(alarm=handled, events=(*history.events, event))
        facts = {"alarm": ask.alarm, "state": ask.state}
        return Outcome(answer, [LeafDraft("alarm.state", facts, {"reason": reason})], record)

    def reconciliations(self, call: Call) -> Outcome:
        """POST /audit/reconciliations: how each day came out."""
        ask: AskReconciliations = call.body
        today = day_at(call.now, self._office.settings.zone)
        since, until = ask.since or str(today - timedelta(days=DAYS_SHOWN)), ask.until or str(today)
        if not (_DAY.fullmatch(since) and _DAY.fullmatch(until)):
            raise Unusable("a day is written as 2026-01-31")
        with call.engine.connect() as connection:
            days = reconciliations.days(connection, since, until)
        facts = {"since": since, "until": until, "count": len(days)}
        return Outcome(Reconciliations(days=days), [LeafDraft("audit.reconciliations", facts)])

    def reconciliation(self, call: Call) -> Outcome:
        """POST /audit/reconciliation: one day, table by table, with what does not fit."""
        ask: AskReconciliation = call.body
        with call.engine.connect() as connection:
            found = reconciliations.last_run(connection, ask.day)
            if found is None:
                raise NotFound("this day was not reconciled yet; it is done after its end, or with `xinqiao office reconcile`")
            number, run = found
            answer = Reconciliation(
                run=run,
                tables=reconciliations.tables_of(connection, number),
                findings=reconciliations.findings_of(connection, number, MOST_FINDINGS),
            )
        return Outcome(answer, [LeafDraft("audit.reconciliation", {"day": run.day, "state": run.state})])


def find_alarm(connection: Connection, number: int) -> AlarmHistory:
    """An alarm and its history; raises `NotFound`."""
    alarm = alarms.get(connection, number)
    if alarm is None:
        raise NotFound("there is no alarm of this number")
    return AlarmHistory(alarm=alarm, events=alarms.events(connection, number))
