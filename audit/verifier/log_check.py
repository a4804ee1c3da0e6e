"""The check of a whole log: every entry, every tile, the root and the signatures, from nothing but its files.

`fetch(path)` gives the bytes of one file of the log: of a mirror in a directory, of an HTTP prefix, or of the server's own
database (the signer checks itself with this before it signs). The steps:

1. the checkpoint is signed by the log and cosigned by enough witnesses;
2. every entry hashes to its hash in the level-0 tile;
3. every tile above equals what the tiles below give;
4. the root of all entries is the signed one;
5. the log extends every earlier checkpoint that the caller holds.

The first thing that is wrong is raised as `DamagedLog`, whose `where` names the entry, the tile or the checkpoint's line.
"""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from audit.verifier.checkpoint import Checkpoint, SignedCheckpoint, open_checkpoint
from audit.verifier.errors import DamagedLog, FormatError, SignatureError
from audit.verifier.merkle import EMPTY_ROOT, HASH_BYTES, CompactRange, leaf_hashes, perfect_root
from audit.verifier.note import VerifierKey
from audit.verifier.tiles import (
    CHECKPOINT_PATH,
    ENTRIES,
    MAX_BUNDLE_BYTES,
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    decode_bundle,
    levels_of,
    split_hashes,
    tiles_at,
)

Fetch = Callable[[str], bytes]
"""A path below the log's prefix to its bytes; FileNotFoundError where there is none."""

HTTP_TIMEOUT = 30.0


@dataclass(frozen=True)
class LogReport:
    """A log that was found whole."""

    checkpoint: SignedCheckpoint
    tree: CompactRange
    """The right edge of the verified tree."""

    @property
    def size(self) -> int:
        """How many entries were checked."""
        return self.checkpoint.checkpoint.size


def check_log(
    fetch: Fetch,
    log_keys: Iterable[VerifierKey],
    witness_keys: Iterable[VerifierKey] = (),
    quorum: int = 0,
    *,
    earlier: Iterable[str] = (),
    on_entry: Callable[[int, bytes], None] | None = None,
    on_tile: Callable[[], None] = lambda: None,
) -> LogReport:
    """Check a whole log or raise DamagedLog.

    `earlier`: checkpoint notes of the same log seen before; the log must extend each of them. `on_entry(index, entry)`
    sees every entry after it was checked against its leaf hash (the root is checked last), `on_tile()` is called after each
    256 of them.
    """
    log_keys = tuple(log_keys)
    # (1) the checkpoint and its signatures
    signed = _open(_fetch_checkpoint(fetch), log_keys, witness_keys, quorum, CHECKPOINT_PATH)
    head = signed.checkpoint
    before = [_open(note, log_keys, (), 0, "the earlier checkpoint").checkpoint for note in earlier]
    for known in before:
        _check_order(known, head)
    # (2) the entries, and with them the tiles of level 0
    tree = CompactRange()
    roots = {known.size: EMPTY_ROOT for known in before}
    subtrees: list[bytes] = []  # the hash of each full tile of the level below
    for tile, leaves, entries in _checked_tiles(fetch, head.size):
        subtrees += _add_tile(tree, leaves, roots)
        if on_entry is not None:
            for index, entry in enumerate(entries, tile.index * TILE_WIDTH):
                on_entry(index, entry)
        on_tile()
    # (3) the tiles above
    _check_upper_tiles(fetch, head.size, subtrees)
    # (4) the root
    if tree.root() != head.root:
        raise DamagedLog(
            "line 3 of the checkpoint",
            f"the root of the {head.size:,} entries is not the signed one, though entries and tiles agree: "
            "entries were exchanged, moved or added together with their hashes",
        )
    # (5) what was seen before
    for known in before:
        if roots[known.size] != known.root:
            raise DamagedLog(f"entries before {known.size}", "they are not those of the earlier checkpoint: the log was forked")
    return LogReport(signed, tree)


def directory_fetch(directory: Path) -> Fetch:
    """The files of a mirror in a directory."""

    def fetch(path: str) -> bytes:
        try:
            return (directory / path).read_bytes()
        except (IsADirectoryError, NotADirectoryError):
            raise FileNotFoundError(path) from None

    return fetch


def http_fetch(prefix: str) -> Fetch:
    """The files of a log served below an http(s) prefix. OSError where the server cannot be reached."""
    if not re.match(r"https?://", prefix):
        raise ValueError("a log's address begins with http:// or https://")

    def fetch(path: str) -> bytes:
        request = urllib.request.Request(f"{prefix.rstrip('/')}/{path}")  # noqa: S310 - http(s) was checked
        try:
            with urllib.request.urlopen(request, timeout=HTTP_TIMEOUT) as answer:  # noqa: S310
                data: bytes = answer.read(MAX_BUNDLE_BYTES + 1)
        except urllib.error.HTTPError as error:
            if error.code in {404, 410}:
                raise FileNotFoundError(path) from None
            raise
        if len(data) > MAX_BUNDLE_BYTES:
            raise DamagedLog(path, "the file is larger than any file of a log can be")
        return data

    return fetch


