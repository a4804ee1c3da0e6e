"""A request that comes twice at once: the second of the two waits for what the first is answered."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from sqlalchemy import MetaData

from audit.service.ledger import Ledger, Request
from audit.service.tables import add_gate_tables


def test_the_same_request_waits_for_itself_and_another_does_not() -> None:
    _, answers = add_gate_tables(MetaData())
    ledger = Ledger(cast(Any, None), cast(Any, None), answers, time.time)
    once, other = Request("bank-a/li", "a-key-of-one", b"1"), Request("bank-a/li", "another-key", b"1")

    def enter(request: Request) -> None:
        with ledger.alone(request):
            pass

    with ThreadPoolExecutor(3) as pool:
        with ledger.alone(once):
            same = [pool.submit(enter, once) for _ in range(2)]
            pool.submit(enter, other).result(60)
            assert not any(waiting.done() for waiting in same)
        for waiting in same:
            waiting.result(60)
    assert not ledger._under_way, "nothing is kept of what is over"
