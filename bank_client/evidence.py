"""What a bank keeps of a service that deviated."""

from __future__ import annotations

import time
from pathlib import Path

from models import wire
from models.durable import write_private
from models.tables import Evidence


def keep_evidence(data_dir: Path, evidence: Evidence) -> Path:
    """Write evidence below `data_dir`; its file."""
    path = data_dir / "evidence" / f"{time.time_ns()}-{evidence.what.replace(' ', '-')}.msgpack"
    write_private(path, wire.encode(evidence))
    return path
