"""A training that its bank gives up: what the node holds of it is deleted, and what it used stays used.

A cancelled training counts as any other that came to no result: it keeps its place among the project's trainings, its label
aggregates, and what it spent of a privacy budget, since its messages may have been sent.
"""

from __future__ import annotations

from sqlalchemy import Connection

from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from models.logged import Empty
from models.problems import Conflict, Forbidden, NotFound
from sharing_node.jobs import group_store
from sharing_node.jobs.training import Trainings
from sharing_node.state import repository as state
from sharing_node.state import trainings


def cancel(handlers: Trainings, call: Call) -> Outcome:
    """POST /jobs/{job}/cancel: delete a training's state; a suspended project does not stand in the way of that."""
    job = call.path["job"]
    with call.engine.connect() as connection:
        stored = trainings.find(connection, job)
        shared = stored is not None and group_store.has_part(connection, job)
    if stored is None:
        raise NotFound("there is no such training")
    if stored.bank != call.institution.id:
        raise Forbidden("this training belongs to another bank")
    if shared:
        raise Conflict(
            "this is one bank's part of a training of several banks, and theirs as well",
            advice="Stop taking part: the others go on without this bank when its time is over.",
        )
    if stored.progress is None:
        raise Conflict(f"this training is not under way: it is {stored.state}", advice="There is nothing to give up.")

    def record(connection: Connection) -> None:
        state.set_job_state(connection, job, stored.state, "cancelled")
        handlers.finished(connection, job)

    return Outcome(Empty(), [LeafDraft("job.cancel", {"job": job})], record)
