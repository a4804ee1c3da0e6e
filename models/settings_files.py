"""Settings that people write: one TOML file for a struct, its paths relative to the file. An unknown key stops the start."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TypeVar

import msgspec

from models.key_files import ConfigError

S = TypeVar("S", bound=msgspec.Struct)


def load_settings(kind: type[S], path: str | os.PathLike[str], named_by: str = "--config") -> S:
    """Read a file; `named_by` is how its user names another one. Raises `ConfigError` with the key that does not fit."""
    file = Path(path)
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"there is no settings file {file}; name one with {named_by}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file.name} is not TOML: {error}") from None
    for field in msgspec.structs.fields(kind):
        if isinstance(field.default, Path):
            values.setdefault(field.name, str(field.default))
    folder = file.resolve().parent
    try:
        return msgspec.convert(values, kind, dec_hook=lambda _kind, value: folder / str(value))
    except msgspec.ValidationError as error:
        raise ConfigError(f"{file.name}: {error}") from None
