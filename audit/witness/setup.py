"""Setting a witness up and opening what it has: its key, its store. Both are made once and kept for life."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import MetaData, inspect

from audit.database import open_engine
from audit.verifier.note import CosignatureSigner
from audit.witness.settings import WitnessSettings
from audit.witness.store import SqlWitnessStore, witness_tables
from models.key_files import ConfigError, load_key, make_key


class NotReady(RuntimeError):
    """A witness that was not set up, or whose key file is not as it must be; the message says what to do."""


def set_up(settings: WitnessSettings) -> CosignatureSigner:
    """Make data folder, key and store, once; raises `NotReady` where there is a key already."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        make_key(_key_file(settings))
    except FileExistsError:
        raise NotReady(f"{_key_file(settings)} is there already: a witness keeps its key for life, so none was made") from None
    metadata, engine = MetaData(), open_engine(settings.database)
    witness_tables(metadata)
    metadata.create_all(engine)
    engine.dispose()
    return signer(settings)


def signer(settings: WitnessSettings) -> CosignatureSigner:
    """The witness's key; raises `NotReady`."""
    if not _key_file(settings).exists():
        raise NotReady(f"{_key_file(settings)} is missing: run `xinqiao witness init`, or restore the key from its backup")
    try:
        return CosignatureSigner(settings.name, load_key(_key_file(settings)))
    except ConfigError as error:
        raise NotReady(str(error)) from None


def open_store(settings: WitnessSettings) -> SqlWitnessStore:
    """What the witness remembers; raises `NotReady` where its database is not there: an empty one would forget all it saw."""
    if settings.database.startswith("sqlite:///") and not Path(settings.database.removeprefix("sqlite:///")).exists():
        raise NotReady(
            f"{settings.database} is not there: restore the witness's own newest backup, or set up a new witness under a new "
            "key; an empty store under the old key would cosign a fork"
        )
    metadata, engine = MetaData(), open_engine(settings.database)
    tables = witness_tables(metadata)
    if missing := set(metadata.tables) - set(inspect(engine).get_table_names()):
        raise NotReady(
            f"{settings.database} lacks {', '.join(sorted(missing))}: it is not the store that was set up, or was emptied; "
            "restore the witness's own newest backup, or set up a new witness under a new key"
        )
    return SqlWitnessStore(engine, tables)


def _key_file(settings: WitnessSettings) -> Path:
    return settings.data_dir / "witness.key"


def in_folder(folder: Path) -> None:
    """Let the settings' data folder be this one."""
    os.environ["XINQIAO_WITNESS_DATA_DIR"] = str(folder)
