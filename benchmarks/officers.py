"""Loan officers who ask one check after the other, each in a process of its own as on machines of their own.

Every answer is compared with what was seeded.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing.synchronize import Barrier

from bank_client import Bank, BankConfig
from bank_client.private_query import PrivateQuery
from benchmarks.city import City, subject

START_SECONDS = 300.0

_started: Barrier

Check = tuple[int, bytes | None]  # a subject's number, and the record that was seeded


def checks_of(place: City, numbers: Sequence[int]) -> list[Check]:
    """Numbers with what a check of each must give: none for who is not on record."""
    return [(number, place.plain(number) if number < place.subjects else None) for number in numbers]


class Officer:
    """One officer with cached hint and manifest."""

    def __init__(self, config: BankConfig, project: str, table: str) -> None:
        self._query = PrivateQuery(Bank(config), project, table)

    def ask(self, check: Check) -> float:
        """Seconds of one whole check; ends the benchmark if the record is not the one that was seeded."""
        number, expected = check
        started = time.perf_counter()
        found = self._query.ask(subject(number)).record
        seconds = time.perf_counter() - started
        if found != expected:
            raise SystemExit("a check gave another record than the one that was seeded")
        return seconds


def one_alone(place: City, project: str, table: str, checks: Sequence[Check]) -> list[float]:
    """Seconds of each check of one client, after a first one that fetches the hint."""
    officer = Officer(place.town.bank_config(place.officers[0]), project, table)
    return [officer.ask(check) for check in checks][1:]


def all_together(place: City, project: str, table: str, checks: Sequence[Check], seconds: float) -> tuple[float, list[float]]:
    """Checks a second and the seconds of each, from all officers of the city at once, each asking one after the other."""
    context, clients = multiprocessing.get_context("spawn"), len(place.officers)
    configs = [place.town.bank_config(officer) for officer in place.officers]
    shares = [checks[n::clients] for n in range(clients)]
    started = context.Barrier(clients)  # so each takes one share
    with ProcessPoolExecutor(clients, context, _keep, (started,)) as pool:
        work = pool.map(_client, configs, repeat(project), repeat(table), shares, repeat(seconds))
        spans, latencies = zip(*work, strict=True)
    taken = [latency for one in latencies for latency in one]
    return len(taken) / (max(end for _, end in spans) - min(start for start, _ in spans)), taken


def _keep(barrier: Barrier) -> None:
    global _started  # noqa: PLW0603 - inherited by the process, not sent with its work
    _started = barrier


def _client(
    config: BankConfig, project: str, table: str, checks: Sequence[Check], seconds: float
) -> tuple[tuple[float, float], list[float]]:
    """When it began and ended, on the clock of the machine, and the seconds of each check."""
    officer, waiting = Officer(config, project, table), iter(checks)
    officer.ask(next(waiting))  # fetches the hint
    _started.wait(START_SECONDS)
    began = time.monotonic()
    taken: list[float] = []
    while time.monotonic() < began + seconds:
        taken.append(officer.ask(next(waiting)))
    return (began, time.monotonic()), taken
