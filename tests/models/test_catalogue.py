"""The catalogue: the packaged one against its seed, what loading refuses, and who may use which field for what."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from models import wire
from models.catalogue import (
    SUBJECT_TYPES,
    Catalogue,
    CatalogueError,
    CatalogueStatement,
    Field,
    default_catalogue,
    effective_mode,
    shareable,
)
from models.identity import Kind
from models.problems import BadMessage
from tests.conftest import shared_path

HEADER = "category,field,label_zh,type,subject_types,source_dept,cycle,grade,share_mode,enum_values,minimum,maximum\n"


def catalogue_of(*lines: str) -> Catalogue:
    return Catalogue.from_csv((HEADER + "".join(line + "\n" for line in lines)).encode())


def test_the_packaged_catalogue_keeps_every_field_of_its_seed() -> None:
    seed = list(csv.DictReader(io.StringIO(shared_path("data/catalogue/agri_catalogue_seed.csv").read_text("utf-8-sig"))))
    catalogue = default_catalogue()
    assert [field.name for field in catalogue] == [row["field"] for row in seed]
    for field, row in zip(catalogue, seed, strict=True):
        letters = set(SUBJECT_TYPES) if row["subject_types"] == "*" else set(row["subject_types"].split(","))
        assert field.subject_types == letters
        assert (field.category, field.label_zh, field.type, field.unit) == (
            row["category"],
            row["label_zh"],
            row["type"],
            row["unit"],
        )
        assert (field.source_department, field.cycle, field.grade, field.mode) == (
            row["source_dept"],
            row["cycle"],
            row["grade"],
            row["share_mode"],
        )


def test_every_packaged_field_can_be_checked_shown_and_explained() -> None:
    themes: dict[str, set[str]] = {}
    for field in default_catalogue():
        assert field.label_en
        assert field.legal_basis == "待定"  # nothing is invented
        themes.setdefault(field.category, set()).add(field.theme)
        if field.kind in ("int", "decimal", "date"):
            assert field.minimum is not None
            assert field.maximum is not None
        assert field.sensitive == (field.grade == "L4" or field.mode == "N")
    assert all(len(names) == 1 and "" not in names for names in themes.values())


def test_adverse_information_expires_and_says_by_which_date() -> None:
    adverse = {field.name: (field.expires_years, field.dated_by) for field in default_catalogue() if field.expires_years}
    assert set(adverse.values()) == {(5, ""), (5, "publicity_end_date")}
    assert adverse["penalty_severity"] == adverse["publicity_end_date"] == (5, "publicity_end_date")
    assert {"judgment_defaulter_flag", "tax_arrears", "commitment_breach_count", "list_type"} <= adverse.keys()
    assert not {"credit_points", "leased_in_area", "award_count_36m"} & adverse.keys()


def test_every_word_of_an_enum_is_explained_in_english() -> None:
    for field in default_catalogue():
        assert len(field.enum_labels_en) == len(field.enum_values)
        assert all(label.isascii() for label in field.enum_labels_en)


def test_a_catalogue_is_stated_and_read_back() -> None:
    catalogue = replace(default_catalogue(), identity="opaque")
    stated = CatalogueStatement.of(catalogue)
    assert wire.decode(wire.encode(stated), CatalogueStatement).read() == catalogue
    for broken in ({"identity": "passport"}, {"csv": b"category,field\n"}, {"csv": b"\xff"}):
        with pytest.raises(BadMessage):
            wire.replace(stated, **broken).read()


MORE = HEADER.strip() + ",enum_labels_en,expires_years,dated_by\n"
DATED = "land,ended,止,date,*,NY,year,L1,O,,,,,,\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("land,a,甲,int,*,NY,year,L1,O,,,,,0,", "expires_years is 1 to"),
        ("land,a,甲,int,*,NY,year,L1,O,,,,,101,", "expires_years is 1 to"),
        ("land,a,甲,int,*,NY,year,L1,O,,,,,five,", "whole number"),
        ("land,a,甲,int,*,NY,year,L1,O,,,,,-5,", "whole number"),
        ("land,a,甲,int,*,NY,year,L1,O,,,,,,ended", "give expires_years too"),
        ("land,a,甲,int,*,NY,year,L1,O,,,,,5,other", "dated_by must name a date field"),
        ("land,a,甲,int,*,NY,year,L1,O,,,,,5,a", "dated_by must name a date field"),
        ("demo,a,甲,int,*,NY,year,L1,O,,,,,5,ended", "dated_by must name a date field"),
        ("land,a,甲,enum,*,NY,year,L1,O,x;y,,,X,,", "enum_labels_en"),
        ("land,a,甲,enum,*,NY,year,L1,O,x;y,,,X;,,", "enum_labels_en"),
        ("land,a,甲,int,*,NY,year,L1,O,,,,X,,", "enum_labels_en"),
    ],
)
def test_a_bad_word_on_expiry_or_codes_is_named(line: str, message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        Catalogue.from_csv((MORE + DATED + line + "\n").encode())


def test_expiry_and_codes_are_part_of_the_definition() -> None:
    whole = "land,a,甲,enum,*,NY,year,L1,O,x;y,,,X;Y,5,ended\n"
    catalogue = Catalogue.from_csv((MORE + DATED + whole).encode())
    assert Catalogue.from_csv(catalogue.to_csv()) == catalogue
    for less in (whole.replace("X;Y", ""), whole.replace(",5,ended", ",5,"), whole.replace(",5,ended", ",6,ended")):
        assert Catalogue.from_csv((MORE + DATED + less).encode()).digest() != catalogue.digest()


def test_subject_types_are_spelled_alike_in_code_and_data() -> None:
    assert default_catalogue()["subject_type"].enum_values == tuple(SUBJECT_TYPES.values())


def test_csv_round_trip_and_digest() -> None:
    catalogue = default_catalogue()
    again = Catalogue.from_csv(catalogue.to_csv())
    assert again == catalogue
    assert again.digest() == catalogue.digest()
    assert len(catalogue.digest()) == 32
    # The order of lines means nothing, every definition does.
    assert Catalogue(tuple(reversed(catalogue.fields))).digest() == catalogue.digest()
    assert catalogue.with_modes({"credit_points": "N"}).digest() != catalogue.digest()
    for change in (
        {"unit": "万元"},
        {"maximum": "7"},
        {"legal_basis": "x"},
        {"subject_types": frozenset("H")},
        {"sensitive": True},
    ):
        changed = replace(catalogue, fields=(*catalogue.fields[:-1], replace(catalogue.fields[-1], **change)))
        assert changed.digest() != catalogue.digest(), change
    assert replace(catalogue, identity="opaque").digest() != catalogue.digest()


def test_lookup() -> None:
    catalogue = default_catalogue()
    assert catalogue["leased_in_area"].unit == "亩"
    assert "leased_in_area" in catalogue
    assert [field.name for field in catalogue.select(["tax_arrears", "credit_points"])] == ["tax_arrears", "credit_points"]
    assert {field.category for field in catalogue.fields_of("land")} == {"land"}
    assert all("V" in field.subject_types for field in catalogue.for_subject_type("V"))
    assert catalogue.with_modes({"credit_points": "J"})["credit_points"].mode == "J"
    assert catalogue["credit_points"].mode == "A"
    for ask in (
        lambda: catalogue["x"],
        lambda: catalogue.fields_of("x"),
        lambda: catalogue.for_subject_type("X"),
        lambda: catalogue.with_modes({"x": "N"}),
    ):
        with pytest.raises(CatalogueError, match=r"'[xX]'"):
            ask()


def test_identity_numbers_are_no_part_of_a_record() -> None:
    basic = default_catalogue().field_set("basic")
    assert basic.identity_columns == ("citizen_id_no", "uscc")
    assert not {"citizen_id_no", "uscc", "subject_id"} & set(basic.names)
    assert "subject_type" in basic.names


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("land,a,甲,float,*,NY,year,L1,O,,,", "line 2.*type 'float'"),
        ("land,a,甲,int,Q,NY,year,L1,O,,,", "subject types"),
        ("land,a,甲,int,*,NY,year,L9,O,,,", "grade 'L9'"),
        ("land,a,甲,int,*,NY,year,L1,X,,,", "share mode 'X'"),
        ("land,a,甲,int,*,NY,weekly,L1,O,,,", "cycle 'weekly'"),
        ("land,a,,int,*,NY,year,L1,O,,,", "label_zh"),
        ("Land!,a,甲,int,*,NY,year,L1,O,,,", "category"),
        ("land,=a,甲,int,*,NY,year,L1,O,,,", "name"),
        ("land,a,甲,enum,*,NY,year,L1,O,,,", "enum_values"),
        ("land,a,甲,int,*,NY,year,L1,O,x;y,,", "enum_values"),
        ("land,a,甲,enum,*,NY,year,L1,O,x;x,,", "repeat"),
        ("land,a,甲,int,*,NY,year,L1,O,,9,3", "minimum is above"),
        ("land,a,甲,int,*,NY,year,L1,O,,nine,", "minimum or maximum"),
        ("land,a,甲,date,*,NY,year,L1,O,,2024-13-01,", "minimum or maximum"),
        ("land,a,甲,decimal,*,NY,year,L1,O,,NaN,", "finite"),
        ("land,a,甲,bool,*,NY,year,L1,O,,0,", "only numbers and dates"),
        ("land,a,甲,int,*,NY,year,L1", "more or fewer cells"),
    ],
)
def test_a_bad_line_is_named(line: str, message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        catalogue_of(line)


def test_a_bad_whole_is_named() -> None:
    good = "land,{},{},int,*,NY,year,L1,O,,,"
    assert len(catalogue_of(good.format("a", "甲"), good.format("b", "乙"))) == 2
    with pytest.raises(CatalogueError, match="name a stands"):
        catalogue_of(good.format("a", "甲"), good.format("a", "乙"))
    with pytest.raises(CatalogueError, match="label 甲 stands"):
        catalogue_of(good.format("a", "甲"), good.format("b", "甲"))
    with pytest.raises(CatalogueError, match="no fields"):
        catalogue_of()
    with pytest.raises(CatalogueError, match="missing"):
        Catalogue.from_csv(b"category,field\n")
    with pytest.raises(CatalogueError, match="unknown columns x"):
        Catalogue.from_csv(HEADER.replace("maximum", "x").encode())
    with pytest.raises(CatalogueError, match="UTF-8"):
        Catalogue.from_csv("类别".encode("gb18030"))


@pytest.mark.parametrize(
    ("mode", "kind", "check", "joint"),
    [
        ("O", "organisation", True, True),
        ("O", "citizen", True, True),
        ("A", "citizen", True, True),
        ("A", "organisation", True, True),
        ("J", "citizen", False, True),
        ("J", "organisation", False, True),
        ("N", "citizen", False, False),
        ("N", "organisation", False, False),
        ("N", "opaque", False, False),
        ("J", "opaque", False, True),
    ],
)
def test_who_may_use_what(mode: str, kind: Kind, check: bool, joint: bool) -> None:
    field = Field(name="a", category="c", label_zh="甲", mode=mode)  # type: ignore[arg-type]
    assert shareable(field, kind, "check") is check
    assert shareable(field, kind, "joint") is joint
    expected = "A" if mode == "O" and kind != "organisation" else mode
    assert effective_mode(field, kind) == expected


def test_an_unknown_use_is_no_permission() -> None:
    with pytest.raises(ValueError, match="use must be"):
        shareable(default_catalogue()["credit_points"], "citizen", "export")  # type: ignore[arg-type]


def test_a_catalogue_from_a_csv_header() -> None:
    catalogue = Catalogue.from_columns(["x0", "收入 (元)", "DebtRatio"], category="host")
    assert [field.kind for field in catalogue] == ["decimal"] * 3
    assert {field.mode for field in catalogue} == {"J"}
    assert catalogue.field_set("host").identity_columns == ("subject_id",)
    assert Catalogue.from_csv(catalogue.to_csv(), identity="opaque") == catalogue
    with pytest.raises(CatalogueError):
        Catalogue.from_columns(["x0", "x0"])
