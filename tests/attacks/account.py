"""What clients were given for their tickets, held against what stands in the node's log."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from audit.verifier.merkle import leaf_hash
from crypto.voprf import Blinded
from models import wire
from models.http_client import SignedClient
from models.logged import LeafRef
from models.problems import PeerUnavailable, Problem, Unavailable
from models.tickets import EvaluateTickets, Evaluations
from models.wire import Signed


@dataclass
class Question:
    """One ticket, and everything that came back for it: `released` are the answers that carried an evaluation."""

    subject: str
    blinded: Blinded = field(repr=False)
    ticket: Signed
    epoch: int
    key: str
    released: list[tuple[bytes, tuple[LeafRef, ...]]] = field(default_factory=list, repr=False)
    refused: list[str] = field(default_factory=list)
    wrong: str = ""


class Held(Protocol):
    """What can be read of a node: its log from an index on, and how many elements it remembers as spent."""

    def entries(self, since: int) -> list[bytes]: ...

    def spent(self) -> int: ...


def spend(client: SignedClient, table: str, question: Question, key: str = "") -> bool:
    """Send a ticket, under its own key or another; whether an evaluation came back. Raises where no answer came."""
    request = EvaluateTickets(tickets=(question.ticket,))
    try:
        reply = client.logged(f"/tables/{table}/evaluate", request, Evaluations, key=key or question.key)
    except (PeerUnavailable, Unavailable):
        raise
    except Problem as problem:
        question.refused.append(problem.slug())
        return False
    question.released.append((wire.encode(reply.answer), reply.leaves))
    return True


class Account:
    """Compares what all clients hold with what stands in the log; AssertionError at the first thing that is amiss.

    `patience`: seconds for which entries that a killed process had queued may wait for their places.
    """

    def __init__(self, patience: float = 120.0) -> None:
        self._patience = patience
        self._index = 0
        self._entries: list[bytes] = []
        self._evaluations = Counter[str]()

    def settle(self, held: Held, questions: Iterable[Question]) -> int:
        """Check everything that these questions were given; how many were evaluated."""
        self._read(held)
        evaluated = 0
        for question in questions:
            assert not question.wrong, question.wrong
            digest = question.ticket.digest()
            assert self._evaluations[digest] <= 1, "one ticket has two evaluations in the log"
            assert len({answer for answer, _ in question.released}) <= 1, "one ticket was given two answers"
            for _, leaves in question.released:
                assert leaves, "an evaluation was released without a leaf"
                for leaf in leaves:
                    assert leaf.index < len(self._entries), "a promised leaf is not in the log"
                    entry = self._entries[leaf.index]
                    assert leaf_hash(entry) == leaf.leaf_hash, "another leaf stands where one was promised"
                    assert msgspec.json.decode(entry)["facts"]["ticket"] == digest, "the leaf is another ticket's"
            evaluated += bool(question.released)
        assert held.spent() == self._evaluations.total(), "what is remembered as spent is not what the log says"
        return evaluated

    def _read(self, held: Held) -> None:
        # What was queued when a process was killed gets its place soon after the next one starts.
        end = time.monotonic() + self._patience
        while True:
            self._entries += held.entries(len(self._entries))
            for entry in self._entries[self._index :]:
                leaf = msgspec.json.decode(entry)
                if leaf["action"] == "check.evaluate" and leaf["outcome"] == "done":
                    self._evaluations[leaf["facts"]["ticket"]] += 1
            self._index = len(self._entries)
            if held.spent() == self._evaluations.total() or time.monotonic() > end:
                return
            time.sleep(0.1)
