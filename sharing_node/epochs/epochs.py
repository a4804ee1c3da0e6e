"""What operators ask for and see of builds, and what clients and the office fetch of epochs."""

from __future__ import annotations

from sqlalchemy import Connection

from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome, Raw, Within
from models.problems import BadMessage, NotFound
from models.tables import BuildState, BuildTable, Manifest, SealedManifest
from models.wire import decode
from sharing_node.epochs.columns import HINT, MATRIX
from sharing_node.epochs.store import SCORES, EpochStore
from sharing_node.node import Node
from sharing_node.served_models import check_served
from sharing_node.state import builds
from sharing_node.state import repository as state


class Epochs:
    """Handlers about epochs."""

    def __init__(self, node: Node, store: EpochStore) -> None:
        self._node = node
        self._store = store

    def ask(self, call: Call) -> Within:
        """POST /tables/{table}/epochs: queue a build of the next epoch; answers with its state. One is queued at a time."""
        body: BuildTable = call.body
        if body.table != call.path["table"]:
            raise BadMessage("the message names another table than the address")

        with call.engine.connect() as connection:
            check_served(self._node, connection, body.table, call.now)

        def within(connection: Connection) -> Outcome:
            state.table(connection, body.table)
            asked = builds.ask(connection, body.table, call.now)
            return Outcome(asked, [LeafDraft("epoch.request", {"table": body.table, "epoch": asked.epoch})])

        return within

    def progress(self, call: Call) -> BuildState:
        """GET /tables/{table}/builds/{epoch}: how far a build is."""
        with call.engine.connect() as connection:
            return builds.get(connection, call.path["table"], _number(call))

    def manifest(self, call: Call) -> SealedManifest | Raw:
        """GET /tables/{table}/manifest: the newest open epoch; nothing where `?known=` is its manifest's digest already."""
        with call.engine.connect() as connection:
            newest = state.current_epoch(connection, call.path["table"], call.now)
        return Raw(b"") if call.query.get("known") == newest.manifest.digest() else newest

    def hint(self, call: Call) -> Raw:
        """GET /tables/{table}/epochs/{epoch}/hint: uint32[rows, n], C-ordered."""
        return self._file(call, HINT)

    def matrix(self, call: Call) -> Raw:
        """GET /tables/{table}/epochs/{epoch}/matrix: uint8[rows, columns], C-ordered; for the office's check."""
        return self._file(call, MATRIX)

    def scores(self, call: Call) -> Raw:
        """GET /tables/{table}/epochs/{epoch}/scores: padded scores of a private model, block after block."""
        return self._file(call, SCORES)

    def _file(self, call: Call, name: str) -> Raw:
        with call.engine.connect() as connection:
            signed = state.epoch_manifest(connection, call.path["table"], _number(call), call.now)
        manifest = decode(signed.payload, Manifest)
        path, offset = self._store.file(manifest.table, manifest.epoch, name)
        return Raw(file=path, offset=offset)


def _number(call: Call) -> int:
    epoch = call.path["epoch"]
    if not (epoch.isascii() and epoch.isdecimal() and len(epoch) < 19):
        raise NotFound("epochs are numbered from 1")
    return int(epoch)
