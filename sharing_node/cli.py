"""The node's commands: for its operator (init, migrate, serve, build, builder), its stewards (load, template, corrections)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from audit.service.commands import plain_errors
from sharing_node.corrections import app as corrections

if TYPE_CHECKING:
    from models.http_client import SignedClient
    from sharing_node.settings import NodeSettings

app = typer.Typer(no_args_is_help=True, help="The data node: keys, schema, service, deliveries, epochs.")
app.add_typer(corrections, name="corrections")

Url = Annotated[str, typer.Option(help="The node's URL.", envvar="XINQIAO_NODE_URL")]
PersonId = Annotated[str, typer.Option("--person", help="Your id, institution/name.")]
KeyFile = Annotated[Path, typer.Option("--key-file", help="Your private key (32 raw bytes).", exists=True)]


@app.command()
def init() -> None:
    """Make the data folder, the keys and the schema; prints the public keys that the office enrols."""
    from sharing_node.app import service_keys

    settings = _settings()
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    _migrate(settings)
    public = service_keys(settings)
    keys = {
        "statement_key": base64.b64encode(public.statement_key).decode(),
        "log": public.log_key,
        "witness": public.witness_key,
    }
    typer.echo(json.dumps(keys, indent=2))


@app.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    _migrate(_settings())
    typer.echo("the schema is up to date")


@app.command()
def serve() -> None:
    """Run the service until it is stopped."""
    from audit.service.serving import serve as run

    settings = _settings()
    _check_schema(settings)
    with _beside(settings):
        run("sharing_node.app:from_environment", settings)


@contextmanager
def _beside(settings: NodeSettings) -> Iterator[None]:
    """What runs beside the service's own processes, from before the first of them starts until after the last has ended."""
    from sharing_node.epochs.process import builder_beside

    with builder_beside() if settings.builder == "on" else nullcontext():
        yield


@app.command()
def load(
    file: Annotated[Path, typer.Argument(help="A CSV file: UTF-8 with or without BOM, or GB18030.", exists=True)],
    field_set: Annotated[str, typer.Option(help="The catalogue's category that the file delivers.")],
    as_of: Annotated[str, typer.Option(help="The day that the data describe, YYYY-MM-DD.")],
    person: PersonId,
    key_file: KeyFile,
    url: Url = "http://127.0.0.1:8701",
) -> None:
    """Deliver one file of one field set."""
    from urllib.parse import urlencode

    from models.loads import LoadReport

    query = urlencode({"field_set": field_set, "as_of": as_of, "name": file.name})
    with _client(url, person, key_file) as client:
        report = client.logged_raw(f"/loads?{query}", file.read_bytes(), "text/csv", LoadReport).answer
    typer.echo(f"{report.rows_loaded:,} of {report.rows_read:,} rows loaded ({report.encoding}) as delivery {report.batch}")
    for row in report.quarantined:
        typer.echo(f"  line {row.line}: {'; '.join(row.reasons)}")
    if report.quarantine_file:
        typer.echo(f"{report.rows_quarantined} rows were set aside in {report.quarantine_file} on the node")


@app.command()
def build(table: str, person: PersonId, key_file: KeyFile, url: Url = "http://127.0.0.1:8701") -> None:
    """Build the next epoch of a table, have the office check and seal it, and open it."""
    from models.problems import Problem
    from models.tables import BuildState, BuildTable
    from sharing_node.epochs.watch import watch

    with _client(url, person, key_file) as client:
        try:
            asked = client.logged(f"/tables/{table}/epochs", BuildTable(table=table), BuildState).answer
            ended = watch(lambda: client.get(f"/tables/{table}/builds/{asked.epoch}", BuildState))
        except Problem as problem:
            typer.echo(f"{problem.detail}. {problem.next_step}", err=True)
            raise typer.Exit(1) from None
    if ended.state == "failed":
        typer.echo(f"epoch {ended.epoch} of {table} was not built: {ended.detail}", err=True)
        raise typer.Exit(1)
    typer.echo(f"epoch {ended.epoch} of {table} is open")


