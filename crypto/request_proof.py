"""Proof that a blinded element hides one named input: what ties a ticket to the consent of one subject.

    bank(id, r, B = r·P)                                          office(id, B, ctx)
    --------------------------------------------------------------------------------
    P = HashToGroup(id)                                          P = HashToGroup(id)
    w random;  T = w·P
    c = HashToScalar(P, B, T, ctx);  s = w - c·r
                                  id, B, ctx, c, s
                                -------------------->
                                                          T = s·P + c·B
                                                          c == HashToScalar(P, B, T, ctx)?

P is the VOPRF's own HashToGroup, so B is exactly what the VOPRF's `blind` makes and the node evaluates.

Why knowledge. The group has prime order, so *every* B is r·P for some r and for every P: Bob's blinded element is also
an element "of" Alice, and a check that such an r exists says nothing. What a bank cannot do is *know* that r for a B
made from Bob's id: r' = r·log_P(P_Bob) is a discrete logarithm between two hashes. Who knows r with B = r·P can unblind
k·B only to k·P, the evaluation of the id that the office looked at (Schnorr, made non-interactive by Fiat-Shamir).

`ctx` holds whatever the ticket is bound to: bank, officer, purpose, table, epoch, expiry and nonce. The challenge covers
it, so that a proof serves one request only. The caller's encoding of ctx must be injective; here it is one string.

Leakage statement. The office learns id, B and ctx, which it is sent anyway, and that the sender knows r; nothing about
r. The node is shown B without the proof and learns nothing of the id. Whoever sees both (id, B) and the node's traffic can
join them on B: the office and the node must not pool their records.
"""

from __future__ import annotations

from typing import Final

from crypto.errors import InvalidProof, InvalidScalar
from crypto.group import (
    SCALAR_BYTES,
    Element,
    Scalar,
    add,
    decode_element,
    decode_scalar,
    hash_to_scalar,
    random_scalar,
    scalar_mul,
    scalar_mult,
    scalar_sub,
)
from crypto.voprf import hash_input

PROOF_BYTES: Final = 2 * SCALAR_BYTES
_CHALLENGE_DST: Final = b"Xinqiao-RequestProof-v1-Challenge-ristretto255-SHA512"


def prove(input_id: bytes, blind: Scalar, element: Element, ctx: bytes) -> bytes:
    """Prove knowledge of `blind` in element = blind·HashToGroup(input_id), for this `ctx` alone.

    Args:
        input_id: the canonical id, as given to the VOPRF.
        blind, element: as `voprf.blind` returned them for this input.
        ctx: what the request is bound to, at most 2^32 - 1 bytes.

    Returns:
        64 bytes: challenge and response.
    """
    base = hash_input(input_id)
    nonce = random_scalar()
    c = _challenge(base, element, scalar_mult(nonce, base), ctx)
    return c + scalar_sub(nonce, scalar_mul(c, blind))


def verify_request_proof(input_id: bytes, element: bytes, ctx: bytes, proof: bytes) -> None:
    """Check that the sender knows r with element = r·HashToGroup(input_id), and meant this `ctx`.

    Raises:
        InvalidElement: `element` is the identity or no canonical element.
        InvalidProof: wrong length, zero or unreduced scalars, or the proof does not hold for this id, element and ctx.
    """
    blinded = decode_element(element)
    if len(proof) != PROOF_BYTES:
        raise InvalidProof(f"a request proof has {PROOF_BYTES} bytes, got {len(proof)}")
    try:
        c, s = decode_scalar(proof[:SCALAR_BYTES]), decode_scalar(proof[SCALAR_BYTES:])
    except InvalidScalar as error:
        raise InvalidProof(f"the request proof is malformed: {error}") from None
    base = hash_input(input_id)
    commitment = add(scalar_mult(s, base), scalar_mult(c, blinded))
    if _challenge(base, blinded, commitment, ctx) != c:
        raise InvalidProof(
            "the request proof does not hold for this subject, element and context: blind this subject's id afresh and "
            "prove it for the context that is sent"
        )


def _challenge(base: Element, blinded: Element, commitment: Element, ctx: bytes) -> Scalar:
    """Return c over three encodings of fixed length and the context after its length in four bytes."""
    return hash_to_scalar(base + blinded + commitment + len(ctx).to_bytes(4) + ctx, _CHALLENGE_DST)
