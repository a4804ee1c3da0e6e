"""Merkle trees, proofs and checkpoints by other hands than ours, through one small adapter: pymerkle and sigstore."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pymerkle import InmemoryTree, InvalidProof, verify_consistency, verify_inclusion  # type: ignore[import-untyped]
from sigstore._internal.merkle import verify_merkle_inclusion
from sigstore._internal.rekor.checkpoint import SignedCheckpoint
from sigstore.errors import VerificationError

from audit.verifier.note import VerifierKey

REFUSALS = (InvalidProof, VerificationError, InvalidSignature)


class Pymerkle:
    """A tree of pymerkle's; its indices begin at 1, and its paths with the leaf itself."""

    def __init__(self, entries: Sequence[bytes] = ()) -> None:
        self._tree = InmemoryTree(algorithm="sha256")
        for entry in entries:
            self.append(entry)

    def append(self, entry: bytes) -> None:
        self._tree.append_entry(entry)

    def root(self, size: int) -> bytes:
        root: bytes = self._tree.get_root(size)
        return root

    def inclusion(self, index: int, size: int) -> list[bytes]:
        path: list[bytes] = self._tree.prove_inclusion(index + 1, size).path
        return path[1:]

    def consistency_holds(self, old: int, new: int) -> None:
        verify_consistency(self.root(old), self.root(new), self._tree.prove_consistency(old, new))

    def accepts(self, index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
        """Have pymerkle verify our path; raises where it does not lead to the root."""
        theirs = self._tree.prove_inclusion(index + 1, size)
        theirs.path = [leaf, *proof]
        verify_inclusion(leaf, root, theirs)


def sigstore_accepts(index: int, size: int, entry: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Have sigstore verify an inclusion proof as it does for an entry of Rekor; raises where it does not hold."""
    inclusion = SimpleNamespace(log_index=index, tree_size=size, hashes=list(proof), root_hash=root)
    verify_merkle_inclusion(SimpleNamespace(_inner=SimpleNamespace(inclusion_proof=inclusion, canonicalized_body=entry)))  # type: ignore[arg-type]


def sigstore_checkpoint(note: str, key: VerifierKey) -> tuple[str, int, bytes]:
    """Have sigstore read a checkpoint and verify its log's line: origin, size, root; raises where it does not hold."""

    class Keyring:
        def verify(self, *, key_id: bytes, signature: bytes, data: bytes) -> None:
            assert key_id == key.key_id
            Ed25519PublicKey.from_public_bytes(key.public_key).verify(signature, data)

    signed: Any = SignedCheckpoint.from_text(note)
    signed.signed_note.verify(Keyring(), key.key_id)
    head = signed.checkpoint
    return head.origin, head.log_size, bytes.fromhex(head.log_hash)
