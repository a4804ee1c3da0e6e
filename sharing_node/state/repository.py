"""All SQL about projects, cohorts, jobs, models and epochs. The caller owns the transaction; nothing here commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, Row, bindparam, func, insert, select, text, update

from models import wire
from models.problems import Conflict, NotFound, OverBudget
from models.projects import Project, ProjectApproval
from models.tables import REVIEW_SECONDS, ModelApproval, SealedManifest
from models.wire import Signed
from sharing_node.state.spending import add_to_budget
from sharing_node.state.tables import CohortRow, EpochRow, JobRow, ModelRow, ProjectRow, TableRow


@dataclass(frozen=True)
class StoredCohort:
    """A cohort with its subjects in row order."""

    id: str
    project: str
    bank: str
    root: bytes
    subjects: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class StoredModel:
    """The node's half of a released model and what was given out of it."""

    id: str
    job: str
    project: str
    cohort: str
    bank: str
    half: bytes = field(repr=False)
    bands: bytes = field(repr=False)
    node_card: Signed
    released_at: int


@dataclass(frozen=True)
class StoredTable:
    """A table that epochs are built of."""

    id: str
    kind: str
    fields: tuple[str, ...]
    model: str
    project: str


def one_at_a_time(connection: Connection) -> None:
    """Until this transaction ends no other one adds a cohort, training or model: for limits over all that there are.

    SQLite has one writer at a time as it is.
    """
    if connection.dialect.name == "postgresql":
        names = ", ".join(row.__tablename__ for row in (CohortRow, JobRow, ModelRow))
        connection.execute(text(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE"))


# ---------------------------------------------------------------- projects


def add_project(connection: Connection, project: Project, approval: Signed, at: int) -> None:
    """Store an approved project; the same approval again is nothing new, a later one with other budgets replaces it."""
    found = connection.scalar(select(ProjectRow.approval).where(ProjectRow.id == project.id))
    if found is not None:
        if found == wire.encode(approval):
            return
        before = wire.decode(wire.decode(found, Signed).payload, ProjectApproval)
        after = wire.decode(approval.payload, ProjectApproval)
        same = wire.replace(before.project, trainings=project.trainings, releases=project.releases, checks=project.checks)
        if same != project or before.seats != after.seats or after.decided_at < before.decided_at:
            raise Conflict("this project was opened before with another approval")
        connection.execute(update(ProjectRow).where(ProjectRow.id == project.id).values(approval=wire.encode(approval)))
        return
    connection.execute(
        insert(ProjectRow).values(
            id=project.id, bank=project.bank, kind=str(project.kind), approval=wire.encode(approval), opened_at=at
        )
    )


def project(connection: Connection, project_id: str) -> Project:
    """An opened project; raises `NotFound`."""
    approval = connection.scalar(select(ProjectRow.approval).where(ProjectRow.id == project_id))
    if approval is None:
        raise NotFound("no such project is open at the node; open it with the office's approval")
    return wire.decode(wire.decode(approval, Signed).payload, ProjectApproval).project


def projects(connection: Connection) -> list[Project]:
    """Every opened project."""
    found = connection.scalars(select(ProjectRow.approval).order_by(ProjectRow.id))
    return [wire.decode(wire.decode(approval, Signed).payload, ProjectApproval).project for approval in found]


def count_training(connection: Connection, project_id: str, allowed: int) -> None:
    """Use up one training of a project; raises `OverBudget` when all are used."""
    done = connection.execute(
        update(ProjectRow)
        .where(ProjectRow.id == project_id, ProjectRow.trainings < allowed)
        .values(trainings=ProjectRow.trainings + 1)
    )
    if done.rowcount != 1:
        raise OverBudget(f"all {allowed} trainings of this project are used; file a new project with the office")


def trainings_used(connection: Connection, project_id: str) -> int:
    """How many trainings a project has used."""
    return connection.scalar(select(ProjectRow.trainings).where(ProjectRow.id == project_id)) or 0


def spend(connection: Connection, bank: str, kind: str, *, year: int, amount: int, allowed: int) -> None:
    """Add to a bank's yearly budget; raises `OverBudget` beyond `allowed`, changing nothing."""
    used = add_to_budget(connection, bank, kind, year, amount)
    if used > allowed:
        raise OverBudget(f"this would make {used} {kind} this year where {allowed} are allowed")


# ---------------------------------------------------------------- cohorts


def add_cohort(connection: Connection, cohort: StoredCohort, at: int) -> None:
    """Store an agreed cohort; the same rows in the same order once more are the same cohort."""
    if connection.scalar(select(CohortRow.id).where(CohortRow.id == cohort.id)) is None:
        connection.execute(
            insert(CohortRow).values(
                id=cohort.id,
                project=cohort.project,
                bank=cohort.bank,
                rows=len(cohort.subjects),
                root=cohort.root,
                subjects="\n".join(cohort.subjects).encode(),
                agreed_at=at,
            )
        )


def cohort(connection: Connection, cohort_id: str) -> StoredCohort:
    """A cohort by id; raises `NotFound`."""
    row = connection.execute(select(CohortRow.__table__).where(CohortRow.id == cohort_id)).one_or_none()
    if row is None:
        raise NotFound("no such cohort; align first")
    return _cohort(row)


def all_cohorts(connection: Connection) -> list[StoredCohort]:
    """Every cohort of every bank, oldest first."""
    return [_cohort(row) for row in connection.execute(select(CohortRow.__table__).order_by(CohortRow.agreed_at))]


def cohort_agreed_at(connection: Connection, cohort_id: str) -> int:
    """When a cohort was agreed, POSIX seconds; raises `NotFound`."""
    found = connection.scalar(select(CohortRow.agreed_at).where(CohortRow.id == cohort_id))
    if found is None:
        raise NotFound("no such cohort; align first")
    return found


def _cohort(row: Row[tuple[object, ...]]) -> StoredCohort:
    return StoredCohort(row.id, row.project, row.bank, row.root, tuple(row.subjects.decode().split("\n")))


# ---------------------------------------------------------------- jobs


def add_job(connection: Connection, job_id: str, cohort_row: StoredCohort, plan: Signed, *, aggregates: int, at: int) -> None:
    """Store an opened training."""
    connection.execute(
        insert(JobRow).values(
            id=job_id,
            project=cohort_row.project,
            cohort=cohort_row.id,
            bank=cohort_row.bank,
            state="open",
            plan=wire.encode(plan),
            aggregates=aggregates,
            opened_at=at,
        )
    )


def set_job_state(connection: Connection, job_id: str, before: str, after: str) -> None:
    """Move a job from one state to the next; raises `Conflict` where it is not in the first."""
    done = connection.execute(update(JobRow).where(JobRow.id == job_id, JobRow.state == before).values(state=after))
    if done.rowcount != 1:
        raise Conflict(f"this training is not {before}")


def job_opened_at(connection: Connection, job_id: str) -> int:
    """When a training was opened, POSIX seconds: its columns were read then. Raises `NotFound`."""
    found = connection.scalar(select(JobRow.opened_at).where(JobRow.id == job_id))
    if found is None:
        raise NotFound("there is no such training")
    return found


def aggregates_asked(connection: Connection, cohort_ids: Sequence[str]) -> int:
    """Label aggregates that all trainings on these cohorts have asked so far."""
    return int(
        connection.scalar(select(func.coalesce(func.sum(JobRow.aggregates), 0)).where(JobRow.cohort.in_(cohort_ids))) or 0
    )


# ---------------------------------------------------------------- models


def add_model(connection: Connection, model: StoredModel) -> None:
    """Store a released model."""
    connection.execute(
        insert(ModelRow).values(
            id=model.id,
            job=model.job,
            project=model.project,
            cohort=model.cohort,
            bank=model.bank,
            half=model.half,
            bands=model.bands,
            node_card=wire.encode(model.node_card),
            released_at=model.released_at,
        )
    )


def model(connection: Connection, model_id: str) -> StoredModel:
    """A released model; raises `NotFound`."""
    row = connection.execute(select(ModelRow.__table__).where(ModelRow.id == model_id)).one_or_none()
    if row is None:
        raise NotFound("no such model was released")
    return _model(row)


def all_models(connection: Connection) -> list[StoredModel]:
    """Every released model of every bank, oldest first."""
    return [_model(row) for row in connection.execute(select(ModelRow.__table__).order_by(ModelRow.released_at))]


def models_released(connection: Connection) -> dict[str, str]:
    """Id and project of every released model."""
    return {row.id: row.project for row in connection.execute(select(ModelRow.id, ModelRow.project))}


def bank_card(connection: Connection, model_id: str) -> Signed | None:
    """The bank's signed card that the node has countersigned, if any."""
    found = connection.scalar(select(ModelRow.bank_card).where(ModelRow.id == model_id))
    return wire.decode(found, Signed) if found is not None else None


def set_bank_card(connection: Connection, model_id: str, card: Signed) -> None:
    """Keep the bank's signed card beside the node's."""
    connection.execute(update(ModelRow).where(ModelRow.id == model_id).values(bank_card=wire.encode(card)))


def set_approval(connection: Connection, model_id: str, approval: Signed) -> None:
    """Keep the office's leave to serve a model; a later one of a review takes its place."""
    connection.execute(update(ModelRow).where(ModelRow.id == model_id).values(approval=wire.encode(approval)))


def approval(connection: Connection, model_id: str) -> ModelApproval | None:
    """The office's last leave to serve a model, where it was handed over."""
    found = connection.scalar(select(ModelRow.approval).where(ModelRow.id == model_id))
    return None if found is None else wire.decode(wire.decode(found, Signed).payload, ModelApproval)


def review_by(connection: Connection, model_id: str) -> int:
    """When a model stops serving unless it was reviewed, POSIX seconds; a year from its release where nothing says."""
    found = approval(connection, model_id)
    return model(connection, model_id).released_at + REVIEW_SECONDS if found is None else found.ends


def _model(row: Row[tuple[object, ...]]) -> StoredModel:
    return StoredModel(
        row.id, row.job, row.project, row.cohort, row.bank, row.half, row.bands,
        wire.decode(row.node_card, Signed), row.released_at,
    )  # fmt: skip


# ---------------------------------------------------------------- tables and epochs


def add_table(connection: Connection, table: StoredTable) -> None:
    """Store a table; the same table again is nothing new."""
    if connection.scalar(select(TableRow.id).where(TableRow.id == table.id)) is None:
        connection.execute(
            insert(TableRow).values(
                id=table.id, kind=table.kind, fields="\n".join(table.fields), model=table.model, project=table.project
            )
        )


def table(connection: Connection, table_id: str) -> StoredTable:
    """A table by id; raises `NotFound`."""
    row = connection.execute(select(TableRow.__table__).where(TableRow.id == table_id)).one_or_none()
    if row is None:
        raise NotFound("no such table")
    return StoredTable(row.id, row.kind, tuple(row.fields.split("\n")), row.model, row.project)


def table_exists(connection: Connection, table_id: str) -> bool:
    """Whether there is a table of this id."""
    return connection.scalar(select(TableRow.id).where(TableRow.id == table_id)) is not None


def add_epoch(connection: Connection, table_id: str, epoch: int, manifest: Signed, expires_at: int) -> None:
    """Store a built epoch, not yet open."""
    connection.execute(
        insert(EpochRow).values(
            table=table_id, epoch=epoch, state="built", manifest=wire.encode(manifest), expires_at=expires_at
        )
    )


def epoch_manifest(connection: Connection, table_id: str, epoch: int, now: int) -> Signed:
    """The manifest of an epoch that is neither closed nor expired; raises `NotFound`."""
    found = connection.scalar(
        select(EpochRow.manifest).where(
            EpochRow.table == table_id, EpochRow.epoch == epoch, EpochRow.state != "closed", EpochRow.expires_at > now
        )
    )
    if found is None:
        raise NotFound("this table has no such epoch, or it is closed")
    return wire.decode(found, Signed)


def open_epoch(connection: Connection, table_id: str, epoch: int, seal: Signed) -> None:
    """Open a built epoch under the office's seal."""
    done = connection.execute(
        update(EpochRow)
        .where(EpochRow.table == table_id, EpochRow.epoch == epoch, EpochRow.state == "built")
        .values(state="open", seal=wire.encode(seal))
    )
    if done.rowcount != 1:
        raise Conflict("this epoch is not waiting to be opened")


def end_earlier(connection: Connection, table_id: str, epoch: int, at: int) -> None:
    """Epochs of a table before this one that answer still do so until `at` at most."""
    earlier = (EpochRow.table == table_id, EpochRow.epoch < epoch, EpochRow.state == "open", EpochRow.expires_at > at)
    connection.execute(update(EpochRow).where(*earlier).values(expires_at=at))


def epoch_state(connection: Connection, table_id: str, epoch: int) -> str | None:
    """``built``, ``open`` or ``closed``; None where the epoch has no manifest."""
    return connection.scalar(select(EpochRow.state).where(EpochRow.table == table_id, EpochRow.epoch == epoch))


def close_epoch(connection: Connection, table_id: str, epoch: int) -> None:
    """Close an epoch that was built and must not open."""
    connection.execute(update(EpochRow).where(EpochRow.table == table_id, EpochRow.epoch == epoch).values(state="closed"))


def close_expired(connection: Connection, now: int) -> list[tuple[str, int]]:
    """Close every epoch that has expired; which ones, as (table, epoch)."""
    expired = (EpochRow.state != "closed", EpochRow.expires_at <= now)
    found = [(table, epoch) for table, epoch in connection.execute(select(EpochRow.table, EpochRow.epoch).where(*expired))]
    connection.execute(update(EpochRow).where(*expired).values(state="closed"))
    return found


# Asked with every check, so built once.
_CURRENT = (
    select(EpochRow.manifest, EpochRow.seal)
    .where(EpochRow.table == bindparam("table"), EpochRow.state == "open", EpochRow.expires_at > bindparam("now"))
    .order_by(EpochRow.epoch.desc())
    .limit(1)
)


def current_epoch(connection: Connection, table_id: str, now: int) -> SealedManifest:
    """The newest open epoch of a table that has not expired; raises `NotFound`."""
    row = connection.execute(_CURRENT, {"table": table_id, "now": now}).one_or_none()
    if row is None or row.seal is None:
        raise NotFound("no epoch of this table is open; the node builds one every night or when its operator asks")
    return SealedManifest(manifest=wire.decode(row.manifest, Signed), seal=wire.decode(row.seal, Signed))
