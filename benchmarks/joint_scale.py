"""One joint training at the size of a large bank; node, bank and office in a process each, exchanging the real messages.

The bank is `bank_client`'s own `JointTraining`; node and office are the roles that their services run (`models.scorecard`):
the node bins, multiplies, learns, and shows its figures under the office's verdict; the office checks the inputs and replays
both rounds. Messages cross as the bytes that go over the wire, but through pipes, without log and database: to load a
million records and align a million ids would take far longer than what is measured. `align_s` is the alignment's
arithmetic of all three, scaled from `ALIGN_ROWS` ids.

Seconds of compute are CPU seconds of a process, all threads together, from the first bin on; resident is the most that the
kernel saw. The bank's bytes stand beside 8 a row and vector. Beside it all: the same bins, WOE and scikit-learn's logistic
regression with all columns in one place, and both products alone under HEU's OU scheme (PyPI sf-heu in an environment
made for the run, or the interpreter named by `HEU_PYTHON`), scaled from `HEU_ROWS` rows.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn, TypeVar, cast

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from bank_client.alignment import AlignedCohort
from bank_client.joint_training import JointTraining
from bank_client.session import Bank
from benchmarks._joint_roles import BANK, JOB, LIMITS, NODE, OFFICE, PROJECT, ROOT, NodeRole, OfficeRole
from benchmarks.report import Metric, Result, Settings
from crypto.request_proof import prove, verify_request_proof
from crypto.voprf import VoprfClient, VoprfServer, blind, generate_key_pair
from crypto.warm import warm_up
from models import wire
from models.http_client import Reply
from models.logged import LeafRef
from models.scorecard.bank import bank_columns
from models.training import (
    Receipt,
)
from models.wire import Signed

HEU = "sf-heu==0.5.2b0"
SPAWN = multiprocessing.get_context("spawn")
M = TypeVar("M", bound=wire.Message)
Measured = dict[str, float]
Floats = NDArray[np.float64]


def run(settings: Settings) -> Result:
    """All metrics of one run."""
    rows = settings.size("ROWS", 100_000)
    made = Made(rows, settings.size("NODE_COLUMNS", 40), settings.size("BANK_COLUMNS", 20))
    align_rows, heu_rows = settings.size("ALIGN_ROWS", 500), settings.size("HEU_ROWS", 40)
    bank, node, office = joint(made)
    compute_s = bank["compute_s"] + node["compute_s"]
    central_s = in_a_process(central, made)["compute_s"]
    align_s = in_a_process(alignment, align_rows)["compute_s"] * rows / align_rows
    heu_s = heu_seconds(heu_rows, made)
    result = {
        "compute_s": Metric(compute_s, "s", central_s, "all columns in one place"),
        "bank_compute_s": Metric(bank["compute_s"], "s"),
        "node_compute_s": Metric(node["compute_s"], "s"),
        "office_compute_s": Metric(office["compute_s"], "s"),
        "wall_s": Metric(bank["wall_s"], "s"),
        "bank_resident_gib": Metric(bank["resident_gib"], "GiB"),
        "node_resident_gib": Metric(node["resident_gib"], "GiB"),
        "office_resident_gib": Metric(office["resident_gib"], "GiB"),
        "bytes_up_mb": Metric(bank["up"] / 1e6, "MB", 8 * rows * (2 + made.bank_columns) / 1e6, "8 a row and vector"),
        "bytes_down_mb": Metric(bank["down"] / 1e6, "MB"),
        "office_bytes_mb": Metric(bank["office"] / 1e6, "MB"),
        "align_s": Metric(align_s, "s"),
        "central_s": Metric(central_s, "s"),
    }
    if heu_s is not None:
        result["heu_scaled_s"] = Metric(heu_s * rows / heu_rows, "s", compute_s, "the joint training, learning included")
    return result


# ---------------------------------------------------------------------- rows


@dataclass(frozen=True)
class Made:
    """Synthetic rows; each process makes the columns of its own side."""

    rows: int
    node_columns: int
    bank_columns: int

    def node(self) -> dict[str, Floats]:
        """The node's columns."""
        return self._columns(NODE, 1, self.node_columns)

    def bank(self) -> dict[str, Floats]:
        """The bank's columns."""
        return self._columns(BANK, 2, self.bank_columns)

    def labels(self) -> NDArray[np.uint8]:
        """uint8[N], about one in seven bad."""
        chance = 1 / (1 + np.exp(2.5 - 0.8 * self._known(1) - 0.8 * self._known(2)))
        return (np.random.default_rng(9).random(self.rows) < chance).astype(np.uint8)

    def _known(self, side: int) -> Floats:
        """What a side knows of the risk."""
        return np.random.default_rng([7, side]).standard_normal(self.rows)

    def _columns(self, name: str, side: int, count: int) -> dict[str, Floats]:
        """float64[N] by name: a share of what the side knows, and noise; every third has gaps."""
        known, columns = self._known(side), {}
        for j in range(count):
            random = np.random.default_rng([8, side, j])
            values = (0.1 + 0.3 * j / count) * known + random.standard_normal(self.rows)
            if j % 3 == 0:
                values[random.random(self.rows) < 0.05] = np.nan
            columns[f"{name}{j}"] = values
        return columns


