"""How a log stands: what its operator and its auditors look at."""

from __future__ import annotations

from models.wire import Message


class WitnessHealth(Message):
    """A witness of a log: the last checkpoint that it cosigned, and when. `size` -1: none yet."""

    name: str
    key: str
    size: int
    at: int


class LogHealth(Message):
    """The log's last signed checkpoint, when it was signed, how many entries wait for one, and what its witnesses say.

    `cosigned` is the size up to which enough witnesses have cosigned (-1: none yet); `quorum` how many that takes.
    """

    origin: str
    key: str
    size: int
    signed_at: int
    waiting: int
    cosigned: int
    quorum: int
    witnesses: tuple[WitnessHealth, ...]
