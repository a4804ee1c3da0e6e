"""Proof that a Paillier ciphertext holds amount + 2^64·flag with 0 ≤ amount < 2^32 and flag 0 or 1: exact, without slack.

    bank(amount, flag, a; key n, h)                               node(n, h, c, ctx)
    --------------------------------------------------------------------------------
    m = amount + 2^64·flag;  c = (1+n)^m · h^a
    d_0 .. d_15 the amount's digits to base 4, d_16 the flag
    B = r·G + sum d_i·H_i
    x, y random;  a_i random with sum w_i·a_i = x modulo L
    A = s·G + sum a_i·H_i;  P = (1+n)^x · h^y
    u = Hash(n, h, c, ctx, B, A, P)
    t(X) = sum u^i · prod_(k<4) (d_i·X + a_i - k·X),
           for the flag X² · prod_(k<2): four coefficients t_k,
           since that of X^4 is 0 where the digits are digits
    T_k = tau_k·G + t_k·H
    e = Hash(u, T_0 .. T_3)
    f_i = e·d_i + a_i;  z_r = e·r + s;  z_t = sum e^k·tau_k
    z_y = y + e·a
                              B, T_1, T_2, T_3, e, f_i, z_r, z_t, z_y
                           ----------------------------->
                                                       z = sum w_i·f_i modulo L, z < 2^251 + 2^172;  z_y < 2^444
                                                       A = z_r·G + sum f_i·H_i - e·B
                                                       P = (1+n)^z · h^z_y · c^-e;  u as above
                                                       T_0 = z_t·G + t(e)·H - sum_(k>0) e^k·T_k, t(e) from f_i and u
                                                       e = Hash(u, T_0 .. T_3)

Digits. B fixes d_i, and A fixes a_i, while nobody knows how the generators H_i of ristretto255 depend on each other. At five
challenges the two sides of t agree only if they are one polynomial: its coefficient of X^4, sum u^i · prod_k (d_i - k), is 0,
so that each product is (Bünz and others 2018 join many conditions into one polynomial in this way; Bootle and others 2015 bound
digits by the degree of what their responses multiply to).

Two groups, one integer. z answers for both halves. Two transcripts with challenges e, e' give dz = z - z' and de = e - e' with
dz = de·m in Z_n and dz = de·v in Z_L, v being the committed number below 2^65. Since |dz| < 2^251 + 2^172 and |de·v| < 2^171
while L > 2^252, the second holds in the integers, so that m = v: no negative number, nothing that wraps. (Camenisch and Michels
1999 tie groups so; here the number is small enough that no assumption on roots is needed.) The last step needs de to have an
inverse modulo n, which `key_proof` gives but for factors that nobody could find, and h and its steps to be n-th powers, which
`key_proof` shows as well. What is proven is the bound on m; that its maker could open c, is not.

Leakage statement. Whoever sees the proof learns that the bound holds. z hides e·m but for 2^-80, z_y hides e·a but for 2^-80;
beside z the f_i are uniform, and so are B, T_k, z_r and z_t. A cheat needs 2^104 hashes: e has 106 bits, and four of all its
values may serve one.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Final

from crypto.errors import CryptoError, InvalidProof, ParameterError
from crypto.group import (
    ELEMENT_BYTES,
    IDENTITY,
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
    scalar_mult,
    sub,
)
from crypto.paillier.arithmetic import (
    EXPONENT_BITS,
    Ciphertext,
    PublicKey,
    draw_exponent,
    encode_ciphertext,
)

AMOUNT_BITS: Final = 32
FLAG_SHIFT: Final = 64
MOST_AMOUNT: Final = 2**AMOUNT_BITS - 1
_AMOUNT_DIGITS: Final = AMOUNT_BITS // 2
_DIGITS: Final = _AMOUNT_DIGITS + 1
_WEIGHTS: Final = (*(4**place for place in range(_AMOUNT_DIGITS)), 1 << FLAG_SHIFT)
_DEGREE: Final = 4
_CHALLENGE_BITS: Final = 106
_HIDING_BITS: Final = 80
_NUMBER_BITS: Final = FLAG_SHIFT + 1 + _CHALLENGE_BITS + _HIDING_BITS  # of x: 251
_BLIND_BITS: Final = EXPONENT_BITS + 1 + _CHALLENGE_BITS + _HIDING_BITS  # of y: 443
_MOST_Z: Final = (1 << _NUMBER_BITS) + (1 << (FLAG_SHIFT + 2 + _CHALLENGE_BITS))
_E_BYTES: Final = 14
_ZY_BYTES: Final = 56
PROOF_BYTES: Final = _DEGREE * ELEMENT_BYTES + _E_BYTES + (_DIGITS + 2) * SCALAR_BYTES + _ZY_BYTES

_GENERATOR_DST: Final = b"Xinqiao-BoundedAmount-v2-HashToGroup-ristretto255-SHA512"
_H: Final = hash_to_group(b"coefficients", _GENERATOR_DST)
_H_DIGITS: Final = tuple(hash_to_group(b"digit" + place.to_bytes(1), _GENERATOR_DST) for place in range(_DIGITS))
_MULTIPLES: Final = tuple((Element(IDENTITY), h, add(h, h), add(h, add(h, h))) for h in _H_DIGITS)
_U_DST: Final = b"Xinqiao-BoundedAmount-v2-Join-ristretto255-SHA512"
_E_LABEL: Final = b"Xinqiao-BoundedAmount-v2-Challenge"


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
    digits = [amount >> 2 * place & 3 for place in range(_AMOUNT_DIGITS)] + [int(flag)]

    r, s, x, y = _random(), _random(), secrets.randbits(_NUMBER_BITS), secrets.randbits(_BLIND_BITS)
    masks = [_random() for _ in digits]
    masks[0] = (x - sum(w * a for w, a in zip(_WEIGHTS[1:], masks[1:], strict=True))) % ORDER
    b = _sum([base_mult(_scalar(r)), *(multiples[digit] for multiples, digit in zip(_MULTIPLES, digits, strict=True))])
    a = _committed(s, masks)
    p = key.encrypt(x, y)
    u = _join(key, ciphertext, context, b, a, p)

    coefficients = _coefficients(u, digits, masks)
    blinds = [_random() for _ in coefficients]
    parts = [add(base_mult(_scalar(tau)), scalar_mult(_scalar(t), _H)) for tau, t in zip(blinds, coefficients, strict=True)]
    e = _challenge(u, parts)
    responses = [e * digit + mask for digit, mask in zip(digits, masks, strict=True)]
    z_t = sum(tau * e**power for power, tau in enumerate(blinds))
    proof = (
        b
        + b"".join(parts[1:])
        + e.to_bytes(_E_BYTES)
        + b"".join(map(_scalar, (*responses, e * r + s, z_t)))
        + (y + e * exponent).to_bytes(_ZY_BYTES)
    )
    return Answer(encode_ciphertext(ciphertext), proof, exponent)


def verify_bounded(key: PublicKey, ciphertext: bytes, proof: bytes, context: bytes) -> Ciphertext:
    """Check both, and return the ciphertext that may now be summed; about 5 ms.

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
    points, rest = proof[: _DEGREE * ELEMENT_BYTES], proof[_DEGREE * ELEMENT_BYTES :]
    b, *parts = (decode_element(points[at : at + ELEMENT_BYTES]) for at in range(0, len(points), ELEMENT_BYTES))
    e, scalars, z_y = int.from_bytes(rest[:_E_BYTES]), rest[_E_BYTES:-_ZY_BYTES], int.from_bytes(rest[-_ZY_BYTES:])
    *responses, z_r, z_t = (
        int.from_bytes(decode_scalar(scalars[at : at + SCALAR_BYTES]), "little") for at in range(0, len(scalars), SCALAR_BYTES)
    )
    z = sum(w * f for w, f in zip(_WEIGHTS, responses, strict=True)) % ORDER
    if not 0 < e < 1 << _CHALLENGE_BITS or z >= _MOST_Z or z_y >> (_BLIND_BITS + 1):
        raise InvalidProof("a response of the proof of a bounded amount is out of range")

    a = sub(_committed(z_r, responses), scalar_mult(_scalar(e), b))
    u = _join(key, ciphertext, context, b, a, key.explained(z, z_y, ciphertext, e))
    t = sum(pow(u, place, ORDER) * _product(place, f, e) for place, f in enumerate(responses))
    later = reduce(lambda total, part: scalar_mult(_scalar(e), add(total, part)), reversed(parts), Element(IDENTITY))
    first = sub(add(base_mult(_scalar(z_t)), scalar_mult(_scalar(t), _H)), later)
    if _challenge(u, [first, *parts]) != e:
        raise InvalidProof("the proof does not show that the number in this ciphertext is bounded")


