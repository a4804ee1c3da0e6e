"""Paillier: keys that are what they must be, ciphertexts that were looked at, and bounds that are proven exactly.

Negatives name what is bad. Keys of 3072 bits are made once for the module.
"""

from __future__ import annotations

import math
import secrets
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.errors import CryptoError, InvalidCiphertext, InvalidProof, ParameterError
from crypto.group import IDENTITY, Element, scalar_mult
from crypto.paillier import CIPHERTEXT_BYTES, KEY_BITS, PrivateKey, PublicKey, bounded, generate_key, key_proof
from crypto.paillier.arithmetic import KEY_BYTES, draw_exponent, encode_ciphertext
from crypto.paillier.bounded import (
    FLAG_SHIFT,
    MOST_AMOUNT,
    PROOF_BYTES,
    Answer,
    ciphertext_of,
    encrypt_bounded,
    verify_bounded,
)
from crypto.paillier.key_proof import PROOF_BYTES as KEY_PROOF_BYTES
from crypto.paillier.key_proof import ROUNDS, SMALLEST_FACTOR, prove_key, verify_key

CONTEXT = b"a question, a bank"


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    return generate_key()


@pytest.fixture(scope="module")
def proof(key: PrivateKey) -> bytes:
    return prove_key(key)


def slow_decrypt(key: PrivateKey, ciphertext: int) -> int:
    """Paillier 1999, by the book: L(c^lambda mod n²) / L((1+n)^lambda mod n²) mod n."""
    n, p, q = key.public.n, int(key._key.p), int(key._key.q)
    lam = math.lcm(p - 1, q - 1)
    over = (pow(ciphertext, lam, n * n) - 1) // n
    return over * pow((pow(1 + n, lam, n * n) - 1) // n, -1, n) % n


def test_what_is_encrypted_is_decrypted_as_by_the_book(key: PrivateKey) -> None:
    for plaintext in (0, secrets.randbelow(key.public.n)):
        ciphertext = key.public.encrypt(plaintext, draw_exponent())
        assert key.decrypt(encode_ciphertext(ciphertext)) == plaintext == slow_decrypt(key, ciphertext)


def test_sums_and_fresh_blinding(key: PrivateKey) -> None:
    public = key.public
    ciphertexts = [public.encrypt(value, draw_exponent()) for value in (3, 4, 5)]
    total = public.add(ciphertexts)
    again = public.rerandomise(total, draw_exponent())
    assert again != total
    assert key.decrypt(encode_ciphertext(again)) == 12
    assert public.encrypt(3, draw_exponent()) != ciphertexts[0]


def test_powers_by_steps_are_powers(key: PrivateKey) -> None:
    public, bare = key.public, PublicKey(key.public.n, key.public.h)
    assert bare.steps == public.steps
    for exponent in (1, 31, 1 << 37, secrets.randbits(200), draw_exponent(), (1 << 444) - 1, secrets.randbits(500)):
        assert public.blinding(exponent) == bare.blinding(exponent) == pow(public.h, exponent, public.n_squared)


def test_many_powers_at_once_are_each_of_them(key: PrivateKey) -> None:
    public = key.public
    ciphertext = public.encrypt(5, draw_exponent())
    for exponent, challenge in ((secrets.randbits(444), secrets.randbits(106) | 1), (0, 1), (1 << 40, (1 << 106) - 1)):
        expected = pow(1 + public.n, 7, public.n_squared) * pow(public.h, exponent, public.n_squared)
        expected = expected * pow(ciphertext, -challenge, public.n_squared) % public.n_squared
        assert public.explained(7, exponent, ciphertext, challenge) == expected


def test_the_base_of_blinding_factors_encrypts_zero(key: PrivateKey) -> None:
    assert key.decrypt(encode_ciphertext(key.public.ciphertext(key.public.h.to_bytes(CIPHERTEXT_BYTES)))) == 0


@pytest.mark.parametrize(
    "bad",
    ["zero", "n", "n_squared", "multiple_of_p", "above_n_squared", "short", "long"],
)
def test_a_ciphertext_out_of_range_is_refused_before_anything_touches_it(key: PrivateKey, bad: str) -> None:
    n = key.public.n
    values = {"zero": 0, "n": n, "n_squared": n * n, "multiple_of_p": int(key._key.p), "above_n_squared": n * n + 1}
    data = values[bad].to_bytes(CIPHERTEXT_BYTES) if bad in values else bytes(CIPHERTEXT_BYTES + (1 if bad == "long" else -1))
    with pytest.raises(InvalidCiphertext):
        key.decrypt(data)
    with pytest.raises(InvalidCiphertext):
        verify_bounded(key.public, data, bytes(PROOF_BYTES), CONTEXT)


def test_a_key_is_read_back_and_redacted(key: PrivateKey) -> None:
    assert PublicKey.decode(key.public.encode()).digest == key.public.digest
    assert key.public.n.bit_length() == KEY_BITS
    assert "secret" in repr(key)
    assert str(key._key.p) not in repr(key)


@pytest.mark.parametrize("bad", ["short", "even", "small", "h_one", "h_shares_a_factor", "step_one", "step_shares_a_factor"])
def test_a_public_key_of_another_form_is_refused(key: PrivateKey, bad: str) -> None:
    n, h = key.public.n, key.public.h
    made = {
        "even": (n - 1, h),
        "small": (n >> 1 | 1, h),
        "h_one": (n, 1),
        "h_shares_a_factor": (n, n),
    }
    n, h = made.get(bad, (n, h))
    last = {"step_one": 1, "step_shares_a_factor": int(key._key.p)}.get(bad, key.public.steps[-1])
    bases = (h, *key.public.steps[:-1], last)
    data = n.to_bytes(KEY_BYTES) + b"".join(base.to_bytes(CIPHERTEXT_BYTES) for base in bases)
    with pytest.raises(ParameterError):
        PublicKey.decode(data[:-1] if bad == "short" else data)


def test_the_key_proof_holds_for_its_key_alone(key: PrivateKey, proof: bytes) -> None:
    verify_key(key.public, proof)
    other = PublicKey(key.public.n, key.public.h * 2 % key.public.n_squared)
    for public, given_ in (
        (other, proof),
        (key.public, proof[:-1]),
        (key.public, bytes(len(proof))),
        (key.public, proof[::-1]),
    ):
        with pytest.raises(InvalidProof):
            verify_key(public, given_)


def test_a_modulus_that_is_no_paillier_modulus_has_no_proof(key: PrivateKey) -> None:
    """n = p²·q shares p with phi(n): two thirds of what a hash picks have no n-th root, and nobody can make them."""
    p = next_prime(1 << 1000)
    q = next_prime((1 << KEY_BITS - 1) // (p * p))
    n = p * p * q
    assert n.bit_length() == KEY_BITS
    phi = p * (p - 1) * (q - 1)
    assert math.gcd(n, phi) == p
    public = PublicKey(n, pow(4, n, n * n))
    # The best that its owner can do: roots modulo the part of phi that is coprime to n.
    exponent = pow(n, -1, phi // p)
    roots = [pow(rho, exponent, n) for rho in key_proof._challenges(public)]
    forged = b"".join(root.to_bytes(KEY_BYTES) for root in (*roots, 4))
    with pytest.raises(InvalidProof):
        verify_key(public, forged)
    assert ROUNDS * math.log2(SMALLEST_FACTOR) >= 133


def test_a_prime_or_smooth_modulus_is_refused() -> None:
    prime = next_prime(1 << KEY_BITS - 1)
    smooth = 3 * ((1 << KEY_BITS) // 3 - 2)
    for n in (prime, smooth):
        with pytest.raises(InvalidProof):
            verify_key(PublicKey(n, pow(4, n, n * n)), bytes(KEY_PROOF_BYTES))
    # By Fermat each residue modulo a prime is its own root.
    public = PublicKey(prime, pow(4, prime, prime * prime))
    roots = b"".join(root.to_bytes(KEY_BYTES) for root in (*key_proof._challenges(public), 4))
    with pytest.raises(InvalidProof, match="is prime"):
        verify_key(public, roots)


def test_a_step_that_is_none_is_refused(key: PrivateKey) -> None:
    """The naive check looks at n alone: with one step off by -1 each honest answer fails by a toss."""
    public = key.public
    steps = list(public.steps)
    steps[8] = public.n_squared - steps[8]
    thinning = PublicKey(public.n, public.h, steps)
    own = prove_key(PrivateKey(key._key, thinning))
    with pytest.raises(InvalidProof, match="steps"):
        verify_key(thinning, own)

    def taken() -> bool:
        made = encrypt_bounded(thinning, 700, True, CONTEXT)
        with suppress(InvalidProof):
            verify_bounded(thinning, made.ciphertext, made.proof, CONTEXT)
            return True
        return False

    assert not all(taken() for _ in range(64)), "such a key decides which honest answers are taken"


def test_a_base_that_is_no_power_opens_in_two_ways_and_is_refused(key: PrivateKey) -> None:
    n, n_squared = key.public.n, key.public.n_squared
    base = (n_squared - 1) * pow(1 + n, (n - 1) // 2, n_squared) % n_squared
    loose = PublicKey(n, base)
    one, other = (ciphertext_of(loose, amount, False, exponent) for amount, exponent in ((0, 1 << 300), (5, (1 << 300) + 10)))
    assert one == other, "h² = 1/(1 + n): what is added to the amount, twice that in the exponent takes away"
    with pytest.raises(InvalidProof, match="no n-th power"):
        verify_key(loose, prove_key(PrivateKey(key._key, loose)))


@pytest.mark.parametrize(("amount", "flag"), [(0, False), (1, True), (MOST_AMOUNT, True), (1 << 31, False), (77, True)])
def test_bounded_amounts_are_proven_and_open(key: PrivateKey, amount: int, flag: bool) -> None:
    made = encrypt_bounded(key.public, amount, flag, CONTEXT)
    checked = verify_bounded(key.public, made.ciphertext, made.proof, CONTEXT)
    assert key.decrypt(encode_ciphertext(checked)) == amount + (int(flag) << FLAG_SHIFT)
    assert ciphertext_of(key.public, amount, flag, made.exponent) == made.ciphertext
    assert ciphertext_of(key.public, amount, not flag, made.exponent) != made.ciphertext
    assert repr(made) == "Answer(redacted)"


def test_amounts_out_of_range_cannot_be_encrypted(key: PrivateKey) -> None:
    for amount in (-1, MOST_AMOUNT + 1):
        with pytest.raises(ParameterError):
            encrypt_bounded(key.public, amount, True, CONTEXT)


@settings(max_examples=40)
@given(place=st.integers(0, PROOF_BYTES - 1), bit=st.integers(0, 7))
def test_a_proof_with_one_bit_changed_is_refused(key: PrivateKey, place: int, bit: int) -> None:
    if not MADE:
        MADE.append(encrypt_bounded(key.public, 5, True, CONTEXT))
    made = MADE[0]
    changed = bytearray(made.proof)
    changed[place] ^= 1 << bit
    with pytest.raises(CryptoError):
        verify_bounded(key.public, made.ciphertext, bytes(changed), CONTEXT)


MADE: list[Answer] = []


def test_a_proof_is_for_its_ciphertext_key_and_context(key: PrivateKey) -> None:
    made, other = (encrypt_bounded(key.public, 5, True, CONTEXT) for _ in range(2))
    for ciphertext, context in ((other.ciphertext, CONTEXT), (made.ciphertext, b"another question")):
        with pytest.raises(InvalidProof):
            verify_bounded(key.public, ciphertext, made.proof, context)


@pytest.mark.parametrize("number", ["negative", "large", "flag_two"])
def test_a_number_out_of_bounds_has_no_proof(key: PrivateKey, number: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cheat proves the digits of a number it may, and encrypts another: the two halves do not have the same answer z."""
    cheat = {"negative": -5, "large": 5 + (1 << 33), "flag_two": 5 + (2 << FLAG_SHIFT)}[number]
    encrypt = PublicKey.encrypt
    monkeypatch.setattr(bounded, "plaintext_of", lambda *_: cheat)
    monkeypatch.setattr(PublicKey, "encrypt", lambda self, m, exponent: encrypt(self, m % self.n, exponent))
    made = encrypt_bounded(key.public, 5, True, CONTEXT)
    monkeypatch.undo()
    assert key.decrypt(made.ciphertext) == cheat % key.public.n
    assert len(made.proof) == PROOF_BYTES
    with pytest.raises(InvalidProof, match="in this ciphertext"):
        verify_bounded(key.public, made.ciphertext, made.proof, CONTEXT)


DIGITS = {
    "negative": [-5, *[0] * 16],
    "large": [*[0] * 15, 4, 1],
    "flag_two": [*[1] * 16, 2],
    "flag_below_zero": [*[1] * 16, -1],
    "many": [4, -1, 7, *[0] * 13, 3],
}


@pytest.mark.parametrize("number", list(DIGITS))
def test_digits_out_of_bounds_have_no_proof(key: PrivateKey, number: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cheat whose halves fit each other, and whose digits are none: it leaves out the coefficient that would show it."""
    digits = DIGITS[number]
    value = sum(weight * digit for weight, digit in zip(bounded._WEIGHTS, digits, strict=True))
    powers = bounded._coefficients

    def cheats(u: int, honest: list[int], masks: list[int]) -> list[int]:
        honest[:] = digits
        return powers(u, honest, masks)

    # B is made of the digits as well: of h_i for each digit, whatever the table says of the honest one.
    honest = [1] * 16 + [1]
    table = [list(row) for row in bounded._MULTIPLES]
    for row, h, digit in zip(table, bounded._H_DIGITS, digits, strict=True):
        row[1] = Element(IDENTITY) if digit == 0 else scalar_mult(bounded._scalar(digit), h)
    encrypt = PublicKey.encrypt
    monkeypatch.setattr(bounded, "plaintext_of", lambda *_: value)
    monkeypatch.setattr(bounded, "_MULTIPLES", table)
    monkeypatch.setattr(bounded, "_coefficients", cheats)
    monkeypatch.setattr(PublicKey, "encrypt", lambda self, m, exponent: encrypt(self, m % self.n, exponent))
    amount = sum(4**place for place in range(16))
    made = encrypt_bounded(key.public, amount, True, CONTEXT)
    assert digits != honest
    # The naive build: where the products are not judged, this proof holds.
    monkeypatch.setattr(bounded, "_product", lambda place, f, e: _without_top(place, f, e, digits[place]))
    verify_bounded(key.public, made.ciphertext, made.proof, CONTEXT)
    monkeypatch.undo()
    assert key.decrypt(made.ciphertext) == value % key.public.n
    with pytest.raises(InvalidProof):
        verify_bounded(key.public, made.ciphertext, made.proof, CONTEXT)


def _without_top(place: int, response: int, e: int, digit: int) -> int:
    ranges = (0, 1) if place == 16 else (0, 1, 2, 3)
    return REAL_PRODUCT(place, response, e) - e**4 * math.prod(digit - k for k in ranges)


REAL_PRODUCT = bounded._product


def test_an_answer_z_that_could_wrap_is_refused(key: PrivateKey, monkeypatch: pytest.MonkeyPatch) -> None:
    """With x as large as the group's order z is one number in the group and another under Paillier."""
    monkeypatch.setattr(bounded, "_NUMBER_BITS", 252)

    def out_of_range() -> bool:
        made = encrypt_bounded(key.public, 5, True, CONTEXT)
        try:
            verify_bounded(key.public, made.ciphertext, made.proof, CONTEXT)
        except InvalidProof as error:
            return "out of range" in str(error)
        return False

    assert any(out_of_range() for _ in range(64)), "half of these x are as large"


def next_prime(above: int) -> int:
    import gmpy2

    return int(gmpy2.next_prime(above))
