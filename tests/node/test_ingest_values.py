"""Cells and bytes: every spelling of a value has one canonical form, and no content stops the reader."""

from __future__ import annotations

import csv
import io
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.catalogue import Field, default_catalogue
from sharing_node.ingest.reading import examine, read_lines
from sharing_node.ingest.validate import CellError, parse_value

FREE = Field(name="a", category="c", label_zh="甲")
WHOLE = Field(name="b", category="c", label_zh="乙", type="int")
DAYS = Field(name="d", category="c", label_zh="丙", type="date")


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15, places=6))
def test_every_spelling_of_a_number_has_one_canonical_form(number: Decimal) -> None:
    value = parse_value(FREE, format(number, "f"))
    assert value == number
    for text in (f"{number:f}", f" {number:f}0 ", f"{number:e}", f"{number:+f}"):
        again = parse_value(FREE, text)
        assert str(again) == str(value)
    assert str(parse_value(FREE, str(value))) == str(value)


@given(st.integers(-(10**12), 10**12))
def test_whole_numbers(number: int) -> None:
    for text in (str(number), f"{number}.0", f"{number:+d}", f"{number:015d}"):
        assert parse_value(WHOLE, text) == number
    with pytest.raises(CellError):
        parse_value(WHOLE, f"{number}.5")


@given(st.dates(date(1900, 1, 1), date(2099, 12, 31)))
def test_dates(day: date) -> None:
    for text in (
        f"{day}",
        f"{day.year}-{day.month}-{day.day}",
        f"{day.year}/{day.month}/{day.day}",
        f"{day.year}.{day.month}.{day.day}",
        f"{day:%Y%m%d}",
        f"{day.year}年{day.month}月{day.day}日",
    ):
        assert parse_value(DAYS, text) == day.isoformat()


@given(st.text(max_size=30))
def test_no_fault_of_a_cell_shows_the_cell(text: str) -> None:
    for field in default_catalogue():
        told = ""
        try:
            parse_value(field, text + "§§§")
        except CellError as problem:
            told = str(problem)
        assert "§" not in told


printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x9FFF, exclude_categories=["Cs", "Cc"]), max_size=12)


@given(rows=st.lists(st.lists(printable, min_size=2, max_size=2), max_size=8), codec=st.sampled_from(["utf-8", "gb18030"]))
def test_reading_gives_back_what_any_writer_wrote(rows: list[list[str]], codec: str) -> None:
    rows = [["农户", "列"], *(row for row in rows if any(row))]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    stream = io.BytesIO(text.getvalue().encode(codec))
    stream.seek(0)
    assert [line.cells for line in read_lines(stream, codec)] == rows  # type: ignore[arg-type]
    stream.seek(0)
    assert examine(stream).size == len(text.getvalue().encode(codec))


@given(st.binary(max_size=400))
def test_no_bytes_stop_the_reader(content: bytes) -> None:
    stream = io.BytesIO(b"a,b\n" + content)
    facts = examine(stream)
    stream.seek(0)
    for line in read_lines(stream, facts.encoding):
        assert line.cells
