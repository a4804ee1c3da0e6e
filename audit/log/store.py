"""All SQL of the log. Every method works inside the caller's transaction; none commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, case, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from audit.log.tables import LogTables

LEASE_ID = 1
INDICES_A_QUERY = 500


@dataclass(frozen=True)
class StoredCheckpoint:
    """A checkpoint that was signed: its note without cosignatures, and the POSIX second at which it was signed."""

    size: int
    note: str
    time: int


@dataclass(frozen=True)
class NewEntry:
    """An entry that got its index. `leaf`: its RFC 6962 hash, 32 bytes."""

    index: int
    queue_id: int
    leaf: bytes
    entry: bytes


class LogStore:
    """The statements of one log."""

    def __init__(self, tables: LogTables) -> None:
        self.tables = tables
        queue, entries, checkpoints, lease = tables.queue, tables.entries, tables.checkpoints, tables.lease
        # What every entry or batch runs is built once.
        self._enqueue = insert(queue)
        self._enqueue_all = insert(queue).returning(queue.c.id, sort_by_parameter_order=True)
        self._any_queued = select(queue.c.id).limit(1)
        oldest = select(queue.c.id).order_by(queue.c.id).limit(bindparam("limit"))
        # One statement deletes exactly what it returns: a smaller id may be committed while we read (PostgreSQL).
        self._take_queued = delete(queue).where(queue.c.id.in_(oldest)).returning(queue.c.id, queue.c.entry)
        self._index_of = select(entries.c.index).where(entries.c.queue_id == bindparam("queue_id"))
        since = (
            select(checkpoints.c.time)
            .where(checkpoints.c.size > entries.c.index)
            .order_by(checkpoints.c.size)
            .limit(1)
            .correlate(entries)
            .scalar_subquery()
        )
        self._leaves_at = select(entries.c.index, entries.c.leaf, since.label("time")).where(
            entries.c.index.in_(bindparam("indices", expanding=True))
        )
        self._store_openings = {name: _insert_or_ignore(name, tables.openings) for name in ("sqlite", "postgresql")}
        self._append_entries = insert(entries)
        self._append_checkpoint = insert(checkpoints)
        self._checkpoints = select(checkpoints.c.size, checkpoints.c.note, checkpoints.c.time)
        self._latest = self._checkpoints.order_by(checkpoints.c.size.desc()).limit(1)
        self._lease_holder = select(lease.c.holder).where(lease.c.id == LEASE_ID).with_for_update()
        self._renew_lease = (
            update(lease)
            .where(lease.c.id == LEASE_ID, lease.c.holder == bindparam("held_by"))
            .values(expires=bindparam("until"))
        )

    # ------------------------------------------------------------------ the queue

    def enqueue(self, connection: Connection, entry: bytes) -> int:
        """Put an entry into the queue and return its queue id, above all earlier ones."""
        key = connection.execute(self._enqueue, {"entry": entry}).inserted_primary_key
        assert key is not None
        return int(key[0])

    def enqueue_all(self, connection: Connection, entries: Sequence[bytes]) -> list[int]:
        """Put several entries into the queue and return their queue ids."""
        rows = [{"entry": entry} for entry in entries]
        return list(connection.execute(self._enqueue_all, rows).scalars())

    def has_queued(self, connection: Connection) -> bool:
        """Does an entry wait for its index?"""
        return connection.execute(self._any_queued).first() is not None

    def take_queued(self, connection: Connection, limit: int) -> list[tuple[int, bytes]]:
        """Take up to `limit` entries out of the queue, oldest first: (queue id, entry)."""
        taken = connection.execute(self._take_queued, {"limit": limit})
        return sorted((int(row.id), bytes(row.entry)) for row in taken)

    def index_of(self, connection: Connection, queue_id: int) -> int | None:
        """The index that a queued entry got, or None."""
        return connection.execute(self._index_of, {"queue_id": queue_id}).scalar()

    # ------------------------------------------------------------------ the tree

    def append(
        self,
        connection: Connection,
        entries: Sequence[NewEntry],
        nodes: Sequence[tuple[int, int, bytes]],
        checkpoint: StoredCheckpoint,
    ) -> None:
        """Store a batch: its entries, the hashes (tile level, index, hash) of the tiles it filled, its checkpoint."""
        if entries:
            connection.execute(self._append_entries, [vars(entry) for entry in entries])
        if nodes:
            rows = [{"level": level, "index": index, "hash": value} for level, index, value in nodes]
            connection.execute(insert(self.tables.nodes), rows)
        connection.execute(self._append_checkpoint, vars(checkpoint))

    def count(self, connection: Connection) -> int:
        """How many entries are stored."""
        return connection.execute(select(func.count()).select_from(self.tables.entries)).scalar_one()

    def hashes(self, connection: Connection, level: int, start: int, width: int) -> list[bytes]:
        """`width` hashes of a tile level from `start` on, fewer where the log is shorter."""
        if level == 0:
            table, value = self.tables.entries, self.tables.entries.c.leaf
        else:
            table, value = self.tables.nodes, self.tables.nodes.c.hash
        index = table.c.index
        query = select(index, value).where(index >= start, index < start + width).order_by(index)
        if level:
            query = query.where(table.c.level == level)
        return _contiguous(connection.execute(query), start)

    def leaves_at(self, connection: Connection, indices: Sequence[int]) -> dict[int, tuple[bytes, int]]:
        """Of each entry that is stored: its hash, and the POSIX second of the first checkpoint that holds it."""
        found: dict[int, tuple[bytes, int]] = {}
        for start in range(0, len(indices), INDICES_A_QUERY):
            rows = connection.execute(self._leaves_at, {"indices": list(indices[start : start + INDICES_A_QUERY])})
            found |= {int(index): (bytes(leaf), int(since)) for index, leaf, since in rows}
        return found

    def entries(self, connection: Connection, start: int, width: int) -> list[bytes]:
        """`width` entries from `start` on, fewer where the log is shorter."""
        index = self.tables.entries.c.index
        query = select(index, self.tables.entries.c.entry).where(index >= start, index < start + width)
        return _contiguous(connection.execute(query.order_by(index)), start)

    # ------------------------------------------------------------------ checkpoints

    def latest(self, connection: Connection) -> StoredCheckpoint | None:
        """The last checkpoint that was signed."""
        return _checkpoint(connection.execute(self._latest).first())

    def checkpoint(self, connection: Connection, size: int) -> StoredCheckpoint | None:
        """The checkpoint signed at a size."""
        query = self._checkpoints.where(self.tables.checkpoints.c.size == size)
        return _checkpoint(connection.execute(query).first())

    def add_cosignature(self, connection: Connection, size: int, witness: str, line: str) -> None:
        """Keep a witness's verified line; one that is there already stays."""
        row = {"size": size, "witness": witness, "line": line}
        connection.execute(_insert_or_ignore(connection.dialect.name, self.tables.cosignatures), row)

    def cosignatures(self, connection: Connection, size: int) -> list[str]:
        """The witnesses' lines under a checkpoint."""
        table = self.tables.cosignatures
        query = select(table.c.line).where(table.c.size == size).order_by(table.c.witness)
        return list(connection.execute(query).scalars())

    def cosigned_size(
        self, connection: Connection, above: int, witnesses: Sequence[str], quorum: int, required: Sequence[str]
    ) -> int | None:
        """The largest size above `above` that `quorum` of `witnesses`, and all of `required`, have cosigned."""
        table = self.tables.cosignatures
        query = (
            select(table.c.size)
            .where(table.c.size > above, table.c.witness.in_(witnesses))
            .group_by(table.c.size)
            .having(func.count() >= quorum)
            .order_by(table.c.size.desc())
            .limit(1)
        )
        if required:
            query = query.having(func.sum(case((table.c.witness.in_(required), 1), else_=0)) == len(required))
        return connection.execute(query).scalar()

    # ------------------------------------------------------------------ the lease

    def take_lease(self, connection: Connection, holder: str, now: float, expires: float) -> bool:
        """Make `holder` the one that sequences, unless another's lease has not expired."""
        lease = self.tables.lease
        connection.execute(
            _insert_or_ignore(connection.dialect.name, lease), {"id": LEASE_ID, "holder": holder, "expires": expires}
        )
        taken = connection.execute(
            update(lease)
            .where(lease.c.id == LEASE_ID, (lease.c.holder == holder) | (lease.c.expires < now))
            .values(holder=holder, expires=expires)
        )
        return taken.rowcount == 1

    def holds_lease(self, connection: Connection, holder: str) -> bool:
        """Does `holder` hold the lease? The row stays locked until the transaction ends."""
        return connection.execute(self._lease_holder).scalar() == holder

    def renew_lease(self, connection: Connection, holder: str, expires: float) -> bool:
        """Prolong the lease; False if another holds it now. The row stays locked, as above."""
        return connection.execute(self._renew_lease, {"held_by": holder, "until": expires}).rowcount == 1

    # ------------------------------------------------------------------ openings

    def store_openings(self, connection: Connection, openings: Mapping[bytes, bytes]) -> None:
        """Keep what commitments open to."""
        if openings:
            rows = [{"commitment": key, "opening": value} for key, value in openings.items()]
            connection.execute(self._store_openings[connection.dialect.name], rows)

    def opening(self, connection: Connection, commitment: bytes) -> bytes | None:
        """What a commitment opens to, or None once it was erased."""
        table = self.tables.openings
        value = connection.execute(select(table.c.opening).where(table.c.commitment == commitment)).scalar()
        return None if value is None else bytes(value)

    def erase_opening(self, connection: Connection, commitment: bytes) -> bool:
        """Erase an opening; the leaf stays and proves nothing about anyone any more. False if there was none."""
        table = self.tables.openings
        return connection.execute(delete(table).where(table.c.commitment == commitment)).rowcount == 1


def _insert_or_ignore(dialect: str, table: Any) -> Any:
    if dialect == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()


def _checkpoint(row: Any) -> StoredCheckpoint | None:
    return None if row is None else StoredCheckpoint(int(row.size), row.note, int(row.time))


def _contiguous(rows: Any, start: int) -> list[bytes]:
    """The values of (index, value) rows up to the first gap."""
    values: list[bytes] = []
    for index, value in rows:
        if index != start + len(values):
            break
        values.append(bytes(value))
    return values
