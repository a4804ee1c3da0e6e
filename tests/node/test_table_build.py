"""A table's build as steps: the same bytes wherever it runs, killed at any of them it goes on, a block in memory at a time."""

from __future__ import annotations

import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.verifier.merkle import leaf_hash, prove_inclusion, root_of
from crypto.voprf import VoprfServer, derive_key_pair
from models.problems import Conflict, Unusable
from models.tables import path_depth, path_length
from sharing_node.epochs import sealing
from sharing_node.epochs.build import ARRANGE, EVALUATE, HINT, SEAL, SORT, TableBuild
from sharing_node.epochs.columns import digest_of
from sharing_node.epochs.layout import MOST_COLUMNS, Layout
from sharing_node.epochs.merkle import paths
from sharing_node.epochs.work import Built, Plan, Work
from sharing_node.epochs.workers import Workers
from tests.conftest import ROOT
from tests.tables import KEY, key_store

SEED = b"s" * 32
PAIRS = [(f"opaque:{n:05}", f'{{"a":{n}}}'.encode()) for n in range(1_300)]
PLAN = Plan("t", 3, "a", SEED, b"")
SHARD = 300


class Killed(BaseException):
    """Stands for kill -9: nothing in the build may catch it."""


def give_up() -> None:
    raise Killed


def make(
    folder: Path,
    workers: Workers | None = None,
    stop_at: tuple[str, int] | None = None,
    end: Callable[[], None] = give_up,
) -> Built:
    """Build, or go on building; at `stop_at`, where a stage reports that it did so much, it ends."""

    def report(stage: str, done: int, _total: int) -> None:
        if stop_at is not None and stage == stop_at[0] and done >= stop_at[1]:
            end()

    server = VoprfServer(derive_key_pair(b"k" * 32, b"")[0])
    keys = key_store(folder / "keys", server)
    pipeline = TableBuild(
        Work(folder / "work"), PLAN, keys, KEY, workers or Workers("threading", 1), report, subjects_a_shard=SHARD
    )
    return pipeline.run(lambda: iter(PAIRS))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return make(tmp_path_factory.mktemp("whole"))


def check_files(folder: Path, built: Built) -> None:
    assert digest_of(folder / "work" / "matrix.npy") == built.matrix_digest
    assert digest_of(folder / "work" / "hint.npy") == built.hint_digest
    assert sorted(path.name for path in (folder / "work").iterdir()) == [
        "arranged", "built", "hint.npy", "matrix.npy", "snapshot",
    ]  # fmt: skip


KILLS = [
    (EVALUATE, 0), (EVALUATE, 600), (EVALUATE, 1_300), (SEAL, 0), (SEAL, 2), (SEAL, 5), (SORT, 0), (SORT, 1), (ARRANGE, 0),
    (ARRANGE, 1), (HINT, 0),
]  # fmt: skip


@pytest.mark.parametrize("kill", KILLS, ids=str)
def test_a_build_that_is_killed_goes_on_to_the_same_bytes(tmp_path: Path, whole: Built, kill: tuple[str, int]) -> None:
    with pytest.raises(Killed):
        make(tmp_path, stop_at=kill)
    assert make(tmp_path) == whole
    check_files(tmp_path, whole)
    assert make(tmp_path) == whole


def written(folder: Path, names: str) -> dict[str, int]:
    """Files of the build, each with what would be another number had it been written again."""
    return {path.name: path.stat().st_ino for path in (folder / "work").glob(names)}


def test_what_was_evaluated_is_not_evaluated_again(tmp_path: Path, whole: Built) -> None:
    with pytest.raises(Killed):
        make(tmp_path, stop_at=(EVALUATE, 600))
    before = written(tmp_path, "keyed-*")
    assert len(before) == 2
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in (tmp_path / "work").iterdir())
    with pytest.raises(Killed):
        make(tmp_path, stop_at=(SEAL, 0))
    after = written(tmp_path, "keyed-*")
    assert (len(after), after | before) == (5, after)
    assert written(tmp_path, "shard-*") == {}
    assert make(tmp_path) == whole


def test_what_was_made_of_another_shard_is_made_again(tmp_path: Path, whole: Built) -> None:
    with pytest.raises(Killed):
        make(tmp_path, stop_at=(EVALUATE, 600))
    (tmp_path / "work" / "keyed-00000").replace(tmp_path / "work" / "keyed-00001")
    assert make(tmp_path) == whole


def test_what_was_evaluated_holds_no_ids(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        make(tmp_path, stop_at=(SEAL, 0))
    assert not any(b"opaque:" in path.read_bytes() for path in (tmp_path / "work").iterdir())


def test_what_was_sealed_is_not_sealed_again(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        make(tmp_path, stop_at=(SEAL, 3))
    runs = written(tmp_path, "run-*")
    assert len(runs) == 3
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in (tmp_path / "work").iterdir())
    with pytest.raises(Killed):
        make(tmp_path, stop_at=(SORT, 0))
    after = written(tmp_path, "run-*")
    assert (len(after), after | runs) == (5, after)
    assert written(tmp_path, "keyed-*") == {}


def test_a_half_written_file_counts_for_nothing(tmp_path: Path, whole: Built) -> None:
    with pytest.raises(Killed):
        make(tmp_path, stop_at=(SEAL, 2))
    (tmp_path / "work" / "run-00004.aaaa.draft").write_bytes(b"half")
    (tmp_path / "work" / "cells.aaaa.draft").write_bytes(b"half")
    assert make(tmp_path) == whole
    check_files(tmp_path, whole)


@pytest.mark.parametrize(("stage", "done", "files"), [(EVALUATE, 600, "keyed-?????"), (SEAL, 2, "run-?????")])
def test_a_process_that_is_killed_with_its_workers_at_work_leaves_what_can_go_on(
    tmp_path: Path, whole: Built, stage: str, done: int, files: str
) -> None:
    """A real SIGKILL: nobody cleans up behind it."""
    build = (
        f"make(Path({str(tmp_path)!r}), Workers('loky', 2), ({stage!r}, {done}), lambda: os.kill(os.getpid(), signal.SIGKILL))"
    )
    script = f"import os, signal; from pathlib import Path; from tests.node.test_table_build import *; {build}"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == -signal.SIGKILL
    assert 2 <= len(written(tmp_path, files)) < len(PAIRS) / SHARD + 1
    assert make(tmp_path) == whole  # whatever its workers were still doing


@pytest.mark.parametrize("backend", ["threading", "loky", "dask"])
def test_every_backend_gives_the_same_bytes(tmp_path: Path, whole: Built, backend: str) -> None:
    if backend != "dask":
        assert make(tmp_path, Workers(backend, 2)) == whole
        return
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=2, processes=True, dashboard_address=None) as cluster:  # type: ignore[no-untyped-call]
        assert make(tmp_path, Workers("dask", 0, cluster.scheduler_address)) == whole
    check_files(tmp_path, whole)


