"""The request proof ties a blinded element to one subject and one context; weaker builds are broken here."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import voprf
from crypto.cells import derive, open_cell, seal
from crypto.errors import InvalidElement, InvalidProof, InvalidScalar
from crypto.group import (
    ORDER,
    Element,
    Scalar,
    add,
    decode_element,
    decode_scalar,
    expand_message_xmd,
    hash_to_scalar,
    random_scalar,
    scalar_mul,
    scalar_mult,
)
from crypto.request_proof import PROOF_BYTES, prove, verify_request_proof
from crypto.voprf import VoprfClient, VoprfServer

ALICE, BOB = b"R:alice", b"R:bob"
CTX = b"bank 7, officer 3, credit check, table 1, epoch 9"


@pytest.fixture
def server() -> VoprfServer:
    return VoprfServer(voprf.derive_key_pair(b"\x11" * 32, b"request proof tests")[0])


@settings(max_examples=20)
@given(st.binary(max_size=60), st.binary(max_size=200))
def test_an_honest_proof_holds(input_id: bytes, ctx: bytes) -> None:
    blinded = voprf.blind(input_id)
    proof = prove(input_id, blinded.blind, blinded.element, ctx)
    assert len(proof) == PROOF_BYTES == 64
    verify_request_proof(input_id, blinded.element, ctx, proof)


def test_a_proof_written_out_by_hand_holds() -> None:
    """The documented transcript, in Python's integers: every part of it enters the challenge."""
    blinded, w = voprf.blind(ALICE), random_scalar()
    p = voprf.hash_input(ALICE)
    transcript = p + blinded.element + scalar_mult(w, p) + len(CTX).to_bytes(4) + CTX
    label = b"Xinqiao-RequestProof-v1-Challenge-ristretto255-SHA512"
    c = int.from_bytes(expand_message_xmd(transcript, label, 64), "little") % ORDER
    s = (int.from_bytes(w, "little") - c * int.from_bytes(blinded.blind, "little")) % ORDER
    verify_request_proof(ALICE, blinded.element, CTX, c.to_bytes(32, "little") + s.to_bytes(32, "little"))


def test_two_proofs_of_one_statement_differ() -> None:
    blinded = voprf.blind(ALICE)
    assert prove(ALICE, *blinded, CTX) != prove(ALICE, *blinded, CTX)


def test_a_proof_serves_one_subject_one_element_and_one_context() -> None:
    alice, again, bob = voprf.blind(ALICE), voprf.blind(ALICE), voprf.blind(BOB)
    proof = prove(ALICE, alice.blind, alice.element, CTX)
    refused = {
        "Alice's element and proof under Bob's id": (BOB, alice.element, CTX, proof),
        "Bob's element swapped in": (ALICE, bob.element, CTX, proof),
        "replayed with another element of Alice": (ALICE, again.element, CTX, proof),
        "another context": (ALICE, alice.element, CTX + b"!", proof),
        "no context": (ALICE, alice.element, b"", proof),
        "challenge and response exchanged": (ALICE, alice.element, CTX, proof[32:] + proof[:32]),
    }
    verify_request_proof(ALICE, alice.element, CTX, proof)
    for request in refused.values():
        with pytest.raises(InvalidProof, match="does not hold"):
            verify_request_proof(*request)


def test_bobs_element_under_alices_consent_is_refused_whatever_is_proven() -> None:
    bob = voprf.blind(BOB)
    for input_id in (ALICE, BOB):
        proof = prove(input_id, bob.blind, bob.element, CTX)
        with pytest.raises(InvalidProof):
            verify_request_proof(ALICE, bob.element, CTX, proof)


def test_a_multiple_of_someone_elses_element_is_refused() -> None:
    """Re-blinding an element whose scalar one does not know gives no proof."""
    overheard = voprf.blind(ALICE).element
    scalar = random_scalar()
    element = scalar_mult(scalar, overheard)
    with pytest.raises(InvalidProof):
        verify_request_proof(ALICE, element, CTX, prove(ALICE, scalar, element, CTX))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda proof: b"", "64 bytes"),
        (lambda proof: proof[:-1], "64 bytes"),
        (lambda proof: proof + b"\0", "64 bytes"),
        (lambda proof: bytes(32) + proof[32:], "zero"),
        (lambda proof: proof[:32] + bytes(32), "zero"),
        (lambda proof: b"\xff" * 64, "not reduced"),
        (lambda proof: proof[:32] + unreduced(proof[32:]), "not reduced"),
        (lambda proof: unreduced(proof[:32]) + proof[32:], "not reduced"),
        (lambda proof: proof[:40] + bytes([proof[40] ^ 1]) + proof[41:], "does not hold"),
    ],
)
def test_malformed_proofs_are_refused(damage, reason: str) -> None:
    blinded = voprf.blind(ALICE)
    proof = prove(ALICE, blinded.blind, blinded.element, CTX)
    with pytest.raises(InvalidProof, match=reason):
        verify_request_proof(ALICE, blinded.element, CTX, damage(proof))


