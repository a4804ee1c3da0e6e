"""What a bank keeps on disk: private to its owner, whole or not there, and on the disk before anyone relies on it."""

from __future__ import annotations

import time
from pathlib import Path

from models import wire
from models.durable import append_private, draft_of, write_private
from models.tables import Evidence

__all__ = ["append_private", "draft_of", "keep_evidence", "write_private"]


def keep_evidence(data_dir: Path, evidence: Evidence) -> Path:
    """Write evidence below `data_dir`; its file."""
    path = data_dir / "evidence" / f"{time.time_ns()}-{evidence.what.replace(' ', '-')}.msgpack"
    write_private(path, wire.encode(evidence))
    return path
