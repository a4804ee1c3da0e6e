"""The register of models on the wire: what is on file, who decided what and when, and until when a model may serve.

::

    registered ("filed") ──> approved ──> suspended ──> approved …      retired and refused are final
                        └──> refused  └─> replaced (a successor was approved; it serves on for the overlap)
                                      └─> retired (by a clerk, or by the bank itself)

Whatever its state says, a model serves no score from its review date on, until the office has looked at it again.
"""

from __future__ import annotations

from models.tables import RegisterModel
from models.wire import Message, Signed

FILED, APPROVED, REFUSED = "filed", "approved", "refused"
SUSPENDED, RETIRED, REPLACED = "suspended", "retired", "replaced"
STATES = (FILED, APPROVED, REFUSED, SUSPENDED, RETIRED, REPLACED)


class ModelDecision(Message):
    """A clerk's decision on a registered model. `review_by` (POSIX seconds) may be earlier than the office's usual one."""

    subject: str
    approve: bool
    reason: str
    review_by: int = 0


class ChangeModel(Message):
    """Move a model to another state: a clerk to ``suspended``, ``retired`` or (again) ``approved``, its bank to ``retired``.

    ``approved`` is a review that went well: it sets a new review date, `review_by` or the office's usual one.
    """

    subject: str
    state: str
    reason: str
    review_by: int = 0


class ModelEntry(Message):
    """A line of the register. `version` counts from the first model of its kind; `served`: whether scores are given now."""

    id: str
    bank: str
    project: str
    parent: str
    version: int
    state: str
    reason: str
    served: bool
    registered_at: int
    registered_by: str
    review_by: int
    card: str
    rows: int
    auc: float
    ks: float


class ModelEvent(Message):
    """One step in a model's life. `by` is the person who took it."""

    at: int
    state: str
    reason: str
    by: str
    review_by: int


class ModelList(Message):
    """A page of the register, newest first; `after` asks for the next one, empty where there is none."""

    models: tuple[ModelEntry, ...]
    after: str


class ModelRecord(Message):
    """Everything on file about one model. `lineage` is the model's line from its first ancestor to its latest successors."""

    entry: ModelEntry
    cards: RegisterModel
    approval: Signed | None
    history: tuple[ModelEvent, ...]
    lineage: tuple[ModelEntry, ...]
