"""Proofs about subtrees against the published cases, and against the tree itself."""

from __future__ import annotations

from typing import Any

import pytest

from audit.verifier.errors import ProofError
from audit.verifier.merkle import leaf_hash
from audit.verifier.subtree import (
    check_subtree,
    prove_subtree_consistency,
    prove_subtree_inclusion,
    verify_subtree_consistency,
    verify_subtree_inclusion,
)
from tests.audit import reference
from tests.audit.test_merkle import b64, cases, entries_of, node_at_of, refused


def test_every_published_inclusion_case() -> None:
    seen = wrong = 0
    for name, case in cases("subtreeinclusion"):
        leaf, root = b64([case["leafHash"], case["root"]])
        got = refused(verify_subtree_inclusion, case["leafIdx"], case["start"], case["end"], leaf, b64(case["proof"]), root)
        assert got == case["wantErr"], name
        seen, wrong = seen + 1, wrong + case["wantErr"]
    assert (seen, wrong) == (204, 192)


def test_every_published_consistency_case() -> None:
    seen = wrong = 0
    for name, case in cases("subtreeconsistency"):
        subtree, root = b64([case["root1"], case["root2"]])
        stretch = (case["start"], case["end"], case["size"])
        assert refused(verify_subtree_consistency, *stretch, subtree, root, b64(case["proof"])) == case["wantErr"], name
        seen, wrong = seen + 1, wrong + case["wantErr"]
    assert (seen, wrong) == (118, 106)


def is_valid(start: int, end: int) -> bool:
    return not refused(check_subtree, start, end)


def test_every_subtree_of_trees_up_to_20() -> None:
    entries = entries_of(20)
    node_at: Any = node_at_of(entries)
    for size in range(1, 21):
        root = reference.mth(entries[:size])
        for start in range(size):
            for end in range(start + 1, size + 1):
                if not is_valid(start, end):
                    with pytest.raises(ProofError):
                        prove_subtree_consistency(start, end, size, node_at)
                    continue
                subtree = reference.mth(entries[start:end])
                proof = prove_subtree_consistency(start, end, size, node_at)
                verify_subtree_consistency(start, end, size, subtree, root, proof)
                for other, bad in ((leaf_hash(b"x"), proof), (subtree, [*proof, root]), (subtree, proof[:-1])):
                    if (other, bad) != (subtree, proof):
                        assert refused(verify_subtree_consistency, start, end, size, other, root, bad)
                if size == 20:
                    for index in range(start, end):
                        path = prove_subtree_inclusion(index, start, end, node_at)
                        verify_subtree_inclusion(index, start, end, leaf_hash(entries[index]), path, subtree)
