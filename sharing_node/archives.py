"""A subject's archive: everything that this node holds of one subject, and how far each value travels now.

See `models.archives` for the message diagram and the leakage statement.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection
from datetime import date, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from audit.verifier.cohorts import inclusion_path
from crypto import cells
from models.alignment import tag_context
from models.archives import (
    CHECK,
    EXPIRED,
    JOINT,
    NEVER,
    REPAIRED,
    UNCONSENTED,
    WITHHELD,
    Archive,
    ArchiveCohort,
    Archived,
    ArchiveField,
    ArchiveLeave,
    ArchiveSection,
    ModelUse,
    ModelUses,
)
from models.catalogue import Catalogue, Field, effective_mode
from models.identity import kind_of
from models.problems import BadTicket
from models.scorecard.card import NodeCard
from models.scorecard.release import NOT_RELEASED
from models.wire import Signed, decode, replace
from sharing_node.keys import MissingKey
from sharing_node.node import Node
from sharing_node.records import Subject
from sharing_node.records import repository as records
from sharing_node.records.marks import Marks, expiries, years_before
from sharing_node.records.repository import StoredRecord
from sharing_node.state import repository as state
from sharing_node.state.repository import StoredCohort

KEPT_COHORTS = 32
"""Cohorts whose tags are kept in memory, 0.8 MB for 24,000 rows each: to make them anew takes three seconds of a core."""


class Archives:
    """The handler of archives."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._lock = threading.Lock()
        self._tags: OrderedDict[str, list[bytes]] = OrderedDict()

    def show(self, call: Call) -> Outcome:
        """POST /archives: an `ArchiveLeave` signed by the office; answers with the `Archived`."""
        signed: Signed = call.body
        leave = self._node.office.statement(signed, ArchiveLeave)
        if leave.asked_by != call.person.id:
            raise BadTicket("the office gave this leave to another person")
        if not leave.issued_at - 60 <= call.now < leave.expires:
            raise BadTicket("this leave of the office is over; ask for a new one")
        with call.engine.connect() as connection:
            archive = self._archive(connection, leave, signed, call.now)
        unvalued = tuple(replace(use, band=-1) for use in archive.models)
        uses = ModelUses(subject=leave.subject, issued_at=call.now, models=unvalued)
        answer = Archived(archive=self._node.sign(archive), uses=self._node.sign(uses))
        # Whose it is stands in the opening alone; the leave's digest leads to the office's leaf.
        opening = {"subject": leave.subject, "leave": signed.digest(), "for": leave.asked_by}
        return Outcome(answer, [LeafDraft("archive.show", {"ground": str(leave.ground)}, opening)])

    def _archive(self, connection: Connection, leave: ArchiveLeave, signed: Signed, now: int) -> Archive:
        subject, node = leave.subject, self._node
        row = connection.execute(select(Subject.__table__).where(Subject.subject_id == subject)).one_or_none()
        found = records.records_of(connection, node.catalogue.categories, [subject]).get(subject, {})
        memberships = [cohort for cohort in state.all_cohorts(connection) if subject in cohort.subjects]
        view = _View(node.catalogue, node.marks(), self._withheld(subject), subject, node.today())
        return Archive(
            subject=subject,
            leave=signed.digest(),
            ground=leave.ground,
            issued_at=now,
            on_record_since=0 if row is None else int(row.first_seen.timestamp()),
            subject_type="" if row is None else row.subject_type,
            collection=subject in set(node.eligibility().collection),
            sections=tuple(view.section(found[name]) for name in node.catalogue.categories if name in found),
            cohorts=tuple(self._membership(connection, cohort, subject) for cohort in memberships),
            models=_uses(connection, memberships, subject),
        )

    def _withheld(self, subject: str) -> frozenset[str]:
        listed = self._node.eligibility().objections
        return frozenset(o.field for o in listed if o.open and o.withheld and o.subject == subject)

    def _membership(self, connection: Connection, cohort: StoredCohort, subject: str) -> ArchiveCohort:
        tags, row = self._tags_of(cohort), cohort.subjects.index(subject)
        return ArchiveCohort(
            cohort=cohort.id,
            project=cohort.project,
            bank=cohort.bank,
            agreed_at=state.cohort_agreed_at(connection, cohort.id),
            root=cohort.root,
            rows=len(cohort.subjects),
            row=row,
            tag=tags[row] if tags else b"",
            path=inclusion_path(tags, row) if tags else (),
        )

    def _tags_of(self, cohort: StoredCohort) -> list[bytes]:
        """The cohort's tags in row order; empty where the project's key is no more."""
        with self._lock:
            kept = self._tags.get(cohort.id)
            if kept is None:
                try:
                    server = self._node.keys.oprf(f"project-{cohort.project}")
                except MissingKey:
                    return []
                outputs, context = server.evaluate_many([s.encode() for s in cohort.subjects]), tag_context(cohort.project)
                kept = self._tags[cohort.id] = [cells.derive(y, context)[0] for y in outputs]
                if len(self._tags) > KEPT_COHORTS:
                    self._tags.popitem(last=False)
            self._tags.move_to_end(cohort.id)
            return kept


