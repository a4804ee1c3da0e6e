"""From records to D and its hint, in steps that survive being killed and hold a block in memory, whatever the size.

::

    records, by id ─> shards ─> y = F(k, id), tag, key ─> cells, sorted runs ─> merged with dummies ─> columns of D ─> hint D·A
                      (each on a core of its own,         (now their size        (a range of tags)      and paths      (of rows)
                       while the next ones are read)       is known)                                   (of blocks)

Each step finds what it did before and goes on. The same plan and key give the same bytes on any number of machines.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TypeVar

from crypto.lwe_params import PIR
from models.problems import Unusable
from models.tables import tag_context
from sharing_node.epochs import columns, sealing
from sharing_node.epochs.layout import Layout
from sharing_node.epochs.work import Arranged, Built, Plan, Snapshot, Work, hint_part, run, shard
from sharing_node.epochs.workers import Workers
from sharing_node.keys import KeyStore

T = TypeVar("T")
Report = Callable[[str, int, int], None]
"""Told (stage, done, total); what it raises ends the build, which may be taken up again."""

EVALUATE, SEAL, SORT, ARRANGE, HINT = "read and evaluate", "seal cells", "sort cells", "arrange columns", "compute hint"


class TableBuild:
    """One table's build in a folder of its own, under the key named `key`."""

    def __init__(
        self,
        work: Work,
        plan: Plan,
        keys: KeyStore,
        key: str,
        workers: Workers,
        report: Report,
        *,
        subjects_a_shard: int = sealing.SHARD_SUBJECTS,
    ) -> None:
        self._work, self._plan, self._keys, self._key = work, plan, keys, key
        self._workers, self._report = workers, report
        self._subjects_a_shard = subjects_a_shard
        self._context = tag_context(plan.table, plan.epoch)

    def run(self, records: Callable[[], Iterable[tuple[str, bytes]]]) -> Built:
        """Do what is not done yet. `records` gives (id, record) in strict order of ids; it is called if they were not read.

        Raises:
            Unusable: nobody has a record.
            Conflict: records out of order; `BoundaryCollision` where the build must begin anew under another key.
        """
        work = self._work
        work.tidy()
        found = work.marked("built", Built)
        if found is not None:
            return found
        with self._workers.ready():
            snapshot = work.marked("snapshot", Snapshot) or self._evaluate(records)
            layout = Layout.of(snapshot.subjects, snapshot.padded_size)
            arranged = work.marked("arranged", Arranged)
            if arranged is None:
                if not work.has("cells"):
                    self._seal(snapshot)
                    self._sort(snapshot, layout)
                arranged = self._arrange(snapshot, layout)
            return self._hint(snapshot, layout, arranged)

    def _evaluate(self, records: Callable[[], Iterable[tuple[str, bytes]]]) -> Snapshot:
        """Read all records anew, but evaluate only what was not; how many there are is known when all are read."""
        work, done = self._work, 0
        self._report(EVALUATE, 0, 0)
        work.remove(path.name for path in work.folder.glob("shard-*"))
        shards = sealing.Shards(work, records(), self._subjects_a_shard)
        for part in self._workers.each(sealing.Evaluate(work.folder, self._keys.folder, self._key, self._context), shards):
            # Not by the worker: one that a killed builder left behind would remove what the next one has just written.
            work.remove([shard(part.index)])
            done += part.count
            self._report(EVALUATE, done, shards.snapshot.subjects if shards.snapshot else 0)
        if not done or shards.snapshot is None:
            raise Unusable("no consented subject has a record for this table; load data and consents first")
        work.mark("snapshot", shards.snapshot)
        return shards.snapshot

    def _seal(self, snapshot: Snapshot) -> None:
        self._parts(SEAL, sealing.Seal(self._work.folder, snapshot.padded_size), snapshot.shards, run)
        self._work.remove(path.name for path in self._work.folder.glob("keyed-*"))

    def _sort(self, snapshot: Snapshot, layout: Layout) -> None:
        self._report(SORT, 0, layout.cells)
        secret = self._keys.derived(self._key, sealing.dummy_purpose(self._context))
        runs = range(snapshot.shards)
        report = lambda done: self._report(SORT, done, layout.cells)  # noqa: E731
        sealing.merge(self._work, layout, sealing.dummy_run(secret, layout), runs, report)
        self._work.remove(map(run, runs))

    def _arrange(self, snapshot: Snapshot, layout: Layout) -> Arranged:
        self._work.remove(map(run, range(snapshot.shards)))
        self._report(ARRANGE, 0, layout.columns)
        PIR.check_samples(layout.columns)
        found = columns.arrange(self._work, layout, lambda done: self._report(ARRANGE, done, layout.columns))
        self._work.mark("arranged", found)
        return found

    def _hint(self, snapshot: Snapshot, layout: Layout, arranged: Arranged) -> Built:
        work = self._work
        work.remove(["cells"])
        parts = range(math.ceil(layout.rows / columns.HINT_ROWS))
        self._parts(HINT, columns.HintPart(work.folder, self._plan.seed), len(parts), hint_part)
        digest = columns.join_hint(work, layout.rows, parts)
        found = Built(
            rows=layout.rows,
            columns=layout.columns,
            cells_per_column=layout.per_column,
            padded_size=snapshot.padded_size,
            seed=self._plan.seed,
            root=arranged.root,
            boundaries=arranged.boundaries,
            matrix_digest=arranged.matrix_digest,
            hint_digest=digest,
        )
        work.mark("built", found)
        work.remove(map(hint_part, parts))
        return found

    def _parts(self, stage: str, task: Callable[[int], int], count: int, name: Callable[[int], str]) -> None:
        """Run the parts of a stage that have no file yet."""
        missing = [index for index in range(count) if not self._work.has(name(index))]
        done = count - len(missing)
        self._report(stage, done, count)
        for finished, _ in enumerate(self._workers.each(task, missing), done + 1):
            self._report(stage, finished, count)
