"""From what a clerk typed to one canonical value a field, or a reason in plain words why not.

===========  ==================================================  ==========================
type         accepted, besides full-width forms and blanks       canonical, in the record
===========  ==================================================  ==========================
int          ``7``, ``007``, ``7.0``                             ``7``
decimal      ``12.50``, ``+12.5``, ``1.25e1``                    ``12.5``
date         ``2024-3-5``, ``20240305``, ``2024年3月5日``, …     ``"2024-03-05"``
bool         ``是/否``, ``有/无``, ``1/0``, ``true/false``, …     ``true``, ``false``
enum         one of the listed values                            ``"县级"``
str, charN   printable text of the right length                  ``"…"`` (Unicode NFC)
===========  ==================================================  ==========================

Numbers keep every digit: they pass through ``Decimal``, never through a float. Reasons never hold the value.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import date
from decimal import Context, Decimal

from models.catalogue import Field
from models.identity import fold_width

Value = int | Decimal | bool | str
Parser = Callable[[str], Value]

NUMBER_LENGTH = 40
_EXACT = Context(prec=3 * NUMBER_LENGTH)
_INTEGER = re.compile(r"([+-]?[0-9]+)(?:\.0*)?")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?")
_STARTS_AS_NUMBER = re.compile(r"[+-]?[0-9.,]*[0-9]")
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?")
_DATE = re.compile(
    r"([0-9]{4})(?:-([0-9]{1,2})-([0-9]{1,2})|/([0-9]{1,2})/([0-9]{1,2})|\.([0-9]{1,2})\.([0-9]{1,2})"
    r"|年([0-9]{1,2})月([0-9]{1,2})日|([0-9]{2})([0-9]{2}))"
)
_BOOLS = dict.fromkeys(("是", "有", "1", "true", "y", "yes"), True) | dict.fromkeys(
    ("否", "无", "0", "false", "n", "no"), False
)


class CellError(ValueError):
    """A cell that is no value of its field; the message says what is expected and never shows the cell."""


def parser_for(field: Field) -> Parser:
    """The function from a cell that is not blank, width already folded, to the field's canonical value.

    It raises ``CellError``.
    """
    if field.kind == "int":
        return _bounded(field, _parse_int)
    if field.kind == "decimal":
        return _bounded(field, _parse_decimal)
    if field.kind == "date":
        return _dates(field)
    if field.kind == "bool":
        return _parse_bool
    return _enums(field) if field.kind == "enum" else _texts(field)


def parse_value(field: Field, text: str) -> Value | None:
    """The canonical value of one cell, None for a blank one."""
    folded = fold_width(text)
    return parser_for(field)(folded) if folded else None


def describe_range(field: Field) -> str:
    """What a cell of this field may hold, for templates and reasons."""
    if field.kind == "enum":
        return "; ".join(field.enum_values)
    if field.kind == "bool":
        return "是; 否"
    if field.kind == "text":
        exact = field.exact_length
        return f"{exact}位/characters" if exact else f"≤ {field.maximum_length}位/characters"
    low, high = field.minimum, field.maximum
    if low is not None and high is not None:
        return f"{low} … {high}"
    return f"≥ {low}" if low is not None else f"≤ {high}" if high is not None else ""


def _parse_int(text: str) -> int:
    match = _INTEGER.fullmatch(text)
    if not match or len(text) > NUMBER_LENGTH:
        raise _number_problem(text, "应为整数/a whole number is expected")
    return int(match[1])


def _parse_decimal(text: str) -> Decimal:
    if len(text) > NUMBER_LENGTH or not _DECIMAL.fullmatch(text):
        raise _number_problem(text, "应为数字/a number is expected")
    number = Decimal(text)
    if not number:
        return Decimal(0)  # also -0
    if abs(number.adjusted()) > NUMBER_LENGTH:
        raise CellError("数字过大或过小/the number is too large or too small to be meant")
    number = number.normalize(_EXACT)
    # 1200 rather than 1.2E+3: one number, one text.
    return number.quantize(Decimal(1), context=_EXACT) if number == number.to_integral_value() else number


def _number_problem(text: str, expected: str) -> CellError:
    if _GROUPED.fullmatch(text):
        return CellError("请去掉千位分隔符/remove the thousands separators")
    start = _STARTS_AS_NUMBER.match(text)
    if start and start.end() < len(text) and not text[start.end()].isdigit():
        return CellError("数字后不得带单位或文字/write the number alone, without unit or words")
    return CellError(expected)


def _bounded(field: Field, parse: Callable[[str], int | Decimal]) -> Parser:
    low = None if field.minimum is None else Decimal(field.minimum)
    high = None if field.maximum is None else Decimal(field.maximum)

    def parse_bounded(text: str) -> int | Decimal:
        number = parse(text)
        if (low is not None and number < low) or (high is not None and number > high):
            raise CellError(f"超出范围/out of range ({describe_range(field)})")
        return number

    return parse_bounded


def _dates(field: Field) -> Parser:
    low, high = field.minimum or "", field.maximum or "9999-12-31"

    def parse_date(text: str) -> str:
        match = _DATE.fullmatch(text)
        if not match:
            raise CellError("应为日期,如2024-03-05/a date like 2024-03-05 is expected")
        year, month, day = (int(part) for part in match.groups() if part is not None)
        try:
            iso = date(year, month, day).isoformat()
        except ValueError:
            raise CellError("日期不存在/there is no such day") from None
        if not low <= iso <= high:  # ISO dates sort as texts
            raise CellError(f"超出范围/out of range ({describe_range(field)})")
        return iso

    return parse_date


def _parse_bool(text: str) -> bool:
    try:
        return _BOOLS[text.lower()]
    except KeyError:
        raise CellError("应为 是 或 否/write 是 or 否 (or 1 or 0)") from None


def _enums(field: Field) -> Parser:
    values = {fold_width(value): value for value in field.enum_values}

    def parse_enum(text: str) -> str:
        try:
            return values[text]
        except KeyError:
            raise CellError(f"应为下列之一/write one of ({describe_range(field)})") from None

    return parse_enum


def _texts(field: Field) -> Parser:
    exact, longest = field.exact_length, field.maximum_length

    def parse_text(text: str) -> str:
        text = unicodedata.normalize("NFC", text)
        if not text.isprintable():
            raise CellError("含不可见字符/there are characters that do not print")
        if len(text) > longest or (exact is not None and len(text) != exact):
            raise CellError(f"长度不符/wrong length ({describe_range(field)})")
        return text

    return parse_text
