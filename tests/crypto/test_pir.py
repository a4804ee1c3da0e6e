"""SimplePIR: every column comes back, malformed messages are refused, and a corrupted hint is found."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from crypto import pir
from crypto.errors import InvalidCiphertext, InvalidHint, ParameterError
from crypto.lwe_params import PIR
from crypto.xof import MatrixLabel, MatrixStream

SEED = b"\x05" * 32
RNG = np.random.default_rng(9)
TABLE = RNG.integers(0, 256, (203, 310)).astype(np.uint8)
HINT = pir.setup(TABLE, SEED)


def test_hint_and_answer_are_plain_products() -> None:
    A = MatrixStream(SEED, MatrixLabel.PIR_A, 310, PIR.dimension, np.uint32).block(0, 310)
    D = TABLE.view(np.int8).astype(np.int64).astype(np.uint32)
    assert np.array_equal(HINT, D @ A)
    query = RNG.integers(0, 2**32, 310).astype(np.uint32)
    assert np.array_equal(pir.answer(TABLE, query), D @ query)


@pytest.mark.parametrize("keep", [True, False])
def test_every_column_comes_back(keep: bool) -> None:
    client = pir.PirClient(SEED, 310, keep)
    columns = range(310) if keep else (0, 155, 309)
    asked = [client.query(column) for column in columns]
    answers = pir.answer_many(TABLE, np.stack([query for query, _ in asked]))
    for column, (query, state), answer in zip(columns, asked, answers, strict=True):
        assert np.array_equal(answer, pir.answer(TABLE, query))
        assert np.array_equal(client.recover(state, answer, HINT), TABLE[:, column])


def test_many_queries_at_once_are_as_good_as_single_ones() -> None:
    client, columns = pir.PirClient(SEED, 310), [309, 0, 7, 7]
    queries, states = client.query_many(columns)
    assert len(np.unique(queries, axis=0)) == len(np.unique([state.secret for state in states], axis=0)) == 4
    answers = pir.answer_many(TABLE, queries)
    assert np.array_equal(client.recover_many(states, answers, HINT), TABLE[:, columns].T)
    assert np.array_equal(client.recover(states[2], answers[2], HINT), TABLE[:, 7])
    for wrong in (answers[:3], answers[:, 1:], answers.astype(np.int64)):
        with pytest.raises(InvalidCiphertext):
            client.recover_many(states, wrong, HINT)
    with pytest.raises(ParameterError, match="no such column"):
        client.query_many([0, 310])


def test_queries_prepared_before_the_column_is_known_serve_once() -> None:
    client, columns = pir.PirClient(SEED, 310), [309, 0, 7]
    prepared, other = client.prepare(3, HINT), client.prepare(3, HINT)
    queries, others = prepared.query_many(columns), other.query_many(columns)
    assert len(np.unique(np.vstack([queries, others]), axis=0)) == 6
    assert np.array_equal(prepared.recover_many(pir.answer_many(TABLE, queries)), TABLE[:, columns].T)
    with pytest.raises(ParameterError, match="serve once"):
        prepared.query_many(columns)
    for wrong in ([1, 2], [1, 2, 3, 4], [0, 1, 310]):
        with pytest.raises(ParameterError):
            client.prepare(3, HINT).query_many(wrong)
    with pytest.raises(InvalidCiphertext):
        prepared.recover_many(np.zeros((2, 203), np.uint32))
    with pytest.raises(InvalidCiphertext):
        client.prepare(1, HINT[:, 1:])
    assert "redacted" in repr(prepared)


def test_prepared_queries_serve_one_by_one_and_in_no_other_process(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = pir.PirClient(SEED, 310).prepare(3, HINT)
    first, second, third = prepared.singly()
    assert not prepared.serves
    for of in (prepared.singly, lambda: prepared.query_many([1, 2, 3])):
        with pytest.raises(ParameterError, match="serve once"):
            of()
    for one, column in ((second, 8), (first, 309)):
        query = one.query_many([column])
        assert np.array_equal(one.recover_many(pir.answer_many(TABLE, query))[0], TABLE[:, column])
        assert not one.serves
    monkeypatch.setattr(os, "getpid", lambda: -1)  # as after a fork: the same words in two processes
    assert not third.serves
    for of in (third.singly, lambda: third.query_many([1])):
        with pytest.raises(ParameterError):
            of()


def test_random_retrievals_from_a_wide_table_have_no_error() -> None:
    table = np.full((16, 20_000), 128, np.uint8)  # −128 everywhere: the largest noise
    table[:8] = RNG.integers(0, 256, (8, 20_000))
    hint, client = pir.setup(table, SEED), pir.PirClient(SEED, 20_000)
    for column in RNG.integers(0, 20_000, 12).tolist():
        query, state = client.query(column)
        assert np.array_equal(client.recover(state, pir.answer(table, query), hint), table[:, column])


def test_queries_for_one_column_look_unrelated_and_uniform() -> None:
    client = pir.PirClient(SEED, 310)
    queries = np.stack([client.query(7)[0] for _ in range(200)])
    assert len(np.unique(queries[:, 7])) == 200
    top = (queries >> np.uint32(24)).ravel()
    assert stats.chisquare(np.bincount(top, minlength=256)).pvalue > 1e-9


@pytest.mark.parametrize("bad", [(0, 0), (202, 1023), (77, 500)])
@pytest.mark.parametrize("error", [1, 2**31, 2**32 - 5])
def test_a_corrupted_hint_is_found(bad: tuple[int, int], error: int) -> None:
    pir.check_hint(TABLE, HINT, SEED)
    hint = HINT.copy()
    hint[bad] = (int(hint[bad]) + error) % 2**32
    with pytest.raises(InvalidHint, match="not the product"):
        pir.check_hint(TABLE, hint, SEED)


def test_one_vector_would_miss_half_of_the_errors_of_two_to_the_31() -> None:
    hint = HINT.copy()
    hint[3, 4] ^= np.uint32(2**31)
    found = 0
    for _ in range(200):
        try:
            pir.check_hint(TABLE, hint, SEED, vectors=1)
        except InvalidHint:
            found += 1
    assert 50 < found < 150  # 7 sigma


def test_another_table_seed_or_size_is_found() -> None:
    table = TABLE.copy()
    table[9, 9] ^= 1
    with pytest.raises(InvalidHint, match="not the product"):
        pir.check_hint(table, HINT, SEED)
    with pytest.raises(InvalidHint, match="not the product"):
        pir.check_hint(TABLE, HINT, b"\x06" * 32)
    for hint in (HINT[1:], HINT[:, 1:], HINT.astype(np.int64)):
        with pytest.raises(InvalidHint, match="size of this table"):
            pir.check_hint(TABLE, hint, SEED)
    with pytest.raises(ParameterError, match="64 are advised"):
        pir.check_hint(TABLE, HINT, SEED, vectors=0)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros(309, np.uint32),
        np.zeros((1, 310), np.uint32),
        np.zeros(310, np.int32),
        np.zeros(310, np.uint64),
        np.full(310, np.nan),
        bytes(310 * 4),
    ],
)
def test_malformed_queries_and_answers_are_refused(bad: Any) -> None:
    with pytest.raises(InvalidCiphertext, match="the query must be uint32"):
        pir.answer(TABLE, bad)
    client = pir.PirClient(SEED, 310)
    _, state = client.query(0)
    with pytest.raises(InvalidCiphertext, match="the answer must be uint32"):
        client.recover(state, bad, HINT)
    with pytest.raises(InvalidCiphertext, match="the hint must be uint32"):
        client.recover(state, pir.answer(TABLE, client.query(0)[0]), HINT[:, 1:])


@pytest.mark.parametrize(
    "bad", [TABLE.astype(np.int8), TABLE[0], TABLE.T, TABLE[:0], TABLE.astype(float), np.zeros((1, 2**20 + 1), np.uint8)]
)
def test_tables_that_cannot_be_served_are_refused(bad: NDArray[Any]) -> None:
    with pytest.raises(ParameterError):
        pir.setup(bad, SEED)


@pytest.mark.parametrize("column", [-1, 310])
def test_columns_outside_the_table_are_refused(column: int) -> None:
    with pytest.raises(ParameterError, match="no such column"):
        pir.PirClient(SEED, 310).query(column)


def test_the_state_does_not_print() -> None:
    assert repr(pir.PirClient(SEED, 310).query(0)[1]) == "QueryState(redacted)"
