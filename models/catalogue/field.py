"""One field of the catalogue: what it means, who supplies it, and how far it may travel."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Literal

from models.identity import Kind

Grade = Literal["L1", "L2", "L3", "L4"]
Mode = Literal["O", "A", "J", "N"]
"""Open, Authorised (a consented check), Joint model only, Never shared."""
Use = Literal["check", "joint"]
ValueKind = Literal["text", "int", "decimal", "date", "bool", "enum"]

GRADES = ("L1", "L2", "L3", "L4")
MODES = ("O", "A", "J", "N")
CYCLES = ("event", "daily", "week", "month", "quarter", "halfyear", "year")

SUBJECT_TYPES = {
    "H": "农户",
    "F": "家庭农场",
    "C": "农民合作社",
    "E": "农业企业",
    "S": "农业社会化服务组织",
    "I": "农资经营主体",
    "G": "粮食企业",
    "V": "村集体",
}
"""The letters of the catalogue and the words department files use."""

ALL_SUBJECT_TYPES = frozenset(SUBJECT_TYPES)
UNKNOWN_LEGAL_BASIS = "待定"

_TYPE = re.compile(r"int|decimal|date|bool|enum|(str|char)([1-9][0-9]{0,3})?")
_NAME = re.compile(r"[^\s,;\"'=+\-@][^,;\"\r\n]{0,63}")
_CATEGORY = re.compile(r"[a-z][a-z0-9_]{0,31}")
DEFAULT_TEXT_LENGTH = 200
LONGEST_EXPIRY = 100


class CatalogueError(ValueError):
    """A catalogue that cannot be used; the message names the line, the field and what to correct."""


@dataclass(frozen=True, slots=True)
class Field:
    """One catalogue field. ``type`` is ``int``, ``decimal``, ``date``, ``bool``, ``enum``, ``str``, ``strN`` or ``charN``.

    ``minimum`` and ``maximum`` are canonical texts of the field's own type (inclusive) or None. ``enum_values`` are in
    a meaningful order where there is one: their positions are the ordinal codes of numeric columns; ``enum_labels_en``
    say the same in English, in the same order. A field with ``expires_years`` is adverse information: it is gone that many
    years after the day in ``dated_by`` (a date field of the same category), or after the delivery's own where that is blank.
    """

    name: str
    category: str
    label_zh: str
    label_en: str = ""
    type: str = "decimal"
    unit: str = ""
    subject_types: frozenset[str] = ALL_SUBJECT_TYPES
    source_department: str = ""
    cycle: str = "event"
    grade: Grade = "L3"
    mode: Mode = "J"
    enum_values: tuple[str, ...] = ()
    minimum: str | None = None
    maximum: str | None = None
    legal_basis: str = UNKNOWN_LEGAL_BASIS
    theme: str = ""
    sensitive: bool = False
    enum_labels_en: tuple[str, ...] = ()
    expires_years: int | None = None
    dated_by: str = ""

    def __post_init__(self) -> None:
        """Raise ``CatalogueError`` when the definition contradicts itself."""
        self._check_words()
        self._check_values()

    @property
    def kind(self) -> ValueKind:
        """The type without its length; ``str`` and ``char`` are both text."""
        if self.type == "int":
            return "int"
        if self.type == "decimal":
            return "decimal"
        if self.type == "date":
            return "date"
        if self.type == "bool":
            return "bool"
        return "enum" if self.type == "enum" else "text"

    @property
    def exact_length(self) -> int | None:
        """N of ``charN``: the value has exactly this many characters."""
        return int(self.type[4:]) if self.type.startswith("char") and self.type != "char" else None

    @property
    def maximum_length(self) -> int:
        """The most characters a text value may have."""
        digits = self.type.removeprefix("str").removeprefix("char")
        return int(digits) if digits.isdigit() else DEFAULT_TEXT_LENGTH

    def _fail(self, problem: str) -> CatalogueError:
        return CatalogueError(f"field {self.name!r}: {problem}")

    def _check_words(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise self._fail("the name is empty, too long or holds a comma, semicolon, quote or line break")
        if not _CATEGORY.fullmatch(self.category):
            raise self._fail("the category must be a lower-case word of at most 32 letters, digits and underscores")
        if not self.label_zh:
            raise self._fail("the Chinese label (label_zh) is missing")
        if not _TYPE.fullmatch(self.type):
            raise self._fail(f"type {self.type!r} is none of int, decimal, date, bool, enum, str, strN, charN")
        if self.grade not in GRADES:
            raise self._fail(f"grade {self.grade!r} is none of {', '.join(GRADES)}")
        if self.mode not in MODES:
            raise self._fail(f"share mode {self.mode!r} is none of {', '.join(MODES)}")
        if self.cycle not in CYCLES:
            raise self._fail(f"cycle {self.cycle!r} is none of {', '.join(CYCLES)}")
        if not self.subject_types or not self.subject_types <= ALL_SUBJECT_TYPES:
            raise self._fail(f"subject types must be * or some of {';'.join(SUBJECT_TYPES)}")
        if not self.legal_basis:
            raise self._fail(f"the legal basis is empty; write {UNKNOWN_LEGAL_BASIS} while it is not known")

    def _check_values(self) -> None:
        if (self.kind == "enum") != bool(self.enum_values):
            raise self._fail("an enum needs enum_values, and only an enum has them")
        if len(set(self.enum_values)) != len(self.enum_values) or "" in self.enum_values:
            raise self._fail("enum_values repeat or one is empty")
        if self.enum_labels_en and (len(self.enum_labels_en) != len(self.enum_values) or "" in self.enum_labels_en):
            raise self._fail("enum_labels_en names each of the enum_values once, in the same order, or is left empty")
        if self.expires_years is not None and not 1 <= self.expires_years <= LONGEST_EXPIRY:
            raise self._fail(f"expires_years is 1 to {LONGEST_EXPIRY}, or empty for what does not expire")
        if self.dated_by and self.expires_years is None:
            raise self._fail("dated_by dates what expires: give expires_years too")
        bounds = [bound for bound in (self.minimum, self.maximum) if bound is not None]
        if bounds and self.kind not in ("int", "decimal", "date"):
            raise self._fail("only numbers and dates have a minimum or maximum")
        try:
            ordered = [date.fromisoformat(b) if self.kind == "date" else Decimal(b) for b in bounds]
        except (ValueError, InvalidOperation):
            raise self._fail("minimum or maximum does not read as a value of this type") from None
        if any(isinstance(bound, Decimal) and not bound.is_finite() for bound in ordered):
            raise self._fail("minimum and maximum must be finite")
        if len(ordered) == 2 and ordered[0] > ordered[1]:  # type: ignore[operator]
            raise self._fail("the minimum is above the maximum")


def effective_mode(field: Field, subject_kind: Kind) -> Mode:
    """The mode that holds for this kind of subject.

    What is open about an organisation is personal information about a natural person, so O counts as A for a citizen,
    and for an opaque id as well, because nobody can tell that it is not a person's.
    """
    return "A" if field.mode == "O" and subject_kind != "organisation" else field.mode


def shareable(field: Field, subject_kind: Kind, use: Use) -> bool:
    """Whether the field may be used for this kind of subject at all; consent and approval are checked elsewhere.

    N never; J only inside a joint model; A and O in a consented check and in a joint model.
    """
    mode = effective_mode(field, subject_kind)
    if use not in ("check", "joint"):
        raise ValueError(f"use must be 'check' or 'joint', not {use!r}")
    return mode in ("O", "A") or (mode == "J" and use == "joint")
