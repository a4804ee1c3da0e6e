"""Canonical identities: the published vectors, what people type, and what must never stand in an error."""

from __future__ import annotations

import json
import unicodedata
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import ric, uscc

from models.identity import IdentityError, Kind, canonical_id, fold_width, kind_of, parse_id
from tests.conftest import shared_path

# The one vector that ric refuses and we accept: Fangshan became a district in 1986, its people of 1980 have its code.
YOUNGER_THAN_ITS_HOLDER = "110111198012010078"
NATIONAL: tuple[Kind, ...] = ("citizen", "organisation")


def vectors() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shared_path("vectors/cn_ids/uscc_ric.json").read_text("utf-8"))
    return found


def full_width(text: str) -> str:
    return "".join(chr(ord(character) + 0xFEE0) for character in text)


def citizen(region: str, born: date, sequence: int) -> str:
    body = f"{region}{born:%Y%m%d}{sequence:03d}"
    return body + ric.calc_check_digit(body + "0")


def test_valid_vectors_are_recognised_and_canonical() -> None:
    for number in vectors()["ric_valid"]:
        assert parse_id(number) == canonical_id("citizen", number) == f"citizen:{number}"
    for code in vectors()["uscc_valid"]:
        assert parse_id(code) == canonical_id("organisation", code) == f"organisation:{code}"
    for typed, meant in vectors()["ric_lowercase_x"]:
        assert parse_id(typed) == f"citizen:{meant}"
    for typed, meant in vectors()["uscc_formatting"]:
        assert parse_id(typed) == f"organisation:{meant}"


def test_invalid_vectors_are_refused() -> None:
    for kind, name in zip(NATIONAL, ("ric_invalid", "uscc_invalid"), strict=True):
        for value, why in vectors()[name]:
            if value == YOUNGER_THAN_ITS_HOLDER:
                continue
            try:
                canonical_id(kind, value)
            except IdentityError:
                continue
            pytest.fail(f"accepted in spite of: {why}")


def test_a_region_younger_than_its_holder_is_right_and_one_withdrawn_long_before_is_not() -> None:
    assert not ric.is_valid(YOUNGER_THAN_ITS_HOLDER)
    assert parse_id(YOUNGER_THAN_ITS_HOLDER) == f"citizen:{YOUNGER_THAN_ITS_HOLDER}"
    # 110223, Tong county: until 1997.
    assert parse_id(citizen("110223", date(1960, 5, 4), 7)).startswith("citizen:")
    assert parse_id(citizen("110223", date(2001, 5, 4), 7)).startswith("citizen:")
    with pytest.raises(IdentityError, match="withdrawn"):
        parse_id(citizen("110223", date(2010, 5, 4), 7))


@pytest.mark.parametrize("region", ["810000", "820000", "830000"])
def test_residence_permits_count_as_citizen_numbers(region: str) -> None:
    assert parse_id(citizen(region, date(1985, 1, 2), 15)).startswith("citizen:")


@pytest.mark.parametrize("region", ["110999", "000000", "990426", "119999", "449901"])
def test_a_region_that_never_was_is_refused_even_where_its_province_exists(region: str) -> None:
    with pytest.raises(IdentityError, match="GB/T 2260"):
        canonical_id("citizen", citizen(region, date(1985, 1, 2), 15))


def test_a_code_that_the_list_leaves_out_passes_within_a_listed_prefecture() -> None:
    assert parse_id(citizen("620201", date(1985, 1, 2), 15)).startswith("citizen:")


def test_a_birth_in_the_future_is_refused() -> None:
    with pytest.raises(IdentityError, match="future"):
        canonical_id("citizen", citizen("110101", date(date.today().year + 2, 1, 1), 3))


@pytest.mark.parametrize("prefix", ["N2", "N1", "N3", "Y1", "A1"])
def test_village_collectives_have_credit_codes_that_begin_with_a_letter(prefix: str) -> None:
    body = f"{prefix}532300MF1234567"
    code = body + uscc.calc_check_digit(body)
    assert parse_id(code) == f"organisation:{code}"
    wrong = body + uscc._alphabet[(uscc._alphabet.index(code[-1]) + 1) % 31]
    with pytest.raises(IdentityError, match="check character"):
        canonical_id("organisation", wrong)


