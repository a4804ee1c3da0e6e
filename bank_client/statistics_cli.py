"""Statistics across banks on the command line: begin a table, look at one, take part in it, read what came out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bank_client.cli_common import SETTINGS, Config, Json, session, show

if TYPE_CHECKING:
    from models.statistics import StatisticsRelease, StatisticsTable

statistics = typer.Typer(no_args_is_help=True, help="Tables over several banks, e.g. the rate of bad loans by township.")
SessionId = Annotated[str, typer.Argument(metavar="SUM", help="The sum's id, which `begin` prints.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Where to write the table as CSV.")]


@statistics.command("begin")
def statistics_begin(
    file: Annotated[Path, typer.Argument(metavar="TABLE", help="A JSON file: project, title, period, rows, measures.")],
    proof: Annotated[bool, typer.Option("--proof/--no-proof", help="Have the office recompute every bank's table.")] = True,
    minutes: Annotated[int, typer.Option(min=1, max=1440, help="How long each step waits for a bank.")] = 60,
    config: Config = SETTINGS,
    as_json: Json = False,
) -> None:
    """Begin the sum of a table over the banks of its project; prints the id that all of them take part under."""
    from bank_client.statistics import begin

    with session(config) as bank:
        opened = begin(bank, read_table(file), proven=proof, step_seconds=60 * minutes)
    account = f"{opened.session} is begun; every bank: xinqiao bank statistics join {opened.session} BORROWERS.csv"
    show({"sum": opened.session, "project": opened.table.project, "about": opened.terms.about}, account, as_json)


@statistics.command("look")
def statistics_look(identifier: SessionId, config: Config = SETTINGS, as_json: Json = False) -> None:
    """Show what a sum is about and where it stands, before you take part."""
    from bank_client.statistics import look
    from models.aggregation import AggregationState

    with session(config) as bank:
        opened = look(bank, identifier)
        state = bank.node.get(f"/aggregations/{identifier}", AggregationState)
    where = f"round {state.round}, step {state.phase.value}: {', '.join(state.done) or 'nobody yet'}"
    proof = "the office sees and checks each bank's table" if opened.terms.proven else "nobody checks a bank's table"
    facts = {"sum": identifier, "phase": state.phase.value, "done": list(state.done), "table": plain(opened.table)}
    show(facts, f"{account_of(opened.table)}\n  {proof}\n{where} {state.reason}".rstrip(), as_json)


@statistics.command("join")
def statistics_join(
    identifier: SessionId,
    file: Annotated[Path, typer.Argument(metavar="BORROWERS", help="A CSV file with a line for each borrower.", exists=True)],
    out: Out = Path("statistics.csv"),
    config: Config = SETTINGS,
    as_json: Json = False,
) -> None:
    """Take part with this bank's borrowers to the end, and write what comes out. Run it again to go on."""
    import pandas as pd

    from bank_client.progress import bars
    from bank_client.statistics import cells_of, look, take_part

    with session(config) as bank:
        opened = look(bank, identifier)
        keys = {opened.table.row_key: str, opened.table.column_key: str}
        cells = cells_of(opened.table, pd.read_csv(file, dtype=keys))
        with bars(as_json) as progress:
            released = take_part(bank, opened, cells, progress=progress)
    _write(released, out, as_json)


@statistics.command("result")
def statistics_result(
    identifier: SessionId, out: Out = Path("statistics.csv"), config: Config = SETTINGS, as_json: Json = False
) -> None:
    """Write what came out of a sum."""
    from bank_client.statistics import look, result

    with session(config) as bank:
        released = result(bank, look(bank, identifier))
    _write(released, out, as_json)


def read_table(file: Path) -> StatisticsTable:
    """A table as people write it; raises ValueError for anything that does not belong there."""
    import msgspec

    from models.statistics import StatisticsTable

    try:
        return msgspec.json.decode(file.read_bytes(), type=StatisticsTable)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file.name} describes no table: {error}") from None


def plain(table: StatisticsTable) -> dict[str, Any]:
    """A table as it stands in a JSON file."""
    import msgspec

    values: dict[str, Any] = json.loads(msgspec.json.encode(table))
    return values


def account_of(table: StatisticsTable) -> str:
    """A table for people."""
    keys = f"{len(table.rows)} × {table.row_key}" + (
        f" by {len(table.columns)} × {table.column_key}" if table.column_key else ""
    )
    measures = ", ".join(f"{m.name} ({m.kind.value}{' in ' + m.unit if m.unit else ''})" for m in table.measures)
    return f"{table.title}, {table.period}\n  cells: {keys}\n  sums: borrowers, {measures}"


def _write(released: StatisticsRelease, out: Path, as_json: bool) -> None:
    from bank_client.statistics import frame_of

    frame = frame_of(released)
    frame.to_csv(out, index=False)
    facts = {"file": str(out), "banks": list(released.banks), "hidden": released.hidden, "noise": released.noise}
    hidden = f"{released.hidden} numbers are hidden, since too few people or banks stand behind them"
    noise = f"\nnoise: {released.noise}" if released.noise else ""
    account = f"{frame.to_string(index=False, na_rep='–')}\n\nsummed over {', '.join(released.banks)}; {hidden}{noise}"
    show(facts, f"{account}\nwritten to {out}", as_json)
