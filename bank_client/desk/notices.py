"""What the desk itself has to say against a request, as a key of `texts`; problems of office and node are `Problem`s."""

from __future__ import annotations


class Notice(Exception):
    """A sentence of the desk for the person in front of it: a key of `texts.TEXTS` and what stands in its gaps."""

    def __init__(self, key: str, status: int = 422, **values: object) -> None:
        super().__init__(key)
        self.key = key
        self.status = status
        self.values = values
