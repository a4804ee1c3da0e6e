"""Exposure checks among `BANKS` banks: how long one takes, and how many a second an office, a node and these banks keep up.

One run starts an office and a node, and the answering services of all banks in `PROCESSES` processes of this machine, where
each would have a machine of its own. It measures

- one check after the other, each from the first call to the decrypted sum with its cosigned receipt
- `CLIENTS` officers of one bank at once for `SECONDS` seconds: keys, their proofs, blinding factors and range proofs are all
  made within that time, by these cores
- a burst of `BURST` checks whose keys were made before

Every sum is compared with what the books say. CPU seconds of all processes together are told beside the clock's.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import psutil  # type: ignore[import-untyped]

from bank_client import Bank
from bank_client.config import BankConfig
from bank_client.demo.job import MainJob, new_consent
from bank_client.demo.town import Town
from bank_client.exposure import ExposureCheck
from bank_client.exposure_keys import KeyPool, QuestionKey
from bank_client.exposure_responder import Responder
from benchmarks.report import Metric, Result, Settings
from crypto.paillier.arithmetic import PublicKey, draw_exponent, power
from crypto.paillier.bounded import encrypt_bounded, verify_bounded
from crypto.paillier.key_proof import verify_key
from models import wire
from models.consents import ConsentKind
from models.exposure import TABLE
from models.parties import Institution, InstitutionKind, Role
from models.projects import ProjectKind

ASKING = "asking-bank"
BORROWERS = 400
EVERY = 0.5
PARTS = 10


def run(settings: Settings) -> Result:
    """All metrics of one run."""
    banks, seconds = settings.size("BANKS", 20), settings.size("SECONDS", 60)
    clients, alone = settings.size("CLIENTS", 6), settings.size("CHECKS", 30)
    burst, processes = settings.size("BURST", 20), settings.size("PROCESSES", 2)
    with (
        tempfile.TemporaryDirectory(prefix="xinqiao-exposure-") as name,
        _place(Path(name), banks, clients, processes) as place,
    ):
        latencies = [place.ask(place.officers[0], KeyPool()) for _ in range(alone + 1)][1:]
        cpu = place.cpu()
        rate, loaded = place.together(seconds)
        per_check = (place.cpu() - cpu) / max(1, len(loaded))
        ready = KeyPool(burst)
        ready.fill()
        burst_rate, _ = place.together(seconds, Burst(ready, burst))
    return {
        "checks_per_s": Metric(rate, "1/s", 1.0, "the rate that is asked for"),
        "check_p50_ms": Metric(_percentile(latencies, 50), "ms"),
        "check_p99_ms": Metric(_percentile(latencies, 99), "ms"),
        "loaded_p50_ms": Metric(_percentile(loaded, 50), "ms"),
        "loaded_p99_ms": Metric(_percentile(loaded, 99), "ms"),
        "burst_checks_per_s": Metric(burst_rate, "1/s"),
        "cpu_s_per_check": Metric(per_check, "s"),
        **_parts(),
    }


def _parts() -> dict[str, Metric]:
    """Milliseconds of CPU time of each part, the best of some: a key with its proof costs by chance, so that is the median."""
    keys = [_cpu_ms(QuestionKey.fresh) for _ in range(PARTS)]
    key = QuestionKey.fresh()
    public, exponent = key.key.public, draw_exponent()
    answer = encrypt_bounded(public, 123_456, True, b"")
    encoded = public.encode()

    def best(work: Callable[[], object]) -> float:
        return min(_cpu_ms(work) for _ in range(PARTS))

    full = best(lambda: power(public.h, public.n, public.n_squared))
    return {
        "key_cpu_ms": Metric(float(np.median(keys)), "ms"),
        "key_check_cpu_ms": Metric(best(lambda: verify_key(public, key.proof)), "ms"),
        "blinding_cpu_ms": Metric(best(lambda: public.blinding(exponent)), "ms", full, "r^n mod n², an exponent of 3,072 bits"),
        "answer_cpu_ms": Metric(best(lambda: encrypt_bounded(PublicKey.decode(encoded), 123_456, True, b"")), "ms"),
        "answer_check_cpu_ms": Metric(best(lambda: verify_bounded(public, answer.ciphertext, answer.proof, b"")), "ms"),
    }


def _cpu_ms(work: Callable[[], object]) -> float:
    started = time.thread_time()
    work()
    return (time.thread_time() - started) * 1e3


@dataclass
class Burst:
    """Keys that were made before, and how many checks to ask with them."""

    keys: KeyPool
    checks: int


class Place:
    """A town whose banks answer, and officers who ask."""

    def __init__(self, town: Town, project: str, officers: Sequence[Bank], owed: dict[str, tuple[int, int]]) -> None:
        self._project, self._owed = project, owed
        self._town = town
        self.officers = officers
        self._subjects, self._lock = iter(owed), threading.Lock()

    def ask(self, officer: Bank, keys: KeyPool) -> float:
        """Seconds of one check."""
        with self._lock:
            subject = next(self._subjects)
        started = time.perf_counter()
        found = ExposureCheck(officer, self._project, keys=keys).ask(subject)
        seconds = time.perf_counter() - started
        if found.missing:
            print(f"{len(found.missing)} banks were too late", flush=True)
        elif (found.amount, found.banks) != self._owed[subject]:
            raise SystemExit("a check gave another sum than the books")
        return seconds

    def together(self, seconds: float, burst: Burst | None = None) -> tuple[float, list[float]]:
        """Checks a second and the seconds of each; of a burst, until all of it are answered."""
        latencies: list[float] = []
        left = iter(range(burst.checks)) if burst else iter(int, 1)
        keys = burst.keys if burst else KeyPool()
        if burst:
            burst.keys._size = 0
        started = time.perf_counter()

        def work(officer: Bank) -> None:
            while time.perf_counter() - started < seconds and next(left, None) is not None:
                latencies.append(self.ask(officer, keys))

        with ThreadPoolExecutor(len(self.officers)) as pool:
            list(pool.map(work, self.officers))
        return len(latencies) / (time.perf_counter() - started), latencies

    def cpu(self) -> float:
        """CPU seconds that this process, the services and the banks have taken."""
        own = resource.getrusage(resource.RUSAGE_SELF)
        children = psutil.Process(os.getpid()).children(recursive=True)
        return own.ru_utime + own.ru_stime + sum(_cpu_of(child) for child in children)


@contextmanager
def _place(folder: Path, banks: int, clients: int, processes: int) -> Iterator[Place]:
    rng = np.random.default_rng(7)
    names = [f"bank-{number:02}" for number in range(banks - 1)]
    with Town(folder / "town", identity="opaque") as town:
        job = MainJob(town, steward="bureau/steward", operator="bureau/operator")
        for name in (ASKING, *names):
            town.enrol_institution(
                Institution(id=name, name=name, kind=InstitutionKind.BANK, licence=name, declared_customers=10_000)
            )
            if name != ASKING:
                town.enrol(f"{name}/answers", f"{name} answers", Role.RESPONDER)
        officers = [f"{ASKING}/officer-{number}" for number in range(clients)]
        town.enrol(f"{ASKING}/modeller", "modeller", Role.MODELLER)
        for officer in officers:
            town.enrol(officer, officer, Role.LOAN_OFFICER)
        project = job.project(
            f"{ASKING}/modeller", ProjectKind.EXPOSURE, "exposures", (), purpose="loan-approval", checks=BORROWERS
        )
        subjects = [secrets.token_hex(6) for _ in range(BORROWERS)]
        kinds = (ConsentKind.COLLECTION, ConsentKind.QUERY)
        job.consent(
            [wire.replace(new_consent(f"opaque:{one}", kind), field_sets=(TABLE,)) for one in subjects for kind in kinds]
        )
        amounts = rng.integers(1, 500_000, (BORROWERS, len(names))) * (rng.random((BORROWERS, len(names))) < 0.1)
        for place, name in enumerate(names):
            lines = [f"{one},{amount}" for one, amount in zip(subjects, amounts[:, place], strict=True) if amount]
            (folder / f"{name}.csv").write_text("\n".join(["id,amount", *lines]) + "\n")
        owed = {one: (int(row.sum()), int((row > 0).sum())) for one, row in zip(subjects, amounts, strict=True)}
        sessions = [town.bank(officer) for officer in officers]
        parts = [
            [(town.bank_config(f"{name}/answers"), folder / f"{name}.csv") for name in names[part::processes]]
            for part in range(processes)
        ]
        with _answering(parts):
            yield Place(town, project, sessions, owed)


@contextmanager
def _answering(parts: list[list[tuple[BankConfig, Path]]]) -> Iterator[None]:
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    ready = [context.Event() for _ in parts]
    started = [context.Process(target=_answer, args=(part, stop, one)) for part, one in zip(parts, ready, strict=True)]
    for process in started:
        process.start()
    for one in ready:
        one.wait()
    try:
        yield
    finally:
        stop.set()
        for process in started:
            process.join()


def _answer(banks: list[tuple[BankConfig, Path]], stop: Event, ready: Event) -> None:
    """Some banks' answering services, one after the other, in a process of their own."""
    responders = [Responder(Bank(config), book, id_column="id") for config, book in banks]
    for responder in responders:
        responder.book()
    ready.set()
    while not stop.is_set():
        for responder in responders:
            responder.answer_new()
        stop.wait(EVERY)


def _cpu_of(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0.0
    return float(times.user + times.system)


def _percentile(seconds: Sequence[float], which: int) -> float:
    return float(np.percentile(seconds, which)) * 1e3
