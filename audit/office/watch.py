"""The office as the witness of the node's log: it cosigns what extends what it saw, and raises an alarm at a fork."""

from __future__ import annotations

from audit.database import writing
from audit.office import tables
from audit.office.office import NODE, Office
from audit.office.store import alarms
from audit.witness.machine import Reply, Witness
from audit.witness.store import SqlWitnessStore


class NodeWitness(Witness):
    """Knows the one log that the settings name; without one it cosigns nothing."""

    def __init__(self, office: Office) -> None:
        key = office.settings.node_log_key
        logs = {} if key is None else {key.name: [key]}
        super().__init__(office.witness_signer(), logs, SqlWitnessStore(office.engine, tables.witness), clock=office.clock)
        self._office = office

    def add_checkpoint(self, body: bytes) -> Reply:
        """Answer one add-checkpoint request; two roots for one size are the node's alarm, with both notes as evidence."""
        reply = super().add_checkpoint(body)
        if reply.fork is not None:
            with writing(self._office.engine) as connection:
                alarms.raise_alarm(
                    connection,
                    at=int(self._office.clock()),
                    kind="fork",
                    institution=NODE,
                    about="the node's log",
                    detail="the node's log signed two different trees of one size",
                    evidence="\n\n".join(reply.fork).encode(),
                )
        return reply
