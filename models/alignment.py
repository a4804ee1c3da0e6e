"""Alignment: which rows both sides know, without showing either side the other's rest.

::

    bank                                office                              node (key k of this project)
    B_i = r_i·HashToGroup(id_i), proofs
    ── ids, B, proofs ────────────────> modelling consents, proofs, budget
    <─ Signed(root of accepted B) ─────
    ── Signed(root), accepted B ────────────────────────────────────────> root, distinct, budget; leaf
    <──────────────────────────────────────────────────────────────────── k·B_i with a DLEQ proof each
    <──────────────────────────────────────────────────────────────────── SHA-256(tag) of its eligible subjects, padded
    matching tags, ascending ───────────────────────────────────────────> tags known, distinct, cohort rules; leaf
    <──────────────────────────────────────────────────────────────────── cohort id, root, rows kept

The node sets the order of the cohort's rows, the same for the same subjects in every project, and leaves some out at
random where the cohort would be too like an earlier one; only the two sides know what row is whom.

Leakage: the node learns which of its subjects are in the cohort; the bank learns which of its customers the node knows;
the office learns the bank's filed customers (it holds their consents).
"""

from __future__ import annotations

from models.wire import Message, Signed, encode


def tag_context(project: str) -> bytes:
    """What a project's tags are derived under, on both sides."""
    return b"alignment/" + project.encode()


class AlignmentContext(Message):
    """What the request proofs of an alignment are bound to."""

    bank: str
    modeller: str
    project: str
    expires: int
    nonce: bytes

    def binding(self) -> bytes:
        """The bytes that each request proof is bound to."""
        return encode(self)


class FileAlignment(Message):
    """n subjects, n elements (32 bytes each) and n proofs (64 bytes each), concatenated in the same order."""

    context: AlignmentContext
    subjects: tuple[str, ...]
    elements: bytes
    proofs: bytes


class AlignmentStatement(Message):
    """The office's signed word: this RFC 6962 root over the accepted elements, in the bank's order."""

    project: str
    bank: str
    root: bytes
    count: int
    expires: int


class AlignmentFiled(Message):
    """Which of the filed subjects were accepted (one byte each, 1 or 0), reasons by count, and the statement."""

    accepted: bytes
    refused: dict[str, int]
    statement: Signed


class EvaluateAlignment(Message):
    """The office's statement and the accepted elements (32 bytes each), in the order of the root."""

    statement: Signed
    elements: bytes


class AlignmentEvaluated(Message):
    """n evaluations (32 bytes each) with a DLEQ proof each (64 bytes) under `public_key`."""

    public_key: bytes
    evaluated: bytes
    proofs: bytes


class Published(Message):
    """SHA-256(tag) of the node's eligible subjects, sorted, padded with dummies to the next thousand (32 bytes each)."""

    hashes: bytes


class MatchTags(Message):
    """The tags (32 bytes each) that the bank found among the published, ascending: the row order of the cohort to be."""

    tags: bytes


class Cohort(Message):
    """An agreed cohort: `root` is the RFC 6962 root over its tags in row order.

    `kept` are positions in the returned tags (uint32, little-endian), in row order: the node sets the order, the same for
    the same subjects in every project, and leaves rows out at random where the cohort would be too like an earlier one.
    """

    id: str
    project: str
    rows: int
    root: bytes
    kept: bytes
