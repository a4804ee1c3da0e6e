"""From records to cells, a shard at a time, and from all shards' cells to one order of tags.

The VOPRF, which is nearly all of the work, needs no more than a shard; the cells need the longest record of all shards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from operator import ge
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from crypto import cells
from crypto.xof import keystream_into
from models.problems import Conflict
from sharing_node.epochs.layout import Layout, padded_size
from sharing_node.epochs.work import Snapshot, Work, keyed, run, shard
from sharing_node.keys import KeyStore

SHARD_SUBJECTS = 20_000
MERGE_BYTES = 32 << 20
_DUMMIES = b"xinqiao/epoch/dummies/"
_DIGEST_BYTES = 32
_pairs = msgspec.msgpack.Decoder(list[tuple[str, bytes]])
_entries = msgspec.msgpack.Decoder(list[bytes])


@dataclass(frozen=True)
class Shard:
    """Some subjects' part of the work; `digest` is SHA-256 of what the shard holds."""

    index: int
    count: int
    digest: bytes


class Shards:
    """Writes (id, record) pairs, in strict order of ids, into shards as they are asked for; one is in memory at a time.

    Raises, as it goes:
        Conflict: the ids are not in strict order.
    """

    def __init__(self, work: Work, records: Iterable[tuple[str, bytes]], subjects_a_shard: int) -> None:
        self._work, self._records, self._subjects_a_shard = work, records, subjects_a_shard
        self.snapshot: Snapshot | None = None
        """What was written, once all of it is."""

    def __iter__(self) -> Iterator[Shard]:
        longest = count = shards = 0
        last = ""
        remaining = iter(self._records)
        while pairs := list(islice(remaining, self._subjects_a_shard)):
            ids = [last, *(subject for subject, _ in pairs)]
            if any(map(ge, ids, ids[1:])):
                # Two cells of one subject would be two records under one key.
                raise Conflict("the records did not come in the order of their ids; nothing was built")
            last = ids[-1]
            longest = max(longest, *(len(record) for _, record in pairs))
            content = msgspec.msgpack.encode(pairs)
            self._work.write(shard(shards), [content])
            yield Shard(shards, len(pairs), sha256(content).digest())
            count, shards = count + len(pairs), shards + 1
        self.snapshot = Snapshot(count, shards, padded_size(longest))


@dataclass(frozen=True)
class Evaluate:
    """From a shard to tags and keys, as a part of work; holds paths and names, no secret."""

    folder: Path
    keys: Path
    key: str
    context: bytes

    def __call__(self, part: Shard) -> Shard:
        """Write (tag, key, record) of each subject, sorted by tag, unless that was made of the very same shard before."""
        work = Work(self.folder)
        if _made_of(work.path(keyed(part.index))) == part.digest:
            return part
        server = KeyStore(self.keys).oprf(self.key)
        pairs = _pairs.decode(work.path(shard(part.index)).read_bytes())
        outputs = server.evaluate_many([subject.encode() for subject, _ in pairs], workers=1)
        entries = [b"".join((*cells.derive(y, self.context), record)) for y, (_, record) in zip(outputs, pairs, strict=True)]
        entries.sort()
        work.write(keyed(part.index), [part.digest, msgspec.msgpack.encode(entries)])
        return part


@dataclass(frozen=True)
class Seal:
    """From (tag, key, record) to cells, as a part of work."""

    folder: Path
    padded_size: int

    def __call__(self, index: int) -> int:
        """Write a run of cells, sorted by tag as what they are made of."""
        work = Work(self.folder)
        entries = _entries.decode(memoryview(work.path(keyed(index)).read_bytes())[_DIGEST_BYTES:])
        key, record = cells.TAG_BYTES, cells.TAG_BYTES + cells.KEY_BYTES
        sealed = cells.seal_many(((entry[:key], entry[key:record], entry[record:]) for entry in entries), self.padded_size)
        work.write(run(index), [b"".join(sealed)])
        return index


def _made_of(path: Path) -> bytes:
    """The digest of the shard that a file was made of; nothing where there is no file."""
    try:
        with path.open("rb") as file:
            return file.read(_DIGEST_BYTES)
    except FileNotFoundError:
        return b""


def dummy_run(secret: bytes, layout: Layout) -> NDArray[np.uint8]:
    """The dummies, sorted by tag: uint8[dummies, cell].

    They are a key stream under a key derived from the epoch's, so that the same key gives the same table; whoever does not have
    it cannot tell them from cells.
    """
    size = layout.dummies * layout.cell
    buffer = np.empty(size + 16, np.uint8)
    keystream_into(secret, 0, buffer.data, size)
    dummies = buffer[:size].reshape(layout.dummies, layout.cell)
    return dummies[_order(dummies)]


def dummy_purpose(context: bytes) -> bytes:
    """What the key of the dummies is derived under."""
    return _DUMMIES + context


def merge(work: Work, layout: Layout, dummies: NDArray[np.uint8], runs: Sequence[int], report: Callable[[int], None]) -> None:
    """Write ``cells``: all runs and the dummies in the order of tags, a range of tags at a time."""
    parts: list[_Run] = [_Run(work.path(run(index)), layout.cell) for index in runs]
    blocks = max(1, math.ceil(layout.cells * layout.cell / MERGE_BYTES))
    # Tags are uniform, so ranges of equal length hold nearly equal numbers of cells.
    bounds = np.array([(block << 64) // blocks for block in range(1, blocks)], dtype=np.uint64)
    cuts = [part.cuts(bounds) for part in parts]
    own = _cuts(dummies, bounds)

    def merged() -> Iterator[memoryview]:
        last = b""
        written = 0
        for block in range(blocks):
            slices = [part.read(cut[block], cut[block + 1]) for part, cut in zip(parts, cuts, strict=True)]
            found = np.concatenate([*slices, dummies[own[block] : own[block + 1]]])
            if not len(found):
                continue
            found = found[_order(found)]
            tags = found[:, : cells.TAG_BYTES]
            if (tags[1:] == tags[:-1]).all(axis=1).any() or tags[0].tobytes() == last:
                raise Conflict("two cells have one tag: a subject came twice; nothing was built")
            last = tags[-1].tobytes()
            written += len(found)
            report(written)
            yield found.reshape(-1).data

    work.write("cells", merged())


class _Run:
    """Sorted cells in a file."""

    def __init__(self, path: Path, cell: int) -> None:
        self._path, self._cell = path, cell

    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Some of the cells: uint8[stop − start, cell]."""
        count = (stop - start) * self._cell
        return np.fromfile(self._path, np.uint8, count, offset=start * self._cell).reshape(-1, self._cell)

    def cuts(self, bounds: NDArray[np.uint64]) -> list[int]:
        """Where each range of tags begins and ends."""
        return _cuts(self.read(0, self._path.stat().st_size // self._cell), bounds)


def _cuts(found: NDArray[np.uint8], bounds: NDArray[np.uint64]) -> list[int]:
    return [0, *np.searchsorted(_words(found)[0], bounds).tolist(), len(found)]


def _words(found: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The tags as four numbers each, most significant first: uint64[4, n]."""
    tags = np.ascontiguousarray(found[:, : cells.TAG_BYTES]).view(">u8")
    return np.ascontiguousarray(tags.T).astype(np.uint64)


def _order(found: NDArray[np.uint8]) -> NDArray[np.intp]:
    return np.lexsort(_words(found)[::-1])
