"""Logs for tests: fixed keys, tables in an empty database."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import MetaData

from audit.database import open_engine
from audit.log import Cosigner, Log, Sequencer, log_tables
from audit.verifier.note import CosignatureSigner, NoteSigner
from audit.witness import Witness

ORIGIN = "log.example/node"
SIGNER = NoteSigner.from_seed(ORIGIN, b"l" * 32)
OFFICE = CosignatureSigner.from_seed("log.example/office", b"o" * 32)
BANK = CosignatureSigner.from_seed("log.example/bank", b"b" * 32)
TIMEOUT = 120.0


def make_log(url: str, **options: Any) -> Log:
    metadata = MetaData()
    tables = log_tables(metadata)
    engine = open_engine(url)
    metadata.create_all(engine)
    return Log(engine, tables, SIGNER, **options)


@contextlib.contextmanager
def running(log: Log, **options: Any) -> Iterator[Sequencer]:
    with Sequencer(log, **options) as sequencer:
        assert sequencer.wait_ready(TIMEOUT)
        yield sequencer


def put(log: Log, entries: Sequence[bytes]) -> list[int]:
    """Enqueue entries in one transaction and wait for their indices."""
    with log.engine.begin() as connection:
        queued = [log.enqueue(connection, entry) for entry in entries]
    return [log.wait(queue_id, TIMEOUT) for queue_id in queued]


def cosigner(witness: Witness) -> Cosigner:
    """A witness in the same process."""

    def post(body: bytes) -> tuple[int, bytes]:
        reply = witness.add_checkpoint(body)
        return reply.status, reply.body.encode()

    def last(origin: str) -> bytes | None:
        note = witness.checkpoint(origin)
        return None if note is None else note.encode()

    return Cosigner(witness.key, post, last)


def entries_of(count: int) -> list[bytes]:
    return [f'{{"entry":{index}}}'.encode() for index in range(count)]
