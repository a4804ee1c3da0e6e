"""The files of a log (tlog-tiles): where each tile and entry bundle stands, how wide it is, how entries are framed.

    checkpoint
    tile/<L>/<N>[.p/<W>]          up to 256 hashes of 32 bytes: the nodes (8·L, 256·N …)
    tile/entries/<N>[.p/<W>]      up to 256 entries, each with its length in two bytes, big-endian

<N> is written in groups of three digits, all but the last with an `x`: 1234067 is x001/x234/067.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from audit.verifier.errors import EntryTooLarge, FormatError
from audit.verifier.merkle import HASH_BYTES

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
MAX_ENTRY_BYTES = 0xFFFF
MAX_BUNDLE_BYTES = TILE_WIDTH * (2 + MAX_ENTRY_BYTES)
CHECKPOINT_PATH = "checkpoint"
ENTRIES = -1
"""The level that stands for entry bundles."""

_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<groups>(?:x[0-9]{3}/){0,4})(?P<last>[0-9]{3})"
    r"(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True)
class Tile:
    """One tile, or at level ENTRIES one entry bundle. `width` counts its hashes or entries, 1 to 256."""

    level: int
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Its path below the log's prefix."""
        level = "entries" if self.level == ENTRIES else str(self.level)
        groups = [f"{self.index % 1000:03}"]
        rest = self.index // 1000
        while rest:
            groups.insert(0, f"x{rest % 1000:03}")
            rest //= 1000
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{level}/{'/'.join(groups)}{partial}"

    @classmethod
    def parse(cls, path: str) -> Tile:
        """Read a path; FormatError for anything that `path` would not have written."""
        match = _PATH.fullmatch(path)
        if match is None:
            raise FormatError("this is not the path of a tile")
        level = ENTRIES if match["level"] == "entries" else int(match["level"])
        index = int(match["groups"].replace("x", "").replace("/", "") + match["last"])
        tile = cls(level, index, int(match["width"] or TILE_WIDTH))
        if level > 63 or tile.width > TILE_WIDTH or tile.path != path:
            raise FormatError("this is not the path of a tile")
        return tile

    @property
    def full(self) -> Tile:
        """The same tile at full width."""
        return Tile(self.level, self.index)


def hashes_at(size: int, level: int) -> int:
    """How many hashes the tiles of a level hold in a tree of `size` entries: floor(size / 256^level)."""
    return size if level == ENTRIES else size >> (TILE_HEIGHT * level)


def tiles_at(size: int, level: int) -> Iterator[Tile]:
    """All tiles (or bundles) of one level, left to right; the last may be partial."""
    count = hashes_at(size, level)
    for index in range(count // TILE_WIDTH):
        yield Tile(level, index)
    if count % TILE_WIDTH:
        yield Tile(level, count // TILE_WIDTH, count % TILE_WIDTH)


def levels_of(size: int) -> range:
    """The levels that have tiles in a tree of `size` entries."""
    return range((size.bit_length() + TILE_HEIGHT - 1) // TILE_HEIGHT)


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """An entry bundle; EntryTooLarge."""
    parts: list[bytes] = []
    for entry in entries:
        check_entry(entry)
        parts += (len(entry).to_bytes(2, "big"), entry)
    return b"".join(parts)


def decode_bundle(bundle: bytes) -> Iterator[bytes]:
    """The entries of a bundle one by one; FormatError where the bytes end inside an entry."""
    end, length = 0, len(bundle)
    while end < length:
        start = end + 2
        end = start + int.from_bytes(bundle[end:start], "big")
        if end > length or start > length:
            raise FormatError("the bundle ends inside this entry")
        yield bundle[start:end]


def split_hashes(tile: bytes) -> list[bytes]:
    """The hashes of a tile, 32 bytes each."""
    return [tile[start : start + HASH_BYTES] for start in range(0, len(tile), HASH_BYTES)]


def check_entry(entry: bytes) -> None:
    """Refuse an entry above 65,535 bytes; EntryTooLarge."""
    if len(entry) > MAX_ENTRY_BYTES:
        raise EntryTooLarge(
            f"a log entry has at most {MAX_ENTRY_BYTES:,} bytes, this one {len(entry):,}: log a commitment to it instead"
        )
