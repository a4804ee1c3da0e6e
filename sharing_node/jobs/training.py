"""Handlers of a joint training, in the order of `models.training`'s diagram. Where one stands: `sharing_node.jobs.running`."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from sqlalchemy import Connection

from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome, Refused
from crypto.errors import ParameterError
from crypto.xof import session_seed
from models.problems import BadMessage, Conflict, Forbidden, InputsRefused, NotFound, TrainingRefused
from models.scorecard import limits as rules
from models.scorecard.group import opening_specs
from models.scorecard.group_node import MemberTraining
from models.scorecard.rounds import ROUNDS, Plan
from models.scorecard.schemes import Scheme, check_scheme
from models.training import (
    FieldPlan,
    JobPlan,
    OpenJob,
    OpenRound,
    ProductAnswer,
    ProductRequest,
    RoundAnswer,
    RoundClosed,
    RoundInputs,
    RoundOpened,
    RoundTranscript,
    session_of,
)
from models.wire import Signed, pack, unpack
from sharing_node.jobs import privacy_ledger
from sharing_node.jobs.columns import node_columns, wanted_fields
from sharing_node.jobs.figures import show
from sharing_node.jobs.running import Opened, Round, Running, Store
from sharing_node.node import Node
from sharing_node.office import OFFICE
from sharing_node.records import repository as records
from sharing_node.state import repository as state
from sharing_node.state.repository import StoredCohort

MOST_BANK_COLUMNS = 64


def subject_set(node: Node, cohort: StoredCohort) -> bytes:
    """The name of a cohort's set of subjects, 32 bytes: equal for equal sets, whatever the project; tells nothing else."""
    return hmac.digest(node.keys.secret("subject-sets"), "\n".join(sorted(cohort.subjects)).encode(), "sha256")


@contextmanager
def refusals() -> Iterator[None]:
    """Turn the scorecard's refusals, and those of sizes that no product serves, into problem documents."""
    try:
        yield
    except rules.OutOfOrder as error:
        raise Conflict(error.reason, advice=error.accepted or None) from None
    except rules.Refused as error:
        raise TrainingRefused(error.reason, advice=error.accepted or None) from None
    except ParameterError as error:
        raise TrainingRefused(str(error)) from None


