"""The sequencer: the one process that gives queued entries their indices and signs the tree.

It holds a lease in the database. Each batch is one transaction that (1) locks the lease, (2) compares the last stored
checkpoint with the one in memory, (3) takes what is queued, (4) stores entries, hashes and the signed checkpoint. So two
sequencers can never both append, whatever their clocks say, and a crash leaves either all of a batch or nothing.

Before it signs for the first time it checks everything that is stored, as any outsider would, and asks its witnesses what they
saw last. It refuses to sign, and every `wait` fails, when entries, hashes or the last checkpoint are not what was signed, or
when the log does not extend its high-water mark and what its witnesses have cosigned. A log that has entries signs nothing
before at least one of its witnesses has answered: database and mark may have been set back together.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from audit.database import writing
from audit.log.cosign import Cosigner, Cosigning
from audit.log.high_water import HighWater
from audit.log.lease import Lease, LeaseLost
from audit.log.log import Log
from audit.log.signed_before import check_signed_before
from audit.log.store import NewEntry, Placed, StoredCheckpoint
from audit.verifier.checkpoint import Checkpoint, sign_checkpoint
from audit.verifier.errors import DamagedLog, LogError, LogRefusal
from audit.verifier.log_check import check_log
from audit.verifier.merkle import CompactRange, leaf_hash
from audit.verifier.tiles import CHECKPOINT_PATH, TILE_HEIGHT, check_entry

logger = logging.getLogger(__name__)

MAX_BATCH = 1024
LEASE_SECONDS = 10.0
POLL_SECONDS = 0.05
BUSY_SECONDS = 2.0
"""For so long after an entry the next ones are looked for at the pace that the caller chose, if it is a faster one."""
RETRY_SECONDS = 1.0
LOOK_BACK_PAUSE = 0.02
"""Between two pages of old checkpoints: who works is not to wait for who looks back."""
COSIGN_SECONDS = 0.25
"""Batches of this long are cosigned together, unless somebody of this process waits for it: then at once."""


CHANGED_TEXT = "the database holds text that is none: its bytes were changed"


@dataclass(frozen=True)
class _State:
    """The tree as it was last signed, and where its batch stands, by queue id."""

    tree: CompactRange
    checkpoint: StoredCheckpoint
    batch: Mapping[int, Placed] = field(default_factory=dict)


class Sequencer:
    """Sequences one log while it holds the lease; several may stand by.

    `cosigners`: witnesses to be asked about durable batches. `high_water`: kept apart from the database.
    `lease_seconds`: how long a crashed sequencer blocks the next. `poll_seconds`: how soon an entry of another process
    is seen, `cosign_seconds`: how soon one is cosigned that another process waits for; those of this process are at once.
    """

    def __init__(
        self,
        log: Log,
        *,
        cosigners: Sequence[Cosigner] = (),
        high_water: HighWater | None = None,
        lease_seconds: float = LEASE_SECONDS,
        poll_seconds: float = POLL_SECONDS,
        cosign_seconds: float = COSIGN_SECONDS,
    ) -> None:
        self.log = log
        self._lease = Lease(log, lease_seconds)
        self._high_water = high_water
        self._poll_seconds = poll_seconds
        self._cosign_seconds = cosign_seconds
        self._busy_until = 0.0
        self._state: _State | None = None
        self._attempt: _State | None = None
        self._cosigning = Cosigning(log, cosigners, self._refuse) if cosigners else None
        self._stopping = threading.Event()
        self._work = threading.Event()
        self._signed = threading.Event()
        self._awaited = threading.Event()
        self._ready = threading.Event()
        self._looked_back = threading.Event()
        self._threads: list[threading.Thread] = []
        self.refusal: LogError | None = None

    # ------------------------------------------------------------------ life

    def start(self) -> Sequencer:
        """Begin in the background and return self."""
        self._threads = [threading.Thread(target=self._run, name="sequencer", daemon=True)]
        if self._cosigning is not None:
            self._threads.append(threading.Thread(target=self._run_cosigning, name="cosigning", daemon=True))
        for thread in tuple(self._threads):  # the first one may add another
            thread.start()
        return self

    def stop(self) -> None:
        """End after the batch under way and give the lease back."""
        self._stopping.set()
        self._work.set()
        self._signed.set()
        self._awaited.set()
        for thread in self._threads:
            thread.join()
        if self._cosigning is not None:
            self._cosigning.close()

    @property
    def sequences(self) -> bool:
        """Whether this process is the one that sequences now."""
        return self._state is not None

    @property
    def holds_lease(self) -> bool:
        """Whether this process has taken the lease and it has not run out."""
        return self._lease.held

    def wait_ready(self, timeout: float) -> bool:
        """True once this process sequences, False after `timeout` seconds; LogRefusal if the signer refuses."""
        ready = self._ready.wait(timeout)
        if self.refusal is not None:
            raise self.refusal
        return ready

    def wait_looked_back(self, timeout: float) -> bool:
        """True once all that was signed before is checked, False after `timeout` seconds; LogRefusal if the signer refuses."""
        looked_back = self._looked_back.wait(timeout)
        if self.refusal is not None:
            raise self.refusal
        return looked_back

    def wait(self, queue_id: int, timeout: float) -> int:
        """`Log.wait`."""
        return self.log.wait(queue_id, timeout)

    def __enter__(self) -> Sequencer:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    # ------------------------------------------------------------------ the sequencing thread

    def _run(self) -> None:
        try:
            while not self._stopping.is_set() and self.refusal is None:
                self._work.clear()
                try:
                    pause = self._step()
                except LeaseLost:
                    self._stand_by()
                    pause = self._lease.seconds / 5
                except (SQLAlchemyError, OSError) as error:
                    if is_changed_text(error):
                        raise LogRefusal(CHANGED_TEXT) from None
                    logger.warning("the log cannot be written now, trying again: %s", type(error).__name__)
                    pause = RETRY_SECONDS
                if pause:
                    self._work.wait(pause)
        except LogError as refusal:
            self._refuse(refusal)
        except Exception as error:
            logger.exception("the sequencer stopped")
            self._refuse(LogRefusal(f"the sequencer stopped with {type(error).__name__}: see its log"))
        finally:
            self._stand_by()
            self._lease.give_back()

    def _step(self) -> float:
        """Do what there is to do; seconds to pause afterwards."""
        if self._state is None:
            self._lease.take()
            self._state = self._recover()
            self.log.waiters.attach(self._work.set, self._awaited.set)
            self._ready.set()
            self._signed.set()
            self._look_back(self._state.checkpoint.size)
        if self._attempt is None and not self._has_queued():
            self._lease.renew_when_due()
        elif self._sequence(self._state) == MAX_BATCH:
            return 0.0
        # Entries of this process that came meanwhile have called for the next step.
        return self._poll_seconds if time.monotonic() < self._busy_until else max(self._poll_seconds, POLL_SECONDS)

    def _has_queued(self) -> bool:
        with self.log.engine.connect() as connection:
            return self.log.store.has_queued(connection)

    def _sequence(self, state: _State) -> int:
        """One batch: all that is queued, in one transaction; how many entries it has."""
        try:
            with writing(self.log.engine) as connection:
                self._lease.hold(connection)
                state = self._compare(connection, state)
                self._attempt = attempt = self._append(connection, state)
        except IntegrityError:
            raise LogRefusal("the log holds rows beyond what was signed: run `xinqiao verify` and look") from None
        if attempt.checkpoint.size > state.checkpoint.size:
            self._settle(attempt)
        self._attempt = None
        return attempt.checkpoint.size - state.checkpoint.size

    def _compare(self, connection: Connection, state: _State) -> _State:
        """The state that is stored: the one in memory, or the batch whose commit got lost on the way back to us."""
        stored = self.log.store.latest(connection)
        if stored == state.checkpoint:
            return state
        if self._attempt is not None and stored == self._attempt.checkpoint:
            self._settle(self._attempt)
            return self._attempt
        raise LogRefusal("the last stored checkpoint is not the last signed one: the database was changed or set back")

    def _append(self, connection: Connection, state: _State) -> _State:
        queued = self.log.store.take_queued(connection, MAX_BATCH)
        if not queued:
            return state
        self.log.waiters.taken(queued[-1][0])
        tree = state.tree.copy()
        entries: list[NewEntry] = []
        nodes: list[tuple[int, int, bytes]] = []
        for queue_id, entry in queued:
            check_entry(entry)
            leaf = leaf_hash(entry)
            entries.append(NewEntry(tree.size, queue_id, leaf, entry))
            ended = tree.append(leaf)[::TILE_HEIGHT]
            nodes += [(n, entries[-1].index >> TILE_HEIGHT * n, node) for n, node in enumerate(ended) if n]
        now = self.log.time_after(state.checkpoint)
        checkpoint = self._sign(tree, now)
        self.log.store.append(connection, entries, nodes, checkpoint)
        return _State(tree, checkpoint, {entry.queue_id: Placed(entry.index, entry.leaf, now) for entry in entries})

    def _settle(self, state: _State) -> None:
        """A batch is durable: remember it, then let those who wait for it go on."""
        if self._high_water is not None:
            self._high_water.write(state.checkpoint.note)
        self._state = state
        self._busy_until = time.monotonic() + BUSY_SECONDS
        self.log.waiters.sequenced(state.batch)
        self._signed.set()

    def _sign(self, tree: CompactRange, now: int) -> StoredCheckpoint:
        note = sign_checkpoint(Checkpoint(self.log.origin, tree.size, tree.root()), self.log.signer)
        return StoredCheckpoint(tree.size, note, now)

    # ------------------------------------------------------------------ recovery

    def _recover(self) -> _State:
        """Check all that is stored, as an outsider would, and the high-water mark; LogRefusal."""
        store, key = self.log.store, self.log.signer.key
        mark = self._high_water.read() if self._high_water is not None else None
        with writing(self.log.engine) as connection:
            self._lease.renew(connection)
            last = store.latest(connection)
            if last is None:
                if mark is not None:
                    raise LogRefusal("the log is empty, but its high-water mark says that it was not: restore it")
                last = self._sign(CompactRange(), self.log.time_after(None))
                store.append(connection, [], [], last)
            stored = store.count(connection)
        seen = self._seen_by_witnesses(must_answer=last.size > 0)
        note = last.note.encode()

        def fetch(path: str) -> bytes:
            return note if path == CHECKPOINT_PATH else self.log.fetch(path)

        try:
            report = check_log(fetch, [key], earlier=[*([mark] if mark else []), *seen], on_tile=self._lease.renew_when_due)
        except DamagedLog as damage:
            raise LogRefusal(f"the stored log is not the signed one, at {damage}") from None
        if stored != report.size or last.size != report.size:
            raise LogRefusal(f"{stored:,} entries are stored, but {report.size:,} were signed")
        if self._high_water is not None:
            self._high_water.write(last.note)
        return _State(report.tree, last)

    def _look_back(self, size: int) -> None:
        """Check what was signed before, beside the work; a refusal stops it."""

        def pause() -> bool:
            return self._stopping.wait(LOOK_BACK_PAUSE) or self.refusal is not None

        def run() -> None:
            try:
                check_signed_before(self.log, size, pause)
            except LogRefusal as refusal:
                self._refuse(refusal)
            except (SQLAlchemyError, OSError) as error:
                if not is_changed_text(error):
                    logger.warning("what was signed before could not be checked: %s", type(error).__name__)
                    return  # not checked, and not said to be
                self._refuse(LogRefusal(CHANGED_TEXT))
            self._looked_back.set()

        thread = threading.Thread(target=run, name="look-back", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _seen_by_witnesses(self, *, must_answer: bool) -> list[str]:
        """What witnesses cosigned last. An empty log does not wait for them: they may only be about to start."""
        while self._cosigning is not None and not self._stopping.is_set():
            seen = self._cosigning.seen()
            if seen is not None or not must_answer:
                return seen or []
            logger.warning("no witness of the log answers, so nothing is signed yet: a log set back could not be told")
            self._stopping.wait(RETRY_SECONDS)
            self._lease.renew_when_due()
        if self._stopping.is_set():
            raise LeaseLost
        return []

    def _refuse(self, refusal: LogError) -> None:
        logger.critical("the log refuses to sign: %s", refusal)
        self.refusal = refusal
        self._work.set()
        self.log.waiters.refuse(f"the log refuses to sign, so nothing is released: {refusal}")
        self._ready.set()
        self._looked_back.set()

    def _stand_by(self) -> None:
        self._state = self._attempt = None
        self._ready.clear()
        self.log.waiters.detach()
        if self.refusal is not None:
            self._ready.set()

    # ------------------------------------------------------------------ the cosigning thread

    def _run_cosigning(self) -> None:
        assert self._cosigning is not None
        while not self._stopping.is_set():
            self._signed.wait()
            self._awaited.wait(self._cosign_seconds)
            self._awaited.clear()
            self._signed.clear()
            try:
                while self._state is not None and not self._stopping.is_set() and not self._cosigning.round():
                    self._stopping.wait(RETRY_SECONDS)
            except SQLAlchemyError as error:
                logger.warning("no cosignature could be asked for, trying again: %s", type(error).__name__)
                self._stopping.wait(RETRY_SECONDS)
                self._signed.set()


def is_changed_text(error: Exception) -> bool:
    """Whether SQLite found bytes that are no UTF-8 where text was stored."""
    return isinstance(error, SQLAlchemyError) and "Could not decode to UTF-8" in str(error)
