"""All SQL about private models. The caller owns the transaction; nothing here commits."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from models import wire
from models.private_model import FileWeights, PrivateLayout
from models.problems import Conflict, NotFound
from models.scorecard.binning import bins_from_definition
from models.scorecard.columns import NodeField
from models.tables import REVIEW_SECONDS, ModelApproval
from models.wire import Signed
from sharing_node.private_models.tables import PrivateModelRow, PrivatePlaceRow


class _Bins(msgspec.Struct, frozen=True):
    definition: bytes
    categories: tuple[str, ...]


_bins = msgspec.msgpack.Decoder(tuple[_Bins, ...])


@dataclass(frozen=True)
class StoredPrivateModel:
    """A private model; `filed` is None until its weights are here, `approval` until it is served."""

    id: str
    project: str
    bank: str
    layout: Signed
    fields: tuple[NodeField, ...] = field(repr=False)
    node_card: Signed
    filed: FileWeights | None = field(repr=False)
    approval: ModelApproval | None
    opened_at: int

    @property
    def stated(self) -> PrivateLayout:
        """The layout."""
        return wire.decode(self.layout.payload, PrivateLayout)


def add(
    connection: Connection, layout: Signed, fields: Sequence[NodeField], node_card: Signed, at: int
) -> None:  # fmt: skip
    """Store a model whose layout was just made."""
    stated = wire.decode(layout.payload, PrivateLayout)
    bins = tuple(_Bins(entry.bins.definition(), entry.categories) for entry in fields)
    connection.execute(
        insert(PrivateModelRow).values(
            id=stated.model,
            project=stated.project,
            bank=stated.bank,
            layout=wire.encode(layout),
            bins=msgspec.msgpack.encode(bins),
            node_card=wire.encode(node_card),
            opened_at=at,
        )
    )


def exists(connection: Connection, model_id: str) -> bool:
    """Whether there is a private model of this id."""
    return connection.scalar(select(PrivateModelRow.id).where(PrivateModelRow.id == model_id)) is not None


def get(connection: Connection, model_id: str) -> StoredPrivateModel:
    """A private model; raises `NotFound`."""
    row = connection.execute(select(PrivateModelRow.__table__).where(PrivateModelRow.id == model_id)).one_or_none()
    if row is None:
        raise NotFound("no such private model was opened")
    fields = tuple(
        NodeField(bins_from_definition(entry.definition), categories=entry.categories) for entry in _bins.decode(row.bins)
    )
    return StoredPrivateModel(
        row.id,
        row.project,
        row.bank,
        wire.decode(row.layout, Signed),
        fields,
        wire.decode(row.node_card, Signed),
        None if row.filed is None else wire.decode(row.filed, FileWeights),
        _approval(row.approval),
        row.opened_at,
    )


def file(connection: Connection, filed: FileWeights) -> None:
    """Keep encrypted weights; raises `Conflict` where the model has some."""
    mine = (PrivateModelRow.id == filed.model, PrivateModelRow.filed.is_(None))
    if connection.execute(update(PrivateModelRow).where(*mine).values(filed=wire.encode(filed))).rowcount != 1:
        raise Conflict("this model has its weights already; open another model for other weights")


def serve(connection: Connection, model_id: str, approval: Signed, at: int) -> None:
    """Keep the office's leave to serve; when it was first given counts as the release."""
    first = func.coalesce(PrivateModelRow.served_at, at)
    values = {"approval": wire.encode(approval), "served_at": first}
    connection.execute(update(PrivateModelRow).where(PrivateModelRow.id == model_id).values(values))


def review_by(connection: Connection, model_id: str) -> int | None:
    """When a private model stops serving unless it was reviewed, POSIX seconds; None where there is no such model."""
    columns = (PrivateModelRow.approval, PrivateModelRow.opened_at)
    row = connection.execute(select(*columns).where(PrivateModelRow.id == model_id)).one_or_none()
    if row is None:
        return None
    approval = _approval(row.approval)
    return int(row.opened_at) + REVIEW_SECONDS if approval is None else approval.ends


def served_since(connection: Connection, bank: str, since: int) -> int:
    """Private models that this bank was first served after a moment: each is a release of everybody's scores."""
    query = select(func.count()).where(PrivateModelRow.bank == bank, PrivateModelRow.served_at > since)
    return connection.scalar(query) or 0


def served_in(connection: Connection, project: str) -> int:
    """Private models of a project that were ever served."""
    query = select(func.count()).where(PrivateModelRow.project == project, PrivateModelRow.served_at.is_not(None))
    return connection.scalar(query) or 0


def places(connection: Connection, subjects: Sequence[str]) -> dict[str, int]:
    """The place of each of these subjects; new ones get the next free places in random order."""
    known = {row.subject: row.place for row in connection.execute(select(PrivatePlaceRow.__table__))}
    new = [subject for subject in subjects if subject not in known]
    if new:
        secrets.SystemRandom().shuffle(new)
        free = max(known.values(), default=-1) + 1
        rows = [{"subject": subject, "place": free + i} for i, subject in enumerate(new)]
        connection.execute(insert(PrivatePlaceRow), rows)
        known |= {row["subject"]: row["place"] for row in rows}
    return {subject: known[subject] for subject in subjects}


def _approval(stored: bytes | None) -> ModelApproval | None:
    return None if stored is None else wire.decode(wire.decode(stored, Signed).payload, ModelApproval)
