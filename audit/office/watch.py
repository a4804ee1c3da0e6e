"""Forks of the node's log and of the office's own: found by the witness in this service or by one elsewhere, an alarm here.

The office's witness where it is a process of its own, the node's and further ones such as a bank's are asked now and then for
the evidence they hold: two notes with one size and two roots. The notes prove themselves by the log's own signatures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import httpx2
import structlog
from sqlalchemy.exc import SQLAlchemyError

from audit.database import writing
from audit.log.witnesses import KnownWitness
from audit.office import tables
from audit.office.office import NODE, OFFICE, Office
from audit.office.store import alarms
from audit.service.rounds import Rounds
from audit.verifier.checkpoint import open_checkpoint
from audit.verifier.errors import FormatError, SignatureError
from audit.verifier.note import VerifierKey
from audit.witness.machine import Reply, Witness
from audit.witness.store import SqlWitnessStore

logger = structlog.get_logger()
ROUND_SECONDS = 30.0


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
            raise_fork(self._office, NODE, reply.fork)
        return reply


class ForkWatch(Rounds):
    """Asks the witnesses that run elsewhere."""

    def __init__(self, office: Office, is_ours: Callable[[], bool] = lambda: True) -> None:
        super().__init__("fork-watch", ROUND_SECONDS, is_ours)
        self._office = office
        settings = office.settings
        own = (settings.witness_elsewhere,) if settings.witness_elsewhere else ()
        self._witnesses = tuple(witness for witness in (*own, *settings.log_witnesses) if witness.url)
        self._logs = {OFFICE: office.log.signer.key} | ({NODE: settings.node_log_key} if settings.node_log_key else {})

    def look(self) -> None:
        """Ask all of them."""
        self.run_once()

    def run_once(self) -> int:
        """Ask all of them once; how many forks they hold. One that does not answer is asked again."""
        found = 0
        with httpx2.Client(timeout=10.0, trust_env=False) as client:
            for witness in self._witnesses:
                for institution, key in self._logs.items():
                    try:
                        found += self._ask(client, witness, institution, key)
                    except (httpx2.HTTPError, ValueError, SQLAlchemyError) as error:
                        logger.warning(
                            "a witness was not asked for forks", witness=witness.key.name, error=type(error).__name__
                        )
        return found

    def _ask(self, client: httpx2.Client, witness: KnownWitness, institution: str, key: VerifierKey) -> int:
        shown = client.get(f"{witness.url}/{hashlib.sha256(key.name.encode()).hexdigest()}/forks")
        if shown.status_code == httpx2.codes.NOT_FOUND:
            return 0  # a witness that keeps its evidence to itself
        shown.raise_for_status()
        pairs = [pair for pair in shown.json() if _is_fork(pair, key)]
        for pair in pairs:
            raise_fork(self._office, institution, pair)
        return len(pairs)


def raise_fork(office: Office, institution: str, fork: Sequence[str]) -> None:
    """The alarm about a fork, once for each, and the notes beside it."""
    with writing(office.engine) as connection:
        alarms.raise_once(
            connection,
            same=("fork", institution, *fork),
            at=int(office.clock()),
            kind="fork",
            institution=institution,
            about=f"the {institution}'s log",
            detail=f"the {institution}'s log signed two different trees of one size",
            evidence="\n\n".join(fork).encode(),
        )


def _is_fork(pair: object, key: VerifierKey) -> bool:
    """Whether two notes are what they are said to be: signed by the log, of one size, with two roots."""
    if not isinstance(pair, list) or len(pair) != 2:
        return False
    try:
        one, other = (open_checkpoint(note, [key]).checkpoint for note in pair)
    except (FormatError, SignatureError):
        return False
    return one.size == other.size and one.root != other.root
