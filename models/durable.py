"""Files that both sides rely on: private to their owner, whole or not there, and on the disk before anyone relies on them."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def draft_of(path: Path) -> Iterator[BinaryIO]:
    """A file of mode 0600 beside `path` that takes its place, durably, when the block ends well; else it is removed."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with _create(draft) as file:
            yield file
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_private(path: Path, data: bytes) -> None:
    """Write a file by way of `draft_of`."""
    with draft_of(path) as file:
        file.write(data)


def write_new(path: Path, data: bytes) -> None:
    """Write a file of mode 0600 that is not there yet, and which nobody ever reads half; FileExistsError where it is."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with _create(draft) as file:
            file.write(data)
        os.link(draft, path)
    except FileExistsError:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def append_private(path: Path, line: bytes) -> None:
    """Add a line to a file of mode 0600, durably."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
        _write_through(file, line)


def sync_folder(folder: Path) -> None:
    """Make what was named, renamed or removed in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _create(path: Path) -> Iterator[BinaryIO]:
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:
        yield file
        _write_through(file)


def _write_through(file: BinaryIO, data: bytes = b"") -> None:
    file.write(data)
    file.flush()
    os.fsync(file.fileno())
