"""Proof that a Paillier ciphertext holds amount + 2^64·flag with 0 ≤ amount < 2^32 and flag 0 or 1: exact, without slack.

    bank(amount, flag, a; key n, h)                               node(n, h, c, ctx)
    --------------------------------------------------------------------------------
    m = amount + 2^64·flag;  c = (1+n)^m · h^a
    for each bit b_i:  C_i = rho_i·G + b_i·H
    C = sum w_i·C_i = rho·G + m·H
    for each bit: a proof that b_i is 0 or 1
    x, y, t random
    A = (1+n)^x · h^y;  T = t·G + x·H
    e = Hash(all of it, ctx)
    z = x + e·m;  z_a = y + e·a;  z_rho = t + e·rho
                              C_i, bit proofs, z, z_a, z_rho
                           ----------------------------->
                                                       z < 2^250,  z_a < 2^442
                                                       A = (1+n)^z · h^z_a · c^-e
                                                       T = z_rho·G + z·H - e·C
                                                       the hashes are those that were sent

Two groups, one integer. The bits are proven in ristretto255 (Cramer, Damgård, Schoenmakers 1994: one of two Schnorr proofs),
where a bit costs a fifth of a millisecond; z ties their sum to the plaintext of c. Two transcripts with challenges e, e' give
dz = z - z' and de = e - e' with dz = de·m in Z_n and dz = de·v in Z_L, v being the committed number below 2^65. Since
|dz| < 2^250 and |de·v| < 2^169 while L > 2^252, the second holds in the integers, so that m = v: no negative number, nothing
that wraps. (Camenisch and Michels 1999 tie groups so; here the number is small enough that no assumption on roots is needed.)
The last step needs de to have an inverse modulo n, which `key_proof` gives but for factors that nobody could find, and h to be
an n-th power, which is its owner's concern alone: who asks under another h spoils its own answers.

Leakage statement. Whoever sees the proof learns that the bound holds. z hides e·m but for 2^-80, z_a hides e·a but for 2^-80,
and C_i are uniform. A cheat needs 2^104 hashes.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Final

from crypto.errors import CryptoError, InvalidProof, ParameterError
from crypto.group import (
    ELEMENT_BYTES,
    ORDER,
    SCALAR_BYTES,
    Element,
    Scalar,
    add,
    base_mult,
    decode_element,
    decode_scalar,
    hash_to_group,
    hash_to_scalar,
    random_scalar,
    scalar_add,
    scalar_mul,
    scalar_mult,
    scalar_sub,
    sub,
)
from crypto.paillier.arithmetic import (
    EXPONENT_BITS,
    Ciphertext,
    PublicKey,
    draw_exponent,
    encode_ciphertext,
    power,
)

AMOUNT_BITS: Final = 32
FLAG_SHIFT: Final = 64
MOST_AMOUNT: Final = 2**AMOUNT_BITS - 1
_BITS: Final = AMOUNT_BITS + 1
_WEIGHTS: Final = (*range(AMOUNT_BITS), FLAG_SHIFT)
_CHALLENGE_BITS: Final = 104
_HIDING_BITS: Final = 80
_NUMBER_BITS: Final = FLAG_SHIFT + 1 + _CHALLENGE_BITS + _HIDING_BITS  # of x: 249
_BLIND_BITS: Final = EXPONENT_BITS + 1 + _CHALLENGE_BITS + _HIDING_BITS  # of y: 441
_Z_BYTES: Final = 32
_ZA_BYTES: Final = 56
_BIT_BYTES: Final = ELEMENT_BYTES + 3 * SCALAR_BYTES
PROOF_BYTES: Final = _BITS * _BIT_BYTES + SCALAR_BYTES + 16 + _Z_BYTES + _ZA_BYTES + SCALAR_BYTES

_H: Final = hash_to_group(b"second generator", b"Xinqiao-BoundedAmount-v1-HashToGroup-ristretto255-SHA512")
_BIT_DST: Final = b"Xinqiao-BoundedAmount-v1-Bits-ristretto255-SHA512"
_LINK_LABEL: Final = b"Xinqiao-BoundedAmount-v1-Link"


@dataclass(frozen=True)
class Answer:
    """A ciphertext (768 bytes), the proof that it is bounded, and what opens it: kept by who made it."""

    ciphertext: bytes
    proof: bytes
    exponent: int

    def __repr__(self) -> str:
        return "Answer(redacted)"


def plaintext_of(amount: int, flag: bool) -> int:
    """amount + 2^64·flag; raises `ParameterError` for an amount out of range."""
    if not 0 <= amount <= MOST_AMOUNT:
        raise ParameterError(f"an amount lies between 0 and {MOST_AMOUNT}")
    return amount + (int(flag) << FLAG_SHIFT)


def encrypt_bounded(key: PublicKey, amount: int, flag: bool, context: bytes) -> Answer:
    """A fresh encryption of amount and flag, with the proof bound to `context`."""
    number, exponent = plaintext_of(amount, flag), draw_exponent()
    ciphertext = key.encrypt(number, exponent)
    bits = [amount >> place & 1 for place in range(AMOUNT_BITS)] + [int(flag)]
    blinds = [random_scalar() for _ in bits]
    commitments = [_commit(blind, bit) for blind, bit in zip(blinds, bits, strict=True)]
    head = key.digest + encode_ciphertext(ciphertext) + b"".join(commitments) + hashlib.sha256(context).digest()
    challenge, parts = _prove_bits(bits, blinds, commitments, head)

    x, y, t = secrets.randbits(_NUMBER_BITS), secrets.randbits(_BLIND_BITS), random_scalar()
    a = encode_ciphertext(key.encrypt(x, y))
    link = _link_challenge(head, challenge, a, add(base_mult(t), scalar_mult(_scalar(x), _H)))
    blind = _weighted([int.from_bytes(blind, "little") for blind in blinds])
    z_rho = scalar_add(t, scalar_mul(_scalar(link), _scalar(blind)))
    proof = (
        b"".join(commitment + part for commitment, part in zip(commitments, parts, strict=True))
        + challenge
        + link.to_bytes(16)
        + (x + link * number).to_bytes(_Z_BYTES)
        + (y + link * exponent).to_bytes(_ZA_BYTES)
        + z_rho
    )
    return Answer(encode_ciphertext(ciphertext), proof, exponent)


def verify_bounded(key: PublicKey, ciphertext: bytes, proof: bytes, context: bytes) -> Ciphertext:
    """Check both, and return the ciphertext that may now be summed; about 20 ms.

    Raises:
        InvalidCiphertext: out of range, or not invertible.
        InvalidProof: the proof does not hold for this key, ciphertext and context.
    """
    checked = key.ciphertext(ciphertext)
    if len(proof) != PROOF_BYTES:
        raise InvalidProof(f"the proof of a bounded amount has {PROOF_BYTES} bytes, got {len(proof)}")
    try:
        _verify(key, checked, proof, context)
    except InvalidProof:
        raise
    except CryptoError as error:
        raise InvalidProof(f"the proof of a bounded amount is malformed: {error}") from None
    return checked


def ciphertext_of(key: PublicKey, amount: int, flag: bool, exponent: int) -> bytes:
    """The one ciphertext that opens to this; raises `ParameterError` where the amount is out of range."""
    return encode_ciphertext(key.encrypt(plaintext_of(amount, flag), exponent))


def _verify(key: PublicKey, ciphertext: Ciphertext, proof: bytes, context: bytes) -> None:
    records = [proof[start : start + _BIT_BYTES] for start in range(0, _BITS * _BIT_BYTES, _BIT_BYTES)]
    tail = proof[_BITS * _BIT_BYTES :]
    challenge, tail = decode_scalar(tail[:SCALAR_BYTES]), tail[SCALAR_BYTES:]
    link, tail = int.from_bytes(tail[:16]), tail[16:]
    z, tail = int.from_bytes(tail[:_Z_BYTES]), tail[_Z_BYTES:]
    z_a, z_rho = int.from_bytes(tail[:_ZA_BYTES]), decode_scalar(tail[_ZA_BYTES:])
    if link >> _CHALLENGE_BITS or z >> (_NUMBER_BITS + 1) or z_a >> (_BLIND_BITS + 1) or not z or not z_a or not link:
        raise InvalidProof("a response of the proof of a bounded amount is out of range")

    commitments = [decode_element(record[:ELEMENT_BYTES]) for record in records]
    head = key.digest + encode_ciphertext(ciphertext) + b"".join(commitments) + hashlib.sha256(context).digest()
    _verify_bits(records, commitments, challenge, head)

    a = key.combine(z, key.h_to(z_a)) * power(ciphertext, -link, key.n_squared) % key.n_squared
    # Horner, from the flag down to the lowest bit: doublings cost less than as many multiplications.
    total = add(commitments[-2], scalar_mult(_scalar(1 << (FLAG_SHIFT - AMOUNT_BITS + 1)), commitments[-1]))
    for commitment in reversed(commitments[:-2]):
        total = add(commitment, add(total, total))
    t = sub(add(base_mult(z_rho), scalar_mult(_scalar(z), _H)), scalar_mult(_scalar(link), total))
    if _link_challenge(head, challenge, encode_ciphertext(Ciphertext(a)), t) != link:
        raise InvalidProof("the number that was bounded is not the one in the ciphertext")


def _commit(blind: Scalar, bit: int) -> Element:
    committed = base_mult(blind)
    return add(committed, _H) if bit else committed


def _prove_bits(bits: list[int], blinds: list[Scalar], commitments: list[Element], head: bytes) -> tuple[Scalar, list[bytes]]:
    """One challenge for all bits, and of each bit (c_0, s_0, s_1) with c_1 = challenge - c_0."""
    nonces, simulated, announced = [], [], []
    for bit, commitment in zip(bits, commitments, strict=True):
        nonce, other_c, other_s = random_scalar(), random_scalar(), random_scalar()
        real = base_mult(nonce)
        # The branch that is not true: 1 for a bit 0, where the commitment less H would be a multiple of G.
        base = commitment if bit else sub(commitment, _H)
        fake = sub(base_mult(other_s), scalar_mult(other_c, base))
        announced.append(fake + real if bit else real + fake)
        nonces.append(nonce)
        simulated.append((other_c, other_s))
    challenge = hash_to_scalar(head + b"".join(announced), _BIT_DST)
    parts = []
    for bit, blind, nonce, (other_c, other_s) in zip(bits, blinds, nonces, simulated, strict=True):
        own_c = scalar_sub(challenge, other_c)
        own_s = scalar_add(nonce, scalar_mul(own_c, blind))
        parts.append(other_c + other_s + own_s if bit else own_c + own_s + other_s)
    return challenge, parts


def _verify_bits(records: list[bytes], commitments: list[Element], challenge: Scalar, head: bytes) -> None:
    announced = []
    for record, commitment in zip(records, commitments, strict=True):
        c_0, s_0, s_1 = (
            decode_scalar(record[start : start + SCALAR_BYTES]) for start in range(ELEMENT_BYTES, _BIT_BYTES, SCALAR_BYTES)
        )
        c_1 = scalar_sub(challenge, c_0)
        announced.append(sub(base_mult(s_0), scalar_mult(c_0, commitment)))
        announced.append(sub(base_mult(s_1), scalar_mult(c_1, sub(commitment, _H))))
    if hash_to_scalar(head + b"".join(announced), _BIT_DST) != challenge:
        raise InvalidProof("the proof that each bit is 0 or 1 does not hold")


def _link_challenge(head: bytes, challenge: Scalar, a: bytes, t: Element) -> int:
    digest = hashlib.sha512(_LINK_LABEL + head + challenge + a + t).digest()
    return int.from_bytes(digest) >> (512 - _CHALLENGE_BITS)


def _weighted(blinds: list[int]) -> int:
    return sum(blind << weight for blind, weight in zip(blinds, _WEIGHTS, strict=True))


def _scalar(value: int) -> Scalar:
    return decode_scalar((value % ORDER).to_bytes(SCALAR_BYTES, "little"))
