"""Proof that two pairs of group elements have the same discrete logarithm: RFC 9497 §2.2, ristretto255-SHA512.

    prover(k, pk = k·G, B, E = k·B)                              verifier(pk, B, E)
    -------------------------------------------------------------------------------
    d = HashToScalar(Hash(pk), B, E);  M = d·B;  Z = k·M
    r random;  t2 = r·G;  t3 = r·M
    c = HashToScalar(pk, M, Z, t2, t3);  s = r - c·k
                                       c, s
                                ---------------->
                                            M = d·B, Z = d·E
                                            t2 = s·G + c·pk, t3 = s·M + c·Z
                                            c == HashToScalar(pk, M, Z, t2, t3)?

Leakage statement. The verifier learns that log_G pk = log_B E and nothing else about k.

Many pairs fold into one with weights d_i, as in the RFC. In Xinqiao every evaluation carries a proof of its own: no
analysis exists for one proof over evaluations that belong to different tickets.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha512
from typing import Final

from crypto.errors import InvalidElement, InvalidProof, InvalidScalar, ParameterError
from crypto.group import (
    SCALAR_BYTES,
    Element,
    Scalar,
    add,
    base_mult,
    decode_scalar,
    hash_to_scalar,
    random_scalar,
    scalar_mul,
    scalar_mult,
    scalar_sub,
)

PROOF_BYTES: Final = 2 * SCALAR_BYTES
MAX_PAIRS: Final = 2**16 - 1

# Only mode VOPRF (0x01) of the RFC proves anything here.
_HASH_TO_SCALAR_DST: Final = b"HashToScalar-OPRFV1-\x01-ristretto255-SHA512"
_SEED_DST: Final = b"Seed-OPRFV1-\x01-ristretto255-SHA512"


def length_prefixed(data: bytes) -> bytes:
    """Return `data` after its length in two bytes, big-endian: how RFC 9497 builds every transcript."""
    return len(data).to_bytes(2) + data


def generate_proof(secret_key: Scalar, public_key: Element, blinded: Sequence[Element], evaluated: Sequence[Element]) -> bytes:
    """Prove that log_G pkS = log_B E for every pair (B, E), in 64 bytes (§2.2.1)."""
    return deterministic_proof(secret_key, public_key, blinded, evaluated, random_scalar())


def deterministic_proof(
    secret_key: Scalar,
    public_key: Element,
    blinded: Sequence[Element],
    evaluated: Sequence[Element],
    nonce: Scalar,
) -> bytes:
    """`generate_proof` with a given nonce: only for test vectors. Two proofs with one nonce give the key away."""
    weights = _composite_weights(public_key, blinded, evaluated)
    m = _combine(weights, blinded)
    z = scalar_mult(secret_key, m)
    c = _challenge(public_key, m, z, base_mult(nonce), scalar_mult(nonce, m))
    return c + scalar_sub(nonce, scalar_mul(c, secret_key))


def verify_proof(public_key: Element, blinded: Sequence[Element], evaluated: Sequence[Element], proof: bytes) -> None:
    """Check that E = skS·B for every pair, skS being the secret of `public_key` (§2.2.2).

    Raises:
        InvalidProof: the proof has a wrong length or an impossible scalar, or does not hold.
    """
    if len(proof) != PROOF_BYTES:
        raise InvalidProof(f"an evaluation proof has {PROOF_BYTES} bytes, got {len(proof)}")
    try:
        # An honest prover meets the scalar zero once in 2^252 proofs, so the stricter decoder serves here too.
        c, s = decode_scalar(proof[:SCALAR_BYTES]), decode_scalar(proof[SCALAR_BYTES:])
        weights = _composite_weights(public_key, blinded, evaluated)
        m, z = _combine(weights, blinded), _combine(weights, evaluated)
        t2 = add(base_mult(s), scalar_mult(c, public_key))
        t3 = add(scalar_mult(s, m), scalar_mult(c, z))
    except (InvalidScalar, InvalidElement) as error:
        raise InvalidProof(f"the evaluation proof is malformed: {error}") from None
    if _challenge(public_key, m, z, t2, t3) != c:
        raise InvalidProof("the server did not evaluate with the published key: stop, and keep the answer as evidence")


def _composite_weights(public_key: Element, blinded: Sequence[Element], evaluated: Sequence[Element]) -> list[Scalar]:
    """Return the weights d_i that fold many pairs into one (§2.2.1, ComputeComposites)."""
    if not 1 <= len(blinded) <= MAX_PAIRS or len(blinded) != len(evaluated):
        raise ParameterError("a proof covers equally many blinded and evaluated elements, at least one pair")
    seed = sha512(length_prefixed(public_key) + length_prefixed(_SEED_DST)).digest()
    weights = []
    for index, pair in enumerate(zip(blinded, evaluated, strict=True)):
        transcript = length_prefixed(seed) + index.to_bytes(2) + b"".join(map(length_prefixed, pair)) + b"Composite"
        weights.append(hash_to_scalar(transcript, _HASH_TO_SCALAR_DST))
    return weights


def _combine(weights: Sequence[Scalar], elements: Sequence[Element]) -> Element:
    first, *rest = (scalar_mult(weight, element) for weight, element in zip(weights, elements, strict=True))
    for term in rest:
        first = add(first, term)
    return first


def _challenge(public_key: Element, m: Element, z: Element, t2: Element, t3: Element) -> Scalar:
    transcript = b"".join(length_prefixed(element) for element in (public_key, m, z, t2, t3)) + b"Challenge"
    return hash_to_scalar(transcript, _HASH_TO_SCALAR_DST)
