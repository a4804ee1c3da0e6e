"""The node's schema; see `audit.service.schema`."""

from __future__ import annotations

from pathlib import Path

from audit.service.schema import Schema, SchemaBehind

_SCHEMA = Schema(Path(__file__).parent / "migrations", "xinqiao node migrate")

configuration = _SCHEMA.configuration
upgrade = _SCHEMA.upgrade
check_schema = _SCHEMA.check

__all__ = ["SchemaBehind", "check_schema", "configuration", "upgrade"]
