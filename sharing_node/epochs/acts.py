"""What the node itself does to its epochs: a state change and its leaves in one transaction, under the builder's lease."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from audit.database import writing
from audit.service.leaves import LeafDraft, finish
from audit.service.ledger import COSIGN_TIMEOUT, LEAF_TIMEOUT
from sharing_node.epochs.lease import Lease
from sharing_node.node import Node
from sharing_node.office import NODE, NODE_KEY_ID

WHO = {"person": NODE_KEY_ID, "name": "the node's builder", "role": "node"}


class Acts:
    """Log before release: `do` comes back when the leaves are durable."""

    def __init__(self, node: Node, lease: Lease) -> None:
        self._node = node
        self._lease = lease

    def do(
        self,
        change: Callable[[Connection], Sequence[LeafDraft]],
        note: Callable[[Connection, Sequence[int]], None] | None = None,
    ) -> None:
        """Change state and wait for the leaves; `note` is told their queue ids in the same transaction.

        Raises:
            LeaseLost: another process builds now; nothing was changed.
            LogUnavailable: state and leaves are stored, but the log has not taken the leaves.
        """
        log = self._node.log
        with writing(self._node.engine) as connection:
            self._lease.hold(connection)
            now = int(self._node.clock())
            leaves = [finish(draft, institution=NODE, at=now, who=WHO) for draft in change(connection)]
            log.store_openings(connection, {leaf.commitment: leaf.opening for leaf in leaves})
            queued = log.enqueue_all(connection, [leaf.entry for leaf in leaves]) if leaves else []
            if note is not None:
                note(connection, queued)
        for queue_id in queued:
            log.wait(queue_id, LEAF_TIMEOUT)

    def wait_cosigned(self, queue_id: int) -> None:
        """Wait until the office has cosigned a checkpoint with this leaf; raises `LogUnavailable`."""
        self._node.log.wait_cosigned(self._node.log.wait(queue_id, LEAF_TIMEOUT), COSIGN_TIMEOUT)
