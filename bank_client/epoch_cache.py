"""The present epoch of a table at the client: its manifest under both signatures, and its hint, kept on disk.

Nothing of an epoch is used before

(1) the manifest carries the node's signature and the office's seal carries this manifest's digest;
(2) it is for the table that was asked for, consistent, and not over;
(3) it is the manifest that was seen before for this epoch, if one was: a second one is evidence;
(4) the hint has the manifest's digest, whether it was downloaded now or lies on disk. The office has checked D and D·A
    against the same digests.

A fault in any of these is of the node's own making and stands before the first question, so that a client that stops here
shows the node nothing that the node did not do.

Kept on disk for each table: one hint (up to 40 MB), the manifests of the last `KEPT_MANIFESTS` epochs, and one line for
each epoch ever seen. Kept in memory: hint, matrix A and a few queries made ahead, of at most `KEPT_EPOCHS` epochs a
process, whatever the number of sessions, and of those that are in use. A is not kept on disk: to make it from its seed
(0.2 s, once a process and epoch) takes no longer than to read and check it.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from bank_client.sealed_table import SealedTable
from bank_client.session import Bank
from crypto.lwe_params import PIR
from crypto.pir import PirClient, PreparedQueries
from models import wire
from models.durable import append_private, draft_of, write_private
from models.problems import BadMessage, BadSignature, Damaged, TooLarge
from models.tables import Manifest, Seal, SealedManifest

KEPT_EPOCHS = 2
QUERIES_AT_A_TIME = 4
KEPT_MANIFESTS = 3
KEPT_BAD_HINTS = 2
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True)
class Retrieval:
    """What queries of one epoch need: hint uint32[rows, n], and the client that makes them under the epoch's seed."""

    hint: NDArray[np.uint32] = field(repr=False)
    client: PirClient = field(repr=False)
    _ahead: deque[PreparedQueries] = field(default_factory=deque, repr=False)

    def one_query(self) -> PreparedQueries:
        """A query but for its column. Some are made ahead: most of the work is to read matrix and hint once for all."""
        with suppress(IndexError):
            while not (ready := self._ahead.popleft()).serves:
                pass  # made before this process was forked off, and left to the other one
            return ready
        first, *later = self.client.prepare(QUERIES_AT_A_TIME, self.hint).singly()
        self._ahead.extend(later)
        return first


@dataclass(frozen=True)
class Epoch:
    """One verified epoch."""

    sealed: SealedManifest = field(repr=False)
    manifest: Manifest = field(repr=False)
    table: SealedTable
    retrieval: Retrieval = field(repr=False)


