"""Trainings under way, in the node's database: any process takes the next step, and each step is taken once.

::

    worker 1                          database                            worker 2
    open: plan, bins, columns  ───>   training v0, training_column
                                      <───────────────────────────────── load v0, take a step
                                      training v0 → v1, leaf, answer <── one transaction
    load v1, take a step       ───>   training v1 → v2, leaf, answer     (another step on v1: Conflict)
    release                    ───>   rows deleted, model

A step's new state, its leaf and its stored answer are one transaction, and the answer leaves only after it. So a step whose
transaction was lost has told nobody anything: it is taken anew, with a nonce of its own, and under masks that are a function
of the request. A step whose transaction is there is never taken again: the version has moved on, and the same request gets
the stored bytes.

What is at rest: the node's columns in the cohort's order, the job's secret seed, M and the order of an open round, decoded
sums and weights; all of it sealed under a key of the key folder (`sharing_node.sealing`), and deleted when the job ends.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from sqlalchemy import Connection

from models import wire
from models.privacy import PlannedPrivacy
from models.problems import Conflict, Forbidden, InputsRefused, NotFound, Problem
from models.projects import Project
from models.scorecard.binning import bins_from_definition
from models.scorecard.group import GroupPlan
from models.scorecard.group_node import MemberTraining
from models.scorecard.learner import NodeColumns, NodeField
from models.scorecard.limits import LimitRefused, Limits
from models.scorecard.node import NodeSecrets, NodeTraining
from models.scorecard.options import Trend
from models.scorecard.rounds import Plan
from models.scorecard.snapshot import OtherVersion
from models.training import JobPlan
from models.wire import Signed
from sharing_node.node import Node
from sharing_node.sealing import Sealer, Unsealable
from sharing_node.state import repository as state
from sharing_node.state import trainings
from sharing_node.state.repository import StoredCohort
from sharing_node.state.trainings import StoredTraining

MOST_RUNNING = 8  # trainings a bank may have under way at once
KEPT_SECONDS = 30 * 24 * 3600  # without a step, e.g. between figures and release
CACHED_BYTES = 256 << 20

_AGAIN = "Start a new one on the same cohort."
_ENDED: dict[str, tuple[type[Problem], str]] = {
    "unusable": (InputsRefused, "the office's replay found this training unusable; it is charged to the budget"),
    "released": (Conflict, "the bands of this training were released before"),
    "cancelled": (NotFound, "this training was cancelled"),
    "ended": (Conflict, "this training of several banks ended without a result; nothing was released"),
    "given-up": (NotFound, f"this training was given up for {MOST_RUNNING} newer ones, or after a month without a step"),
}


@dataclass(frozen=True)
class Group:
    """That a training is one bank's part of a training of several: the plan of all, and what orders the columns for all."""

    plan: GroupPlan
    order_seed: bytes = field(repr=False)


@dataclass(frozen=True, eq=False)
class Opened:
    """What never changes of a training. `signed_plan` is what the bank was given."""

    job: str
    project: Project
    cohort: StoredCohort
    signed_plan: Signed
    columns: NodeColumns
    bank_columns: int
    limits: Limits
    job_seed: bytes = field(repr=False)
    group: Group | None = None

    @property
    def plan(self) -> Plan:
        """What every shape follows from."""
        if self.group is not None:
            return self.group.plan.plan(self.cohort.bank)
        return Plan(self.columns.rows, self.columns.bins, self.bank_columns, privacy=self.privacy, scheme=self._message.scheme)

    @property
    def privacy(self) -> PlannedPrivacy | None:
        """As the plan has it."""
        return self._message.privacy

    @cached_property
    def _message(self) -> JobPlan:
        return wire.decode(self.signed_plan.payload, JobPlan)

    @property
    def size(self) -> int:
        """Bytes in memory, about: columns and names."""
        return self.columns.codes.nbytes + self.columns.raw.nbytes + 100 * self.columns.rows


@dataclass(frozen=True)
class Round:
    """What a round needs until it is closed."""

    inputs: Signed
    nonce_bank: bytes
    nonce_node: bytes


@dataclass
class Running:
    """A training after `version` steps, as one request works on it: nothing lasts that is not stored again."""

    opened: Opened
    training: NodeTraining
    version: int = 0
    round: Round | None = None
    transcripts: tuple[str, ...] = ()


class _Field(wire.Message):
    bins: bytes
    theme: str
    disclosable: bool
    trend: Trend
    categories: tuple[str, ...]
    dates: bool

    @classmethod
    def of(cls, entry: NodeField) -> _Field:
        return cls(
            bins=entry.bins.definition(),
            theme=entry.theme,
            disclosable=entry.disclosable,
            trend=entry.trend,
            categories=entry.categories,
            dates=entry.dates,
        )

    def field(self) -> NodeField:
        bins = bins_from_definition(self.bins)
        return NodeField(bins, self.theme, self.disclosable, self.trend, self.categories, self.dates)


class _Opened(wire.Message):
    fields: tuple[_Field, ...]
    rows: int
    bank_columns: int
    limits: Limits
    job_seed: bytes
    group: Group | None = None

    def __repr__(self) -> str:
        return "_Opened(<secret>)"


class _Progress(wire.Message):
    training: bytes
    round: Round | None
    transcripts: tuple[str, ...]

    def __repr__(self) -> str:
        return "_Progress(<secret>)"


