"""What a handler is given and what it gives: a `Call` in, an `Outcome` out. It never answers by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine

from audit.service.leaves import LeafDraft
from models import problems, wire
from models.parties import Institution, Person


@dataclass(frozen=True)
class Raw:
    """An answer that is not a message. With a `file` it is what that holds from `offset` on, read while it is sent."""

    body: bytes = field(default=b"", repr=False)
    content_type: str = "application/octet-stream"
    file: Path | None = None
    offset: int = 0


@dataclass(frozen=True)
class Call:
    """One authenticated request as a handler sees it. `body` is of the declared type, or bytes for raw content."""

    engine: Engine = field(repr=False)
    person: Person
    institution: Institution
    body: Any = field(repr=False)
    path: dict[str, str]
    query: dict[str, str]
    now: int


@dataclass(frozen=True)
class Shared:
    """A state change that is recorded at once for all outcomes of one transaction that have the same `record`.

    `record` gets the transaction and the items of all, in their order; like `Outcome.record` it may raise a `Problem`.
    """

    record: Callable[[Connection, Sequence[Any]], None]
    item: Any = field(repr=False)


@dataclass(frozen=True)
class Outcome:
    """What a handler gives: the answer, the leaves that stand for it, and the state change that goes with them.

    `record` runs in the transaction that queues the leaves and stores the answer: all or nothing. It may raise a
    `Problem`. `cosigned` holds the reply back until the office has cosigned a checkpoint with the last leaf.
    """

    answer: wire.Message
    leaves: Sequence[LeafDraft]
    record: Callable[[Connection], None] | None = None
    cosigned: bool = False
    attach: Callable[[Connection, Sequence[int]], None] | None = None
    """Like `record`, and told the queue ids of the leaves, for state that must find its leaf again."""
    brief: bool = False
    """Record and attach take milliseconds and may run twice, so that requests which come together share a transaction."""
    shared: Shared | None = None
    """What is recorded together with what others of the same transaction record; before any `record`."""


Within = Callable[[Connection], Outcome]
"""What a handler gives instead where answer and leaves are known only in the transaction, e.g. counts of stored rows."""

Handler = Callable[[Call], Outcome | Within]


class Refused(Exception):
    """A refusal that leaves something behind: an attempt, an alarm, evidence. Others are plain `Problem`s.

    `opening` joins the refusal's leaf; `attach` runs in that leaf's transaction with its queue id.
    """

    def __init__(
        self,
        problem: problems.Problem,
        *,
        opening: dict[str, Any] | None = None,
        attach: Callable[[Connection, int], None] | None = None,
    ) -> None:
        super().__init__(str(problem))
        self.problem = problem
        self.opening = opening or {}
        self.attach = attach
