"""Statistics across banks at the node: which tables may be summed, and what of a sum comes out. See `models.statistics`."""

from __future__ import annotations

from sqlalchemy import Connection

from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome, Within
from models.aggregation import AggregationPurpose, OpenAggregation
from models.problems import BadMessage, Forbidden, NotFound, OverBudget, Unusable
from models.projects import Project, ProjectKind
from models.statistics import Noise, StatisticsTable, decode_table, release
from sharing_node.aggregation import repository
from sharing_node.aggregation.sessions import Sessions
from sharing_node.node import Node


def check_table(connection: Connection, body: OpenAggregation, project: Project) -> None:
    """Refuse a table that does not fit its project, or that shows once more what a table of it shows or is to show."""
    if project.kind is not ProjectKind.STATISTICS:
        raise Forbidden("tables are summed in a project of statistics", advice="File a project of that kind with the office.")
    table = decode_table(body.form)
    if (table.project, table.length) != (project.id, body.length):
        raise BadMessage("the table is of another project, or has another length than the sum")
    earlier = [decode_table(plan.form) for plan in repository.plans(connection, project.id)]
    if len(earlier) >= project.releases:
        raise OverBudget(f"all {project.releases} tables of this project are used; file a new project with the office")
    shown = {(old.period, name) for old in earlier for name in _names(old)}
    if again := sorted(name for name in _names(table) if (table.period, name) in shown):
        raise Unusable(
            f"{', '.join(again)} of this period stands in another table of this project; two tables of the same people can be "
            "subtracted from each other",
            advice="Put everything about a period into one table, or wait until the other sum has failed.",
        )


class Statistics:
    """The handlers of tables. `noise` names and adds noise to what is released; None adds none."""

    def __init__(self, node: Node, sessions: Sessions, noise: tuple[str, Noise] | None = None) -> None:
        self._node, self._sessions, self._noise = node, sessions, noise

    def open(self, call: Call) -> Outcome | Within:
        """POST /aggregations: a modeller of a project's bank begins the sum of a table; trainings begin theirs themselves."""
        body: OpenAggregation = call.body
        if body.purpose is not AggregationPurpose.STATISTICS:
            raise Forbidden("the sums of a training are begun by the training")

        def within(connection: Connection) -> Outcome:
            signed, approval = repository.approval(connection, body.project)
            if call.person.id not in {seat.person for seat in approval.seats}:
                raise Forbidden("only who acts for one of the project's banks may do this")
            self._node.check_project(approval.project, call.now)
            repository.one_at_a_time(connection, body.project)
            check_table(connection, body, approval.project)
            plan, leaf = self._sessions.begin(connection, signed, approval, body, call.now)
            return Outcome(plan, [leaf])

        return within

    def release(self, call: Call) -> Outcome:
        """POST /aggregations/{session}/release: what may be shown of a table, once its sum is there."""
        session = call.path["session"]
        with call.engine.connect() as connection:
            total = self._sessions.total(connection, session, call.person.id)
            _, approval = repository.approval(connection, total.plan.project)
        if total.plan.purpose is not AggregationPurpose.STATISTICS:
            raise NotFound("there is no such table")
        self._node.check_project(approval.project, call.now)
        made = release(session, decode_table(total.plan.form), total.survivors, total.words, self._noise)
        signed = self._node.sign(made)
        facts = {"session": session, "table": total.plan.about, "banks": len(made.banks), "hidden": made.hidden}
        leaf = LeafDraft("statistics.release", facts | {"noise": made.noise, "release": signed.digest()})
        return Outcome(signed, [leaf], cosigned=True)


def _names(table: StatisticsTable) -> tuple[str, ...]:
    return ("borrowers", *(measure.name for measure in table.measures))