class Store:
    """Trainings under way. What is cached is what never changes, so nothing rests on the cache but time."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._cache: OrderedDict[str, Opened] = OrderedDict()
        self._lock = threading.Lock()

    # ---------------------------------------------------------------- steps

    def begin(self, opened: Opened) -> Running:
        """A training that nothing has happened in yet; also checks that plan and columns allow one."""
        secrets = NodeSecrets(self._node.keys.secret("noise"), opened.job_seed)
        root = wire.decode(opened.signed_plan.payload, JobPlan).subjects
        if opened.group is not None:
            training: NodeTraining = MemberTraining(
                opened.job,
                opened.group.plan,
                opened.cohort.bank,
                opened.columns,
                cohort_root=root,
                secrets=secrets,
                limits=opened.limits,
                order_seed=opened.group.order_seed,
            )
        else:
            training = NodeTraining(
                opened.job, opened.plan, opened.columns, cohort_root=root, secrets=secrets, limits=opened.limits
            )
        return Running(opened, training)

    def add(self, running: Running, at: int) -> Callable[[Connection], None]:
        """Seal a training that was just opened; what is returned stores it, in the transaction that stores the job."""
        opened, columns = running.opened, running.opened.columns
        sealer = Sealer(self._node.keys, opened.job)
        fixed = _Opened(
            fields=tuple(_Field.of(entry) for entry in columns.fields),
            rows=columns.rows,
            bank_columns=opened.bank_columns,
            limits=opened.limits,
            job_seed=opened.job_seed,
            group=opened.group,
        )
        sealed = [
            sealer.seal(f"column/{j}", codes.tobytes() + wire.pack(raw))
            for j, (codes, raw) in enumerate(zip(columns.codes, columns.raw, strict=True))
        ]
        parts = sealer.seal("opened", wire.encode(fixed)), self._sealed(running, 0), sealed
        self._remember(opened)

        def record(connection: Connection) -> None:
            trainings.give_up(connection, opened.cohort.bank, most=MOST_RUNNING - 1, before=at - KEPT_SECONDS)
            trainings.add(connection, opened.job, *parts, at)

        return record

    def load(self, connection: Connection, job: str, bank: str) -> Running:
        """A bank's training after its last step.

        Raises:
            NotFound: it is not under way, or cannot be read any more.
            InputsRefused, Conflict: it was found unusable, or released.
            Forbidden: it belongs to another bank.
        """
        stored = trainings.find(connection, job)
        if stored is None:
            raise NotFound("there is no such training", advice=_AGAIN)
        if stored.bank != bank:
            raise Forbidden("this training belongs to another bank")
        if stored.progress is None:
            self._forget(job)
            kind, why = _ENDED.get(stored.state, (NotFound, "this training is not under way any more"))
            raise kind(why, advice=_AGAIN)
        sealer = Sealer(self._node.keys, job)
        try:
            progress = wire.decode(sealer.open(f"progress/{stored.version}", stored.progress), _Progress)
            running = self.begin(self._opened(connection, sealer, stored))
            running.training.restore(progress.training)
        except (Unsealable, OtherVersion, LimitRefused) as error:
            raise NotFound(f"this training cannot go on here: {error}", advice=_AGAIN) from None
        running.version, running.round, running.transcripts = stored.version, progress.round, progress.transcripts
        return running

    def plan(self, connection: Connection, job: str) -> Signed:
        """A job's plan as the bank was given it; raises `NotFound`."""
        stored = trainings.find(connection, job)
        if stored is None:
            raise NotFound("there is no such training", advice=_AGAIN)
        return stored.plan

    def step(self, running: Running, at: int) -> Callable[[Connection], None]:
        """Seal what a step made of a training; what is returned stores it, in the transaction of the step's answer."""
        job, version, sealed = running.opened.job, running.version, self._sealed(running, running.version + 1)
        return lambda connection: trainings.advance(connection, job, version, sealed, at)

    def end(self, connection: Connection, job: str) -> None:
        """Delete a training: it was released or is unusable, and what must last is stored elsewhere."""
        trainings.remove(connection, [job])
        self._forget(job)

    # ---------------------------------------------------------------- sealed and opened

    def _sealed(self, running: Running, version: int) -> bytes:
        progress = _Progress(training=running.training.snapshot(), round=running.round, transcripts=running.transcripts)
        return Sealer(self._node.keys, running.opened.job).seal(f"progress/{version}", wire.encode(progress))

    def _opened(self, connection: Connection, sealer: Sealer, stored: StoredTraining) -> Opened:
        with self._lock:
            found = self._cache.get(stored.job)
            if found is not None:
                self._cache.move_to_end(stored.job)
                return found
        sealed, columns = trainings.opened(connection, stored.job)
        fixed = wire.decode(sealer.open("opened", sealed), _Opened)
        if len(columns) != len(fixed.fields):
            raise Unsealable("it ended at this moment")
        codes = np.empty((len(columns), fixed.rows), dtype=np.uint8)
        raw = np.empty((len(columns), fixed.rows))
        for j, column in enumerate(columns):
            plain = sealer.open(f"column/{j}", column)
            codes[j] = wire.unpack(plain[: fixed.rows], "u1", (fixed.rows,), "codes")
            raw[j] = wire.unpack(plain[fixed.rows :], "<f8", (fixed.rows,), "raw")
        fields = tuple(entry.field() for entry in fixed.fields)
        opened = Opened(
            stored.job,
            state.project(connection, stored.project),
            state.cohort(connection, stored.cohort),
            stored.plan,
            NodeColumns(fields, codes, raw),
            fixed.bank_columns,
            # A node that was restarted with stricter limits holds running trainings to them as well.
            fixed.limits.stricter(self._node.limits),
            fixed.job_seed,
            fixed.group,
        )
        self._remember(opened)
        return opened

    def _remember(self, opened: Opened) -> None:
        with self._lock:
            self._cache[opened.job] = opened
            while len(self._cache) > 1 and sum(other.size for other in self._cache.values()) > CACHED_BYTES:
                self._cache.popitem(last=False)

    def _forget(self, job: str) -> None:
        with self._lock:
            self._cache.pop(job, None)
