"""One joint training over the wire: `models.scorecard.BankTraining` driven against node and office.

The message diagram is in `models.training`. Nothing that the bank sends can be taken back, so everything it receives is
compared with what it knows before the next message leaves: the plan with the cohort, the office's word with the own
commitments, the node's signed transcript with the own digests.

How it goes on where a service does not answer, or after this process was killed: `bank_client.exchange`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bank_client.alignment import AlignedCohort, Progress, silent
from bank_client.exchange import Exchange, Resumable
from bank_client.session import Bank
from crypto.errors import InvalidCiphertext
from crypto.xof import session_seed
from models import wire
from models.http_client import Reply
from models.privacy import PrivacyWish, grants
from models.problems import InputsRefused, PeerUnavailable, TrainingRefused, Unavailable
from models.scorecard import limits as rules
from models.scorecard.bank import BankColumn, BankRounds, BankTraining
from models.scorecard.inputs import Opening as BankOpening
from models.scorecard.limits import Limits
from models.scorecard.options import FieldBinning
from models.scorecard.rounds import ROUNDS, Plan, digests_of
from models.scorecard.schemes import SCHEMES, Words, installed
from models.training import (
    Column,
    Figures,
    FileInputs,
    JobPlan,
    Opening,
    OpenJob,
    OpenRound,
    ProductAnswer,
    ProductRequest,
    Receipt,
    Replay,
    ReplayRound,
    RoundAnswer,
    RoundClosed,
    RoundInputs,
    RoundOpened,
    RoundTranscript,
    Verdict,
    session_of,
)
from models.wire import Signed

M = TypeVar("M", bound=wire.Message)
_STEPS = 2 * len(ROUNDS) + 3


@dataclass(frozen=True)
class Trained:
    """A proven training: the node's plan and figures that name no row; `columns` where several banks have them in common."""

    plan: JobPlan
    figures: Figures = field(repr=False)
    columns: tuple[BankColumn, ...] = ()


@dataclass(frozen=True)
class _Played:
    """A round as it went, for the replay."""

    opening: Opening = field(repr=False)
    answer: ProductAnswer = field(repr=False)
    closed: Reply[RoundClosed] = field(repr=False)


@dataclass(frozen=True, repr=False)
class _Product:
    """What a round was opened with and what the node made of it: (b, p) out, h and c back."""

    opening: Opening
    known: tuple[str, int, bytes, bytes, str]
    sent: tuple[Words, Words]
    answer: ProductAnswer
    h: Words
    c: Words

    def is_of(self, said: RoundTranscript) -> bool:
        """Whether the node's transcript is of this round."""
        return self.known == (said.job, said.round, said.nonce_node, said.nonce_bank, said.inputs)


