"""One service as one person sees it: signed requests, and answers that count with their log's promises and receipts only."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeVar

from audit.client.services import ServiceName
from audit.verifier.errors import LogError
from audit.verifier.merkle import leaf_hash
from audit.verifier.note import VerifierKey
from audit.verifier.promise import open_promise
from audit.verifier.proof import Receipt as LogReceipt
from models import wire
from models.http_client import Reply, SignedClient
from models.logged import LeafRef, Logged
from models.problems import Damaged
from models.training import Receipt

M = TypeVar("M", bound=wire.Message)
Report = Callable[[str, str, bytes], NoReturn]


class Peer:
    """One service as this person sees it. `report` is told of a bad promise: (what, detail, artefact)."""

    def __init__(
        self,
        name: ServiceName,
        client: SignedClient,
        log_key: VerifierKey,
        witnesses: tuple[VerifierKey, ...],
        report: Report | None = None,
    ) -> None:
        self.name: ServiceName = name
        self.client = client
        self.log_key = log_key
        self.witnesses = witnesses
        self._report = report

    def __repr__(self) -> str:
        return f"Peer({self.name!r}, {self.client.base_url!r})"

    def logged(self, path: str, message: wire.Message, answer: type[M], *, key: str | None = None) -> Reply[M]:
        """POST to an endpoint that leaves leaves; each one's promise is verified.

        Raises:
            Problem: what the service refused with.
            Damaged: a promise is not the log's, or stands for another leaf.
        """
        return self._promised(self.client.logged(path, message, answer, key=key))

    def logged_get(self, path: str, answer: type[M]) -> Reply[M]:
        """GET from an endpoint that leaves leaves; otherwise as `logged`."""
        envelope = self.client.get(path, Logged)
        return self._promised(Reply(wire.decode(envelope.answer, answer), envelope.leaves))

    def _promised(self, reply: Reply[M]) -> Reply[M]:
        if not reply.leaves:
            raise Damaged(f"the {self.name} answered without a leaf in its log")
        for leaf in reply.leaves:
            try:
                self.verify_promise(leaf)
            except Damaged as damage:
                if self._report is not None:
                    self._report("promise", damage.detail, leaf.promise)
                raise
        return reply

    def post(self, path: str, message: wire.Message, answer: type[M]) -> M:
        """POST to an endpoint without a leaf."""
        return self.client.post(path, message, answer)

    def get(self, path: str, answer: type[M]) -> M:
        """GET a message."""
        return self.client.get(path, answer)

    def verify_receipt(self, leaf: LeafRef, receipt: Receipt) -> None:
        """Check that a receipt is for this leaf and leads to a checkpoint that the witnesses have cosigned.

        Raises:
            SignatureError: not (yet) cosigned.
            LogError: anything else that is wrong with it.
        """
        parsed = LogReceipt.parse(receipt.proof)
        if (receipt.index, parsed.index) != (leaf.index, leaf.index) or leaf_hash(receipt.entry) != leaf.leaf_hash:
            raise LogError("the receipt is for another leaf than the promised one")
        parsed.verify(receipt.entry, [self.log_key], self.witnesses, quorum=len(self.witnesses))

    def verify_promise(self, leaf: LeafRef) -> None:
        """Check that the log has promised this leaf its place; raises `Damaged`."""
        try:
            promise = open_promise(leaf.promise, [self.log_key])
        except LogError as error:
            raise Damaged(f"the {self.name}'s log did not sign its promise: {error}") from None
        if (promise.index, promise.leaf) != (leaf.index, leaf.leaf_hash):
            raise Damaged(f"the {self.name}'s promise stands for another leaf of its log")
