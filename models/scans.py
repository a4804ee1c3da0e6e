"""Scans of signed forms, kept beside whoever captured a consent (mode 0600), under the digest that the office is told."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from models.durable import write_private

LARGEST_SCAN = 10 << 20
_BEGINNINGS = {b"%PDF-": "pdf", b"\xff\xd8\xff": "jpg", b"\x89PNG\r\n\x1a\n": "png"}


def ending_of(scan: bytes) -> str | None:
    """What kind of file a scan is, or None where it is none of those that any machine shows."""
    return next((ending for beginning, ending in _BEGINNINGS.items() if scan.startswith(beginning)), None)


def keep_scan(scan: bytes, folder: Path) -> str:
    """Write a scan under its SHA-256 (hex), which is returned; raises ValueError where it is no scan."""
    ending, digest = ending_of(scan), hashlib.sha256(scan).hexdigest()
    if ending is None:
        raise ValueError("a scan is a PDF, a JPEG or a PNG")
    write_private(folder / f"{digest}.{ending}", scan)
    return digest


def drop_scans(folder: Path, gone: Mapping[str, int]) -> int:
    """Delete the scans (by digest) that no consent rests on since then (POSIX seconds); how many there were.

    One that was kept anew since then stays.
    """
    files = [file for file in folder.glob("*.*") if file.stat().st_mtime < gone.get(file.stem, 0) + 1]
    for file in files:
        file.unlink(missing_ok=True)
    return len(files)
