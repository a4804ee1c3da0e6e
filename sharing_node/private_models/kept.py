"""Columns in NTT form, kept for all models and epochs: most rows are the same tomorrow.

A file for each block of a column, named by the digest of what is in it, so that it is found again by whichever model weighs
the column and whenever nothing in it has changed. They are records like the database beside them, mode 0600.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNUSED_SECONDS = 3 * 24 * 3600


class KeptColumns:
    """Files below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def column(self, codes: NDArray[np.uint8]) -> Any:
        """`crypto.bfv.column` of a block uint8[8192]."""
        from crypto import bfv

        if not codes.any():
            return None
        path = self._folder / hashlib.sha256(codes.data).hexdigest()
        try:
            found = bfv.load_column(path)
            os.utime(path)
        except (FileNotFoundError, bfv.MalformedData):  # not there, or cut off by a crash
            found = bfv.column(codes)
            self._keep(found, path)
        return found

    def prune(self) -> None:
        """Delete what no model has used for some days."""
        before = time.time() - UNUSED_SECONDS
        for path in self._folder.glob("*"):
            if path.stat().st_mtime < before:
                path.unlink(missing_ok=True)

    def _keep(self, column: Any, path: Path) -> None:
        from crypto import bfv

        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_suffix(f".{secrets.token_hex(4)}")
        draft.touch(mode=0o600)
        bfv.save_column(column, draft)
        draft.replace(path)
