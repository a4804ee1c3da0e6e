"""Attack: change what the log has stored, and see whether anybody still says that it is whole.

Anyone may lay hands on the database or on a mirror: flip bits, cut the end off, exchange entries, set the log back to an old
backup and let it grow differently, push an entry that is too long. The attack fails when the signer refuses to go on, the
witness refuses to cosign, or the check of the log says where the damage is; it succeeds with a single wrong "ok".

The naive build, kept below, signs whatever tree it finds and checks a log by its stored leaf hashes; it says "ok" to most of
these.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from audit.log import Cosigner, HighWaterFile, Log, Sequencer
from audit.log.cosign import Cosigning
from audit.verifier.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from audit.verifier.errors import DamagedLog, LogRefusal, LogUnavailable, SignatureError
from audit.verifier.log_check import Fetch, check_log
from audit.verifier.merkle import leaf_hash, root_of
from audit.verifier.tiles import ENTRIES, Tile, levels_of, split_hashes, tiles_at
from audit.witness import Witness
from audit.witness.store import SqlWitnessStore
from tests.attacks.log_bits import REGIONS, BitFlips
from tests.audit import reference
from tests.audit.logs import BANK, OFFICE, ORIGIN, SIGNER, TIMEOUT, cosigner, entries_of, make_log, put, running
from tests.audit.test_witness import body, make_store

pytestmark = pytest.mark.attack

NAME = "log-tampering"
FULL_COUNT = 10_000
"""Single bits flipped in the database; of the other kinds of tampering together a fifth as many."""

SIZE, BACKUP = 600, 300
KEYS = [SIGNER.key]


# ---------------------------------------------------------------------- the naive build


def naive_check(fetch: Fetch) -> None:
    """A verifier that trusts the stored leaf hashes: signature and root, and never an entry."""
    head = open_checkpoint(fetch("checkpoint"), KEYS).checkpoint
    leaves = [leaf for tile in tiles_at(head.size, 0) for leaf in split_hashes(fetch(tile.path))]
    assert root_of(leaves) == head.root


def naive_sign(connection: sqlite3.Connection) -> str:
    """A signer that signs the tree that it finds."""
    leaves = [leaf for (leaf,) in connection.execute("SELECT leaf FROM log_entries ORDER BY `index`")]
    return sign_checkpoint(Checkpoint(ORIGIN, len(leaves), root_of(leaves)), SIGNER)


def says_ok(check: Callable[[], object]) -> bool:
    try:
        check()
    except Exception:
        return False
    return True


# ---------------------------------------------------------------------- the victim


@dataclass(frozen=True)
class Victim:
    """A log of 600 entries that a witness has cosigned, and its backup from when it had 300."""

    folder: Path
    last: str
    files: dict[str, bytes]

    @classmethod
    def build(cls, folder: Path) -> Victim:
        log = make_log(address(folder / "log.db"), witnesses=[OFFICE.key])
        witness = Witness(OFFICE, {ORIGIN: KEYS}, witness_store(folder))
        with running(log, high_water=HighWaterFile(folder / "mark"), cosigners=[cosigner(witness)]):
            log.wait_cosigned(put(log, entries_of(BACKUP))[-1], TIMEOUT)
        backup(folder / "log.db", folder / "backup.db")
        with running(log, high_water=HighWaterFile(folder / "mark"), cosigners=[cosigner(witness)]):
            log.wait_cosigned(put(log, entries_of(SIZE)[BACKUP:])[-1], TIMEOUT)
        paths = ["checkpoint"]
        paths += [tile.path for level in (ENTRIES, *levels_of(SIZE)) for tile in tiles_at(SIZE, level)]
        files = {path: log.fetch(path) for path in paths}
        last = log.checkpoint()
        log.engine.dispose()
        backup(folder / "log.db", folder / "whole.db")
        return cls(folder, last, files)

    def copy(self, source: str, *, mark: bool = True) -> tuple[Log, HighWaterFile | None, Cosigning]:
        """A fresh copy of `whole.db` or `backup.db` as a log, with its high-water mark and its witness."""
        for name in ("attacked.db", "attacked.db-wal", "attacked.db-shm", "attacked-mark"):
            (self.folder / name).unlink(missing_ok=True)
        shutil.copy(self.folder / source, self.folder / "attacked.db")
        shutil.copy(self.folder / "mark", self.folder / "attacked-mark")
        log = make_log(address(self.folder / "attacked.db"), witnesses=[OFFICE.key])
        witness = Witness(OFFICE, {ORIGIN: KEYS}, witness_store(self.folder))
        high_water = HighWaterFile(self.folder / "attacked-mark") if mark else None
        return log, high_water, Cosigning(log, [cosigner(witness)])


def address(path: Path) -> str:
    return f"sqlite:///{path}"


def witness_store(folder: Path) -> SqlWitnessStore:
    return make_store(address(folder / "office.db"))


def backup(source: Path, target: Path) -> None:
    with sqlite3.connect(source) as old, sqlite3.connect(target) as new:
        old.backup(new)
    new.close()
    old.close()


# ---------------------------------------------------------------------- tampering with the database

Tamper = Callable[[sqlite3.Connection, random.Random], str]
"""Changes the database; returns the place that the check must name."""


def flipped(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(8 * len(data))
    changed = bytearray(data)
    changed[place // 8] ^= 1 << place % 8
    return bytes(changed)


def flip_entry(connection: sqlite3.Connection, rng: random.Random) -> str:
    index = rng.randrange(SIZE)
    [entry] = connection.execute("SELECT entry FROM log_entries WHERE `index` = ?", (index,)).fetchone()
    connection.execute("UPDATE log_entries SET entry = ? WHERE `index` = ?", (flipped(entry, rng), index))
    return f"entry {index}"


def flip_leaf(connection: sqlite3.Connection, rng: random.Random) -> str:
    index = rng.randrange(SIZE)
    [leaf] = connection.execute("SELECT leaf FROM log_entries WHERE `index` = ?", (index,)).fetchone()
    connection.execute("UPDATE log_entries SET leaf = ? WHERE `index` = ?", (flipped(leaf, rng), index))
    return f"entry {index}"


def flip_node(connection: sqlite3.Connection, rng: random.Random) -> str:
    index = rng.randrange(SIZE // 256)
    [node] = connection.execute("SELECT hash FROM log_nodes WHERE `index` = ?", (index,)).fetchone()
    connection.execute("UPDATE log_nodes SET hash = ? WHERE `index` = ?", (flipped(node, rng), index))
    return Tile(1, 0, SIZE // 256).path


def flip_checkpoint(connection: sqlite3.Connection, rng: random.Random) -> str:
    [note] = connection.execute("SELECT note FROM log_checkpoints WHERE size = ?", (SIZE,)).fetchone()
    changed = flipped(note.encode(), rng).decode(errors="replace")
    connection.execute("UPDATE log_checkpoints SET note = ? WHERE size = ?", (changed, SIZE))
    return "checkpoint"


def cut(connection: sqlite3.Connection, rng: random.Random) -> str:
    left = rng.randrange(SIZE)
    connection.execute("DELETE FROM log_entries WHERE `index` >= ?", (left,))
    return list(tiles_at(SIZE, 0))[left // 256].path


def drop_one(connection: sqlite3.Connection, rng: random.Random) -> str:
    """One entry is taken out and all that follow move up, with their hashes."""
    index = rng.randrange(SIZE - 1)
    connection.execute("DELETE FROM log_entries WHERE `index` = ?", (index,))
    connection.execute("UPDATE log_entries SET `index` = -`index` WHERE `index` > ?", (index,))
    connection.execute("UPDATE log_entries SET `index` = -`index` - 1 WHERE `index` < 0")
    return Tile(0, 2, SIZE % 256).path


def exchange(connection: sqlite3.Connection, rng: random.Random) -> str:
    """Two entries change places, with their hashes and with the hashes of their tiles: all agrees but the root."""
    one, other = rng.sample(range(SIZE), 2)
    for source, target in ((one, -1), (other, one), (-1, other)):
        connection.execute("UPDATE log_entries SET `index` = ? WHERE `index` = ?", (target, source))
    rebuild_nodes(connection)
    return "line 3 of the checkpoint"


def rewrite(connection: sqlite3.Connection, rng: random.Random) -> str:
    """One entry says something else, and every hash above it follows."""
    index = rng.randrange(SIZE)
    entry = rng.randbytes(20)
    row = (entry, leaf_hash(entry), index)
    connection.execute("UPDATE log_entries SET entry = ?, leaf = ? WHERE `index` = ?", row)
    rebuild_nodes(connection)
    return "line 3 of the checkpoint"


def rebuild_nodes(connection: sqlite3.Connection) -> None:
    leaves = [leaf for (leaf,) in connection.execute("SELECT leaf FROM log_entries ORDER BY `index`")]
    for index in range(len(leaves) // 256):
        row = (root_of(leaves[256 * index : 256 * index + 256]), index)
        connection.execute("UPDATE log_nodes SET hash = ? WHERE level = 1 AND `index` = ?", row)


TAMPERS: dict[str, Tamper] = {
    "bit of an entry": flip_entry,
    "bit of a leaf hash": flip_leaf,
    "bit of a tile's hash": flip_node,
    "bit of the checkpoint": flip_checkpoint,
    "end cut off": cut,
    "one entry taken out": drop_one,
    "two entries exchanged": exchange,
    "one entry rewritten": rewrite,
}


def attack_database(victim: Victim, kind: str, rng: random.Random) -> bool:
    """Tamper, and hold signer and check to it; True if the naive build says "ok"."""
    log, mark, _ = victim.copy("whole.db")
    with sqlite3.connect(victim.folder / "attacked.db") as connection:
        where = TAMPERS[kind](connection, rng)
    assert signer_refuses(log, mark), kind
    assert signer_refuses(log, None), f"{kind}: without a high-water mark"
    with pytest.raises(DamagedLog) as caught:
        check_log(log.fetch, KEYS)
    assert caught.value.where == where, kind
    fooled = says_ok(lambda: naive_check(log.fetch)) or says_ok(lambda: naive_sign(connection))
    connection.close()
    log.engine.dispose()
    return fooled


def signer_refuses(log: Log, mark: HighWaterFile | None, cosigners: Sequence[Cosigner] = ()) -> bool:
    with Sequencer(log, high_water=mark, cosigners=cosigners) as sequencer:
        try:
            return not sequencer.wait_ready(TIMEOUT)
        except LogRefusal:
            return True


def attack_by_restoring(victim: Victim, rng: random.Random) -> bool:
    """The backup comes back and grows otherwise; True if the naive build says "ok" to the fork."""
    log, mark, _ = victim.copy("backup.db")
    assert signer_refuses(log, mark), "the high-water mark did not go back with the database"
    log.engine.dispose()
    # The mark went back with it: the witnesses' word stops the signer.
    log, _, cosigning = victim.copy("backup.db", mark=False)
    cosigning.close()
    assert signer_refuses(log, None, [cosigner(Witness(OFFICE, {ORIGIN: KEYS}, witness_store(victim.folder)))])
    log.engine.dispose()
    # A signer that asks nobody cannot know, but nobody who saw the log before is deceived.
    log, _, cosigning = victim.copy("backup.db", mark=False)
    grown = rng.choice([0, 1, SIZE - BACKUP - 1, SIZE - BACKUP, SIZE - BACKUP + 1])
    with running(log):
        put(log, [rng.randbytes(12) for _ in range(grown)])
        cosigned = cosigning.round()
        cosigning.close()
        if grown:
            assert not cosigned, "the witness cosigned a fork"
            with pytest.raises(LogUnavailable):
                log.wait_cosigned(BACKUP, 0.0)
    if grown == SIZE - BACKUP:
        assert witness_store(victim.folder).forks(ORIGIN), "two roots for one size are evidence"
    with pytest.raises(DamagedLog) as caught:
        check_log(with_checkpoint(log), KEYS, earlier=[victim.last])
    cut_short = BACKUP + grown < SIZE
    assert caught.value.where == ("line 2 of the checkpoint" if cut_short else f"entries before {SIZE}")
    fooled = says_ok(lambda: naive_check(with_checkpoint(log)))
    log.engine.dispose()
    return fooled


def with_checkpoint(log: Log) -> Fetch:
    """The log as it would show itself without waiting for a witness."""
    return lambda path: log.checkpoint().encode() if path == "checkpoint" else log.fetch(path)


def attack_by_oversize(victim: Victim, rng: random.Random) -> bool:
    """An entry too long for its two length bytes, put into the queue past every check."""
    log, mark, _ = victim.copy("whole.db")
    with sqlite3.connect(victim.folder / "attacked.db") as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("INSERT INTO log_queue (entry) VALUES (?)", (rng.randbytes(65_536 + rng.randrange(99)),))
        [queue_id] = connection.execute("SELECT max(id) FROM log_queue").fetchone()
    connection.close()
    with Sequencer(log, high_water=mark), pytest.raises(LogUnavailable):
        log.wait(queue_id, TIMEOUT)
    assert check_log(log.fetch, KEYS, earlier=[victim.last]).size == SIZE, "what was signed before stays good"
    log.engine.dispose()
    return False


def attack_mirror(victim: Victim, rng: random.Random) -> bool:
    """One bit of one file of a mirror; True if the naive build says "ok"."""
    path = rng.choice(sorted(victim.files))
    files = victim.files | {path: flipped(victim.files[path], rng)}
    with pytest.raises(DamagedLog) as caught:
        check_log(files.__getitem__, KEYS, [OFFICE.key], 1)
    where = caught.value.where
    tile = None if path == "checkpoint" else Tile.parse(path)
    if tile is None:
        assert where == "checkpoint"
    elif tile.level in {ENTRIES, 0}:
        index = int(where.removeprefix("entry "))
        assert tile.index == index // 256
    else:
        assert where == path
    return says_ok(lambda: naive_check(files.__getitem__))


def attack_by_split_view(rng: random.Random) -> bool:
    """The log's operator signs two histories and shows each witness another one; True if the naive build says "ok".

    Each line is good by itself: whoever asks for one cosignature believes either history. Two of two are never to be had.
    """
    shared = entries_of(rng.randrange(1, 40))
    views = [[*shared, *(rng.randbytes(9) for _ in range(rng.randrange(1, 9)))] for _ in range(2)]
    with tempfile.TemporaryDirectory(prefix="xinqiao-log-") as folder:
        stores = [make_store(address(Path(folder) / name)) for name in ("office.db", "bank.db")]
        witnesses = [Witness(key, {ORIGIN: KEYS}, store) for key, store in zip((OFFICE, BANK), stores, strict=True)]
        notes = [reference.checkpoint_note(view, SIGNER) for view in views]
        signed = []
        for witness, view, note in zip(witnesses, views, notes, strict=True):
            assert witness.add_checkpoint(body(0, shared)).status == 200
            reply = witness.add_checkpoint(body(len(shared), view))
            assert reply.status == 200
            signed.append(note + reply.body)
        for witness, view in zip(witnesses, reversed(views), strict=True):
            reply = witness.add_checkpoint(body(len(shared), view))
            assert reply.status == 409, "it has cosigned the other history, and cosigns this one only if that extends it"
            assert witness.add_checkpoint(body(int(reply.body), view, [])).status in {400, 422}
        for note in signed:
            with pytest.raises(SignatureError):
                open_checkpoint(note, KEYS, [OFFICE.key, BANK.key], 2)
        for store in stores:
            store._engine.dispose()
    return all(says_ok(lambda note=note: open_checkpoint(note, KEYS, [OFFICE.key, BANK.key], 1)) for note in signed)  # type: ignore[misc]


# ---------------------------------------------------------------------- the campaign


def campaign(count: int, seed: int) -> dict[str, Any]:
    """Flip `count` single bits of what is stored, mount a fifth as many attacks of all kinds. AssertionError: a wrong "ok"."""
    rng = random.Random(seed)
    kinds: dict[str, Callable[[Victim], bool]] = {
        kind: lambda victim, kind=kind: attack_database(victim, kind, rng)  # type: ignore[misc]
        for kind in TAMPERS
    }
    kinds["backup restored, then grown otherwise"] = lambda victim: attack_by_restoring(victim, rng)
    kinds["oversize entry"] = lambda victim: attack_by_oversize(victim, rng)
    kinds["two histories shown to two witnesses"] = lambda victim: attack_by_split_view(rng)
    kinds["bit of a mirror's file"] = lambda victim: attack_mirror(victim, rng)
    fended_off, fooled = Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="xinqiao-log-") as folder:
        victim = Victim.build(Path(folder))
        assert check_log(victim.files.__getitem__, KEYS, [OFFICE.key], 1).size == SIZE
        flips = BitFlips.build(Path(folder) / "bits")
        flipped_bits = Counter(flips.refused(rng) for _ in range(count))
        for number in range(count // 5):
            kind = list(kinds)[number % len(kinds)]
            fooled[kind] += kinds[kind](victim)
            fended_off[kind] += 1
    assert flipped_bits.total() == count, "the signer refused each time"
    return {
        "bits_of_the_database_flipped": dict(sorted(flipped_bits.items())),
        "bits_flipped_and_refused": flipped_bits.total(),
        "fended_off": dict(fended_off),
        "fended_off_total": fended_off.total(),
        "naive_wrong_ok": dict(fooled),
        "naive_wrong_ok_total": fooled.total(),
    }


def test_no_tampering_is_ever_ok() -> None:
    result = campaign(count=180, seed=20_250_101)
    assert result["bits_flipped_and_refused"] == 180
    assert set(result["bits_of_the_database_flipped"]) == set(REGIONS)
    assert result["fended_off_total"] == 36
    assert result["naive_wrong_ok"]["bit of an entry"] == 3, "the naive build does not see a changed entry"
    assert result["naive_wrong_ok"]["backup restored, then grown otherwise"] == 3
    assert result["naive_wrong_ok_total"] > 12
