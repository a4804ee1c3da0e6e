"""The office's commands, for the operator of its service. Everything else is done by clerks, with signed requests."""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audit.service.commands import plain_errors
from models.durable import write_new
from models.zones import day_at

if TYPE_CHECKING:
    from audit.office.office import Office
    from audit.office.settings import OfficeSettings

MOST_MODELS = 1_000
app = typer.Typer(no_args_is_help=True, help="The credit office: keys, schema, first enrolments, service.")

Directory = Annotated[
    Path | None, typer.Option("--dir", help="The data folder; by default what XINQIAO_OFFICE_DATA_DIR names.")
]
Name = Annotated[str, typer.Option(help="Its full name.")]
Licence = Annotated[str, typer.Option(help="Its unified social credit code or licence number.")]


@app.command()
def init(name: Name = "信用办", licence: Licence = "-", directory: Directory = None) -> None:
    """Make the data folder, the keys and the schema, and enrol the office itself; prints its public keys."""
    from audit.office.app import open_office
    from audit.office.enrolment import enrol_office
    from audit.office.keys import OfficeKeys

    with _plain_errors():
        settings = _settings(directory)
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        OfficeKeys.create(settings.data_dir)
        _upgrade(settings)
        office = open_office(settings)
        enrol_office(office, name, licence)
    _print_keys(office)


@app.command()
def migrate(directory: Directory = None) -> None:
    """Bring the database to the newest schema."""
    with _plain_errors():
        _upgrade(_settings(directory))
    typer.echo("the schema is up to date")


@app.command()
def keys(directory: Directory = None) -> None:
    """Print the public keys that others need to believe this office."""
    from audit.office.app import open_office

    with _plain_errors():
        _print_keys(open_office(_settings(directory)))


@app.command()
def new_key(out: Annotated[Path, typer.Argument(help="File of the private key; the public one goes beside it, .pub.")]) -> None:
    """Make a person's key: the private one never leaves that person, the public one is enrolled."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    write_new(out, key.private_bytes_raw())
    public = b64encode(key.public_key().public_bytes_raw()).decode()
    out.with_name(out.name + ".pub").write_text(public + "\n", encoding="ascii")
    typer.echo(public)


@app.command()
def enrol_first_clerk(
    id_: Annotated[str, typer.Option("--id", help="The clerk's id, office/name.")],
    name: Annotated[str, typer.Option(help="The clerk's full name.")],
    key_file: Annotated[Path, typer.Option(help="The clerk's public key: base64 of 32 bytes.", exists=True)],
    directory: Directory = None,
) -> None:
    """Enrol the first clerk, who enrols everyone else with signed requests."""
    from audit.office.app import open_office
    from audit.office.enrolment import enrol_first_clerk as enrol

    with _plain_errors():
        enrol(open_office(_settings(directory)), id_, name, _public_key(key_file.read_text(encoding="ascii", errors="replace")))
    typer.echo(f"{id_} is enrolled")


@app.command()
def enrol_node(
    key: Annotated[str, typer.Option(help="The node's statement key, as `xinqiao node init` prints it.")],
    name: Name = "大数据局",
    licence: Licence = "-",
    directory: Directory = None,
) -> None:
    """Enrol the data bureau's node."""
    from audit.office.app import open_office
    from audit.office.enrolment import enrol_node as enrol

    with _plain_errors():
        enrol(open_office(_settings(directory)), name, licence, _public_key(key))
    typer.echo("the node is enrolled as node/service")


@app.command()
def enrol_window(
    key_file: Annotated[Path, typer.Option(help="The window's public key: base64 of 32 bytes.", exists=True)],
    directory: Directory = None,
) -> None:
    """Enrol the self-service window, through which subjects with an account act for themselves."""
    from audit.office.app import open_office
    from audit.office.enrolment import enrol_window as enrol

    with _plain_errors():
        enrol(open_office(_settings(directory)), _public_key(key_file.read_text(encoding="ascii", errors="replace")))
    typer.echo("the window is enrolled as office/window")


