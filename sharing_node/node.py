"""What every part of the node shares: settings, database, keys, the office link, the catalogue, the log."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine

from audit.log.log import Log
from models import wire
from models.catalogue import Catalogue
from models.consents import Eligibility
from models.parties import Institution, ServiceKeys
from models.problems import CohortRefused, NotApproved, Suspended
from models.projects import Project
from models.scorecard.limits import Limits
from models.wire import Signed
from sharing_node.keys import KeyStore
from sharing_node.office import NODE, OfficeLink
from sharing_node.records.marks import Marks
from sharing_node.records.repository import subject_types
from sharing_node.settings import NodeSettings

ELIGIBILITY_FRESH = 15.0


@dataclass
class Node:
    """Built once at start-up (`sharing_node.app`); handlers keep no other state than what they hang on it."""

    settings: NodeSettings
    engine: Engine
    keys: KeyStore
    signing_key: Ed25519PrivateKey = field(repr=False)
    office: OfficeLink
    catalogue: Catalogue
    limits: Limits
    log: Log
    service_keys: ServiceKeys
    clock: Callable[[], float] = time.time
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _eligibility: tuple[float, Eligibility] | None = field(default=None, repr=False)

    @property
    def folder(self) -> Path:
        """The data folder."""
        return self.settings.data_dir

    def sign(self, message: wire.Message) -> Signed:
        """Sign a statement as the node."""
        return wire.sign(message, NODE, self.signing_key)

    def eligibility(self) -> Eligibility:
        """The office's list, at most `ELIGIBILITY_FRESH` seconds old."""
        with self._lock:
            now = self.clock()
            if self._eligibility is None or now - self._eligibility[0] > ELIGIBILITY_FRESH:
                self._eligibility = (now, _whole(list(self.office.eligibility())))
            return self._eligibility[1]

    def check_project(self, project: Project, now: int) -> None:
        """Raise `Suspended` or `NotApproved` unless work on a project may go on now."""
        if self.office.project_suspended(project.id):
            raise Suspended("this project is suspended by the credit office")
        if not project.valid_from <= now < project.valid_to:
            raise NotApproved("this project is not valid now")

    def check_still_willing(self, subjects: Iterable[str], project: Project, bank: Institution) -> None:
        """Raise `CohortRefused` where somebody of an agreed cohort has withdrawn since, or disputes a field."""
        if not set(subjects) <= set(self.joint_subjects(project, bank)):
            raise CohortRefused(
                "since this cohort was agreed, a consent in it has ended or a record in it has come under dispute",
                advice="Align again, and leave out so many more customers that at least 50 rows differ.",
            )

    def marks(self) -> Marks:
        """What objections withhold or mark, what was repaired, and which sensitive fields may be used of whom."""
        listed = self.eligibility()
        return Marks.of(listed.objections, listed.repairs, self.sensitive, listed.sensitive)

    @property
    def sensitive(self) -> frozenset[str]:
        """The fields of the catalogue that need consents of their own."""
        return frozenset(field.name for field in self.catalogue if field.sensitive)

    def today(self) -> date:
        """The day (UTC) for which expiry is reckoned."""
        return datetime.fromtimestamp(self.clock(), UTC).date()

    def disputed(self, fields: tuple[str, ...]) -> set[str]:
        """Subjects with an open objection that touches one of these fields."""
        touched = {"*", *fields}
        return {o.subject for o in self.eligibility().objections if o.open and o.field in touched}

    def joint_subjects(self, project: Project, bank: Institution) -> list[str]:
        """Subjects whose rows may join a cohort of this bank's project now, sorted."""
        now = int(self.clock())
        listed = self.eligibility()
        names = {"*", bank.id} | ({f"class:{bank.bank_class}"} if bank.bank_class else set())
        given = [m for m in listed.modelling if m.recipient in names and m.valid_from <= now < m.valid_to]
        sensitive = self.sensitive.intersection(project.fields)
        eligible = set(listed.collection) - self.disputed(project.fields)
        if sensitive != set(project.fields):
            eligible &= {consent.subject for consent in given if not consent.sensitive_fields}
        for name in sensitive:
            eligible &= {consent.subject for consent in given if name in consent.sensitive_fields}
            eligible &= {collected.subject for collected in listed.sensitive if name in collected.fields}
        with self.engine.connect() as connection:
            return sorted(subject_types(connection, eligible))


def _whole(pages: list[Eligibility]) -> Eligibility:
    """One list of all its pages."""
    return wire.replace(
        pages[0],
        upto="",
        collection=tuple(subject for page in pages for subject in page.collection),
        modelling=tuple(consent for page in pages for consent in page.modelling),
        objections=tuple(objection for page in pages for objection in page.objections),
        repairs=tuple(repair for page in pages for repair in page.repairs),
        sensitive=tuple(collected for page in pages for collected in page.sensitive),
    )