def test_another_key_gives_other_cells_and_other_dummies(tmp_path: Path, whole: Built) -> None:
    layout = Layout.of(len(PAIRS), whole.padded_size)
    one, other = (sealing.dummy_run(key * 32, layout) for key in (b"a", b"b"))
    assert one.shape == (layout.dummies, layout.cell)
    assert not np.array_equal(one, other)
    assert np.array_equal(one, sealing.dummy_run(b"a" * 32, layout))


@pytest.mark.parametrize("pairs", [[("b", b"1"), ("a", b"2")], [("a", b"1"), ("a", b"2")]], ids=["unordered", "twice"])
def test_a_subject_that_comes_twice_or_out_of_order_stops_the_build(tmp_path: Path, pairs: list[tuple[str, bytes]]) -> None:
    with pytest.raises(Conflict):
        list(sealing.Shards(Work(tmp_path), pairs, 10))


def test_two_cells_with_one_tag_stop_the_build(tmp_path: Path) -> None:
    work, layout = Work(tmp_path), Layout.of(10, 32)
    cell = np.arange(10 * layout.cell, dtype=np.uint32).astype(np.uint8).reshape(10, layout.cell)
    for index in range(2):
        work.write(f"run-0000{index}", [np.ascontiguousarray(cell[:5]).data])
    with pytest.raises(Conflict, match="one tag"):
        sealing.merge(work, layout, cell[:0], range(2), lambda _: None)
    assert not work.has("cells")


def test_a_table_without_subjects_is_not_built(tmp_path: Path) -> None:
    keys = key_store(tmp_path / "keys", VoprfServer(derive_key_pair(b"k" * 32, b"")[0]))
    pipeline = TableBuild(Work(tmp_path / "work"), PLAN, keys, KEY, Workers("threading", 1), lambda *_: None)
    with pytest.raises(Unusable, match="no consented subject"):
        pipeline.run(lambda: [])


@settings(max_examples=40)
@given(count=st.integers(1, 300))
def test_the_paths_are_those_of_rfc_6962(count: int) -> None:
    leaves = [leaf_hash(bytes([n % 256, n // 256])) for n in range(count)]
    table, root = paths(np.frombuffer(b"".join(leaves), np.uint8).reshape(count, 32))
    assert root == root_of(leaves)
    assert table.shape == (32 * path_depth(count), count)
    for index in {0, count // 2, count - 1}:
        path = prove_inclusion(index, count, lambda level, at: root_of(leaves[at << level : (at + 1) << level]))
        assert table[:, index].tobytes() == b"".join(path).ljust(32 * path_depth(count), b"\0")
        assert len(path) == path_length(index, count)


@pytest.mark.parametrize(
    ("subjects", "record"), [(1, 0), (999, 96), (24_000, 400), (1_000_000, 96), (10_000_000, 96), (10**8, 96)]
)
def test_queries_answers_and_hint_have_stated_sizes(subjects: int, record: int) -> None:
    layout = Layout.of(subjects, -(-(record + 4) // 32) * 32)
    assert layout.cells >= subjects
    assert layout.cells >= 1_000
    assert layout.columns <= MOST_COLUMNS
    if subjects <= 1_000_000:
        assert 4 * layout.columns <= 100_000
        assert 4 * layout.rows <= 50_000
        assert 4_096 * layout.rows <= 40_000_000


def test_memory_does_not_grow_with_the_number_of_subjects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading holds one shard, the merge a range of tags and some numbers a shard, whatever comes."""
    monkeypatch.setattr(sealing, "MERGE_BYTES", 1 << 16)

    def peak(count: int) -> int:
        work, layout = Work(tmp_path / f"{count}"), Layout.of(count, 128)
        tags = np.random.default_rng(1).integers(0, 256, (layout.cells, layout.cell), np.uint8)
        for index in range(count // 1_000):
            part = tags[index * 1_000 : (index + 1) * 1_000]
            work.write(f"run-{index:05}", [part[np.lexsort(part[:, :8].T[::-1])].tobytes()])
        none = tags[:0]
        tracemalloc.start()
        try:
            pairs = ((f"{n:08}", b"x" * 96) for n in range(count))
            for _ in sealing.Shards(work, pairs, 1_000):
                pass
            sealing.merge(work, layout, none, range(count // 1_000), lambda _: None)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(2_000)  # what is made once
    assert peak(40_000) < 3 * peak(5_000)  # of eight times as many; other threads of this process may allocate meanwhile
