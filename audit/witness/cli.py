"""The witness's commands, for whoever runs it: an office, a bank, anyone who wants to hold a log to its word."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audit.service.commands import plain_errors

if TYPE_CHECKING:
    from audit.witness.settings import WitnessSettings

app = typer.Typer(no_args_is_help=True, help="A witness: cosigns what logs show only if it extends what it cosigned before.")

Directory = Annotated[
    Path | None, typer.Option("--dir", help="The data folder; by default what XINQIAO_WITNESS_DATA_DIR names.")
]


@app.command()
def init(directory: Directory = None) -> None:
    """Make the data folder, the key and the store; prints the verifier key."""
    from audit.witness.setup import set_up

    with _plain_errors():
        key = set_up(_settings(directory)).key
    typer.echo(json.dumps({"witness": str(key)}, indent=2))


@app.command()
def keys(directory: Directory = None) -> None:
    """Print the verifier key that others need to believe this witness."""
    from audit.witness.setup import signer

    with _plain_errors():
        key = signer(_settings(directory)).key
    typer.echo(json.dumps({"witness": str(key)}, indent=2))


@app.command()
def seen(directory: Directory = None) -> None:
    """Print what it cosigned last of each log, and how many forks it holds as evidence. Ends with 1 where there is one."""
    from audit.witness.setup import open_store

    with _plain_errors():
        settings = _settings(directory)
        store = open_store(settings)
    forks = 0
    for origin in settings.log_keys:
        last, of_log = store.last(origin), len(store.forks(origin))
        forks += of_log
        if last is None:
            typer.echo(f"{origin}  nothing yet")
        else:
            at = datetime.fromtimestamp(last.time, UTC).isoformat(timespec="seconds")
            typer.echo(f"{origin}  {last.checkpoint.size:,} entries  {last.checkpoint.root.hex()}  {at}  forks: {of_log}")
    if forks:
        raise typer.Exit(1)


@app.command()
def serve(directory: Directory = None) -> None:
    """Run the witness until it is stopped."""
    import uvicorn

    from audit.witness.app import create_app

    with _plain_errors():
        settings = _settings(directory)
        create_app(settings)  # what does not allow a start is told in a sentence
    uvicorn.run(
        "audit.witness.app:from_environment",
        factory=True,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
    )


def _plain_errors() -> AbstractContextManager[None]:
    from audit.witness.setup import NotReady

    return plain_errors(NotReady, ValueError)


def _settings(directory: Path | None) -> WitnessSettings:
    from audit.witness.settings import WitnessSettings
    from audit.witness.setup import in_folder

    if directory is not None:
        in_folder(directory)
    return WitnessSettings.from_environment()