class _View:
    """How far each value of one subject travels on a day."""

    def __init__(self, catalogue: Catalogue, marks: Marks, withheld: Collection[str], subject: str, today: date) -> None:
        self._catalogue, self._marks, self._withheld = catalogue, marks, withheld
        self._subject, self._today = subject, today

    def section(self, record: StoredRecord) -> ArchiveSection:
        """One stored record with all its values, in the catalogue's order."""
        values: dict[str, Any] = msgspec.json.decode(record.payload)
        fields = [self._field(item, values, record) for item in self._catalogue.fields_of(record.field_set)]
        return ArchiveSection(
            field_set=record.field_set,
            department=record.source_department,
            as_of=record.as_of.isoformat(),
            loaded_at=int(record.loaded_at.timestamp()),
            batch=record.batch,
            fields=tuple(field for field in fields if field is not None),
        )

    def _field(self, item: Field, values: dict[str, Any], record: StoredRecord) -> ArchiveField | None:
        if item.name not in values:
            return None
        return ArchiveField(
            name=item.name,
            label_zh=item.label_zh,
            label_en=item.label_en,
            unit=item.unit,
            value=values[item.name],
            grade=item.grade,
            shared=self._shared(item, values, record),
            disputed=self._marks.is_disputed(self._subject, item.name),
            expires_on=_expires_on(item, values, record),
        )

    def _shared(self, item: Field, values: dict[str, Any], record: StoredRecord) -> str:
        if any(rule.is_gone(values.get(rule.dated_by), record.as_of) for rule in expiries([item], self._today)):
            return EXPIRED
        if {item.name, "*"} & set(self._withheld):
            return WITHHELD
        if item.name in self._marks.absent.get(self._subject, ()):
            return REPAIRED
        if self._marks.is_absent(self._subject, item.name):
            return UNCONSENTED
        return {"N": NEVER, "J": JOINT}.get(effective_mode(item, kind_of(self._subject)), CHECK)


def _expires_on(item: Field, values: dict[str, Any], record: StoredRecord) -> str:
    """The first day on which the value is gone, ISO; empty for what does not expire."""
    if item.expires_years is None:
        return ""
    dated = values.get(item.dated_by)
    begun = date.fromisoformat(dated) if dated else record.as_of
    year = begun.year + item.expires_years
    if year > date.max.year:
        return ""
    day = begun.replace(year=year, day=28) if (begun.month, begun.day) == (2, 29) else begun.replace(year=year)
    # Of 29 February the rule counts back to the 28th: the day after it is the first on which that holds.
    while years_before(day, item.expires_years) < begun:
        day += timedelta(days=1)
    return day.isoformat()


def _uses(connection: Connection, memberships: list[StoredCohort], subject: str) -> tuple[ModelUse, ...]:
    rows = {cohort.id: cohort.subjects.index(subject) for cohort in memberships}
    found = []
    for model in state.all_models(connection):
        if model.cohort in rows:
            card, band = decode(model.node_card.payload, NodeCard), model.bands[rows[model.cohort]]
            found.append(
                ModelUse(
                    model=model.id,
                    project=model.project,
                    bank=model.bank,
                    cohort_root=card.cohort_root,
                    fields=tuple(field.name for field in card.fields),
                    released_at=model.released_at,
                    band=-1 if band == NOT_RELEASED else band,
                )
            )
    return tuple(found)
