"""The record of a check table: what comes back, which bytes it takes, what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.problems import BadMessage
from models.records import CheckRecord, RecordForm, Source

FORM = RecordForm(("area", "grade", "since", "flag"), ("credit", "land"))
LAND, CREDIT = Source(department="NY", as_of="2026-06-30"), Source(department="FG/SC", as_of="2026-05-01")
WHOLE = CheckRecord(
    fields={"area": 12.5, "grade": "存续", "since": "2024-02-29", "flag": True},
    sources={"credit": CREDIT, "land": LAND},
    disputed=("grade",),
)


def test_a_record_comes_back() -> None:
    encoded = FORM.encode(WHOLE)
    assert FORM.decode(encoded) == WHOLE
    assert encoded.decode() == '[[12.5,"存续","2024-02-29",true],[["FG/SC",20574],["NY",20634]],[1]]'
    bare = CheckRecord(fields={"flag": False}, sources={"land": LAND})
    assert FORM.encode(bare) == b'[[null,null,null,false],[null,["NY",20634]]]'
    assert FORM.decode(FORM.encode(bare)) == bare


def test_names_cost_nothing() -> None:
    long = RecordForm(tuple(f"a_field_with_a_long_name_{i}" for i in range(40)), ("land",))
    record = CheckRecord(fields=dict.fromkeys(long.fields, 1), sources={"land": LAND})
    assert len(long.encode(record)) < 110


def test_a_dispute_about_everything_is_one_mark() -> None:
    every = CheckRecord(fields=WHOLE.fields, sources=WHOLE.sources, disputed=tuple(WHOLE.fields))
    assert FORM.encode(every).endswith(b',"*"]')
    assert FORM.decode(FORM.encode(every)) == every


names = st.sampled_from(FORM.fields)
values = st.one_of(st.booleans(), st.integers(-(10**30), 10**30), st.floats(allow_nan=False, allow_infinity=False), st.text())
sources = st.builds(Source, department=st.text(), as_of=st.dates().map(lambda day: day.isoformat()))


@given(st.data())
def test_any_record_comes_back_and_has_one_form(data: st.DataObject) -> None:
    some = data.draw(st.dictionaries(names, values))
    disputed = data.draw(st.sets(st.sampled_from(sorted(some)))) if some else set()
    stated = data.draw(st.dictionaries(st.sampled_from(FORM.categories), sources))
    ordered = {name: some[name] for name in FORM.fields if name in some}
    record = CheckRecord(fields=ordered, sources=stated, disputed=tuple(n for n in FORM.fields if n in disputed))
    shuffled = CheckRecord(fields=some, sources=dict(reversed(stated.items())), disputed=tuple(disputed))
    assert FORM.encode(shuffled) == FORM.encode(record)
    again = FORM.decode(FORM.encode(record))
    assert again == record
    assert FORM.encode(again) == FORM.encode(record)


BAD: dict[str, Any] = {
    "a score record": {"band": 3, "reasons": []},
    "a field too few": [[1, 2, 3], [None, None]],
    "a field too many": [[1, 2, 3, 4, 5], [None, None]],
    "a category too few": [[1, 2, 3, 4], [None]],
    "a value that is a list": [[1, 2, 3, [4]], [None, None]],
    "a source without a day": [[1, 2, 3, 4], [["NY"], None]],
    "a day that does not exist": [[1, 2, 3, 4], [["NY", 10**9], None]],
    "a dispute outside": [[1, 2, 3, 4], [None, None], [4]],
    "a dispute before the first": [[1, 2, 3, 4], [None, None], [-1]],
    "a dispute about nothing": [[1, 2, 3, None], [None, None], [3]],
    "a dispute said twice": [[1, 2, 3, 4], [None, None], [1, 1]],
    "an unknown mark": [[1, 2, 3, 4], [None, None], "all"],
    "a part too many": [[1, 2, 3, 4], [None, None], [1], 1],
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_record_of_this_table_is_refused(name: str) -> None:
    with pytest.raises(BadMessage):
        FORM.decode(json.dumps(BAD[name]).encode())


def test_a_refusal_quotes_no_value() -> None:
    for data in (b'[["secret-value",{}],[null]]', b"secret", b'[["\xff"]]', b""):
        with pytest.raises(BadMessage) as refused:
            FORM.decode(data)
        assert "secret" not in str(refused.value)


def test_what_does_not_belong_is_not_encoded() -> None:
    for record in (
        CheckRecord(fields={"other": 1}, sources={}),
        CheckRecord(fields={}, sources={"demo": LAND}),
        CheckRecord(fields={"area": 1}, sources={}, disputed=("flag",)),
    ):
        with pytest.raises(ValueError, match="not in this table"):
            FORM.encode(record)
