"""Private retrieval of one column: SimplePIR (Henzinger, Hong, Corrigan-Gibbs, Meiklejohn, Vaikuntanathan, USENIX
Security 2023) over a byte table.

The table D is uint8[rows, m], its bytes read as int8 (two's complement), all arithmetic modulo 2^32. A (m × n) is public,
from the epoch's seed, so one hint serves every client and a client may keep A.

    Client                                           Server
                                  <- hint H = D·A    once an epoch
    s uniform, noise e
    q = A s + e + 2^24 · unit_i   ------- q ------>
                                  <------ a ------   a = D·q
    column i = ((a − H s + 2^23) >> 24) mod 256

A s + e and H s do not depend on the column: ``PirClient.prepare`` makes them before it is known, for one query each.

Leakage. The server learns that a query was made, not the column: q is an LWE sample with a fresh secret. The client learns
one column, a and the hint (which depend on the whole table: cells must be encrypted under keys of their own). A dishonest
server can return a wrong answer; what a column holds must be authenticated outside, and the hint checked by someone
who holds the table (``check_hint``).

Decoding. The noise D·e has standard deviation σ·√m·74 for uniform bytes: 10 of them fit below 2^23 at the most columns
allowed, so one byte in 10^22 is wrong.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crypto import kernels, noise
from crypto.errors import InvalidCiphertext, InvalidHint, ParameterError
from crypto.lwe_params import PIR
from crypto.xof import MatrixLabel, MatrixStream

_DELTA_BITS = 24
_HALF_DELTA = np.uint32(1 << (_DELTA_BITS - 1))
_KEPT_BYTES = 256 << 20  # a client keeps a matrix up to this size
_SERVE_ONCE = "prepared queries serve once, and each for one column: prepare as many as are asked"


def setup(table: NDArray[np.uint8], seed: bytes) -> NDArray[np.uint32]:
    """The hint H = D·A: uint32[rows, n] for ``table`` uint8[rows, m] and the epoch's 32-byte public ``seed``."""
    check_table(table)
    return kernels.table_times_matrix(table, _matrix(seed, table.shape[1]))


