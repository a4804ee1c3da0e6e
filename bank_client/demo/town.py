"""Starting a credit office, a data node and the witnesses of their logs on loopback, and enrolling who takes part."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import httpx2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bank_client.config import BankConfig, NodeSection, OfficeSection, make_key
from bank_client.session import Bank
from models.approvals import Act, ActKind, FileAct
from models.http_client import SignedClient
from models.logged import Empty
from models.parties import Institution, Person, Role
from models.problems import SecondClerk
from models.projects import Decision
from models.wire import Message, encode

START_SECONDS = 60.0
HOST = "127.0.0.1"
FIRST_CLERK = "office/zhang.mingli"
WINDOW = "office/window"


class ServiceDied(RuntimeError):
    """A service did not start or stopped; the message ends with the last lines it printed."""


@dataclass
class Service:
    """One process: how to start it again, and where it prints."""

    name: str
    module: str
    port: int
    environment: dict[str, str] = field(repr=False)
    output: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{HOST}:{self.port}"

    def run(self, *arguments: str) -> str:
        """Run one of its commands to the end; its standard output."""
        done = subprocess.run(
            [sys.executable, "-m", self.module, *arguments], env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise ServiceDied(f"`{self.module} {arguments[0]}` failed: {done.stderr.strip()[-2000:]}")
        return done.stdout

    def start(self) -> None:
        """Start serving in the background."""
        with self.output.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module, "serve"],
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_ready(self) -> None:
        """Wait until it answers; raises `ServiceDied`."""
        deadline = time.monotonic() + START_SECONDS
        with httpx2.Client(timeout=2.0, trust_env=False) as client:
            while time.monotonic() < deadline:
                if self.process is None or self.process.poll() is not None:
                    break
                try:
                    if client.get(f"{self.url}/healthz").status_code == 200:
                        return
                except httpx2.TransportError:
                    time.sleep(0.1)
        raise ServiceDied(f"the {self.name} did not start:\n{self.output.read_text(errors='replace')[-2000:]}")

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def stop(self) -> None:
        """End it in order."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()


