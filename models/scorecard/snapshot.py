"""A running training as bytes for the node's own store: what `NodeTraining.snapshot` writes and `restore` reads.

It holds what changes from step to step. What never changes (plan, columns, limits, the job's secret seed) is given to
`NodeTraining` anew, so that a step writes some kilobytes whatever the cohort's size. All of it is as secret as the node's
columns: masks of the open round, decoded sums, weights. Whoever stores it seals it and deletes it when the job ends.

The form is closed and numbered: a service of another version refuses it, and never guesses.
"""

from __future__ import annotations

from typing import Any, Literal

from numpy.typing import NDArray

from crypto.masked_product import Answered
from models.problems import BadMessage
from models.wire import Message, decode, encode, pack, unpack

from .moments import Moments
from .rounds import Digests


class OtherVersion(ValueError):
    """These bytes are no state of a training as this version of the service writes it."""


class _Secret(Message):
    def __repr__(self) -> str:
        return f"{type(self).__name__}(<secret>)"


class MomentsState(_Secret):
    """`Moments`; `covariance` is float64[d+1, d+1]."""

    rows: int
    size: int
    covariance: bytes
    node_fields: int

    @classmethod
    def of(cls, moments: Moments | None) -> MomentsState | None:
        """For a store."""
        if moments is None:
            return None
        covariance = moments.covariance
        return cls(rows=moments.rows, size=covariance.shape[0], covariance=pack(covariance), node_fields=moments.node_fields)

    def moments(self) -> Moments:
        """From a store."""
        return Moments(self.rows, unpack(self.covariance, "<f8", (self.size, self.size), "covariance"), self.node_fields)


class LearnedState(_Secret):
    """What a `Learner` knows; `levels` and noisy `bads` by field, `weights` empty before the second round."""

    label_mac: bytes
    levels: tuple[tuple[int, ...], ...]
    bads: tuple[tuple[float, ...], ...]
    moments: MomentsState | None
    shown: MomentsState | None
    weights: tuple[float, ...]


class RoundState(_Secret):
    """An open round; `answered` once (h, c) was given, with the hex digests of (b, p) and of (h, c)."""

    session_seed: bytes
    macs: tuple[bytes, ...]
    answered: Answered | None
    product: str
    answer: str


class PendingState(_Secret):
    """The second round's decoded sums float64[J, 1+K] and the bank's moments int64[K+2, K+2], before the verdict."""

    macs: tuple[bytes, ...]
    decoded: bytes
    moments: bytes


class TrainingState(_Secret):
    """All that changes in a `NodeTraining`; `step` is the name of the step that comes next, in round `round`."""

    form: Literal[1]
    job: str
    step: str
    round: int
    label_macs: tuple[bytes, ...]
    open: RoundState | None
    finished: tuple[Digests, ...]
    pending: PendingState | None
    learned: LearnedState

    def to_bytes(self) -> bytes:
        """For a store."""
        return encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> TrainingState:
        """From a store; raises `OtherVersion`."""
        try:
            return decode(data, cls)
        except BadMessage:
            raise OtherVersion("this training was begun by another version of the service") from None


def array(data: bytes, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """An array of stored bytes; raises `OtherVersion` for any other length."""
    try:
        return unpack(data, dtype, shape, "state")
    except BadMessage as error:
        raise OtherVersion(error.detail) from None
