"""Waiting for an index or a cosignature: woken at once by a sequencer in this process, else by looking now and then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from audit.log.store import Placed
from audit.verifier.errors import LogUnavailable

T = TypeVar("T")

REMEMBERED = 4096
"""Places remembered for waits that have not begun; older ones are looked up."""

LOOK_FIRST = 0.002
LOOK_LAST = 0.05
LOOK_WHEN_LOCAL = 0.5
"""Seconds between looks at the database; a sequencer in this process makes them a mere precaution."""


class _Slot:
    """One thread that waits for one entry: a lock that is held until there is a result."""

    def __init__(self) -> None:
        self.placed: Placed | None = None
        self._gate = threading.Lock()
        self._gate.acquire()

    def open(self, placed: Placed | None) -> None:
        self.placed = placed
        self._gate.release()

    def wait(self, seconds: float) -> bool:
        return self._gate.acquire(timeout=max(seconds, 0.0))


class Waiters:
    """The threads of this process that wait for the log. `look_up(queue_id)` asks the database for a place."""

    def __init__(self, look_up: Callable[[int], Placed | None]) -> None:
        self._look_up = look_up
        self._lock = threading.Lock()
        self._slots: dict[int, list[_Slot]] = {}
        self._recent: dict[int, Placed] = {}
        self._before: dict[int, Placed] = {}
        self._last_queue_id = 0
        self._taken = 0
        self._cosigned = threading.Condition(self._lock)
        self._wake: Callable[[], None] | None = None
        self._ask_witnesses: Callable[[], None] | None = None
        self._refusal: str | None = None

    # ------------------------------------------------------------------ the sequencer's side

    def attach(self, wake: Callable[[], None], ask_witnesses: Callable[[], None]) -> None:
        """A sequencer of this process begins to sequence; the two tell it of new entries, and of waits for a cosignature."""
        with self._lock:
            self._wake, self._ask_witnesses = wake, ask_witnesses

    def detach(self) -> None:
        """It has ceased to."""
        with self._lock:
            self._wake = self._ask_witnesses = None

    def refuse(self, reason: str | None) -> None:
        """From now on every wait fails with `reason`; None lifts it."""
        with self._lock:
            self._refusal = reason
            slots = [slot for waiting in self._slots.values() for slot in waiting]
            self._slots.clear()
            self._cosigned.notify_all()
        for slot in slots:
            slot.open(None)

    def taken(self, queue_id: int) -> None:
        """A batch is under way that goes up to this entry: who waits for one of its entries need not call for the next."""
        self._taken = queue_id

    def sequenced(self, batch: Mapping[int, Placed]) -> None:
        """Entries, by queue id in their order, have become durable."""
        opened: list[tuple[_Slot, Placed]] = []
        with self._lock:
            for queue_id, placed in batch.items():
                opened += [(slot, placed) for slot in self._slots.pop(queue_id, [])]
            # The wait for some of these is only about to begin.
            if len(self._recent) > REMEMBERED:
                self._before, self._recent = self._recent, {}
            self._recent.update(batch)
            self._last_queue_id = max(self._last_queue_id, *batch)
        for slot, placed in opened:
            slot.open(placed)

    def cosigned(self) -> None:
        """A cosignature has been stored."""
        with self._lock:
            self._cosigned.notify_all()

    # ------------------------------------------------------------------ the callers' side

    def wait(self, queue_id: int, timeout: float) -> Placed:
        """Where a queued entry stands; LogUnavailable after `timeout` seconds or when the signer refuses."""
        deadline = time.monotonic() + timeout
        slot = _Slot()
        with self._lock:
            self._check()
            for known in (self._recent, self._before):
                if queue_id in known:
                    return known[queue_id]
            self._slots.setdefault(queue_id, []).append(slot)
            wake = self._wake
            # A sequencer here tells us, unless it told before we asked.
            look_at_once = wake is None or queue_id <= self._last_queue_id
        try:
            # An earlier one that is not in the batch either (PostgreSQL may commit it later) is found at the next look.
            if wake is not None and queue_id > self._taken:
                wake()
            pause = 0.0 if look_at_once else LOOK_WHEN_LOCAL
            while not slot.wait(min(pause, deadline - time.monotonic())):
                placed = self._look_up(queue_id)
                if placed is not None:
                    return placed
                if time.monotonic() >= deadline:
                    raise LogUnavailable(_too_late("the log did not take the entry", timeout))
                pause = LOOK_WHEN_LOCAL if self._wake else min(max(2 * pause, LOOK_FIRST), LOOK_LAST)
        finally:
            self._forget(queue_id, slot)
        if slot.placed is None:
            with self._lock:
                self._check()
            raise LogUnavailable("the log stopped while the entry waited; nothing was released, try again")
        return slot.placed

    def wait_cosigned(self, look: Callable[[], T | None], timeout: float) -> T:
        """What `look` finds once it finds something; LogUnavailable after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            found = look()
            if found is not None:
                return found
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise LogUnavailable(_too_late("the witnesses did not cosign the entry", timeout))
            with self._lock:
                self._check()
                if self._ask_witnesses is not None:
                    self._ask_witnesses()
                self._cosigned.wait(min(remaining, LOOK_LAST))

    def _check(self) -> None:
        if self._refusal is not None:
            raise LogUnavailable(self._refusal)

    def _forget(self, queue_id: int, slot: _Slot) -> None:
        with self._lock:
            waiting = self._slots.get(queue_id, [])
            if slot in waiting:
                waiting.remove(slot)
            if not waiting:
                self._slots.pop(queue_id, None)


def _too_late(what: str, timeout: float) -> str:
    return (
        f"{what} within {timeout:g} s, so nothing was released; "
        "check that a sequencer runs, that the database can be written and that the witnesses answer"
    )
