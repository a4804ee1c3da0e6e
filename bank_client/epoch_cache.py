"""The present epoch of a table at the client: its manifest under both signatures, and its hint, kept on disk.

Nothing of an epoch is used before

(1) the manifest carries the node's signature and the office's seal carries this manifest's digest;
(2) it is for the table that was asked for, consistent, and not over;
(3) it is the manifest that was seen before for this epoch, if one was: a second one is evidence;
(4) the hint has the manifest's digest. The office has checked D and D·A against the same digests.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from bank_client.sealed_table import SealedTable
from bank_client.session import Bank
from crypto.lwe_params import PIR
from crypto.pir import PirClient
from models import wire
from models.problems import BadSignature, Damaged
from models.tables import Manifest, Seal, SealedManifest

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True)
class Epoch:
    """One verified epoch: hint uint32[rows, n], and the client that makes queries under its seed."""

    sealed: SealedManifest = field(repr=False)
    manifest: Manifest = field(repr=False)
    table: SealedTable
    hint: NDArray[np.uint32] = field(repr=False)
    client: PirClient = field(repr=False)


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
        sealed = self._bank.node.get(f"/tables/{self._name}/manifest", SealedManifest)
        if self._epoch is None or self._epoch.sealed != sealed:
            self._epoch = self._open(sealed)
        return self._epoch

    def _open(self, sealed: SealedManifest) -> Epoch:
        manifest, table = self._verify(sealed)
        self._remember(sealed, manifest)
        hint = self._hint(sealed, manifest)
        return Epoch(sealed, manifest, table, hint, PirClient(manifest.seed, manifest.columns))

    def _verify(self, sealed: SealedManifest) -> tuple[Manifest, SealedTable]:
        """(1) and (2)."""
        artefacts = (wire.encode(sealed),)
        try:
            manifest = self._bank.from_node(sealed.manifest, Manifest)
            seal = self._bank.from_office(sealed.seal, Seal)
        except BadSignature as error:
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
        path = self._folder / f"{manifest.epoch}.manifest"
        if not path.exists():
            _write(path, wire.encode(sealed))
            return
        known = path.read_bytes()
        if wire.decode(known, SealedManifest).manifest.digest() != sealed.manifest.digest():
            self._damaged("second manifest", "two manifests for one epoch", manifest, (known, wire.encode(sealed)))

    def _hint(self, sealed: SealedManifest, manifest: Manifest) -> NDArray[np.uint32]:
        """(4)"""
        path = self._folder / f"{manifest.epoch}.hint"
        data = path.read_bytes() if path.exists() else b""
        if hashlib.sha256(data).digest() != manifest.hint_digest:
            data = self._bank.node.client.get_raw(f"/tables/{self._name}/epochs/{manifest.epoch}/hint")
            digest = hashlib.sha256(data).digest()
            if digest != manifest.hint_digest or len(data) != manifest.rows * PIR.dimension * 4:
                artefacts = (wire.encode(sealed), digest)
                self._damaged("hint", "the hint is not the one of the manifest", manifest, artefacts)
            for old in self._folder.glob("*.hint"):
                old.unlink()
            _write(path, data)
        return np.frombuffer(data, dtype="<u4").astype(np.uint32, copy=False).reshape(manifest.rows, PIR.dimension)

    def _damaged(self, what: str, detail: str, manifest: Manifest, artefacts: tuple[bytes, ...]) -> NoReturn:
        self._bank.damaged(what, detail, table=self._name, epoch=manifest.epoch, artefacts=artefacts)


def _write(path: Path, data: bytes) -> None:
    # Beside its place and then renamed: another process of the same bank never reads half a file.
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(f"{path.suffix}.{secrets.token_hex(4)}")
    draft.write_bytes(data)
    os.replace(draft, path)