def answer(table: NDArray[np.uint8], query: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """a = D·q: uint32[rows] for one query uint32[m]; raises ``InvalidCiphertext`` for any other query."""
    _expect_words(query, (table.shape[1],), "the query")
    answers: NDArray[np.uint32] = kernels.table_times(table, query[np.newaxis])[0]
    return answers


def answer_many(table: NDArray[np.uint8], queries: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Answers uint32[T, rows] to queries uint32[T, m] in one pass over the table."""
    _expect_words(queries, (len(queries), table.shape[1]), "the queries")
    return kernels.table_times(table, queries)


def check_table(table: NDArray[np.uint8]) -> None:
    """Raise ``ParameterError`` unless ``table`` is uint8[rows, m], contiguous, m within the proven range."""
    if not isinstance(table, np.ndarray) or table.dtype != np.uint8 or table.ndim != 2 or not table.size:
        raise ParameterError("a table is a non-empty uint8 array of rows and columns")
    if not table.flags.c_contiguous:
        raise ParameterError("a table must be contiguous in row order; pass numpy.ascontiguousarray(table)")
    PIR.check_samples(table.shape[1])


def check_hint(table: NDArray[np.uint8], hint: NDArray[np.uint32], seed: bytes, vectors: int = 64) -> None:
    """Raise ``InvalidHint`` unless H = D·A, tested as D·(A·r) = H·r for ``vectors`` random secret r modulo 2^32.

    Draw them after table and hint are fixed. One vector misses a wrong row at most half of the time (an error of 2^31 shows
    only for odd r), so 64 miss it with probability 2^-64.
    """
    check_table(table)
    if vectors < 1:
        raise ParameterError("a check needs at least one random vector; 64 are advised")
    if hint.dtype != np.uint32 or hint.shape != (table.shape[0], PIR.dimension):
        raise InvalidHint("the hint does not have the size of this table; download it again")
    r = noise.words32(os.urandom(32), b"check hint", vectors * PIR.dimension).reshape(vectors, PIR.dimension)
    expected = kernels.table_times(table, kernels.multiply_rows(_matrix(seed, table.shape[1]), r))
    if not np.array_equal(expected, kernels.dot32(np.ascontiguousarray(hint), r)):
        raise InvalidHint("the hint is not the product of this table and the epoch's matrix; do not sign or use it")


@dataclass(frozen=True, repr=False)
class QueryState:
    """What a client keeps between query and answer: its secret. Never sent, used for one query."""

    secret: NDArray[np.uint32]

    def __repr__(self) -> str:
        return "QueryState(redacted)"


class PreparedQueries:
    """T queries but for their columns: A s + e and H s under T fresh secrets, which are forgotten. Each serves once.

    What was prepared for a hint opens answers of that hint's table only, and serves the process that prepared it: two
    queries under one secret would show the difference of their columns. Made by ``PirClient.prepare``.
    """

    def __init__(self, words: NDArray[np.uint32], masks: NDArray[np.uint32]) -> None:
        self._words: NDArray[np.uint32] | None = words
        self._masks = masks
        self._process = os.getpid()

    def __repr__(self) -> str:
        return "PreparedQueries(redacted)"

    def __len__(self) -> int:
        return len(self._masks)

    @property
    def serves(self) -> bool:
        """Not used so far, and prepared by this process."""
        return self._words is not None and self._process == os.getpid()

    def query_many(self, columns: Sequence[int]) -> NDArray[np.uint32]:
        """Queries uint32[T, m] for exactly T columns; raises ``ParameterError`` when called again, or in another process."""
        if len(columns) != len(self):
            raise ParameterError(_SERVE_ONCE)
        words = self._take()
        _add_units(words, columns)
        return words

    def singly(self) -> list[PreparedQueries]:
        """Each of the T by itself, to be used at different times; raises ``ParameterError`` once they were used."""
        words = self._take()
        return [PreparedQueries(words[t : t + 1], self._masks[t : t + 1]) for t in range(len(self))]

    def recover_many(self, answers: NDArray[np.uint32]) -> NDArray[np.uint8]:
        """Columns uint8[T, rows] from answers uint32[T, rows]; raises ``InvalidCiphertext`` for other shapes."""
        _expect_words(answers, self._masks.shape, "the answers")
        return _round(answers - self._masks)

    def _take(self) -> NDArray[np.uint32]:
        if self._words is None or not self.serves:
            raise ParameterError(_SERVE_ONCE)
        words, self._words = self._words, None
        return words


class PirClient:
    """Asks for columns of a table with ``columns`` columns under one epoch's ``seed``.

    ``keep_matrix`` holds A in memory (4 KiB a column, up to 256 MiB) so that later queries cost a few milliseconds.
    """

    def __init__(self, seed: bytes, columns: int, keep_matrix: bool = True) -> None:
        PIR.check_samples(columns)
        self._columns = columns
        self._matrix = _matrix(seed, columns)
        if keep_matrix and columns * self._matrix.row_bytes <= _KEPT_BYTES:
            self._matrix.keep()

    def query(self, column: int) -> tuple[NDArray[np.uint32], QueryState]:
        """The query uint32[m] for ``column`` and the secret that opens its answer, both fresh."""
        words, [state] = self.query_many([column])
        return words[0], state

    def query_many(self, columns: Sequence[int]) -> tuple[NDArray[np.uint32], list[QueryState]]:
        """Queries uint32[T, m] for T columns, each under a fresh secret of its own, in one pass over A."""
        words, secrets = self._encrypt_zeros(len(columns))
        _add_units(words, columns)
        return words, [QueryState(secret) for secret in secrets]

    def prepare(self, count: int, hint: NDArray[np.uint32]) -> PreparedQueries:
        """Everything of ``count`` queries that does not depend on the columns; ``hint`` is the epoch's uint32[rows, n]."""
        _expect_words(hint, (len(hint), PIR.dimension), "the hint")
        words, secrets = self._encrypt_zeros(count)
        return PreparedQueries(words, kernels.dot32(np.ascontiguousarray(hint), secrets))

    def _encrypt_zeros(self, count: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """A s + e, uint32[count, m], and the secrets s, uint32[count, n], all fresh."""
        keys = [os.urandom(32) for _ in range(count)]
        secrets = np.stack([noise.words32(key, b"s", PIR.dimension) for key in keys])
        words: NDArray[np.uint32] = kernels.multiply_rows(self._matrix, secrets)
        for t, key in enumerate(keys):
            words[t] += noise.gaussian(key, b"e", self._columns, PIR.sigma).astype(np.uint32)
        return words, secrets

    def recover(self, state: QueryState, answer: NDArray[np.uint32], hint: NDArray[np.uint32]) -> NDArray[np.uint8]:
        """The column's bytes uint8[rows] from ``answer`` uint32[rows] and the epoch's ``hint`` uint32[rows, n].

        Raises ``InvalidCiphertext`` for other shapes. A wrong answer gives wrong bytes, not an error.
        """
        _expect_words(answer, (len(hint),), "the answer")
        column: NDArray[np.uint8] = self.recover_many([state], answer[np.newaxis], hint)[0]
        return column

    def recover_many(
        self, states: Sequence[QueryState], answers: NDArray[np.uint32], hint: NDArray[np.uint32]
    ) -> NDArray[np.uint8]:
        """Columns uint8[T, rows] from answers uint32[T, rows] in one pass over the hint; raises as ``recover``."""
        _expect_words(hint, (len(hint), PIR.dimension), "the hint")
        _expect_words(answers, (len(states), len(hint)), "the answers")
        secrets = np.stack([state.secret for state in states])
        return _round(answers - kernels.dot32(np.ascontiguousarray(hint), secrets))


def _add_units(words: NDArray[np.uint32], columns: Sequence[int]) -> None:
    """Add 2^24 · unit_i to each query of ``words`` uint32[T, m], in place."""
    if not all(0 <= column < words.shape[1] for column in columns):
        raise ParameterError("there is no such column in this table; check the manifest's boundaries")
    for t, column in enumerate(columns):
        words[t, column : column + 1] += np.uint32(1 << _DELTA_BITS)  # a slice: arrays wrap without a warning


def _round(noisy: NDArray[np.uint32]) -> NDArray[np.uint8]:
    columns: NDArray[np.uint8] = ((noisy + _HALF_DELTA) >> np.uint32(_DELTA_BITS)).astype(np.uint8)
    return columns


def _matrix(seed: bytes, columns: int) -> MatrixStream:
    return MatrixStream(seed, MatrixLabel.PIR_A, columns, PIR.dimension, np.uint32)


def _expect_words(array: object, shape: tuple[int, ...], what: str) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != np.uint32 or array.shape != shape:
        raise InvalidCiphertext(f"{what} must be uint32 {list(shape)} for this table")
