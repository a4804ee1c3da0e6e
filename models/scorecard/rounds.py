"""The two rounds of a joint training, as both roles and the office see them.

::

    bank (labels y, own columns Z)                        node (fields X, row-count bins)
    round 1: the labels against every bin of every field
      commitment to (y, seed 1)  ───────────────────────>
      b, p                       ───────────────────────>
                                 <─────────────────────── h, c      (bad counts, masked)
      w                          ───────────────────────>           bad counts + noise → WOE, IV (kept inside)
    round 2: [labels, Z] against the node's WOE columns
      commitment to (y, Z, seed 2) ─────────────────────>
      b, p                       ───────────────────────>
                                 <─────────────────────── h, c      (cross moments, masked)
      w, own integer moments     ───────────────────────>           all moments + noise → weights (kept inside)
    openings ──> office: checks, replays, compares digests ──> signed verdict
      verdict                    ───────────────────────>
                                 <─────────────────────── figures that name no row; later, on its own budget, bands

Leakage. The node learns noisy bad counts of its bins and noisy moments of its columns with the labels and with the
bank's columns, the bank's own exact moments, and nothing of one row. The bank learns, whatever it sends, nothing before
the office's signed verdict: h is an LWE sample (under Paillier there is none), c is uniform, and the shapes of all
messages follow from row counts alone. After it: IV, VIF, correlations and tables of merged bins, with noise. A failed
check runs the same schedule and answers "unusable". The office sees the opened vectors at positions that mean nothing
to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crypto.masked_product import ProductShape, VectorSpec, digest_bp, digest_hc, digest_w
from models.privacy import PlannedPrivacy

from .inputs import Opening, check_inputs
from .limits import InputRefused, Limits
from .moments import CLIP, SCALE, bank_moments
from .private import check_column_bounds, with_private_labels
from .schemes import Backend, Scheme, Words, backend, check_scheme

COUNTS, MOMENTS = 1, 2
ROUNDS = (COUNTS, MOMENTS)

Integers = NDArray[np.int64]

LABELS = VectorSpec(bound=1, scale=1)
COLUMN = VectorSpec(bound=CLIP, scale=SCALE)


@dataclass(frozen=True)
class Plan:
    """What both sides know before the first message; every shape follows from it.

    Attributes:
        rows: of the cohort.
        bins: bins of each node field, by row counts.
        bank_columns: number of the bank's own columns, K.
        banks: how many banks' products are summed.
        largest_rows: the largest cohort of these banks; 0 for `rows`.
        privacy: differential privacy, where it was asked for.
        scheme: what the products are under.

    Raises:
        LimitRefused: the scheme does not serve such a training.
    """

    rows: int
    bins: tuple[int, ...]
    bank_columns: int
    banks: int = 1
    largest_rows: int = 0
    privacy: PlannedPrivacy | None = None
    scheme: Scheme = "lwe"

    def __post_init__(self) -> None:
        check_scheme(self.scheme, self.rows, self.banks, self.privacy is not None)

    @property
    def backend(self) -> Backend:
        """The scheme's two roles, replay and messages; raises `LimitRefused` where it is not installed."""
        return backend(self.scheme)

    @property
    def node_fields(self) -> int:
        """d_n."""
        return len(self.bins)

    @property
    def own_noise(self) -> int:
        """Standard deviation of the noise on the bank's own bad counts; 0 where its labels are not protected."""
        return self.privacy.own_noise if self.privacy is not None and self.privacy.labels else 0

    @property
    def label_aggregates(self) -> int:
        """Sums of labels over node columns that this training asks: one a bin, and one a WOE column."""
        return sum(self.bins) + self.node_fields

    def vectors(self, round_: int) -> tuple[VectorSpec, ...]:
        """The bank's vectors of a round, labels first."""
        labels = LABELS
        if self.privacy is not None and self.privacy.labels:
            # Their products with the WOE columns follow from the noisy counts of the first round.
            labels = replace(LABELS, noise=self.privacy.answer_noise) if round_ == COUNTS else replace(LABELS, withheld=True)
        return (labels,) if round_ == COUNTS else (labels,) + (COLUMN,) * self.bank_columns

    def shape(self, round_: int) -> ProductShape:
        """The masked product of a round.

        Raises:
            crypto.errors.ParameterError: its noise would be too large for the cohort.
        """
        if round_ == COUNTS:
            columns, scale, bound = sum(self.bins), 1, 1
        else:
            columns, scale, bound = self.node_fields, SCALE, CLIP * SCALE
        return ProductShape(
            rows=self.rows,
            columns=columns,
            column_scale=scale,
            column_bound=bound,
            vectors=self.vectors(round_),
            banks=self.banks,
            largest_rows=self.largest_rows,
        )


