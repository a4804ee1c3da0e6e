"""What all of the bank's commands share: the settings, sessions, refusals in plain words, one way to print."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import pandas as pd

    from bank_client.session import Bank

Config = Annotated[Path, typer.Option("--config", help="The settings file.", envvar="XINQIAO_BANK_CONFIG")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
SETTINGS = Path("bank.toml")


@contextmanager
def session(config: Path) -> Iterator[Bank]:
    """A person's session; refusals end the command as `plain_errors` says."""
    from bank_client.session import Bank

    with plain_errors(), Bank(config) as bank:
        yield bank


@contextmanager
def plain_errors() -> Iterator[None]:
    """Print what went wrong, and what to do next, on the error stream and end with exit code 1."""
    import warnings

    from audit.verifier.errors import LogError
    from crypto.errors import CryptoError
    from models.problems import Problem

    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("default")
            yield
        for message in dict.fromkeys(str(warning.message) for warning in said):
            typer.echo(message, err=True)
    except Problem as problem:
        typer.echo(f"{problem.title}: {problem.detail}\n{problem.next_step}", err=True)
    except (CryptoError, LogError, ValueError) as error:
        typer.echo(str(error), err=True)
    except OSError as error:
        typer.echo(f"{error.strerror}: {error.filename}", err=True)
    else:
        return
    raise typer.Exit(1)


def show(facts: dict[str, Any], account: str, as_json: bool) -> None:
    """Print one JSON object, or a short account for people."""
    typer.echo(json.dumps(facts, ensure_ascii=False) if as_json else account)


def read_rows(file: Path, identity: str) -> pd.DataFrame:
    """A CSV file indexed by its column of ids, which stay text; raises ValueError."""
    import pandas as pd

    frame = pd.read_csv(file, dtype={identity: str})
    if identity not in frame:
        raise ValueError(f"{file.name} has no column {identity}; its columns are {', '.join(map(str, frame.columns))}")
    return frame.set_index(identity)


def split_labels(frame: pd.DataFrame, label: str) -> tuple[pd.DataFrame, pd.Series[Any]]:
    """Rows and labels apart; raises ValueError."""
    if label not in frame:
        raise ValueError(f"the file has no column {label}; its columns are {', '.join(map(str, frame.columns))}")
    return frame.drop(columns=label), frame[label]
