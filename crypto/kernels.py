"""Integer products modulo 2^32 and 2^64 at memory speed: compiled loops over blocks, on all cores.

Public matrices are generated block by block while they are used (``crypto.xof``), in both directions: rows times a few
secret vectors, and columns times a few data vectors. The compiled loops hold no lock, each thread has its own block of
about 1 MB, and only exact integer arithmetic is done, so results do not depend on the number of threads.
"""

from __future__ import annotations

import functools
import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from crypto.xof import MatrixStream

_BLOCK_BYTES = 1 << 20  # of a public matrix: half of a core's second-level cache
_TILE = 512  # words of a row that stay in the first-level cache while rows are added up
_TABLE_BYTES = 1 << 22  # of a table that a thread takes at a time; less is not worth a thread
_EXACT_DEPTH = 1 << 12  # so many products of 2^7 · 2^31 add up to less than 2^53: exact in doubles

Words = NDArray[np.uint32] | NDArray[np.uint64]
_Loop = TypeVar("_Loop", bound=Callable[..., None])
_compiler = threading.Lock()


def _compile(loop: _Loop) -> _Loop:
    """Compile at the first call, and keep the machine code for the next start where a cache folder is writable.

    The compiler takes a second to import; a program that never multiplies does not wait for it.
    """
    compiled: list[_Loop] = []

    @functools.wraps(loop)
    def call(*arrays: Any) -> None:
        if not compiled:
            with _compiler:
                if not compiled:
                    compiled.append(_machine_code(loop))
        compiled[0](*arrays)

    return cast(_Loop, call)


def _machine_code(loop: _Loop) -> _Loop:
    import numba

    try:
        return cast(_Loop, numba.njit(nogil=True, cache=True)(loop))
    except RuntimeError:  # no folder to cache in, e.g. a read-only image
        return cast(_Loop, numba.njit(nogil=True)(loop))


@_compile
def _rows_loop(block: Any, right: Any, out: Any) -> None:
    """out[v, i] = Σ_k block[i, k] · right[v, k]."""
    for i in range(block.shape[0]):
        row = block[i]
        for v in range(right.shape[0]):
            vector = right[v]
            total = row[0] - row[0]
            for k in range(row.size):
                total += row[k] * vector[k]
            out[v, i] = total


@_compile
def _columns_loop(block: Any, left: Any, out: Any) -> None:
    """out[j, k] += Σ_i left[j, i] · block[i, k]."""
    for start in range(0, block.shape[1], _TILE):
        for j in range(left.shape[0]):
            target = out[j, start : start + _TILE]
            for i in range(block.shape[0]):
                factor = left[j, i]
                row = block[i, start : start + _TILE]
                for k in range(target.size):
                    target[k] += factor * row[k]


@_compile
def _bins_loop(block: Any, codes: Any, offsets: Any, out: Any) -> None:
    """out[offsets[f] + codes[f, i], k] += block[i, k] for every field f: 0/1 columns are summed, not multiplied."""
    for start in range(0, block.shape[1], _TILE):
        for f in range(codes.shape[0]):  # one field after the other: its bins fit into the second-level cache, all bins do not
            for i in range(block.shape[0]):
                row = block[i, start : start + _TILE]
                target = out[offsets[f] + codes[f, i], start : start + _TILE]
                for k in range(target.size):
                    target[k] += row[k]


