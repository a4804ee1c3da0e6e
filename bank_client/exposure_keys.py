"""Paillier keys for exposure checks, one for each question, made ahead while nothing else is to do.

A key costs about half a second of one core, proof included; a question waits for none while the pool holds some. Keys live in
memory alone, and each is forgotten with its question.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from crypto.paillier import PrivateKey, generate_key
from crypto.paillier.key_proof import prove_key


@dataclass(frozen=True)
class QuestionKey:
    """A key and the proof of its form."""

    key: PrivateKey
    proof: bytes

    @classmethod
    def fresh(cls) -> QuestionKey:
        """Make one now."""
        key = generate_key()
        return cls(key, prove_key(key))


class KeyPool:
    """Holds up to `size` keys; with `size` 0 it makes each when it is asked for. Safe for several threads."""

    def __init__(self, size: int = 0) -> None:
        self._size = size
        self._ready: deque[QuestionKey] = deque()
        self._lock = threading.Lock()
        self._filling = False

    def __repr__(self) -> str:
        return f"KeyPool({len(self)} of {self._size})"

    def __len__(self) -> int:
        """Keys that are ready."""
        return len(self._ready)

    def take(self) -> QuestionKey:
        """A key that nobody has used; the pool is filled again aside."""
        with self._lock:
            taken = self._ready.popleft() if self._ready else None
        if self._size:
            self.fill_aside()
        return taken or QuestionKey.fresh()

    def fill(self) -> None:
        """Make keys until the pool is full."""
        while len(self) < self._size:
            self._ready.append(QuestionKey.fresh())

    def fill_aside(self) -> None:
        """`fill` in a thread of its own, unless one is at it."""
        with self._lock:
            if self._filling:
                return
            self._filling = True
        threading.Thread(target=self._fill, name="exposure-keys", daemon=True).start()

    def _fill(self) -> None:
        try:
            self.fill()
        finally:
            with self._lock:
                self._filling = False
