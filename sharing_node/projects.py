"""Opening a project at the node: the office's approval, held against the catalogue's sharing modes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from sqlalchemy import Connection

from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from models.catalogue import Use, shareable
from models.identity import Kind
from models.problems import Forbidden, Unusable
from models.projects import Project, ProjectApproval, ProjectKind, ProjectOpened
from sharing_node.node import Node
from sharing_node.state import repository as state
from sharing_node.state.repository import StoredTable


class Projects:
    """Handlers about projects."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def open(self, call: Call) -> Outcome:
        """POST /projects: the bank hands over the office's `ProjectApproval`."""
        project = self._node.office.statement(call.body, ProjectApproval).project
        if call.institution.id not in project.members:
            raise Forbidden("this approval was given to another bank")
        self._node.check_project(project, call.now)
        self._check_fields(project)
        table = check_table(project)

        def record(connection: Connection) -> None:
            state.add_project(connection, project, call.body, call.now)
            if table is not None:
                state.add_table(connection, table)

        facts = {"project": project.id, "kind": str(project.kind), "approval": call.body.digest()}
        answer = ProjectOpened(project=project.id, table=table.id if table else "")
        return Outcome(answer, [LeafDraft("project.open", facts)], record)

    def _check_fields(self, project: Project) -> None:
        if project.kind is ProjectKind.STATISTICS:
            return  # the banks' own figures, and nothing of the node
        catalogue = self._node.catalogue
        unknown = [name for name in project.fields if name not in catalogue]
        if unknown or not project.fields:
            raise Unusable(f"the catalogue has no field {', '.join(unknown) or '(none was named)'}")
        use: Use = "joint" if project.kind is ProjectKind.JOINT_SCORECARD else "check"
        barred = barred_fields(self._node, project.fields, use)
        if barred:
            raise Forbidden(f"the sharing mode of {', '.join(barred)} forbids {use} use; ask for other fields")
        if use == "joint":
            text = [name for name in project.fields if catalogue[name].kind == "text"]
            if text:
                raise Unusable(f"text fields cannot be modelled: {', '.join(text)}")


def barred_fields(node: Node, names: Iterable[str], use: Use) -> list[str]:
    """Those of these fields of the catalogue that may be used so for no kind of subject."""
    national: tuple[Kind, ...] = ("citizen", "organisation")
    kinds: tuple[Kind, ...] = ("opaque",) if node.settings.identity == "opaque" else national
    return [name for name in names if not any(shareable(node.catalogue[name], kind, use) for kind in kinds)]


def check_table(project: Project) -> StoredTable | None:
    """The table that a check project asks; None for other kinds. Banks with the same fields share a table and its epochs."""
    if project.kind is not ProjectKind.CHECK:
        return None
    fields = tuple(sorted(set(project.fields)))
    return StoredTable(f"check-{hashlib.sha256(chr(10).join(fields).encode()).hexdigest()[:16]}", "check", fields, "", "")
