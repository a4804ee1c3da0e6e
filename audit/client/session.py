"""One official's session with office and node: signed requests as that person, answers verified before use."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.client.peer import Peer
from audit.client.services import ServiceName, Services
from models import wire
from models.http_client import SignedClient
from models.parties import Directory, Institution, Person, Role
from models.problems import Forbidden
from models.wire import Signed

M = TypeVar("M", bound=wire.Message)
DIRECTORY_SECONDS = 15.0
TIMEOUT, PATIENCE = 120.0, 20.0


class OfficeSession:
    """A person of the office (or its window), connected to office and node. A context manager, or call `close`.

    ``session.logged("/projects/p1/decision", decision, Empty)`` POSTs to an endpoint of the office that leaves a leaf and
    returns the answer once the log's promise is verified; ``session.get`` and ``session.logged_get`` ask; ``session.node``
    and ``session.office`` are the two services themselves (`Peer`). All raise `models.problems.Problem` as the service
    refused, which the console shows as a page.
    """

    def __init__(self, services: Services, person: str, key: Ed25519PrivateKey) -> None:
        self.services, self.person = services, person
        self._key = key
        self.office = self._peer("office", services.office.url)
        self.node = self._peer("node", services.node.url)
        self._directory: tuple[float, Directory] | None = None

    def __repr__(self) -> str:
        return f"OfficeSession({self.person!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.office.client.close()
        self.node.client.close()

    # ---------------------------------------------------------------- the office

    def logged(self, path: str, message: wire.Message, answer: type[M]) -> M:
        """POST to an endpoint of the office that leaves a leaf."""
        return self.office.logged(path, message, answer).answer

    def logged_get(self, path: str, answer: type[M]) -> M:
        """GET from an endpoint of the office that leaves a leaf."""
        return self.office.logged_get(path, answer).answer

    def post(self, path: str, message: wire.Message, answer: type[M]) -> M:
        """POST to an endpoint of the office without a leaf."""
        return self.office.post(path, message, answer)

    def get(self, path: str, answer: type[M]) -> M:
        """GET from an endpoint of the office without a leaf."""
        return self.office.get(path, answer)

    # ---------------------------------------------------------------- who is who

    def directory(self, *, fresh: bool = False) -> Directory:
        """The office's signed directory, at most 15 s old."""
        now = time.monotonic()
        if fresh or self._directory is None or now - self._directory[0] > DIRECTORY_SECONDS:
            self._directory = (now, self.from_office(self.get("/directory", Signed), Directory))
        return self._directory[1]

    @property
    def me(self) -> Person:
        """This person as enrolled; raises `Forbidden` where the office does not know them."""
        found = next((person for person in self.directory().people if person.id == self.person), None)
        if found is None:
            raise Forbidden(f"the credit office has not enrolled {self.person}", advice="Have a clerk enrol the public key.")
        return found

    @property
    def institution(self) -> Institution:
        """This person's institution as enrolled."""
        return next(home for home in self.directory().institutions if home.id == self.me.institution)

    @property
    def public_key(self) -> bytes:
        """What the office enrols: 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    # ---------------------------------------------------------------- statements

    def sign(self, message: wire.Message) -> Signed:
        """Sign a statement as this person."""
        return wire.sign(message, self.person, self._key)

    def from_office(self, signed: Signed, kind: type[M]) -> M:
        """Open a statement of the office; raises `BadSignature`."""
        return wire.open_signed(signed, kind, "office", self.services.statement_key())

    def from_node(self, signed: Signed, kind: type[M]) -> M:
        """Open a statement of the node; raises `BadSignature`."""
        return wire.open_signed(signed, kind, "node", self._node_key())

    def _node_key(self) -> Ed25519PublicKey:
        nodes = [person for person in self.directory().people if person.role is Role.NODE and not person.suspended]
        if len(nodes) != 1:
            raise Forbidden("the office's directory names no node, so nothing that a node signs can be believed")
        return nodes[0].public_key()

    def _peer(self, name: ServiceName, url: str) -> Peer:
        client = SignedClient(url, self.person, self._key, timeout=TIMEOUT, patience=PATIENCE)
        return Peer(name, client, self.services.log_key(name), self.services.witness_keys(name))
