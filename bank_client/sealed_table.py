"""One epoch of a served table as a client must check it: manifest, the column of a tag, cells under the signed root.

A tag picks its column by the manifest's boundaries alone, so the column is known before anything is fetched and one query
is enough. Two tags that agree in their first 8 bytes across a boundary could not be told apart by it; the builder never
publishes such a table (one in 2^24 at a million cells), and boundaries that do not ascend strictly are refused here. No
neighbour is ever searched: a second query would tell the node that the first found nothing.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from audit.verifier.errors import ProofError
from audit.verifier.merkle import HASH_BYTES, leaf_hash, verify_inclusion
from crypto import cells
from crypto.errors import CryptoError
from crypto.lwe_params import PIR
from models.problems import Damaged
from models.tables import Manifest, column_entry, path_depth, path_length
from models.wire import split

BOUNDARY_BYTES = 8
LONGEST_EPOCH = 24 * 3600


class SealedTable:
    """The public facts of one epoch; made from a manifest whose signatures were verified.

    Raises:
        Damaged: the manifest contradicts itself.
    """

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        try:
            self._cell_size = cells.cell_size(manifest.padded_size)
            PIR.check_samples(manifest.columns)
        except CryptoError as error:
            raise Damaged(f"the manifest states impossible sizes: {error}") from None
        self._body = self._cell_size * manifest.cells_per_column
        if manifest.cells_per_column < 1 or manifest.rows != self._body + HASH_BYTES * path_depth(manifest.columns):
            raise Damaged("the manifest's rows are not its cells and their Merkle path")
        if manifest.parameters != "pir" or not 0 < manifest.expires_at - manifest.opened_at <= LONGEST_EPOCH:
            raise Damaged("the manifest states other parameters, or an epoch of more than a day")
        self._boundaries = split(manifest.boundaries, BOUNDARY_BYTES, "boundaries")
        ascending = all(a < b for a, b in zip(self._boundaries, self._boundaries[1:], strict=False))
        if len(self._boundaries) != manifest.columns or not ascending:
            raise Damaged("the manifest's boundaries do not ascend, or are not one for each column")

    def __repr__(self) -> str:
        return f"SealedTable({self.manifest.table!r}, epoch={self.manifest.epoch}, columns={self.manifest.columns})"

    def column_of(self, tag: bytes) -> int:
        """The only column that can hold this tag; the first one for a tag that comes before all."""
        return max(bisect_right(self._boundaries, tag[:BOUNDARY_BYTES]) - 1, 0)

    def open(self, index: int, column: NDArray[np.uint8], tag: bytes, key: bytes) -> bytes | None:
        """The record under this tag in a fetched column uint8[rows], or None where the column has no such cell.

        Raises:
            Damaged: the column is not the one under the manifest's root, or the cell does not open.
        """
        data = column.tobytes()
        if len(data) != self.manifest.rows:
            raise Damaged("the column has another length than the manifest states")
        body, path = data[: self._body], data[self._body :]
        self._verify_path(index, body, path)
        found = [cell for cell in split(body, self._cell_size, "cells") if cell[: cells.TAG_BYTES] == tag]
        if not found:
            return None
        try:
            return cells.open_cell(tag, key, found[0])
        except CryptoError as error:
            raise Damaged(f"the cell does not open: {error}") from None

    def _verify_path(self, index: int, body: bytes, path: bytes) -> None:
        length = path_length(index, self.manifest.columns) * HASH_BYTES
        if any(path[length:]):
            raise Damaged("the column's Merkle path is longer than it can be")
        proof = split(path[:length], HASH_BYTES, "path")
        try:
            verify_inclusion(index, self.manifest.columns, leaf_hash(column_entry(index, body)), proof, self.manifest.root)
        except ProofError:
            raise Damaged("the column is not the one that the node signed") from None
