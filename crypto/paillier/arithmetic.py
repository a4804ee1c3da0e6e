"""Paillier's arithmetic over `phe` and `gmpy2`; no other module imports these two, but for `powers`, which needs `gmpy2`.

A ciphertext is c = (1 + n)^m · h^a mod n². h = (-x²)^n mod n² is made by the key's owner and is part of the public key, a is
fresh for each encryption (Damgård, Jurik, Nielsen 2010, section 4.2; on its length see docs/decisions). Three rules keep what
is known to go wrong with `phe` out of reach, whichever path a number takes:

- what comes from outside is 768 bytes and becomes a `Ciphertext` by `PublicKey.ciphertext` alone, which refuses 0, n², whatever
  is not below n², and whatever shares a factor with n. (`phe` 1.5.0 decrypts 0 to (p + q)^-1 mod n, which factors n.)
- plaintexts are integers, never `phe`'s encoded numbers, whose exponents travel in clear and tell how large a number is
- `encrypt` always blinds, and so does `rerandomise`; there is no way to a ciphertext that was not blinded
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache, reduce
from typing import Final, NewType

try:
    import gmpy2
    from phe import paillier as phe_paillier
except ImportError as missing:
    raise ImportError("Paillier encryption needs the extra `paillier`: install xinqiao[paillier]") from missing

from crypto.errors import InvalidCiphertext, ParameterError

KEY_BITS: Final = 3072
KEY_BYTES: Final = KEY_BITS // 8
CIPHERTEXT_BYTES: Final = 2 * KEY_BYTES
EXPONENT_BITS: Final = 256
"""Of a blinding exponent a: twice the security level, as for Diffie-Hellman modulo primes of this size (SP 800-56A)."""
STEP_BITS: Final = 37
STEPS: Final = 12
LONGEST_EXPONENT: Final = STEPS * STEP_BITS
"""Bits of the longest exponent that the steps of h serve: that of `bounded`, which hides a blinding exponent."""
PUBLIC_KEY_BYTES: Final = KEY_BYTES + STEPS * CIPHERTEXT_BYTES
_COLUMN, _WIDE_COLUMN = 4, 6  # steps whose bits name one factor: of a key that serves once, and of one that serves often

Ciphertext = NewType("Ciphertext", int)
"""An integer in (0, n²) without a factor in common with n; `PublicKey.ciphertext` makes it of bytes."""


def power(base: int, exponent: int, modulus: int) -> int:
    """base^exponent mod modulus; a negative exponent needs a base that has an inverse."""
    return int(gmpy2.powmod(base, exponent, modulus))


def gcd(left: int, right: int) -> int:
    """The greatest common divisor."""
    return int(gmpy2.gcd(left, right))


def has_small_factor(n: int, below: int) -> bool:
    """Whether a prime under `below` divides n."""
    return gcd(n, int(_primorial(below - 1) % n)) != 1


@lru_cache(maxsize=1)
def _primorial(most: int) -> gmpy2.mpz:
    """The product of the primes up to `most`: of those below 5·10^6, 0.9 MB."""
    return gmpy2.primorial(most)


class PublicKey:
    """n, the base h of the blinding factors, and h raised by `STEP_BITS` bits again and again. `decode` checks their form.

    That n is what a Paillier modulus must be, h an n-th power and the `steps` its powers, `crypto.paillier.key_proof` proves.

    Args:
        n: the modulus.
        h: the base.
        steps: h^(2^(37·i)) mod n² for i from 1 to 11, as its owner says; made of h where they are not given.
    """

    def __init__(self, n: int, h: int, steps: Sequence[int] | None = None) -> None:
        self.n: Final = n
        self.h: Final = h
        self.n_squared: Final = n * n
        if n.bit_length() != KEY_BITS or n % 2 == 0:
            raise ParameterError(f"a Paillier modulus is odd and has exactly {KEY_BITS} bits; make a key with a current client")
        if steps is not None:
            self.steps = tuple(steps)
        bases = (h, *(steps or ()))
        together = reduce(lambda product, base: product * base % n, bases, 1)
        if not all(1 < base < self.n_squared for base in bases) or gcd(together, n) != 1:
            raise ParameterError("the base of a Paillier key's blinding factors is out of range or has no inverse")

    def __repr__(self) -> str:
        return f"PublicKey({self.digest.hex()[:16]})"

    @classmethod
    def decode(cls, data: bytes) -> PublicKey:
        """n (384 bytes, big-endian), then h and its steps (768 bytes each); raises `ParameterError`."""
        if len(data) != PUBLIC_KEY_BYTES:
            raise ParameterError(f"a Paillier key has {PUBLIC_KEY_BYTES} bytes, got {len(data)}")
        places = range(KEY_BYTES, PUBLIC_KEY_BYTES, CIPHERTEXT_BYTES)
        h, *steps = (int.from_bytes(data[place : place + CIPHERTEXT_BYTES]) for place in places)
        return cls(int.from_bytes(data[:KEY_BYTES]), h, steps)

    def encode(self) -> bytes:
        """What `decode` takes."""
        return self.n.to_bytes(KEY_BYTES) + b"".join(base.to_bytes(CIPHERTEXT_BYTES) for base in (self.h, *self.steps))

    @cached_property
    def steps(self) -> tuple[int, ...]:
        """h^(2^37), h^(2^74) and so on: what makes a power of h a product of bits of several exponents at once."""
        found, step = [], gmpy2.mpz(self.h)
        for _ in range(STEPS - 1):
            step = gmpy2.powmod(step, 1 << STEP_BITS, self.n_squared)
            found.append(int(step))
        return tuple(found)

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the encoded key, 32 bytes."""
        return hashlib.sha256(self.encode()).digest()

    def ciphertext(self, data: bytes) -> Ciphertext:
        """Take 768 big-endian bytes from outside as a ciphertext under this key.

        Raises:
            InvalidCiphertext: wrong length, 0, not below n², or not invertible modulo n.
        """
        if len(data) != CIPHERTEXT_BYTES:
            raise InvalidCiphertext(f"a Paillier ciphertext has {CIPHERTEXT_BYTES} bytes, got {len(data)}")
        value = int.from_bytes(data)
        if not 0 < value < self.n_squared:
            raise InvalidCiphertext("a Paillier ciphertext lies between 0 and n², neither included")
        if gcd(value, self.n) != 1:
            raise InvalidCiphertext("a Paillier ciphertext has no factor in common with n")
        return Ciphertext(value)

    def blinding(self, exponent: int) -> int:
        """h^a mod n², the factor that hides a plaintext; may be made before the plaintext is known.

        37 squarings and as many products for each four steps (Lim and Lee 1994): two fifths of what a power of h takes.
        """
        if exponent.bit_length() > LONGEST_EXPONENT:
            return power(self.h, exponent, self.n_squared)
        total, n_squared = gmpy2.mpz(1), self._modulus
        for factors in self._columns(exponent, _COLUMN):
            total = total * total % n_squared
            for factor in factors:
                total = total * factor % n_squared
        return int(total)

    def explained(self, plaintext: int, exponent: int, ciphertext: Ciphertext, challenge: int) -> Ciphertext:
        """(1 + n)^z · h^y · c^-e mod n², of numbers that are no secret; many under one key share its tables.

        The squarings for h^y are those for c^-e; e has at least 37 bits, y at most `LONGEST_EXPONENT`.
        """
        n_squared = self._modulus
        inverse = gmpy2.invert(ciphertext, n_squared)
        small = [gmpy2.mpz(1)]
        for _ in range(15):
            small.append(small[-1] * inverse % n_squared)
        columns = self._columns(exponent, _WIDE_COLUMN)
        total = gmpy2.mpz(1)
        for place in reversed(range(max(challenge.bit_length(), STEP_BITS))):
            total = total * total % n_squared
            if place < STEP_BITS:
                for factor in next(columns):
                    total = total * factor % n_squared
            if place % 4 == 0:
                total = total * small[challenge >> place & 15] % n_squared
        return self.combine(plaintext, int(total))

    @cached_property
    def _modulus(self) -> gmpy2.mpz:
        return gmpy2.mpz(self.n_squared)

    def _columns(self, exponent: int, width: int) -> Iterator[list[gmpy2.mpz]]:
        """For each bit of a step, from the highest: the factors that the exponent's bits at this place of all steps name."""
        rows = [
            f"{exponent >> start & (1 << STEP_BITS) - 1:0{STEP_BITS}b}" for start in range(0, exponent.bit_length(), STEP_BITS)
        ]
        groups = [rows[start : start + width][::-1] for start in range(0, len(rows), width)]
        tables = self._tables(width)
        names = [[int("".join(bits), 2) for bits in zip(*group, strict=True)] for group in groups]
        for place in range(STEP_BITS):
            yield [table[which[place]] for table, which in zip(tables, names, strict=False)]

    def _tables(self, width: int) -> list[list[gmpy2.mpz]]:
        """For each `width` steps the products of all subsets of them; kept."""
        if width not in self._kept:
            bases = [gmpy2.mpz(base) for base in (self.h, *self.steps)]
            tables = []
            for start in range(0, STEPS, width):
                table = [gmpy2.mpz(1)]
                for base in bases[start : start + width]:
                    table += [base, *(one * base % self._modulus for one in table[1:])]
                tables.append(table)
            self._kept[width] = tables  # at once, since several threads verify under one key
        return self._kept[width]

    @cached_property
    def _kept(self) -> dict[int, list[list[gmpy2.mpz]]]:
        return {}

    def encrypt(self, plaintext: int, exponent: int) -> Ciphertext:
        """(1 + n)^m · h^a mod n² for 0 ≤ m < n and an exponent of `draw_exponent`, used once; raises `ParameterError`."""
        if not 0 <= plaintext < self.n or exponent <= 0:
            raise ParameterError("a plaintext lies between 0 and n, and its exponent is positive")
        return self.combine(plaintext, self.blinding(exponent))

    def combine(self, plaintext: int, blinding: int) -> Ciphertext:
        """(1 + n)^m · blinding mod n², for a blinding factor that was made ahead and is used once."""
        return Ciphertext((1 + self.n * plaintext) * blinding % self.n_squared)

    def add(self, ciphertexts: Iterable[Ciphertext]) -> Ciphertext:
        """The ciphertext of the plaintexts' sum modulo n. It is as blinded as they are: `rerandomise` before it goes out."""
        return Ciphertext(reduce(lambda total, one: total * one % self.n_squared, map(int, ciphertexts), 1))

    def rerandomise(self, ciphertext: Ciphertext, exponent: int) -> Ciphertext:
        """The same plaintext under another blinding factor."""
        return Ciphertext(ciphertext * self.blinding(exponent) % self.n_squared)


