"""The parameter set of private models, as data, and the proof that its noise never reaches a score.

All coefficients below are those of polynomials modulo X^n + 1, n = 8,192, a row a coefficient.

    of                              coefficients                    at most
    a column x_j                    0 … 31                          LARGEST_CODE
    a weight's noise e_j            CDT Gaussian, sd 4              tail t_e (the sampler's table ends there)
    x_j·e_j                         n products of the two           n · 31 · t_e
    Σ_j over J ≤ 255 columns                                        255 · n · 31 · t_e
    u·e_pk and e_1·s                ternary times noise             n · t_e each
    Σ x_j w_j + pad                 wraps around t once             (q mod t) once more, below 2·t
                                                                    --------------------------------
    everything that the rows, the weights or the bank's noise touch  < 2^NOISE_BITS

Over it lies E, uniform in ± 2^(NOISE_BITS + 52): a coefficient with and without what the rows put there differ by a
statistical distance of at most 2^-53. A score is read correctly while noise and E together stay below Δ/2 = q/(2t), before
and after the switch to the last prime; `check` proves both from the numbers themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

from crypto import noise
from crypto.errors import ParameterError

FLOOD_BITS = 52
WEIGHT_BITS = 6  # signed
LARGEST_WEIGHT = 2 ** (WEIGHT_BITS - 1) - 1
LARGEST_CODE = 31
MOST_COLUMNS = 255
# Largest log2 of a modulus at which a ternary secret of this dimension has 128 bits of security (HomomorphicEncryption.org
# security standard, table 1; SEAL refuses more as well).
_SECURE_BITS = {4096: 109, 8192: 218, 16384: 438}


@dataclass(frozen=True)
class BfvParameters:
    """`primes`: the last one that remains after switching, the one that is switched away, and a spare one that SEAL
    reserves for key switching and nothing here uses. `plain`: t. `sd`: of every fresh noise. `noise_bits`: proven bound."""

    name: str
    degree: int
    primes: tuple[int, int, int]
    plain: int
    sd: int
    noise_bits: int

    @property
    def modulus(self) -> int:
        """q: what sums are computed modulo."""
        return self.primes[0] * self.primes[1]

    @property
    def flood_bits(self) -> int:
        """E is uniform in ± 2^flood_bits."""
        return self.noise_bits + FLOOD_BITS

    @property
    def largest_noise(self) -> int:
        """The largest magnitude that the sampler of fresh noise can return."""
        return len(noise.cumulative_table(self.sd))

    def noise_bound(self, columns: int) -> int:
        """The proven bound of everything but E in a sum over this many columns (the table above)."""
        n, e = self.degree, self.largest_noise
        return columns * n * LARGEST_CODE * e + 2 * n * e + 2 * (self.modulus % self.plain)

    def check(self) -> None:
        """Raise `ParameterError` unless the set is secure, its noise bound holds and every score is read correctly."""
        n, t, q0 = self.degree, self.plain, self.primes[0]
        bits = sum(prime.bit_length() for prime in self.primes)
        if bits > _SECURE_BITS.get(n, 0):
            raise ParameterError(f"{self.name}: a modulus of {bits} bits is not secure at dimension {n}")
        if t < 1 << 20 or t <= 2 * MOST_COLUMNS * LARGEST_WEIGHT * LARGEST_CODE:
            raise ParameterError(f"{self.name}: scores could wrap around; t is at least 2^20 and twice the largest score")
        if self.noise_bound(MOST_COLUMNS) >> self.noise_bits:
            raise ParameterError(f"{self.name}: noise may exceed 2^{self.noise_bits}, so the flooding would not hide it")
        total = (1 << self.flood_bits) + (1 << self.noise_bits)
        if 2 * t * total >= self.modulus:
            raise ParameterError(f"{self.name}: flooding would reach the scores")
        # After switching: the noise shrinks with q, rounding adds (1 + n)/2, the dropped bits of c0 and t·(q0 mod t)/q0 more.
        after = total // self.primes[1] + 1 + (1 + n) // 2 + (1 << DROPPED_BITS) + t
        if 2 * t * after >= q0:
            raise ParameterError(f"{self.name}: flooding would reach the scores after the modulus is switched")


DROPPED_BITS = 14
"""Low bits of c0 that hold nothing but noise and are not sent."""

PRIVATE_MODEL = BfvParameters(
    name="private-model",
    degree=8192,
    primes=(70368743669761, 1152921504606748673, 1152921504606830593),
    plain=1 << 20,
    sd=4,
    noise_bits=32,
)
PRIVATE_MODEL.check()
