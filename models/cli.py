"""The `xinqiao` command: it shows the commands that the packages bring, and runs one of them.

A package announces a command as an entry point of the group ``xinqiao.commands``. The entry's name is the
command's name; its object is a Typer app (a group of commands: `xinqiao node …`) or a function with Typer's
annotations (one command: `xinqiao verify`); in brackets stands the extra that it needs:

    node = "sharing_node.cli:app [node]"

Only the module of the command that was asked for is imported; a command imports what is heavy when it runs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import EntryPoint, entry_points, version
from typing import Annotated

import typer

GROUP = "xinqiao.commands"
OURS = frozenset({"sharing_node", "bank_client", "models", "crypto", "audit"})


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line ``arguments``, by default the process's own; leaves by SystemExit."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    announced = {entry.name: entry for entry in entry_points(group=GROUP)}
    asked = announced.get(arguments[0]) if arguments else None
    app = build([asked] if asked else announced.values())
    try:
        app(args=arguments, prog_name="xinqiao")
    except ModuleNotFoundError as error:
        if asked is None or not _is_foreign(error):
            raise
        typer.echo(_install_hint(asked, error), err=True)
        raise SystemExit(1) from None


def build(entries: Iterable[EntryPoint]) -> typer.Typer:
    """The Typer app that holds the commands of ``entries``."""
    app = typer.Typer(
        help="Xinqiao (信桥): banks use a government's rural credit data without receiving it.",
        no_args_is_help=True,
        pretty_exceptions_show_locals=False,  # local variables may hold keys
    )
    app.callback()(_common)
    for entry in sorted(entries, key=lambda entry: entry.name):
        _add(app, entry)
    return app


def _add(app: typer.Typer, entry: EntryPoint) -> None:
    try:
        command = entry.load()
    except ModuleNotFoundError as error:
        if not _is_foreign(error):
            raise
        _add_unavailable(app, entry, _install_hint(entry, error))
        return
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=entry.name, rich_help_panel="Parties")
    else:
        app.command(entry.name)(command)


def _add_unavailable(app: typer.Typer, entry: EntryPoint, hint: str) -> None:
    """Stands in for a command whose extra is not installed: takes any arguments and says what to install."""

    @app.command(
        entry.name,
        help=f"Needs the extra: {', '.join(entry.extras)}",  # brackets would be read as markup
        rich_help_panel="Not installed",
        add_help_option=False,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )
    def explain() -> None:
        typer.echo(hint, err=True)
        raise typer.Exit(1)


def _is_foreign(error: ModuleNotFoundError) -> bool:
    """Is somebody else's module missing? One of ours that is missing is a fault, not an extra."""
    return (error.name or "").partition(".")[0] not in OURS


def _install_hint(entry: EntryPoint, error: ModuleNotFoundError) -> str:
    requirement = _requirement(entry)
    return f"`xinqiao {entry.name}` needs the module {error.name!r}; install it: pip install '{requirement}'"


def _requirement(entry: EntryPoint) -> str:
    return f"xinqiao[{','.join(entry.extras)}]" if entry.extras else "xinqiao"


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"xinqiao {version('xinqiao')}")
        raise typer.Exit


Version = typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and stop.")


def _common(_version: Annotated[bool, Version] = False) -> None:
    """Options that stand before the command."""