class Trainings:
    """Handlers about trainings; `store` is where those under way stand."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.store = Store(node)

    def open(self, call: Call) -> Outcome:
        """POST /jobs: check the limits, bin the node's columns by row counts, and plan."""
        body: OpenJob = call.body
        if not 0 <= body.bank_columns <= MOST_BANK_COLUMNS or not 2 <= body.max_bins <= 20:
            raise BadMessage(f"bank_columns is 0 to {MOST_BANK_COLUMNS}, max_bins 2 to 20")
        node, scheme = self._node, self._scheme(body)
        with call.engine.connect() as connection:
            project = state.project(connection, body.project)
            cohort = state.cohort(connection, body.cohort)
            if project.bank != call.institution.id or (cohort.project, cohort.bank) != (project.id, project.bank):
                raise Forbidden("this project or cohort belongs to another bank")
            node.check_project(project, call.now)
            node.check_still_willing(cohort.subjects, project, call.institution)
            asked = aggregates_asked(connection, cohort)
            used = state.trainings_used(connection, project.id)
            fields = wanted_fields(node, project, body.node_fields)
            raw = records.numeric_columns(connection, fields, cohort.subjects, node.marks(), node.today())
        limits = replace(node.limits, levels=min(body.max_bins, node.limits.levels))
        allowed = min(project.trainings, limits.trainings)
        with refusals():
            limits.check_cohort(len(cohort.subjects))
            limits.check_trainings(used)
            check_scheme(scheme, len(cohort.subjects), 1, (body.privacy or project.privacy) is not None)
            try:
                columns, notes = node_columns(fields, raw, limits, asked, body.binning)
            except rules.FieldTooSparse as error:
                said = f"{error.reason}; this was read off the data, so it counts as one of the project's trainings"
                raise Refused(
                    TrainingRefused(said, advice=error.accepted),
                    attach=lambda connection, _: state.count_training(connection, project.id, allowed),
                ) from None
        plan = Plan(columns.rows, columns.bins, body.bank_columns, scheme=scheme)
        with call.engine.connect() as connection:
            plan = replace(plan, privacy=privacy_ledger.planned(connection, project, body.privacy, plan))
        with refusals():
            for round_ in ROUNDS:
                plan.backend.check(plan.shape(round_))
        subjects = subject_set(node, cohort)
        job = secrets.token_hex(16)
        message = JobPlan(
            job=job,
            project=project.id,
            rows=plan.rows,
            cohort_root=cohort.root,
            subjects=subjects,
            fields=tuple(FieldPlan(name=f.name, bins=f.bins.count) for f in columns.fields),
            bands=limits.band_count(plan.node_fields),
            label_aggregates=plan.label_aggregates,
            notes=tuple(notes),
            binning=body.binning,
            privacy=plan.privacy,
            scheme=plan.scheme,
        )
        signed = node.sign(message)
        running = self.store.begin(
            Opened(job, project, cohort, signed, columns, body.bank_columns, limits, secrets.token_bytes(32))
        )
        store = self.store.add(running, call.now)
        spent = None if plan.privacy is None else privacy_ledger.Spent(project.id, job, plan.privacy)

        def record(connection: Connection) -> None:
            state.one_at_a_time(connection)
            if aggregates_asked(connection, cohort) != asked:
                raise Conflict("another training on these subjects was opened at the same time; open this one again")
            state.count_training(connection, project.id, allowed)
            state.add_job(connection, job, cohort, signed, aggregates=plan.label_aggregates, at=call.now)
            if spent is not None:
                spent.record(connection, call.now)
            store(connection)

        facts = {"project": project.id, "job": job, "cohort": cohort.id, "rows": plan.rows, "plan": signed.digest()}
        paid = [] if spent is None else spent.leaves()
        return Outcome(signed, [LeafDraft("job.open", facts), *paid], record)

    def open_round(self, call: Call) -> Outcome:
        """POST /jobs/{job}/rounds/{round}/open: the office's word on the inputs, and both nonces."""
        body: OpenRound = call.body
        running, number = self._find(call)
        inputs = self._node.office.statement(body.inputs, RoundInputs)
        if len(body.nonce) != 32:
            raise BadMessage("the bank's nonce has 32 bytes")
        opened = running.opened
        expected = (opened.job, number, opened.plan.rows, opened.cohort.bank, opened.signed_plan.digest())
        if (inputs.job, inputs.round, inputs.rows, inputs.bank, inputs.plan) != expected:
            raise InputsRefused("the office's word is on another job, round or plan")
        specs = tuple((v.bound, v.scale) for v in inputs.vectors)
        taken = len(opened.plan.vectors(number))
        opening = opened.plan.vectors(number) if opened.group is None else opening_specs(opened.plan, number)
        if specs != tuple((v.bound, v.scale) for v in opening):
            raise InputsRefused("the office's word is on other vectors than this round takes")
        if number != len(running.transcripts) + 1:
            raise Conflict(f"round {len(running.transcripts) + 1} comes now")
        nonce = secrets.token_bytes(32)
        seed = session_seed(session_of(opened.job, number), nonce, body.nonce)
        with refusals():
            running.training.open_round(seed, [v.hmac for v in inputs.vectors[:taken]])
        running.round = Round(body.inputs, body.nonce, nonce)
        facts = {"job": opened.job, "round": number, "inputs": body.inputs.digest()}
        return Outcome(RoundOpened(nonce=nonce), [LeafDraft("round.open", facts)], self.store.step(running, call.now))

    def product(self, call: Call) -> Outcome:
        """POST /jobs/{job}/rounds/{round}/product: (b, p) → (h, c), under fresh masks that are committed to in the leaf."""
        body: ProductRequest = call.body
        running, number = self._find(call)
        plan, job = running.opened.plan, running.opened.job
        shape, backend = plan.shape(number), plan.backend
        b, p = backend.unpack(shape, "b", body.b), backend.unpack(shape, "p", body.p)
        _expect_open(running, number)
        with refusals():
            h, c = running.training.respond(b, p)
            made = running.training.commitments()
        facts: dict[str, str | int | bool] = {"job": job, "round": number}
        facts |= dict(zip(("columns", "u", "f", "masks"), made, strict=True))
        answer, leaf = ProductAnswer(h=pack(h), c=pack(c)), LeafDraft("round.product", facts)
        return Outcome(answer, [leaf], self.store.step(running, call.now))

    def answer(self, call: Call) -> Outcome:
        """POST /jobs/{job}/rounds/{round}/answer: w and the bank's moments; the signed transcript comes back."""
        body: RoundAnswer = call.body
        running, number = self._find(call)
        plan, job = running.opened.plan, running.opened.job
        shape = plan.shape(number)
        # A part of a training of several banks ends its product here; what answers it comes in the sum over them.
        alone = running.opened.group is None
        w = plan.backend.unpack(shape, "w", body.w) if alone else unpack(body.w, "<u8", (0,), "w")
        side = 0 if number == 1 or not alone else plan.bank_columns + 2
        moments = unpack(body.moments, "<i8", (side, side), "moments")
        open_round = _expect_open(running, number)
        with refusals():
            made = running.training.commitments()
            part = running.training
            digests = part.close_product() if isinstance(part, MemberTraining) else part.receive(w, moments)
            transcript = self._node.sign(
                RoundTranscript(
                    job=job,
                    round=number,
                    inputs=open_round.inputs.digest(),
                    nonce_node=open_round.nonce_node,
                    nonce_bank=open_round.nonce_bank,
                    columns=shape.columns,
                    column_scale=shape.column_scale,
                    column_bound=shape.column_bound,
                    rows=shape.rows,
                    product=digests.product,
                    answer=digests.answer,
                    response=digests.response,
                    moments=digests.moments,
                    node_commitments=made,
                )
            )
        running.transcripts, running.round = (*running.transcripts, transcript.digest()), None
        facts = {"job": job, "round": number, "transcript": transcript.digest()}
        answer, leaf = RoundClosed(transcript=transcript), LeafDraft("round.close", facts)
        return Outcome(answer, [leaf], self.store.step(running, call.now))

    def verdict(self, call: Call) -> Outcome:
        """POST /jobs/{job}/verdict: under a good verdict of the office, figures that name no row."""
        body: Signed = call.body
        running, _ = self._find(call)
        job = running.opened.job
        try:
            running.training.accept_verdict(body, OFFICE, self._node.settings.office_public_key(), running.transcripts)
        except rules.OutOfOrder as error:
            raise Conflict(error.reason) from None
        except rules.InputRefused as error:
            raise self._unusable(job, error) from None
        with call.engine.connect() as connection:
            shown = show(connection, running.opened, running.training, call.now)
        step = self.store.step(running, call.now)

        def record(connection: Connection) -> None:
            state.set_job_state(connection, job, "open", "proven")
            shown.record(connection)
            step(connection)

        facts = {"job": job, "verdict": body.digest()}
        return Outcome(shown.figures, [LeafDraft("job.figures", facts)], record, cosigned=True)

    def running(self, call: Call) -> Running:
        """The training that a call is about, of the caller's own bank, after its last step."""
        return self._find(call)[0]

    def finished(self, connection: Connection, job: str) -> None:
        """Delete a training's state: what had to last is stored."""
        self.store.end(connection, job)

    def _scheme(self, body: OpenJob) -> Scheme:
        """What trainings are under here; raises `TrainingRefused` where the bank's program has it not."""
        scheme = self._node.settings.masked_product
        if scheme not in body.schemes:
            raise TrainingRefused(
                f"this data node trains under {scheme}, which the bank's program was installed without",
                advice=f"Install it with the extra `{scheme}`, xinqiao[{scheme}]; nothing was counted.",
            )
        return scheme

    def _unusable(self, job: str, error: rules.InputRefused) -> Exception:
        problem = InputsRefused(error.reason, advice=error.accepted or None)
        if error.rule != "unusable":
            return problem

        def attach(connection: Connection, _queue_id: int) -> None:
            with suppress(Conflict):  # another process was handed the same verdict at the same moment
                state.set_job_state(connection, job, "open", "unusable")
            self.finished(connection, job)

        return Refused(problem, opening={"job": job}, attach=attach)

    def _find(self, call: Call) -> tuple[Running, int]:
        number = call.path.get("round", "0")
        if number not in {"0", "1", "2"}:
            raise NotFound("a training has the rounds 1 and 2")
        with call.engine.connect() as connection:
            running = self.store.load(connection, call.path["job"], call.institution.id)
        self._node.check_project(running.opened.project, call.now)
        return running, int(number)


def _expect_open(running: Running, number: int) -> Round:
    if running.round is None or number != len(running.transcripts) + 1:
        raise Conflict(f"round {number} is not open")
    return running.round


def aggregates_asked(connection: Connection, cohort: StoredCohort) -> int:
    """Label aggregates asked so far over all trainings on any of these subjects."""
    members = set(cohort.subjects)
    touching = [earlier.id for earlier in state.all_cohorts(connection) if not members.isdisjoint(earlier.subjects)]
    return state.aggregates_asked(connection, touching)
