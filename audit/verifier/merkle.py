"""Merkle trees as in RFC 6962 §2.1: hashes, roots, inclusion and consistency proofs.

A *node* (level, index) is the root of the perfect subtree over leaves [index·2^level, (index+1)·2^level). Proofs are
made from a function that gives such nodes, so that the tree may live in tiles, in a database or in a list.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

from audit.verifier.errors import ProofError

HASH_BYTES = 32
LEAF_PREFIX = b"\x00"
NODE_PREFIX = b"\x01"
_sha256 = hashlib.sha256
EMPTY_ROOT = hashlib.sha256(b"").digest()

NodeAt = Callable[[int, int], bytes]
"""(level, index) to the 32-byte hash of that perfect subtree."""


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 ‖ entry), 32 bytes (RFC 6962 §2.1)."""
    return hashlib.sha256(LEAF_PREFIX + entry).digest()


def leaf_hashes(entries: Iterable[bytes]) -> list[bytes]:
    """`leaf_hash` of each."""
    return [_sha256(LEAF_PREFIX + entry).digest() for entry in entries]


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right), 32 bytes (RFC 6962 §2.1)."""
    return hashlib.sha256(NODE_PREFIX + left + right).digest()


class CompactRange:
    """The right edge of a growing tree: one hash for each set bit of its size, largest subtree first."""

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        self.size = size
        self.peaks = list(peaks)
        if size < 0 or len(self.peaks) != size.bit_count():
            raise ProofError(f"a tree of size {size} has another number of peaks than {len(self.peaks)}")

    def append(self, leaf: bytes) -> list[bytes]:
        """Add one leaf hash (32 bytes) at index `size`; the hashes, by level, of the subtrees that end with it."""
        return self.append_subtree(0, leaf)

    def append_subtree(self, level: int, node: bytes) -> list[bytes]:
        """Add the perfect subtree of 2^level leaves with root `node`; the hashes, from that level up, of what ends with it.

        ProofError where the size is no multiple of 2^level.
        """
        nodes, size = [node], self.size >> level
        if size << level != self.size:
            raise ProofError(f"no perfect subtree of {1 << level} leaves begins at {self.size}")
        while size & 1:
            nodes.append(node_hash(self.peaks.pop(), nodes[-1]))
            size >>= 1
        self.peaks.append(nodes[-1])
        self.size += 1 << level
        return nodes

    def root(self) -> bytes:
        """The tree's root, 32 bytes; the hash of the empty string for the empty tree."""
        if not self.peaks:
            return EMPTY_ROOT
        node = self.peaks[-1]
        for left in reversed(self.peaks[:-1]):
            node = node_hash(left, node)
        return node

    def copy(self) -> CompactRange:
        """An independent copy."""
        return CompactRange(self.size, self.peaks)


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes, in order."""
    tree = CompactRange()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """The root over 2^k hashes: `root_of` for a full tile, in tight loops."""
    if len(hashes).bit_count() != 1:
        raise ProofError(f"{len(hashes)} hashes are no perfect subtree")
    while len(hashes) > 1:
        hashes = [_sha256(NODE_PREFIX + left + right).digest() for left, right in zip(hashes[::2], hashes[1::2], strict=True)]
    return hashes[0]


def subtree_hash(start: int, end: int, node_at: NodeAt) -> bytes:
    """MTH(D[start:end]) where `start` is a multiple of the largest power of two that is below `end - start`."""
    width = end - start
    if width == 1 << (width.bit_length() - 1):
        level = width.bit_length() - 1
        return node_at(level, start >> level)
    middle = start + _split(width)
    return node_hash(subtree_hash(start, middle, node_at), subtree_hash(middle, end, node_at))


def prove_inclusion(index: int, size: int, node_at: NodeAt) -> list[bytes]:
    """PATH(index, D[size]) (RFC 6962 §2.1.1), from the leaf's sibling up; ProofError outside of the tree."""
    if not 0 <= index < size:
        raise ProofError(f"entry {index} is not in a tree of {size} entries")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(subtree_hash(middle, end, node_at))
            end = middle
        else:
            path.append(subtree_hash(start, middle, node_at))
            start = middle
    return path[::-1]


