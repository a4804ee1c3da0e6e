"""How much a process takes at once. Counted in the event loop, before a body is read or a thread is asked for."""

from __future__ import annotations

import time

import structlog

logger = structlog.get_logger()
TELL_SECONDS = 60.0


class Places:
    """Places for requests in work; used from one thread, the event loop's."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._refused = 0
        self._told_at = 0.0

    def take(self) -> bool:
        """Take a place; False where there is none. The operator is told at most once a minute."""
        if self._left > 0:
            self._left -= 1
            return True
        self._refused += 1
        now = time.monotonic()
        if now - self._told_at >= TELL_SECONDS:
            logger.warning("as many requests are in work as are taken at once", refused=self._refused)
            self._refused, self._told_at = 0, now
        return False

    def give_back(self) -> None:
        """Give a place back."""
        self._left += 1
