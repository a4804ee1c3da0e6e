"""What the pages of approvals show: fields with what the catalogue says of them, an act in plain facts, a model's card."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from models import charts, wire
from models.approvals import Act, ActKind
from models.catalogue import Catalogue
from models.consents import FileRepairs
from models.parties import Institution, Person
from models.projects import Decision, Target
from models.registry import ChangeModel, ModelDecision, ModelRecord
from models.retention import EraseSubject
from models.scorecard.card import ModelCard
from models.web.texts import Language


@dataclass(frozen=True)
class FieldRow:
    """One field that is asked for; empty but for its name where the catalogue does not know it."""

    name: str
    label: str = ""
    department: str = ""
    grade: str = ""
    mode: str = ""
    basis: str = ""
    sensitive: bool = False


def fields_of(names: tuple[str, ...], catalogue: Catalogue, language: Language) -> list[FieldRow]:
    """The fields that are asked for, in the catalogue's order."""
    known = [field for field in catalogue if field.name in names]
    rows = [
        FieldRow(
            field.name,
            (field.label_en or field.label_zh) if language == "en" else field.label_zh,
            field.source_department,
            field.grade,
            field.mode,
            field.legal_basis,
            field.sensitive,
        )
        for field in known
    ]
    return rows + [FieldRow(name) for name in names if name not in catalogue]


@dataclass(frozen=True)
class ActView:
    """An act in plain facts (a text's key and its value), and the page of what it is about."""

    act: Act
    facts: tuple[tuple[str, str], ...]
    link: str = ""


def act_of(act: Act) -> ActView:
    """What an act would do. Raises `BadMessage` where its document is none."""
    shown = _SHOWN.get(act.action)
    return ActView(act, ()) if shown is None or not act.document else shown(act)


def _institution(act: Act) -> ActView:
    home = wire.decode(act.document, Institution)
    facts = (("directory-id", home.id), ("directory-name", home.name), ("directory-kind", f"institution-{home.kind}"))
    more = (("directory-licence", home.licence), ("directory-customers", str(home.declared_customers or "")))
    return ActView(act, facts + more)


def _person(act: Act) -> ActView:
    new = wire.decode(act.document, Person)
    facts = (("directory-id", new.id), ("directory-name", new.name), ("directory-role", f"role-{new.role}"))
    return ActView(act, (*facts, ("directory-key", fingerprint(new.key))))


def _lift(act: Act) -> ActView:
    target = wire.decode(act.document, Target)
    return ActView(act, (("directory-what", f"target-{target.kind}"), ("directory-id", target.id)))


def _model(act: Act) -> ActView:
    approving = act.action is ActKind.MODEL_APPROVE
    model = (wire.decode(act.document, ModelDecision) if approving else wire.decode(act.document, ChangeModel)).subject
    return ActView(act, (("approvals-model", model),), f"/approvals/models/{model}")


def _budget(act: Act) -> ActView:
    return ActView(act, (), f"/approvals/budgets/{wire.decode(act.document, Decision).subject}")


def _erase(act: Act) -> ActView:
    erase = wire.decode(act.document, EraseSubject)
    facts = (("act-subject", erase.subject.partition(":")[2]), ("act-ground", f"ground-{erase.ground}"))
    return ActView(act, (*facts, ("act-reference", erase.reference)))


def _repair(act: Act) -> ActView:
    filed = wire.decode(act.document, FileRepairs)
    ids = {repair.subject.partition(":")[2] for repair in filed.repairs}
    of = (("act-subject", ids.pop()),) if len(ids) == 1 else ()
    fields = ", ".join(sorted({repair.field for repair in filed.repairs}))
    return ActView(act, (*of, ("act-repairs", f"{len(filed.repairs)}: {fields}"), ("act-reference", filed.decision)))


_SHOWN: dict[ActKind, Callable[[Act], ActView]] = {
    ActKind.ENROL_INSTITUTION: _institution,
    ActKind.ENROL_PERSON: _person,
    ActKind.LIFT: _lift,
    ActKind.MODEL_APPROVE: _model,
    ActKind.MODEL_LIFT: _model,
    ActKind.BUDGET_RAISE: _budget,
    ActKind.SUBJECT_ERASE: _erase,
    ActKind.REPAIR_FILE: _repair,
}


def card_of(record: ModelRecord) -> ModelCard:
    """The model's card as both sides signed it."""
    return wire.decode(record.cards.bank_card.payload, ModelCard)


def fingerprint(key: bytes) -> str:
    """Of a public key, what two people can read to each other: 32 hex digits in groups."""
    digits = hashlib.sha256(key).hexdigest()[:32]
    return " ".join(digits[i : i + 4] for i in range(0, 32, 4))


def bands_of(card: ModelCard, title: str) -> str:
    """A picture of the mean of each band on the node's half, as SVG; empty where the card has none."""
    means = card.node.band_means
    if not means:
        return ""
    low, span = min(means), (max(means) - min(means)) or 1.0
    shares = [0.05 + 0.95 * (mean - low) / span for mean in means]
    rows = [charts.Bar(str(n), share, f"{mean:.3f}") for n, (mean, share) in enumerate(zip(means, shares, strict=True), 1)]
    return charts.bars(rows, title)
