"""Several banks, one model, on the command line: agree on columns, then train together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bank_client.cli_common import SETTINGS, Config, Json, plain_errors, read_rows, session, show, split_labels
from bank_client.project_cli import ProjectId

group = typer.Typer(no_args_is_help=True, help="Train one model with the other banks of a project.")
Csv = Annotated[Path, typer.Argument(help="A CSV file of the bank's own customers.", exists=True, dir_okay=False)]
IdColumn = Annotated[str, typer.Option("--id", help="The column that holds subject ids.")]


@group.command("propose")
def group_propose(
    file: Csv,
    identity: IdColumn,
    columns: Annotated[str, typer.Option(help="The bank columns that all banks have, with commas between.")],
    max_bins: Annotated[int, typer.Option(min=2, max=20, help="Bins a column at most.")] = 20,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write them.")] = Path("columns.json"),
    as_json: Json = False,
) -> None:
    """Propose bins of the common columns from your own rows, as a file for the other banks; it holds bins and no row."""
    from bank_client.frames import columns_of
    from models.scorecard.group_columns import propose, write_definitions
    from models.scorecard.limits import Limits

    with plain_errors():
        names = [name.strip() for name in columns.split(",") if name.strip()]
        rows = read_rows(file, identity)
        if missing := [name for name in names if name not in rows]:
            raise ValueError(f"{file.name} has no column {', '.join(missing)}")
        made = propose(columns_of(rows[names]), Limits(levels=max_bins))
        write_definitions(made, out)
    facts = {"file": str(out), "bins": {bins.field: bins.count for bins in made}}
    account = "\n".join(f"  {bins.field:<28} {bins.count} bins" for bins in made)
    show(facts, f"{account}\nkept in {out}; every bank of the training uses this file", as_json)


@group.command("train")
def group_train(
    identifier: ProjectId,
    file: Csv,
    identity: IdColumn,
    label: Annotated[str, typer.Option("--label", help="The column that holds labels, 1 for bad.")],
    name: Annotated[str, typer.Option(help="What the banks call this training.")],
    columns: Annotated[Path, typer.Option(help="The agreed columns, as `group propose` wrote them.", exists=True)],
    minutes: Annotated[int, typer.Option(min=1, max=1440, help="How long each step waits for a bank.")] = 30,
    cohort: Annotated[Path | None, typer.Option(help="A cohort that `align` wrote; else the rows are aligned now.")] = None,
    max_bins: Annotated[int, typer.Option(min=2, max=20, help="Bins a column at most.")] = 20,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write the result.")] = Path("trained.json"),
    config: Config = SETTINGS,
    as_json: Json = False,
) -> None:
    """Train one model with the other banks; all run this with the same name, columns and times. `release` follows."""
    from bank_client.alignment import AlignedCohort
    from bank_client.group_training import Group
    from bank_client.joint_scorecard import JointScorecard
    from bank_client.progress import bars
    from models.scorecard.group_columns import read_definitions
    from models.scorecard.limits import Limits

    with session(config) as bank, bars(as_json) as progress:
        rows, labels = split_labels(read_rows(file, identity), label)
        agreed = Group(name, tuple(read_definitions(columns, Limits(levels=max_bins))), step_seconds=60 * minutes)
        aligned = AlignedCohort.load(cohort) if cohort else None
        model = JointScorecard(identifier, bank, aligned, max_bins=max_bins, group=agreed, progress=progress).fit(rows, labels)
        model.save(out)
    everybody, own = model.figures_.rows, model.cohort_.rows
    facts = {"job": model.job_, "rows": own, "rows_of_all": everybody, "iv": model.iv_.round(4).to_dict()}
    strongest = "\n".join(f"  {field:<28} {value:.3f}" for field, value in model.iv_.head(10).items())
    account = f"trained on {everybody:,} rows of all banks, {own:,} of them your own; information values:\n{strongest}"
    show(facts, f"{account}\nkept in {out}", as_json)
