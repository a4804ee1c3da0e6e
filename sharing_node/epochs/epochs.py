"""Building and opening epochs, and what clients and the office fetch of them."""

from __future__ import annotations

from sqlalchemy import Connection

from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome, Raw, Within
from models.problems import Unusable
from models.tables import SCORE_FIELD_SET, BuildTable, Manifest, OpenEpoch, SealedManifest
from models.wire import decode
from sharing_node.epochs import build
from sharing_node.epochs.store import EpochStore, epoch_key
from sharing_node.node import Node
from sharing_node.records import repository as records
from sharing_node.scores import score_records
from sharing_node.state import repository as state
from sharing_node.state.repository import StoredTable


class Epochs:
    """Handlers about epochs."""

    def __init__(self, node: Node, store: EpochStore) -> None:
        self._node = node
        self._store = store

    def build(self, call: Call) -> Outcome:
        """POST /tables/{table}/epochs: build the next epoch under a fresh key; its manifest is logged, not yet open."""
        body: BuildTable = call.body
        with call.engine.connect() as connection:
            table = state.table(connection, body.table)
            epoch = state.latest_epoch(connection, table.id) + 1
            subjects, plain = self._records(connection, table)
        if not subjects:
            raise Unusable("no consented subject has a record for this table; load data and consents first")
        key = epoch_key(table.id, epoch)
        self._node.keys.destroy_oprf(key)  # of an attempt that was cut off: its cells were never published
        server = self._node.keys.new_oprf(key)
        built = build.build(server, table.id, epoch, subjects, plain)
        self._store.save(table.id, epoch, built.matrix, built.hint)
        expires_at = call.now + self._node.settings.epoch_hours * 3600
        manifest = Manifest(
            table=table.id,
            kind=table.kind,
            fields=table.fields,
            field_sets=self._field_sets(table),
            project=table.project,
            model=table.model,
            epoch=epoch,
            opened_at=call.now,
            expires_at=expires_at,
            parameters="pir",
            seed=built.seed,
            rows=built.matrix.shape[0],
            columns=built.matrix.shape[1],
            cells_per_column=built.cells_per_column,
            padded_size=built.padded_size,
            boundaries=built.boundaries,
            public_key=server.public_key,
            root=built.root,
            matrix_digest=build.digest(built.matrix),
            hint_digest=build.digest(built.hint),
        )
        signed = self._node.sign(manifest)

        def record(connection: Connection) -> None:
            state.add_epoch(connection, table.id, epoch, signed, expires_at)

        facts = {"table": table.id, "epoch": epoch, "manifest": signed.digest(), "columns": manifest.columns}
        return Outcome(signed, [LeafDraft("epoch.build", facts)], record, cosigned=True)

    def open(self, call: Call) -> Within:
        """POST /tables/{table}/epochs/open: have the office check matrix and hint; under its seal the epoch opens.

        Whatever has expired by then, of any table, is closed: its key is destroyed, its files are deleted, a leaf says so.
        """
        body: OpenEpoch = call.body
        with call.engine.connect() as connection:
            manifest = state.epoch_manifest(connection, body.table, body.epoch, call.now)
        seal = self._node.office.seal(manifest)

        def within(connection: Connection) -> Outcome:
            state.open_epoch(connection, body.table, body.epoch, seal)
            closed = state.close_expired(connection, call.now)
            for table, epoch in closed:
                # Before the commit: an expired epoch is served no more, so an early end of its key harms nobody.
                self._node.keys.destroy_oprf(epoch_key(table, epoch))
                self._store.remove(table, epoch)
            facts = {"table": body.table, "epoch": body.epoch, "manifest": manifest.digest(), "seal": seal.digest()}
            leaves = [LeafDraft("epoch.close", {"table": table, "epoch": epoch}) for table, epoch in closed]
            answer = SealedManifest(manifest=manifest, seal=seal)
            return Outcome(answer, [*leaves, LeafDraft("epoch.open", facts)], cosigned=True)

        return within

    def manifest(self, call: Call) -> SealedManifest:
        """GET /tables/{table}/manifest: the newest open epoch."""
        with call.engine.connect() as connection:
            return state.current_epoch(connection, call.path["table"], call.now)

    def hint(self, call: Call) -> Raw:
        """GET /tables/{table}/epochs/{epoch}/hint: uint32[rows, n], C-ordered."""
        table, epoch = self._address(call)
        return Raw(self._store.hint(table, epoch).tobytes())

    def matrix(self, call: Call) -> Raw:
        """GET /tables/{table}/epochs/{epoch}/matrix: uint8[rows, columns], C-ordered; for the office's check."""
        table, epoch = self._address(call)
        return Raw(self._store.matrix(table, epoch).tobytes())

    def _address(self, call: Call) -> tuple[str, int]:
        table, epoch = call.path["table"], call.path["epoch"]
        with call.engine.connect() as connection:
            manifest = state.epoch_manifest(connection, table, int(epoch) if epoch.isdecimal() else 0, call.now)
        decoded = decode(manifest.payload, Manifest)
        return decoded.table, decoded.epoch

    def _records(self, connection: Connection, table: StoredTable) -> tuple[list[str], list[bytes]]:
        if table.kind == "score":
            return score_records(self._node, connection, state.model(connection, table.model))
        served = set(self._node.eligibility().collection) - self._node.disputed(table.fields)
        fields = self._node.catalogue.select(table.fields)
        pairs = [(s, payload) for s, payload in records.iterate_record_bytes(connection, fields) if s in served]
        return [s for s, _ in pairs], [payload for _, payload in pairs]

    def _field_sets(self, table: StoredTable) -> tuple[str, ...]:
        if table.kind == "score":
            return (SCORE_FIELD_SET,)
        return tuple(sorted({field.category for field in self._node.catalogue.select(table.fields)}))
