"""Tiles: paths, sizes and bytes against a slow reference, and the check of a whole log on its files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audit.verifier.errors import DamagedLog, EntryTooLarge, FormatError
from audit.verifier.log_check import Fetch, check_log, directory_fetch
from audit.verifier.tiles import (
    ENTRIES,
    Tile,
    decode_bundle,
    encode_bundle,
    hashes_at,
    levels_of,
    tiles_at,
)
from tests.audit import reference
from tests.audit.logs import BANK, OFFICE, SIGNER, entries_of
from tests.conftest import shared_path

SIZES = [1, 255, 256, 257, 70_000]


def test_paths_of_the_text() -> None:
    """tlog-tiles, "Merkle Tree": index 1234067 is x001/x234/067."""
    assert Tile(0, 1234067).path == "tile/0/x001/x234/067"
    assert Tile(ENTRIES, 0, 17).path == "tile/entries/000.p/17"
    assert Tile.parse("tile/entries/x001/x234/067.p/1") == Tile(ENTRIES, 1234067, 1)
    for path in ("tile/4/001", "tile/4/001.p/5", "tile/5/x123/x456/078.p/2", "tile/63/999"):
        assert Tile.parse(path).path == path


def test_paths_seen_in_go() -> None:
    """Go's tiles name their height first; without it they are ours."""
    vectors = json.loads(shared_path("vectors/signed_note/go_sumdb_tlog.json").read_text())
    for path in vectors["tile_paths_seen"]:
        ours = "tile/" + path.split("/", 2)[2].replace("data", "entries")
        assert Tile.parse(ours).path == ours


@pytest.mark.parametrize(
    "path",
    [
        "",
        "checkpoint",
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001/x002",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/999",
        "tile/0/000/",
        "tile/0/000\n",
        "tile/0/../checkpoint",
        "tile/entries/000.p/",
        "tile/data/000",
        "tile/0/٠٠٠",
        "tile/0/" + "x001/" * 5 + "000",
    ],
)
def test_malformed_paths(path: str) -> None:
    with pytest.raises(FormatError):
        Tile.parse(path)


def test_tiles_of_70000() -> None:
    """tlog-tiles, "Partial Tiles"."""
    level0, level1, level2 = (list(tiles_at(70_000, level)) for level in levels_of(70_000))
    assert len(level0) == 274
    assert level0[-1] == Tile(0, 273, 112)
    assert level1 == [Tile(1, 0), Tile(1, 1, 17)]
    assert level2 == [Tile(2, 0, 1)]
    assert [list(tiles_at(256, level)) for level in levels_of(256)] == [[Tile(0, 0)], [Tile(1, 0, 1)]]
    assert list(levels_of(255)) == [0]
    assert list(levels_of(0)) == []
    assert hashes_at(70_000, 1) == 273


@pytest.mark.parametrize("size", SIZES)
def test_a_whole_log_is_found_whole(size: int) -> None:
    entries = entries_of(size)
    files = reference.log_files(entries, SIGNER)
    expected = {"checkpoint", *(t.path for level in (ENTRIES, *levels_of(size)) for t in tiles_at(size, level))}
    assert files.keys() == expected
    seen: list[bytes] = []
    report = check_log(fetch_of(files), [SIGNER.key], on_entry=lambda _, entry: seen.append(entry))
    assert (report.size, seen) == (size, entries)
    assert report.tree.root() == reference.mth(entries)


def test_bundles() -> None:
    entries = [b"", b"a", b"x" * 65_535]
    assert list(decode_bundle(encode_bundle(entries))) == entries
    assert encode_bundle([b"ab"]) == b"\0\2ab"
    with pytest.raises(EntryTooLarge, match="65,535"):
        encode_bundle([b"x" * 65_536])
    for cut in (b"\0", b"\0\2a", b"\0\1a\0"):
        with pytest.raises(FormatError):
            list(decode_bundle(cut))


def fetch_of(files: dict[str, bytes]) -> Fetch:
    def fetch(path: str) -> bytes:
        if path not in files:
            raise FileNotFoundError(path)
        return files[path]

    return fetch


