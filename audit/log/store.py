"""All SQL of the log. Every method works inside the caller's transaction; none commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Table, bindparam, case, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from audit.log.tables import LogTables

LEASE_ID = 1


@dataclass(frozen=True)
class StoredCheckpoint:
    """A checkpoint that was signed: its note without cosignatures, and the POSIX second at which it was signed."""

    size: int
    note: str
    time: int


@dataclass(frozen=True)
class Placed:
    """Where a queued entry stands: its index, its hash, and the POSIX second of the first checkpoint that holds it."""

    index: int
    leaf: bytes
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
        nodes, cosignatures = tables.nodes, tables.cosignatures
        # What every entry or batch runs is built once.
        self._enqueue = insert(queue)
        self._enqueue_all = insert(queue).returning(queue.c.id, sort_by_parameter_order=True)
        self._any_queued = select(queue.c.id).limit(1)
        oldest = select(queue.c.id).order_by(queue.c.id).limit(bindparam("limit"))
        # One statement deletes exactly what it returns: a smaller id may be committed while we read (PostgreSQL).
        self._take_queued = delete(queue).where(queue.c.id.in_(oldest)).returning(queue.c.id, queue.c.entry)
        since = (
            select(checkpoints.c.time)
            .where(checkpoints.c.size > entries.c.index)
            .order_by(checkpoints.c.size)
            .limit(1)
            .correlate(entries)
            .scalar_subquery()
        )
        placed = select(entries.c.index, entries.c.leaf, since.label("time"))
        self._placed = placed.where(entries.c.queue_id == bindparam("queue_id"))
        self._placed_at = placed.where(entries.c.index == bindparam("at"))
        self._entries_from = _range(entries, entries.c.entry)
        self._leaves_from = _range(entries, entries.c.leaf)
        self._nodes_from = _range(nodes, nodes.c.hash).where(nodes.c.level == bindparam("level"))
        self._store_openings = {name: _insert_or_ignore(name, tables.openings) for name in ("sqlite", "postgresql")}
        self._append_entries = insert(entries)
        self._append_nodes = insert(nodes)
        self._append_checkpoint = insert(checkpoints)
        self._checkpoints = select(checkpoints.c.size, checkpoints.c.note, checkpoints.c.time)
        self._latest = self._checkpoints.order_by(checkpoints.c.size.desc()).limit(1)
        self._checkpoint_at = self._checkpoints.where(checkpoints.c.size == bindparam("at"))
        between = (checkpoints.c.size > bindparam("after"), checkpoints.c.size <= bindparam("upto"))
        self._checkpoints_after = self._checkpoints.where(*between).order_by(checkpoints.c.size).limit(bindparam("limit"))
        self._lines_between = select(cosignatures).where(
            cosignatures.c.size > bindparam("after"), cosignatures.c.size <= bindparam("upto")
        )
        self._cosign = {name: _insert_or_ignore(name, cosignatures) for name in ("sqlite", "postgresql")}
        self._cosignatures = (
            select(cosignatures.c.line).where(cosignatures.c.size == bindparam("at")).order_by(cosignatures.c.witness)
        )
        is_required = cosignatures.c.witness.in_(bindparam("required", expanding=True))
        self._cosigned_size = (
            select(cosignatures.c.size)
            .where(cosignatures.c.size > bindparam("above"), cosignatures.c.witness.in_(bindparam("known", expanding=True)))
            .group_by(cosignatures.c.size)
            .having(func.count() >= bindparam("quorum"), func.sum(case((is_required, 1), else_=0)) >= bindparam("all_required"))
            .order_by(cosignatures.c.size.desc())
            .limit(1)
        )
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

    def placed(self, connection: Connection, queue_id: int) -> Placed | None:
        """Where a queued entry stands, or None."""
        return _placed(connection.execute(self._placed, {"queue_id": queue_id}).first())

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
            connection.execute(self._append_nodes, rows)
        connection.execute(self._append_checkpoint, vars(checkpoint))

    def count(self, connection: Connection) -> int:
        """How many entries are stored."""
        return connection.execute(select(func.count()).select_from(self.tables.entries)).scalar_one()

    def hashes(self, connection: Connection, level: int, start: int, width: int) -> list[bytes]:
        """`width` hashes of a tile level from `start` on, fewer where the log is shorter."""
        range_ = {"start": start, "end": start + width}
        if level == 0:
            return _contiguous(connection.execute(self._leaves_from, range_), start)
        return _contiguous(connection.execute(self._nodes_from, range_ | {"level": level}), start)

    def placed_at(self, connection: Connection, index: int) -> Placed | None:
        """What stands at an index, or None beyond the log."""
        return _placed(connection.execute(self._placed_at, {"at": index}).first())

    def entries(self, connection: Connection, start: int, width: int) -> list[bytes]:
        """`width` entries from `start` on, fewer where the log is shorter."""
        return _contiguous(connection.execute(self._entries_from, {"start": start, "end": start + width}), start)

    # ------------------------------------------------------------------ checkpoints

    def latest(self, connection: Connection) -> StoredCheckpoint | None:
        """The last checkpoint that was signed."""
        return _checkpoint(connection.execute(self._latest).first())

    def checkpoint(self, connection: Connection, size: int) -> StoredCheckpoint | None:
        """The checkpoint signed at a size."""
        return _checkpoint(connection.execute(self._checkpoint_at, {"at": size}).first())

    def checkpoints_after(self, connection: Connection, after: int, upto: int, limit: int) -> list[StoredCheckpoint]:
        """Checkpoints of more than `after` and at most `upto` entries, the smallest first, at most `limit`."""
        rows = connection.execute(self._checkpoints_after, {"after": after, "upto": upto, "limit": limit})
        return [StoredCheckpoint(int(row.size), row.note, int(row.time)) for row in rows]

    def cosignatures_between(self, connection: Connection, after: int, upto: int) -> dict[int, dict[str, str]]:
        """The witnesses' lines under the checkpoints of more than `after` and at most `upto` entries, by size and witness."""
        found: dict[int, dict[str, str]] = {}
        for row in connection.execute(self._lines_between, {"after": after, "upto": upto}):
            found.setdefault(int(row.size), {})[row.witness] = row.line
        return found

    def add_cosignature(self, connection: Connection, size: int, witness: str, line: str) -> None:
        """Keep a witness's verified line; one that is there already stays."""
        row = {"size": size, "witness": witness, "line": line}
        connection.execute(self._cosign[connection.dialect.name], row)

    def cosignatures(self, connection: Connection, size: int) -> list[str]:
        """The witnesses' lines under a checkpoint."""
        return list(connection.execute(self._cosignatures, {"at": size}).scalars())

    def last_cosigned(self, connection: Connection) -> dict[str, tuple[int, int]]:
        """The largest size that each witness has cosigned, and the time of that checkpoint, by witness."""
        lines, checkpoints = self.tables.cosignatures, self.tables.checkpoints
        largest = select(lines.c.witness, func.max(lines.c.size).label("size")).group_by(lines.c.witness).subquery()
        query = select(largest.c.witness, largest.c.size, checkpoints.c.time).join(
            checkpoints, checkpoints.c.size == largest.c.size
        )
        return {row.witness: (int(row.size), int(row.time)) for row in connection.execute(query)}

    def queue_length(self, connection: Connection) -> int:
        """How many entries wait for their index."""
        return connection.execute(select(func.count()).select_from(self.tables.queue)).scalar_one()

    def cosigned_size(
        self, connection: Connection, above: int, witnesses: Sequence[str], quorum: int, required: Sequence[str]
    ) -> int | None:
        """The largest size above `above` that `quorum` of `witnesses`, and all of `required`, have cosigned."""
        policy = {"known": list(witnesses), "quorum": quorum, "required": list(required), "all_required": len(required)}
        return connection.execute(self._cosigned_size, {"above": above, **policy}).scalar()

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

    def lease_holder(self, connection: Connection) -> str:
        """Who took the lease last; empty before the first."""
        return str(connection.execute(self._lease_holder).scalar() or "")

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


def _range(table: Table, value: Column[Any]) -> Any:
    """(index, value) from index `start` to before `end`, in order."""
    index = table.c.index
    return select(index, value).where(index >= bindparam("start"), index < bindparam("end")).order_by(index)


def _placed(row: Any) -> Placed | None:
    return None if row is None else Placed(int(row.index), bytes(row.leaf), int(row.time))


def _checkpoint(row: Any) -> StoredCheckpoint | None:
    return None if row is None else StoredCheckpoint(int(row.size), row.note, int(row.time))


def _contiguous(result: Any, start: int) -> list[bytes]:
    """The values of (index, value) rows, which are in order, up to the first gap."""
    rows = result.all()
    while rows and rows[-1][0] != start + len(rows) - 1:
        rows.pop()
    return [value for _, value in rows]
