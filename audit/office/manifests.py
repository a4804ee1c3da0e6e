"""Sealing an epoch: one manifest for a table and epoch, and the office has seen that matrix and hint are what it says.

::

    node                                             office
    ── Signed(Manifest) ───────────────────────────> no other manifest for this table and epoch?
    <────────────────────── GET matrix, GET hint ─── (signed by the office's own key)
    ── D, H ──────────────────────────────────────> digests; order of the cells, boundaries, root and paths;
                                                     D·(A·r) = H·r for 64 secret r drawn now
    <── Signed(Seal(table, epoch, digest)) ───────── kept, logged

Clients ask nothing of a table without the seal, so the node cannot show two banks two tables. The office downloads
ciphertext: it has no key to any cell, and learns how many cells a table has, dummies included.
"""

from __future__ import annotations

import hashlib
import tempfile
from io import BufferedRandom
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from audit.office.office import OFFICE_KEY_ID, Office
from audit.office.projects import field_sets
from audit.office.served import check_served
from audit.office.store import alarms, manifests, models
from audit.office.store.manifests import Sealed
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome, Refused
from audit.verifier.errors import ProofError
from audit.verifier.merkle import HASH_BYTES, leaf_hash, root_of, verify_inclusion
from crypto.cells import cell_size
from crypto.errors import CryptoError
from crypto.lwe_params import PIR
from crypto.pir import check_hint
from models.catalogue import CatalogueError
from models.http_client import SignedClient
from models.problems import Damaged, NotApproved, PeerUnavailable, SecondManifest, Unusable
from models.tables import SCORE_FIELD_SET, Manifest, Seal, SubmitManifest, column_entry, path_depth, path_length
from models.wire import encode, split

PARAMETERS = "pir"
LONGEST_EPOCH = 24 * 3600
LARGEST_MATRIX = 32 << 30
BLOCK_BYTES = 64 << 20
"""Of columns in memory at a time; the table itself lies in a file."""
HINT_VECTORS = 64
T = TypeVar("T", np.uint8, np.uint32)


