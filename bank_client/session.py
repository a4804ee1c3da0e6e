"""One person's session with node and office: everything they say is verified here before the rest of the SDK sees it.

- a statement counts only under its signer's key: the office's from the settings, the node's from the signed directory
- an answer that must be in a log counts only with that log's signed promise for each of its leaves
- a receipt counts only with the checkpoint cosigned by the other service
- what does not match what was signed is kept on disk and reported to the office, and then raised as `Damaged`
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.client.peer import Peer
from audit.client.services import ServiceName
from audit.verifier.errors import LogError, SignatureError
from bank_client.config import BankConfig
from bank_client.evidence import keep_evidence
from bank_client.receipts import RECEIPT_SECONDS, OwedReceipts
from models import wire
from models.http_client import SignedClient
from models.logged import Empty, LeafRef
from models.parties import Directory, Institution, Person, Role
from models.problems import BadSignature, Damaged, Forbidden, NotFound, Problem, Unavailable
from models.tables import Evidence
from models.training import Receipt
from models.wire import Signed

M = TypeVar("M", bound=wire.Message)
_FIRST_POLL, _LONGEST_POLL = 0.01, 0.25  # seconds: a witness asked after each batch of leaves comes round in milliseconds


@dataclass
class Phase:
    """What one part of the work took: seconds, and bytes of bodies to and from both services."""

    seconds: float = 0.0
    bytes_up: int = 0
    bytes_down: int = 0


class Bank:
    """A person of a bank, connected to node and office. Use it as a context manager, or call `close`.

    Args:
        config: settings, or the file that holds them.
        key: the person's signing key where it is not kept in the clear; by default the settings' key file.
    """

    def __init__(self, config: BankConfig | str | Path, key: Ed25519PrivateKey | None = None) -> None:
        self.config = config if isinstance(config, BankConfig) else BankConfig.load(config)
        self._key = key or self.config.load_key()
        self.office = self._peer("office", self.config.office.url)
        self.node = self._peer("node", self.config.node.url)
        self.phases: dict[str, Phase] = {}
        self.owed = OwedReceipts(self)

    def __repr__(self) -> str:
        return f"Bank({self.config.person!r})"

    def __deepcopy__(self, _memo: dict[int, Any]) -> Self:
        """A session is a handle: estimators that are cloned share it."""
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Receipts that are still owed are completed by the next session."""
        self.owed.close()
        self.office.client.close()
        self.node.client.close()

    # ---------------------------------------------------------------- who is who

    @cached_property
    def directory(self) -> Directory:
        """The office's signed directory, fetched once a session."""
        return self.from_office(self.office.get("/directory", Signed), Directory)

    @cached_property
    def me(self) -> Person:
        """This person as enrolled; raises `Forbidden` where the office does not know them."""
        found = next((person for person in self.directory.people if person.id == self.config.person), None)
        if found is None:
            raise Forbidden(
                f"the credit office has not enrolled {self.config.person}",
                advice="Send it the public key of `xinqiao bank who`.",
            )
        return found

    @cached_property
    def institution(self) -> Institution:
        """This person's bank as enrolled."""
        return next(entry for entry in self.directory.institutions if entry.id == self.me.institution)

    @cached_property
    def node_key(self) -> Ed25519PublicKey:
        """The node's statement key, as the office has enrolled it."""
        nodes = [person for person in self.directory.people if person.role is Role.NODE and not person.suspended]
        if len(nodes) != 1:
            raise Forbidden("the office's directory names no node, so nothing that a node signs can be believed")
        return nodes[0].public_key()

    @property
    def public_key(self) -> bytes:
        """What the office enrols: 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    @property
    def signing_key(self) -> Ed25519PrivateKey:
        """The person's key, for protocols that sign messages of their own."""
        return self._key

    # ---------------------------------------------------------------- statements

    def from_office(self, signed: Signed, kind: type[M]) -> M:
        """Open a statement of the office; raises `BadSignature`."""
        return wire.open_signed(signed, kind, "office", self.config.office_statement_key())

    def from_node(self, signed: Signed, kind: type[M]) -> M:
        """Open a statement of the node; raises `BadSignature`."""
        return wire.open_signed(signed, kind, "node", self.node_key)

    def sign(self, message: wire.Message) -> Signed:
        """Sign a statement as this person."""
        return wire.sign(message, self.config.person, self._key)

    def canonical(self, subject: object) -> str:
        """A subject's canonical identity."""
        return self.config.canonical(str(subject))

    # ---------------------------------------------------------------- receipts and evidence

    def receipt(self, peer: Peer, leaf: LeafRef, *, seconds: float = RECEIPT_SECONDS) -> Receipt:
        """The receipt of a leaf under a cosigned checkpoint; waits for it.

        Raises:
            Damaged: the receipt is wrong, or none came in time. The promise was reported to the office.
        """
        deadline = time.monotonic() + seconds
        pause = _FIRST_POLL
        while (found := self.try_receipt(peer, leaf)) is None:
            if time.monotonic() > deadline:
                self.damaged("promise", f"no cosigned receipt within {seconds:.0f} s", artefacts=(leaf.promise,))
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_POLL)
        return found

    def try_receipt(self, peer: Peer, leaf: LeafRef) -> Receipt | None:
        """The receipt of a leaf, or None where there is no cosigned one yet.

        Raises:
            Damaged: the receipt is wrong; it was reported to the office.
        """
        try:
            receipt = peer.get(f"/receipts/{leaf.index}", Receipt)
        except (NotFound, Unavailable):
            return None
        try:
            peer.verify_receipt(leaf, receipt)
        except SignatureError:
            return None  # the witness has not come round yet
        except LogError as error:
            self.damaged("receipt", str(error), artefacts=(leaf.promise, wire.encode(receipt)))
        return receipt

    def damaged(
        self, what: str, detail: str, *, table: str = "", epoch: int = 0, artefacts: tuple[bytes, ...] = ()
    ) -> NoReturn:
        """Keep the evidence, report it to the office, and raise `Damaged`. Nothing is asked again."""
        evidence = Evidence(what=what, table=table, epoch=epoch, detail=detail, artefacts=artefacts)
        raise self.report(evidence)

    def report(self, evidence: Evidence) -> Damaged:
        """Keep the evidence durably and report it to the office; what to raise, for callers that have other work first."""
        kept = keep_evidence(self.config.data_dir, evidence)
        try:
            # Not `office.logged`: an office whose promise is bad would be reported to itself, for ever.
            for leaf in self.office.client.logged("/evidence", evidence, Empty).leaves:
                self.office.verify_promise(leaf)
        except (Problem, BadSignature) as problem:
            return Damaged(
                f"{evidence.detail}. The office could not be told ({problem.detail})",
                advice=f"The evidence is kept as {kept}: hand it to the credit office. Do not retry by yourself.",
            )
        return Damaged(evidence.detail)

    # ---------------------------------------------------------------- accounting

    @contextmanager
    def phase(self, name: str) -> Iterator[Phase]:
        """Count seconds and bytes of what happens inside under `phases[name]`; repeated use adds up."""
        phase = self.phases.setdefault(name, Phase())
        clients = (self.office.client, self.node.client)
        before = [(client.traffic.up, client.traffic.down) for client in clients]
        started = time.perf_counter()
        try:
            yield phase
        finally:
            phase.seconds += time.perf_counter() - started
            for client, (up, down) in zip(clients, before, strict=True):
                phase.bytes_up += client.traffic.up - up
                phase.bytes_down += client.traffic.down - down

    def _peer(self, name: ServiceName, url: str) -> Peer:
        client = SignedClient(url, self.config.person, self._key)
        return Peer(name, client, self.config.log_key(name), self.config.witness_keys(name), self._bad_promise)

    def _bad_promise(self, what: str, detail: str, artefact: bytes) -> NoReturn:
        self.damaged(what, detail, artefacts=(artefact,))
