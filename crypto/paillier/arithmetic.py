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
from collections.abc import Iterable
from functools import cached_property, reduce
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
_DIGIT_BITS: Final = 5

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
    return gcd(n, int(gmpy2.primorial(below - 1))) != 1


def is_probably_prime(n: int) -> bool:
    """Whether n passes 25 rounds of Miller and Rabin; one round mostly tells a composite."""
    return bool(gmpy2.is_prime(n))


class PublicKey:
    """n and the base h of the blinding factors. Made by `decode` from what another party sent, which checks its form.

    Whether n is what a Paillier modulus must be is proven by `crypto.paillier.key_proof`.
    """

    def __init__(self, n: int, h: int) -> None:
        self.n: Final = n
        self.h: Final = h
        self.n_squared: Final = n * n
        self._kept = [gmpy2.mpz(h)]
        if n.bit_length() != KEY_BITS or n % 2 == 0:
            raise ParameterError(f"a Paillier modulus is odd and has exactly {KEY_BITS} bits; make a key with a current client")
        if not 1 < h < self.n_squared or gcd(h, n) != 1:
            raise ParameterError("the base of a Paillier key's blinding factors is out of range or has no inverse")

    def __repr__(self) -> str:
        return f"PublicKey({self.digest.hex()[:16]})"

    @classmethod
    def decode(cls, data: bytes) -> PublicKey:
        """n (384 bytes, big-endian), then h (768 bytes); raises `ParameterError`."""
        if len(data) != KEY_BYTES + CIPHERTEXT_BYTES:
            raise ParameterError(f"a Paillier key has {KEY_BYTES + CIPHERTEXT_BYTES} bytes, got {len(data)}")
        return cls(int.from_bytes(data[:KEY_BYTES]), int.from_bytes(data[KEY_BYTES:]))

    def encode(self) -> bytes:
        """What `decode` takes."""
        return self.n.to_bytes(KEY_BYTES) + self.h.to_bytes(CIPHERTEXT_BYTES)

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
        """h^a mod n², the factor that hides a plaintext; may be made before the plaintext is known."""
        return power(self.h, exponent, self.n_squared)

    def h_to(self, exponent: int) -> int:
        """h^exponent mod n² for an exponent that is no secret: a quarter of the time from the second one under a key on."""
        buckets = [gmpy2.mpz(1)] * (1 << _DIGIT_BITS)
        for place, step in enumerate(self._powers(-(-exponent.bit_length() // _DIGIT_BITS))):
            digit = exponent >> place * _DIGIT_BITS & (1 << _DIGIT_BITS) - 1
            buckets[digit] = buckets[digit] * step % self.n_squared
        # Of the product of bucket_d^d: each bucket goes once into every partial product below it.
        total = partial = gmpy2.mpz(1)
        for bucket in reversed(buckets[1:]):
            partial = partial * bucket % self.n_squared
            total = total * partial % self.n_squared
        return int(total)

    def _powers(self, count: int) -> list[gmpy2.mpz]:
        """h^(2^(5·i)) for i below `count`, kept (Brickell, Gordon, McCurley, Wilson 1992)."""
        kept = list(self._kept)
        while len(kept) < count:
            kept.append(gmpy2.powmod(kept[-1], 1 << _DIGIT_BITS, self.n_squared))
        self._kept = kept  # at once, since several threads verify under one key
        return kept[:count]

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
    public, private = phe_paillier.generate_paillier_keypair(n_length=KEY_BITS)
    n = int(public.n)
    while gcd(x := secrets.randbelow(n), n) != 1:
        pass
    return _with_base(private, n, x)


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
    # A p-th power modulo p² and a q-th power modulo q² make an n-th power modulo n², for a third of the time.
    u, p_squared, q_squared = n - x * x % n, int(private.psquare), int(private.qsquare)
    h_p, h_q = power(u, private.p, p_squared), power(u, private.q, q_squared)
    h = h_p + p_squared * ((h_q - h_p) * power(p_squared, -1, q_squared) % q_squared)
    return PrivateKey(private, PublicKey(n, h))


def draw_exponent() -> int:
    """A fresh blinding exponent; each serves one ciphertext."""
    return secrets.randbits(EXPONENT_BITS) | 1 << EXPONENT_BITS


def encode_ciphertext(ciphertext: Ciphertext) -> bytes:
    """768 big-endian bytes."""
    return ciphertext.to_bytes(CIPHERTEXT_BYTES)
