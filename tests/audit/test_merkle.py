"""Merkle proofs against the published cases of transparency-dev/merkle and against RFC 6962 word for word."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.verifier.errors import ProofError
from audit.verifier.merkle import (
    EMPTY_ROOT,
    CompactRange,
    leaf_hash,
    prove_consistency,
    prove_inclusion,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from tests.audit import reference
from tests.conftest import shared_path


def cases(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    folder: Path = shared_path(f"vectors/rfc6962_merkle/testdata/{kind}")
    for file in sorted(folder.rglob("*.json")):
        yield f"{file.parent.name}/{file.stem}", json.loads(file.read_text())


def b64(values: list[str] | None) -> list[bytes]:
    return [base64.b64decode(value) for value in values or []]


def refused(check: Any, *arguments: Any) -> bool:
    try:
        check(*arguments)
    except ProofError:
        return True
    return False


def test_every_published_inclusion_case() -> None:
    seen = wrong = 0
    for name, case in cases("inclusion"):
        leaf, root = b64([case["leafHash"], case["root"]])
        got = refused(verify_inclusion, case["leafIdx"], case["treeSize"], leaf, b64(case["proof"]), root)
        assert got == case["wantErr"], name
        seen, wrong = seen + 1, wrong + case["wantErr"]
    assert seen > wrong > 80


def test_every_published_consistency_case() -> None:
    seen = wrong = 0
    for name, case in cases("consistency"):
        old, new = b64([case["root1"], case["root2"]])
        got = refused(verify_consistency, case["size1"], case["size2"], old, new, b64(case["proof"]))
        assert got == case["wantErr"], name
        seen, wrong = seen + 1, wrong + case["wantErr"]
    assert seen > wrong > 80


def test_published_cases_are_196() -> None:
    assert len([*cases("inclusion"), *cases("consistency")]) == 196


def test_reference_tree() -> None:
    tree = json.loads(shared_path("vectors/rfc6962_merkle/reference_tree.json").read_text())
    leaves = [leaf_hash(bytes.fromhex(leaf)) for leaf in tree["leaf_inputs_hex"]]
    assert [leaf.hex() for leaf in leaves] == tree["node_hashes_hex_by_level"][0]
    edge = CompactRange()
    ended = []
    roots = [edge.root().hex()]
    for leaf in leaves:
        ended.append(edge.append(leaf))
        roots.append(edge.root().hex())
    assert roots == tree["root_hashes_hex_by_size"]
    for level, hashes in enumerate(tree["node_hashes_hex_by_level"]):
        assert [nodes[level].hex() for nodes in ended if len(nodes) > level] == hashes


def entries_of(size: int) -> list[bytes]:
    return [index.to_bytes(2, "big") for index in range(size)]


def node_at_of(entries: list[bytes]) -> Any:
    leaves = [leaf_hash(entry) for entry in entries]
    return lambda level, index: root_of(leaves[index << level : (index + 1) << level])


@given(st.integers(1, 300).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))))
@settings(max_examples=60)
def test_inclusion_proofs_equal_the_rfc(case: tuple[int, int]) -> None:
    size, index = case
    entries = entries_of(size)
    proof = prove_inclusion(index, size, node_at_of(entries))
    assert proof == reference.path(index, entries)
    verify_inclusion(index, size, leaf_hash(entries[index]), proof, reference.mth(entries))


@given(st.integers(1, 300).flatmap(lambda new: st.tuples(st.integers(1, new), st.just(new))))
@settings(max_examples=60)
def test_consistency_proofs_equal_the_rfc(case: tuple[int, int]) -> None:
    old, new = case
    entries = entries_of(new)
    proof = prove_consistency(old, new, node_at_of(entries))
    assert proof == reference.proof(old, entries)
    verify_consistency(old, new, reference.mth(entries[:old]), reference.mth(entries), proof)


@given(st.integers(2, 200), st.data())
@settings(max_examples=60)
def test_any_change_of_a_proof_is_refused(size: int, data: st.DataObject) -> None:
    entries = entries_of(size)
    index = data.draw(st.integers(0, size - 1))
    proof = prove_inclusion(index, size, node_at_of(entries))
    place = data.draw(st.integers(0, len(proof) - 1))
    bit = data.draw(st.integers(0, 255))
    flipped = bytearray(proof[place])
    flipped[bit // 8] ^= 1 << bit % 8
    root, leaf = reference.mth(entries), leaf_hash(entries[index])
    for changed in (
        [*proof[:place], bytes(flipped), *proof[place + 1 :]],
        proof[:place] + proof[place + 1 :],
        [*proof, root],
        [root, *proof],
    ):
        with pytest.raises(ProofError):
            verify_inclusion(index, size, leaf, changed, root)
    other = data.draw(st.integers(0, size - 1).filter(lambda other: other != index))
    with pytest.raises(ProofError):
        verify_inclusion(other, size, leaf, proof, root)


def test_the_edge_of_a_tree_survives_being_taken_apart() -> None:
    edge = CompactRange()
    assert edge.root() == EMPTY_ROOT
    for index in range(67):
        edge.append(leaf_hash(bytes([index])))
        again = CompactRange(edge.size, edge.peaks)
        assert again.root() == edge.root() == reference.mth([bytes([i]) for i in range(index + 1)])
        again.append(b"\0" * 32)
        assert again.root() != edge.root(), "a copy is independent"
    with pytest.raises(ProofError, match="peaks"):
        CompactRange(3, edge.peaks[:1])


def test_every_pair_of_sizes_up_to_33() -> None:
    entries = entries_of(33)
    node_at = node_at_of(entries)
    roots = [reference.mth(entries[:size]) for size in range(34)]
    for new in range(1, 34):
        for old in range(1, new + 1):
            proof = prove_consistency(old, new, node_at)
            verify_consistency(old, new, roots[old], roots[new], proof)
            if old < new:
                assert refused(verify_consistency, old, new, roots[old - 1], roots[new], proof)
                assert refused(verify_consistency, old, new, roots[old], roots[new - 1], proof)
    for old, new in pairwise(range(34)):
        assert refused(prove_consistency, new, old, node_at)
    assert prove_consistency(0, 5, node_at) == []
    assert refused(prove_inclusion, 5, 5, node_at)
    assert refused(prove_inclusion, -1, 5, node_at)
