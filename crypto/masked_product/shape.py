"""What both sides of a masked product agree on: sizes, bounds, scales, and the noise that follows from them.

A natural unit is one row of a 0/1 or standardised column times one natural unit of a vector. An integer column is x at
scale s with |x| ≤ x_max (1 and 1 for 0/1 columns; 2^10 and 8·2^10 for standardised ones, clipped). A vector has a natural
bound a_v and an integer scale t_v (1 and 1 for labels; 8 and 2^10 for weights of evidence), so |α_v| ≤ a_v·t_v.
"""

from __future__ import annotations

import hashlib
import math
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crypto import lwe_params
from crypto.errors import InvalidCiphertext, ParameterError

_SIGNAL_BITS = 62  # |Δ·⟨x, α⟩| summed over all banks stays below 2^62, which leaves as much again for noise
_NOISE_MARGIN = 8  # standard deviations of noise that fit beside the signal
NOISE_UNIT = 1 << 10  # a vector's own noise is stated in so many parts of a natural unit
_CLIP = 8  # standardised columns are clipped at ± 8 standard deviations
_LWE_SHARE = 50  # the LWE term may be 1/50 = 2 % of √N natural units
_HINT_SHARE = 10  # the hint term may be 1/10 of √N natural units


@dataclass(frozen=True)
class VectorSpec:
    """A bank vector's natural bound a_v and integer scale t_v; its entries are integers of at most a_v·t_v.

    ``noise``: standard deviation of the bank's noise on its products in 2^-10 natural units, where more is wanted than the
    protocol itself needs, as differential privacy does. ``withheld``: its products are not given at all; the answers are
    uniform words.
    """

    bound: int
    scale: int
    noise: int = 0
    withheld: bool = False

    @property
    def integer_bound(self) -> int:
        """a_v · t_v."""
        return self.bound * self.scale


