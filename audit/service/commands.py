"""What the services' commands have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def plain_errors(*told: type[Exception]) -> Iterator[None]:
    """What an operator can put right is told in a sentence, without a stack trace.

    Settings that do not allow a start end the command with 2, the exceptions of `told` with 1.
    """
    from pydantic import ValidationError

    from audit.service.settings import UnknownSetting

    try:
        yield
    except (ValidationError, UnknownSetting) as error:
        typer.echo(f"the settings do not allow a start: {error}", err=True)
        raise typer.Exit(2) from None
    except told as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
