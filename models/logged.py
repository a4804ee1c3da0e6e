"""The envelope of every logged reply: the answer and, for each leaf that stands for it, its place in the log."""

from __future__ import annotations

from models.wire import Message


class LeafRef(Message):
    """A leaf's index, its RFC 6962 leaf hash, and the log's signed promise that it stands there."""

    index: int
    leaf_hash: bytes
    promise: bytes


class Logged(Message):
    """An answer (encoded message) and its leaves; given only after all of them are durable."""

    answer: bytes
    leaves: tuple[LeafRef, ...]


class Empty(Message):
    """An answer that says nothing more than that it was done."""