@app.command()
def state_coverage(
    person: PersonId,
    key_file: KeyFile,
    url: Url = "http://127.0.0.1:8701",
    office: Annotated[str, typer.Option(help="The credit office's URL.")] = "http://127.0.0.1:8700",
) -> None:
    """Have the node state this month's coverage and freshness, and file its signed word with the credit office."""
    from models.logged import Empty
    from models.problems import Problem
    from models.supervision.messages import CoverageStatement
    from models.wire import Signed, decode

    try:
        with _client(url, person, key_file) as client, _client(office, person, key_file) as filing:
            signed = client.logged("/statements/coverage", Empty(), Signed).answer
            filing.logged("/statements/coverage", signed, Empty)
    except Problem as problem:
        typer.echo(f"{problem.detail}. {problem.next_step}", err=True)
        raise typer.Exit(1) from None
    stated = decode(signed.payload, CoverageStatement)
    typer.echo(f"{stated.month}: {len(stated.areas)} areas and {len(stated.freshness)} cycles are stated and filed")


@app.command()
def builder(
    beside: Annotated[bool, typer.Option("--beside", hidden=True, help="Started by `serve`, and ends with it.")] = False,
) -> None:
    """Build epochs that are asked for and those of the night, and close expired ones; `serve` starts one itself."""
    from sharing_node.epochs.process import stop_on_signals, yield_to_the_service

    if beside:
        yield_to_the_service()
    from audit.service.logs import configure_logging
    from sharing_node.app import open_node
    from sharing_node.epochs.builder import Builder

    settings = _settings()
    _check_schema(settings)
    configure_logging()
    Builder(open_node(settings)).run(stop_on_signals())


def template(
    field_set: Annotated[str, typer.Argument(help="A category of the catalogue, e.g. land.")],
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path(),
    encoding: Annotated[Literal["utf-8-sig", "gb18030"], typer.Option()] = "utf-8-sig",
    language: Annotated[Literal["zh", "en"], typer.Option(help="Language of the header.")] = "zh",
) -> None:
    """Write an empty CSV file for a field set, and a file that explains its columns."""
    from models.catalogue import CatalogueError, default_catalogue
    from sharing_node.ingest.template import description
    from sharing_node.ingest.template import template as empty_file

    catalogue = default_catalogue()
    if field_set not in catalogue.categories:
        typer.echo(f"no such field set; the catalogue has {', '.join(catalogue.categories)}", err=True)
        raise typer.Exit(2)
    try:
        chosen = catalogue.field_set(field_set)
    except CatalogueError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    empty, described = out / f"{field_set}.csv", out / f"{field_set}.columns.csv"
    out.mkdir(parents=True, exist_ok=True)
    empty.write_bytes(empty_file(chosen, encoding=encoding, language=language))
    described.write_bytes(description(chosen, encoding=encoding))
    typer.echo(f"wrote {empty} (to fill in) and {described} (what each column holds)")


def _settings() -> NodeSettings:
    from sharing_node.settings import NodeSettings

    with plain_errors():
        settings = NodeSettings.from_environment()
    return settings


def _check_schema(settings: NodeSettings) -> None:
    from audit.database import open_engine
    from audit.service.schema import SchemaBehind
    from sharing_node.migrate import check_schema

    engine = open_engine(settings.database)
    try:
        check_schema(engine)
    except SchemaBehind as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    finally:
        engine.dispose()


def _migrate(settings: NodeSettings) -> None:
    from audit.database import open_engine
    from sharing_node.migrate import upgrade

    upgrade(open_engine(settings.database))


def _client(url: str, person: str, key_file: Path) -> SignedClient:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from models.http_client import SignedClient

    return SignedClient(url, person, Ed25519PrivateKey.from_private_bytes(key_file.read_bytes()))