@_compile
def _table_loop(table: Any, queries: Any, out: Any) -> None:
    """out[t, r] = Σ_k table[r, k] · queries[t, k] modulo 2^32, four rows at a time (int8 · int32)."""
    whole = table.shape[0] - table.shape[0] % 4
    for r in range(0, whole, 4):
        row0, row1, row2, row3 = table[r], table[r + 1], table[r + 2], table[r + 3]
        for t in range(queries.shape[0]):
            query = queries[t]
            a = b = c = d = np.int32(0)
            for k in range(query.size):
                word = query[k]
                a = np.int32(a + np.int32(row0[k]) * word)
                b = np.int32(b + np.int32(row1[k]) * word)
                c = np.int32(c + np.int32(row2[k]) * word)
                d = np.int32(d + np.int32(row3[k]) * word)
            out[t, r], out[t, r + 1], out[t, r + 2], out[t, r + 3] = a, b, c, d
    for r in range(whole, table.shape[0]):
        row = table[r]
        for t in range(queries.shape[0]):
            query = queries[t]
            a = np.int32(0)
            for k in range(query.size):
                a = np.int32(a + np.int32(row[k]) * query[k])
            out[t, r] = a


def threads() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def for_ranges(size: int, step: int, work: Callable[[int, int], None]) -> None:
    """Call ``work(start, stop)`` for consecutive ranges of at most ``step``, on all cores; errors are raised here."""
    starts = iter(range(0, size, step))
    lock = threading.Lock()

    def drain() -> None:
        while True:
            with lock:
                start = next(starts, None)
            if start is None:
                return
            work(start, min(start + step, size))

    helpers = [_pool().submit(drain) for _ in range(min(threads(), -(-size // step)) - 1)]
    try:
        drain()  # the caller works too, so that ranges inside of ranges cannot wait for each other
    finally:
        for helper in helpers:
            if not helper.cancel():
                helper.result()


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    """Threads for all products of this process; they are kept, since starting them costs more than a small product."""
    return ThreadPoolExecutor(threads(), thread_name_prefix="kernels")


def _for_blocks(stream: MatrixStream, use: Callable[[int, Words], None]) -> None:
    """Call ``use(start, block)`` for each block of rows of a public matrix, on all cores."""
    step = max(1, _BLOCK_BYTES // stream.row_bytes)
    scratch = threading.local()

    def work(start: int, stop: int) -> None:
        if not hasattr(scratch, "buffer"):
            scratch.buffer = stream.buffer(step)
        use(start, stream.block(start, stop, scratch.buffer))

    for_ranges(stream.rows, step, work)


def _ring(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Signed or unsigned integers as contiguous words of Z_q."""
    return np.ascontiguousarray(values.astype(dtype, copy=False))


def multiply_rows(stream: MatrixStream, right: NDArray[Any]) -> NDArray[Any]:
    """(A · rightᵀ)ᵀ for the public matrix A: words[V, rows] from integers [V, columns]."""
    vectors = _ring(right, stream.dtype)
    out = np.empty((vectors.shape[0], stream.rows), stream.dtype)
    step = max(1, _BLOCK_BYTES // stream.row_bytes)

    def use(start: int, block: Words) -> None:
        _rows_loop(block, vectors, out[:, start : start + step])

    _for_blocks(stream, use)
    return out


class _Sum:
    """One accumulator for each thread, added up at the end."""

    def __init__(self, shape: tuple[int, int], dtype: np.dtype[Any]) -> None:
        self._shape, self._dtype = shape, dtype
        self._local = threading.local()
        self._parts: list[NDArray[Any]] = []

    def part(self) -> NDArray[Any]:
        if not hasattr(self._local, "part"):
            self._local.part = np.zeros(self._shape, self._dtype)
            self._parts.append(self._local.part)
        part: NDArray[Any] = self._local.part
        return part

    def total(self) -> NDArray[Any]:
        out = self._parts[0]
        for part in self._parts[1:]:
            out += part
        return out


def multiply_columns(stream: MatrixStream, left: NDArray[Any]) -> NDArray[Any]:
    """left · A for the public matrix A: words[J, columns] from integers [J, rows]."""
    vectors = _ring(left, stream.dtype)
    total = _Sum((vectors.shape[0], stream.columns), stream.dtype)

    def use(start: int, block: Words) -> None:
        piece = np.ascontiguousarray(vectors[:, start : start + block.shape[0]])
        _columns_loop(block, piece, total.part())

    _for_blocks(stream, use)
    return total.total()


def sum_by_bin(stream: MatrixStream, codes: NDArray[np.uint8], bins: tuple[int, ...]) -> NDArray[Any]:
    """left · A where the rows of ``left`` are the 0/1 columns of all bins: words[Σ bins, columns] from codes [C, rows]."""
    offsets = _offsets(bins)
    total = _Sum((sum(bins), stream.columns), stream.dtype)

    def use(start: int, block: Words) -> None:
        piece = np.ascontiguousarray(codes[:, start : start + block.shape[0]])
        _bins_loop(block, piece, offsets, total.part())

    _for_blocks(stream, use)
    return total.total()


def _offsets(bins: tuple[int, ...]) -> NDArray[np.int64]:
    return np.array([0, *itertools.accumulate(bins)][:-1], np.int64)


def dot32(left: NDArray[np.uint32], right: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """right · leftᵀ modulo 2^32, on all cores: uint32[T, rows] from [rows, n] and [T, n]."""
    out = np.empty((right.shape[0], left.shape[0]), np.uint32)

    def work(start: int, stop: int) -> None:
        _rows_loop(left[start:stop], right, out[:, start:stop])

    for_ranges(left.shape[0], _table_rows(left), work)
    return out


def dot(left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.uint64]:
    """left · rightᵀ modulo 2^64: uint64[J, V] from integers [J, N] and [V, N]."""
    word = np.dtype(np.uint64)
    out = np.empty((right.shape[0], left.shape[0]), np.uint64)
    _rows_loop(_ring(left, word), _ring(right, word), out)
    return np.ascontiguousarray(out.T)


def dot_by_bin(codes: NDArray[np.uint8], bins: tuple[int, ...], right: NDArray[Any]) -> NDArray[np.uint64]:
    """The same for the 0/1 columns of all bins: uint64[Σ bins, V] from codes [C, N] and integers [V, N]."""
    out = np.zeros((sum(bins), right.shape[0]), np.uint64)
    _bins_loop(_ring(right.T, out.dtype), np.ascontiguousarray(codes), _offsets(bins), out)
    return out


def _table_rows(table: NDArray[Any]) -> int:
    """Rows a thread takes at a time: a multiple of four, for the unrolled loop."""
    return max(4, _TABLE_BYTES // table.strides[0] // 4 * 4)


def table_times(table: NDArray[np.uint8], queries: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Table (bytes read as int8) · queriesᵀ modulo 2^32 in one pass: uint32[T, rows] from [rows, m] and [T, m]."""
    signed = table.view(np.int8)
    vectors = np.ascontiguousarray(queries).view(np.int32)
    out = np.empty((queries.shape[0], table.shape[0]), np.int32)

    def work(start: int, stop: int) -> None:
        _table_loop(signed[start:stop], vectors, out[:, start:stop])

    for_ranges(table.shape[0], _table_rows(table), work)
    return out.view(np.uint32)


def table_times_matrix(table: NDArray[np.uint8], stream: MatrixStream) -> NDArray[np.uint32]:
    """Table (bytes read as int8) · A modulo 2^32: uint32[rows, columns of A].

    Doubles carry it: every partial sum of 2^12 products of |d| ≤ 2^7 and |a| ≤ 2^31 is an integer below 2^53, hence exact
    in any order, and the matrix product of the linear algebra library is the fastest loop there is.
    """
    signed = table.view(np.int8)
    out = np.zeros((table.shape[0], stream.columns), np.uint32)
    depth = _EXACT_DEPTH
    for start in range(0, stream.rows, depth):
        stop = min(start + depth, stream.rows)
        block = stream.block(start, stop).view(np.int32).astype(np.float64)
        for row in range(0, table.shape[0], depth):
            piece = signed[row : row + depth, start:stop].astype(np.float64)
            out[row : row + depth] += (piece @ block).astype(np.int64).astype(np.uint32)
    return out
