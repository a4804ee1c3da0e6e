"""Whole-village checks on the command line: file a list, see what the office says, ask about everyone, write the result."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bank_client.cli_common import SETTINGS, Config, Json, session, show
from models.spreadsheets import csv_text

if TYPE_CHECKING:
    from bank_client.batch import BatchSummary, VillageBatch
    from models.batches import BatchStatus

village = typer.Typer(no_args_is_help=True, help="Check a whole village under one approval (整村授信).")
BatchId = Annotated[str, typer.Argument(metavar="BATCH", help="The batch's id.")]


@village.command("file")
def village_file(
    file: Annotated[Path, typer.Argument(help="A CSV file with a line for each person.", exists=True, dir_okay=False)],
    project: Annotated[str, typer.Option(help="The approved project whose table is asked.")],
    place: Annotated[str, typer.Option(help="The village, as people know it.")],
    identity: Annotated[str, typer.Option("--id", help="The column that holds subject ids.")] = "id",
    batch: Annotated[str, typer.Option(help="An id of your choice that names no person; by default one is made up.")] = "",
    purpose: Annotated[str, typer.Option(help="loan-approval or post-loan.")] = "loan-approval",
    table: Annotated[str, typer.Option(help="A score table, to look up scores instead.")] = "",
    days: Annotated[int, typer.Option(min=1, max=31, help="How long the approval is to last.")] = 7,
    approver: Annotated[Path | None, typer.Option(help="Settings file of the second person who approves.")] = None,
    config: Config = SETTINGS,
    as_json: Json = False,
) -> None:
    """File a list of people of one village; the credit office decides on it."""
    from bank_client.batch import VillageBatch

    with session(config) as bank, session(approver) if approver else nullcontext() as second:
        subjects = read_ids(file, identity)
        made = VillageBatch.file(
            bank, project, subjects, place=place, batch=batch, purpose=purpose, table=table, days=days, approver=second
        )
        with made:
            summary = made.summary()
    account = (
        f"{summary.batch} is filed for {summary.subjects:,} people of {summary.lines:,} lines; a clerk of the office decides"
    )
    if summary.not_valid:
        account += f"\n{summary.not_valid:,} lines hold no valid id and are left out; the result names them"
    show({"state": "filed", **asdict(summary)}, f"{account}\nthen: xinqiao bank village run {summary.batch}", as_json)


@village.command("status")
def village_status(batch: BatchId, config: Config = SETTINGS, as_json: Json = False) -> None:
    """Show whether the office has decided, and how far the batch has come."""
    with _batch(batch, config) as made:
        status, summary = made.status(), made.summary()
    facts = {"state": status.state, "reason": status.reason, "tickets": status.asked, "left": summary.left, **asdict(summary)}
    show(facts, f"{_state(status)}\n{account_of(summary)}", as_json)


@village.command("run")
def village_run(
    batch: BatchId,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write the result.")] = Path("village.csv"),
    again: Annotated[bool, typer.Option("--again", help="Ask once more about those who were refused.")] = False,
    wait: Annotated[int, typer.Option(min=0, help="Minutes to wait for the office's decision.")] = 0,
    config: Config = SETTINGS,
    as_json: Json = False,
) -> None:
    """Ask about everyone who was not asked about yet; what was found is written in any case. Run it again to go on."""
    from bank_client.progress import bars

    with _batch(batch, config) as made:
        try:
            made.wait(wait * 60.0)
            with bars(as_json) as progress:
                made.run(again=again, progress=progress)
        finally:
            if made.summary().counts:
                made.write(out)
        summary = made.summary()
    facts = {"file": str(out), "left": summary.left, **asdict(summary)}
    show(facts, f"{account_of(summary)}\nresult in {out}", as_json)


@village.command("forget")
def village_forget(batch: BatchId, config: Config = SETTINGS, as_json: Json = False) -> None:
    """Delete what is kept of a batch here, records included; the result file stays where you put it."""
    from bank_client.batch import VillageBatch

    with session(config) as bank:
        VillageBatch.forget(bank, batch)
    show({"batch": batch, "state": "forgotten"}, f"nothing of {batch} is kept any more", as_json)


@contextmanager
def _batch(batch: str, config: Path) -> Iterator[VillageBatch]:
    from bank_client.batch import VillageBatch

    with session(config) as bank, VillageBatch.resume(bank, batch) as made:
        yield made


def read_ids(file: Path, column: str) -> list[str]:
    """One column of a CSV file in UTF-8 or GB 18030, as it stands there; empty cells are left out. Raises ValueError."""
    rows = csv.DictReader(io.StringIO(csv_text(file.read_bytes(), file.name), newline=""))
    names = rows.fieldnames or []
    if column not in names:
        raise ValueError(f"{file.name} has no column {column}; its columns are {', '.join(names)}")
    return [value for row in rows if (value := (row[column] or "").strip())]


def account_of(summary: BatchSummary) -> str:
    """A summary for people."""
    words = {
        "record": "with a record",
        "no-record": "without a record in the table",
        "no-consent": "without a consent that covers it; not asked",
        "refused": "refused for another reason; not asked",
        "damaged": "damaged: the office has been told and decides what comes next; do not ask again by yourself",
    }
    lines = [f"{summary.place}: {summary.subjects - summary.left:,} of {summary.subjects:,} people are done"]
    lines += [f"  {summary.counts[state]:>7,}  {text}" for state, text in words.items() if summary.counts.get(state)]
    if summary.disputed:
        lines.append(f"  {summary.disputed:>7,}  of the records have a disputed field; see the column `disputed`")
    if summary.not_valid:
        lines.append(f"  {summary.not_valid:>7,}  lines of the list hold no valid id")
    if summary.lost:
        lines.append(f"  {summary.lost:>7,}  answers were lost on their way; these people were asked about once more")
    if summary.left:
        lines.append(f"  {summary.left:>7,}  left; run it again to go on")
    return "\n".join(lines)


def _state(status: BatchStatus) -> str:
    because = f": {status.reason}" if status.reason else ""
    return f"{status.id} is {status.state} at the credit office{because}"