class PrivateKey:
    """A key for one request: the factors of n, and its public half."""

    def __init__(self, key: phe_paillier.PaillierPrivateKey, public: PublicKey) -> None:
        self._key = key
        self.public: Final = public

    def __repr__(self) -> str:
        return f"PrivateKey(<secret>, {self.public!r})"

    def decrypt(self, data: bytes) -> int:
        """The plaintext in [0, n) of 768 bytes, which are looked at first; raises `InvalidCiphertext`."""
        return int(self._key.raw_decrypt(int(self.public.ciphertext(data))))

    def root(self, value: int) -> int:
        """The n-th root of `value` modulo n, which only the owner can take (by the factors, then put together)."""
        p, q, n = int(self._key.p), int(self._key.q), self.public.n
        root_p = power(value, power(n, -1, p - 1), p)
        root_q = power(value, power(n, -1, q - 1), q)
        return root_p + p * ((root_q - root_p) * power(p, -1, q) % q)


def generate_key() -> PrivateKey:
    """A fresh key of 3072 bits, some tenths of a second; gcd(n, phi(n)) = 1 since both primes have 1536 bits."""
    return key_from(secrets.token_bytes(2 * KEY_BYTES))


def key_from(randomness: bytes) -> PrivateKey:
    """The key of 3072 bits that 768 secret random bytes make: for who must show later how a key came about.

    Each prime is the next one after a number of 1536 bits whose two upper bits are set, so that n has 3072.
    """
    half = KEY_BYTES // 2
    if len(randomness) != 2 * KEY_BYTES:
        raise ParameterError(f"a key is made from {2 * KEY_BYTES} random bytes, got {len(randomness)}")
    top = 3 << (8 * half - 2)
    p, q = (int(gmpy2.next_prime(int.from_bytes(part) | top)) for part in (randomness[:half], randomness[half : 2 * half]))
    private = phe_paillier.PaillierPrivateKey(phe_paillier.PaillierPublicKey(p * q), p, q)
    return _with_base(private, p * q, int.from_bytes(randomness[2 * half :]))


def _with_base(private: phe_paillier.PaillierPrivateKey, n: int, x: int) -> PrivateKey:
    # A p-th power modulo p² and a q-th power modulo q² make an n-th power modulo n², for a third of the time; so for the steps.
    u, p_squared, q_squared = n - x * x % n, int(private.psquare), int(private.qsquare)
    inverse = power(p_squared, -1, q_squared)
    h_p, h_q = power(u, private.p, p_squared), power(u, private.q, q_squared)
    bases = []
    for _ in range(STEPS):
        bases.append(h_p + p_squared * ((h_q - h_p) * inverse % q_squared))
        h_p, h_q = power(h_p, 1 << STEP_BITS, p_squared), power(h_q, 1 << STEP_BITS, q_squared)
    return PrivateKey(private, PublicKey(n, bases[0], bases[1:]))


def draw_exponent() -> int:
    """A fresh blinding exponent; each serves one ciphertext."""
    return secrets.randbits(EXPONENT_BITS) | 1 << EXPONENT_BITS


def encode_ciphertext(ciphertext: Ciphertext) -> bytes:
    """768 big-endian bytes."""
    return ciphertext.to_bytes(CIPHERTEXT_BYTES)
