"""A ticket is spent once, however many come in one request, on both databases."""

from __future__ import annotations

import secrets

import pytest

from audit.database import open_engine, writing
from models.problems import BadTicket
from sharing_node.migrate import upgrade
from sharing_node.state import spending


@pytest.mark.parametrize("count", [1, 2, 1_000])
def test_elements_are_spent_once(database_url: str, count: int) -> None:
    engine = open_engine(database_url)
    upgrade(engine)
    first, second = ([secrets.token_bytes(32) for _ in range(count)] for _ in range(2))
    with writing(engine) as connection:
        spending.spend_elements(connection, "t", first, 1)
    with pytest.raises(BadTicket, match="spent before"), writing(engine) as connection:
        spending.spend_elements(connection, "t", [*second, first[-1]], 2)
    with engine.connect() as connection:
        assert spending.spent_among(connection, first + second) == set(first), "a refusal changes nothing"
    engine.dispose()
