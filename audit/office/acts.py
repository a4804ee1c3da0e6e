"""Second pairs of eyes: what one clerk files and another one decides.

A handler is guarded by the kind of its act. Where the office's rule names that kind and there are two clerks, a call by one
alone is refused and told to be filed; the filed act is decided by another clerk, and is then that clerk's call. With a
single clerk there is nobody to ask, so that an office can begin; as soon as a second one was ever enrolled the rule holds,
also while that one is suspended (or a clerk could be rid of the other first).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from audit.office.office import Office
from audit.office.store import approvals, parties
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Handler, Outcome, Within
from models import wire
from models.approvals import DECLINED, DONE, LAPSED, WAITING, Act, ActKind, Acts, FileAct
from models.parties import Role
from models.problems import BadMessage, Conflict, NotFound, OwnRequest, SecondClerk, Unusable
from models.projects import Decision

LONGEST_REASON = 1000
DAYS = 14
"""After which what was filed can only be declined, and must be filed anew."""
DAY = 24 * 3600

NAMES_SUBJECTS = frozenset({ActKind.SUBJECT_ERASE, ActKind.REPAIR_FILE})
"""Acts whose documents name people: forgotten once they are decided, or can only be declined."""


@dataclass(frozen=True)
class _Guarded:
    takes: type[wire.Message]
    handler: Handler
    needs: Callable[[Call], bool]
    path: Callable[[Any], dict[str, str]]


class SecondClerks:
    """The rule, the guarded handlers, and the handlers about acts."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._guarded: dict[ActKind, _Guarded] = {}

    def guard(
        self,
        action: ActKind,
        takes: type[wire.Message],
        handler: Handler,
        *,
        needs: Callable[[Call], bool] = lambda _call: True,
        path: Callable[[Any], dict[str, str]] = lambda _body: {},
    ) -> Handler:
        """The handler for calls of one clerk alone: refused where the rule holds and `needs` says that it is about this call.

        `takes` is the endpoint's message; `path` makes the address's parts from it.
        """
        self._guarded[action] = _Guarded(takes, handler, needs, path)

        def alone(call: Call) -> Outcome | Within:
            if self.holds(action) and needs(call):
                raise SecondClerk(f"the office's rule gives {action} a second pair of eyes")
            return handler(call)

        return alone

    def holds(self, action: ActKind) -> bool:
        """Whether the rule names this act, and there is somebody to ask."""
        if action not in self._office.settings.second_clerk_acts:
            return False
        with self._office.engine.connect() as connection:
            return len(parties.people(connection, Role.CLERK)) > 1

    # ---------------------------------------------------------------- endpoints

    def file(self, call: Call) -> Outcome:
        """POST /acts: a clerk files an act; answers with the `Act` that waits. What could not be done is not filed."""
        asked: FileAct = call.body
        _check_reason(asked.reason)
        guarded, inner = self._inner(asked.action, asked.document, call)
        if not (self.holds(asked.action) and guarded.needs(inner)):
            raise Unusable("this needs no second clerk; do it directly")
        guarded.handler(inner)  # refuses what it would refuse later; what it gives is thrown away
        filed = Act(
            id=secrets.token_hex(12),
            action=asked.action,
            document=asked.document,
            reason=asked.reason,
            filed_by=call.person.id,
            filed_at=call.now,
            state=WAITING,
        )
        leaf = LeafDraft("act.file", {"act": filed.id, "kind": str(asked.action)}, {"reason": asked.reason})
        return Outcome(filed, [leaf], lambda connection: approvals.add_act(connection, filed))

    def decide(self, call: Call) -> Outcome | Within:
        """POST /acts/{id}/decision: another clerk declines, or has it done; answers with the `Act`."""
        decision: Decision = call.body
        with call.engine.connect() as connection:
            filed = approvals.get_act(connection, call.path["id"])
            filer = None if filed is None else parties.get_person(connection, filed.filed_by)
        if filed is None or filer is None:
            raise NotFound("there is no such act")
        if decision.subject != filed.id:
            raise BadMessage("the decision is about something else than the address names")
        _check_reason(decision.reason)
        if filed.state == LAPSED:
            raise Conflict(f"this waited for more than {DAYS} days, and what it was about is forgotten; file it anew")
        if filed.state != WAITING:
            raise Conflict("this act has been decided already")
        if filed.filed_by == call.person.id and decision.approve:
            raise OwnRequest()
        if not decision.approve:
            return self._decided(filed, call, decision, DECLINED)
        if filer.suspended:
            raise Conflict("the clerk who filed this is suspended; decline it, and have it filed anew")
        if call.now > filed.filed_at + DAYS * DAY:
            raise Conflict(f"this was filed more than {DAYS} days ago; decline it, and have it filed anew")
        guarded, inner = self._inner(filed.action, filed.document, call)
        given = guarded.handler(inner)
        done = self._decided(filed, call, decision, DONE)
        if isinstance(given, Outcome):
            return _joined(given, done)
        return lambda connection: _joined(given(connection), done)

    def opened(self, call: Call) -> Outcome:
        """GET /acts/{id}: one `Act` with its document, which may name a person."""
        with call.engine.connect() as connection:
            filed = approvals.get_act(connection, call.path["id"])
        if filed is None:
            raise NotFound("there is no such act")
        return Outcome(filed, [LeafDraft("act.open", {"act": filed.id, "kind": str(filed.action)})])

    def listed(self, call: Call) -> Acts:
        """GET /acts: the latest acts, decided or not, without what they are about."""
        with call.engine.connect() as connection:
            return Acts(acts=approvals.acts(connection), rules=tuple(sorted(kind for kind in ActKind if self.holds(kind))))

    def _inner(self, action: ActKind, document: bytes, call: Call) -> tuple[_Guarded, Call]:
        guarded = self._guarded.get(action)
        if guarded is None:
            raise Unusable(f"{action} is not done at this office")
        body = wire.decode(document, guarded.takes)
        return guarded, replace(call, body=body, path=guarded.path(body), query={})

    def _decided(self, filed: Act, call: Call, decision: Decision, state: str) -> Outcome:
        by, at, why = call.person.id, call.now, decision.reason
        forget = filed.action in NAMES_SUBJECTS

        def record(connection: Connection) -> None:
            if not approvals.decide_act(connection, filed.id, state, by, at, why, forget=forget):
                raise Conflict("this act has been decided already")

        facts = {"act": filed.id, "kind": str(filed.action), "state": state}
        opening = {"reason": why, "filed_by": filed.filed_by, "filed_for": filed.reason}
        document = b"" if forget else filed.document
        answer = wire.replace(filed, state=state, decided_by=by, decided_at=at, decision=why, document=document)
        return Outcome(answer, [LeafDraft("act.decide", facts, opening)], record)


def lapse(connection: Connection, before: int) -> int:
    """Forget what acts that name people were about, where they still wait and were filed before; how many."""
    return approvals.lapse_acts(connection, NAMES_SUBJECTS, before)


def _joined(given: Outcome, done: Outcome) -> Outcome:
    """One transaction for the act and for the decision on it; the act's leaves come first."""

    def record(connection: Connection) -> None:
        for each in (done.record, given.record):
            if each is not None:
                each(connection)

    def attach(connection: Connection, queued: Sequence[int]) -> None:
        if given.attach is not None:
            given.attach(connection, queued[: len(given.leaves)])

    return Outcome(done.answer, [*given.leaves, *done.leaves], record, given.cosigned, attach)


def _check_reason(reason: str) -> None:
    if not reason.strip() or len(reason) > LONGEST_REASON:
        raise Unusable(f"a reason is given, in at most {LONGEST_REASON} characters")
