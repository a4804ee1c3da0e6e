"""Epoch tables on the wire: manifest, the office's seal on it, and column queries (SimplePIR)."""

from __future__ import annotations

from models.private_model import PrivateOpening
from models.wire import Message, Signed

SCORE_FIELD_SET = "score"
PRIVATE_KIND = "private"
"""The kind of a table whose cells open the padded scores of a bank's private model (`models.private_model`)."""
_SCORES = "score-"
REVIEW_SECONDS = 365 * 24 * 3600
"""The longest that a model serves between two reviews."""


def score_table(model: str) -> str:
    """The id of a model's score table."""
    return _SCORES + model


def model_of(table: str) -> str:
    """The model whose scores a table of this id holds; empty for other tables."""
    return table.removeprefix(_SCORES) if table.startswith(_SCORES) else ""


def tag_context(table: str, epoch: int) -> bytes:
    """What the tags and cell keys of one epoch of one table are derived under, on both sides."""
    return f"table/{table}/{epoch}".encode()


def column_entry(index: int, column_cells: bytes) -> bytes:
    """The RFC 6962 entry of a column: its index (8 bytes, so that columns cannot be swapped) and its cells."""
    return index.to_bytes(8) + column_cells


def path_length(index: int, columns: int) -> int:
    """How many hashes the Merkle path of a column has (RFC 6962 §2.1.1)."""
    length = 0
    while columns > 1:
        left = 1 << (columns - 1).bit_length() - 1
        index, columns = (index, left) if index < left else (index - left, columns - left)
        length += 1
    return length


def path_depth(columns: int) -> int:
    """The longest path in a tree of this many columns; shorter ones are padded with zeros to it."""
    return (columns - 1).bit_length()


class Manifest(Message):
    """All public facts of one epoch of one table, signed by the node and logged.

    The matrix D is uint8[rows, columns]; column i holds `cells_per_column` cells of `cell_size` bytes, then its RFC 6962
    path under `root`. `boundaries` are the first 8 bytes of each column's first tag, big-endian, so that a tag picks one
    column. `seed` (32 bytes) makes the public matrix A of the epoch; digests are SHA-256 over C-ordered bytes. The table
    holds whose collection consent stood on the office's list of `listed_at`; later ones count from the next epoch. A private
    model's table has `scores_digest`, of the padded scores that the cells open.
    """

    table: str
    kind: str
    fields: tuple[str, ...]
    field_sets: tuple[str, ...]
    project: str
    model: str
    epoch: int
    opened_at: int
    expires_at: int
    parameters: str
    seed: bytes
    rows: int
    columns: int
    cells_per_column: int
    padded_size: int
    boundaries: bytes
    public_key: bytes
    root: bytes
    matrix_digest: bytes
    hint_digest: bytes
    listed_at: int = 0
    scores_digest: bytes = b""


class Seal(Message):
    """The office's signed word that it checked this manifest's matrix and hint, and knows no second one."""

    table: str
    epoch: int
    manifest: str


class SubmitManifest(Message):
    """The node asks the office to check and seal a manifest; the office fetches matrix and hint itself."""

    manifest: Signed


class SealedManifest(Message):
    """What a client fetches: the node's manifest and the office's seal."""

    manifest: Signed
    seal: Signed


class QueryColumns(Message):
    """`count` queries of uint32[columns], little-endian, concatenated, for one epoch."""

    epoch: int
    count: int
    queries: bytes


class ColumnAnswers(Message):
    """`count` answers of uint32[rows], little-endian, concatenated."""

    answers: bytes


class BuildTable(Message):
    """A node operator asks for a new epoch of a table."""

    table: str


class BuildState(Message):
    """How far a build is: ``queued``, ``running``, ``open`` (its epoch is served) or ``failed`` (`detail` says why).

    `stage` names what is being done, `done` of `total` steps of it. While a build waits for somebody, `detail` says for whom.
    """

    table: str
    epoch: int
    state: str
    stage: str
    done: int
    total: int
    detail: str


class ScoreRecord(Message):
    """What a cell of a score table holds (JSON): the band, and up to four themes as reason codes."""

    band: int
    reasons: tuple[str, ...] = ()


class RegisterModel(Message):
    """Bank and node have both signed this model's card; the office decides on it.

    `node_card` is the node's part, signed at release; `countersigned` the whole card under the node's signature. `private`
    opens a private model's weights, and is not kept with the cards.
    """

    bank_card: Signed
    node_card: Signed
    countersigned: Signed | None = None
    private: PrivateOpening | None = None


class ModelApproval(Message):
    """The office's signed leave to serve a model's scores until `review_by`, POSIX seconds.

    `band_width` is that of a private model, in points: the node adds noise of half a band to each score.
    """

    model: str
    bank: str
    card: str
    decided_by: str
    decided_at: int
    reason: str
    review_by: int = 0
    band_width: int = 0

    @property
    def ends(self) -> int:
        """When no score is served any more; an approval from before there were review dates lasts a year."""
        return self.review_by or self.decided_at + REVIEW_SECONDS


class ModelStatus(Message):
    """State of a model at the office (`models.registry`), and the approval while scores may be served."""

    state: str
    reason: str = ""
    approval: Signed | None = None
    review_by: int = 0


class ServeModel(Message):
    """The bank hands the office's approval to the node, which then builds the score table."""

    approval: Signed


class Evidence(Message):
    """What a client keeps and reports when something does not match what was signed. No identity, no record."""

    what: str
    table: str
    epoch: int
    detail: str
    artefacts: tuple[bytes, ...]
