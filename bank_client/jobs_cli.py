"""`xinqiao bank jobs`: what was begun and not brought to an end, and how to give one up."""

from __future__ import annotations

from typing import Annotated

import typer

from bank_client.cli_common import SETTINGS, Config, Json, session, show

jobs = typer.Typer(
    no_args_is_help=True, help="Alignments and trainings that were interrupted; the same command goes on with them."
)


@jobs.command("list")
def listed(config: Config = SETTINGS, as_json: Json = False) -> None:
    """What this data folder holds of jobs under way."""
    from bank_client.long_jobs import long_jobs

    with session(config) as bank:
        found = long_jobs(bank)
    facts = [
        {
            "name": one.name,
            "project": one.project,
            "training": one.job,
            "answered": one.answered,
            "touched": one.touched.isoformat(timespec="seconds"),
            "running": one.running,
        }
        for one in found
    ]
    lines = [
        f"{one.name}  {'another process is working with it' if one.running else one.project}  "
        f"{'training ' + one.job if one.job else 'no training yet'}  last went on {one.touched:%Y-%m-%d %H:%M} UTC"
        for one in found
    ]
    show({"jobs": facts}, "\n".join(lines) or "nothing is under way", as_json)


@jobs.command()
def cancel(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `list` shows it.")],
    config: Config = SETTINGS,
    as_json: Json = False,
) -> None:
    """Give a job up: node and bank delete what they hold of it; what it used of a budget stays used."""
    from bank_client.long_jobs import cancel_job

    with session(config) as bank:
        training = cancel_job(bank, name)
    show(
        {"cancelled": name, "training": training},
        f"{name} is given up" + (f", and training {training}" * bool(training)),
        as_json,
    )
