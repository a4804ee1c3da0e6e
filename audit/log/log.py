"""One log: entries go in, indices, proofs, receipts and promises come out. Any process of a service may hold one.

```
 caller's transaction            sequencer (one process, under a lease)         witnesses
 state change + enqueue(entry)
 commit
 wait(queue_id)  ───────────────▶ indices, hashes, signed checkpoint,
                                  one durable transaction
 index           ◀───────────────
 promise(index), the answer may go out
 wait_cosigned(index)             latest checkpoint ────────────────────────▶ persist, cosign
 receipt(index)  ◀─────────────── cosignature, stored  ◀────────────────────
```

What the log shows to anyone: its entries, in order, and when it signed. What stands in an entry is the caller's matter;
nothing personal may.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from sqlalchemy import Connection, Engine

from audit.combining import Combiner
from audit.database import check_durable, writing
from audit.log.store import LogStore, Placed, StoredCheckpoint
from audit.log.tables import LogTables
from audit.log.waiting import Waiters
from audit.verifier.checkpoint import Checkpoint
from audit.verifier.errors import LogUnavailable, ProofError
from audit.verifier.merkle import EMPTY_ROOT, leaf_hash, prove_consistency, prove_inclusion, root_of, subtree_hash
from audit.verifier.note import COSIGNATURE_V1, NoteSigner, VerifierKey
from audit.verifier.promise import Promise, sign_promise
from audit.verifier.proof import Receipt
from audit.verifier.tiles import (
    CHECKPOINT_PATH,
    ENTRIES,
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    check_entry,
    encode_bundle,
)

__all__ = ["Log", "LogUnavailable"]
MOST_TOGETHER = 1024


class Log:
    """A transparency log in a database, named by its signer's key name (its origin).

    `witnesses`: the witnesses' keys. A checkpoint counts as cosigned when `quorum` of them and all of `required` have
    cosigned it.
    """

    def __init__(
        self,
        engine: Engine,
        tables: LogTables,
        signer: NoteSigner,
        *,
        witnesses: Sequence[VerifierKey] = (),
        quorum: int = 1,
        required: Sequence[VerifierKey] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        check_durable(engine)
        _check_witnesses(signer, witnesses, quorum, required)
        self.engine = engine
        self.store = LogStore(tables)
        self.signer = signer
        self.origin = signer.key.name
        self.witnesses = tuple(witnesses)
        self._quorum = quorum
        self._required = tuple(required)
        self._clock = clock
        self.waiters = Waiters(self._look_up)
        self._enqueue_together = Combiner(self._enqueue_all, most=MOST_TOGETHER)

    # ------------------------------------------------------------------ writing

    def enqueue(self, connection: Connection, entry: bytes) -> int:
        """Queue an entry in the caller's transaction and return its queue id; EntryTooLarge above 65,535 bytes.

        The entry gets its index after the caller's commit: `wait` for it before anything is released.
        """
        check_entry(entry)
        return self.store.enqueue(connection, entry)

    def enqueue_all(self, connection: Connection, entries: Sequence[bytes]) -> list[int]:
        """`enqueue` for several entries, in their order."""
        for entry in entries:
            check_entry(entry)
        return self.store.enqueue_all(connection, entries)

    def wait(self, queue_id: int, timeout: float) -> int:
        """The index of a queued entry once it is durable; LogUnavailable after `timeout` seconds: release nothing."""
        return self.place(queue_id, timeout).index

    def place(self, queue_id: int, timeout: float) -> Placed:
        """`wait`, and all that a promise says of the entry."""
        return self.waiters.wait(queue_id, timeout)

    def append(self, entry: bytes, timeout: float) -> int:
        """Enqueue an entry that goes with no state change, and wait for its index.

        Threads that append at once share a transaction: the first one in writes for all. LogUnavailable, EntryTooLarge.
        """
        check_entry(entry)
        return self.wait(self._enqueue_together(entry), timeout)

    def now(self, connection: Connection) -> int:
        """The log's time, POSIX seconds: the clock, but never before the last checkpoint."""
        return self.time_after(self.store.latest(connection))

    def time_after(self, last: StoredCheckpoint | None) -> int:
        """max(now, last), POSIX seconds."""
        return max(int(self._clock()), last.time if last else 0)

    # ------------------------------------------------------------------ checkpoints

    @property
    def quorum(self) -> int:
        """How many witnesses must have cosigned a checkpoint."""
        return max(self._quorum, len(self._required)) if self.witnesses else 0

    @property
    def size(self) -> int:
        """How many entries the last signed checkpoint holds."""
        with self.engine.connect() as connection:
            latest = self.store.latest(connection)
        return latest.size if latest else 0

    def checkpoint(self) -> str:
        """The last signed checkpoint, with the cosignatures that it has; LogUnavailable before the first."""
        with self.engine.connect() as connection:
            return self._with_cosignatures(connection, self._latest(connection))

    def published(self) -> str:
        """The last cosigned checkpoint; without witnesses, the last signed one; LogUnavailable while there is none."""
        if not self.witnesses:
            return self.checkpoint()
        with self.engine.connect() as connection:
            size = self.cosigned_size(connection, -1)
            if size is None:
                raise LogUnavailable("no checkpoint of this log has been cosigned yet; ask again in a moment")
            return self._with_cosignatures(connection, self.store.checkpoint(connection, size))

    def cosigned_size(self, connection: Connection, above: int) -> int | None:
        """The largest cosigned size above `above`, or None."""
        if not self.witnesses:
            return None
        return self.store.cosigned_size(
            connection,
            above,
            [str(key) for key in self.witnesses],
            max(self._quorum, len(self._required)),
            [str(key) for key in self._required],
        )

    def wait_cosigned(self, index: int, timeout: float) -> str:
        """The latest cosigned checkpoint that holds entry `index`; LogUnavailable after `timeout` seconds."""
        if not self.witnesses:
            raise LogUnavailable("no witness is configured, so no checkpoint is ever cosigned: name the witnesses' keys")

        def look() -> str | None:
            with self.engine.connect() as connection:
                size = self.cosigned_size(connection, index)
                if size is None:
                    return None
                return self._with_cosignatures(connection, self.store.checkpoint(connection, size))

        return self.waiters.wait_cosigned(look, timeout)

    # ------------------------------------------------------------------ proofs

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """The inclusion proof of entry `index` in the tree of `size` entries; ProofError outside of the log."""
        with self.engine.connect() as connection:
            return prove_inclusion(index, size, self._nodes(connection, size))

    def consistency(self, old: int, new: int) -> list[bytes]:
        """The consistency proof from `old` to `new` entries; ProofError outside of the log."""
        with self.engine.connect() as connection:
            return prove_consistency(old, new, self._nodes(connection, new))

    def extends(self, earlier: Checkpoint) -> bool:
        """Does the stored tree hold what `earlier` says of it?"""
        if earlier.size == 0:
            return earlier.root == EMPTY_ROOT
        with self.engine.connect() as connection:
            latest = self.store.latest(connection)
            if latest is None or latest.size < earlier.size:
                return False
            return subtree_hash(0, earlier.size, self._nodes(connection, earlier.size)) == earlier.root

    def receipt(self, index: int, patience: float = 0.0) -> str:
        """A tlog-proof of entry `index`: under the last cosigned checkpoint, or the last signed one if none holds it.

        Asks the witnesses, and waits for them up to `patience` seconds, where the entry is signed and not cosigned yet.
        """
        with self.engine.connect() as connection:
            size = self.cosigned_size(connection, index)
            if size is not None or not patience or not self.witnesses:
                return self._receipt(connection, index, size)
            if index >= self._latest(connection).size:
                raise ProofError(f"entry {index} is not in the log")
        with suppress(LogUnavailable):
            self.wait_cosigned(index, patience)
        return self.receipt(index)

    def promise(self, index: int, entry: bytes) -> bytes:
        """The signed promise that `entry` stands at `index`; ProofError if it does not."""
        with self.engine.connect() as connection:
            placed = self.store.placed_at(connection, index)
        if placed is None:
            raise ProofError(f"entry {index} is not in the log")
        if placed.leaf != leaf_hash(entry):
            raise ProofError(f"another entry stands at index {index}: the log does not promise what it does not hold")
        return self.promise_of(placed)

    def promise_of(self, placed: Placed) -> bytes:
        """The signed promise of an entry whose place `place` gave."""
        return sign_promise(Promise(self.origin, placed.index, placed.leaf, placed.time), self.signer)

    # ------------------------------------------------------------------ files (tlog-tiles)

    def fetch(self, path: str) -> bytes:
        """One file of the log; FileNotFoundError where there is none, FormatError for what is no path of a log."""
        return self.published().encode() if path == CHECKPOINT_PATH else self.tile(Tile.parse(path))

    def tile(self, tile: Tile) -> bytes:
        """The bytes of a tile or entry bundle; FileNotFoundError where the log does not reach."""
        with self.engine.connect() as connection:
            if tile.level == ENTRIES:
                entries = self.store.entries(connection, tile.index * TILE_WIDTH, tile.width)
                found, data = len(entries), encode_bundle(entries)
            else:
                hashes = self.store.hashes(connection, tile.level, tile.index * TILE_WIDTH, tile.width)
                found, data = len(hashes), b"".join(hashes)
        if found < tile.width:
            raise FileNotFoundError(tile.path)
        return data

    # ------------------------------------------------------------------ openings

    def store_openings(self, connection: Connection, openings: Mapping[bytes, bytes]) -> None:
        """Keep what leaf commitments open to, in the caller's transaction."""
        self.store.store_openings(connection, openings)

    def opening(self, commitment: bytes) -> bytes | None:
        """What a commitment opens to; None if it was erased or never stored."""
        with self.engine.connect() as connection:
            return self.store.opening(connection, commitment)

    def erase_opening(self, connection: Connection, commitment: bytes) -> bool:
        """Erase an opening in the caller's transaction; False if there was none. The leaf stays."""
        return self.store.erase_opening(connection, commitment)

    # ------------------------------------------------------------------ within

    def _enqueue_all(self, entries: Sequence[bytes]) -> list[int]:
        with writing(self.engine) as connection:
            return self.store.enqueue_all(connection, entries)

    def _look_up(self, queue_id: int) -> Placed | None:
        with self.engine.connect() as connection:
            return self.store.placed(connection, queue_id)

    def _receipt(self, connection: Connection, index: int, size: int | None) -> str:
        checkpoint = self._latest(connection) if size is None else self.store.checkpoint(connection, size)
        note = self._with_cosignatures(connection, checkpoint)
        assert checkpoint is not None
        proof = prove_inclusion(index, checkpoint.size, self._nodes(connection, checkpoint.size))
        return str(Receipt(index, tuple(proof), note))

    def _latest(self, connection: Connection) -> StoredCheckpoint:
        latest = self.store.latest(connection)
        if latest is None:
            raise LogUnavailable("the log has signed nothing yet: start its sequencer")
        return latest

    def _with_cosignatures(self, connection: Connection, checkpoint: StoredCheckpoint | None) -> str:
        assert checkpoint is not None, "a cosigned checkpoint is stored before it is cosigned"
        return checkpoint.note + "".join(self.store.cosignatures(connection, checkpoint.size))

    def _nodes(self, connection: Connection, size: int) -> Callable[[int, int], bytes]:
        """The perfect subtrees of the tree of `size` entries, each from the tile that holds it or its leaves."""
        tiles: dict[Tile, list[bytes]] = {}
        if size > 0 and not self.store.hashes(connection, 0, size - 1, 1):
            raise ProofError(f"the log does not hold a tree of {size} entries")

        def node_at(level: int, index: int) -> bytes:
            tile_level, height = divmod(level, TILE_HEIGHT)
            first = index << height
            tile = Tile(tile_level, first // TILE_WIDTH)
            if tile not in tiles:
                tiles[tile] = self.store.hashes(connection, tile.level, tile.index * TILE_WIDTH, TILE_WIDTH)
            start = first % TILE_WIDTH
            return root_of(tiles[tile][start : start + (1 << height)])

        return node_at


def _check_witnesses(
    signer: NoteSigner, witnesses: Sequence[VerifierKey], quorum: int, required: Sequence[VerifierKey]
) -> None:
    if any(key.algorithm != COSIGNATURE_V1 for key in witnesses):
        raise ValueError("a witness's verifier key has type 0x04 (cosignature/v1)")
    if len({key.public_key for key in witnesses} | {signer.key.public_key}) != len(witnesses) + 1:
        raise ValueError("every witness needs a key of its own, other than the log's")
    if not set(required) <= set(witnesses):
        raise ValueError("a required witness must stand among the witnesses")
    if witnesses and not 1 <= quorum <= len(witnesses):
        raise ValueError(f"the quorum lies between 1 and the number of witnesses, {len(witnesses)}")