@dataclass(frozen=True)
class Digests:
    """Hex SHA-256 of a round's messages: product (b, p), answer (h, c), response (w) and the bank's own moments."""

    product: str
    answer: str
    response: str
    moments: str


def digest_moments(moments: Integers) -> bytes:
    """SHA-256 of the bank's own moments int64[K+2, K+2] (or int64[0, 0])."""
    head = b"xinqiao/scorecard/moments" + str(moments.shape).encode()
    return hashlib.sha256(head + np.ascontiguousarray(moments, dtype="<i8").tobytes()).digest()


def digests_of(request: tuple[Words, Words], answer: tuple[Words, Words], w: Words, moments: Integers) -> Digests:
    """Digests of a round's messages (b, p), (h, c), w and moments as they were sent."""
    parts = (digest_bp(*request), digest_hc(*answer), digest_w(w), digest_moments(moments))
    return Digests(*(part.hex() for part in parts))


def no_moments() -> Integers:
    """What stands for the bank's moments in a round without any: int64[0, 0]."""
    return np.zeros((0, 0), dtype=np.int64)


def moments_of(opening: Opening, round_: int, own_noise: int = 0) -> Integers:
    """The bank's moments of a round: int64[K+2, K+2] in the second, empty in the first.

    Exact integers, but for the labels' row and column where `own_noise` protects the labels.
    """
    if round_ == COUNTS:
        return no_moments()
    columns = [vector.alpha for vector in opening.vectors[1:]]
    stacked = np.stack(columns) if columns else np.zeros((0, opening.labels.size), dtype=np.int64)
    made = bank_moments(opening.labels, stacked)
    return with_private_labels(made, opening.vectors, opening.seed, own_noise) if own_noise else made


@dataclass(frozen=True, eq=False, repr=False)
class RoundRecord:
    """What the office is handed of one round.

    Attributes:
        session_seed: 32 bytes, from both nonces.
        opening: by the bank.
        answer: the node's (h, c) as the bank hands them in.
        seen: digests that the node signed and logged.
    """

    session_seed: bytes
    opening: Opening
    answer: tuple[Words, Words]
    seen: Digests


def replay_round(plan: Plan, round_: int, record: RoundRecord, limits: Limits) -> None:
    """The office's verdict on one round: well-formed inputs, and messages that are computed from just these.

    Args:
        plan: of the job.
        round_: 1 or 2.
        record: of the round.
        limits: of the project.

    Raises:
        InputRefused: naming what is malformed, or which message is not what the opening gives.
    """
    opening, seen = record.opening, record.seen
    if len(opening.vectors) != len(plan.vectors(round_)):
        raise InputRefused("wrong-vectors", f"Round {round_} takes {len(plan.vectors(round_))} vectors, labels first")
    check_inputs(opening, limits, plan.rows, plan.node_fields)
    if plan.privacy is not None and plan.privacy.rows:
        check_column_bounds(opening)
    h, c = record.answer
    if digest_hc(h, c).hex() != seen.answer:
        raise InputRefused("answer-not-the-nodes", f"The answer handed in for round {round_} is not the one the node sent")
    recomputed = plan.backend.replay(plan.shape(round_), record.session_seed, opening.alphas, opening.seed, h, c)
    if recomputed.b_p.hex() != seen.product:
        raise InputRefused(
            "product-not-as-committed",
            f"The encrypted vectors of round {round_} are not the encryption of the committed ones",
        )
    if recomputed.w.hex() != seen.response:
        raise InputRefused(
            "response-not-as-committed",
            f"The response of round {round_} is not what the committed vectors and seed give",
        )
    if digest_moments(moments_of(opening, round_, plan.own_noise)).hex() != seen.moments:
        raise InputRefused(
            "moments-not-as-committed",
            f"The bank's own moments in round {round_} are not those of the committed vectors",
        )


def replay_job(plan: Plan, records: Sequence[RoundRecord], limits: Limits) -> None:
    """All rounds of a job, in order.

    Raises:
        InputRefused: naming what is malformed; also where the labels changed between rounds.
    """
    if len(records) != len(ROUNDS):
        raise InputRefused("round-missing", "Both rounds of the training must be opened")
    for round_, record in zip(ROUNDS, records, strict=True):
        replay_round(plan, round_, record, limits)
    if not np.array_equal(records[0].opening.labels, records[1].opening.labels):
        raise InputRefused("labels-changed", "The labels of the second round are not those of the first")