def prove_consistency(old: int, new: int, node_at: NodeAt) -> list[bytes]:
    """PROOF(old, D[new]) (RFC 6962 §2.1.2); empty for old = new and for old = 0; ProofError for old > new."""
    if not 0 <= old <= new:
        raise ProofError(f"a tree of {new} entries does not extend one of {old}")
    if old in {0, new}:
        return []
    path: list[bytes] = []
    start, end = 0, new
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(subtree_hash(middle, end, node_at))
            end = middle
        else:
            path.append(subtree_hash(start, middle, node_at))
            start = middle
    if start:  # the old tree is not itself a subtree on the left edge: the verifier needs its last part
        path.append(subtree_hash(start, end, node_at))
    return path[::-1]


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Check that leaf hash `leaf` stands at `index` under `root`, or raise ProofError (RFC 9162 §2.1.3.2)."""
    if not 0 <= index < size:
        raise ProofError(f"entry {index} is not in a tree of {size} entries")
    _check_lengths([leaf, root, *proof])
    inner = _inner_length(index, size)
    border = (index >> inner).bit_count()
    if len(proof) != inner + border:
        raise ProofError(f"an inclusion proof here has {inner + border} hashes, this one {len(proof)}")
    node = _chain_inner(leaf, proof[:inner], index)
    for left in proof[inner:]:
        node = node_hash(left, node)
    if node != root:
        raise ProofError(f"the inclusion proof of entry {index} leads to another root than the signed one")


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree (new, new_root) extends (old, old_root), or raise ProofError (RFC 9162 §2.1.4.2).

    An old size of zero is refused: anything extends the empty tree, so such a proof shows nothing.
    """
    if not 0 < old <= new:
        raise ProofError(f"there is no consistency proof from {old} to {new} entries")
    if old == new:
        if proof:
            raise ProofError("two trees of one size need no proof, yet there is one")
        if old_root != new_root:
            raise ProofError(f"two different roots for one size, {new}")
        return
    _check_lengths([old_root, new_root, *proof])
    shift = (old & -old).bit_length() - 1  # the old tree's smallest peak is a subtree of this height
    inner = _inner_length(old - 1, new) - shift
    border = ((old - 1) >> (inner + shift)).bit_count()
    # A power of two is itself a subtree on the left edge, so its root need not be repeated in the proof.
    seeded = old == 1 << shift
    if len(proof) != inner + border + (not seeded):
        raise ProofError(f"the consistency proof from {old} to {new} entries has a wrong number of hashes")
    seed, path = (old_root, proof) if seeded else (proof[0], proof[1:])
    mask = (old - 1) >> shift
    old_node = new_node = seed
    for level, sibling in enumerate(path[:inner]):
        if mask >> level & 1:
            old_node = node_hash(sibling, old_node)
            new_node = node_hash(sibling, new_node)
        else:
            new_node = node_hash(new_node, sibling)
    for left in path[inner:]:
        old_node = node_hash(left, old_node)
        new_node = node_hash(left, new_node)
    if old_node != old_root:
        raise ProofError(f"the consistency proof does not lead to the earlier root at {old} entries")
    if new_node != new_root:
        raise ProofError(f"the consistency proof does not lead to the later root at {new} entries")


def _split(width: int) -> int:
    """The largest power of two below `width` (RFC 6962 §2.1), for width ≥ 2."""
    return 1 << ((width - 1).bit_length() - 1)


def _inner_length(index: int, size: int) -> int:
    """How many levels lie between the leaf and the point where its path meets that of the last leaf."""
    return (index ^ (size - 1)).bit_length()


def _chain_inner(node: bytes, proof: Sequence[bytes], index: int) -> bytes:
    for level, sibling in enumerate(proof):
        node = node_hash(sibling, node) if index >> level & 1 else node_hash(node, sibling)
    return node


def _check_lengths(hashes: Iterable[bytes]) -> None:
    for value in hashes:
        if len(value) != HASH_BYTES:
            raise ProofError(f"a hash of {len(value)} bytes where {HASH_BYTES} are meant")