# ---------------------------------------------------------------------- processes and what they measure


def joint(made: Made) -> tuple[Measured, Measured, Measured]:
    """One training: what bank, node and office measured of themselves."""
    to_node, node_end = SPAWN.Pipe()
    to_office, office_end = SPAWN.Pipe()
    keys = {name: Ed25519PrivateKey.generate().private_bytes_raw() for name in (NODE, OFFICE)}
    node = SPAWN.Process(target=serve, args=(NODE, made, node_end, keys), daemon=True)
    office = SPAWN.Process(target=serve, args=(OFFICE, made, office_end, keys), daemon=True)
    for process in (node, office):
        process.start()
    try:
        bank = in_a_process(bank_role, made, to_node, to_office)
        for served in (to_node, to_office):
            served.send("end")
        return bank, to_node.recv(), to_office.recv()
    finally:
        for process in (node, office):
            process.kill()


def in_a_process(work: Callable[..., Measured], *args: Any) -> Measured:
    """What a function measures in a process of its own."""
    here, there = SPAWN.Pipe()
    process = SPAWN.Process(target=hand_over, args=(there, work, args), daemon=True)
    process.start()
    there.close()
    try:
        measured: Measured = here.recv()
    except EOFError:
        raise SystemExit(f"the process of {work.__name__} ended without a result") from None
    process.join()
    return measured


def hand_over(there: Connection, work: Callable[..., Measured], args: tuple[Any, ...]) -> None:
    """Run a function and send what it gives."""
    there.send(work(*args))


class Meter:
    """CPU seconds from here on, and the most memory the process ever held."""

    def __init__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def read(self) -> Measured:
        """Seconds of compute and on the wall, GiB resident."""
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return {
            "compute_s": time.process_time() - self._cpu,
            "wall_s": time.perf_counter() - self._wall,
            "resident_gib": int(status["VmHWM"].split()[0]) / (1 << 20),
        }


# ---------------------------------------------------------------------- the bank


class Line:
    """What a bank's session has a service for: requests that are answered."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.up = self.down = 0

    def logged(self, path: str, message: wire.Message, kind: type[M], *, key: str) -> Reply[M]:
        """Send a message to an address; its answer, without leaves."""
        body = wire.encode(message)
        self._connection.send(path)
        self._connection.send_bytes(body)
        self.up += len(body)
        answer = self._connection.recv_bytes()
        self.down += len(answer)
        return Reply(wire.decode(answer, kind), (LeafRef(index=0, leaf_hash=b"", promise=b""),))


@dataclass(frozen=True)
class Session:
    """What `JointTraining` takes of a bank's session."""

    config: Any
    node: Line
    office: Line

    def receipt(self, *_: object) -> Receipt:
        """There is no log here."""
        return Receipt(index=0, entry=b"", proof="")

    def from_node(self, signed: Signed, kind: type[M]) -> M:
        """The node's word."""
        return wire.decode(signed.payload, kind)

    from_office = from_node

    def damaged(self, what: str, detail: str, artefacts: object) -> NoReturn:
        """Nothing may be wrong here."""
        raise SystemExit(f"{what}: {detail}")


