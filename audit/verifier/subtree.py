"""Proofs about subtrees (draft-ietf-plants-merkle-tree-certs §4): what one stretch of a log holds, without the whole of it.

A subtree [start, end) is *valid* where `start` is a multiple of the smallest power of two that is not below `end - start`:
then its hash is made of hashes that the whole tree has too, and its consistency with the tree can be proven.
"""

from __future__ import annotations

from collections.abc import Sequence

from audit.verifier.errors import ProofError
from audit.verifier.merkle import EMPTY_ROOT, HASH_BYTES, NodeAt, node_hash, prove_inclusion, subtree_hash, verify_inclusion


def check_subtree(start: int, end: int) -> None:
    """Refuse what is no valid subtree with at least one entry (§4.1); ProofError."""
    if not 0 <= start < end or start % (1 << (end - start - 1).bit_length()):
        raise ProofError(f"[{start}, {end}) is no valid subtree of a log")


def verify_subtree_inclusion(index: int, start: int, end: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Check that leaf hash `leaf` stands at `index` in the subtree [start, end) of hash `root`, or raise ProofError (§4.3)."""
    check_subtree(start, end)
    if not start <= index < end:
        raise ProofError(f"entry {index} is not in the subtree [{start}, {end})")
    verify_inclusion(index - start, end - start, leaf, proof, root)


def verify_subtree_consistency(start: int, end: int, size: int, subtree: bytes, root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree (size, root) holds the subtree [start, end) with hash `subtree`, or raise ProofError (§4.4.3).

    An empty subtree says nothing: any tree that reaches its place holds it, and the proof is empty.
    """
    if start == end:
        if proof or subtree != EMPTY_ROOT or not 0 <= end <= size:
            raise ProofError("an empty subtree has the empty hash, an empty proof, and lies within the tree")
        return
    check_subtree(start, end)
    if end > size:
        raise ProofError(f"a tree of {size} entries does not reach to {end}")
    if (start, end) != (0, size) and any(len(value) != HASH_BYTES for value in (subtree, root, *proof)):
        raise ProofError(f"a hash here has {HASH_BYTES} bytes")
    if _roots_of(start, end, size, subtree, proof) != (subtree, root):
        raise ProofError(f"the proof does not lead from the subtree [{start}, {end}) to the tree of {size} entries")


def _roots_of(start: int, end: int, size: int, subtree: bytes, proof: Sequence[bytes]) -> tuple[bytes, bytes]:
    """What a proof makes of the subtree's and of the tree's hash; ProofError where it has too many or too few hashes."""
    first, last, edge = start, end - 1, size - 1
    # (1) Up to where the two part: below it they have the same hash, the subtree's own or the proof's first.
    while first != last and (last == edge or last & 1):
        first, last, edge = first >> 1, last >> 1, edge >> 1
    inner = whole = subtree
    path = list(proof)
    if first != last:
        if not path:
            raise ProofError("the proof is too short")
        inner = whole = path.pop(0)
    # (2) The rest, up to the root.
    for sibling in path:
        if edge == 0:
            raise ProofError("the proof is too long")
        if last & 1 or last == edge:
            inner = node_hash(sibling, inner) if first < last else inner
            whole = node_hash(sibling, whole)
            while not last & 1:
                first, last, edge = first >> 1, last >> 1, edge >> 1
        else:
            whole = node_hash(whole, sibling)
        first, last, edge = first >> 1, last >> 1, edge >> 1
    if edge != 0:
        raise ProofError("the proof is too short")
    return inner, whole


def prove_subtree_inclusion(index: int, start: int, end: int, node_at: NodeAt) -> list[bytes]:
    """The inclusion proof of entry `index` in the subtree [start, end) (§4.3.1); ProofError outside of it."""
    check_subtree(start, end)
    return prove_inclusion(index - start, end - start, lambda level, place: node_at(level, place + (start >> level)))


def prove_subtree_consistency(start: int, end: int, size: int, node_at: NodeAt) -> list[bytes]:
    """The consistency proof of the subtree [start, end) with the tree of `size` entries (§4.4.1); ProofError outside of it."""
    check_subtree(start, end)
    if end > size:
        raise ProofError(f"a tree of {size} entries does not reach to {end}")
    path: list[bytes] = []
    low, high, known = 0, size, True
    while (start, end) != (low, high):
        middle = low + (1 << ((high - low - 1).bit_length() - 1))
        if end <= middle:
            path.append(subtree_hash(middle, high, node_at))
            high = middle
        elif start >= middle:
            path.append(subtree_hash(low, middle, node_at))
            low = middle
        else:  # the subtree begins where this one does and ends in its right half
            path.append(subtree_hash(low, middle, node_at))
            low = start = middle
            known = False
    if not known:
        path.append(subtree_hash(low, high, node_at))
    return path[::-1]
