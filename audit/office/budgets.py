"""Budgets of questions: of an officer and a bank by the day, of a table by the epoch, of a project and of a batch for ever.

::

    question                               counts to
    an officer's own                       officer, bank, epoch, project
    an officer's in an approved batch      batch (each subject a few times), bank, epoch, project
    a modeller's in bulk                   bank, epoch, project

A question that is granted is counted in the transaction that stores its ticket, so that requests which meet cannot both
take the last one. One beyond a budget is refused; the refusal says which budget, what is left of it and when it renews.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from audit.office.settings import OfficeSettings
from audit.office.store import alarms, counts, projects
from audit.service.outcome import Call
from models.parties import Role
from models.problems import OverBudget
from models.tickets import TicketContext

PROJECT = "project"


@dataclass(frozen=True)
class Budget:
    """One budget: of whom (`scope` and `name`), when (`period`), how much (`limit`), and what to say of it."""

    scope: str
    name: str
    period: int
    limit: int
    what: str
    renews: str

    @property
    def key(self) -> counts.Key:
        """Where it is counted."""
        return self.scope, self.name, self.period


def local(settings: OfficeSettings, now: int) -> datetime:
    """The office's local time."""
    return datetime.fromtimestamp(now, settings.zone)


class Purse:
    """The budgets of one request: `take` for each question that passed, `spend` for those whose tickets are stored."""

    def __init__(self, settings: OfficeSettings, connection: Connection, call: Call, *, in_batch: bool) -> None:
        self._settings = settings
        self._connection = connection
        self._call = call
        self._single = call.person.role is Role.LOAN_OFFICER and not in_batch
        self._budgets: dict[tuple[str, str, int], tuple[Budget, ...]] = {}
        self._left: dict[Budget, int] = {}
        self._taken: Counter[Budget] = Counter()
        self._refused: dict[Budget, OverBudget] = {}

    def take(self, context: TicketContext, checks: int, checks_left: int) -> None:
        """Count one question; `checks` and `checks_left` are the project's. Raises `OverBudget`."""
        place = _place(context)
        if place not in self._budgets:
            self._open(context, checks, checks_left)
        budgets = self._budgets[place]
        for budget in budgets:
            if (left := self._left[budget] - self._taken[budget]) < 1:
                raise self.refuse(budget, left)
        self._taken.update(budgets)

    def spend(self, connection: Connection, contexts: Iterable[TicketContext]) -> None:
        """Count the questions whose tickets this transaction stores; raises `OverBudget` where a budget is used up.

        It may be called again, where the first transaction came to nothing.
        """
        if self._single:
            self._refused.clear()
        counted = Counter(budget for context in contexts for budget in self._budgets[_place(context)])
        # Rows are locked in one order, so that two requests never wait for each other.
        taken = dict(sorted(counted.items(), key=lambda item: item[0].key))
        for budget, number in taken.items():
            if budget.scope == PROJECT and not projects.spend_checks(connection, budget.name, number):
                stored = projects.get_project(connection, budget.name)
                raise self.refuse(budget, 0 if stored is None else stored.checks_left)
        values = counts.add(connection, {b.key: number for b, number in taken.items() if b.scope != PROJECT})
        for budget, number in taken.items():
            if budget.scope != PROJECT and values[budget.key] > budget.limit:
                raise self.refuse(budget, budget.limit - values[budget.key] + number)

    def refuse(self, budget: Budget, left: int) -> OverBudget:
        """The refusal of a question beyond a budget, to be raised; `alarm` will tell the office."""
        self._refused[budget] = OverBudget(f"{budget.what} has {max(0, left)} of {budget.limit} left; {budget.renews}")
        return self._refused[budget]

    def alarm(self, connection: Connection) -> None:
        """One alarm for each budget that refused, person and day; it counts the requests."""
        call, day = self._call, local(self._settings, self._call.now).date().toordinal()
        for budget, problem in self._refused.items():
            alarms.raise_or_count(
                connection,
                same=("budget", budget.scope, budget.name, day, call.person.id),
                at=call.now,
                kind="budget",
                institution=call.institution.id,
                about=call.person.id,
                detail=f"questions were refused: {problem.detail}",
            )

    def _open(self, context: TicketContext, checks: int, checks_left: int) -> None:
        kept = (*self._of_the_day(), self._of_the_epoch(context))
        unread = [budget for budget in kept if budget not in self._left]
        # A single question learns it when it is counted; many are told apart before, into those that fit and the others.
        values = {} if self._single else counts.read(self._connection, [budget.key for budget in unread])
        self._left |= {budget: budget.limit - values.get(budget.key, 0) for budget in unread}
        what, renews = "this project's budget of checks", "it does not renew: file another project for more"
        project = Budget(PROJECT, context.project, 0, checks, what, renews)
        self._left.setdefault(project, checks_left)
        self._budgets[_place(context)] = (project, *kept)

    def _of_the_day(self) -> tuple[Budget, ...]:
        settings, call = self._settings, self._call
        moment = local(settings, call.now)
        day, morrow = moment.date().toordinal(), moment.date() + timedelta(days=1)
        renews = f"it renews on {morrow:%Y-%m-%d} at 00:00 ({settings.time_zone})"
        bank = Budget("bank", call.institution.id, day, settings.bank_checks, "this bank's budget of questions a day", renews)
        if not self._single:
            return (bank,)
        what = "this officer's budget of questions a day"
        return bank, Budget("officer", call.person.id, day, settings.officer_checks, what, renews)

    def _of_the_epoch(self, context: TicketContext) -> Budget:
        what, renews = "the budget of questions about this epoch of the table", "it renews with the table's next epoch"
        return Budget("epoch", context.table, context.epoch, self._settings.epoch_checks, what, renews)


def _place(context: TicketContext) -> tuple[str, str, int]:
    return context.project, context.table, context.epoch
