"""The stewards' part of an objection, on the command line: what the office asks to be looked at, and the answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from models.http_client import SignedClient

app = typer.Typer(no_args_is_help=True, help="Objections that the credit office asks a department to look at.")

PersonId = Annotated[str, typer.Option("--person", help="Your id, institution/name.")]
KeyFile = Annotated[Path, typer.Option("--key-file", help="Your private key (32 raw bytes).", exists=True)]
OfficeUrl = Annotated[str, typer.Option("--office", help="The credit office's URL.")]
OFFICE = "http://127.0.0.1:8700"


@app.command("list")
def listed(person: PersonId, key_file: KeyFile, office: OfficeUrl = OFFICE) -> None:
    """Show what is asked and not answered yet, oldest first."""
    from models.disputes import Corrections
    from models.logged import Empty

    with _asking(office, person, key_file) as client:
        found = client.logged("/corrections/list", Empty(), Corrections).answer.corrections
    for one in found:
        asked = datetime.fromtimestamp(one.asked_at).date()
        typer.echo(f"{one.id}  asked {asked}  {one.subject}  {one.field}: {one.request}")
    if not found:
        typer.echo("nothing is asked")


@app.command()
def answer(
    request: Annotated[str, typer.Argument(help="The request's number, as `list` shows it.")],
    reply: Annotated[str, typer.Option(help="In words, what was found.")],
    person: PersonId,
    key_file: KeyFile,
    batch: Annotated[
        str, typer.Option(help="The delivery with the right value; without one the value on file was right.")
    ] = "",
    office: OfficeUrl = OFFICE,
) -> None:
    """Answer a request. A wrong value is delivered anew first (`xinqiao node load`), and `--batch` names that delivery."""
    from models.disputes import AnswerCorrection, Filing

    said = AnswerCorrection(corrected=bool(batch), reply=reply, batch=batch)
    with _asking(office, person, key_file) as client:
        client.logged(f"/corrections/{request}/answer", said, Filing)
    typer.echo("corrected: the office has been told" if batch else "the office has been told that the value is right")


@contextmanager
def _asking(office: str, person: str, key_file: Path) -> Iterator[SignedClient]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from models.http_client import SignedClient
    from models.problems import Problem

    try:
        with SignedClient(office, person, Ed25519PrivateKey.from_private_bytes(key_file.read_bytes())) as client:
            yield client
    except Problem as problem:
        typer.echo(f"{problem.detail}. {problem.next_step}", err=True)
        raise typer.Exit(1) from None
