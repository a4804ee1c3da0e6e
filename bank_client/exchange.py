"""An exchange with services that goes on where it stopped, in this process or in another.

It is one generator that yields a request and is sent its answer. Where a service does not answer, it stays at that request,
with its idempotency key: to go on is to make the very same request again, which counts once however often it is made. All
that is random in a request follows from one secret. So with a journal, which keeps the secret and every answer, another
process comes to the same request by running the generator over the answers that are there.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from inspect import GEN_CLOSED, getgeneratorstate
from typing import Any, Generic, TypeVar

from audit.client.peer import Peer
from bank_client.job_journal import JobJournal
from crypto.xof import derive_key
from models import wire
from models.http_client import Reply
from models.problems import Unavailable

M = TypeVar("M", bound=wire.Message)
R = TypeVar("R")
Exchange = Generator[Callable[[], Any], Any, R]
"""Yields requests as calls without arguments, is sent what each gave, and returns R."""


def request_key(secret: bytes, number: int, path: str) -> str:
    """The idempotency key of request `number`, counted from 0, of the exchange that has this secret."""
    return derive_key(secret, f"xinqiao/bank/exchange/request {number} {path}".encode())[:16].hex()


class Resumable(ABC, Generic[R]):
    """An exchange. Subclasses write it down in `_run`, and take what is random from `_derived`."""

    def __init__(self) -> None:
        self._journal: JobJournal | None = None
        self._secret = secrets.token_bytes(32)
        self._exchange: Exchange[R] | None = None
        self._asking: Callable[[], Any] = lambda: None
        self._answered = 0

    def keep_in(self, journal: JobJournal) -> None:
        """From here on keep it in a journal; what this holds of the same exchange is gone on with."""
        self._journal = journal

    def go_on(self) -> R:
        """Make one request after the other, from the one on that has no answer.

        Raises:
            Unavailable: a service did not answer; to be called again.
            Cancelled: the exchange was given up.
            Exception: what `_run` raises, which ends it.
        """
        journal = self._journal
        if journal is None:
            return self._play_on(None)
        with journal.held():
            journal.begin(self._inputs())
            secret = journal.derived("exchange")
            if (self._secret, self._answered) != (secret, journal.answered):  # another process may have taken it further
                self._secret, self._exchange = secret, None
            return self._play_on(journal)

    def _play_on(self, journal: JobJournal | None) -> R:
        if (
            self._exchange is None or getgeneratorstate(self._exchange) == GEN_CLOSED
        ):  # not begun, or interrupted between two requests
            self._exchange, self._answered = self._run(), 0
            self._asking = next(self._exchange)
        while True:
            answer = None if journal is None else journal.answer(self._answered)
            if answer is None:
                if journal is not None:
                    journal.check()
                try:
                    answer = self._asking()
                except Unavailable:
                    raise  # and stay at this request
                except Exception as error:
                    self._asking, journal = self._exchange.throw(error), None  # what follows a refusal ends the exchange
                    continue
                if journal is not None:
                    journal.add_answer(self._answered, answer)
            self._answered += 1
            try:
                self._asking = self._exchange.send(answer)
            except StopIteration as done:
                result: R = done.value
                return result

    @abstractmethod
    def _run(self) -> Exchange[R]:
        """The exchange from its beginning."""

    @abstractmethod
    def _inputs(self) -> bytes:
        """A digest of all that it is about: with other inputs it is another exchange."""

    def _ask(self, peer: Peer, path: str, message: wire.Message, kind: type[M]) -> Exchange[Reply[M]]:
        key = request_key(self._secret, self._answered, path)
        reply: Reply[M] = yield lambda: peer.logged(path, message, kind, key=key)
        return reply

    def _derived(self, what: str) -> bytes:
        """32 secret bytes for a purpose, the same in every process that goes on with it."""
        return derive_key(self._secret, b"xinqiao/bank/exchange/" + what.encode())

    def _keep(self, name: str, value: bytes) -> None:
        """Keep a fact beside the answers, where there is a journal."""
        if self._journal is not None:
            self._journal.keep(name, value)
