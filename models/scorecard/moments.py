"""Moments of both sides' standardised columns, and the penalised normal equations solved from them.

Columns are WOE columns at scale 2^10, clipped at ± 8 standard deviations, as integers: the bank's own moments are exact
integers that the office can replay, and the node's products with the bank's columns come from the masked product.
The order of the whole matrix is [node columns | bank columns | labels].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SCALE = 1 << 10
CLIP = 8
RIDGE = 0.01

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def standard_levels(woe: Floats, rows: NDArray[np.integer] | Floats) -> Integers:
    """Integer levels int64[B] of a WOE column: standardised over its rows, scale 2^10, clipped at ± 8.

    Args:
        woe: float64[B], the WOE of each bin.
        rows: [B], rows of each bin. A column without variance becomes zeros.
    """
    weights = rows / rows.sum()
    mean = float(weights @ woe)
    sd = float(np.sqrt(weights @ (woe - mean) ** 2))
    if sd < 1e-9:
        return np.zeros(woe.size, dtype=np.int64)
    return np.rint(np.clip((woe - mean) / sd, -CLIP, CLIP) * SCALE).astype(np.int64)


def integer_gram(columns: Integers) -> Integers:
    """Exact products int64[V, V] of integer columns int64[V, N], |entries| ≤ 2^13.

    Doubles carry the sums without loss, since N · 2^26 stays below 2^53.
    """
    if columns.size and np.abs(columns).max() > CLIP * SCALE:
        raise ValueError("columns must be clipped before their moments are taken")
    if columns.shape[1] >= 1 << 27:
        raise ValueError("too many rows for exact moments")
    values = columns.astype(np.float64)
    return (values @ values.T).astype(np.int64)


def bank_moments(labels: NDArray[np.uint8], columns: Integers) -> Integers:
    """The bank's exact moments int64[K+2, K+2] over [1, its columns, labels]: ones and labels at scale 1.

    Args:
        labels: uint8[N].
        columns: int64[K, N] at scale 2^10.
    """
    ones = np.ones((1, labels.size), dtype=np.int64)
    return integer_gram(np.concatenate([ones, columns, labels.astype(np.int64)[None]]))


@dataclass(frozen=True)
class Moments:
    """Covariances of [node columns | bank columns | labels] in natural units.

    Attributes:
        rows: of the cohort, or of all cohorts together.
        covariance: float64[d+1, d+1], the last row and column for the labels.
        node_fields: how many of the first columns are the node's.
    """

    rows: int
    covariance: Floats
    node_fields: int

    def correlation(self) -> Floats:
        """Correlations float64[d, d] of the columns of both sides, within [-1, 1]."""
        inner = self.covariance[:-1, :-1]
        sd = np.sqrt(np.maximum(np.diag(inner), 1e-12))
        matrix: Floats = np.clip(inner / np.outer(sd, sd), -1.0, 1.0)
        np.fill_diagonal(matrix, 1.0)
        return matrix

    def vif(self) -> Floats:
        """Variance inflation factors float64[d]; noise cannot push them below 1."""
        inverse = np.linalg.inv(_positive(self.correlation(), 1e-3))
        factors: Floats = np.maximum(np.diag(inverse), 1.0)
        return factors

    def weights(self, ridge: float = RIDGE) -> Floats:
        """Weights float64[d] of the whole linear model by the penalised normal equations (C + ridge · I) w = c_y."""
        inner = _positive(self.covariance[:-1, :-1], 1e-6)
        system = inner + ridge * np.eye(inner.shape[0])
        return np.asarray(np.linalg.solve(system, self.covariance[:-1, -1]), dtype=np.float64)


def assemble(rows: int, node: Floats, node_sums: Floats, cross: Floats, bank: Integers) -> Moments:
    """All moments from their three sources, in natural units and with the node's noise already added.

    Args:
        rows: N.
        node: float64[J, J], sums of products of node columns.
        node_sums: float64[J], sums of node columns.
        cross: float64[J, 1+K], sums of node columns times [labels, bank columns].
        bank: int64[K+2, K+2] of `bank_moments`, summed over banks where there are several.
    """
    J, K = node.shape[0], cross.shape[1] - 1
    scale = np.r_[1.0, np.full(K, 1.0 / SCALE), 1.0]
    own = bank * np.outer(scale, scale)
    total = np.zeros((J + K + 1, J + K + 1))
    total[:J, :J] = (node + node.T) / 2
    total[:J, J:] = np.concatenate([cross[:, 1:], cross[:, :1]], axis=1)
    total[J:, :J] = total[:J, J:].T
    total[J:, J:] = own[1:, 1:]
    mean = np.r_[node_sums, own[0, 1:]] / rows
    return Moments(rows, total / rows - np.outer(mean, mean), J)


def _positive(matrix: Floats, least: float) -> Floats:
    """The nearest symmetric matrix with eigenvalues of at least `least`: noise must not turn a minimum into a saddle."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    lifted: Floats = (vectors * np.maximum(values, least)) @ vectors.T
    return lifted
