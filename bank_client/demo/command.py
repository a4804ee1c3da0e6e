"""The commands `xinqiao demo` and `xinqiao up`."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bank_client.demo.county_job import CountyJob

Out = Annotated[Path, typer.Option(help="Folder for the account, the plots and the receipt.")]
OUT = Path("demo-out")


def demo(
    bank_csv: Annotated[list[Path] | None, typer.Option(help="The bank's file; may be given in parts.", exists=True)] = None,
    node_csv: Annotated[Path | None, typer.Option(help="The node's file.", exists=True)] = None,
    id_: Annotated[str, typer.Option("--id", help="The id column of both files.")] = "id",
    label: Annotated[str, typer.Option(help="The label column of the bank's file: 1 for bad.")] = "y",
    train_rows: Annotated[int, typer.Option(min=1, help="Rows to train on, by id; the rest are applicants.")] = 1_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    households: Annotated[int, typer.Option(min=1_000, help="Size of the synthetic county.")] = 20_000,
    out: Out = OUT,
) -> None:
    """Run the whole main job: on the synthetic county, or on any two CSV files with --bank-csv and --node-csv."""
    if (bank_csv is None) != (node_csv is None):
        typer.echo("give both --bank-csv and --node-csv, or neither for the synthetic county", err=True)
        raise typer.Exit(2)
    with _plain_errors():
        if bank_csv and node_csv:
            _demo_csv(tuple(bank_csv), node_csv, id_, label, train_rows, as_json=as_json)
        else:
            _demo_county(out, households)


def up(out: Out = OUT, households: Annotated[int, typer.Option(min=1_000)] = 20_000) -> None:
    """Run the main job on the synthetic county and leave the services running."""
    with _plain_errors():
        _demo_county(out, households, leave_running=True)


def _demo_csv(bank_csv: tuple[Path, ...], node_csv: Path, id_: str, label: str, train_rows: int, *, as_json: bool) -> None:
    from bank_client.demo.csv_job import CsvJob, run_csv_job
    from bank_client.progress import bars

    def say(line: str) -> None:
        typer.echo(line, err=as_json)

    with tempfile.TemporaryDirectory(prefix="xinqiao-") as folder, bars(quiet=as_json) as progress:
        result = run_csv_job(CsvJob(bank_csv, node_csv, id_, label, train_rows), Path(folder), say, progress)
    if as_json:
        typer.echo(json.dumps(result))
        return
    typer.echo("")
    for key, value in result.items():
        if not isinstance(value, dict):
            typer.echo(f"  {key:<12} {value}")


def _demo_county(out: Path, households: int, *, leave_running: bool = False) -> None:
    from bank_client.demo.account import tell
    from bank_client.demo.county_job import CountyJob, Sizes, make_county
    from bank_client.demo.town import Town
    from bank_client.progress import bars

    started = time.perf_counter()
    run = out / time.strftime("%Y%m%d-%H%M%S")
    with bars() as progress:
        typer.echo(make_county(run / "county", Sizes(households, max(20, households * 3 // 100), households * 3 // 10)))
        town = Town(run / "town")
        try:
            town.start()
            job = CountyJob(town, run / "county", say=typer.echo, progress=progress)
            ok = tell(job, run, started)
            if leave_running and ok:
                _say_where(job, run)
                return
        except BaseException:
            town.stop()
            raise
        town.stop()
    if not ok:
        raise typer.Exit(1)
    typer.echo("main job: ok")


def _say_where(job: CountyJob, run: Path) -> None:
    from bank_client.demo.console import start_console
    from bank_client.demo.county_job import OFFICIALS
    from bank_client.demo.desk import start_desk
    from bank_client.demo.town import ServiceDied

    town = job.town
    pids = [str(s.process.pid) for s in town.services if s.process is not None]
    typer.echo("main job: ok")
    typer.echo(f"the credit office answers at {town.office.url}, the data node at {town.node.url}")
    witnesses = " ".join(f"--witness-key '{vkey}'" for vkey in town.cosigners("node"))
    keys = f"--log-key '{town.node_keys['log']}' {witnesses}"
    typer.echo(f"check the node's log from outside: xinqiao verify {town.node.url}/log {keys}")
    try:
        desk = start_desk(job, run / "desk")
    except ServiceDied as error:
        typer.echo(str(error), err=True)  # the services go on without it
    else:
        pids.append(str(desk.pid))
        typer.echo(f"the officers' desk is at {desk.url}; their passphrase is in {desk.passphrase_file}")
        typer.echo(f"an invented applicant with both consents: {job.consented().removeprefix('citizen:')}")
    try:
        console = start_console(
            town, {person: (job.name_of(person), job.role_of(person)) for person in OFFICIALS}, run / "console"
        )
    except ServiceDied as error:
        typer.echo(str(error), err=True)
    else:
        pids.append(str(console.pid))
        typer.echo(f"the credit office's console is at {console.url}; who signs in how is in {console.sign_in_file}")
    typer.echo(f"keys of all people are in {town.folder / 'people'}; stop the services with: kill {' '.join(pids)}")


@contextmanager
def _plain_errors() -> Iterator[None]:
    """What went wrong and what to do, in sentences."""
    from bank_client.config import ConfigError
    from bank_client.demo.csv_job import CsvJobError
    from bank_client.demo.town import ServiceDied
    from models.problems import Problem

    try:
        yield
    except Problem as problem:
        typer.echo(f"{problem.title}: {problem.detail}\n{problem.next_step}", err=True)
        sys.exit(1)
    except (ConfigError, CsvJobError, ServiceDied, ValueError) as error:
        typer.echo(str(error), err=True)
        sys.exit(1)
