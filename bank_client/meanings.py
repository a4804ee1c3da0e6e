"""What the node's fields mean, in words for an officer: from the catalogue that the node states and signs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bank_client.session import Bank
from models.catalogue import Catalogue, CatalogueStatement, Field, default_catalogue
from models.problems import NotFound
from models.records import Value
from models.wire import Signed

Language = Literal["zh", "en"]
_YES_NO = {"zh": ("否", "是"), "en": ("no", "yes")}


@dataclass(frozen=True)
class FieldMeaning:
    """One field in one language. `codes` has the words for an enum's values; the others stand as in `models.catalogue`."""

    name: str
    label: str
    unit: str
    codes: Mapping[str, str]
    category: str
    theme: str
    department: str
    grade: str
    mode: str
    cycle: str
    yes_no: tuple[str, str]

    def words(self, value: Value) -> str:
        """A value of this field as it is read out, with its unit."""
        if isinstance(value, bool):
            return self.yes_no[value]
        text = f"{value:,}" if isinstance(value, int | float) else self.codes.get(value, value)
        return f"{text} {self.unit}".rstrip()


def stated_catalogue(bank: Bank) -> Catalogue:
    """The catalogue that the node states; a node that does not is taken to use the packaged one.

    Raises:
        BadSignature, BadMessage: what came is not the node's word, or no catalogue.
    """
    try:
        return bank.from_node(bank.node.get("/catalogue", Signed), CatalogueStatement).read()
    except NotFound:
        return default_catalogue()


def meanings(catalogue: Catalogue, language: Language = "zh") -> dict[str, FieldMeaning]:
    """The meaning of every field by its name; where a catalogue says nothing in English, the Chinese words stand."""
    return {item.name: _meaning(item, language) for item in catalogue}


def _meaning(item: Field, language: Language) -> FieldMeaning:
    english = language == "en"
    chinese_theme, _, english_theme = item.theme.partition(" / ")
    return FieldMeaning(
        name=item.name,
        label=(item.label_en if english else "") or item.label_zh,
        unit=item.unit,
        codes=dict(zip(item.enum_values, (item.enum_labels_en if english else ()) or item.enum_values, strict=True)),
        category=item.category,
        theme=(english_theme if english else "") or chinese_theme,
        department=item.source_department,
        grade=item.grade,
        mode=item.mode,
        cycle=item.cycle,
        yes_no=_YES_NO[language],
    )
