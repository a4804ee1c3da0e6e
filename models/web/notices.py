"""What an application of pages itself has to say against a request, as a key of its texts; the services' are `Problem`s."""

from __future__ import annotations


class Notice(Exception):
    """A sentence for the person in front of the page: a key of its `Texts` and what stands in its gaps."""

    def __init__(self, key: str, status: int = 422, **values: object) -> None:
        super().__init__(key)
        self.key = key
        self.status = status
        self.values = values


class SignedOut(Exception):
    """Nobody is signed in (any more) in this browser."""
