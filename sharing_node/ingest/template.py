"""What a department is sent: an empty file with the right columns, and a page that explains them."""

from __future__ import annotations

import csv
import io
from typing import Literal

from models.catalogue import SUBJECT_TYPE_COLUMN, SUBJECT_TYPES, Catalogue, FieldSet
from sharing_node.ingest.header import IDENTITY_LABELS, SUBJECT_TYPE_LABEL
from sharing_node.ingest.validate import describe_range

TemplateEncoding = Literal["utf-8-sig", "gb18030"]

_TYPES = {
    "int": "整数/whole number",
    "decimal": "数字/number",
    "date": "日期/date",
    "bool": "是否/yes or no",
    "enum": "选项/choice",
    "text": "文本/text",
}


def template(field_set: FieldSet, *, encoding: TemplateEncoding = "utf-8-sig", language: Literal["zh", "en"] = "zh") -> bytes:
    """A CSV file of one header line; ``zh`` heads the columns with Chinese labels, ``en`` with field names."""
    names = [name for name, _ in _leading(field_set)] + list(field_set.names)
    labels = [label for _, label in _leading(field_set)] + [field.label_zh for field in field_set.fields]
    return _csv([labels if language == "zh" else names], encoding)


def description(field_set: FieldSet, *, encoding: TemplateEncoding = "utf-8-sig") -> bytes:
    """A companion CSV file: one line a column with its meaning, type, unit, range, subjects, cycle and legal basis."""
    rows = [["列/column", "名称/label", "English", "类型/type", "单位/unit", "取值/values", "适用主体/subjects"]]
    rows[0] += ["来源部门/source", "更新周期/cycle", "分级/grade", "共享方式/mode", "法律依据/legal basis"]
    identity = "每行填且只填一个身份列/fill exactly one identity column a row"
    for name, label in _leading(field_set):
        values = identity
        if name == SUBJECT_TYPE_COLUMN:
            values = "; ".join(f"{letter} {word}" for letter, word in SUBJECT_TYPES.items())
        rows.append([name, label, "", "文本/text", "", values, "", "", "", "", "", ""])
    for field in field_set.fields:
        letters = [letter for letter in SUBJECT_TYPES if letter in field.subject_types]
        subjects = "*" if len(letters) == len(SUBJECT_TYPES) else "; ".join(letters)
        row = [field.name, field.label_zh, field.label_en, _TYPES[field.kind], field.unit, describe_range(field)]
        row += [subjects, field.source_department, field.cycle, field.grade, field.mode, field.legal_basis]
        rows.append(row)
    return _csv(rows, encoding)


def _leading(field_set: FieldSet) -> list[tuple[str, str]]:
    leading = [(name, IDENTITY_LABELS[name]) for name in field_set.identity_columns]
    if len(leading) > 1 and SUBJECT_TYPE_COLUMN not in field_set.names:
        leading.append((SUBJECT_TYPE_COLUMN, SUBJECT_TYPE_LABEL))
    return leading


def templates(catalogue: Catalogue, *, encoding: TemplateEncoding = "utf-8-sig") -> dict[str, tuple[bytes, bytes]]:
    """``{category: (template, description)}`` for every category of a catalogue."""
    sets = [catalogue.field_set(category) for category in catalogue.categories]
    return {item.name: (template(item, encoding=encoding), description(item, encoding=encoding)) for item in sets}


def _csv(rows: list[list[str]], encoding: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode(encoding)
