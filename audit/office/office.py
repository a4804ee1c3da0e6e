"""What every part of the office shares: settings, database, keys, log and catalogue. Built once, at start-up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Engine

from audit.log import Log
from audit.office.keys import OfficeKeys
from audit.office.settings import OfficeSettings
from audit.office.store import parties
from audit.verifier.note import CosignatureSigner, VerifierKey
from models import wire
from models.catalogue import Catalogue
from models.parties import Role
from models.problems import PeerUnavailable
from models.wire import Signed

OFFICE = "office"
OFFICE_KEY_ID = "office/service"
NODE = "node"
NODE_KEY_ID = "node/service"
WINDOW_KEY_ID = "office/window"

M = TypeVar("M", bound=wire.Message)


@dataclass(frozen=True)
class Office:
    """Handlers hang on this and keep no state of their own."""

    settings: OfficeSettings
    engine: Engine
    keys: OfficeKeys
    log: Log
    clock: Callable[[], float] = field(repr=False)

    @property
    def witness_key(self) -> VerifierKey:
        """The key that verifies the office's cosignatures."""
        elsewhere = self.settings.witness_elsewhere
        return self.witness_signer().key if elsewhere is None else elsewhere.key

    def witness_signer(self) -> CosignatureSigner:
        """Cosigns the node's log, where no process of its own does."""
        return CosignatureSigner(self.settings.witness_name, self.keys.witness)

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue that projects are filed under."""
        return self.settings.fields

    def sign(self, message: wire.Message) -> Signed:
        """Sign a statement as the office."""
        return wire.sign(message, OFFICE, self.keys.statement)

    def node_key(self) -> Ed25519PublicKey:
        """The enrolled node's key; raises `PeerUnavailable` while there is none."""
        with self.engine.connect() as connection:
            enrolled = [person for person in parties.people(connection, Role.NODE) if not person.suspended]
        if not enrolled:
            raise PeerUnavailable(
                "no node is enrolled, so nothing that a node signs is believed",
                advice="Have the office's operator run `xinqiao office enrol-node`.",
            )
        return enrolled[0].public_key()

    def node_statement(self, signed: Signed, kind: type[M]) -> M:
        """Open a statement of the node; raises `BadSignature`."""
        return wire.open_signed(signed, kind, NODE, self.node_key())