def unreduced(scalar: bytes) -> bytes:
    return (int.from_bytes(scalar, "little") + ORDER).to_bytes(32, "little")


def test_r_zero_and_the_identity_are_refused() -> None:
    """0·P is the identity for every P: one such element would fit every subject at once."""
    zero, identity = Scalar(bytes(32)), Element(bytes(32))
    with pytest.raises(InvalidScalar, match="zero"):
        decode_scalar(zero)
    proof = prove(ALICE, zero, identity, CTX)
    for input_id in (ALICE, BOB):
        with pytest.raises(InvalidElement, match="identity"):
            verify_request_proof(input_id, identity, CTX, proof)


# --- weaker builds, and what a bank does to them --------------------------------------------------


def bank_opens_bobs_cell(server: VoprfServer, element: bytes, blind: Scalar) -> bytes:
    """What a bank reads once the node has evaluated an element it can unblind to Bob."""
    key_context = b"table 1, epoch 9"
    bobs_cell = seal(*derive(server.evaluate(BOB), key_context), b"Bob's record", 64)
    client = VoprfClient(server.public_key)
    y = client.finalize(BOB, voprf.Blinded(blind, decode_element(element)), server.blind_evaluate(element))
    return open_cell(*derive(y, key_context), bobs_cell)


@pytest.mark.attack
def test_attack_existence_of_r_is_vacuous(server: VoprfServer) -> None:
    def naive_office(input_id: bytes, element: bytes) -> None:
        """Checks that the element is *some* multiple of P: every element other than the identity is."""
        if element != voprf.hash_input(input_id):
            decode_element(element)

    bob = voprf.blind(BOB)
    naive_office(ALICE, bob.element)
    assert bank_opens_bobs_cell(server, bob.element, bob.blind) == b"Bob's record"

    with pytest.raises(InvalidProof):
        verify_request_proof(ALICE, bob.element, CTX, prove(ALICE, bob.blind, bob.element, CTX))


@pytest.mark.attack
def test_attack_challenge_that_leaves_the_element_out(server: VoprfServer) -> None:
    """With c fixed before B, a bank chooses T = t·P_Bob, then B = (t/c)·P_Bob and s = 0: T = s·P_Alice + c·B holds."""

    def weak_challenge(commitment: bytes) -> Scalar:
        return hash_to_scalar(commitment + CTX, b"weak")

    def naive_office(input_id: bytes, element: Element, proof: bytes) -> None:
        c, s = Scalar(proof[:32]), Scalar(proof[32:])
        response_part = scalar_mult(s, voprf.hash_input(input_id)) if any(s) else Element(bytes(32))
        if weak_challenge(add(response_part, scalar_mult(c, element))) != c:
            raise InvalidProof

    t = random_scalar()
    c = weak_challenge(scalar_mult(t, voprf.hash_input(BOB)))
    blind = scalar_mul(t, decode_scalar(pow(int.from_bytes(c, "little"), -1, ORDER).to_bytes(32, "little")))
    element = scalar_mult(blind, voprf.hash_input(BOB))
    forged = c + bytes(32)

    naive_office(ALICE, element, forged)
    assert bank_opens_bobs_cell(server, element, blind) == b"Bob's record"

    with pytest.raises(InvalidProof):
        verify_request_proof(ALICE, element, CTX, forged)


@pytest.mark.attack
def test_attack_challenge_that_leaves_the_context_out() -> None:
    """A proof that binds no context serves every officer and purpose; the real one serves the one it was made for."""
    naive_ctx = b""
    blinded = voprf.blind(ALICE)
    reusable = prove(ALICE, blinded.blind, blinded.element, naive_ctx)
    for _purpose in (b"credit check", b"curiosity"):
        verify_request_proof(ALICE, blinded.element, naive_ctx, reusable)

    bound = prove(ALICE, blinded.blind, blinded.element, b"credit check")
    verify_request_proof(ALICE, blinded.element, b"credit check", bound)
    with pytest.raises(InvalidProof):
        verify_request_proof(ALICE, blinded.element, b"curiosity", bound)
