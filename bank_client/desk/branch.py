"""What the desk knows of the world beside its people: projects, their tables, the node's catalogue, what the bank requires."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from bank_client.alignment import open_project
from bank_client.desk import own_model
from bank_client.desk.settings import DeskConfig, DeskProject
from bank_client.meanings import stated_catalogue
from bank_client.session import Bank
from models.catalogue import Catalogue
from models.consents import Purpose
from models.parties import Directory
from models.problems import NotApproved
from models.projects import ProjectApproval, ProjectStatus
from models.tables import Manifest, SealedManifest
from models.web.notices import Notice
from models.wire import Signed


@dataclass(frozen=True)
class Offer:
    """A check project that the office approved and the node opened, or a private model's file. `labels` by language."""

    id: str
    labels: dict[str, str]
    purpose: str
    table: str
    fields: tuple[str, ...]
    model: Path | None = None


class Branch:
    """Facts that all seats share; each is fetched once, by whoever needs it first."""

    def __init__(self, config: DeskConfig) -> None:
        self.config = config
        self._offers: dict[str, Offer] = {}
        self._catalogue: Catalogue | None = None
        self._lock = threading.Lock()

    def offer(self, bank: Bank, project: str) -> Offer:
        """One of the projects of the settings.

        Raises:
            Notice: the settings name no such project.
            Problem: the office has not approved it, or it has no table of records.
        """
        named = next((entry for entry in self.config.projects if entry.id == project), None)
        if named is None:
            raise Notice("project-unknown")
        if project not in self._offers:
            self._offers[project] = _open(bank, named)
        return self._offers[project]

    def catalogue(self, bank: Bank) -> Catalogue:
        """What the node says that its fields mean."""
        with self._lock:
            if self._catalogue is None:
                self._catalogue = stated_catalogue(bank)
            return self._catalogue

    def second_approval(self, bank: Bank) -> bool:
        """Whether the bank requires a second person's leave now; asked afresh, for it may change within a session."""
        directory = bank.from_office(bank.office.get("/directory", Signed), Directory)
        home = next(entry for entry in directory.institutions if entry.id == self.config.institution)
        return home.second_approval

    def next_epoch(self, bank: Bank, table: str) -> int:
        """When the table's present epoch is over at the latest, and the next one therefore there: POSIX seconds."""
        sealed = bank.node.get(f"/tables/{table}/manifest", SealedManifest)
        return bank.from_node(sealed.manifest, Manifest).expires_at


def _open(bank: Bank, named: DeskProject) -> Offer:
    table = open_project(bank, named.id).table if named.model is None else own_model.table(bank, named.id, named.model)
    status = bank.office.get(f"/projects/{named.id}", ProjectStatus)
    if status.approval is None or not table:
        raise NotApproved("this project is for joint modelling and has no table of records; the desk needs a check project")
    project = bank.from_office(status.approval, ProjectApproval).project
    labels = {"zh": named.label_zh or project.title, "en": named.label_en or project.title}
    if named.model is not None:
        return Offer(project.id, labels, Purpose.LOAN_APPROVAL, table, (), named.model)
    return Offer(project.id, labels, project.purpose, table, project.fields)
