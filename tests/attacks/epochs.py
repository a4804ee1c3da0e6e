"""One epoch of a table as the node builds it, in this process, and the attacker's view of it: manifest, all of D, the hint."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bank_client.sealed_table import SealedTable
from crypto import cells, pir
from crypto.voprf import VoprfServer, generate_key_pair
from models.tables import Manifest, tag_context
from tests.tables import build, digest

TABLE = "check-1"


@dataclass(frozen=True)
class MadeEpoch:
    """D uint8[rows, columns] and hint uint32[rows, n] with the manifest that speaks of them; `server` holds the epoch's key."""

    server: VoprfServer
    manifest: Manifest
    matrix: NDArray[np.uint8] = field(repr=False)
    hint: NDArray[np.uint32] = field(repr=False)

    @property
    def context(self) -> bytes:
        return tag_context(self.manifest.table, self.manifest.epoch)

    def cells(self) -> list[bytes]:
        """Every cell of the table, dummies included."""
        size = cells.cell_size(self.manifest.padded_size)
        body = np.ascontiguousarray(self.matrix[: size * self.manifest.cells_per_column].T).tobytes()
        return [body[i : i + size] for i in range(0, len(body), size)]

    def keyed(self, subjects: Sequence[str]) -> list[tuple[bytes, bytes]]:
        """(tag, key) of each subject, as whoever was given an evaluation derives them."""
        outputs = self.server.evaluate_many([subject.encode() for subject in subjects])
        return [cells.derive(y, self.context) for y in outputs]

    def retrieve(self, client: pir.PirClient, keyed: Sequence[tuple[bytes, bytes]]) -> list[bytes | None]:
        """What private retrieval gives for each (tag, key): one query each, all in one pass over D; raises `Damaged`."""
        table = SealedTable(self.manifest)
        places = [table.column_of(tag) for tag, _ in keyed]
        queries, states = client.query_many(places)
        columns = client.recover_many(states, pir.answer_many(self.matrix, queries), self.hint)
        return [table.open(p, c, tag, key) for p, c, (tag, key) in zip(places, columns, keyed, strict=True)]


def made_epoch(
    records: Mapping[str, bytes], *, table: str = TABLE, epoch: int = 1, server: VoprfServer | None = None
) -> MadeEpoch:
    """Build an epoch of `records` by canonical id under a fresh key, or under `server`'s for a build that is naive."""
    server = server or VoprfServer(bytes(generate_key_pair()[0]))
    built = build(server, table, epoch, list(records), list(records.values()))
    opened = int(time.time())
    manifest = Manifest(
        table=table,
        kind="check",
        fields=(),
        field_sets=(),
        project="",
        model="",
        epoch=epoch,
        opened_at=opened,
        expires_at=opened + 24 * 3600,
        parameters="pir",
        seed=built.seed,
        rows=built.matrix.shape[0],
        columns=built.matrix.shape[1],
        cells_per_column=built.cells_per_column,
        padded_size=built.padded_size,
        boundaries=built.boundaries,
        public_key=bytes(server.public_key),
        root=built.root,
        matrix_digest=digest(built.matrix),
        hint_digest=digest(built.hint),
    )
    return MadeEpoch(server, manifest, built.matrix, built.hint)


def county(count: int, prefix: str = "opaque:h") -> dict[str, bytes]:
    """Plain records of 40 to 76 bytes by canonical id."""
    records = {}
    for n in range(count):
        records[f"{prefix}{n:06d}"] = f'{{"name":"H{n:06d}","income":{n * 37 % 99_991},"note":"{"x" * (n % 36)}"}}'.encode()
    return records
