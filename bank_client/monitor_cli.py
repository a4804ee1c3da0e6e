"""`xinqiao bank monitor`: drift of a served model as a table, a CSV file and a picture; exit code 2 where something shifted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bank_client.cli_common import SETTINGS, Config, Json, read_rows, session, show
from models.durable import write_private

if TYPE_CHECKING:
    from bank_client.monitoring import DriftReport

SHIFTED = 2


def monitor(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A file that `release` wrote.", exists=True)],
    file: Annotated[Path, typer.Argument(help="A CSV file of people that were scored, with the bank's fields.", exists=True)],
    identity: Annotated[str, typer.Option("--id", help="The column that holds subject ids.")] = "id",
    scores: Annotated[Path | None, typer.Option(help="What `score` wrote about them, for their bands.", exists=True)] = None,
    period: Annotated[str, typer.Option(help="The column that says in which period a row was scored.")] = "",
    moved: Annotated[float, typer.Option(help="From this PSI on a field counts as moved.")] = 0.1,
    shifted: Annotated[float, typer.Option(help="From this PSI on a field counts as shifted.")] = 0.25,
    node: Annotated[bool, typer.Option("--node/--no-node", help="Ask the node about its score table as well.")] = True,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where to write the table as CSV.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Where to draw it, as PNG.")] = None,
    config: Config = SETTINGS,
    as_json: Json = False,
) -> None:
    """Compare people that were scored with those a model was trained on. Nobody is asked about, and no ticket is spent."""
    import pandas as pd

    from bank_client.joint_scorecard import JointScorecard
    from bank_client.monitoring import review_day, table_drift, watch
    from models.scorecard.drift import Thresholds

    with session(config) as bank:
        rows, fitted = read_rows(file, identity), JointScorecard.load(model, bank)
        if period and period not in rows:
            raise ValueError(f"{file.name} has no column {period}; its columns are {', '.join(map(str, rows.columns))}")
        bands = None
        if scores is not None:
            bands = pd.to_numeric(read_rows(scores, identity)["band"], errors="coerce").reindex(rows.index)
        report = watch(
            fitted,
            rows,
            bands=bands,
            period=rows[period] if period else None,
            table=table_drift(fitted) if node else None,
            thresholds=Thresholds(moved, shifted),
        )
        review = review_day(fitted)
        if out is not None:
            write_private(out, report.table.to_csv(index=False).encode())
        if plot is not None:
            report.draw(plot)
    facts: dict[str, Any] = {
        "table": report.table.to_dict("records"),
        "node": report.node.to_dict("records"),
        "warnings": list(report.warnings),
        "review_by": None if review is None else review.isoformat(),
    }
    show(facts, _account(report) + f"\nto be reviewed by {review or 'a day that the office sets with its approval'}", as_json)
    if "shifted" in {*report.table.level[report.table.period == report.table.period.iloc[-1]], *report.node.level[-1:]}:
        raise typer.Exit(SHIFTED)


def _account(report: DriftReport) -> str:
    lines = [f"{'period':<10} {'what':<28} {'rows':>8} {'PSI':>7}  level"]
    for row in report.table.to_dict("records"):
        lines.append(f"{row['period']!s:<10} {row['what']:<28} {row['rows']:>8,} {row['psi']:>7.3f}  {row['level']}")
    for row in report.node.to_dict("records"):
        what = "score table, all people"
        lines.append(f"{row['quarter']:<10} {what:<28} {row['people']:>8,} {row['since_first']:>7.3f}  {row['level']}")
    return "\n".join([*lines, *report.warnings])
