"""Projects on the command line: file one, accept one of several banks, see what the office says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bank_client.cli_common import SETTINGS, Config, Json, session, show

if TYPE_CHECKING:
    from models.projects import Project

project = typer.Typer(no_args_is_help=True, help="File a project with the credit office, accept one, or look at one.")
ProjectId = Annotated[str, typer.Argument(metavar="PROJECT", help="The project's id.")]


@project.command("file")
def project_file(
    identifier: Annotated[str, typer.Option("--project", help="An id of your choice.")],
    title: Annotated[str, typer.Option(help="What it is for, in a line.")],
    fields: Annotated[str, typer.Option(help="Catalogue fields of the node, separated by commas; none for statistics.")] = "",
    kind: Annotated[str, typer.Option(help="joint-scorecard, check or statistics.")] = "joint-scorecard",
    purpose: Annotated[str, typer.Option(help="modelling, loan-approval or post-loan.")] = "modelling",
    others: Annotated[str, typer.Option("--with", help="The other banks that take part, separated by commas.")] = "",
    days: Annotated[int, typer.Option(min=1, help="How long it runs.")] = 365,
    checks: Annotated[int, typer.Option(min=0, help="How many questions it may ask.")] = 1000,
    releases: Annotated[int, typer.Option(min=0, help="How many models, or tables of statistics, it may release.")] = 4,
    config: Config = SETTINGS,
    as_json: Json = False,
) -> None:
    """File a project; the credit office decides on it, once every other bank has accepted."""
    import time

    from models.logged import Empty
    from models.projects import Project, ProjectKind

    with session(config) as bank:
        now = int(time.time())
        filed = Project(
            id=identifier,
            bank=bank.config.institution,
            kind=ProjectKind(kind),
            title=title,
            purpose=purpose,
            fields=_names(fields),
            valid_from=now,
            valid_to=now + days * 86_400,
            checks=checks,
            releases=releases,
            requested_by=bank.config.person,
            banks=_names(others),
        )
        bank.office.logged("/projects", filed, Empty)
    account = f"{identifier} is filed; a clerk of the office decides on it"
    if filed.banks:
        account += f" once these have accepted: {', '.join(filed.banks)}\neach: xinqiao bank project accept {identifier}"
    show({"project": identifier, "state": "filed", "banks": list(filed.members)}, account, as_json)


@project.command("status")
def project_status(identifier: ProjectId, config: Config = SETTINGS, as_json: Json = False) -> None:
    """Show whether the office has decided, and of a project of several banks what it is and who has accepted."""
    from models.projects import ProjectStatus

    with session(config) as bank:
        status = bank.office.get(f"/projects/{identifier}", ProjectStatus)
    reason = f": {status.reason}" if status.reason else ""
    facts = {"project": identifier, "state": status.state, "reason": status.reason, "accepted": list(status.accepted)}
    account = f"{identifier} is {status.state}{reason}"
    if status.project is not None:
        account = f"{account_of(status.project)}\n{account}\naccepted by {', '.join(status.accepted)}"
    show(facts, account, as_json)


@project.command("budget")
def project_budget(
    identifier: ProjectId,
    reason: Annotated[str, typer.Option(help="Why; with it, ask for other budgets. Without it: show what was asked.")] = "",
    trainings: Annotated[int | None, typer.Option(min=0, help="The new total of trainings; as before if not given.")] = None,
    releases: Annotated[int | None, typer.Option(min=0, help="The new total of releases.")] = None,
    checks: Annotated[int | None, typer.Option(min=0, help="The new total of checks.")] = None,
    config: Config = SETTINGS,
    as_json: Json = False,
) -> None:
    """Ask the office for other budgets of an approved project, or see what became of it."""
    from models.approvals import AskBudget, BudgetRequest, BudgetRequests
    from models.problems import NotApproved
    from models.projects import ProjectApproval, ProjectStatus

    path = f"/projects/{identifier}/budget"
    with session(config) as bank:
        if reason:
            approval = bank.office.get(f"/projects/{identifier}", ProjectStatus).approval
            if approval is None:
                raise NotApproved("only an approved project's budgets can be changed, and not while it is suspended")
            before = bank.from_office(approval, ProjectApproval).project
            asked = AskBudget(
                project=identifier,
                trainings=before.trainings if trainings is None else trainings,
                releases=before.releases if releases is None else releases,
                checks=before.checks if checks is None else checks,
                reason=reason,
            )
            bank.office.logged(path, asked, BudgetRequest)
        found = bank.office.get(path, BudgetRequests).requests
    facts = [
        {"state": each.state, "trainings": each.trainings, "releases": each.releases, "checks": each.checks} for each in found
    ]
    lines = [
        f"{each.state}: {each.trainings} trainings, {each.releases} releases, {each.checks} checks. {each.decision}".rstrip()
        for each in found
    ]
    show({"project": identifier, "requests": facts}, "\n".join(lines) or "no other budgets were asked for", as_json)


@project.command("accept")
def project_accept(
    identifier: ProjectId,
    modeller: Annotated[str, typer.Option(help="Who acts for this bank in it; by default you.")] = "",
    config: Config = SETTINGS,
    as_json: Json = False,
) -> None:
    """Take part in a project that another bank has filed with yours; signed by a modeller or an approver."""
    from models.logged import Empty
    from models.problems import Forbidden
    from models.projects import AcceptProject, ProjectStatus

    with session(config) as bank:
        filed = bank.office.get(f"/projects/{identifier}", ProjectStatus).project
        if filed is None:
            raise Forbidden("this project is of one bank, so there is nothing to accept")
        said = AcceptProject(
            project=identifier,
            digest=filed.digest(),
            bank=bank.config.institution,
            modeller=modeller or bank.config.person,
        )
        bank.office.logged(f"/projects/{identifier}/acceptance", bank.sign(said), Empty)
    facts = {"project": identifier, "state": "accepted", "digest": said.digest, "modeller": said.modeller}
    show(facts, f"{account_of(filed)}\naccepted; {said.modeller} acts for {said.bank}", as_json)


def account_of(filed: Project) -> str:
    """A project of several banks for people."""
    lines = [f"{filed.id}: {filed.title}", f"  {filed.kind.value} for {filed.purpose}, filed by {filed.requested_by}"]
    lines.append(f"  banks: {', '.join(filed.members)}")
    if filed.fields:
        lines.append(f"  fields of the node: {', '.join(filed.fields)}")
    return "\n".join(lines)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
