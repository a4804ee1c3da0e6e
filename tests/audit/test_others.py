"""Roots, paths and checkpoints agree with implementations by other hands: pymerkle and sigstore."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.verifier.checkpoint import Checkpoint, sign_checkpoint
from audit.verifier.errors import ProofError
from audit.verifier.merkle import (
    CompactRange,
    leaf_hash,
    prove_consistency,
    prove_inclusion,
    verify_consistency,
    verify_inclusion,
)
from tests.audit.logs import BANK, OFFICE, ORIGIN, SIGNER, entries_of
from tests.audit.others import REFUSALS, Pymerkle, sigstore_accepts, sigstore_checkpoint
from tests.audit.test_merkle import node_at_of

ENTRIES = entries_of(700)
OTHER = Pymerkle(ENTRIES)
NODE_AT = node_at_of(ENTRIES)


def test_roots_at_every_size() -> None:
    tree = CompactRange()
    for size, entry in enumerate(ENTRIES, 1):
        tree.append(leaf_hash(entry))
        assert tree.root() == OTHER.root(size)


@given(st.integers(1, 700).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))))
@settings(max_examples=150)
def test_both_accept_our_paths_and_we_accept_theirs(case: tuple[int, int]) -> None:
    size, index = case
    root, leaf, proof = OTHER.root(size), leaf_hash(ENTRIES[index]), prove_inclusion(index, size, NODE_AT)
    assert proof == OTHER.inclusion(index, size)
    OTHER.accepts(index, size, leaf, proof, root)
    sigstore_accepts(index, size, ENTRIES[index], proof, root)
    verify_inclusion(index, size, leaf, OTHER.inclusion(index, size), root)


def test_what_one_refuses_all_refuse() -> None:
    rng = random.Random(20_261_122)
    for _ in range(300):
        size = rng.randrange(2, 700)
        index = rng.randrange(size)
        proof, root, leaf = prove_inclusion(index, size, NODE_AT), OTHER.root(size), leaf_hash(ENTRIES[index])
        place = rng.randrange(len(proof))
        wrong = bytearray(proof[place])
        wrong[rng.randrange(32)] ^= 1 << rng.randrange(8)
        changed = [*proof[:place], bytes(wrong), *proof[place + 1 :]]
        for bad in (changed, proof[:place] + proof[place + 1 :], [*proof, root]):
            with pytest.raises(ProofError):
                verify_inclusion(index, size, leaf, bad, root)
            with pytest.raises(REFUSALS):
                OTHER.accepts(index, size, leaf, bad, root)
            with pytest.raises(REFUSALS):
                sigstore_accepts(index, size, ENTRIES[index], bad, root)


@given(st.integers(1, 700).flatmap(lambda new: st.tuples(st.integers(1, new), st.just(new))))
@settings(max_examples=100)
def test_consistency_between_their_roots(case: tuple[int, int]) -> None:
    old, new = case
    verify_consistency(old, new, OTHER.root(old), OTHER.root(new), prove_consistency(old, new, NODE_AT))
    OTHER.consistency_holds(old, new)


def test_sigstore_reads_our_checkpoint() -> None:
    """Also with witnesses' lines below it, which it does not know."""
    text = Checkpoint(ORIGIN, 700, OTHER.root(700)).text
    note = sign_checkpoint(Checkpoint(ORIGIN, 700, OTHER.root(700)), SIGNER)
    cosigned = note + OFFICE.cosign(text, 1_700_000_000) + BANK.cosign(text, 1_700_000_000)
    for shown in (note, cosigned):
        assert sigstore_checkpoint(shown, SIGNER.key) == (ORIGIN, 700, OTHER.root(700))
    with pytest.raises(REFUSALS):
        sigstore_checkpoint(cosigned.replace("\n700\n", "\n701\n"), SIGNER.key)