def fetch_tile(fetch: Fetch, tile: Tile) -> tuple[Tile, bytes]:
    """A tile and its bytes; where the partial one is gone, the full one (tlog-tiles, "Partial Tiles")."""
    try:
        return tile, fetch(tile.path)
    except FileNotFoundError:
        if tile == tile.full:
            raise
    return tile.full, fetch(tile.full.path)


def _fetch_checkpoint(fetch: Fetch) -> bytes:
    try:
        return fetch(CHECKPOINT_PATH)
    except FileNotFoundError:
        raise DamagedLog(CHECKPOINT_PATH, "there is no checkpoint here: is this the prefix of a log?") from None


def _fetch_tile(fetch: Fetch, tile: Tile) -> bytes:
    """The hashes of a tile, cut to its width."""
    try:
        served, data = fetch_tile(fetch, tile)
    except FileNotFoundError:
        raise DamagedLog(tile.path, "the tile is missing") from None
    if len(data) != served.width * HASH_BYTES:
        raise DamagedLog(served.path, f"the tile has {len(data)} bytes; {served.width * HASH_BYTES} are meant")
    return data[: tile.width * HASH_BYTES]


def _check_order(known: Checkpoint, head: Checkpoint) -> None:
    if known.origin != head.origin:
        raise DamagedLog("line 1 of the checkpoint", f"the earlier checkpoint is of another log, {known.origin!r}")
    if known.size > head.size:
        raise DamagedLog(
            "line 2 of the checkpoint",
            f"the log has {head.size:,} entries but had {known.size:,} before: it was cut or set back",
        )


def _checked_tiles(fetch: Fetch, size: int) -> Iterator[tuple[Tile, list[bytes], list[bytes]]]:
    """Each level-0 tile with its leaf hashes and entries, each entry checked against its hash."""
    for tile in tiles_at(size, 0):
        hashes = split_hashes(_fetch_tile(fetch, tile))
        entries = list(bundle_entries(fetch, tile))
        leaves = leaf_hashes(entries)
        if leaves != hashes:
            place = next(n for n, pair in enumerate(zip(leaves, hashes, strict=True)) if pair[0] != pair[1])
            index = tile.index * TILE_WIDTH + place
            raise DamagedLog(f"entry {index}", f"its hash is not the one in {tile.path}: one of the two was changed")
        yield tile, leaves, entries


def _add_tile(tree: CompactRange, leaves: list[bytes], roots: dict[int, bytes]) -> list[bytes]:
    """Add a tile's leaf hashes to the tree, and keep the roots that are asked for; the hash of the tile, if it is full."""
    begun = tree.size
    if len(leaves) == TILE_WIDTH and not any(begun < size < begun + TILE_WIDTH for size in roots):
        ended = tree.append_subtree(TILE_HEIGHT, perfect_root(leaves))[:1]
        if tree.size in roots:
            roots[tree.size] = tree.root()
        return ended
    ended = []
    for leaf in leaves:
        ended += tree.append(leaf)[TILE_HEIGHT : TILE_HEIGHT + 1]
        if tree.size in roots:
            roots[tree.size] = tree.root()
    return ended


def bundle_entries(fetch: Fetch, tile: Tile) -> Iterator[bytes]:
    """The entries of the bundle beside a level-0 tile, exactly as many as it has hashes; raises `DamagedLog`."""
    bundle = Tile(ENTRIES, tile.index, tile.width)
    first = count = tile.index * TILE_WIDTH
    last = first + tile.width
    try:
        served, data = fetch_tile(fetch, bundle)
        for entry in decode_bundle(data):
            if count == last:
                if served == bundle:
                    raise DamagedLog(bundle.path, f"there is more in it than {tile.width} entries")
                return  # the full bundle stood in for the partial one
            yield entry
            count += 1
    except FileNotFoundError:
        raise DamagedLog(bundle.path, "the entries are missing") from None
    except FormatError as error:
        raise DamagedLog(f"entry {count}", f"{error} ({bundle.path})") from None
    if count < last:
        raise DamagedLog(f"entry {count}", f"{bundle.path} ends before it; {tile.width} entries are meant")


def _check_upper_tiles(fetch: Fetch, size: int, subtrees: list[bytes]) -> None:
    """Compare every tile above level 0 with the hashes of the full tiles below it."""
    for level in levels_of(size)[1:]:
        above: list[bytes] = []
        for tile in tiles_at(size, level):
            start = tile.index * TILE_WIDTH
            expected = subtrees[start : start + tile.width]
            for offset, found in enumerate(split_hashes(_fetch_tile(fetch, tile))):
                if found != expected[offset]:
                    below = Tile(level - 1, start + offset)
                    raise DamagedLog(tile.path, f"hash {offset} is not that of {below.path}: one of the two was changed")
            if tile == tile.full:
                above.append(perfect_root(expected))
        subtrees = above


def _open(
    note: str | bytes, log_keys: Iterable[VerifierKey], witness_keys: Iterable[VerifierKey], quorum: int, what: str
) -> SignedCheckpoint:
    try:
        return open_checkpoint(note, log_keys, witness_keys, quorum)
    except (FormatError, SignatureError) as error:
        raise DamagedLog(what, str(error)) from None
