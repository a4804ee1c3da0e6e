"""Receipts of the node's leaves: kept as files for `xinqiao verify`, and owed until the witness has cosigned them.

A receipt is two files, `INDEX.receipt` (a tlog-proof under a cosigned checkpoint) and `INDEX.entry` (the leaf's entry, byte
for byte), which are checked offline. Who does not want to wait for the witness owes the receipt: the promise is written to
`owed/` first, a thread completes it, and where the process ended before that, the next session does. A promise that was
not kept within a minute goes to the office as evidence.
"""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from models import wire
from models.durable import write_private
from models.logged import LeafRef
from models.problems import BadMessage, BadSignature, Damaged, Problem
from models.training import Receipt

if TYPE_CHECKING:
    from bank_client.session import Bank

RECEIPT_SECONDS = 60.0
PAUSE = 0.5
logger = logging.getLogger(__name__)


def keep_receipt(bank: Bank, receipt: Receipt) -> tuple[Path, Path]:
    """Write a receipt that was verified; its two files."""
    files = receipt_files(bank, receipt.index)
    for file, data in zip(files, (receipt.proof.encode(), receipt.entry), strict=True):
        write_private(file, data)
    return files


def receipt_files(bank: Bank, index: int) -> tuple[Path, Path]:
    """Where the receipt of a leaf of the node's log is kept: proof and entry."""
    stem = bank.config.data_dir / "receipts" / str(index)
    return stem.with_suffix(".receipt"), stem.with_suffix(".entry")


class OwedReceipts:
    """The receipts that the node still owes this person. One thread a process completes them."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._folder = bank.config.data_dir / "receipts" / "owed"
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def owe(self, leaf: LeafRef) -> None:
        """Note durably that a receipt is owed. Nothing of whom it is about is in it."""
        write_private(self._folder / f"{leaf.index}.leaf", wire.encode(leaf))

    def count(self) -> int:
        """How many are owed."""
        return len(self._files())

    def complete(self) -> int:
        """Ask once for each that is owed; the number of those still owed.

        Raises:
            Damaged: a promise was not kept within a minute, or a receipt is wrong; after all were asked for. Reported to
                the office and owed no more: the evidence is kept.
        """
        damage: Damaged | None = None
        for file in self._files():
            if self._stop.is_set():
                break
            try:
                self._complete(file)
            except Damaged as found:
                damage = found
                file.unlink(missing_ok=True)
        if damage is not None:
            raise damage
        return self.count()

    def wait(self) -> None:
        """Complete all; raises as `complete`."""
        while self.complete():
            time.sleep(PAUSE)

    def work_aside(self) -> None:
        """Complete all in a thread, from now on; what is found wrong is reported to the office and to the log."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="receipts", daemon=True)
                self._thread.start()
        self._wake.set()

    def close(self) -> None:
        """Stop the thread; what is still owed is completed by the next session."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            try:
                owed = self.complete()
            except (Problem, BadSignature) as problem:
                logger.error("a receipt of the node's log: %s", problem.detail)
                owed = self.count()
            # Sleeping until a new one is owed; `close` and `work_aside` wake it.
            self._wake.wait(PAUSE if owed else None)

    def _complete(self, file: Path) -> None:
        try:
            leaf, since = wire.decode(file.read_bytes(), LeafRef), file.stat().st_mtime
        except FileNotFoundError:
            return  # another process of this person was faster
        except BadMessage:
            file.unlink(missing_ok=True)
            return
        receipt = self._bank.try_receipt(self._bank.node, leaf)
        if receipt is not None:
            keep_receipt(self._bank, receipt)
            file.unlink(missing_ok=True)
        elif time.time() - since > RECEIPT_SECONDS:
            detail = f"no cosigned receipt within {RECEIPT_SECONDS:.0f} s"
            self._bank.damaged("promise", detail, artefacts=(leaf.promise,))

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*.leaf"), key=lambda file: int(file.stem)) if self._folder.is_dir() else []
