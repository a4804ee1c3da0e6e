"""The node's role in a joint training: answers two rounds, learns inside, and shows nothing before the verdict.

A training may go on elsewhere between any two steps: `snapshot` gives what has changed since the job was opened, and a
`NodeTraining` made of the same fixed parts takes it with `restore`. Two things keep that safe. A step's messages leave only
when its snapshot is stored, so a step that was lost with its process is simply taken anew. And masks are a function of the
job's seed, the session and the request, so that even a snapshot from the past, put back, meets another request with other
masks, and never answers a request that it holds an answer to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from numpy.typing import NDArray

from crypto.masked_product import Dense, OneHot, digest_bp, digest_hc, digest_w
from crypto.xof import derive_key
from models.training import Verdict
from models.wire import Signed, open_signed, pack

from .inputs import check_same_labels
from .learner import Figures, Learner, NodeColumns
from .limits import InputRefused, Limits, OutOfOrder
from .noise import NodeNoise
from .private_learner import learner_of
from .rounds import COUNTS, MOMENTS, ROUNDS, Digests, Plan, digest_moments
from .schemes import NodeSide, Words
from .snapshot import OtherVersion, PendingState, RoundState, TrainingState, array

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


class Step(Enum):
    """What a training expects next."""

    OPEN = "open_round"
    RESPOND = "respond"
    RECEIVE = "receive"
    VERDICT = "accept_verdict"
    PROVEN = "figures"
    UNUSABLE = "nothing: the training is unusable"


@dataclass(frozen=True)
class NodeSecrets:
    """The node's noise key (32 bytes, lasting) and this job's secret seed (32 fresh bytes)."""

    noise_key: bytes
    job_seed: bytes

    def __repr__(self) -> str:
        return "NodeSecrets(<secret>)"


class NodeTraining:
    """One training at the node. Steps: for each of two rounds `open_round`, `respond`, `receive`; then `accept_verdict`.

    Args:
        job: the job's name, as in the verdict.
        plan: agreed with the bank.
        columns: of the cohort, in its order.
        cohort_root: names the cohort.
        secrets: of the node.
        limits: of the project.
    """

    def __init__(
        self,
        job: str,
        plan: Plan,
        columns: NodeColumns,
        *,
        cohort_root: bytes,
        secrets: NodeSecrets,
        limits: Limits,
    ) -> None:
        if (plan.rows, plan.bins) != (columns.rows, columns.bins):
            raise ValueError("the plan does not describe these columns")
        limits.check_cohort(plan.rows)
        self.plan = plan
        self._job = job
        self._columns = columns
        self._secrets = secrets
        noise = NodeNoise(secrets.noise_key, cohort_root, limits)
        self._learner = learner_of(plan, columns, noise, limits, secrets.job_seed)
        self._round = COUNTS
        self._step = Step.OPEN
        self._product: NodeSide | None = None
        self._session_seed = b""
        self._macs: tuple[bytes, ...] = ()
        self._label_macs: list[bytes] = []
        self._sent = ("", "")  # hex digests of (b, p) and (h, c)
        self._pending: tuple[Floats, Integers] | None = None
        self._digests: dict[int, Digests] = {}

    def __repr__(self) -> str:
        return f"NodeTraining(job={self._job!r}, round={self._round}, next={self._step.value!r})"

    def open_round(self, session_seed: bytes, macs: Sequence[bytes]) -> None:
        """Begin the next round.

        Args:
            session_seed: 32 bytes from both nonces.
            macs: the office's HMAC of each of the round's vectors, labels first, as it signed them.

        Raises:
            InputRefused: not one for each vector, or other labels than in the first round.
        """
        self._expect(Step.OPEN)
        if len(macs) != len(self.plan.vectors(self._round)) or any(len(mac) != 32 for mac in macs):
            raise InputRefused("wrong-vectors", f"Round {self._round} needs the office's word on each of its vectors")
        check_same_labels([*self._label_macs, macs[0]])
        self._product = self._product_of(session_seed)
        self._session_seed = session_seed
        self._label_macs.append(macs[0])
        self._macs, self._sent = tuple(macs), ("", "")
        self._step = Step.RESPOND

    def respond(self, b: Words, p: Words) -> tuple[Words, Words]:
        """(b, p) → (h, c), of the sizes that the scheme gives them."""
        self._expect(Step.RESPOND)
        h, c = self._current.respond(b, p)
        self._sent = (digest_bp(b, p).hex(), digest_hc(h, c).hex())
        self._step = Step.RECEIVE
        return h, c

    def receive(self, w: Words, moments: Integers) -> Digests:
        """w and the bank's own moments (int64[K+2, K+2]; empty in round 1); the digests that the office will compare."""
        self._expect(Step.RECEIVE)
        size = 0 if self._round == COUNTS else self.plan.bank_columns + 2
        if moments.shape != (size, size):
            raise InputRefused("moments-wrong-shape", f"Round {self._round} takes {size} × {size} moments")
        decoded = self._current.recover(w)
        if self._round == COUNTS:
            self._learner.learn_woe(decoded[:, 0], self._macs[0])
        else:
            self._pending = (decoded, moments)  # solved after the verdict, so that no fault in them can show before
        self._digests[self._round] = Digests(*self._sent, digest_w(w).hex(), digest_moments(moments).hex())
        self._step = Step.VERDICT if self._round == ROUNDS[-1] else Step.OPEN
        self._round += 1
        self._product = None
        return self._digests[self._round - 1]

    def digests(self, round_: int) -> Digests:
        """Digests of a finished round."""
        return self._digests[round_]

    def accept_verdict(self, signed: Signed, office: str, office_key: Ed25519PublicKey, transcripts: Sequence[str]) -> None:
        """Take the office's signed verdict; only a good one opens `figures` and `learned`.

        Args:
            signed: the verdict.
            office: its name.
            office_key: its enrolled key.
            transcripts: digests of the transcripts that the node signed, in round order.

        Raises:
            models.problems.BadSignature, models.problems.BadMessage: not the office's verdict.
            InputRefused: a verdict on another job or other transcripts, or the verdict says "unusable".
        """
        self._expect(Step.VERDICT)
        verdict = open_signed(signed, Verdict, office, office_key)
        if verdict.job != self._job or verdict.transcripts != tuple(transcripts):
            raise InputRefused("verdict-on-other-transcript", "The verdict is not on this training's transcripts")
        self._step = Step.PROVEN if verdict.usable else Step.UNUSABLE
        if not verdict.usable:
            raise InputRefused(
                "unusable",
                "The office's replay found this training unusable; it is charged to the budget and nothing was released",
                "The office's answer to the bank names the malformed input.",
            )
        assert self._pending is not None
        decoded, moments = self._pending
        self._learner.learn_weights(decoded, self._macs, moments)
        self._pending = None

    def figures(self) -> Figures:
        """Figures that name no row."""
        self._expect(Step.PROVEN)
        return self._learner.figures()

    def learned(self) -> Learner:
        """What was learned, for `release`; it stays inside the node."""
        self._expect(Step.PROVEN)
        return self._learner

    def commitments(self) -> tuple[str, ...]:
        """Hex commitments to the columns and the masks of this round, for the log before (h, c) leaves; after `respond`."""
        made = self._current.commitments()
        return tuple(part.hex() for part in (made.columns, made.u, made.f, made.masks))

    def snapshot(self) -> bytes:
        """What changed since the job was opened, for the node's own store: as secret as the columns. See the module."""
        opened = None
        if self._product is not None:
            opened = RoundState(
                session_seed=self._session_seed,
                macs=self._macs,
                answered=self._product.snapshot() if self._step is Step.RECEIVE else None,
                product=self._sent[0],
                answer=self._sent[1],
            )
        pending = None
        if self._pending is not None:
            decoded, moments = self._pending
            pending = PendingState(macs=self._macs, decoded=pack(decoded), moments=pack(moments))
        return TrainingState(
            form=1,
            job=self._job,
            step=self._step.name,
            round=self._round,
            label_macs=tuple(self._label_macs),
            open=opened,
            finished=tuple(self._digests.values()),
            pending=pending,
            learned=self._learner.snapshot(),
        ).to_bytes()

    def restore(self, data: bytes) -> None:
        """Go on from a snapshot of this same training, in a `NodeTraining` that has not begun.

        Raises:
            snapshot.OtherVersion: the bytes are of another job, or of another version of this service.
        """
        state = TrainingState.from_bytes(data)
        if state.job != self._job or self._step is not Step.OPEN or self._label_macs:
            raise OtherVersion("this state is of another training")
        self._step, self._round = Step[state.step], state.round
        self._label_macs = list(state.label_macs)
        self._digests = dict(zip(ROUNDS, state.finished, strict=False))
        self._learner.restore(state.learned)
        if state.open is not None:
            self._session_seed, self._macs = state.open.session_seed, state.open.macs
            self._product, self._sent = self._product_of(self._session_seed), (state.open.product, state.open.answer)
            if state.open.answered is not None:
                self._product.restore(state.open.answered)
        if state.pending is not None:
            shape, side = self.plan.shape(MOMENTS), self.plan.bank_columns + 2
            self._macs = state.pending.macs
            self._pending = (
                array(state.pending.decoded, "<f8", (shape.columns, len(shape.vectors))),
                array(state.pending.moments, "<i8", (side, side)),
            )

    def _product_of(self, session_seed: bytes) -> NodeSide:
        counts = self._round == COUNTS
        columns = OneHot(self._columns.codes, self._columns.bins) if counts else Dense(self._learner.woe_columns())
        seed = derive_key(self._secrets.job_seed, b"xinqiao/scorecard/node-round/" + bytes([self._round]))
        return self.plan.backend.node(self.plan.shape(self._round), session_seed, columns, seed, self._order_seed())

    def _order_seed(self) -> bytes | None:
        """What the order of the columns comes from where the answers of several banks are added."""
        return None

    @property
    def _current(self) -> NodeSide:
        if self._product is None:
            raise OutOfOrder("no round is open", "Open a round first.")
        return self._product

    def _expect(self, step: Step) -> None:
        if self._step is not step:
            raise OutOfOrder(f"{step.value} does not come now", f"The next step is {self._step.value}.")