def doubly_valid(region: str) -> str:
    """A citizen number of this region whose check character is right for a credit code too."""
    return next(number for sequence in range(1000) if uscc.is_valid(number := citizen(region, date(1990, 1, 1), sequence)))


def test_a_citizen_number_that_passes_as_a_credit_code_of_no_region_is_a_citizen_number() -> None:
    number = doubly_valid("110101")
    assert canonical_id("citizen", number) != canonical_id("organisation", number)
    assert parse_id(number) == f"citizen:{number}"


def test_a_text_that_is_valid_as_both_kinds_is_not_guessed() -> None:
    # 131101 is a region, and so is 110119, which a credit code would have in its third to eighth places.
    both = doubly_valid("131101")
    with pytest.raises(IdentityError, match="kind"):
        parse_id(both)
    assert parse_id(f"citizen:{both}") == f"citizen:{both}"


@given(
    born=st.dates(date(1930, 1, 1), date(2007, 12, 31)),
    sequence=st.integers(0, 999),
    region=st.sampled_from(["110101", "532301", "440111", "512201"]),
    blanks=st.text(" \t\u3000\u00a0", max_size=3),
)
def test_however_it_is_typed_it_is_one_identity(born: date, sequence: int, region: str, blanks: str) -> None:
    if region == "512201" and born.year > 1992:
        born = born.replace(year=1992, day=min(born.day, 28))
    number = citizen(region, born, sequence)
    meant = canonical_id("citizen", number)
    for typed in (number.lower(), full_width(number), blanks + number + blanks, meant, full_width(meant)):
        assert canonical_id("citizen", typed.rpartition(":")[2].rpartition("：")[2]) == meant
    assert parse_id(meant) == parse_id(full_width(meant)) == meant
    assert kind_of(meant) == "citizen"


@given(st.text(min_size=1, max_size=64))
def test_opaque_ids_are_stable_or_refused(text: str) -> None:
    try:
        canonical = canonical_id("opaque", text)
    except IdentityError:
        folded = unicodedata.normalize("NFC", fold_width(text))
        assert not folded or not folded.isprintable() or len(folded) > 64
        return
    assert canonical_id("opaque", canonical.removeprefix("opaque:")) == canonical
    assert parse_id(canonical) == canonical
    assert canonical.encode().decode() == canonical


def test_opaque_ids_keep_signs_that_mean_different_things() -> None:
    assert canonical_id("opaque", "row①") != canonical_id("opaque", "row1")
    assert canonical_id("opaque", "ROW") != canonical_id("opaque", "row")
    assert canonical_id("opaque", "ｒｏｗ－１７") == "opaque:row-17"
    for bad in ("", "  ", "a\nb", "x" * 65):
        with pytest.raises(IdentityError):
            canonical_id("opaque", bad)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=6, max_size=40))
def test_no_error_shows_the_value(text: str) -> None:
    text = "§" + text  # or it may be a word of the error itself, such as "credit"
    for kind in NATIONAL:
        with pytest.raises(IdentityError) as caught:
            canonical_id(kind, text + "!")
        assert "§" not in str(caught.value)
        assert text not in str(caught.value)
        assert caught.value.__cause__ is None


def test_mistyped_numbers_are_not_shown_either() -> None:
    for value, _ in vectors()["ric_invalid"] + vectors()["uscc_invalid"]:
        if value == YOUNGER_THAN_ITS_HOLDER:
            continue
        with pytest.raises(IdentityError) as caught:
            parse_id(value)
        assert value not in str(caught.value)


@pytest.mark.parametrize("text", ["", "citizen:", "person:1", "110101"])
def test_kind_of_wants_a_canonical_identity(text: str) -> None:
    with pytest.raises(IdentityError):
        kind_of(text)
