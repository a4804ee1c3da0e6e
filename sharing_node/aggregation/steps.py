"""One round after what its banks have sent so far: what the node sends them, what it takes, and where the round goes next.

Nothing is remembered but the banks' messages: key list, deliveries, survivor list and request follow from them, so that any
worker gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from numpy.typing import NDArray
from sqlalchemy import Connection

from crypto import secure_aggregation as protocol
from crypto.errors import AggregationRefused
from crypto.secure_aggregation import Round
from models import wire
from models.aggregation import Phase, ProvenInput
from models.problems import BadMessage, InputsRefused
from models.wire import Signed
from sharing_node.aggregation import repository
from sharing_node.aggregation.repository import Session
from sharing_node.office import OFFICE

FLOW = (Phase.KEYS, Phase.SHARES, Phase.INPUT, Phase.PROOF, Phase.LIST, Phase.UNMASK)


@dataclass
class Present:
    """The present round of a session."""

    connection: Connection = field(repr=False)
    session: Session
    office_key: Ed25519PublicKey = field(repr=False)

    @property
    def terms(self) -> Round:
        """What the round was agreed on."""
        return self.session.plan.round(self.session.round)

    def sent(self, step: Phase) -> dict[str, bytes]:
        """What banks have sent in a step."""
        return repository.bodies(self.connection, self.session, step)

    # ---------------------------------------------------------------- what the node sends

    def key_list(self) -> bytes:
        """After the step ``keys``."""
        return protocol.key_list(self.terms, self.sent(Phase.KEYS))

    def sharers(self) -> tuple[str, ...]:
        """Who has shared keys."""
        return tuple(repository.digests(self.connection, self.session, Phase.SHARES))

    def delivery(self, bank: str) -> bytes | None:
        """After the step ``shares``: what the others have sealed for a bank; None for one that has not shared keys."""
        return protocol.deliveries(self.terms, self.sent(Phase.SHARES)).get(bank)

    def make_survivor_list(self) -> bytes:
        """After the inputs, and where they are proven after the proofs: who is to be summed."""
        keys, sharers = self.key_list(), self.sharers()
        inputs = {
            bank: protocol.check_input(self.terms, keys, sharers, bank, body) for bank, body in self.sent(Phase.INPUT).items()
        }
        if self.session.plan.proven:
            inputs = {bank: inputs[bank] for bank, proof in self.proofs().items() if _said(proof).usable}
        return protocol.survivor_list(self.terms, keys, sharers, inputs)

    def proofs(self) -> dict[str, Signed]:
        """The office's word on the inputs, by bank."""
        return {bank: wire.decode(body, Signed) for bank, body in self.sent(Phase.PROOF).items()}

    def request(self) -> bytes:
        """After the step ``list``: the request to unmask."""
        return protocol.unmask_request(self.terms, self.session.survivor_list, self.sent(Phase.LIST))

    # ---------------------------------------------------------------- what it takes

    def expected(self) -> tuple[str, ...]:
        """Who has to take the present step."""
        phase = self.session.phase
        if phase is Phase.KEYS:
            return self.terms.names
        if phase in {Phase.LIST, Phase.UNMASK}:
            return protocol.survivors_of(self.terms, self.session.survivor_list)
        before = FLOW[FLOW.index(phase) - 1]
        return tuple(repository.digests(self.connection, self.session, before))

    def check(self, bank: str, body: bytes) -> None:
        """Raise `BadMessage` or `InputsRefused` for a message that does not belong to the present step."""
        phase = self.session.phase
        try:
            if phase is Phase.KEYS:
                protocol.check_advertisement(self.terms, bank, body, self.sent(Phase.KEYS))
            elif phase is Phase.SHARES:
                protocol.check_shares(self.terms, self.key_list(), bank, body)
            elif phase is Phase.INPUT:
                protocol.check_input(self.terms, self.key_list(), self.sharers(), bank, body)
            elif phase is Phase.PROOF:
                self._check_proof(bank, body)
            elif phase is Phase.LIST:
                protocol.check_consistency(self.terms, self.session.survivor_list, bank, body)
            else:
                protocol.check_unmasking(self.terms, self.session.survivor_list, bank, body)
        except AggregationRefused as error:
            raise BadMessage(str(error)) from None

    def input_digest(self, bank: str) -> bytes:
        """SHA-256 of a bank's masked vector."""
        body = repository.body(self.connection, self.session, Phase.INPUT, bank)
        return protocol.check_input(self.terms, self.key_list(), self.sharers(), bank, body)

    def total(self) -> NDArray[np.uint64]:
        """The sum, once t survivors have answered; raises ``AggregationRefused`` where their shares do not give it."""
        return protocol.aggregate(
            self.terms, self.key_list(), self.session.survivor_list, self.sent(Phase.INPUT), self.sent(Phase.UNMASK)
        )

    def _check_proof(self, bank: str, body: bytes) -> None:
        said = wire.open_signed(wire.decode(body, Signed), ProvenInput, OFFICE, self.office_key)
        if (said.session, said.number, said.bank) != (self.session.id, self.session.round, bank):
            raise InputsRefused("the office's word is on another session, round or bank")
        if said.masked != self.input_digest(bank):
            raise InputsRefused("the office's word is on another input than the one that was sent")


def _said(proof: Signed) -> ProvenInput:
    return wire.decode(proof.payload, ProvenInput)