@dataclass(frozen=True)
class ProductShape:
    """Sizes and scales of one masked product.

    ``rows``: N. ``columns``: J, words answered under one secret (for one-hot columns the sum of bins). ``column_scale``,
    ``column_bound``: s and x_max, one kind a message. ``vectors``: one entry for each α_v. ``banks``: K whose answers are
    added before recovery, with ``largest_rows`` the rows of the largest of their cohorts (0: ``rows``).
    """

    rows: int
    columns: int
    column_scale: int
    column_bound: int
    vectors: tuple[VectorSpec, ...]
    banks: int = 1
    largest_rows: int = 0

    def delta(self, v: int) -> int:
        """Δ_v = 2^⌊62 − log2(N · x_max · a_v·t_v) − log2 K⌋, N the largest cohort; 0 where nothing is left."""
        most = self._most_rows * self.column_bound * self.vectors[v].integer_bound * self.banks
        exponent = _SIGNAL_BITS - (most - 1).bit_length()
        return 1 << exponent if exponent >= 0 else 0

    def unit(self, v: int) -> int:
        """One natural unit in ring integers: s · t_v · Δ_v."""
        return self.column_scale * self.vectors[v].scale * self.delta(v)

    def answer_sd(self, v: int) -> int:
        """Standard deviation of the bank's noise on w_jv in ring integers: max(a_v natural units, its own, hint term)."""
        spec = self.vectors[v]
        return max(spec.bound * self.unit(v), -(-spec.noise * self.unit(v) // NOISE_UNIT), self.hint_sd)

    @property
    def hint_sd(self) -> int:
        """⌈σ · √(J·N) · x_max / 8⌉: J answers with this much noise keep s_v and e_v as hard to find as before."""
        variance = lwe_params.PRODUCT.sigma**2 * self.columns * self._most_rows * self.column_bound**2
        return math.isqrt(-(-variance // _CLIP**2) - 1) + 1

    def predicted_noise(self, v: int) -> float:
        """Standard deviation of one recovered (summed) product in natural units, before the node adds its own noise.

        For columns of unit variance at most: ⟨x, e⟩, ⟨u, e'⟩ − ⟨f, s⟩ and the bank's noise.
        """
        sigma, n = lwe_params.PRODUCT.sigma, lwe_params.PRODUCT.dimension
        lwe = sigma * math.sqrt(self._most_rows) * self.column_scale
        masks = sigma * math.sqrt(n * 4 / 3)
        return math.sqrt(self.banks) * math.hypot(lwe, masks, self.answer_sd(v)) / self.unit(v)

    def check(self) -> None:
        """Raise ``ParameterError`` unless sizes are possible and every product stays above its noise."""
        parameters = lwe_params.PRODUCT
        if self.columns < 1 or self.banks < 1 or not self.vectors:
            raise ParameterError("a masked product needs at least one column, one vector and one bank")
        if self.largest_rows and self.largest_rows < self.rows:
            raise ParameterError("largest_rows is the largest cohort and cannot be below this bank's rows")
        parameters.check_samples(self.rows)
        parameters.check_samples(self._most_rows)
        zero_one = (self.column_scale, self.column_bound) == (1, 1)
        if not zero_one and not (self.column_scale > 1 and self.column_bound == _CLIP * self.column_scale):
            raise ParameterError("columns are 0/1 (scale 1, bound 1) or standardised (bound = 8 · scale)")
        for v, spec in enumerate(self.vectors):
            if spec.bound < 1 or spec.scale < 1 or spec.noise < 0:
                raise ParameterError(f"vector {v}: bound and scale must be positive integers, noise must not be negative")
            self._check_noise(v)

    def _check_noise(self, v: int) -> None:
        resolution = self.vectors[v].scale * self.delta(v)
        sigma = lwe_params.PRODUCT.sigma
        if _LWE_SHARE * sigma > resolution:
            raise ParameterError(
                f"vector {v}: LWE noise would exceed 2 % of √N natural units; use fewer rows, smaller bounds or fewer banks"
            )
        if (_HINT_SHARE * sigma * self.column_bound) ** 2 * self.columns > (_CLIP * self.column_scale * resolution) ** 2:
            raise ParameterError(
                f"vector {v}: the noise that protects the bank's secret would exceed 10 % of √N natural units; "
                "answer fewer columns at once, or use smaller bounds"
            )
        if _NOISE_MARGIN * self.predicted_noise(v) * self.unit(v) > 1 << _SIGNAL_BITS:
            raise ParameterError(f"vector {v}: noise would wrap around; use more rows or fewer banks")

    def digest(self) -> bytes:
        """SHA-256 of every figure of the shape and of the parameter set: keys are bound to it."""
        parameters = lwe_params.PRODUCT
        figures = [parameters.dimension, parameters.modulus_bits, parameters.sigma, self.rows, self.columns]
        figures += [self.column_scale, self.column_bound, self.banks, self._most_rows]
        figures += [figure for spec in self.vectors for figure in (spec.bound, spec.scale)]
        if any(spec.noise or spec.withheld for spec in self.vectors):
            figures += [figure for spec in self.vectors for figure in (spec.noise, int(spec.withheld))]
        packed = struct.pack(f">{len(figures)}Q", *figures)
        return hashlib.sha256(b"xinqiao/masked-product/shape" + packed).digest()

    @property
    def _most_rows(self) -> int:
        return self.largest_rows or self.rows


@dataclass(frozen=True, repr=False)
class OneHot:
    """Binned columns: ``codes`` uint8[C, N] with ``codes[f] < bins[f]``; J = Σ bins 0/1 columns, field by field."""

    codes: NDArray[np.uint8]
    bins: tuple[int, ...]

    def check(self, shape: ProductShape) -> None:
        """Raise ``ParameterError`` unless codes and bins fit each other and ``shape``."""
        expect_input(self.codes, (len(self.bins), shape.rows), np.uint8, "codes")
        if sum(self.bins) != shape.columns or shape.column_bound != 1:
            raise ParameterError("one-hot columns need scale 1, bound 1 and as many columns as bins")
        if not all(1 <= count <= 256 for count in self.bins):
            raise ParameterError("a field has 1 to 256 bins")
        if (self.codes.max(axis=1) >= np.array(self.bins)).any():
            raise ParameterError("a code lies outside its field's bins; bin the columns again")

    def data(self) -> bytes:
        """Canonical bytes, for the commitment."""
        return bytes(f"one-hot {self.bins}", "ascii") + self.codes.tobytes()


@dataclass(frozen=True, repr=False)
class Dense:
    """Integer columns: ``values`` int64[J, N] at the shape's scale, |values| ≤ its bound."""

    values: NDArray[np.int64]

    def check(self, shape: ProductShape) -> None:
        """Raise ``ParameterError`` unless sizes and bound are those of ``shape``."""
        expect_input(self.values, (shape.columns, shape.rows), np.int64, "values")
        if max(int(self.values.max()), -int(self.values.min())) > shape.column_bound:
            raise ParameterError("a value exceeds the declared bound; clip the columns first")

    def data(self) -> bytes:
        """Canonical bytes, for the commitment."""
        return b"dense" + self.values.astype("<i8", copy=False).tobytes()


def fixed_point(values: NDArray[np.float64], scale: int, bound: int) -> NDArray[np.int64]:
    """Round natural values to int64 at ``scale``, clipped at ± ``bound`` (an integer at that scale); refuses NaN."""
    if not np.isfinite(values).all():
        raise ParameterError("missing or infinite values; give them a bin or a weight of their own first")
    return np.clip(np.rint(values * scale), -bound, bound).astype(np.int64)


def expect_input(array: object, shape: tuple[int, ...], dtype: type[np.generic], what: str) -> None:
    """Raise ``ParameterError`` unless a caller's array has exactly this shape and dtype."""
    _expect(array, shape, dtype, what, ParameterError)


def expect_words(array: object, shape: tuple[int, ...], what: str) -> None:
    """Raise ``InvalidCiphertext`` unless a received array is uint64 of exactly this shape."""
    _expect(array, shape, np.uint64, what, InvalidCiphertext)


def _expect(
    array: object,
    shape: tuple[int, ...],
    dtype: type[np.generic],
    what: str,
    error: type[ParameterError | InvalidCiphertext],
) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != dtype or array.shape != shape:
        found = f"{array.dtype} {list(array.shape)}" if isinstance(array, np.ndarray) else type(array).__name__
        raise error(f"{what}: expected {np.dtype(dtype)} {list(shape)}, got {found}")
