"""What a bank keeps on disk: private to its owner, whole or not there, and on the disk before anyone relies on it."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from models import wire
from models.tables import Evidence


@contextmanager
def draft_of(path: Path) -> Iterator[BinaryIO]:
    """A file of mode 0600 beside `path` that takes its place, durably, when the block ends well; else it is removed."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_private(path: Path, data: bytes) -> None:
    """Write a file by way of `draft_of`."""
    with draft_of(path) as file:
        file.write(data)


def append_private(path: Path, line: bytes) -> None:
    """Add a line to a file of mode 0600, durably."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def keep_evidence(data_dir: Path, evidence: Evidence) -> Path:
    """Write evidence below `data_dir`; its file."""
    path = data_dir / "evidence" / f"{time.time_ns()}-{evidence.what.replace(' ', '-')}.msgpack"
    write_private(path, wire.encode(evidence))
    return path


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