def _product(place: int, response: int, e: int) -> int:
    """Of degree 4 in e; the coefficient of e^4 is 0 where the response is for a digit 0 to 3, or a flag 0 or 1."""
    if place == _AMOUNT_DIGITS:
        return e * e * response * (response - e)
    return response * (response - e) * (response - 2 * e) * (response - 3 * e)


def _coefficients(u: int, digits: Sequence[int], masks: Sequence[int]) -> list[int]:
    """t_0 to t_3: those of X^0 to X^3 of the sum of u^i times `_product`, for responses digit·X + mask."""
    total = [0] * (_DEGREE + 1)
    for place, (digit, mask) in enumerate(zip(digits, masks, strict=True)):
        steps, product = (range(2), [0, 0, 1]) if place == _AMOUNT_DIGITS else (range(4), [1])
        for step in steps:  # times mask + (digit - step)·X
            product = [mask * low + (digit - step) * high for low, high in zip([*product, 0], [0, *product], strict=True)]
        weight = pow(u, place, ORDER)
        total = [one + weight * coefficient for one, coefficient in zip(total, product, strict=True)]
    return [coefficient % ORDER for coefficient in total[:_DEGREE]]


def _committed(blind: int, numbers: Sequence[int]) -> Element:
    """blind·G + sum of number_i·H_i."""
    terms = (scalar_mult(_scalar(number), h) for number, h in zip(numbers, _H_DIGITS, strict=True))
    return _sum([base_mult(_scalar(blind)), *terms])


def _sum(elements: Sequence[Element]) -> Element:
    return reduce(add, elements)


def _join(key: PublicKey, ciphertext: Ciphertext, context: bytes, b: Element, a: Element, p: Ciphertext) -> int:
    numbers = encode_ciphertext(ciphertext) + encode_ciphertext(p)
    said = key.digest + hashlib.sha256(context).digest() + numbers + b + a
    return int.from_bytes(hash_to_scalar(said, _U_DST), "little")


def _challenge(u: int, parts: Sequence[Element]) -> int:
    digest = hashlib.sha512(_E_LABEL + _scalar(u) + b"".join(parts)).digest()
    return int.from_bytes(digest) >> (512 - _CHALLENGE_BITS)


def _random() -> int:
    return int.from_bytes(random_scalar(), "little")


def _scalar(value: int) -> Scalar:
    return decode_scalar((value % ORDER).to_bytes(SCALAR_BYTES, "little"))
