"""Private queries at the size of a city: one nightly build, what a question costs, and how many are answered.

One run seeds a city (`benchmarks.city`), has the node build and the office seal an epoch, and then measures

- the build: seconds from the request to the finished table, and the largest resident memory of all its processes (PSS, so
  that a page shared between them counts once); the office's check of table and hint apart
- one product D·q beside a plain read of the same bytes by a numba sum on as many threads
- whole checks over HTTP, ticket and cosigned receipt included: one client alone, then `CLIENTS` at once, each in a process
  of its own (`benchmarks.officers`)
- the node's step alone (ticket, evaluation, proof, durable leaf) over HTTP and in process (`benchmarks.node_step`),
  beside libsodium's own rate
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numba
import numpy as np
import psutil  # type: ignore[import-untyped]
from numpy.typing import NDArray

from benchmarks import node_step, officers
from benchmarks.city import OPERATOR, City, city
from benchmarks.report import Metric, Result, Settings
from crypto import group, kernels, pir
from models.tables import BuildState, BuildTable, Manifest, SealedManifest
from models.wire import decode
from sharing_node.epochs.builder import SEAL as SEALED

PRODUCTS = 15
RATE_SECONDS = 2.0


def run(settings: Settings) -> Result:
    """All metrics of one run."""
    subjects, size = settings.size("SUBJECTS", 1_000_000), settings.size("BYTES", 96)
    clients, seconds = settings.size("CLIENTS", 8), settings.size("SECONDS", 30)
    alone, steps = settings.size("CHECKS", 300), settings.size("STEPS", 6_000)
    asked = alone + clients * seconds * 20 + steps
    with tempfile.TemporaryDirectory(prefix="xinqiao-city-") as name, city(Path(name), subjects, size, clients, asked) as place:
        job = place.enrol()
        project, table = place.check_project(job)
        build = measure_build(place, table)
        manifest = opened(place, table)
        product_ms, read_ms = measure_product(place, manifest)
        latencies = officers.one_alone(place, project, table, officers.checks_of(place, place.asked[:alone]))
        together = officers.checks_of(place, place.asked[alone:-steps])
        rate, loaded = officers.all_together(place, project, table, together, seconds)
        tickets = node_step.tickets(place, project, manifest, place.asked[-steps:])
        http = node_step.over_http(place, manifest, tickets[: steps // 2])
        place.town.node.stop()
        in_process = node_step.in_process(place, manifest, tickets[steps // 2 :])
    multiplications = libsodium_rate()
    baseline = (multiplications, "libsodium ristretto255 multiplications, all threads")
    return {
        "build_s": Metric(build.seconds, "s", subjects / multiplications, "one such multiplication a subject, alone"),
        "resident_gib": Metric(build.resident / 2**30, "GiB"),
        "office_check_s": Metric(build.sealing, "s"),
        "product_ms": Metric(product_ms, "ms", read_ms, "plain read of the same bytes, numba sum"),
        "query_up_kb": Metric(4 * manifest.columns / 1e3, "kB"),
        "query_down_kb": Metric(4 * manifest.rows / 1e3, "kB"),
        "hint_mb": Metric(4 * 1024 * manifest.rows / 1e6, "MB"),
        "checks_per_s": Metric(rate, "1/s"),
        "check_loaded_p99_ms": Metric(percentile(loaded, 99), "ms"),
        "check_p50_ms": Metric(percentile(latencies, 50), "ms"),
        "check_p99_ms": Metric(percentile(latencies, 99), "ms"),
        "node_steps_per_s": Metric(in_process, "1/s", *baseline),
        "node_steps_http_per_s": Metric(http, "1/s", *baseline),
        **{f"build_{stage.replace(' ', '_')}_s": Metric(took, "s") for stage, took in build.stages.items()},
    }


# -------------------------------------------------------------------- the build


@dataclass
class Build:
    """Seconds up to the finished table, by stage, then the office's; the most resident bytes."""

    seconds: float = 0.0
    sealing: float = 0.0
    resident: int = 0
    stages: dict[str, float] = field(default_factory=dict)


def measure_build(place: City, table: str) -> Build:
    """Ask for an epoch and watch it until it is open."""
    operator = place.town.client(OPERATOR, "node")
    place.wait_for_builder()
    watch = _Watch(place.town.node.process)
    started = last = time.perf_counter()
    state = operator.logged(f"/tables/{table}/epochs", BuildTable(table=table), BuildState).answer
    build = Build()
    with watch:
        while state.state != "open":
            if state.state == "failed":
                raise SystemExit(f"the build failed: {state.detail}")
            time.sleep(0.1)
            stage, state = state.stage, operator.get(f"/tables/{table}/builds/{state.epoch}", BuildState)
            now = time.perf_counter()
            if state.stage != stage:
                print(f"{now - started:8.1f} s  {state.stage}", flush=True)
            build.stages[stage or "waiting"] = build.stages.get(stage or "waiting", 0.0) + now - last
            last = now
    build.sealing = build.stages.pop(SEALED, 0.0)
    build.seconds = time.perf_counter() - started - build.sealing
    build.resident = watch.most
    print(
        f"built in {build.seconds:.1f} s with {build.resident / 2**30:.2f} GiB, checked by the office in {build.sealing:.1f} s"
    )
    return build


class _Watch:
    """Samples the proportional set size of a process and all below it."""

    def __init__(self, process: Any) -> None:
        self._root = psutil.Process(process.pid)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.most = 0

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            self.most = max(self.most, sum(_resident(p) for p in [self._root, *self._root.children(recursive=True)]))


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0


def opened(place: City, table: str) -> Manifest:
    """The manifest of the epoch that is open."""
    sealed = place.town.client(place.officers[0], "node").get(f"/tables/{table}/manifest", SealedManifest)
    return decode(sealed.manifest.payload, Manifest)


# -------------------------------------------------------------------- the product


@numba.njit(nogil=True)
def _sum(values: NDArray[np.uint64]) -> np.uint64:
    total = np.uint64(0)
    for value in values:
        total += value
    return total


def measure_product(place: City, manifest: Manifest) -> tuple[float, float]:
    """Median milliseconds of D·q for one query, and of reading D's bytes once, on the same number of threads."""
    table = np.array(np.load(place.matrix_file(manifest.table, manifest.epoch), mmap_mode="r")).view(np.uint8)
    query, _ = pir.PirClient(manifest.seed, manifest.columns).query(0)
    words = table.reshape(-1)[: table.size // 8 * 8].view(np.uint64)
    parts = np.array_split(words, kernels.threads())
    _sum(words[:8])
    with ThreadPoolExecutor(kernels.threads()) as pool:
        return _median_ms(lambda: pir.answer(table, query)), _median_ms(lambda: list(pool.map(_sum, parts)))


def _median_ms(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(PRODUCTS):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return median(seconds) * 1e3


def percentile(seconds: Sequence[float], which: int) -> float:
    """In milliseconds."""
    return float(np.percentile(seconds, which)) * 1e3


# -------------------------------------------------------------------- the limit


def libsodium_rate() -> float:
    """ristretto255 scalar multiplications a second, all threads."""
    scalar = group.random_scalar()
    elements = group.hash_to_group_many([bytes([n]) for n in range(200)], b"benchmark") * 20
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < RATE_SECONDS:
        group.scalar_mult_many(scalar, elements)
        done += len(elements)
    return done / (time.perf_counter() - started)