def damage(files: dict[str, bytes], **options: object) -> str:
    with pytest.raises(DamagedLog) as caught:
        check_log(fetch_of(files), [SIGNER.key], **options)  # type: ignore[arg-type]
    return caught.value.where


def changed(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return reference.log_files(entries_of(600), SIGNER)


def test_damage_is_named(files: dict[str, bytes]) -> None:
    entry = len(encode_bundle(entries_of(7))) + 4
    cases = {
        "entry 7": {"tile/entries/000": changed(files["tile/entries/000"], entry)},
        "entry 300": {"tile/0/001": changed(files["tile/0/001"], 32 * (300 - 256))},
        "tile/1/000.p/2": {"tile/1/000.p/2": changed(files["tile/1/000.p/2"], 40)},
        "tile/0/002.p/88": {"tile/0/002.p/88": files["tile/0/002.p/88"][:-1]},
        "entry 599": {"tile/entries/002.p/88": files["tile/entries/002.p/88"][:-1]},
        "entry 598": {"tile/entries/002.p/88": encode_bundle(entries_of(598)[512:])},
        "tile/entries/001": {"tile/entries/001": files["tile/entries/001"] + b"\0\0"},
        "tile/entries/002.p/88": {"tile/entries/002.p/88": files["tile/entries/002.p/88"] + b"\0\0"},
    }
    for where, change in cases.items():
        assert damage(files | change) == where


def test_missing_files_are_named(files: dict[str, bytes]) -> None:
    for path in files:
        rest = {name: data for name, data in files.items() if name != path}
        where = damage(rest)
        assert where in {path, path.partition(".p/")[0]} or (path == "checkpoint" and where == path)


def test_a_full_tile_stands_in_for_a_partial_one() -> None:
    """tlog-tiles, "Partial Tiles": a log may delete a partial tile once the full one is there."""
    entries = entries_of(600)
    grown = reference.log_files(entries, SIGNER)
    grown["checkpoint"] = reference.checkpoint_note(entries[:500], SIGNER).encode()
    grown["tile/1/000.p/1"] = grown["tile/1/000.p/2"][:32]
    assert check_log(fetch_of(grown), [SIGNER.key]).size == 500


def test_entries_exchanged_together_with_their_hashes() -> None:
    """Entries and tiles agree with each other; only the signed root does not."""
    entries = entries_of(600)
    entries[3], entries[4] = entries[4], entries[3]
    files = reference.log_files(entries, SIGNER)
    files["checkpoint"] = reference.checkpoint_note(entries_of(600), SIGNER).encode()
    assert damage(files) == "line 3 of the checkpoint"


def test_an_earlier_checkpoint_shows_cut_and_fork(files: dict[str, bytes]) -> None:
    good = [reference.checkpoint_note(entries_of(size), SIGNER) for size in (0, 1, 256, 600)]
    assert check_log(fetch_of(files), [SIGNER.key], earlier=good).size == 600
    longer = reference.checkpoint_note(entries_of(601), SIGNER)
    assert damage(files, earlier=[longer]) == "line 2 of the checkpoint"
    forked = reference.checkpoint_note([b"other", *entries_of(300)[1:]], SIGNER)
    assert damage(files, earlier=[forked]) == "entries before 300"


def test_signatures_are_demanded(files: dict[str, bytes]) -> None:
    assert damage(files, witness_keys=[OFFICE.key, BANK.key], quorum=1) == "checkpoint"
    with pytest.raises(DamagedLog, match="no key known"):
        check_log(fetch_of(files), [])


def test_the_files_of_a_directory(tmp_path: Path, files: dict[str, bytes]) -> None:
    for path, data in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    assert check_log(directory_fetch(tmp_path), [SIGNER.key]).size == 600
    (tmp_path / "tile/0/001").unlink()
    with pytest.raises(DamagedLog, match="missing"):
        check_log(directory_fetch(tmp_path), [SIGNER.key])
