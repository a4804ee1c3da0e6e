"""A bank's part in a sum over the banks of a project: one step at a time, verified, resumed after any interruption.

Messages: `models.aggregation`; what the bank refuses: `crypto.secure_aggregation`. What the node shows that cannot be true is
kept as evidence, reported to the office and raised as `Damaged`; nothing of the round is answered any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from bank_client.aggregation_store import AggregationStore, Steps
from bank_client.alignment import Progress, silent
from bank_client.session import Bank
from crypto.errors import AggregationRefused, ReuseRefused
from crypto.secure_aggregation import (
    Participant,
    Round,
    Unmasked,
    advertisers,
    check_history,
    collusion_bound,
    inputs_of,
    survivors_of,
)
from models import wire
from models.aggregation import (
    ENDED,
    Advance,
    AggregationPlan,
    AggregationState,
    FileOpening,
    InputReceived,
    OpenAggregation,
    Part,
    Phase,
    ProvenInput,
    StepTaken,
    SurvivorCall,
    TakeStep,
)
from models.problems import Conflict, Forbidden, InputsRefused, NotApproved, TooFewBanks, Unusable
from models.projects import ProjectApproval, ProjectStatus
from models.wire import Signed

_FIRST_POLL, _LONGEST_POLL = 0.05, 2.0
_BEFORE = {Phase.INPUT: "shares", Phase.PROOF: "input", Phase.LIST: "input", Phase.UNMASK: "list"}


@dataclass(frozen=True)
class Opened:
    """What a bank has to show so that its masked input is recomputed. `opening` and `vector` are secret."""

    plan: Signed
    received: Signed
    keys: bytes
    opening: bytes
    vector: bytes

    def __repr__(self) -> str:
        return "Opened(<secret>)"


Prove = Callable[[Opened], Signed]
"""Shows an opening to the office; gives its signed `ProvenInput`."""


class Aggregation:
    """One bank in one session.

    Args:
        bank: the session of the person who has the bank's seat.
        session: the sum's id.
        terms: what the bank has agreed to; a plan that says anything else is refused.
        vector: uint64[length], this bank's summand.
        question: a digest of what is asked and of this bank's own labels: a sum of the same question over a set of banks that
            differs by c + 1 at most from an earlier one is refused, as is one that with several earlier ones leaves a bank.
        prove: where inputs are proven, how to show them; by default to the office's endpoint of sums.
        input_commitment: 32 bytes that the round is bound to, or none.
    """

    def __init__(
        self,
        bank: Bank,
        session: str,
        terms: OpenAggregation,
        vector: NDArray[np.uint64],
        *,
        question: bytes,
        prove: Prove | None = None,
        input_commitment: bytes = b"",
    ) -> None:
        self._bank, self._session, self._terms = bank, session, terms
        self._vector, self._question, self._commitment = vector, question, input_commitment
        self._prove = prove or self._prove_to_office
        self._store = AggregationStore(bank.config.data_dir)
        self._plan: tuple[Signed, AggregationPlan] | None = None

    def __repr__(self) -> str:
        return f"Aggregation({self._session!r}, {self._bank!r}, <secret>)"

    # ---------------------------------------------------------------- the whole of it

    def run(self, *, progress: Progress = silent, patience: float = 24 * 3600.0) -> tuple[str, ...]:
        """Take every step as it is due; the banks that were summed. Called again after an interruption, it goes on.

        Raises:
            TooFewBanks: the session has failed, or was not over within `patience` seconds.
            Unusable: the set of banks differs by too few from that of an earlier sum of the same question.
            Damaged: the node has shown what cannot be true.
        """
        end, pause = time.monotonic() + patience, _FIRST_POLL
        before = None
        while (state := self.step()).phase not in ENDED:
            place = (state.round, state.phase, state.done)
            pause = _FIRST_POLL if place != before else min(2 * pause, _LONGEST_POLL)
            if place != before:
                progress(f"round {state.round}: {state.phase.value}", len(state.done), len(self._checked(state.plan).seats))
            before = place
            if time.monotonic() > end:
                raise TooFewBanks("the other banks have not come; run it again to go on")
            time.sleep(pause)
        return self.finish(state)

    def step(self) -> AggregationState:
        """Look where the session stands and do what is this bank's to do now; the state it was in before."""
        state = self._bank.node.get(f"/aggregations/{self._session}", AggregationState)
        plan = self._checked(state.plan)
        if state.phase in ENDED:
            return state
        try:
            if self._bank.config.institution not in state.done:
                self._take(state, plan)
            elif time.time() > state.deadline:
                ask = Advance(round=state.round, phase=state.phase)
                self._bank.node.logged(f"/aggregations/{self._session}/advance", ask, StepTaken)
        except Conflict as problem:
            if type(problem) is not Conflict:
                raise  # others were faster: the next look shows where it stands
        return state

    def finish(self, state: AggregationState) -> tuple[str, ...]:
        """Forget the secrets of a session that has ended; the banks that were summed, or `TooFewBanks`."""
        with self._store.step() as steps:
            steps.forget(self._session)
            known = steps.banks_of(self._session)
        if state.phase is Phase.FAILED:
            raise TooFewBanks(state.reason)
        if known is not None and known != state.survivors:
            self._damaged("the node names other banks than were unmasked", state.plan.payload)
        return state.survivors

    # ---------------------------------------------------------------- a step

    def _take(self, state: AggregationState, plan: AggregationPlan) -> None:
        number, phase = state.round, state.phase
        try:
            asked = self._asked(number, phase)
        except Forbidden:
            return  # dropped out of this round
        refused = ""
        with self._store.step() as steps:
            me = steps.load(self._session, number, self._bank.signing_key)
            if me is None:
                if phase is not Phase.KEYS:
                    return  # never was in this round
                me = Participant(plan.round(number), self._bank.config.institution, self._bank.signing_key)
            if _BEFORE.get(phase, "keys") not in me.done | {"keys"}:
                return  # dropped out of this round
            if phase is Phase.LIST:
                self._check_proven(plan, number, wire.decode(asked, SurvivorCall), me)
            body = b""
            try:
                if not self._left_out(me, phase, asked, plan.round(number)):
                    body = self._answer(me, steps, phase, asked, plan.round(number))
            except (AggregationRefused, ReuseRefused) as error:
                refused = str(error)
            steps.save(plan.round(number), me)
        if refused:
            self._damaged(refused, asked)
        if not body:
            return
        if phase is Phase.PROOF:
            proof, said = self._proven(state, plan, me, body)
            self._post(number, phase, wire.encode(proof))
            if not said.usable:
                raise InputsRefused(said.reason)
        else:
            self._post(number, phase, body)

    def _asked(self, number: int, phase: Phase) -> bytes:
        """What the node asks in this step."""
        node, path = self._bank.node, f"/aggregations/{self._session}/rounds/{number}"
        if phase is Phase.LIST:
            return wire.encode(node.get(f"{path}/list", SurvivorCall))
        what = {Phase.SHARES: "keys", Phase.INPUT: "delivery", Phase.UNMASK: "request"}.get(phase)
        return node.get(f"{path}/{what}", Part).body if what else b""

    def _left_out(self, me: Participant, phase: Phase, asked: bytes, terms: Round) -> bool:
        """Whether the round goes on without this bank, which came too late; it gives nothing to it any more."""
        own = self._bank.config.institution
        if phase is Phase.SHARES:
            return own not in advertisers(terms, asked)
        if phase is Phase.LIST and own not in survivors_of(terms, wire.decode(asked, SurvivorCall).survivors):
            me.stand_aside()
            return True
        return False

    def _answer(self, me: Participant, steps: Steps, phase: Phase, asked: bytes, terms: Round) -> bytes:
        """This bank's message, stored with the transaction before it leaves."""
        if phase is Phase.KEYS:
            return me.advertise_keys(self._commitment)
        if phase is Phase.SHARES:
            return me.share_keys(asked)
        if phase is Phase.INPUT:
            return me.mask_input(asked, self._vector)
        if phase is Phase.PROOF:
            return me.opening()
        history = steps.history()
        if phase is Phase.LIST:
            listed = wire.decode(asked, SurvivorCall).survivors
            self._check_banks(survivors_of(terms, listed), history, terms.colluding)
            return me.check_consistency(listed, question=self._question, history=history)
        if "unmask" not in me.done and steps.banks_of(self._session) is not None:
            raise AggregationRefused("another round of this session was unmasked before; at most one ever is")
        banks = me.survivors
        self._check_banks(banks, history, terms.colluding)
        body = me.unmask(asked, question=self._question, history=history)
        steps.remember(self._session, Unmasked(self._question, banks))
        return body

    def _check_banks(self, banks: tuple[str, ...], history: list[Unmasked], colluding: int) -> None:
        try:
            check_history(self._question, banks, history, colluding)
        except AggregationRefused as error:
            raise Unusable(str(error), advice="Wait until the same banks are there as before; nothing was unmasked.") from None

    def _post(self, number: int, phase: Phase, body: bytes) -> StepTaken:
        request = TakeStep(round=number, body=body)
        path = f"/aggregations/{self._session}/{phase.value}"
        return self._bank.node.logged(path, request, StepTaken, key=f"{self._session}-{number}-{phase.value}").answer

    # ---------------------------------------------------------------- proven inputs

    def _proven(
        self, state: AggregationState, plan: AggregationPlan, me: Participant, opening: bytes
    ) -> tuple[Signed, ProvenInput]:
        """The office's word on this bank's input."""
        # The node's word on it is asked for again, since this may be another process than the one that sent the input.
        received = self._post(state.round, Phase.INPUT, me.answer_to("input")).received
        if received is None:
            self._damaged("the node did not sign what it received", b"")
        said = self._bank.from_node(received, InputReceived)
        known = (plan.session, state.round, plan.round(state.round).digest, self._bank.config.institution, me.input_digest)
        if (said.session, said.number, said.round, said.bank, said.masked) != known:
            self._damaged("the node signed another input than it was sent", received.payload)
        opened = Opened(state.plan, received, me.key_list, opening, wire.pack(self._vector))
        signed = self._prove(opened)
        proven = self._bank.from_office(signed, ProvenInput)
        if (proven.session, proven.number, proven.bank, proven.masked) != (said.session, said.number, said.bank, said.masked):
            self._damaged("the office's word is on another input than the one that was shown", signed.payload)
        return signed, proven

    def _prove_to_office(self, opened: Opened) -> Signed:
        request = FileOpening(
            plan=opened.plan, received=opened.received, keys=opened.keys, opening=opened.opening, vector=opened.vector
        )
        return self._bank.office.logged("/aggregations/openings", request, Signed).answer

    def _check_proven(self, plan: AggregationPlan, number: int, call: SurvivorCall, me: Participant) -> None:
        """Nothing is signed before the office's word on every survivor."""
        if not plan.proven:
            return
        listed = inputs_of(plan.round(number), call.survivors)
        proven = {}
        for signed in call.proofs:
            said = self._bank.from_office(signed, ProvenInput)
            if (said.session, said.number, said.usable) == (plan.session, number, True):
                proven[said.bank] = said.masked
        if proven != listed:
            self._damaged("the node names survivors whose inputs the office has not recomputed", wire.encode(call))

    # ---------------------------------------------------------------- the plan

    def _checked(self, signed: Signed) -> AggregationPlan:
        """The node's plan, held against what this bank has agreed to and against the office's approval."""
        if self._plan is not None:
            if self._plan[0] != signed:
                self._damaged("the node changed the terms of a sum", wire.encode(self._plan[0]), wire.encode(signed))
            return self._plan[1]
        plan, terms = self._bank.from_node(signed, AggregationPlan), self._terms
        status = self._bank.office.get(f"/projects/{terms.project}", ProjectStatus)
        if status.approval is None:
            raise NotApproved(f"the project {terms.project} is {status.state} at the credit office")
        approval = self._bank.from_office(status.approval, ProjectApproval)
        said = (plan.session, plan.project, plan.purpose, plan.about, plan.length, plan.proven, plan.form)
        agreed = (self._session, terms.project, terms.purpose, terms.about, terms.length, terms.proven, terms.form)
        if said != agreed or (plan.approval, plan.seats) != (status.approval.digest(), approval.seats):
            self._damaged("the node's plan is not the sum that was agreed on", wire.encode(signed))
        if plan.colluding != collusion_bound(len(plan.seats)):
            self._damaged("the node's plan protects against fewer conspirators than it could", wire.encode(signed))
        people = {person.id: person for person in self._bank.directory.people}
        for seat in plan.seats:
            person = people.get(seat.person)
            if person is None or person.suspended or person.key != seat.key:
                raise Forbidden(
                    f"who acts for {seat.bank} is suspended, or has another key now",
                    advice="File the project anew, with somebody who may act for this bank.",
                )
        self._plan = signed, plan
        return plan

    def _damaged(self, detail: str, *artefacts: bytes) -> NoReturn:
        self._bank.damaged("aggregation", detail, artefacts=artefacts)
