"""What pages show of a record and of a receipt, in the language of whoever looks."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from audit.verifier.checkpoint import open_checkpoint
from audit.verifier.errors import LogError
from audit.verifier.proof import Receipt
from bank_client.config import BankConfig
from bank_client.meanings import FieldMeaning, meanings
from models.catalogue import Catalogue
from models.catalogue.departments import DEPARTMENTS
from models.records import CheckRecord, Source
from models.tables import SCORE_FIELD_SET
from models.web.texts import Language

UNITS = {
    "年": "years", "台": "machines", "万元": "10,000 yuan", "元": "yuan", "宗": "items", "小时": "hours", "分": "points",
    "次": "times", "人": "persons", "月": "months", "天": "days", "份": "documents", "张": "certificates", "头": "heads",
    "亩": "mu", "户": "households", "㎡": "m²", "m³": "m³",
}  # fmt: skip


_SCORE = {"zh": "评分", "en": "Score"}
_POINTS = {"zh": "分", "en": "points"}
_OWN_MODEL = {"zh": "行内评分卡", "en": "The bank's own model"}
_COMPUTED = {"zh": "数据节点（加密计算，含半档噪声）", "en": "the data node, under encryption, with noise of half a band"}


@dataclass(frozen=True, repr=False)
class Row:
    """One field: what it means, its value in words, the unit; `value` is empty where nothing is held."""

    meaning: str
    value: str
    unit: str
    disputed: bool


@dataclass(frozen=True, repr=False)
class Section:
    """The fields of one category, where they come from and of which day they speak."""

    title: str
    department: str
    as_of: str
    rows: tuple[Row, ...]


def sections_of(record: CheckRecord, asked: Sequence[str], catalogue: Catalogue, language: Language) -> list[Section]:
    """A record as it is shown: all fields that were asked for, by category, in the catalogue's order."""
    sections = []
    for category, fields in _by_category(asked, catalogue, language).items():
        source = record.sources.get(category, Source(department="", as_of=""))
        rows = tuple(_row(field, record, language) for field in fields)
        sections.append(Section(_title(fields[0]), department(source.department, language), source.as_of, rows))
    return sections


def score_section(record: CheckRecord, language: Language) -> Section:
    """The score of a private model, as a record of one field."""
    source = record.sources[SCORE_FIELD_SET]
    row = Row(score_set(language)[SCORE_FIELD_SET], str(record.fields[SCORE_FIELD_SET]), _POINTS[language], disputed=False)
    return Section(_OWN_MODEL[language], _COMPUTED[language], source.as_of, (row,))


def score_set(language: Language) -> dict[str, str]:
    """The field set of scores, and what it is called."""
    return {SCORE_FIELD_SET: _SCORE[language]}


def field_sets_of(asked: Sequence[str], catalogue: Catalogue, language: Language) -> dict[str, str]:
    """The categories of some fields, and what each is called."""
    return {category: _title(fields[0]) for category, fields in _by_category(asked, catalogue, language).items()}


def department(code: str, language: Language) -> str:
    """A department (or several, separated by slashes) in words."""
    names = [DEPARTMENTS.get(part, (part, part))[language == "en"] for part in code.split("/") if part]
    return "、".join(names) if language == "zh" else ", ".join(names)


def _by_category(asked: Sequence[str], catalogue: Catalogue, language: Language) -> dict[str, list[FieldMeaning]]:
    known, wanted = meanings(catalogue, language), set(asked)
    categories: dict[str, list[FieldMeaning]] = {}
    for field in known.values():
        if field.name in wanted:
            categories.setdefault(field.category, []).append(field)
    return categories


def _row(field: FieldMeaning, record: CheckRecord, language: Language) -> Row:
    unit = UNITS.get(field.unit, field.unit) if language == "en" else field.unit
    value = record.fields.get(field.name)
    words = "" if value is None else replace(field, unit="").words(value)
    return Row(field.label, words, unit if words else "", field.name in record.disputed)


def _title(field: FieldMeaning) -> str:
    return field.theme or field.category


@dataclass(frozen=True)
class ReceiptView:
    """A receipt that was verified just now, with nothing but the keys of the settings."""

    index: int
    origin: str
    size: int
    root: str
    cosigners: tuple[str, ...]
    command: str


def receipt_of(config: BankConfig, proof: Path, entry: Path) -> ReceiptView | None:
    """What the receipt files of a leaf say, or None where they are not there (yet) or do not verify."""
    log, witnesses = config.log_key("node"), config.witness_keys("node")
    try:
        receipt = Receipt.parse(proof.read_text(encoding="utf-8"))
        receipt.verify(entry.read_bytes(), [log], witnesses, quorum=len(witnesses))
        head = open_checkpoint(receipt.checkpoint, [log], witnesses, len(witnesses)).checkpoint
    except (FileNotFoundError, LogError):
        return None
    keys = " ".join([f"--log-key '{log}'", *(f"--witness-key '{witness}'" for witness in witnesses)])
    return ReceiptView(
        index=receipt.index,
        origin=head.origin,
        size=head.size,
        root=base64.b64encode(head.root).decode(),
        cosigners=tuple(witness.name for witness in witnesses),
        command=f"xinqiao verify --receipt {proof.name} --entry {entry.name} {keys}",
    )
