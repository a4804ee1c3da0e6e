"""Live verification of both logs from the console: in a thread, from where it ended last, with its progress for a page.

What was verified is kept in the console's folder, so that a log set back while the console slept is noticed at the next look.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from audit.client.services import ServiceName, Services
from audit.verifier.checkpoint import open_checkpoint
from audit.verifier.errors import LogError
from audit.verifier.follow import follow_log
from audit.verifier.log_check import http_fetch
from audit.verifier.merkle import CompactRange
from audit.verifier.tiles import CHECKPOINT_PATH
from models.durable import write_private

LOGS: tuple[ServiceName, ServiceName] = ("office", "node")


class Verified(msgspec.Struct, frozen=True):
    """How far a log was verified: its size, the right edge of its tree, its root, and when (POSIX seconds)."""

    size: int
    peaks: tuple[bytes, ...]
    root: bytes
    at: int


@dataclass(frozen=True)
class Cosigned:
    """A witness's line under a log's published checkpoint: when it cosigned; 0: it has not."""

    name: str
    at: int


@dataclass(frozen=True)
class Head:
    """What a log shows of itself: its size, its root, and each witness's cosignature; `problem` where that does not hold."""

    size: int = 0
    root: str = ""
    cosigned: tuple[Cosigned, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class State:
    """One log's verification: under way or not, how far, what was verified last, and what was wrong."""

    log: ServiceName
    running: bool = False
    done: int = 0
    total: int = 0
    verified: Verified | None = None
    new: int = -1
    problem: str = ""


class LogCheck:
    """Both logs. Used from the threads that serve pages."""

    def __init__(self, services: Services, folder: Path, clock: Callable[[], float]) -> None:
        self._services = services
        self._folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        self._states = {log: State(log, verified=self._kept(log)) for log in LOGS}

    def states(self) -> list[State]:
        """How both stand."""
        with self._lock:
            return list(self._states.values())

    def start(self) -> None:
        """Verify what is new of both, each in a thread; one that is under way goes on."""
        for log in LOGS:
            with self._lock:
                if self._states[log].running:
                    continue
                self._states[log] = replace(self._states[log], running=True, done=0, total=0, new=-1, problem="")
            threading.Thread(target=self._verify, args=(log,), name=f"verify-{log}", daemon=True).start()

    def head(self, log: ServiceName) -> Head:
        """The checkpoint that a log publishes."""
        witnesses = self._services.witness_keys(log)
        try:
            note = http_fetch(self._address(log))(CHECKPOINT_PATH)
            signed = open_checkpoint(note, [self._services.log_key(log)], witnesses)
        except (LogError, OSError) as error:
            return Head(problem=str(error))
        at = {signature.key: signature.timestamp or 0 for signature in signed.cosignatures}
        cosigned = tuple(Cosigned(key.name, at.get(key, 0)) for key in witnesses)
        return Head(signed.checkpoint.size, signed.checkpoint.root.hex(), cosigned)

    def _verify(self, log: ServiceName) -> None:
        before = self._states[log].verified
        known = CompactRange(before.size, before.peaks) if before else CompactRange()
        witnesses = self._services.witness_keys(log)

        def progress(done: int, total: int) -> None:
            self._set(log, done=done, total=total)

        try:
            followed = follow_log(
                http_fetch(self._address(log)),
                known,
                [self._services.log_key(log)],
                witnesses,
                len(witnesses),
                progress=progress,
            )
            head = followed.signed.checkpoint
            verified = Verified(head.size, tuple(followed.tree.peaks), head.root, int(self._clock()))
            write_private(self._file(log), msgspec.json.encode(verified))
        except (LogError, OSError) as error:
            self._set(log, running=False, problem=str(error))
        else:
            self._set(log, running=False, verified=verified, new=head.size - known.size)

    def _set(self, log: ServiceName, **changes: object) -> None:
        with self._lock:
            self._states[log] = replace(self._states[log], **changes)  # type: ignore[arg-type]

    def _address(self, log: ServiceName) -> str:
        return f"{getattr(self._services, log).url.rstrip('/')}/log"

    def _file(self, log: ServiceName) -> Path:
        return self._folder / f"verified-{log}.json"

    def _kept(self, log: ServiceName) -> Verified | None:
        try:
            return msgspec.json.decode(self._file(log).read_bytes(), type=Verified)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
