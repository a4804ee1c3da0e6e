"""What a bank remembers of a round, and how it is kept over a restart."""

from __future__ import annotations

import msgspec

from crypto.errors import ParameterError
from crypto.secure_aggregation.messages import SharePair
from crypto.secure_aggregation.round import Member, Round


class Answer(msgspec.Struct, array_like=True):
    """What a step was asked, by digest, and what it answered."""

    asked: bytes
    answer: bytes


class State(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """All that a bank remembers of a round."""

    session: str
    number: int
    members: tuple[Member, ...]
    length: int
    colluding: int
    name: str
    cipher_private: bytes
    mask_private: bytes
    seed: bytes
    answers: dict[str, Answer] = {}
    key_list: bytes = b""
    own_shares: SharePair | None = None
    received: dict[str, SharePair] = {}
    named_dead: bool = False
    survivors: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "State(<secret>)"

    def terms(self) -> Round:
        """The round that it is of."""
        return Round(self.session, self.number, self.members, self.length, self.colluding)


def read_state(snapshot: bytes) -> State:
    """What was stored; raises ``ParameterError``."""
    try:
        return msgspec.msgpack.decode(snapshot, type=State)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ParameterError("this is no snapshot of a secure aggregation that this version can read") from None