def bank_role(made: Made, to_node: Connection, to_office: Connection) -> Measured:
    """Bin the bank's columns and train."""
    warm_up()
    values, labels = made.bank(), made.labels()
    for service in (to_node, to_office):
        service.recv()  # it is ready
    session = Session(SimpleNamespace(institution=BANK), Line(to_node), Line(to_office))
    meter = Meter()
    columns = bank_columns(values, labels, LIMITS)
    cohort = AlignedCohort(PROJECT, JOB, ROOT, ("",) * made.rows)
    trained = JointTraining(cast(Bank, session), cohort, labels, columns).run()
    if not trained.figures.usable or len(trained.figures.fields) != made.node_columns:
        raise SystemExit("the training does not end in figures")
    node, office = session.node, session.office
    return meter.read() | {"up": node.up, "down": node.down, "office": office.up + office.down}


# ---------------------------------------------------------------------- node and office


def serve(name: str, made: Made, connection: Connection, raw: Mapping[str, bytes]) -> None:
    """Answer requests until the bank is done, then say what was measured."""
    warm_up()
    keys = {owner: Ed25519PrivateKey.from_private_bytes(key) for owner, key in raw.items()}
    role = NodeRole(made.node(), keys) if name == NODE else OfficeRole(keys)
    connection.send("ready")
    meter = Meter()
    while (path := connection.recv()) != "end":
        answer = role.answer(path.rsplit("/", 1)[-1], connection.recv_bytes())
        connection.send_bytes(wire.encode(answer))
        del answer
    connection.send(meter.read())


# ---------------------------------------------------------------------- beside it


def central(made: Made) -> Measured:
    """The same bins, WOE and a logistic regression with all columns in one place."""
    values, labels = made.bank() | made.node(), made.labels()
    meter = Meter()
    columns = bank_columns(values, labels, LIMITS)
    matrix = np.empty((made.rows, len(columns)))
    for k, column in enumerate(columns):
        matrix[:, k] = column.woe[column.codes]
    LogisticRegression(max_iter=1000).fit(matrix, labels)
    return meter.read()


def alignment(rows: int) -> Measured:
    """The arithmetic of aligning so many ids: blind and prove, check, evaluate with a proof, verify and derive."""
    ids = [f"subject {number}".encode() for number in range(rows)]
    secret, public = generate_key_pair()
    server, client = VoprfServer(secret), VoprfClient(public)
    meter = Meter()
    blinded = [blind(one) for one in ids]
    for one, made in zip(ids, blinded, strict=True):
        verify_request_proof(one, made.element, b"context", prove(one, made.blind, made.element, b"context"))
    answers = server.blind_evaluate_many([made.element for made in blinded])
    client.finalize_many(ids, blinded, answers)
    return meter.read()


def heu_seconds(rows: int, made: Made) -> float | None:
    """CPU seconds of both products under OU on so many rows; None where sf-heu does not install."""
    script = Path(__file__).with_name("_heu_product.py")
    with tempfile.TemporaryDirectory() as folder:
        python = os.environ.get("HEU_PYTHON") or environment_with(HEU, Path(folder))
        if python is None:
            print(f"{HEU} does not install here, so there is no heu_scaled_s", file=sys.stderr)
            return None
        sizes = [str(size) for size in (rows, made.node_columns, made.bank_columns)]
        ran = subprocess.run([python, str(script), *sizes], check=True, capture_output=True, text=True)
    return float(ran.stdout.split()[-1])


def environment_with(package: str, folder: Path) -> str | None:
    """The interpreter of a new environment with a package in it, or None."""
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    installed = subprocess.run([python, "-m", "pip", "install", "-q", package], check=False, capture_output=True)
    return python if installed.returncode == 0 else None
