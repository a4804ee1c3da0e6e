"""Several banks at one office and node, over real HTTP: enrolled, with a project that all have accepted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bank_client import Bank
from models.logged import Empty
from models.parties import Institution, InstitutionKind, Role
from models.projects import AcceptProject, Decision, Project, ProjectKind, ProjectOpened, ProjectStatus
from models.wire import sign
from tests.services import Services


def modeller(bank: str) -> str:
    """Who acts for a bank."""
    return f"{bank}/mo"


def enrol_banks(pair: Services, names: Sequence[str]) -> None:
    """Enrol those of these banks that the office's world does not have yet, each with a modeller."""
    world = pair.office
    for name in names:
        if modeller(name) in world.keys:
            continue
        bank = Institution(
            id=name, name=name, kind=InstitutionKind.BANK, licence="4", bank_class="rural", declared_customers=100_000
        )
        world.clerk.logged("/institutions", bank, Empty)
        world.enrol(modeller(name), Role.MODELLER)


def accept(pair: Services, project: Project, bank: str) -> None:
    """A bank's modeller accepts a project."""
    said = AcceptProject(project=project.id, digest=project.digest(), bank=bank, modeller=modeller(bank))
    signed = sign(said, modeller(bank), pair.office.keys[modeller(bank)])
    pair.office.client(modeller(bank)).logged(f"/projects/{project.id}/acceptance", signed, Empty)


def shared_project(pair: Services, project_id: str, names: Sequence[str], **changes: Any) -> Project:
    """A project that the first bank files, the others accept, a clerk approves, and the node has opened."""
    fields: dict[str, Any] = {"kind": ProjectKind.STATISTICS, "purpose": "modelling", "releases": 24} | changes
    if fields["kind"] is ProjectKind.STATISTICS:
        fields["fields"] = ()
    project = pair.office.project(project_id, approve=False, bank=names[0], banks=tuple(names[1:]), **fields)
    for name in names[1:]:
        accept(pair, project, name)
    decision = Decision(subject=project_id, approve=True, reason="in order")
    status = pair.office.clerk.logged(f"/projects/{project_id}/decision", decision, ProjectStatus).answer
    assert status.approval is not None
    for name in names:
        pair.client(modeller(name)).logged("/projects", status.approval, ProjectOpened)
    return project


@contextmanager
def sessions(pair: Services, names: Sequence[str]) -> Iterator[dict[str, Bank]]:
    """Each bank's session."""
    banks = {name: pair.bank(modeller(name)) for name in names}
    try:
        yield banks
    finally:
        for bank in banks.values():
            bank.close()
