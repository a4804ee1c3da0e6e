"""`xinqiao audit`: an auditor's work at the command line, with the auditor's own key and the keys that the settings name.

The settings are one TOML file::

    person = "office/audit"
    key_file = "audit.key"                # 32 bytes, mode 0600
    time_zone = "Asia/Shanghai"

    [office]                              # as in the console's settings
    …
    [node]
    …
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

if TYPE_CHECKING:
    from audit.client.auditor import Auditor

app = typer.Typer(no_args_is_help=True, help="The credit office's auditors: search, evidence, reconciliation, cases.")
case_app = typer.Typer(no_args_is_help=True, help="Cases: gather evidence, end them, and take them along as one file.")
app.add_typer(case_app, name="case")
Config = Annotated[
    Path, typer.Option("--config", envvar="XINQIAO_AUDIT_CONFIG", help="The auditor's settings file.", dir_okay=False)
]
SETTINGS = Path("audit.toml")
Number = Annotated[int, typer.Argument(help="Its number.")]
When = Annotated[str, typer.Option(metavar="TIME", help="2026-01-31 or 2026-01-31T08:00, in the time zone of the settings.")]


@app.command()
def search(
    config: Config = SETTINGS,
    bank: str = "",
    officer: str = "",
    subject: str = "",
    purpose: str = "",
    field: str = "",
    project: str = "",
    batch: str = "",
    table: str = "",
    result: Annotated[str, typer.Option(help="granted, refused, approved, declined, unreported, overdue, no-consent …")] = "",
    since: When = "",
    until: When = "",
    most: Annotated[int, typer.Option(help="Show the newest so many.")] = 50,
    csv: Annotated[Path | None, typer.Option(help="Write everything that is found here instead.")] = None,
) -> None:
    """Who asked about whom, newest first. Every search is logged, with what was searched for."""
    from models.oversight import SearchAccesses

    words = {"bank": bank, "officer": officer, "subject": subject, "purpose": purpose, "field": field}
    words |= {"project": project, "batch": batch, "table": table, "result": result}
    with _auditor(config) as (auditor, zone):
        ask = SearchAccesses(**words, since=_moment(since, zone), until=_moment(until, zone), most=max(1, min(most, 1000)))
        if csv is not None:
            with csv.open("w", encoding="utf-8-sig", newline="") as out:
                out.writelines(auditor.csv(ask, zone))
            typer.echo(f"written to {csv}")
            return
        for one in auditor.search(ask).accesses:
            at = datetime.fromtimestamp(one.at, zone).strftime("%Y-%m-%d %H:%M:%S")
            end = one.report or ("OVERDUE" if one.overdue else "")
            typer.echo(f"{one.id:>8}  {at}  {one.officer}  {one.subject}  {one.purpose}  {one.table}  {one.outcome}  {end}")


@app.command()
def show(access: Number, config: Config = SETTINGS) -> None:
    """Everything behind one access, each signature and proof checked here; ends with 1 where one does not hold."""
    from audit.dossier.words import STATES, name_of

    with _auditor(config) as (auditor, zone):
        examined = auditor.examine(access)
        one = examined.access
        typer.echo(
            f"{datetime.fromtimestamp(one.at, zone).isoformat()}  {one.officer} asked about {one.subject}: {one.outcome}"
        )
        for check in examined.checks:
            typer.echo(f"  [{STATES[check.state][1]}] {name_of(check)[1]}: {check.detail}")
    if examined.failed:
        raise typer.Exit(1)


@app.command()
def reconciliation(
    day: Annotated[str, typer.Argument(help="2026-01-31; without it, all days of the last five weeks.")] = "",
    config: Config = SETTINGS,
) -> None:
    """How the daily reconciliation came out."""
    with _auditor(config) as (auditor, _):
        if not day:
            for run in auditor.days().days:
                typer.echo(f"{run.day}  {run.state:<10}  {run.tickets} tickets, {run.evaluations} used  {run.detail}")
            return
        found = auditor.day(day)
        for one in found.tables:
            counted = f"{one.tickets} tickets = {one.leaves} leaves = {one.evaluations} evaluations + {one.unused} unused"
            typer.echo(f"{one.table} epoch {one.epoch}: {counted}")
        for finding in found.findings:
            typer.echo(f"{finding.id:>8}  {finding.rule}  {finding.table} {finding.ticket[:16]}  {finding.detail}")
        typer.echo(found.run.state)


@app.command()
def alarms(config: Config = SETTINGS, state: str = "open", kind: str = "") -> None:
    """Alarms, newest first, with the rule that fired and the numbers that broke it."""
    from models.alarm_rules import rule_of
    from models.alarms import AskAlarms

    with _auditor(config) as (auditor, zone):
        for one in auditor.alarms(AskAlarms(state=state, kind=kind)).alarms:
            at = datetime.fromtimestamp(one.last_at, zone).strftime("%Y-%m-%d %H:%M")
            broke = "" if one.measured is None else f"  {one.measured:g} where {one.threshold:g} raise none"
            rule = rule_of(one.kind)
            typer.echo(f"{one.id:>8}  {at}  {rule.id} {rule.en}  {one.about}  ×{one.count}{broke}  [{one.state}] {one.detail}")


@app.command()
def handle(number: Number, state: str, reason: str, config: Config = SETTINGS) -> None:
    """Acknowledge (`acknowledged`) or close (`closed`) an alarm, with a reason."""
    with _auditor(config) as (auditor, _):
        typer.echo(f"alarm {number} is {auditor.handle(number, state, reason).alarm.state}")


@case_app.command("open")
def open_(title: str, config: Config = SETTINGS) -> None:
    """Open a case; prints its number."""
    with _auditor(config) as (auditor, _):
        typer.echo(auditor.open_case(title).id)


@case_app.command("list")
def list_(config: Config = SETTINGS, state: str = "") -> None:
    """List cases, newest first."""
    with _auditor(config) as (auditor, _):
        for one in auditor.cases(state).cases:
            typer.echo(f"{one.id:>6}  {one.state:<6}  {one.opened_by}  {one.title}  {one.finding}")


@case_app.command("show")
def show_case(number: Number, config: Config = SETTINGS) -> None:
    """Show a case as JSON."""
    from models.wire import fields_of

    with _auditor(config) as (auditor, _):
        found = auditor.case(number)
        typer.echo(json.dumps(fields_of(found) | {"items": [fields_of(item) for item in found.items]}, ensure_ascii=False))


@case_app.command()
def add(
    number: Number,
    kind: Annotated[str, typer.Argument(help="access, alarm, finding or note.")],
    ref: Annotated[int, typer.Argument(help="The number of what is added; 0 for a note.")] = 0,
    text: Annotated[str, typer.Option(help="A line about it, or the note.")] = "",
    config: Config = SETTINGS,
) -> None:
    """Add an access, an alarm, a finding of the reconciliation or a note to a case."""
    from models.cases import ItemKind

    if kind not in set(ItemKind):
        raise typer.BadParameter(f"one of {', '.join(ItemKind)}")
    with _auditor(config) as (auditor, _):
        typer.echo(f"case {number} holds {len(auditor.add(number, ItemKind(kind), ref, text).items)} things")


@case_app.command()
def close(number: Number, finding: str, config: Config = SETTINGS) -> None:
    """Close a case with what was found."""
    with _auditor(config) as (auditor, _):
        typer.echo(f"case {auditor.close(number, finding).id} is closed")


@case_app.command()
def export(number: Number, out: Annotated[Path, typer.Argument(help="The file to write.")], config: Config = SETTINGS) -> None:
    """Write a case with all its evidence as one signed file, checked before it is written."""
    from audit.dossier.words import tell

    with _auditor(config) as (auditor, _):
        made, verdict = auditor.bundle(number)
        out.write_bytes(made.data)
        for line in tell(verdict):
            typer.echo(line)
        typer.echo(f"{out}: SHA-256 {made.digest}")
    if verdict.failed:
        raise typer.Exit(1)


@contextmanager
def _auditor(config: Path) -> Iterator[tuple[Auditor, ZoneInfo]]:
    """The auditor whom the settings name; what can be put right is told in a sentence."""
    from audit.client.auditor import Auditor
    from audit.client.session import OfficeSession
    from audit.client.settings import AuditorConfig
    from audit.dossier.evidence import Mismatch, Missing
    from models.key_files import ConfigError, load_key
    from models.problems import Problem
    from models.settings_files import load_settings

    try:
        settings = load_settings(AuditorConfig, config, "--config or XINQIAO_AUDIT_CONFIG")
        with OfficeSession(settings.services, settings.person, load_key(settings.key_file)) as session:
            yield Auditor(session), settings.zone
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    except Problem as problem:
        typer.echo(f"{problem.detail}. {problem.next_step}", err=True)
        raise typer.Exit(1) from None
    except (Mismatch, Missing) as error:
        typer.echo(f"NOT verified: {error}", err=True)
        raise typer.Exit(1) from None


def _moment(text: str, zone: ZoneInfo) -> int:
    if not text:
        return 0
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp())
    except ValueError:
        raise typer.BadParameter("a time is written as 2026-01-31 or 2026-01-31T08:00") from None
