"""The office's register of models on the bank's command line: list, look at one with its line, retire one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

import typer

from bank_client.cli_common import SETTINGS, Config, Json, session, show

if TYPE_CHECKING:
    from models.registry import ModelEntry, ModelRecord

models = typer.Typer(no_args_is_help=True, help="Models at the credit office: versions, states, review dates, lineage.")
ModelId = Annotated[str, typer.Argument(metavar="MODEL", help="The model's id.")]


@models.command("list")
def models_list(
    text: Annotated[str, typer.Argument(help="Only models with this in an id: the model's, project's or parent's.")] = "",
    state: Annotated[str, typer.Option(help="filed, approved, refused, suspended, retired or replaced.")] = "",
    config: Config = SETTINGS,
    as_json: Json = False,
) -> None:
    """List this bank's models, newest first, with their states and review dates."""
    from models.registry import ModelList
    from models.wire import fields_of

    with session(config) as bank:
        found: list[ModelEntry] = []
        after = ""
        while True:
            page = bank.office.get("/models?" + urlencode({"text": text, "state": state, "after": after}), ModelList)
            found += page.models
            after = page.after
            if not after:
                break
    account = "\n".join(_line(entry) for entry in found) or "the office has no such model of this bank"
    show({"models": [fields_of(entry) for entry in found]}, account, as_json)


@models.command("show")
def models_show(model: ModelId, config: Config = SETTINGS, as_json: Json = False) -> None:
    """Show what the office has on file about a model: card, signatures, decisions, line."""
    from models.registry import ModelRecord
    from models.wire import fields_of

    with session(config) as bank:
        record = bank.office.get(f"/models/{model}/record", ModelRecord)
    facts: dict[str, Any] = fields_of(record.entry)
    facts |= {"history": [fields_of(event) for event in record.history], "lineage": [e.id for e in record.lineage]}
    facts["signed"] = {name: digest for name, _, digest in _signatures(record)}
    show(facts, _account(record), as_json)


@models.command("retire")
def models_retire(
    model: ModelId,
    reason: Annotated[str, typer.Option(help="Why; it stands in the register and in the log.")],
    config: Config = SETTINGS,
    as_json: Json = False,
) -> None:
    """Retire one of this bank's models: its scores are served no more, and that is final."""
    from models.registry import RETIRED, ChangeModel
    from models.tables import ModelStatus

    with session(config) as bank:
        asked = ChangeModel(subject=model, state=RETIRED, reason=reason)
        status = bank.office.logged(f"/models/{model}/state", asked, ModelStatus).answer
    show({"model": model, "state": status.state}, f"{model} is {status.state}; its scores are served no more", as_json)


def _line(entry: ModelEntry) -> str:
    until = f"until {_day(entry.review_by)}" if entry.review_by else ""
    served = f"serves {until}" if entry.served else f"not served {f'(was {until})' if until else ''}".rstrip()
    return f"{entry.id}  v{entry.version}  {entry.state:<9}  AUC {entry.auc:.3f}  {served}  {entry.project}"


def _account(record: ModelRecord) -> str:
    from models.scorecard.card import ModelCard
    from models.wire import decode

    entry, card = record.entry, decode(record.cards.bank_card.payload, ModelCard)
    figures, node = card.metrics, card.node
    lines = [_line(entry)]
    if entry.reason:
        lines.append(f"reason: {entry.reason}")
    lines += [
        f"AUC {figures.auc} ({figures.auc_low} – {figures.auc_high}), KS {figures.ks} ({figures.ks_low} – {figures.ks_high})",
        f"{node.rows:,} rows of cohort root {node.cohort_root}, records of {node.data_day or 'an unstated day'}",
        f"{node.bands} bands of {len(node.fields)} node fields; the bank's half is {card.half or 'not stated'}",
        "signed:",
        *(f"  {name}, by {signer}: {digest}" for name, signer, digest in _signatures(record)),
        "history:",
        *(f"  {_day(e.at)}  {e.state}{f': {e.reason}' if e.reason else ''}, by {e.by}" for e in record.history),
        "line:",
        *(f"  {'*' if one.id == entry.id else ' '} {_line(one)}" for one in record.lineage),
    ]
    return "\n".join(lines)


def _signatures(record: ModelRecord) -> list[tuple[str, str, str]]:
    cards = record.cards
    named = {"node's part": cards.node_card, "card": cards.bank_card, "countersigned card": cards.countersigned}
    named["approval"] = record.approval
    return [(name, signed.signer, signed.digest()) for name, signed in named.items() if signed is not None]


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
