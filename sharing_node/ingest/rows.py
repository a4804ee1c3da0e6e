"""Rows of one delivery: who each is about, its canonical payload, and what stands against taking it in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import msgspec

from models.catalogue import SUBJECT_TYPE_COLUMN, SUBJECT_TYPES, FieldSet
from models.identity import IdentityError, Kind, canonical_id, fold_width, kind_of
from sharing_node.ingest.header import Header
from sharing_node.ingest.reading import Line
from sharing_node.ingest.validate import CellError, Value, parser_for

_PAYLOAD = msgspec.json.Encoder(order="sorted", decimal_format="number")
_PAYLOAD_KEYS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LETTERS = {letter: letter for letter in SUBJECT_TYPES} | {word: letter for letter, word in SUBJECT_TYPES.items()}

_CITIZEN_TYPES = frozenset("HFSI")
"""What a natural person can be on record as: a household, or the owner of a farm or business without a credit code."""
_REGISTER = "basic"
"""The field set that may change what type a subject is on record as."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row whose subject is known.

    ``letter`` is the subject type, None where the file does not say it; ``payload`` is the canonical JSON, empty for a
    row with faults.
    """

    line: int
    subject_id: str = field(repr=False)
    letter: str | None
    payload: bytes = field(repr=False)


class CheckedRows:
    """Reads lines into ``rows`` (by subject) and ``problems`` (line number to reasons).

    ``repeated`` counts the rows that were identical to an earlier one.
    """

    def __init__(self, header: Header, field_set: FieldSet) -> None:
        self.rows: dict[str, Row] = {}
        self.problems: dict[int, list[str]] = {}
        self.repeated = 0
        self._header = header
        self._is_register = field_set.name == _REGISTER
        self._stores_type = SUBJECT_TYPE_COLUMN in field_set.names
        self._columns = [(index, item.name, item.label_zh, parser_for(item)) for index, item in header.fields]
        self._not_for = {
            letter: {item.name: item.label_zh for item in field_set.fields if letter not in item.subject_types}
            for letter in SUBJECT_TYPES
        }

    def read(self, lines: Iterable[Line]) -> int:
        """Check each line by itself, then those about one subject against each other; returns how many lines came.

        Rows that agree count once. Of rows that do not, nobody here can tell which is right: all are set aside, also
        where one of them is unreadable.
        """
        count = 0
        lines_of: dict[str, list[int]] = defaultdict(list)
        clashing: set[str] = set()
        for line in lines:
            count += 1
            reasons: list[str] = []
            row = self._row(line, reasons)
            if reasons:
                self.problems[line.number] = reasons
            if row is None:
                continue
            earlier = lines_of[row.subject_id]
            if earlier and (reasons or not _agree(self.rows.get(row.subject_id), row)):
                clashing.add(row.subject_id)
            elif not earlier and not reasons:
                self.rows[row.subject_id] = row
            earlier.append(line.number)
        for subject_id in clashing:
            self.rows.pop(subject_id, None)
            for number in lines_of[subject_id]:
                self.problems.setdefault(number, []).append(
                    "同一主体多行内容不一致/several rows about this subject do not agree"
                )
        self.repeated = sum(len(lines_of[subject_id]) - 1 for subject_id in self.rows)
        return count

    def settle_types(self, on_record: Mapping[str, str]) -> None:
        """Give each row its subject type, from the file, the register or the id, and check its fields against that."""
        for subject_id, row in list(self.rows.items()):
            kind = kind_of(subject_id)
            if kind == "opaque":
                continue
            known = on_record.get(subject_id)
            letter = row.letter or known or ("H" if kind == "citizen" else None)
            problem = self._type_problem(row, kind, letter, known)
            if problem:
                del self.rows[subject_id]
                self.problems[row.line] = [problem]
            elif letter != row.letter:
                self.rows[subject_id] = replace(row, letter=letter)

    def _row(self, line: Line, reasons: list[str]) -> Row | None:
        """The row if its subject can be told; appends everything that is wrong to ``reasons``."""
        if line.problem:
            reasons.append(line.problem)
        cells = line.cells
        if len(cells) != len(self._header.cells):
            reasons.append(f"列数不符/{len(self._header.cells)} cells are expected, there are {len(cells)}")
            return None
        subject_id = self._subject(cells, reasons)
        letter = self._letter(cells, reasons)
        values: dict[str, Value] = {}
        for index, name, label, parse in self._columns:
            cell = cells[index]
            text = cell.strip() if cell.isascii() else fold_width(cell)
            if text:
                try:
                    values[name] = parse(text)
                except CellError as problem:
                    reasons.append(f"{label}: {problem}")
        if letter is not None and self._stores_type:
            values[SUBJECT_TYPE_COLUMN] = SUBJECT_TYPES[letter]
        if subject_id is None:
            return None
        return Row(line.number, subject_id, letter, b"" if reasons else _PAYLOAD.encode(values))

    def _subject(self, cells: list[str], reasons: list[str]) -> str | None:
        named = [(kind, cells[index]) for index, kind in self._header.identities if fold_width(cells[index])]
        if len(named) != 1:
            reasons.append(
                "有多个身份标识/fill only one identity column" if named else "缺少身份标识/the row does not say who it is about"
            )
            return None
        try:
            return canonical_id(*named[0])
        except IdentityError as problem:
            reasons.append(f"身份标识错误/{problem}")
            return None

    def _letter(self, cells: list[str], reasons: list[str]) -> str | None:
        if self._header.subject_type is None:
            return None
        text = fold_width(cells[self._header.subject_type])
        if not text:
            return None
        letter = _LETTERS.get(text)
        if letter is None:
            words = "; ".join(f"{letter} {word}" for letter, word in SUBJECT_TYPES.items())
            reasons.append(f"主体类型: 应为下列之一/write one of ({words})")
        return letter

    def _type_problem(self, row: Row, kind: Kind, letter: str | None, known: str | None) -> str | None:
        if letter is None:
            return "主体类型未知/subject type unknown: load the basic field set first or add the column 主体类型"
        if (kind == "citizen" and letter not in _CITIZEN_TYPES) or (kind == "organisation" and letter == "H"):
            return "主体类型与身份标识不符/this type of subject does not have this kind of identity"
        if known not in (None, letter) and not self._is_register:
            return "与登记的主体类型不符/the subject is on record as another type; correct it in the basic field set"
        not_for = self._not_for[letter]
        wrong = [not_for[name] for name in _PAYLOAD_KEYS.decode(row.payload) if name in not_for] if not_for else []
        if wrong:
            return f"不适用于{SUBJECT_TYPES[letter]}/not for this type of subject: {', '.join(wrong)}"
        return None


def _agree(first: Row | None, second: Row) -> bool:
    return first is not None and (first.letter, first.payload) == (second.letter, second.payload)
