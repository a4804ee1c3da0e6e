"""A joint training on the wire: plan, rounds of the masked product, the office's replay, figures, release.

::

    bank                                    office                          node
    ── open job (cohort) ───────────────────────────────────────────────> limits; bins by row counts; plan
    per round:
      ── opening (labels, columns, seed) ─> well-formed? HMACs
      <─ Signed(RoundInputs) ────────────
      ── nonce_bank, Signed(RoundInputs) ───────────────────────────────> leaf; nonce_node
      ── b, p ──────────────────────────────────────────────────────────> leaf; h, c
      ── w, own moments ────────────────────────────────────────────────> leaf; Signed(RoundTranscript)
    ── openings, h, c, transcripts ─────> replays, compares with the log
    <─ Signed(Verdict) ──────────────────
    ── Signed(Verdict) ─────────────────────────────────────────────────> figures that name no row
    ── release ─────────────────────────────────────────────────────────> bands of the cohort's rows

Leakage: see `models.scorecard.card`; the statement is attached to every job and signed by both sides.
"""

from __future__ import annotations

from models.privacy import PlannedPrivacy, PrivacyWish
from models.scorecard.options import FieldBinning
from models.scorecard.schemes import Scheme
from models.scorecard.tables import BinFigure
from models.wire import Message, Signed


def session_of(job: str, round_: int) -> bytes:
    """The name of a round's session, which goes into the seed of its public matrices."""
    return f"{job}/{round_}".encode()


class OpenJob(Message):
    """Start a training on a cohort; `bank_columns` is the number of the bank's own columns (0 to 64).

    `node_fields` are those of the project's fields that are wanted, empty for all; `binning` says how they are binned.
    `schemes` are those that the bank's program has: a node that trains under another refuses before anything counts.
    """

    project: str
    cohort: str
    bank_columns: int
    max_bins: int = 20
    node_fields: tuple[str, ...] = ()
    binning: tuple[FieldBinning, ...] = ()
    privacy: PrivacyWish | None = None
    schemes: tuple[Scheme, ...] = ("lwe",)


class FieldPlan(Message):
    """One node field and its number of row-count bins (never their edges)."""

    name: str
    bins: int


class GroupTerms(Message):
    """That a training is one bank's part of a training of several.

    `banks` are those that joined, ascending; `columns` the definitions of the common bank columns; `largest_rows` the rows of
    the largest cohort, which scales go by.
    """

    group: str
    banks: tuple[str, ...]
    columns: tuple[bytes, ...]
    largest_rows: int


class JobPlan(Message):
    """What the node will answer: the bins of each field, bands, and what was reduced and why.

    `subjects` names the set of the cohort's subjects by a keyed digest that is the same in every project: noise and limits
    hold for people, not for projects. `scheme` is what the products are under.
    """

    job: str
    project: str
    rows: int
    cohort_root: bytes
    subjects: bytes
    fields: tuple[FieldPlan, ...]
    bands: int
    label_aggregates: int
    notes: tuple[str, ...] = ()
    binning: tuple[FieldBinning, ...] = ()
    group: GroupTerms | None = None
    privacy: PlannedPrivacy | None = None
    scheme: Scheme = "lwe"


class Column(Message):
    """One vector of an opening: `codes` one byte a row, `levels` the integer value of each code, bound a_v, scale t_v."""

    codes: bytes
    levels: tuple[int, ...]
    bound: int
    scale: int


class Opening(Message):
    """All that a round's messages are computed from: the vectors (labels first) and the 32-byte seed."""

    job: str
    round: int
    rows: int
    columns: tuple[Column, ...]
    seed: bytes


class FileInputs(Message):
    """The bank shows the office a round's inputs before its first message; the office keeps only HMACs.

    `columns` is the node's word on the columns common to several banks, in the second round of their training.
    """

    plan: Signed
    opening: Opening
    columns: Signed | None = None


class VectorInfo(Message):
    """Bound and scale of one vector, its commitment, and the office's HMAC of the exact values."""

    bound: int
    scale: int
    commitment: bytes
    hmac: bytes


class RoundInputs(Message):
    """The office's signed word that well-formed inputs stand behind these commitments."""

    job: str
    round: int
    rows: int
    bank: str
    plan: str
    vectors: tuple[VectorInfo, ...]


class OpenRound(Message):
    """Begin a round: the bank's nonce (32 bytes) and the office's word on its inputs."""

    inputs: Signed
    nonce: bytes


class RoundOpened(Message):
    """The node's nonce (32 bytes); session seed = SHA-256(session ‖ nonce_node ‖ nonce_bank)."""

    nonce: bytes


class ProductRequest(Message):
    """b and p; the sizes of all messages of a product follow from the plan (`models.scorecard.schemes`)."""

    b: bytes
    p: bytes


class ProductAnswer(Message):
    """h and c, columns in an order that only the node knows."""

    h: bytes
    c: bytes


class RoundAnswer(Message):
    """w and the bank's own exact integer moments (int64, empty in a round without)."""

    w: bytes
    moments: bytes


class RoundTranscript(Message):
    """What a round consisted of, as digests (hex SHA-256); signed by the node and in its log."""

    job: str
    round: int
    inputs: str
    nonce_node: bytes
    nonce_bank: bytes
    columns: int
    column_scale: int
    column_bound: int
    rows: int
    product: str
    answer: str
    response: str
    moments: str
    node_commitments: tuple[str, ...]


class RoundClosed(Message):
    """The node's signed transcript and the index of the leaf that holds its digest."""

    transcript: Signed


class Receipt(Message):
    """A leaf's entry and a tlog-proof text for it that verifies offline."""

    index: int
    entry: bytes
    proof: str


class ReplayRound(Message):
    """Everything the office needs to recompute one round."""

    opening: Opening
    h: bytes
    c: bytes
    transcript: Signed
    receipt: Receipt


class Replay(Message):
    """Ask for the verdict on a job."""

    plan: Signed
    rounds: tuple[ReplayRound, ...]


class Verdict(Message):
    """The office's signed word on a job: `transcripts` are the digests it compared, in round order."""

    job: str
    bank: str
    transcripts: tuple[str, ...]
    usable: bool
    reason: str


class FieldFigure(Message):
    """A field's strength in this cohort, with the node's noise in it.

    `table` holds its merged bins; `psi` is its stability index against the training that `Figures.compared_with` names.
    """

    name: str
    iv: float
    bins: int
    vif: float
    table: tuple[BinFigure, ...] = ()
    psi: float | None = None


class Figures(Message):
    """What `fit` ends with; names no row.

    `correlation` is float64[d, d] over the node's fields, which `columns` names, and then the bank's own, whose names the node
    does not know. `compared_with` is the project's last training before this one that had other rows, or empty.
    """

    job: str
    usable: bool
    rows: int
    fields: tuple[FieldFigure, ...] = ()
    columns: tuple[str, ...] = ()
    correlation: bytes = b""
    compared_with: str = ""
    notes: tuple[str, ...] = ()


class Released(Message):
    """Bands of the cohort's rows (uint8[N], row order), their means, the R² figures of the limit, and the node's card part."""

    job: str
    model: str
    bands: bytes
    means: tuple[float, ...]
    card: Signed
