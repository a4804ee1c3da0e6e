"""Exposure checks on the command line: ask, answer other banks, and look at a book before it answers."""

from __future__ import annotations

import signal
from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from bank_client.cli_common import SETTINGS, Config, Json, session, show

exposure = typer.Typer(no_args_is_help=True, help="What an applicant owes at all other banks together (多头借贷).")
Book = Annotated[Path, typer.Argument(metavar="BOOK", help="A CSV file: an id and what is owed, in yuan.", exists=True)]
IdColumn = Annotated[str, typer.Option("--id", help="The column that holds subject ids.")]
Amount = Annotated[str, typer.Option(help="The column that holds what is owed, in yuan.")]


@exposure.command("ask")
def exposure_ask(
    identifier: Annotated[str, typer.Argument(metavar="PROJECT", help="An approved project of exposure checks.")],
    subject: Annotated[str, typer.Option(prompt="subject id", hide_input=True, help="Asked for when it is not given.")],
    purpose: Annotated[str, typer.Option(help="loan-approval or post-loan.")] = "loan-approval",
    approver: Annotated[Path | None, typer.Option(help="Settings file of the second person who approves.")] = None,
    config: Config = SETTINGS,
    as_json: Json = False,
) -> None:
    """Ask what one consented applicant owes at the other banks; the sum says which banks are missing in it."""
    from contextlib import nullcontext

    from bank_client.exposure import ExposureCheck

    with session(config) as bank, session(approver) if approver else nullcontext() as second:
        found = ExposureCheck(bank, identifier, approver=second).ask(subject, purpose)
    facts = {"amount": found.amount, "banks": found.banks, "answered": list(found.answered), "missing": list(found.missing)}
    facts |= {"question": found.question, "leaf": found.leaf.index, "leakage": list(found.leakage)}
    gap = f"\nNOT in it: {', '.join(found.missing)} did not answer" if found.missing else ""
    account = f"{found.amount:,} yuan at {found.banks} of {len(found.answered)} other banks{gap}"
    show(facts, f"{account}\nleaf {found.leaf.index} of the node's log\n" + "\n".join(found.leakage), as_json)


@exposure.command("serve")
def exposure_serve(
    book: Book,
    identity: IdColumn,
    amount: Amount = "amount",
    every: Annotated[float, typer.Option(min=0.05, help="Seconds between two looks for questions.")] = 0.5,
    config: Config = SETTINGS,
) -> None:
    """Answer other banks' checks from a book, until it is interrupted; the file is read again when it changes."""
    from bank_client.exposure_responder import Responder

    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with session(config) as bank:
        responder = Responder(bank, book, id_column=identity, amount_column=amount)
        known = len(responder.book().owed)
        typer.echo(f"answering for {known:,} borrowers until interrupted")
        responder.serve(stop, every=every, tell=lambda taken: typer.echo(f"{taken} answered"))


@exposure.command("book")
def exposure_book(
    book: Book, identity: IdColumn, amount: Amount = "amount", config: Config = SETTINGS, as_json: Json = False
) -> None:
    """Read a book, and have its borrowers tagged for the present epoch; nothing is answered yet."""
    from bank_client.exposure_book import read_book, tag_book

    with session(config) as bank:
        owed = read_book(book, bank.canonical, identity, amount)
        tagged = tag_book(bank, owed)
    facts = {"borrowers": len(owed), "yuan": sum(owed.values()), "epoch": tagged.epoch.epoch}
    show(facts, f"{len(owed):,} borrowers owe {sum(owed.values()):,} yuan; tagged for epoch {tagged.epoch.epoch}", as_json)
