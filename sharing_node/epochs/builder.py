"""The builder: one process that builds what was asked for or is due, has the office seal it, opens it, and closes what expired.

::

    queued ─> running: plan, fresh key ─> table and hint ─> manifest, signed and logged ─> sealed by the office ─> open
                 └ killed: goes on    └ other inputs: begins anew, other key             └ refused: failed, key destroyed

An epoch is served from the moment it is open; earlier ones of its table then expire after the grace time, so that a ticket in
somebody's hands is still answered. An expired epoch is closed: its key is destroyed, its files are deleted, a leaf says so.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Iterable
from concurrent.futures import BrokenExecutor
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from audit.database import writing
from audit.log.log import LogUnavailable
from audit.service.leaves import LeafDraft
from models.problems import Conflict, PeerUnavailable, Problem
from models.tables import PRIVATE_KIND, SCORE_FIELD_SET, BuildState, Manifest
from models.wire import Signed
from sharing_node.epochs.acts import Acts
from sharing_node.epochs.build import TableBuild
from sharing_node.epochs.columns import BoundaryCollision
from sharing_node.epochs.due import due_tables
from sharing_node.epochs.inputs import Inputs, gather, plain_records
from sharing_node.epochs.lease import Lease, LeaseLost
from sharing_node.epochs.pulse import Pulse, Stopped
from sharing_node.epochs.schedule import Nightly
from sharing_node.epochs.store import SCORES, EpochStore, epoch_key
from sharing_node.epochs.work import Built, Plan, Work
from sharing_node.epochs.workers import Workers
from sharing_node.keys import MissingKey
from sharing_node.node import Node
from sharing_node.private_models.evaluation import private_records
from sharing_node.served_models import check_served, served_until
from sharing_node.state import builds
from sharing_node.state import repository as state
from sharing_node.state.repository import StoredTable

logger = structlog.get_logger()
POLL_SECONDS = 0.25
LOOK_SECONDS = 20.0
RETRY_SECONDS = 5.0
LIST, LOG, SEAL = "fetch the office's list", "log the manifest", "seal by the office"


class Builder:
    """Thread-safe only in that several may exist, in one process or many: the lease lets one of them work."""

    def __init__(self, node: Node, *, lease: Lease | None = None) -> None:
        settings = node.settings
        self._node = node
        self._store = EpochStore(node.folder / "epochs")
        self._lease = lease or Lease(node.engine)
        self._acts = Acts(node, self._lease)
        self._workers = Workers(settings.build_backend, settings.build_jobs, settings.build_scheduler)
        self._nightly = Nightly.parse(settings.nightly_at, settings.time_zone)
        self._stop = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop; a build under way is left as it is, to be taken up again."""
        self._stop = stop
        while not stop.is_set():
            pause = RETRY_SECONDS
            try:
                if self.run_once():
                    pause = self._wait_for_work(LOOK_SECONDS)
            except (SQLAlchemyError, OSError) as error:
                logger.warning("the builder cannot work now, trying again", error=type(error).__name__)
            stop.wait(pause)

    def run_once(self) -> bool:
        """Do all that is due. False where something is left: another process has the lease, or a build waits for somebody."""
        if not self._lease.take():
            return False
        try:
            self._close_expired()
            self._schedule()
            while found := self._unfinished():
                # Each gets its turn: a build that waits does not hold up the others.
                waiting = [build for build in found if not self._build(build)]
                if waiting:
                    return False
        except (LeaseLost, Stopped, LogUnavailable):
            return False
        finally:
            self._lease.give_back()
        return True

    def _wait_for_work(self, seconds: float) -> float:
        """Until a build is asked for or an epoch expires, or for so long; the pause that is left, which is none."""
        rounds = int(seconds / POLL_SECONDS)
        for _ in range(rounds):
            with self._node.engine.connect() as connection:
                if builds.unfinished(connection) or builds.any_expired(connection, int(self._node.clock())):
                    break
            if self._stop.wait(POLL_SECONDS):
                break
        return 0.0

    def _unfinished(self) -> list[BuildState]:
        with self._node.engine.connect() as connection:
            return builds.unfinished(connection)

    # ---------------------------------------------------------------- what is due by itself

    def _schedule(self) -> None:
        if self._nightly is None:
            return
        now = int(self._node.clock())
        try:
            with self._node.engine.connect() as connection:
                due = due_tables(self._node, connection, self._nightly, now)
        except PeerUnavailable:
            return  # which projects are suspended cannot be known now; the hour does not pass by
        if due:
            with writing(self._node.engine) as connection:
                self._lease.hold(connection)
                for table in due:
                    builds.ask(connection, table, now)

    def _close_expired(self) -> None:
        now = int(self._node.clock())
        with self._node.engine.connect() as connection:
            if not builds.any_expired(connection, now):
                return

        def close(connection: Connection) -> list[LeafDraft]:
            closed = state.close_expired(connection, now)
            for table, epoch in closed:
                # Before the commit: an expired epoch is served no more, so an early end of its key harms nobody.
                self._discard(table, epoch)
            return [LeafDraft("epoch.close", {"table": table, "epoch": epoch}) for table, epoch in closed]

        self._acts.do(close)

    # ---------------------------------------------------------------- one build

    def _build(self, build: BuildState) -> bool:
        """Take a build as far as it goes; False where it waits for somebody."""
        try:
            with writing(self._node.engine) as connection:
                self._lease.hold(connection)
                builds.begin(connection, build.table, build.epoch, int(self._node.clock()))
            with Pulse(self._node, self._lease, build, self._stop) as pulse:
                self._advance(build, pulse)
        except (LeaseLost, Stopped):
            raise
        except Exception as error:
            if not _passes(error):
                self._fail(build, error)
                return True
            logger.warning("a build waits", table=build.table, epoch=build.epoch, reason=_reason(error))
            with writing(self._node.engine) as connection:
                self._lease.hold(connection)
                builds.wait_for(connection, build.table, build.epoch, _reason(error))
            return False
        return True

    def _advance(self, build: BuildState, pulse: Pulse) -> None:
        """From wherever the build is to the open epoch."""
        with self._node.engine.connect() as connection:
            table = state.table(connection, build.table)
            logged = state.epoch_state(connection, build.table, build.epoch)
            check_served(self._node, connection, build.table, int(self._node.clock()))
        if logged is None:
            self._log_manifest(table, build, pulse, *self._make(table, build, pulse))
        elif logged != "built":
            raise Conflict("this epoch expired before the office had sealed it")
        Work(self._store.work_folder(build.table, build.epoch)).discard()
        self._open(build, pulse)

    def _make(self, table: StoredTable, build: BuildState, pulse: Pulse) -> tuple[Work, Built, int]:
        """Table and hint, begun or taken up; under a fresh key wherever what goes in has changed since.

        Where their files are, what is to be said of them, and the list's time.
        """
        folder = Work(self._store.work_folder(table.id, build.epoch))
        key = epoch_key(table.id, build.epoch)
        pulse.report(LIST, 0, 0)
        with self._node.engine.connect() as connection:
            inputs = gather(self._node, connection, table, folder)
        while True:
            plan = folder.marked("plan", Plan)
            if plan is None or plan.fingerprint != inputs.fingerprint or not self._node.keys.has_oprf(key):
                plan = self._begin(folder, table.id, build.epoch, inputs)
            work = Work(folder.path(plan.attempt))
            try:
                build_of = TableBuild(work, plan, self._node.keys, key, self._workers, pulse.report)
                return work, build_of.run(partial(self._records, inputs, work, key)), inputs.listed_at
            except BoundaryCollision:
                self._begin(folder, table.id, build.epoch, inputs)

    def _records(self, inputs: Inputs, work: Work, key: str) -> Iterable[tuple[str, bytes]]:
        if inputs.table.kind == PRIVATE_KIND:
            return private_records(self._node, inputs.table.model, work, key, self._workers)
        return plain_records(self._node, inputs)

    def _begin(self, folder: Work, table: str, epoch: int, inputs: Inputs) -> Plan:
        """A new plan and key. What an earlier attempt left was never published and goes first, its key before all."""
        key = epoch_key(table, epoch)
        earlier = folder.marked("plan", Plan)
        self._node.keys.destroy_oprf(key)
        if earlier is not None:
            Work(folder.path(earlier.attempt)).discard()
        plan = Plan(table, epoch, secrets.token_hex(8), secrets.token_bytes(32), inputs.fingerprint)
        self._node.keys.new_oprf(key)
        folder.mark("plan", plan)
        return plan

    def _log_manifest(
        self, table: StoredTable, build: BuildState, pulse: Pulse, work: Work, built: Built, listed_at: int
    ) -> None:
        pulse.report(LOG, 0, 0)
        opened_at = int(self._node.clock())
        signed, manifest = self._manifest(table, build.epoch, work, built, opened_at, listed_at)

        def record(connection: Connection) -> list[LeafDraft]:
            # Under the lease: whoever took this build over in the meantime has files of another key.
            self._store.adopt(table.id, build.epoch, work)
            state.add_epoch(connection, table.id, build.epoch, signed, manifest.expires_at)
            facts = {"table": table.id, "epoch": build.epoch, "manifest": signed.digest(), "columns": manifest.columns}
            return [LeafDraft("epoch.build", facts)]

        self._acts.do(record, lambda connection, queued: builds.remember_leaf(connection, table.id, build.epoch, queued[0]))

    def _manifest(
        self, table: StoredTable, epoch: int, work: Work, built: Built, now: int, listed_at: int
    ) -> tuple[Signed, Manifest]:
        score = bool(table.model)
        fields = self._node.catalogue.select(table.fields) if not score else ()
        with self._node.engine.connect() as connection:
            model_ends = served_until(self._node, connection, table.id)
        ends = now + self._node.settings.epoch_hours * 3600
        manifest = Manifest(
            table=table.id,
            kind=table.kind,
            fields=table.fields,
            field_sets=(SCORE_FIELD_SET,) if score else tuple(sorted({field.category for field in fields})),
            project=table.project,
            model=table.model,
            epoch=epoch,
            opened_at=now,
            expires_at=ends if model_ends is None else min(ends, model_ends),
            parameters="pir",
            seed=built.seed,
            rows=built.rows,
            columns=built.columns,
            cells_per_column=built.cells_per_column,
            padded_size=built.padded_size,
            boundaries=built.boundaries,
            public_key=self._node.keys.oprf(epoch_key(table.id, epoch)).public_key,
            root=built.root,
            matrix_digest=built.matrix_digest,
            hint_digest=built.hint_digest,
            listed_at=listed_at,
            scores_digest=_digest(work.path(SCORES)) if table.kind == PRIVATE_KIND else b"",
        )
        return self._node.sign(manifest), manifest

    def _open(self, build: BuildState, pulse: Pulse) -> None:
        """Have the office fetch and check matrix and hint; under its seal the epoch opens and the earlier ones begin to end."""
        pulse.report(SEAL, 0, 0)
        with self._node.engine.connect() as connection:
            manifest = state.epoch_manifest(connection, build.table, build.epoch, int(self._node.clock()))
            leaf = builds.leaf(connection, build.table, build.epoch)
        self._acts.wait_cosigned(leaf)
        seal = self._node.office.seal(manifest)

        def record(connection: Connection) -> list[LeafDraft]:
            now = int(self._node.clock())
            state.open_epoch(connection, build.table, build.epoch, seal)
            state.end_earlier(connection, build.table, build.epoch, now + 60 * self._node.settings.grace_minutes)
            builds.end(connection, build.table, build.epoch, builds.OPEN, now)
            facts = {"table": build.table, "epoch": build.epoch, "manifest": manifest.digest(), "seal": seal.digest()}
            return [LeafDraft("epoch.open", facts)]

        self._acts.do(record)

    # ---------------------------------------------------------------- when it does not go well

    def _fail(self, build: BuildState, error: Exception) -> None:
        """Nothing of a failed build stays: neither key nor files; the epoch that is open serves on."""
        logger.error("a build failed", table=build.table, epoch=build.epoch, exc_info=not isinstance(error, Problem))
        problem = error if isinstance(error, Problem) else Problem()

        def record(connection: Connection) -> list[LeafDraft]:
            self._discard(build.table, build.epoch)
            state.close_epoch(connection, build.table, build.epoch)
            builds.end(connection, build.table, build.epoch, builds.FAILED, int(self._node.clock()), _reason(error))
            facts = {"table": build.table, "epoch": build.epoch}
            return [LeafDraft("epoch.build", facts, {"detail": _reason(error)}, outcome="refused", problem=problem.slug())]

        self._acts.do(record)

    def _discard(self, table: str, epoch: int) -> None:
        self._node.keys.destroy_oprf(epoch_key(table, epoch))
        self._store.remove(table, epoch)


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _passes(error: Exception) -> bool:
    """Whether the same may go well in a moment: somebody does not answer, or a disk or a worker gave up."""
    if isinstance(error, Problem):
        return error.status >= 500
    return isinstance(error, SQLAlchemyError | OSError | LogUnavailable | MissingKey | BrokenExecutor)


def _reason(error: Exception) -> str:
    if isinstance(error, Problem):
        return f"{error.detail}. {error.next_step}"
    if isinstance(error, LogUnavailable):
        return str(error)
    return f"the build stopped with {type(error).__name__}; the node's own messages say more"
