"""The console's commands: serve it, and say who may sign in."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Annotated

import typer

from models.key_files import ConfigError

app = typer.Typer(no_args_is_help=True, help="The credit office's web console.")
Config = Annotated[Path, typer.Option("--config", help="The settings file of the console.")]
PassphraseFile = Annotated[Path | None, typer.Option(help="Read the passphrase here, do not ask.")]


@app.command()
def keygen(
    file: Annotated[Path, typer.Argument(help="Where the key is written; it must not exist.")],
    of: Annotated[Path | None, typer.Option(help="Convert this clear key instead of making one.")] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make a signing key under a passphrase; prints the public key, which a clerk enrols."""
    from models.protected_keys import make_protected_key

    try:
        if passphrase_file is None:
            passphrase = str(typer.prompt("Passphrase", hide_input=True, confirmation_prompt=True))
        else:
            passphrase = passphrase_file.read_text(encoding="utf-8").strip()
        public = make_protected_key(file, passphrase, of)
    except (ConfigError, FileExistsError, FileNotFoundError) as error:
        raise _stop(error) from None
    typer.echo(base64.b64encode(public).decode())


@app.command("add-person")
def add_person(
    person: Annotated[str, typer.Option("--id", help="As enrolled: INSTITUTION/NAME.")],
    name: Annotated[str, typer.Option(help="As the sign-in page shows it.")],
    key_file: Annotated[Path, typer.Option(help="The person's protected key.")],
    config: Config = Path("console.toml"),
) -> None:
    """Let someone sign in; prints the one-time code with which they set up their second factor."""
    from audit.console.accounts import Accounts
    from audit.console.settings import ConsoleConfig
    from models.protected_keys import check_protected

    try:
        check_protected(key_file)
        accounts = Accounts(ConsoleConfig.load(config).data_dir)
        accounts.add_person(person, name, key_file)
    except ConfigError as error:
        raise _stop(error) from None
    typer.echo(json.dumps({"person": person, "code": accounts.issue_code(person)}))


@app.command("reset-second-factor")
def reset_second_factor(
    person: Annotated[str, typer.Option("--id", help="As enrolled: INSTITUTION/NAME.")],
    config: Config = Path("console.toml"),
) -> None:
    """Forget someone's second factors; prints the one-time code with which they set up new ones."""
    from audit.console.accounts import Accounts
    from audit.console.factors import Factors
    from audit.console.settings import ConsoleConfig

    try:
        settings = ConsoleConfig.load(config)
        accounts = Accounts(settings.data_dir)
        if accounts.person(person) is None:
            raise ConfigError(f"{person} may not sign in; add them with `xinqiao console add-person`")
    except ConfigError as error:
        raise _stop(error) from None
    Factors(accounts, settings.address).forget(person)
    typer.echo(json.dumps({"person": person, "code": accounts.issue_code(person)}))


@app.command()
def serve(config: Config = Path("console.toml")) -> None:
    """Serve the console to its browsers, until it is interrupted."""
    from audit.console.app import serve as serve_console
    from audit.console.settings import ConsoleConfig

    try:
        settings = ConsoleConfig.load(config)
        typer.echo(f"the console answers at {settings.address}", err=True)
        serve_console(settings)
    except ConfigError as error:
        raise _stop(error) from None


def _stop(error: Exception) -> typer.Exit:
    typer.echo(str(error), err=True)
    return typer.Exit(2)
