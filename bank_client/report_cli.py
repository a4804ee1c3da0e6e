"""`xinqiao bank report` and `xinqiao bank export`: a model's page for people, and its half for a decision engine."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bank_client.cli_common import Json, plain_errors, read_rows, session, show, split_labels

if TYPE_CHECKING:
    import pandas as pd

    from bank_client.joint_scorecard import JointScorecard
    from bank_client.session import Bank
    from models.registry import ModelRecord

MODEL_HELP = "A file that `release` wrote."
Released = Annotated[Path, typer.Argument(metavar="MODEL", help=MODEL_HELP, exists=True, dir_okay=False)]
Challenger = Annotated[
    Path | None,
    typer.Argument(metavar="[CHALLENGER]", help="Another one, to compare.", exists=True, dir_okay=False),
]
Rows = Annotated[Path | None, typer.Option(help="A CSV file of rows with outcomes.", exists=True, dir_okay=False)]


def report(
    model: Released,
    challenger: Challenger = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write the page.")] = Path("report.html"),
    rows: Rows = None,
    identity: Annotated[str, typer.Option("--id", help="With --rows: the column that holds subject ids.")] = "id",
    label: Annotated[str, typer.Option(help="With --rows: the column that holds labels, 1 for bad.")] = "y",
    period: Annotated[str, typer.Option(help="With --rows: the column that holds each row's period.")] = "",
    approve: Annotated[float, typer.Option(min=0.01, max=0.99, help="Share of rows approved, for the swap set.")] = 0.8,
    title: Annotated[str, typer.Option(help="Of the page.")] = "",
    note: Annotated[str, typer.Option(help="A line under the title.")] = "",
    config: Annotated[
        Path | None,
        typer.Option(help="Settings file: adds the office's entry; needed with --rows.", envvar="XINQIAO_BANK_CONFIG"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write one HTML page about a model, or about two side by side; without --rows from the training's own counts.

    With --rows, customers of the cohort cost nothing; every other row is a private query, as in `score`.
    """
    from bank_client.joint_scorecard import JointScorecard
    from bank_client.report import write_report

    files = [model] if challenger is None else [model, challenger]
    with plain_errors(), session(config) if config else nullcontext() as bank:
        if rows is not None and bank is None:
            raise ValueError("rows are judged with the bank's session: give --config as well")
        loaded = [JointScorecard.load(file, bank) for file in files]
        X = y = of = None
        if rows is not None:
            X, y = split_labels(read_rows(rows, identity), label)
            of = _column(X, period) if period else None
        records = [_record(bank, one) for one in loaded]
        write_report(loaded, out, X, y, period=of, approve=approve, title=title, note=note, records=records)
        names = [one.model_id_ for one in loaded]
    show({"models": names, "file": str(out)}, f"the report is in {out}; open it in any browser", as_json)


def export(
    model: Released,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write the ONNX file.")] = Path("half.onnx"),
    as_json: Json = False,
) -> None:
    """Write the bank's half of a model as ONNX: own fields and the node's band in, probability of default out."""
    from bank_client.half_digest import half_digest
    from bank_client.joint_scorecard import JointScorecard

    with plain_errors():
        loaded = JointScorecard.load(model)
        if not hasattr(loaded, "card_"):
            raise ValueError("this model is not released; give the file that `release` wrote")
        digest = half_digest(loaded.half_)
        if loaded.card_.half not in {"", digest}:
            raise ValueError("the half in this file is another one than the card states; it was changed after the release")
        loaded.export(out)
    show({"model": loaded.model_id_, "half": digest, "file": str(out)}, f"the bank's half {digest} is in {out}", as_json)


def _column(X: pd.DataFrame, name: str) -> pd.Series[Any]:
    if name not in X:
        raise ValueError(f"the file has no column {name}; its columns are {', '.join(map(str, X.columns))}")
    return X.pop(name)


def _record(bank: Bank | None, model: JointScorecard) -> ModelRecord | None:
    """What the office has on file; nothing where the model was never registered."""
    from models.problems import NotFound
    from models.registry import ModelRecord

    if bank is None or not hasattr(model, "model_id_"):
        return None
    try:
        return bank.office.get(f"/models/{model.model_id_}/record", ModelRecord)
    except NotFound:
        return None
