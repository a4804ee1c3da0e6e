"""Handlers of trainings of several banks: joining, planning, learning from each sum, figures.

Messages: `models.group_training`. Each bank's part is a training of its own (`running`), whose products it plays as alone; the
sums over banks are sessions of `sharing_node.aggregation`. What is here takes a training from one phase to the next, at any
bank's request and in one transaction: that the others have come, or the sum has, is read from the database.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from sqlalchemy import Connection

from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome, Within
from models import wire
from models.aggregation import LONGEST_STEP, SHORTEST_STEP, AggregationPlan, AggregationPurpose, OpenAggregation
from models.group_training import AdvanceGroup, ColumnCounts, CommonCounts, GroupPhase, GroupState, JoinGroup, about_round
from models.problems import BadMessage, Conflict, Forbidden, InputsRefused, NotFound, TooFewBanks
from models.projects import Project, ProjectApproval, ProjectKind
from models.scorecard import limits as rules
from models.scorecard.binning import bins_from_definition
from models.scorecard.group_columns import check_definitions, common_columns
from models.scorecard.group_node import MemberTraining, learn_counts, learn_moments
from models.scorecard.rounds import COUNTS, MOMENTS
from models.scorecard.schemes import check_scheme
from models.training import FieldFigure, Figures, GroupTerms, JobPlan
from models.wire import Signed, pack
from sharing_node.aggregation import repository as aggregations
from sharing_node.aggregation.sessions import Sessions, Sum
from sharing_node.jobs import group_store as store
from sharing_node.jobs.figures import YEAR, tables_left_out
from sharing_node.jobs.group_plan import Part, plan_group
from sharing_node.jobs.group_store import StoredGroup
from sharing_node.jobs.running import Running
from sharing_node.jobs.training import MOST_BANK_COLUMNS, Trainings, refusals
from sharing_node.node import Node
from sharing_node.state import counts
from sharing_node.state import repository as state

_ROUND = {GroupPhase.COUNTS: COUNTS, GroupPhase.MOMENTS: MOMENTS}
_PURPOSE = {COUNTS: AggregationPurpose.COUNTS, MOMENTS: AggregationPurpose.MOMENTS}


class Groups:
    """Handlers about trainings of several banks."""

    def __init__(self, node: Node, trainings: Trainings) -> None:
        self._node = node
        self._trainings = trainings
        self._sessions = Sessions(node)

    # ---------------------------------------------------------------- joining

    def join(self, call: Call) -> Outcome | Within:
        """POST /groups: a bank is there with its cohort; the first one says what all must agree on."""
        body: JoinGroup = call.body
        self._check_terms(body)
        with call.engine.connect() as connection:
            project = self._project(connection, body.project, call)
            cohort = state.cohort(connection, body.cohort)
            if (cohort.project, cohort.bank) != (project.id, call.institution.id):
                raise Forbidden("this cohort is another project's or another bank's")
            self._node.check_still_willing(cohort.subjects, project, call.institution)
        with refusals():
            self._node.limits.check_cohort(len(cohort.subjects))
            check_scheme(self._node.settings.masked_product, len(cohort.subjects), banks=2, private=False)

        def within(connection: Connection) -> Outcome:
            state.one_at_a_time(connection)
            known = store.named(connection, project.id, body.name)
            group = known or secrets.token_hex(16)
            if known is None:
                store.add(connection, group, body, call.now + body.step_seconds)
            found = store.find(connection, group)
            if found.agreed != body.agreed():
                raise Conflict(
                    "another bank began this training with other columns, bins or times",
                    advice="All banks join with the same terms: agree on one file of common columns, or take another name.",
                )
            if call.institution.id not in found.cohorts:
                if found.phase is not GroupPhase.JOINING:
                    raise Conflict("this training has begun without this bank; join the next one under another name")
                store.join(connection, group, call.institution.id, cohort.id)
            facts = {"project": project.id, "group": group, "cohort": cohort.id, "agreed": body.agreed()}
            return Outcome(self._state(connection, group, call), [LeafDraft("group.join", facts)])

        return within

    def state(self, call: Call) -> GroupState:
        """GET /groups/{group}: where it stands, for the banks of its project."""
        with call.engine.connect() as connection:
            found = store.find(connection, call.path["group"])
            self._project(connection, found.terms.project, call)
            return self._state(connection, found.id, call)

    # ---------------------------------------------------------------- from phase to phase

    def advance(self, call: Call) -> Outcome | Within:
        """POST /groups/{group}/advance: go on once the others have come or their time is over, or once the sum is there."""
        body: AdvanceGroup = call.body
        with call.engine.connect() as connection:
            found = store.find(connection, call.path["group"])
            project = self._project(connection, found.terms.project, call)
            signed, approval = aggregations.approval(connection, project.id)
        if found.phase is not body.phase:
            raise Conflict(f"this training is in another phase: {found.phase}")
        if found.phase is GroupPhase.JOINING:
            make = self._plan(call, found, project, signed, approval)
        elif found.phase in _ROUND:
            make = self._learn(call, found, signed, approval, _ROUND[found.phase])
        else:
            raise Conflict("this training is over")

        def within(connection: Connection) -> Outcome:
            leaves = make(connection)
            return Outcome(self._state(connection, found.id, call), leaves)

        return within

    def _plan(
        self, call: Call, found: StoredGroup, project: Project, signed: Signed, approval: ProjectApproval
    ) -> Callable[[Connection], list[LeafDraft]]:
        seats = tuple(seat.bank for seat in approval.seats)
        if set(found.cohorts) < set(seats) and call.now < found.deadline:
            raise Conflict(f"{len(seats) - len(found.cohorts)} banks have not joined yet, and their time is not over")
        try:
            planned = plan_group(self._node, call.engine, found, project, seats)
        except rules.Refused as refused:
            text, told = str(refused), isinstance(refused, rules.FieldTooSparse)

            def end(connection: Connection) -> list[LeafDraft]:
                if told:  # of the data, so it counts as a training
                    state.count_training(connection, project.id, min(project.trainings, self._node.limits.trainings))
                return self._end(connection, found, text)

            return end

        def make(connection: Connection) -> list[LeafDraft]:
            state.one_at_a_time(connection)
            planned.check_unchanged(connection)
            state.count_training(connection, project.id, min(project.trainings, planned.limits.trainings))
            for part in planned.parts:
                self._open(connection, found, part, call.now)
            first = planned.parts[0]
            assert first.opened.group is not None
            words = first.opened.group.plan.part(first.opened.cohort.bank).words(COUNTS)
            ask = self._sum_of(found, first.terms, COUNTS, words)
            session, leaf = self._begin(connection, signed, approval, ask, call.now)
            store.move(connection, found, phase=GroupPhase.COUNTS, session=session, deadline=call.now)
            facts = {"group": found.id, "banks": len(planned.parts), "rows": planned.rows}
            plans = {"plans": [part.opened.signed_plan.digest() for part in planned.parts]}
            return [LeafDraft("group.plan", facts, plans), leaf]

        return make

    def _open(self, connection: Connection, found: StoredGroup, part: Part, now: int) -> None:
        opened = part.opened
        state.add_job(
            connection, opened.job, opened.cohort, opened.signed_plan, aggregates=opened.plan.label_aggregates, at=now
        )
        self._trainings.store.add(self._trainings.store.begin(opened), now)(connection)
        store.give_job(connection, found.id, opened.cohort.bank, opened.job)

    def _sum_of(self, found: StoredGroup, terms: GroupTerms, round_: int, words: int) -> OpenAggregation:
        return OpenAggregation(
            project=found.terms.project,
            purpose=_PURPOSE[round_],
            about=about_round(terms, round_),
            length=words,
            proven=True,
            step_seconds=found.terms.step_seconds,
        )

    def _begin(
        self, connection: Connection, signed: Signed, approval: ProjectApproval, ask: OpenAggregation, now: int
    ) -> tuple[str, LeafDraft]:
        plan, leaf = self._sessions.begin(connection, signed, approval, ask, now)
        return wire.decode(plan.payload, AggregationPlan).session, leaf

    def _learn(
        self, call: Call, found: StoredGroup, signed: Signed, approval: ProjectApproval, round_: int
    ) -> Callable[[Connection], list[LeafDraft]]:
        with call.engine.connect() as connection:
            try:
                total = self._sessions.total(connection, found.session)
            except TooFewBanks as problem:
                reason = problem.detail
                return lambda connection: self._end(connection, found, reason)
            try:
                parts = {bank: self._trainings.store.load(connection, found.jobs[bank], bank) for bank in total.survivors}
            except (NotFound, InputsRefused, Conflict) as problem:
                gone = f"a bank's part of this training is not under way any more: {problem.detail}"
                return lambda connection: self._end(connection, found, gone)
        try:
            learn = self._counts if round_ == COUNTS else self._moments
            changes = learn(found, parts, total)
        except rules.Refused as refused:
            text = str(refused)
            return lambda connection: self._end(connection, found, text)
        bank, part = next(iter(parts.items()))
        assert isinstance(part.training, MemberTraining)
        ask = self._sum_of(found, _terms(part), MOMENTS, part.training.group.part(bank).words(MOMENTS))

        def make(connection: Connection) -> list[LeafDraft]:
            steps = [self._trainings.store.step(each, call.now) for each in parts.values()]
            for step in steps:
                step(connection)
            facts: dict[str, str | int | bool] = {"group": found.id, "round": round_, "banks": len(parts)}
            leaves = []
            if round_ == COUNTS:
                self._drop(connection, found, set(found.jobs) - set(parts))
                session, leaf = self._begin(connection, signed, approval, ask, call.now)
                changes["session"], leaves = session, [leaf]
            else:
                question = found.id.encode() if _tables_allowed(connection, found.id, parts, call.now) else counts.NOT_SHOWN
                for each in parts.values():
                    state.set_job_state(connection, each.opened.job, "open", "proven")
                    counts.add(connection, each.opened.job, each.training.learned().counted(), question, call.now)
            store.move(connection, found, **changes)
            return [LeafDraft("group.learn", facts, {"banks": list(parts)}), *leaves]

        return make

    def _counts(self, found: StoredGroup, parts: dict[str, Running], total: Sum) -> dict[str, object]:
        """Round 1: the node's WOE levels, and the signed counts of the common columns."""
        members, limits = _members(parts), next(iter(parts.values())).opened.limits
        made = learn_counts(members, total.words, self._node.keys.secret("noise"), limits, found.terms.columns)
        definitions = [bins_from_definition(each) for each in found.terms.columns]
        columns = common_columns(definitions, made.counts, limits)
        for member in members.values():
            member.settle(made.learned, len(members))
        word = CommonCounts(
            group=found.id,
            columns=tuple(
                ColumnCounts(groups=tuple(c.groups.tolist()), rows=tuple(c.rows.tolist()), bads=tuple(c.bads.tolist()))
                for c in columns
            ),
        )
        counted = wire.encode(self._node.sign(word))
        return {"phase": GroupPhase.MOMENTS, "counts": counted, "banks": "\n".join(sorted(parts))}

    def _moments(self, found: StoredGroup, parts: dict[str, Running], total: Sum) -> dict[str, object]:
        """Round 2: all weights, which stay inside, and the figures."""
        members, limits = _members(parts), next(iter(parts.values())).opened.limits
        so_far = next(iter(members.values())).learned_so_far()
        noise = self._node.keys.secret("noise")
        learned, figures = learn_moments(members, total.words, noise, limits, so_far, found.banks)
        for member in members.values():
            member.settle(learned, len(members), figures)
        return {"phase": GroupPhase.PROVEN, "session": ""}

    # ---------------------------------------------------------------- figures

    def figures(self, call: Call) -> Outcome:
        """POST /jobs/{job}/figures: figures over all surviving banks that name no row."""
        running = self._trainings.running(call)
        if not isinstance(running.training, MemberTraining):
            raise Conflict("this training is of one bank; hand over the office's verdict")
        with refusals():
            found = running.training.figures()
        with call.engine.connect() as connection:
            shown = counts.is_shown(connection, running.opened.job)
        answer = Figures(
            job=running.opened.job,
            usable=True,
            rows=found.rows,
            fields=tuple(
                FieldFigure(name=f.name, iv=f.iv, bins=f.bins, vif=f.vif, table=f.table if shown else ()) for f in found.fields
            ),
            columns=tuple(f.name for f in running.opened.columns.fields),
            correlation=pack(found.correlation),
            notes=() if shown else (tables_left_out(running.opened.limits.field_tables),),
        )
        return Outcome(answer, [LeafDraft("group.figures", {"job": running.opened.job})], cosigned=True)

    # ---------------------------------------------------------------- inside

    def _end(self, connection: Connection, found: StoredGroup, reason: str) -> list[LeafDraft]:
        """Nothing comes out of this training any more."""
        self._drop(connection, found, set(found.jobs))
        store.move(connection, found, phase=GroupPhase.ENDED, reason=reason[:400], session="")
        return [LeafDraft("group.end", {"group": found.id, "reason": reason})]

    def _drop(self, connection: Connection, found: StoredGroup, banks: set[str]) -> None:
        for bank in sorted(banks):
            with suppress(Conflict):  # a bank may have given its part up before
                state.set_job_state(connection, found.jobs[bank], "open", "ended")
            self._trainings.finished(connection, found.jobs[bank])

    def _state(self, connection: Connection, group: str, call: Call) -> GroupState:
        found = store.find(connection, group)
        job = found.jobs.get(call.institution.id)
        plan = None if job is None else self._trainings.store.plan(connection, job)
        return GroupState(
            group=found.id,
            phase=found.phase,
            joined=tuple(found.cohorts),
            deadline=found.deadline,
            plan=plan,
            session=found.session,
            columns=found.counts,
            banks=found.banks,
            reason=found.reason,
        )

    def _project(self, connection: Connection, project_id: str, call: Call) -> Project:
        project = state.project(connection, project_id)
        if call.institution.id not in project.members:
            raise Forbidden("this project belongs to other banks")
        if project.kind is not ProjectKind.JOINT_SCORECARD or not project.banks:
            raise Conflict("this is no project of several banks that train one scorecard")
        self._node.check_project(project, call.now)
        return project

    def _check_terms(self, body: JoinGroup) -> None:
        if len(body.columns) > MOST_BANK_COLUMNS or not 2 <= body.max_bins <= 20:
            raise BadMessage(f"a training has 0 to {MOST_BANK_COLUMNS} common bank columns, and max_bins is 2 to 20")
        if not 1 <= len(body.name) <= 64 or not SHORTEST_STEP <= body.step_seconds <= LONGEST_STEP:
            raise BadMessage(f"a name has 1 to 64 characters, a step {SHORTEST_STEP} to {LONGEST_STEP} seconds")
        try:
            definitions = [bins_from_definition(each) for each in body.columns]
        except (KeyError, TypeError, ValueError):
            raise BadMessage("a common column is not defined as bins of a field") from None
        with refusals():
            check_definitions(definitions, replace(self._node.limits, levels=min(body.max_bins, self._node.limits.levels)))


def _tables_allowed(connection: Connection, group: str, parts: Mapping[str, Running], now: int) -> bool:
    """Whether nobody in any of the cohorts stands in the tables of too many other questions; see `figures`."""
    return all(
        counts.most_questions(connection, each.opened.cohort.subjects, group.encode(), now - YEAR)
        < each.opened.limits.field_tables
        for each in parts.values()
    )


def _members(parts: dict[str, Running]) -> dict[str, MemberTraining]:
    return {bank: part.training for bank, part in parts.items() if isinstance(part.training, MemberTraining)}


def _terms(part: Running) -> GroupTerms:
    terms = wire.decode(part.opened.signed_plan.payload, JobPlan).group
    assert terms is not None
    return terms
