"""A bank's own secret model on the command line: lay out columns, register weights, serve, ask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bank_client.cli_common import SETTINGS, Config, Json, session, show
from bank_client.project_cli import ProjectId

if TYPE_CHECKING:
    from models.private_model import PrivateField

private_model = typer.Typer(no_args_is_help=True, help="A scorecard whose weights the node never sees (行内评分卡).")
ModelFile = Annotated[Path, typer.Argument(metavar="MODEL", help="The model's file, which holds its weights and key.")]


@private_model.command("open")
def private_open(
    file: ModelFile,
    project: ProjectId,
    field: Annotated[list[str] | None, typer.Option(help="A field to weigh; by default all of the project's.")] = None,
    config: Config = SETTINGS,
    as_json: Json = False,
) -> None:
    """Have the node lay out an approved joint project's columns; shows fields and bins to put weights on."""
    from bank_client.private_model import PrivateModel

    _must_be_new(file)
    with session(config) as bank:
        model = PrivateModel.open(bank, project, field or ())
        model.save(file)
    layout = [{"field": f.name, "bins": f.count, "ordered": f.ordered, "where": _where(f)} for f in model.fields_]
    account = "\n".join(f"{one['field']}: {one['bins']} bins {one['where'] or '(not disclosed)'}" for one in layout)
    show({"model": model.model_id_, "rows": model.layout_.rows, "fields": layout}, account, as_json)


@private_model.command("register")
def private_register(
    file: ModelFile,
    weights: Annotated[Path, typer.Argument(help="JSON: field → one weight, or a list of one for each bin.", exists=True)],
    config: Config = SETTINGS,
    as_json: Json = False,
) -> None:
    """Encrypt weights for the node, and open them to the credit office, which checks them and decides."""
    from bank_client.private_model import PrivateModel

    with session(config) as bank:
        model = PrivateModel.load(file, bank)
        model.register(_weights(weights), keep=file)
    account = f"{model.model_id_} is registered; a clerk of the credit office decides on it"
    show({"model": model.model_id_}, account, as_json)


@private_model.command("serve")
def private_serve(file: ModelFile, config: Config = SETTINGS, as_json: Json = False) -> None:
    """Hand the office's approval to the node, whose operator then builds the table."""
    from bank_client.private_model import PrivateModel

    with session(config) as bank:
        table = PrivateModel.load(file, bank).serve()
    show({"table": table}, f"the node serves {table} from its next epoch on", as_json)


@private_model.command("ask")
def private_ask(
    file: ModelFile,
    subject: Annotated[str, typer.Argument(help="The applicant's id.")],
    purpose: Annotated[str, typer.Option(help="One that the project and the consent cover.")] = "loan-approval",
    config: Config = SETTINGS,
    as_json: Json = False,
) -> None:
    """An officer's question: the score of one consented applicant."""
    from bank_client.private_model import PrivateModel

    with session(config) as bank:
        found = PrivateModel.load(file, bank).ask(subject, purpose)
    account = "the node has no record of this person" if found.score is None else f"score {found.score}"
    show({"score": found.score}, account, as_json)


@private_model.command("score")
def private_score(
    file: ModelFile,
    people: Annotated[Path, typer.Argument(help="A CSV file with a line for each person.", exists=True, dir_okay=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write ids and scores.")],
    identity: Annotated[str, typer.Option("--id", help="The column that holds subject ids.")] = "id",
    purpose: Annotated[str, typer.Option(help="One that the project and the consents cover.")] = "loan-approval",
    config: Config = SETTINGS,
    as_json: Json = False,
) -> None:
    """A modeller's pass over a whole village: the score of everybody who consented."""
    from bank_client.cli_common import read_rows
    from bank_client.private_model import PrivateModel
    from models.durable import write_private

    with session(config) as bank:
        ids = list(map(str, read_rows(people, identity).index))
        scores = PrivateModel.load(file, bank).score(ids, purpose)
        lines = [[identity, "score"], *([i, "" if s != s else f"{s:.0f}"] for i, s in zip(ids, scores, strict=True))]  # noqa: PLR0124
        write_private(out, "".join(f"{','.join(map(_quoted, line))}\n" for line in lines).encode())
    known = int(scores.notna().sum())
    show({"asked": len(ids), "scored": known}, f"{known:,} of {len(ids):,} people are scored, in {out}", as_json)


def _quoted(text: str) -> str:
    return text if not set(text) & set(',"\n') else '"' + text.replace('"', '""') + '"'


def _weights(file: Path) -> dict[str, Any]:
    found = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(found, dict) or not all(isinstance(w, int) or _is_list(w) for w in found.values()):
        raise ValueError('the weights are a JSON object such as {"income": 3, "arrears": [0, -6, -14]}, of integers')
    return found


def _is_list(weight: object) -> bool:
    return isinstance(weight, list) and all(isinstance(points, int) for points in weight)


def _must_be_new(file: Path) -> None:
    if file.exists():
        typer.echo(f"{file} is there already; a model's file holds its key, so name a new one", err=True)
        raise typer.Exit(1)


def _where(field: PrivateField) -> str:
    """The bins of a field in a line, empty where they are not disclosed."""
    import numpy as np

    from models.scorecard.binning import bins_from_definition
    from models.scorecard.tables import group_labels

    return "; ".join(group_labels(bins_from_definition(field.bins), np.arange(field.count))) if field.bins else ""
