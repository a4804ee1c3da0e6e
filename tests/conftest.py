"""What every test shares: where the real data and the published vectors lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("XINQIAO_SHARED", ROOT.parent / "shared"))


def shared_path(name: str) -> Path:
    """The path of a shared data or vector file, e.g. ``vectors/rfc9497_oprf/allVectors.json``; skips where it is absent."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not on this machine; set XINQIAO_SHARED to the folder that holds data/ and vectors/")
    return path
