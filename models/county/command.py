"""The command ``xinqiao synth``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def synth(
    out: Annotated[Path, typer.Option(help="Folder to write; new, or an earlier synthetic county.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same files.")] = 20_260_630,
    households: Annotated[int, typer.Option(min=1_000)] = 20_000,
    organisations: Annotated[int, typer.Option(min=20)] = 600,
    loans: Annotated[int, typer.Option(min=100, help="Borrowers, one loan each.")] = 6_000,
) -> None:
    """Write a synthetic county: department files, a bank's loans, consents, and the truth behind them."""
    from models.county import generate_county

    try:
        summary = generate_county(out, seed, households, organisations, loans)
    except (ValueError, FileExistsError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    typer.echo(f"{summary.synthetic}\n")
    for name, rows in summary.files.items():
        typer.echo(f"{rows:>8,} rows  {name}")
    typer.echo(
        f"\n{summary.default_rate:.1%} of {summary.loans:,} loans defaulted; {summary.quarantined_rows} rows are faulty and "
        f"{summary.conflicting_rows} contradict each other on purpose (truth/defects.csv)"
    )


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("synth")(synth)
