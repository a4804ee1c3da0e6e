"""Products of many powers at once: Π b_i^(x_i) for thousands of ciphertexts and small exponents.

Pippenger's method: exponents are cut into digits of w bits; for each digit the bases with equal digits are multiplied
together first, and the 2^w products are raised by adding up from the top. n bases with exponents of L bits cost about
L/w · (n + 2^(w+1)) multiplications instead of n·L. Numbers below 0 go into a product of their own, which is inverted once.

The work depends on the exponents, which are the caller's own secrets, and runs in the caller's own memory.
"""

from __future__ import annotations

from collections.abc import Sequence

import gmpy2

WIDEST = 10


def product_of_powers(bases: Sequence[int], exponents: Sequence[int], modulus: int) -> int:
    """Π bases[i]^exponents[i] modulo `modulus`; exponents may be negative, if the bases have inverses."""
    numbers, n = [gmpy2.mpz(base) for base in bases], gmpy2.mpz(modulus)
    above = _product([(b, x) for b, x in zip(numbers, exponents, strict=True) if x > 0], n)
    below = _product([(b, -x) for b, x in zip(numbers, exponents, strict=True) if x < 0], n)
    return int(above * gmpy2.invert(below, n) % n)


def _product(terms: list[tuple[gmpy2.mpz, int]], n: gmpy2.mpz) -> gmpy2.mpz:
    if not terms:
        return gmpy2.mpz(1)
    bits = max(x for _, x in terms).bit_length()
    width = min(range(1, WIDEST + 1), key=lambda w: -(-bits // w) * (len(terms) + (2 << w if w > 1 else 0)))
    total = gmpy2.mpz(1)
    for start in reversed(range(0, bits, width)):
        if total != 1:
            total = gmpy2.powmod(total, 1 << width, n)
        total = total * _digit(terms, start, width, n) % n
    return total


def _digit(terms: list[tuple[gmpy2.mpz, int]], start: int, width: int, n: gmpy2.mpz) -> gmpy2.mpz:
    """Π b^digit, the digit being `width` bits of x from `start`."""
    buckets: dict[int, gmpy2.mpz] = {}
    low = (1 << width) - 1
    for base, x in terms:
        if digit := x >> start & low:
            buckets[digit] = buckets[digit] * base % n if digit in buckets else base
    running, total = gmpy2.mpz(1), gmpy2.mpz(1)
    for digit in range(max(buckets, default=0), 0, -1):
        if digit in buckets:
            running = running * buckets[digit] % n
        total = total * running % n
    return total
