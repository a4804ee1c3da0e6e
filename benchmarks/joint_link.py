"""A joint training over a line between two towns: default_credit's `fit` on loopback and through a shaped link.

Services run as processes of their own, the office's replay included. The link stands between the bank and both services,
as a line from a branch would; office and node reach each other directly. It is a TCP proxy in a process of its own that
lets `MBIT` megabits a second through in each direction and holds every byte for `DELAY_MS` milliseconds each way; a new
connection costs the round trip of its handshake.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bank_client import Bank
from bank_client.demo.csv_job import MODELLER, CsvJob, CsvTown, csv_town
from bank_client.demo.town import HOST
from bank_client.joint_scorecard import JointScorecard
from bank_client.session import Phase
from benchmarks.report import Metric, Result, Settings

SHARED = Path(os.environ.get("XINQIAO_SHARED", Path(__file__).resolve().parent.parent.parent / "shared"))
FOLDER = SHARED / "data" / "default_credit"
CHUNK = 16 << 10


@dataclass(frozen=True)
class Shape:
    """What a line lets through: bytes a second in each direction, and seconds that each byte is under way."""

    rate: float
    delay: float


def run(settings: Settings) -> Result:
    """All metrics of one run; each figure is the better of two trainings, since the first one compiles."""
    train_rows = settings.size("TRAIN_ROWS", 24_000)
    shape = Shape(settings.size("MBIT", 100) * 1e6 / 8, settings.size("DELAY_MS", 25) / 1e3)
    bank_csv, node_csv = FOLDER / "default_credit_hetero_guest.csv", FOLDER / "default_credit_hetero_host.csv"
    if not bank_csv.exists():
        raise SystemExit("the data set default_credit is not here; set XINQIAO_SHARED to the folder that holds data/")
    job = CsvJob(bank_csv=(bank_csv,), node_csv=node_csv, id="id", label="y", train_rows=train_rows)
    with tempfile.TemporaryDirectory() as folder, csv_town(job, Path(folder)) as place:
        with Bank(place.town.bank_config(MODELLER)) as bank:
            model = JointScorecard(place.project, bank)
            loopback = min(fit(model, place, job.label), fit(model, place, job.label), key=lambda phase: phase.seconds)
        with shaped(shape, place.town.office.port, place.town.node.port), Bank(place.town.bank_config(MODELLER)) as bank:
            model = JointScorecard(place.project, bank, cohort=model.cohort_)
            linked = min(fit(model, place, job.label), fit(model, place, job.label), key=lambda phase: phase.seconds)
    sent = (linked.bytes_up + linked.bytes_down) / 1e6
    return {
        "loopback_s": Metric(loopback.seconds, "s"),
        "link_s": Metric(linked.seconds, "s", loopback.seconds, "the same fit on loopback"),
        "bytes_mb": Metric(sent, "MB"),
        "line_s": Metric(linked.bytes_up / shape.rate + linked.bytes_down / shape.rate, "s"),
    }


def fit(model: JointScorecard, place: CsvTown, label: str) -> Phase:
    """Seconds and bytes of one training, alignment apart."""
    model.fit(place.train.drop(columns=label), place.train[label])
    return model.phases_["fit"]


# ---------------------------------------------------------------------- the line


@contextmanager
def shaped(shape: Shape, *ports: int) -> Iterator[None]:
    """This process reaches these ports of this machine through a line of that shape; others reach them directly."""
    context = multiprocessing.get_context("spawn")
    listening: Any = context.SimpleQueue()
    line = context.Process(target=serve, args=(shape, ports, listening), daemon=True)
    line.start()
    through: dict[int, int] = listening.get()
    direct = socket.create_connection

    def connect(address: tuple[str, int], *args: Any, **kwargs: Any) -> socket.socket:
        return direct((address[0], through.get(address[1], address[1])), *args, **kwargs)

    try:
        with patch.object(socket, "create_connection", connect):
            yield
    finally:
        line.terminate()
        line.join()


def serve(shape: Shape, ports: tuple[int, ...], listening: Any) -> None:
    """The line's process: a listener for each port; says which stands for which."""
    up, down = Lane(shape), Lane(shape)
    through = {}
    for port in ports:
        listener = socket.create_server((HOST, 0))
        through[port] = listener.getsockname()[1]
        threading.Thread(target=accept, args=(listener, port, up, down), daemon=True).start()
    listening.put(through)
    threading.Event().wait()


def accept(listener: socket.socket, port: int, up: Lane, down: Lane) -> None:
    """Take connections, and carry both directions of each."""
    while True:
        near, _ = listener.accept()
        far = socket.create_connection((HOST, port))
        handshake = 2 * up.shape.delay
        for source, sink, lane, wait in ((near, far, up, handshake), (far, near, down, 0.0)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=lane.carry, args=(source, sink, wait), daemon=True).start()


class Lane:
    """One direction of the line, shared by all connections: bytes leave it no faster than its rate, in the order they came."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self._lock = threading.Lock()
        self._free_at = 0.0

    def carry(self, source: socket.socket, sink: socket.socket, wait: float) -> None:
        """Carry one connection's bytes; `wait` seconds before its first ones."""
        under_way: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        threading.Thread(target=deliver, args=(under_way.get, sink), daemon=True).start()
        data = b"-"
        while data:
            try:
                data = source.recv(CHUNK)
            except OSError:
                data = b""
            under_way.put((self._sent(len(data)) + self.shape.delay + wait, data))

    def _sent(self, size: int) -> float:
        """When the last of so many bytes has left the near end."""
        with self._lock:
            self._free_at = max(self._free_at, time.monotonic()) + size / self.shape.rate
            return self._free_at


def deliver(take: Callable[[], tuple[float, bytes]], sink: socket.socket) -> None:
    """Hand over bytes when they are due, to the end of the connection."""
    while True:
        due, data = take()
        time.sleep(max(0.0, due - time.monotonic()))
        with suppress(OSError):
            if not data:
                sink.shutdown(socket.SHUT_WR)
                return
            sink.sendall(data)
