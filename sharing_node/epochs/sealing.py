"""Sealing shards and merging their cells into one order of tags."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from crypto import cells
from crypto.xof import keystream_into
from models.problems import Conflict
from sharing_node.epochs.layout import Layout, padded_size
from sharing_node.epochs.work import Snapshot, Work, run, shard
from sharing_node.keys import KeyStore

SHARD_SUBJECTS = 20_000
MERGE_BYTES = 32 << 20
_DUMMIES = b"xinqiao/epoch/dummies/"
_Pairs = list[tuple[str, bytes]]
_decoder = msgspec.msgpack.Decoder(_Pairs)


def take_snapshot(
    work: Work, records: Iterable[tuple[str, bytes]], subjects_a_shard: int, report: Callable[[int], None]
) -> Snapshot:
    """Write (id, record) pairs, which come in strict order of ids, into shards; one shard is in memory at a time."""
    longest = count = shards = 0
    last = ""
    remaining = iter(records)
    while pairs := list(islice(remaining, subjects_a_shard)):
        for subject, record in pairs:
            if subject <= last:
                # Two cells of one subject would be two records under one key.
                raise Conflict("the records did not come in the order of their ids; nothing was built")
            last = subject
            longest = max(longest, len(record))
        work.write(shard(shards), [msgspec.msgpack.encode(pairs)])
        count, shards = count + len(pairs), shards + 1
        report(count)
    return Snapshot(count, shards, padded_size(longest))


@dataclass(frozen=True)
class SealShard:
    """One shard's part of the work; holds paths and names, no secret."""

    folder: Path
    keys: Path
    key: str
    context: bytes
    padded_size: int

    def __call__(self, index: int) -> int:
        """Seal one shard into a run of cells sorted by tag; the shard is gone afterwards. How many cells it has."""
        work = Work(self.folder)
        server = KeyStore(self.keys).oprf(self.key)
        try:
            pairs = _decoder.decode(work.path(shard(index)).read_bytes())
        except FileNotFoundError:
            if work.has(run(index)):
                return 0  # a worker of a builder that was killed had it in hand and has just finished it
            raise
        outputs = server.evaluate_many([subject.encode() for subject, _ in pairs], workers=1)
        keyed = (cells.derive(y, self.context) for y in outputs)
        sealed = cells.seal_many(
            ((tag, key, record) for (tag, key), (_, record) in zip(keyed, pairs, strict=True)), self.padded_size
        )
        sealed.sort()
        work.write(run(index), [b"".join(sealed)])
        work.remove([shard(index)])
        return len(sealed)


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