class EpochCache:
    """Gives the present epoch of one table; hints of earlier epochs are removed."""

    def __init__(self, bank: Bank, table: str) -> None:
        if not _PLAIN.fullmatch(table):
            raise ValueError("a table's id is a plain word; take the one that the node gave")
        self._bank = bank
        self._name = table
        self._folder = bank.config.data_dir / "tables" / table
        self._epoch: Epoch | None = None

    def current(self) -> Epoch:
        """The newest open epoch.

        Raises:
            NotFound: the node serves no such table, or none is open.
            Damaged: something does not match what was signed; it was reported.
        """
        known = f"?known={self._epoch.sealed.manifest.digest()}" if self._epoch is not None else ""
        # The boundaries of a city's columns make a manifest of 160 kB: it is sent where there is a new one.
        answer = self._bank.node.client.get_raw(f"/tables/{self._name}/manifest{known}")
        if self._epoch is None or answer:
            self._epoch = self._open(wire.decode(answer, SealedManifest))
        if self._epoch.manifest.expires_at <= time.time():
            self._verify(self._epoch.sealed)  # says so, as for an epoch that was never good
        return self._epoch

    def _open(self, sealed: SealedManifest) -> Epoch:
        manifest, table = self._verify(sealed)
        self._remember(sealed, manifest)
        return Epoch(sealed, manifest, table, _shared(manifest, lambda: self._hint(sealed, manifest)))

    def _verify(self, sealed: SealedManifest) -> tuple[Manifest, SealedTable]:
        """(1) and (2)."""
        artefacts = (wire.encode(sealed),)
        try:
            manifest = self._bank.from_node(sealed.manifest, Manifest)
            seal = self._bank.from_office(sealed.seal, Seal)
        except (BadSignature, BadMessage) as error:
            self._bank.damaged("manifest", error.detail, table=self._name, artefacts=artefacts)
        if (seal.table, seal.epoch, seal.manifest) != (manifest.table, manifest.epoch, sealed.manifest.digest()):
            self._damaged("manifest", "the office's seal is on another manifest", manifest, artefacts)
        if manifest.table != self._name or manifest.expires_at <= time.time():
            self._damaged("manifest", "the node gave another table's manifest, or one that is over", manifest, artefacts)
        try:
            return manifest, SealedTable(manifest)
        except Damaged as damage:
            self._damaged("manifest", damage.detail, manifest, artefacts)

    def _remember(self, sealed: SealedManifest, manifest: Manifest) -> None:
        """(3)"""
        path, digest = self._folder / f"{manifest.epoch}.manifest", sealed.manifest.digest()
        known = self._seen().get(manifest.epoch)
        if known is None:
            write_private(path, wire.encode(sealed))
            append_private(self._folder / "seen", f"{manifest.epoch} {digest}\n".encode())
            manifests = sorted(self._folder.glob("*.manifest"), key=lambda file: file.stat().st_mtime_ns)
            for old in manifests[:-KEPT_MANIFESTS]:
                old.unlink(missing_ok=True)
        elif known != digest:
            earlier = path.read_bytes() if path.exists() else known.encode()
            self._damaged("second manifest", "two manifests for one epoch", manifest, (earlier, wire.encode(sealed)))

    def _seen(self) -> dict[int, str]:
        """The first manifest's digest of each epoch ever seen."""
        seen: dict[int, str] = {}
        path = self._folder / "seen"
        for line in path.read_text(encoding="ascii", errors="replace").splitlines() if path.exists() else ():
            epoch, _, digest = line.partition(" ")
            if epoch.isdecimal() and len(digest) == 64:  # a line that was cut off by a crash counts as not written
                seen.setdefault(int(epoch), digest)
        return seen

    def _hint(self, sealed: SealedManifest, manifest: Manifest) -> NDArray[np.uint32]:
        """(4)"""
        path = self._folder / f"{manifest.epoch}.hint"
        if (kept := _load(path, manifest)) is not None:
            return kept
        for old in self._folder.glob("*.hint"):
            old.unlink(missing_ok=True)
        bad = self._bank.config.data_dir / "evidence" / f"{manifest.table}-{manifest.epoch}.hint"
        detail, received = "the hint is longer than the manifest says", b""
        try:
            with draft_of(path) as file:
                self._bank.node.client.download(f"/tables/{self._name}/epochs/{manifest.epoch}/hint", file, _size(manifest))
        except TooLarge:
            pass
        else:
            if (hint := _load(path, manifest)) is not None:
                return hint
            received = hashlib.sha256(path.read_bytes()).digest()
            detail = "the hint is not the one of the manifest"
            bad.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.replace(path, bad)
            for old in sorted(bad.parent.glob("*.hint"), key=lambda file: file.stat().st_mtime_ns)[:-KEPT_BAD_HINTS]:
                old.unlink(missing_ok=True)
        self._damaged("hint", detail, manifest, (wire.encode(sealed), received))

    def _damaged(self, what: str, detail: str, manifest: Manifest, artefacts: tuple[bytes, ...]) -> NoReturn:
        self._bank.damaged(what, detail, table=self._name, epoch=manifest.epoch, artefacts=artefacts)


_retrievals: OrderedDict[tuple[bytes, bytes, int, int], Retrieval] = OrderedDict()
_loading = threading.Lock()


def _shared(manifest: Manifest, load: Callable[[], NDArray[np.uint32]]) -> Retrieval:
    """What all sessions of this process share for an epoch: it is found by what it is, not by who fetched it."""
    key = (manifest.hint_digest, manifest.seed, manifest.rows, manifest.columns)
    with _loading:
        if key not in _retrievals:
            _retrievals[key] = Retrieval(load(), PirClient(manifest.seed, manifest.columns))
        _retrievals.move_to_end(key)
        while len(_retrievals) > KEPT_EPOCHS:
            _retrievals.popitem(last=False)
        return _retrievals[key]


def _size(manifest: Manifest) -> int:
    return manifest.rows * PIR.dimension * 4


def _load(path: Path, manifest: Manifest) -> NDArray[np.uint32] | None:
    """The hint in a file, or None where it is not the manifest's."""
    try:
        data = path.read_bytes() if path.stat().st_size == _size(manifest) else b""
    except FileNotFoundError:
        return None
    if hashlib.sha256(data).digest() != manifest.hint_digest:
        return None
    return np.frombuffer(data, dtype="<u4").astype(np.uint32, copy=False).reshape(manifest.rows, PIR.dimension)
