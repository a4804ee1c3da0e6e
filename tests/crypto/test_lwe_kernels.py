"""The compiled loops against plain NumPy on whole matrices, where wrap-around is NumPy's own."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from crypto import kernels
from crypto.xof import MatrixLabel, MatrixStream

SEED = b"\x07" * 32
ROWS = 1111  # blocks and tiles do not divide it


def matrix(dtype: type[np.uint32 | np.uint64], rows: int = ROWS) -> tuple[MatrixStream, NDArray[Any]]:
    stream = MatrixStream(SEED, MatrixLabel.PRODUCT_A, rows, 2048, dtype)
    return stream, stream.block(0, rows).copy()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture(params=[1, 3])
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "threads", lambda: request.param)


@pytest.mark.usefixtures("cores")
@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
def test_multiply_rows(dtype: type[np.uint32 | np.uint64], rng: np.random.Generator) -> None:
    stream, A = matrix(dtype)
    right = rng.integers(-1, 2, (3, 2048))
    assert np.array_equal(kernels.multiply_rows(stream, right), (A @ right.astype(dtype).T).T)


@pytest.mark.usefixtures("cores")
def test_multiply_columns(rng: np.random.Generator) -> None:
    stream, A = matrix(np.uint64)
    left = rng.integers(-(2**62), 2**62, (4, ROWS))
    assert np.array_equal(kernels.multiply_columns(stream, left), left.view(np.uint64) @ A)


def one_hot(codes: NDArray[np.uint8], bins: tuple[int, ...]) -> NDArray[np.uint64]:
    return np.stack([codes[f] == k for f, count in enumerate(bins) for k in range(count)]).astype(np.uint64)


@pytest.mark.usefixtures("cores")
def test_sum_by_bin(rng: np.random.Generator) -> None:
    stream, A = matrix(np.uint64)
    bins = (2, 7, 23)
    codes = np.stack([rng.integers(0, count, ROWS) for count in bins]).astype(np.uint8)
    assert np.array_equal(kernels.sum_by_bin(stream, codes, bins), one_hot(codes, bins) @ A)


def test_dot_and_dot_by_bin(rng: np.random.Generator) -> None:
    left, right = rng.integers(-(2**62), 2**62, (2, 3, ROWS))
    expected = left.view(np.uint64) @ right.view(np.uint64).T
    assert np.array_equal(kernels.dot(left, right), expected)
    bins = (3, 256)
    codes = np.stack([rng.integers(0, count, ROWS) for count in bins]).astype(np.uint8)
    words = right.view(np.uint64)
    assert np.array_equal(kernels.dot_by_bin(codes, bins, words), one_hot(codes, bins) @ words.T)


def signed(table: NDArray[np.uint8]) -> NDArray[np.uint32]:
    return table.view(np.int8).astype(np.int64).astype(np.uint32)


@pytest.mark.usefixtures("cores")
@pytest.mark.parametrize("rows", [1, 4, 1031])
def test_table_times(rows: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_TABLE_BYTES", 300 * 77)
    table = rng.integers(0, 256, (rows, 77)).astype(np.uint8)
    queries = rng.integers(0, 2**32, (5, 77)).astype(np.uint32)
    assert np.array_equal(kernels.table_times(table, queries), queries @ signed(table).T)
    assert np.array_equal(kernels.dot32(signed(table), queries), queries @ signed(table).T)


def test_table_times_reads_memory_it_may_not_write(rng: np.random.Generator) -> None:
    table = rng.integers(0, 256, (9, 16)).astype(np.uint8)
    table.flags.writeable = False
    query = np.arange(16, dtype=np.uint32)[np.newaxis]
    assert np.array_equal(kernels.table_times(table, query), query @ signed(table).T)


def test_table_times_matrix_is_exact_at_the_extremes() -> None:
    stream, A = matrix(np.uint32, 5000)
    table = np.full((3, 5000), 128, np.uint8)  # -128 everywhere: the largest partial sums
    table[1] = 127
    table[2] = np.random.default_rng(6).integers(0, 256, 5000)
    assert np.array_equal(kernels.table_times_matrix(table, stream), signed(table) @ A)


def test_an_error_in_a_thread_is_raised() -> None:
    def work(start: int, stop: int) -> None:
        raise ValueError("from a thread")

    with pytest.raises(ValueError, match="from a thread"):
        kernels.for_ranges(10, 1, work)


def test_loops_compile_where_no_cache_folder_is_writable(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba

    njit = numba.njit

    def without_folder(**options: Any) -> Any:
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return njit(**options)

    monkeypatch.setattr(numba, "njit", without_folder)
    left = np.arange(6, dtype=np.uint64).reshape(2, 3)
    out = np.zeros((2, 2), np.uint64)
    kernels._compile(kernels._rows_loop.__wrapped__)(left, left, out)  # type: ignore[attr-defined]
    assert np.array_equal(out, left @ left.T)


def test_importing_the_kernels_does_not_import_the_compiler() -> None:
    code = "import sys, crypto.masked_product, crypto.pir; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
