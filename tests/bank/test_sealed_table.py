"""A table made from the primitives as a node would, and everything that may be wrong with what is served of it."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from audit.verifier.merkle import leaf_hash, node_hash, prove_inclusion
from bank_client.sealed_table import SealedTable
from crypto import cells, pir
from models import wire
from models.problems import Damaged
from models.tables import Manifest, column_entry, path_depth, path_length, tag_context

PADDED = 32
PER_COLUMN = 4
COLUMNS = 11  # no power of two: paths of different lengths
CONTEXT = tag_context("check-1", 3)
SUBJECTS = [f"opaque:{number}" for number in range(COLUMNS * PER_COLUMN - 5)]


def output(subject: str) -> bytes:
    """Stands for the VOPRF's output, which is not what this file is about."""
    return hashlib.sha512(b"output" + subject.encode()).digest()


@dataclass(frozen=True)
class Built:
    manifest: Manifest
    matrix: NDArray[np.uint8]


def build() -> Built:
    keyed = [(*cells.derive(output(subject), CONTEXT), subject) for subject in SUBJECTS]
    sealed = cells.seal_many(((tag, key, f"record of {name}".encode()) for tag, key, name in keyed), PADDED)
    rng = random.Random(7)
    sealed += [rng.randbytes(cells.cell_size(PADDED)) for _ in range(COLUMNS * PER_COLUMN - len(sealed))]
    sealed.sort()
    bodies = [b"".join(sealed[i * PER_COLUMN : (i + 1) * PER_COLUMN]) for i in range(COLUMNS)]
    leaves = [leaf_hash(column_entry(i, body)) for i, body in enumerate(bodies)]

    def node_at(level: int, index: int) -> bytes:
        if level == 0:
            return leaves[index]
        return node_hash(node_at(level - 1, 2 * index), node_at(level - 1, 2 * index + 1))

    depth = 32 * path_depth(COLUMNS)
    full = [b + b"".join(prove_inclusion(i, COLUMNS, node_at)).ljust(depth, b"\0") for i, b in enumerate(bodies)]
    matrix = np.stack([np.frombuffer(column, dtype=np.uint8) for column in full], axis=1)
    manifest = Manifest(
        table="check-1",
        kind="check",
        fields=(),
        field_sets=(),
        project="",
        model="",
        epoch=3,
        opened_at=0,
        expires_at=3600,
        parameters="pir",
        seed=bytes(32),
        rows=matrix.shape[0],
        columns=COLUMNS,
        cells_per_column=PER_COLUMN,
        padded_size=PADDED,
        boundaries=b"".join(body[:8] for body in bodies),
        public_key=bytes(32),
        root=_root(leaves),
        matrix_digest=hashlib.sha256(np.ascontiguousarray(matrix).tobytes()).digest(),
        hint_digest=bytes(32),
    )
    return Built(manifest, np.ascontiguousarray(matrix))


def _root(leaves: list[bytes]) -> bytes:
    """RFC 6962's recursion, word for word."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(_root(leaves[:split]), _root(leaves[split:]))


BUILT = build()
TABLE = SealedTable(BUILT.manifest)


def ask(subject: str, matrix: NDArray[np.uint8] = BUILT.matrix) -> bytes | None:
    tag, key = cells.derive(output(subject), CONTEXT)
    place = TABLE.column_of(tag)
    return TABLE.open(place, matrix[:, place], tag, key)


def test_every_subject_is_found_in_the_column_that_its_tag_picks() -> None:
    assert [ask(subject) for subject in SUBJECTS] == [f"record of {subject}".encode() for subject in SUBJECTS]


def test_a_stranger_has_no_record_and_the_first_tag_of_all_a_column() -> None:
    assert ask("opaque:stranger") is None
    assert TABLE.column_of(bytes(32)) == 0
    assert TABLE.column_of(b"\xff" * 32) == COLUMNS - 1


def test_a_boundary_belongs_to_the_column_that_it_begins() -> None:
    boundaries = wire.split(BUILT.manifest.boundaries, 8, "boundaries")
    for place, boundary in enumerate(boundaries):
        assert TABLE.column_of(boundary + bytes(24)) == place
        before = (int.from_bytes(boundary) - 1).to_bytes(8) + b"\xff" * 24
        assert TABLE.column_of(before) == max(place - 1, 0)


def test_the_same_record_comes_through_private_retrieval() -> None:
    hint = pir.setup(BUILT.matrix, BUILT.manifest.seed)
    client = pir.PirClient(BUILT.manifest.seed, COLUMNS)
    tag, key = cells.derive(output(SUBJECTS[9]), CONTEXT)
    place = TABLE.column_of(tag)
    query, state = client.query(place)
    column = client.recover(state, pir.answer(BUILT.matrix, query), hint)
    assert TABLE.open(place, column, tag, key) == f"record of {SUBJECTS[9]}".encode()


@pytest.mark.parametrize("row", [0, 40, cells.cell_size(PADDED) * PER_COLUMN - 1, cells.cell_size(PADDED) * PER_COLUMN, -1])
def test_one_changed_byte_of_a_column_is_damage_for_present_and_absent_alike(row: int) -> None:
    damaged = BUILT.matrix.copy()
    damaged[row] ^= 1
    for subject in (SUBJECTS[0], "opaque:stranger"):
        with pytest.raises(Damaged):
            ask(subject, damaged)


def test_swapped_columns_are_damage() -> None:
    tag, key = cells.derive(output(SUBJECTS[0]), CONTEXT)
    place = TABLE.column_of(tag)
    other = (place + 1) % COLUMNS
    with pytest.raises(Damaged, match="not the one that the node signed"):
        TABLE.open(place, BUILT.matrix[:, other], tag, key)


def test_a_cell_that_does_not_open_is_damage_even_under_the_signed_root() -> None:
    tag, _ = cells.derive(output(SUBJECTS[0]), CONTEXT)
    place = TABLE.column_of(tag)
    with pytest.raises(Damaged, match="does not open"):
        TABLE.open(place, BUILT.matrix[:, place], tag, bytes(32))


def test_a_short_column_is_damage() -> None:
    with pytest.raises(Damaged, match="length"):
        TABLE.open(0, BUILT.matrix[:-1, 0], bytes(32), bytes(32))


def test_padding_beyond_a_short_path_must_be_zero() -> None:
    place = COLUMNS - 1
    assert path_length(place, COLUMNS) < path_depth(COLUMNS)
    damaged = BUILT.matrix.copy()
    damaged[-1, place] = 1
    with pytest.raises(Damaged, match="longer than it can be"):
        TABLE.open(place, damaged[:, place], bytes(32), bytes(32))


@pytest.mark.parametrize(
    "change",
    [
        {"rows": BUILT.manifest.rows + 1},
        {"cells_per_column": 0},
        {"cells_per_column": 5},
        {"columns": 0},
        {"columns": (1 << 20) + 1},
        {"padded_size": 3},
        {"parameters": "other"},
        {"expires_at": 25 * 3600},
        {"expires_at": 0},
        {"boundaries": BUILT.manifest.boundaries[8:]},
        {"boundaries": BUILT.manifest.boundaries[:8] * 2 + BUILT.manifest.boundaries[16:]},
        {"boundaries": BUILT.manifest.boundaries[8:] + BUILT.manifest.boundaries[:8]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_manifest_that_contradicts_itself_is_damage(change: dict[str, object]) -> None:
    with pytest.raises(Damaged):
        SealedTable(wire.replace(BUILT.manifest, **change))