@app.command()
def models(
    text: Annotated[str, typer.Argument(help="Only models with this in an id: the model's, bank's, project's, parent's.")] = "",
    state: Annotated[str, typer.Option(help="filed, approved, refused, suspended, retired or replaced.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    directory: Directory = None,
) -> None:
    """List the register of models, newest first, with states and review dates; deciding is a clerk's, by signed requests."""
    from audit.office.app import open_office
    from audit.office.models_register import entry_of
    from audit.office.store.models import search
    from models.registry import STATES
    from models.wire import fields_of

    if state and state not in STATES:
        raise typer.BadParameter(f"a model's state is one of {', '.join(STATES)}")
    with _plain_errors():
        office = open_office(_settings(directory))
        now = int(office.clock())
        with office.engine.connect() as connection:
            found = search(connection, bank="", state=state, text=text, after="", most=MOST_MODELS)
    entries = [entry_of(model, now) for model in found]
    if as_json:
        typer.echo(json.dumps({"models": [fields_of(entry) for entry in entries]}, ensure_ascii=False))
    for entry in [] if as_json else entries:
        until = day_at(entry.review_by, office.settings.zone) if entry.review_by else "-"
        served = "served until" if entry.served else "NOT served  "
        typer.echo(f"{entry.id}  v{entry.version}  {entry.state:<9}  {served} {until}  {entry.bank}  {entry.project}")


@app.command()
def duties(directory: Directory = None) -> None:
    """Look now for objections that are due, and for reports and answers that banks owe; each warning is given once."""
    from audit.office.app import open_office
    from audit.office.duties import run_once

    with _plain_errors():
        done = run_once(open_office(_settings(directory)))
    typer.echo(
        f"warnings: {done.objections} about objections, {done.banks} about banks with overdue reports, "
        f"{done.openings} about answers that were not opened"
    )


@app.command()
def reconcile(
    day: Annotated[str, typer.Option(help="The day, such as 2026-01-31; by default yesterday.")] = "",
    directory: Directory = None,
) -> None:
    """Compare a day's tickets, evaluations and leaves of both logs; ends with 1 where something does not fit."""
    from audit.office.app import open_office
    from audit.office.reconcile import reconcile as run
    from audit.office.reconcile import yesterday
    from models.reconciliation import WHOLE

    with _plain_errors():
        office = open_office(_settings(directory))
        done = run(office, date.fromisoformat(day) if day else yesterday(office))
    typer.echo(f"{done.day}: {done.state}" + (f" ({done.detail})" if done.detail else ""))
    typer.echo(f"tickets {done.tickets}, leaves {done.leaves}, evaluations {done.evaluations}, unused {done.unused}")
    if done.state != WHOLE:
        raise typer.Exit(1)


@app.command()
def serve(directory: Directory = None) -> None:
    """Run the service until it is stopped."""
    from audit.office.app import open_office
    from audit.service.serving import serve as run

    with _plain_errors():
        settings = _settings(directory)
        open_office(settings).engine.dispose()  # what does not allow a start is told before any process is started
    run("audit.office.app:from_environment", settings)


def _plain_errors() -> AbstractContextManager[None]:
    from audit.office.keys import KeysError
    from audit.office.migrate import SchemaBehind
    from models.problems import Problem

    return plain_errors(KeysError, SchemaBehind, Problem)


def _settings(directory: Path | None) -> OfficeSettings:
    from audit.office.settings import OfficeSettings

    if directory is not None:
        os.environ["XINQIAO_OFFICE_DATA_DIR"] = str(directory)
    return OfficeSettings.from_environment()


def _upgrade(settings: OfficeSettings) -> None:
    from audit.database import open_engine
    from audit.office.migrate import upgrade

    upgrade(open_engine(settings.database))


def _public_key(text: str) -> bytes:
    """32 bytes from base64; a file of raw bytes is refused, since it may be somebody's private key."""
    try:
        key = b64decode(text.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != 32:
        typer.echo("a public key is given as base64 of 32 bytes, e.g. the .pub file of `xinqiao office new-key`", err=True)
        raise typer.Exit(2)
    return key


def _print_keys(office: Office) -> None:
    from audit.office.directory import service_keys

    public = service_keys(office)
    statement = b64encode(public.statement_key).decode()
    typer.echo(json.dumps({"statement_key": statement, "log": public.log_key, "witness": public.witness_key}, indent=2))
