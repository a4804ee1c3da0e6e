"""Checking offline that a subject's row was in a cohort: what the office and the node prove about the use of data."""

from __future__ import annotations

from audit.verifier.errors import ProofError
from audit.verifier.merkle import NodeAt, leaf_hash, node_hash, prove_inclusion, verify_inclusion
from crypto.request_proof import verify_request_proof
from models.archives import ArchiveCohort
from models.rights import AlignmentUse


def verify_alignment_use(subject: str, use: AlignmentUse) -> None:
    """The bank blinded this subject's id, and the element stands under the root; raises `InvalidProof` or `ProofError`."""
    verify_request_proof(subject.encode(), use.element, use.context, use.proof)
    verify_inclusion(use.place, use.rows, leaf_hash(use.element), use.path, use.root)


def verify_cohort_row(row: ArchiveCohort) -> None:
    """The tag stands under the cohort's root; raises `ProofError`. That the tag is the subject's is the node's signed word."""
    if not row.tag:
        raise ProofError("the node no longer has the tags of this cohort, so that nothing can be proven of it")
    verify_inclusion(row.row, row.rows, leaf_hash(row.tag), row.path, row.root)


def inclusion_path(entries: list[bytes], index: int) -> tuple[bytes, ...]:
    """The path of one entry among all of a list (RFC 6962 §2.1.1); `ProofError` outside of it."""
    return tuple(prove_inclusion(index, len(entries), _nodes(entries)))


def _nodes(entries: list[bytes]) -> NodeAt:
    levels = [[leaf_hash(entry) for entry in entries]]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)])
    return lambda level, index: levels[level][index]
