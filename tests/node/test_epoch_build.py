"""Building an epoch: every subject's record comes back through the real private query, and nothing else opens."""

from __future__ import annotations

import numpy as np
import pytest

from audit.verifier.merkle import leaf_hash, verify_inclusion
from crypto import cells, pir
from crypto.errors import InvalidCiphertext
from crypto.voprf import VoprfServer, generate_key_pair
from models.tables import column_entry, path_depth, path_length, tag_context
from sharing_node.epochs.layout import cells_per_column
from tests.tables import BuiltTable, build

SUBJECTS = [f"opaque:{i}" for i in range(1_234)]
RECORDS = [f'{{"a":{i},"b":"{"x" * (i % 40)}"}}'.encode() for i in range(1_234)]


@pytest.fixture(scope="module")
def server() -> VoprfServer:
    return VoprfServer(generate_key_pair()[0])


@pytest.fixture(scope="module")
def built(server: VoprfServer) -> BuiltTable:
    return build(server, "t", 7, SUBJECTS, RECORDS)


def test_each_record_comes_back_through_the_private_query(server: VoprfServer, built: BuiltTable) -> None:
    rows, columns = built.matrix.shape
    boundaries = np.frombuffer(built.boundaries, dtype=">u8")
    client = pir.PirClient(built.seed, columns)
    size = cells.cell_size(built.padded_size)
    for number in range(0, len(SUBJECTS), 97):
        tag, key = cells.derive(server.evaluate(SUBJECTS[number].encode()), tag_context("t", 7))
        column = max(0, int(np.searchsorted(boundaries, int.from_bytes(tag[:8]), side="right")) - 1)
        query, state = client.query(column)
        data = client.recover(state, pir.answer(built.matrix, query), built.hint).tobytes()
        body = data[: built.cells_per_column * size]
        path = data[len(body) : len(body) + 32 * path_length(column, columns)]
        hashes = [path[i : i + 32] for i in range(0, len(path), 32)]
        verify_inclusion(column, columns, leaf_hash(column_entry(column, body)), hashes, built.root)
        found = [body[i : i + size] for i in range(0, len(body), size) if body[i : i + 32] == tag]
        assert [cells.open_cell(tag, key, cell) for cell in found] == [RECORDS[number]]
    assert rows == built.cells_per_column * size + 32 * path_depth(columns)


def test_a_table_has_whole_thousands_of_cells_and_all_look_alike(built: BuiltTable) -> None:
    columns = built.matrix.shape[1]
    assert columns * built.cells_per_column >= 2_000
    size = cells.cell_size(built.padded_size)
    tags = [
        built.matrix[i * size : i * size + 32, column].tobytes()
        for column in range(columns)
        for i in range(built.cells_per_column)
    ]
    assert tags == sorted(tags)
    assert len(set(tags)) == len(tags)


def test_the_key_of_another_subject_or_epoch_opens_nothing(server: VoprfServer, built: BuiltTable) -> None:
    size = cells.cell_size(built.padded_size)
    tag, key = cells.derive(server.evaluate(b"opaque:1"), tag_context("t", 7))
    other_tag, other_key = cells.derive(server.evaluate(b"opaque:1"), tag_context("t", 8))
    everything = [
        built.matrix[i * size : (i + 1) * size, column].tobytes()
        for column in range(built.matrix.shape[1])
        for i in range(built.cells_per_column)
    ]
    assert sum(cell[:32] == tag for cell in everything) == 1
    assert not any(cell[:32] == other_tag for cell in everything)
    [cell] = [cell for cell in everything if cell[:32] == tag]
    with pytest.raises(InvalidCiphertext):
        cells.open_cell(tag, other_key, cell)
    assert cells.open_cell(tag, key, cell) == RECORDS[1]


@pytest.mark.parametrize(("count", "cell"), [(1_000, 80), (21_000, 700), (1_000_000, 144), (150_000, 80)])
def test_the_split_keeps_queries_answers_and_hint_small(count: int, cell: int) -> None:
    per_column = cells_per_column(count, cell)
    columns = -(-count // per_column)
    rows = per_column * cell + 32 * path_depth(columns)
    assert 4 * columns <= 131_072
    assert rows * 1_024 * 4 <= 40_000_000