class JointTraining(Resumable[Trained]):
    """One training. `run` it; where a service did not answer, `run` goes on.

    Args:
        bank: the modeller's session.
        cohort: aligned for the project.
        labels: uint8[N], 0 or 1, in the cohort's order.
        columns: the bank's own, in the same order.
        max_bins: of a column on either side.
        node_fields: those of the project's fields that are wanted; empty for all.
        node_binning: how the node's fields are binned.
        privacy: the differential privacy to ask for, in a project that has a budget for it.
    """

    def __init__(
        self,
        bank: Bank,
        cohort: AlignedCohort,
        labels: NDArray[np.uint8],
        columns: Sequence[BankColumn],
        *,
        max_bins: int = 20,
        node_fields: Sequence[str] = (),
        node_binning: Sequence[FieldBinning] = (),
        privacy: PrivacyWish | None = None,
        progress: Progress = silent,
    ) -> None:
        super().__init__()
        self._bank = bank
        self._cohort = cohort
        self._labels = labels
        self._columns = columns
        self._limits = replace(Limits(), levels=max_bins)
        self._node_fields, self._node_binning, self._privacy = tuple(node_fields), tuple(node_binning), privacy
        self.progress = progress
        self._done = 0

    def run(self) -> Trained:
        """Open a job, play both rounds, have the office replay them, and get the figures.

        Raises:
            TrainingRefused: a limit does not allow it.
            InputsRefused: the office found the inputs malformed; it names which.
            PeerUnavailable: node or office went away; calling `run` again goes on at the request that got no answer.
            Damaged: what was received does not match what was signed.
        """
        try:
            return self.go_on()
        except Unavailable as problem:
            raise PeerUnavailable(
                f"the training stopped: {problem.detail}",
                advice="Nothing was released. Call resume when the service is back, or fit with the same rows, from another "
                "process too: it goes on where it stopped. To give the training up, call cancel.",
            ) from None
        except rules.OutOfOrder:
            raise
        except rules.Refused as refused:
            raise TrainingRefused(refused.reason, advice=refused.accepted or None) from None

    def _seeds(self) -> list[bytes]:
        """Of the vectors of each round."""
        return [self._derived(f"seed of round {round_}") for round_ in ROUNDS]

    def _inputs(self) -> bytes:
        """Digest of what the training is on: another cohort, label, bin or option is another training."""
        state = hashlib.sha256()
        options = (self._limits.levels, self._node_fields, self._node_binning, self._privacy, len(self._columns))
        parts = [self._cohort.project.encode(), self._cohort.id.encode(), self._cohort.root, repr(options).encode()]
        parts.append(self._labels.tobytes())
        for column in self._columns:
            parts += [column.bins.definition(), column.codes.tobytes(), column.levels.tobytes()]
        for part in parts:
            state.update(len(part).to_bytes(8, "big") + part)
        return state.digest()

    def _run(self) -> Exchange[Trained]:
        self._done = 0
        signed_plan, plan = yield from self._open()
        bins = tuple(entry.bins for entry in plan.fields)
        shape = Plan(plan.rows, bins, len(self._columns), privacy=plan.privacy, scheme=plan.scheme)
        training = BankTraining(shape, self._labels, self._columns, self._limits, self._seeds())
        played = []
        for round_ in ROUNDS:
            played.append((yield from self._play(signed_plan, plan, training, round_)))
        rounds = []
        for one in played:
            receipt: Receipt = yield partial(self._bank.receipt, self._bank.node, one.closed.leaves[0])
            rounds.append(
                ReplayRound(
                    opening=one.opening,
                    h=one.answer.h,
                    c=one.answer.c,
                    transcript=one.closed.answer.transcript,
                    receipt=receipt,
                )
            )
        self._step("receipts")
        replay = Replay(plan=signed_plan, rounds=tuple(rounds))
        signed = (yield from self._ask(self._bank.office, "/replays", replay, Signed)).answer
        self._step("replay at the office")
        verdict = self._bank.from_office(signed, Verdict)
        expected = (plan.job, self._bank.config.institution, tuple(one.transcript.digest() for one in rounds))
        if (verdict.job, verdict.bank, verdict.transcripts) != expected:
            self._damaged("verdict", "the office's verdict is on another training", signed)
        try:
            # A bad verdict is handed over as well: the node closes the job, and answers what it answers to any bad one.
            figures = (yield from self._ask(self._bank.node, f"/jobs/{plan.job}/verdict", signed, Figures)).answer
        except InputsRefused:
            if verdict.usable:
                raise
            raise InputsRefused(verdict.reason) from None
        self._step("figures")
        return Trained(plan, figures)

    def _open(self) -> Exchange[tuple[Signed, JobPlan]]:
        request = OpenJob(
            project=self._cohort.project,
            cohort=self._cohort.id,
            bank_columns=len(self._columns),
            max_bins=self._limits.levels,
            node_fields=self._node_fields,
            binning=self._node_binning,
            privacy=self._privacy,
            schemes=tuple(scheme for scheme in SCHEMES if installed(scheme)),
        )
        self._keep("project", self._cohort.project.encode())
        self._keep("open", wire.encode(request))  # so that it can be given up, whether or not it is answered
        signed = (yield from self._ask(self._bank.node, "/jobs", request, Signed)).answer
        plan = self._bank.from_node(signed, JobPlan)
        if (plan.project, plan.rows, plan.cohort_root) != (self._cohort.project, self._cohort.rows, self._cohort.root):
            self._damaged("plan", "the node planned another cohort than the one that was agreed", signed)
        asked, planned = set(self._node_fields), {entry.name for entry in plan.fields}
        if plan.binning != self._node_binning or (asked and asked != planned):
            self._damaged("plan", "the node planned other fields or another binning than was asked for", signed)
        if not grants(plan.privacy, self._privacy):
            self._damaged("plan", "the node planned another privacy than was asked for", signed)
        return signed, plan

    def _play(self, signed_plan: Signed, plan: JobPlan, training: BankTraining, round_: int) -> Exchange[_Played]:
        # (1) to (3)
        product = yield from self._product(signed_plan, plan, training, round_)
        self._step(f"round {round_}: product")
        # (4) w and the own moments → the node's signed transcript
        try:
            w, moments = training.answer(product.h, product.c)
        except InvalidCiphertext as error:  # under Paillier not all words are ciphertexts
            detail = f"the node's product does not open: {error}"
            self._bank.damaged("product", detail, artefacts=(wire.encode(product.answer),))
        response = RoundAnswer(w=wire.pack(w), moments=wire.pack(moments))
        closed = yield from self._ask(self._bank.node, f"/jobs/{plan.job}/rounds/{round_}/answer", response, RoundClosed)
        transcript = self._bank.from_node(closed.answer.transcript, RoundTranscript)
        own = digests_of(product.sent, (product.h, product.c), w, moments)
        said = (transcript.product, transcript.answer, transcript.response, transcript.moments)
        if said != (own.product, own.answer, own.response, own.moments) or not product.is_of(transcript):
            self._damaged("transcript", "the node signed another round than the one that was played", closed.answer.transcript)
        self._step(f"round {round_}: answer")
        return _Played(product.opening, product.answer, closed)

    def _product(
        self,
        signed_plan: Signed,
        plan: JobPlan,
        training: BankRounds,
        round_: int,
        columns: Signed | None = None,
    ) -> Exchange[_Product]:
        """A round up to the node's product."""
        node, path = self._bank.node, f"/jobs/{plan.job}/rounds/{round_}"
        opening = wire_opening(plan.job, round_, plan.rows, training.opening(round_))
        # (1) the office's word on the inputs, before the node's nonce is known
        commitments = training.opening(round_).commitments()
        inputs = yield from self._file_inputs(signed_plan, plan, opening, commitments, columns)
        # (2) both nonces
        nonce = self._derived(f"nonce of round {round_}")
        opened = (yield from self._ask(node, f"{path}/open", OpenRound(inputs=inputs, nonce=nonce), RoundOpened)).answer
        training.open_round(session_seed(session_of(plan.job, round_), opened.nonce, nonce))
        # (3) b, p → h, c
        b, p = training.encrypt()
        product = ProductRequest(b=wire.pack(b), p=wire.pack(p))
        answer = (yield from self._ask(node, f"{path}/product", product, ProductAnswer)).answer
        shape, backend = training.shape(round_), training.backend
        h, c = backend.unpack(shape, "h", answer.h), backend.unpack(shape, "c", answer.c)
        known = (plan.job, round_, opened.nonce, nonce, inputs.digest())
        return _Product(opening, known, (b, p), answer, h, c)

    def _file_inputs(
        self,
        signed_plan: Signed,
        plan: JobPlan,
        opening: Opening,
        commitments: Sequence[bytes],
        columns: Signed | None = None,
    ) -> Exchange[Signed]:
        request = FileInputs(plan=signed_plan, opening=opening, columns=columns)
        signed = (yield from self._ask(self._bank.office, "/replays/inputs", request, Signed)).answer
        inputs = self._bank.from_office(signed, RoundInputs)
        said = (inputs.job, inputs.round, inputs.rows, inputs.plan, tuple(entry.commitment for entry in inputs.vectors))
        if said != (plan.job, opening.round, plan.rows, signed_plan.digest(), tuple(commitments)):
            self._damaged("inputs", "the office signed other inputs than the ones it was shown", signed)
        return signed

    def _damaged(self, what: str, detail: str, signed: Signed) -> None:
        self._bank.damaged(what, detail, artefacts=(wire.encode(signed),))

    def _step(self, what: str) -> None:
        self._done += 1
        self.progress(what, self._done, _STEPS)


def wire_opening(job: str, round_: int, rows: int, opening: BankOpening) -> Opening:
    """A round's opening as the office is sent it."""
    columns = tuple(
        Column(
            codes=vector.codes.tobytes(),
            levels=tuple(int(level) for level in vector.levels),
            bound=vector.bound,
            scale=vector.scale,
        )
        for vector in opening.vectors
    )
    return Opening(job=job, round=round_, rows=rows, columns=columns, seed=opening.seed)
