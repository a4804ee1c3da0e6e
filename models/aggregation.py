"""Secure aggregation on the wire: one session sums one vector over the banks of a project, in as few rounds as it takes.

The protocol, its messages and its leakage statement are `crypto.secure_aggregation`; here is what carries them. Every `body`
below is one of its messages.

::

    bank                                     office                            node
    ── OpenAggregation ───────────────────────────────────────────────────────> Signed(AggregationPlan)
    ── POST …/keys ─────────────────────────────────────────────────────────── > leaf
    ── GET …/keys, POST …/shares ─────────────────────────────────────────────> leaf
    ── GET …/delivery, POST …/input ──────────────────────────────────────────> leaf; Signed(InputReceived)
    where inputs are proven:
      ── FileOpening ───────────────────────> recomputes H(y)
      <─ Signed(ProvenInput) ────────────────
      ── POST …/proof ────────────────────────────────────────────────────────> leaf
    ── GET …/list, POST …/list ───────────────────────────────────────────────> leaf
    ── GET …/request, POST …/unmask ──────────────────────────────────────────> leaf; the sum, once t have answered

A step ends when all have taken it, or when it is over time and enough have; then the others are dropped. A round that cannot
end (too few are left; a survivor does not sign the list) is given up before anything is unmasked, and the next one begins with
fresh secrets and all banks again. At most one round of a session is ever unmasked: once a list is signed by all, either t of
them answer or the session has failed.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

from crypto.errors import ParameterError
from crypto.secure_aggregation import Member, Round
from models.problems import BadMessage
from models.projects import Seat
from models.wire import Message, Signed

MOST_ROUNDS = 5
MOST_WORDS = 1 << 22
LARGEST_FORM = 1 << 16
SHORTEST_STEP, LONGEST_STEP = 2, 24 * 3600


class AggregationPurpose(StrEnum):
    """What a sum is for."""

    COUNTS = "training-counts"
    MOMENTS = "training-moments"
    STATISTICS = "statistics"


class Phase(StrEnum):
    """The step that a round waits for; the last two are ends of the session."""

    KEYS = "keys"
    SHARES = "shares"
    INPUT = "input"
    PROOF = "proof"
    LIST = "list"
    UNMASK = "unmask"
    DONE = "done"
    FAILED = "failed"


ENDED = frozenset({Phase.DONE, Phase.FAILED})


class OpenAggregation(Message):
    """Begin a session. `about` names what is summed, by the SHA-256 (hex) of `form` or of what all banks know; it is public.

    `form` says what the vectors hold, for statistics an encoded `StatisticsTable`; it may be empty in a training.

    `proven`: nothing is unmasked before the office has recomputed every survivor's input. A step ends `step_seconds` after it
    began for whoever has not taken it.
    """

    project: str
    purpose: AggregationPurpose
    about: str
    length: int
    proven: bool = False
    step_seconds: int = 600
    form: bytes = b""


class AggregationPlan(Message):
    """The node's signed terms of a session. `seats` are those of the office's approval (digest `approval`), in order of names.

    `colluding` is c: how many banks may conspire with the node, and the others stay hidden.
    """

    session: str
    project: str
    approval: str
    purpose: AggregationPurpose
    about: str
    length: int
    proven: bool
    step_seconds: int
    seats: tuple[Seat, ...]
    colluding: int
    form: bytes = b""

    def round(self, number: int) -> Round:
        """The terms of one round; raises `BadMessage` where they cannot be any."""
        members = tuple(Member(seat.bank, seat.key) for seat in self.seats)
        try:
            return Round(self.session, number, members, self.length, self.colluding)
        except ParameterError as error:
            raise BadMessage(f"the plan of this sum is not a possible one: {error}") from None


class AggregationState(Message):
    """Where a session stands: who has taken the present step, and until when (POSIX seconds) it waits for the others."""

    plan: Signed
    round: int
    phase: Phase
    deadline: int
    done: tuple[str, ...] = ()
    survivors: tuple[str, ...] = ()
    reason: str = ""


class TakeStep(Message):
    """A bank's message of one step of one round."""

    round: int
    body: bytes


class Advance(Message):
    """A bank asks that a step which is over time be ended; `phase` is what it saw."""

    round: int
    phase: Phase


class StepTaken(Message):
    """The step is stored and in the log. `received` is the node's `InputReceived` for an input, else None."""

    phase: Phase
    received: Signed | None = None


class InputReceived(Message):
    """The node's signed word on a masked input. `round` is the digest of the round's terms, `keys` that of its key list."""

    session: str
    number: int
    round: bytes
    bank: str
    keys: bytes
    sharers: tuple[str, ...]
    masked: bytes


class FileOpening(Message):
    """A bank shows the office what its masked input is made of: `vector` is the plain uint64[length], little-endian."""

    plan: Signed
    received: Signed
    keys: bytes
    opening: bytes
    vector: bytes


class ProvenInput(Message):
    """The office's signed word that it has recomputed a masked input (digest `masked`) from a well-formed one, or why not."""

    session: str
    number: int
    bank: str
    masked: bytes
    usable: bool
    reason: str = ""


class SurvivorCall(Message):
    """What a bank is asked to sign: the survivor list and, where inputs are proven, the office's word on each survivor."""

    survivors: bytes
    proofs: tuple[Signed, ...] = ()


class Part(Message):
    """One of the protocol's messages from the node: a key list, a delivery, or a request to unmask."""

    body: bytes


def about_digest(message: bytes) -> str:
    """The digest by which a session names what it sums."""
    return hashlib.sha256(message).hexdigest()