class Town:
    """A credit office, a data node and two witnesses below `folder`, as processes; a context manager that stops them.

    The office's witness cosigns the node's log, the node itself the office's, a bank's witness both. `databases` names other
    databases than SQLite files, by service (``office``, ``node``).
    """

    def __init__(
        self,
        folder: Path,
        *,
        identity: str = "national",
        catalogue: Path | None = None,
        databases: dict[str, str] | None = None,
        node_settings: dict[str, str] | None = None,
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        shared = {"IDENTITY": identity} | ({"CATALOGUE": str(catalogue)} if catalogue else {})
        self._identity = identity
        self.office = self._service("office", "audit.office", shared | _database(databases, "office"))
        self.node = self._service("node", "sharing_node", shared | _database(databases, "node") | (node_settings or {}))
        self.office_witness = self._service("office-witness", "audit.witness", {"NAME": "office.xinqiao.local/witness"})
        self.bank_witness = self._service("bank-witness", "audit.witness", {"NAME": "bank.xinqiao.local/witness"})
        self.witness_keys: dict[str, str] = {}
        self.office_keys: dict[str, str] = {}
        self.node_keys: dict[str, str] = {}
        self._clients: dict[tuple[str, str], SignedClient] = {}
        self._second_clerk = FIRST_CLERK
        self._prepare()

    def __enter__(self) -> Town:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start all services and wait until they answer."""
        for service in self.services:
            service.start()
        for service in self.services:
            service.wait_ready()

    def stop(self) -> None:
        """Stop all services."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        for service in reversed(self.services):
            service.stop()

    @property
    def services(self) -> tuple[Service, ...]:
        """All processes."""
        return (self.office_witness, self.bank_witness, self.office, self.node)

    def cosigners(self, log: Literal["node", "office"]) -> tuple[str, str]:
        """The verifier keys of the two witnesses of a log."""
        first = self.office_keys["witness"] if log == "node" else self.node_keys["witness"]
        return first, self.witness_keys["bank"]

    # ---------------------------------------------------------------- people

    def key_file(self, person: str) -> Path:
        """Where a person's private key lies."""
        return self.folder / "people" / f"{person.replace('/', '.')}.key"

    def client(self, person: str, service: str) -> SignedClient:
        """A person's signed requests to ``office`` or ``node``."""
        if (person, service) not in self._clients:
            key = Ed25519PrivateKey.from_private_bytes(self.key_file(person).read_bytes())
            url = self.office.url if service == "office" else self.node.url
            self._clients[person, service] = SignedClient(url, person, key)
        return self._clients[person, service]

    def enrol_institution(self, institution: Institution) -> None:
        """The first clerk enrols an institution."""
        self.act(ActKind.ENROL_INSTITUTION, "/institutions", institution, Empty)

    def enrol(self, person: str, name: str, role: Role) -> None:
        """Make a key for a person and have the first clerk enrol them."""
        public = make_key(self.key_file(person))
        enrolled = Person(id=person, institution=person.split("/", maxsplit=1)[0], name=name, role=role, key=public)
        self.act(ActKind.ENROL_PERSON, "/people", enrolled, Empty)
        if role is Role.CLERK:
            self._second_clerk = person

    def act(self, kind: ActKind, path: str, message: Message, answer: type[Message], reason: str = "in order") -> None:
        """The first clerk does what the office's rule may give two; where it does, another clerk decides."""
        clerk = self.client(FIRST_CLERK, "office")
        try:
            clerk.logged(path, message, answer)
        except SecondClerk:
            filed = clerk.logged("/acts", FileAct(action=kind, document=encode(message), reason=reason), Act).answer
            decision = Decision(subject=filed.id, approve=True, reason=reason)
            self.client(self._second_clerk, "office").logged(f"/acts/{filed.id}/decision", decision, Act)

    def bank(self, person: str) -> Bank:
        """A bank person's session."""
        return Bank(self.bank_config(person))

    def bank_config(self, person: str) -> BankConfig:
        """A bank person's settings."""
        return BankConfig(
            institution=person.split("/", maxsplit=1)[0],
            person=person,
            key_file=self.key_file(person),
            identity=self._identity,  # type: ignore[arg-type]
            data_dir=self.folder / "bank" / person.replace("/", "."),
            office=OfficeSection(
                url=self.office.url,
                statement_key=self.office_keys["statement_key"],
                log_key=self.office_keys["log"],
                witness_key=" ".join(self.cosigners("node")),
            ),
            node=NodeSection(url=self.node.url, log_key=self.node_keys["log"], witness_key=" ".join(self.cosigners("office"))),
        )

    def sections(self) -> str:
        """The two sections about the services in any client's settings, as TOML."""
        office = {
            "url": self.office.url,
            "statement_key": self.office_keys["statement_key"],
            "log_key": self.office_keys["log"],
        }
        node = {"url": self.node.url, "log_key": self.node_keys["log"]}
        keys = {"office": self.cosigners("node"), "node": self.cosigners("office")}
        lines = []
        for name, values in (("office", office), ("node", node)):
            lines += ["", f"[{name}]"]
            lines += [f"{key} = {toml_text(value)}" for key, value in (values | {"witness_key": " ".join(keys[name])}).items()]
        return "\n".join([*lines, ""])

    # ---------------------------------------------------------------- beginnings

    def _service(self, name: str, module: str, settings: dict[str, str]) -> Service:
        port = free_port()
        prefix = f"XINQIAO_{name.rpartition('-')[2].upper()}_"
        environment = {key: value for key, value in os.environ.items() if not key.startswith("XINQIAO_")}
        # The package must be found from any working folder, and nothing else under its generic names.
        values = {"DATA_DIR": str(self.folder / name), "PORT": str(port)} | settings
        if prefix != "XINQIAO_WITNESS_":
            values |= {"PUBLIC_URL": f"http://{HOST}:{port}"}
        environment |= {f"{prefix}{key}": value for key, value in values.items()}
        return Service(name, module, port, environment, self.folder / f"{name}.log")

    def _prepare(self) -> None:
        (self.folder / "people").mkdir(mode=0o700, exist_ok=True)
        self.witness_keys = {
            name: _keys(witness.run("init"))["witness"]
            for name, witness in (("office", self.office_witness), ("bank", self.bank_witness))
        }
        for service in (self.office, self.node):
            bank = f"{self.witness_keys['bank']} {self.bank_witness.url}/witness"
            service.environment[f"XINQIAO_{service.name.upper()}_WITNESSES"] = bank
        office_witness = f"{self.witness_keys['office']} {self.office_witness.url}/witness"
        self.office.environment["XINQIAO_OFFICE_NODE_URL"] = self.node.url
        self.office.environment["XINQIAO_OFFICE_OWN_WITNESS"] = office_witness
        self.office_keys = _keys(self.office.run("init"))
        self.node.environment |= {
            "XINQIAO_NODE_OFFICE_URL": self.office.url,
            "XINQIAO_NODE_OFFICE_KEY": self.office_keys["statement_key"],
            "XINQIAO_NODE_OFFICE_WITNESS": office_witness,
            "XINQIAO_NODE_OFFICE_LOG": self.office_keys["log"],
        }
        self.node_keys = _keys(self.node.run("init"))
        self.office.environment |= {
            "XINQIAO_OFFICE_NODE_LOG": self.node_keys["log"],
            "XINQIAO_OFFICE_NODE_WITNESS": self.node_keys["witness"],
        }
        self.office_witness.environment["XINQIAO_WITNESS_LOGS"] = self.node_keys["log"]
        self.bank_witness.environment["XINQIAO_WITNESS_LOGS"] = f"{self.node_keys['log']} {self.office_keys['log']}"
        public = make_key(self.key_file(FIRST_CLERK))
        public_file = self.folder / "people" / "first-clerk.pub"
        public_file.write_text(base64.b64encode(public).decode())
        self.office.run("enrol-first-clerk", "--id", FIRST_CLERK, "--name", "张明理", "--key-file", str(public_file))
        self.office.run("enrol-node", "--key", self.node_keys["statement_key"])
        window_file = self.folder / "people" / "window.pub"
        window_file.write_text(base64.b64encode(make_key(self.key_file(WINDOW))).decode())
        self.office.run("enrol-window", "--key-file", str(window_file))


def _keys(output: str) -> dict[str, str]:
    keys: dict[str, Any] = json.loads(output)
    return {name: str(value) for name, value in keys.items()}


def _database(databases: dict[str, str] | None, name: str) -> dict[str, str]:
    return {"DATABASE_URL": databases[name]} if databases and name in databases else {}


def toml_text(text: str) -> str:
    """A text as TOML: a JSON string is a TOML basic string."""
    return json.dumps(text, ensure_ascii=False)


def wait_for(url: str, what: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until pages are served at `url`; raises `ServiceDied`."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx2.get(f"{url}/signin", trust_env=False).status_code == httpx2.codes.OK:
                return
        except httpx2.TransportError:
            time.sleep(0.1)
    process.terminate()
    raise ServiceDied(f"the {what} did not start:\n{log.read_text(errors='replace')[-2000:]}")


def free_port() -> int:
    """A port that nobody listens on, and that the system gives nobody else for about a minute.

    A connection whose server side closed first leaves its port to rest: whoever asks for any port is given another one, and
    only a server that names this one may have it.
    """
    with socket.create_server((HOST, 0)) as server:
        port = int(server.getsockname()[1])
        with socket.create_connection((HOST, port)):
            server.accept()[0].close()
    return port