class Manifests:
    """The handler that seals manifests."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def submit(self, call: Call) -> Outcome:
        """POST /manifests: check and seal; answers with the signed `Seal`."""
        body: SubmitManifest = call.body
        manifest = self._office.node_statement(body.manifest, Manifest)
        new = Sealed(body.manifest, body.manifest.digest(), manifest)
        with call.engine.connect() as connection:
            earlier = manifests.get(connection, manifest.table, manifest.epoch)
            self._check_content(connection, manifest, call.now)
        if earlier is None:
            self._check_bytes(call, new)
        elif earlier.digest != new.digest:
            raise _second(call, earlier, new)

        def record(connection: Connection) -> None:
            stored = manifests.get(connection, manifest.table, manifest.epoch)
            if stored is None:
                manifests.add(connection, new, call.now)
            elif stored.digest != new.digest:
                raise _second(call, stored, new)

        seal = self._office.sign(Seal(table=manifest.table, epoch=manifest.epoch, manifest=new.digest))
        facts = {"table": manifest.table, "epoch": manifest.epoch, "manifest": new.digest}
        return Outcome(seal, [LeafDraft("manifest.seal", facts)], record)

    def _check_content(self, connection: Connection, manifest: Manifest, now: int) -> None:
        """What can be judged without the bytes: period, sizes, and that the field sets are those of the fields."""
        lasts = manifest.expires_at - manifest.opened_at
        if not 0 < lasts <= LONGEST_EPOCH or manifest.expires_at <= now:
            raise Unusable("an epoch lasts at most 24 hours and is not over yet")
        sizes = (manifest.rows, manifest.columns, manifest.cells_per_column, manifest.padded_size)
        if not 1 <= len(manifest.table) <= 128:
            raise Unusable("a table's name has 1 to 128 characters")
        if manifest.parameters != PARAMETERS or min(sizes) < 1 or manifest.rows * manifest.columns > LARGEST_MATRIX:
            raise Unusable(f"a table has the parameters {PARAMETERS!r} and a matrix of 1 byte to {LARGEST_MATRIX} bytes")
        body = manifest.cells_per_column * cell_size(manifest.padded_size)
        if manifest.rows != body + 32 * path_depth(manifest.columns) or len(manifest.boundaries) != 8 * manifest.columns:
            raise Unusable("rows, columns, cells and boundaries of the manifest do not fit together")
        if manifest.model:
            model = check_served(models.get(connection, manifest.model), now, self._office.settings.zone)
            if manifest.expires_at > model.serves_until:
                raise NotApproved("this epoch would last longer than its model may serve; build it anew, to end at that date")
            if set(manifest.field_sets) != {SCORE_FIELD_SET}:
                raise Unusable(f"a model's table has the field set {SCORE_FIELD_SET!r} and no other")
            return
        try:
            expected = field_sets(self._office.catalogue, manifest.fields)
        except CatalogueError as error:
            raise Unusable(f"{error}; node and office must work from one catalogue") from None
        if set(manifest.field_sets) != set(expected):
            raise Unusable("the field sets are not those that the catalogue gives for these fields")

    def _check_bytes(self, call: Call, new: Sealed) -> None:
        """Download matrix and hint and hold them against the manifest; a mismatch leaves an alarm."""
        try:
            self._compare(new.manifest)
        except (Damaged, CryptoError) as error:
            raise _mismatch(call, new, str(error)) from None

    def _compare(self, manifest: Manifest) -> None:
        if not self._office.settings.node_url:
            raise PeerUnavailable("the office does not know where the node is", advice="Set XINQIAO_OFFICE_NODE_URL.")
        folder = self._office.settings.data_dir
        with (
            SignedClient(self._office.settings.node_url, OFFICE_KEY_ID, self._office.keys.service) as client,
            tempfile.TemporaryFile(dir=folder) as matrix_file,
            tempfile.TemporaryFile(dir=folder) as hint_file,
        ):
            matrix = _fetch(client, manifest, "matrix", matrix_file, manifest.matrix_digest, manifest.columns, np.uint8)
            hint = _fetch(client, manifest, "hint", hint_file, manifest.hint_digest, PIR.dimension, np.uint32)
            _check_columns(matrix, manifest)
            check_hint(matrix, hint, manifest.seed, HINT_VECTORS)


def _fetch(
    client: SignedClient, manifest: Manifest, what: str, file: BufferedRandom, digest: bytes, width: int, word: type[T]
) -> NDArray[T]:
    """One array of the table, downloaded into a file and mapped from there: word[rows, width]; raises `Damaged`."""
    stored = np.dtype(word).newbyteorder("<")
    size = manifest.rows * width * stored.itemsize
    client.download(f"/tables/{manifest.table}/epochs/{manifest.epoch}/{what}", file, size)
    if file.tell() != size:
        raise Damaged(f"the {what} is shorter than the manifest says")
    file.seek(0)
    if hashlib.file_digest(file, "sha256").digest() != digest:
        raise Damaged(f"the {what} has another digest than the manifest says")
    return np.asarray(np.memmap(file, stored, "r", shape=(manifest.rows, width))).astype(word, copy=False)


def _check_columns(table: NDArray[np.uint8], manifest: Manifest) -> None:
    """Whatever a client relies on in a column: order and boundaries, by which it is picked, its leaf, and its path.

    A column that is wrong in one of these would be sealed damage, for which the node could watch who comes upon it.
    """
    size = cell_size(manifest.padded_size)
    body = manifest.cells_per_column * size
    boundaries = np.frombuffer(manifest.boundaries, ">u8")
    in_order = bool((boundaries[:-1] < boundaries[1:]).all())
    leaves: list[bytes] = []
    last = np.zeros(1, np.uint64)
    step = max(1, BLOCK_BYTES // body)
    for start in range(0, manifest.columns, step):
        columns = np.ascontiguousarray(table[:body, start : start + step].T)
        tags = np.ascontiguousarray(columns.reshape(-1, size)[:, :8]).view(">u8").ravel()
        first = tags[:: manifest.cells_per_column]
        in_order &= np.array_equal(first, boundaries[start : start + len(columns)])
        in_order &= bool(last[0] <= tags[0] and (tags[:-1] <= tags[1:]).all())
        last = tags[-1:]
        leaves += [leaf_hash(column_entry(index, column.tobytes())) for index, column in enumerate(columns, start)]
    if not in_order:
        raise Damaged("the cells are not in the order of their tags, or the boundaries are not the first tag of each column")
    if root_of(leaves) != manifest.root:
        raise Damaged("the columns have another Merkle root than the manifest says")
    for index, (leaf, below) in enumerate(zip(leaves, np.ascontiguousarray(table[body:].T), strict=True)):
        path = below.tobytes()
        length = path_length(index, manifest.columns) * HASH_BYTES
        try:
            verify_inclusion(index, manifest.columns, leaf, split(path[:length], HASH_BYTES, "path"), manifest.root)
        except ProofError:
            raise Damaged("the Merkle path of a column does not lead to the root") from None
        if any(path[length:]):
            raise Damaged("the Merkle path of a column is longer than it can be")


def _mismatch(call: Call, new: Sealed, detail: str) -> Refused:
    def attach(connection: Connection, _queue_id: int) -> None:
        _alarm(connection, call, new, detail)

    return Refused(Damaged(f"this manifest is not sealed: {detail}"), attach=attach)


def _second(call: Call, first: Sealed, second: Sealed) -> Refused:
    """Both manifests are evidence: whoever shows two to two banks can tell them apart."""

    def attach(connection: Connection, _queue_id: int) -> None:
        _alarm(connection, call, second, "a second manifest for one table and epoch", encode(first.statement))

    return Refused(SecondManifest(), attach=attach)


def _alarm(connection: Connection, call: Call, new: Sealed, detail: str, also: bytes = b"") -> None:
    alarms.raise_alarm(
        connection,
        at=call.now,
        kind="manifest",
        institution=call.institution.id,
        about=f"{new.manifest.table} epoch {new.manifest.epoch}",
        detail=detail,
        evidence=also + encode(new.statement),
    )
