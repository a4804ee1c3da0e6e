"""Department files: what gets in, what is set aside and why, and that a file is stored whole or not at all."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine

import sharing_node.records.repository as records
from audit.database import open_engine, writing
from models.catalogue import Catalogue, CatalogueError, default_catalogue
from models.spreadsheets import safe_cell
from sharing_node.database import metadata
from sharing_node.ingest import IngestError, IngestReport, description, ingest_csv, template, templates
from sharing_node.ingest.reading import LINE_LIMIT
from sharing_node.records.marks import Marks

DAY = date(2026, 6, 30)
# Numbers of nobody: a region, a day and a check character that fit.
ANNA, BAO, CHEN = "412723199010050012", "110102199101010078", "120110199212010072"
HEAD = "公民身份号码,承包地面积,流转入面积,确权登记,流转到期日"


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """A transaction on SQLite: what a file is refused for does not depend on the database."""
    engine = open_engine(f"sqlite:///{tmp_path / 'node.db'}")
    metadata.create_all(engine)
    with writing(engine) as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def load(connection: Connection, tmp_path: Path) -> Callable[..., IngestReport]:
    """Load lines of the land field set; text becomes UTF-8 with a line end."""

    def load(*lines: str | bytes, field_set: str = "land", as_of: date = DAY, **options: object) -> IngestReport:
        path = tmp_path / f"{field_set}.csv"
        path.write_bytes(b"".join(line.encode() + b"\n" if isinstance(line, str) else line for line in lines))
        return ingest_csv(connection, default_catalogue(), field_set, path, as_of=as_of, **options)  # type: ignore[arg-type]

    return load


def payload(connection: Connection, number: str, field_set: str = "land") -> bytes | None:
    kind = "organisation" if number[:2] in ("91", "93", "N2") else "citizen"
    found = records.records_of(connection, field_set, [f"{kind}:{number}"])
    return found[f"{kind}:{number}"][field_set].payload if found else None


def credit_code(body: str) -> str:
    from stdnum.cn import uscc

    return body + uscc.calc_check_digit(body)


def test_a_file_by_labels(load: Callable[..., IngestReport], connection: Connection) -> None:
    report = load(HEAD, f"{ANNA},12.50,３,是,2027年3月5日", f" {BAO} ,0,,否,", ",,,,", "")
    assert (report.rows_read, report.rows_loaded, report.quarantined) == (2, 2, {})
    assert report.source_department == "NY/ZR"
    assert payload(connection, ANNA) == (
        b'{"contracted_land_area":12.5,"land_right_certified":true,"lease_end_date":"2027-03-05","leased_in_area":3}'
    )
    assert payload(connection, BAO) == b'{"contracted_land_area":0,"land_right_certified":false}'
    assert records.subject_types(connection, [f"citizen:{ANNA}"]) == {f"citizen:{ANNA}": "H"}
    (batch,) = records.batches(connection, "land")
    assert (batch.batch, batch.rows_loaded, batch.as_of, batch.file_name) == (report.batch, 2, DAY, "land.csv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_encodings_give_the_same_bytes(connection: Connection, tmp_path: Path, encoding: str, line_end: str) -> None:
    lines = ["公民身份号码,主体类型,名称/姓名,主营产品", f'{ANNA},农户,"张三,㐂",茶叶', f"{BAO},H,李四,粮食", ""]
    path = tmp_path / "basic.csv"
    path.write_bytes(line_end.join(lines).encode(encoding))
    report = ingest_csv(connection, default_catalogue(), "basic", path, as_of=DAY)
    assert report.encoding == encoding
    assert report.quarantined == {}
    assert payload(connection, ANNA, "basic") == (
        '{"main_product":"茶叶","subject_name":"张三,㐂","subject_type":"农户"}'.encode()
    )


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f"{BAO},12亩,,,", "without unit"),
        (f'{BAO},"1,200",,,', "thousands"),
        (f"{BAO},twelve,,,", "a number is expected"),
        (f"{BAO},NaN,,,", "a number is expected"),
        (f"{BAO},-1,,,", "out of range"),
        (f"{BAO},1e80,,,", "too large"),
        (f"{BAO},,,也许,", "write 是 or 否"),
        (f"{BAO},,,,2026-02-30", "no such day"),
        (f"{BAO},,,,next year", "a date like"),
        (f"{BAO},,,,1066-10-14", "out of range"),
        (",1,2,,", "does not say who"),
        ("110102199101010079,1,,,", "check character"),
        ("1.10102E+17,1,,,", "17 digits"),
        (f"{BAO},1,2,是", "5 cells are expected, there are 4"),
        (f"{BAO},1,2,是,2027-01-01,9", "5 cells are expected, there are 6"),
        (f'{BAO},"1,2,是,2027-01-01', "quotation"),
        (f"{BAO},1\0,2,,", "NUL"),
        ("9" * LINE_LIMIT + ",1,2,,", "longer than"),
    ],
)
def test_a_bad_row_is_set_aside_alone(load: Callable[..., IngestReport], connection: Connection, row: str, reason: str) -> None:
    report = load(HEAD, f"{ANNA},1,2,,", row, f"{CHEN},3,4,,")
    assert list(report.quarantined) == [3]
    assert reason in " ".join(report.quarantined[3])
    assert report.rows_loaded == 2
    assert payload(connection, ANNA)
    assert payload(connection, CHEN)
    assert payload(connection, BAO) is None
    assert BAO not in repr(report)


def test_all_faults_of_a_row_are_told_at_once(load: Callable[..., IngestReport]) -> None:
    report = load(HEAD, f"{ANNA},x,-3,maybe,1.1.1")
    assert len(report.quarantined[2]) == 4


def test_a_last_line_without_end_is_not_believed(load: Callable[..., IngestReport]) -> None:
    # 12 may be what is left of 1200.
    report = load(HEAD, f"{ANNA},1,2,,", f"{BAO},1,2,是,2027-01-0".encode())
    assert report.rows_loaded == 1
    assert "ends inside this line" in report.quarantined[3][0]


@pytest.mark.parametrize(("encoding", "foreign"), [("utf-8", "gb18030"), ("gb18030", "utf-8")])
def test_another_encoding_in_the_middle(load: Callable[..., IngestReport], encoding: str, foreign: str) -> None:
    def name(number: str, text: str, codec: str) -> bytes:
        return f"{number},农户,{text}\n".encode(codec)

    report = load(
        "公民身份号码,主体类型,名称/姓名\n".encode(encoding),
        name(ANNA, "张三", encoding),
        # Odd numbers of UTF-8 bytes are no GB18030; even ones can be and read as other characters.
        f"{BAO},农户,王".encode(foreign) + b"\n" if foreign == "utf-8" else name(BAO, "王五", foreign),
        name(CHEN, "李四", encoding),
        field_set="basic",
    )
    assert report.encoding == encoding
    assert report.rows_loaded == 2
    assert list(report.quarantined) == [3]


def test_identical_rows_count_once_and_different_ones_not_at_all(
    load: Callable[..., IngestReport], connection: Connection
) -> None:
    report = load(
        HEAD,
        f"{ANNA},1.0,2,,",
        f"{BAO},1,2,,",
        f"{ANNA},1,2.00,,",  # the same, spelled otherwise
        f"{BAO},1,3,,",
        f"{BAO},1,2,,",
        f"{CHEN},1,2,,",
        f"{CHEN},1亩,2,,",  # unreadable: nobody knows whether it agrees
    )
    assert (report.rows_loaded, report.rows_repeated) == (1, 1)
    assert list(report.quarantined) == [3, 5, 6, 7, 8]
    assert payload(connection, ANNA) is not None
    assert payload(connection, BAO) is None
    assert payload(connection, CHEN) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf", "blank lines only"),
        (b"\n\n , \n", "no header"),
        (HEAD.encode() + b"\n", "no rows"),
        (HEAD.encode("utf-16"), "UTF-16"),
        (b"PK\x03\x04" + b"x" * 20, "spreadsheet"),
        (f"公民身份号码,收成\n{ANNA},1\n".encode(), "unknown columns for land: '收成'"),
        (f"承包地面积\n{1}\n".encode(), "no header that says who"),
        (f"公民身份号码\n{ANNA}\n".encode(), "no field of land"),
        (f"公民身份号码,承包地面积,contracted_land_area\n{ANNA},1,1\n".encode(), "are the same"),
        (f'公民身份号码,"承包地面积\n{ANNA},1\n'.encode(), "no header"),
        (f"公民身份号码,承包地\0面积\n{ANNA},1\n".encode(), "unknown columns"),
    ],
)
def test_a_file_that_cannot_be_used_at_all(
    load: Callable[..., IngestReport], connection: Connection, content: bytes, message: str
) -> None:
    with pytest.raises(IngestError, match=message):
        load(content)
    assert records.batches(connection) == []


def test_a_file_without_header_is_refused_without_showing_its_first_person(load: Callable[..., IngestReport]) -> None:
    with pytest.raises(IngestError) as caught:
        load(f"{ANNA},12.5,,,", f"{BAO},1,2,,")
    assert ANNA not in str(caught.value)
    assert "12.5" not in str(caught.value)


def test_size_limit_and_unknown_field_set(load: Callable[..., IngestReport]) -> None:
    with pytest.raises(IngestError, match="more than 50 bytes"):
        load(HEAD, f"{ANNA},1,2,,", size_limit=50)
    with pytest.raises(CatalogueError, match="harvest"):
        load(HEAD, f"{ANNA},1,2,,", field_set="harvest")


def test_nothing_half_done(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "land.csv"
    path.write_text(f"{HEAD}\n{ANNA},1,2,,\n{BAO},bad,2,,\n", "utf-8")
    whole = records.upsert_records

    def breaks_off(connection: Connection, rows: object) -> None:
        whole(connection, rows)  # type: ignore[arg-type]
        raise OSError("disk full")

    monkeypatch.setattr(records, "upsert_records", breaks_off)
    with engine.connect() as connection:
        with pytest.raises(OSError, match="disk full"):
            ingest_csv(connection, default_catalogue(), "land", path, as_of=DAY)
        connection.rollback()
        assert records.batches(connection) == []
        assert records.subject_types(connection, [f"citizen:{ANNA}"]) == {}
        assert payload(connection, ANNA) is None
        # Inside somebody's transaction: the file goes, the rest stays theirs to decide.
        with pytest.raises(OSError, match="disk full"):
            ingest_csv(connection, default_catalogue(), "land", path, as_of=DAY)
        monkeypatch.undo()
        ingest_csv(connection, default_catalogue(), "land", path, as_of=DAY)
        connection.commit()
        assert len(records.batches(connection)) == 1
    assert not list(tmp_path.glob(".quarantine-*"))


def test_without_a_transaction_of_the_caller_it_commits_its_own(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "land.csv"
    path.write_text(f"{HEAD}\n{ANNA},1,2,,\n", "utf-8")
    with engine.connect() as connection:
        ingest_csv(connection, default_catalogue(), "land", path, as_of=DAY)
    with engine.connect() as connection:
        assert payload(connection, ANNA) is not None


def test_an_older_file_does_not_replace_what_is_newer(load: Callable[..., IngestReport], connection: Connection) -> None:
    load(HEAD, f"{ANNA},1,,,")
    newer = payload(connection, ANNA)
    report = load(HEAD, f"{ANNA},2,,,", f"{BAO},2,,,", as_of=date(2026, 6, 29))
    assert (report.rows_loaded, report.rows_outdated) == (1, 1)
    assert payload(connection, ANNA) == newer
    assert load(HEAD, f"{ANNA},3,,,").rows_loaded == 1
    assert payload(connection, ANNA) == b'{"contracted_land_area":3}'


def test_fields_belong_to_types_of_subject(load: Callable[..., IngestReport], connection: Connection) -> None:
    co_op, village = credit_code("93340602MA2PBQAH7"), credit_code("N2532300MF1234567")
    head = "公民身份号码,统一社会信用代码,主体类型,承包地面积,流转入面积,不动产登记数"
    report = load(
        head,
        f",{co_op},农民合作社,,800,1",
        f",{village},V,,,2",
        f"{ANNA},,H,5,,",
        f"{BAO},,C,,3,",
        f"{CHEN},{co_op},H,,3,",
    )
    assert report.rows_loaded == 3
    assert "not have this kind of identity" in report.quarantined[5][0]
    assert "only one identity column" in report.quarantined[6][0]
    # Contracted land is a household's: not a cooperative's, whether the file says so or the register.
    again = load(head, f",{co_op},,5,,", f",{village},E,,3,", f",{credit_code('91340602MA2UJY3J9')},,,3,")
    assert "不适用于农民合作社" in again.quarantined[2][0]
    assert "承包地面积" in again.quarantined[2][0]
    assert "on record as another type" in again.quarantined[3][0]
    assert "subject type unknown" in again.quarantined[4][0]
    # The register itself may change a type.
    load("统一社会信用代码,主体类型,经营年限", f"{co_op},农业企业,3", field_set="basic")
    assert records.subject_types(connection, [f"organisation:{co_op}"]) == {f"organisation:{co_op}": "E"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_what_is_set_aside_goes_back_as_it_came(connection: Connection, tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "basic.csv"
    damaged = b"\xff\xfe"
    path.write_bytes(
        f"公民身份号码,主体类型,名称/姓名,经营年限\n{ANNA},农户,=HYPERLINK(1),-5\n".encode(encoding)
        + f"{BAO},农户,".encode(encoding.removesuffix("-sig"))
        + damaged
        + b",3\n"
        + f"{CHEN},农户,王,3\n".encode(encoding.removesuffix("-sig"))
    )
    report = ingest_csv(connection, default_catalogue(), "basic", path, as_of=DAY)
    assert report.rows_loaded == 1
    assert report.quarantine_file == tmp_path / "basic.quarantine.csv"
    assert report.quarantine_file.stat().st_mode & 0o077 == 0
    raw = report.quarantine_file.read_bytes()
    assert damaged in raw
    assert raw.startswith(codecs.BOM_UTF8) == (encoding == "utf-8-sig")
    text = raw.replace(damaged, b"").decode(encoding)
    header, first, second = csv.reader(io.StringIO(text))
    assert header == ["行号/line", "原因/reason", "公民身份号码", "主体类型", "名称/姓名", "经营年限"]
    assert first[0] == "2"
    assert "out of range" in first[1]
    assert first[2:] == [ANNA, "农户", "'=HYPERLINK(1)", "-5"]
    assert second[2:] == [BAO, "农户", "", "3"]
    # Corrected and sent again, it is an ordinary file; its own leftovers name only the new faults.
    report.quarantine_file.write_bytes(text.replace("-5", "5").replace(f"{BAO},农户,,3", f"{BAO},农户,,900").encode(encoding))
    again = ingest_csv(connection, default_catalogue(), "basic", report.quarantine_file, as_of=DAY)
    assert again.rows_loaded == 1
    assert again.quarantine_file is not None
    assert again.quarantine_file.read_bytes().decode(encoding).splitlines()[0].count("原因") == 1


@pytest.mark.parametrize("cell", ["=1+1", "+cmd", "-a", "@x", "\tx", "＝1+1", " =1", "-1+2", "+1|calc"])
def test_a_spreadsheet_takes_no_returned_cell_for_a_formula(cell: str) -> None:
    assert safe_cell(cell) == "'" + cell


@pytest.mark.parametrize("cell", ["-5", "+5", "-5.25", "张三", "1-2", ""])
def test_other_cells_return_as_they_are(cell: str) -> None:
    assert safe_cell(cell) == cell


def test_opaque_ids_and_columns_of_an_unknown_data_set(connection: Connection, tmp_path: Path) -> None:
    catalogue = Catalogue.from_columns(["x0", "收入 (元)"], category="host")
    content = io.BytesIO(b"id,X0,\xe6\x94\xb6\xe5\x85\xa5 (\xe5\x85\x83)\nr1,-0.25,7e-05\nr2,,1\n")
    options = {"as_of": DAY, "file_name": "host.csv", "quarantine_folder": tmp_path, "identity_column": "id"}
    report = ingest_csv(connection, catalogue, "host", content, **options)  # type: ignore[arg-type]
    assert (report.rows_loaded, report.quarantined) == (2, {})
    stored = records.records_of(connection, "host", ["opaque:r1", "opaque:r2"])
    assert stored["opaque:r1"]["host"].payload == '{"x0":-0.25,"收入 (元)":0.00007}'.encode()
    values = records.numeric_columns(connection, catalogue.fields, ["opaque:r2", "opaque:r1"], Marks(), date(2026, 6, 30))
    assert values[1].tolist() == [-0.25, 7e-05]
    with pytest.raises(ValueError, match="file_name"):
        ingest_csv(connection, catalogue, "host", content, as_of=DAY)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_template_is_a_file_that_can_be_filled_in(
    connection: Connection, tmp_path: Path, encoding: str, language: str
) -> None:
    catalogue = default_catalogue()
    for category in catalogue.categories:
        field_set = catalogue.field_set(category)
        blank = template(field_set, encoding=encoding, language=language)  # type: ignore[arg-type]
        assert blank.count(b"\n") == 1
        (header,) = csv.reader(io.StringIO(blank.decode(encoding)))
        row = [ANNA, "", "农户", *[""] * (len(header) - 3)]
        path = tmp_path / f"{category}.csv"
        path.write_bytes(blank + ",".join(row).encode(encoding.removesuffix("-sig")) + b"\n")
        report = ingest_csv(connection, catalogue, category, path, as_of=DAY)
        assert report.quarantined == {}
        assert report.rows_loaded == 1


def test_the_description_explains_every_column() -> None:
    for blank, explained in templates(default_catalogue()).values():
        (header,) = csv.reader(io.StringIO(blank.decode("utf-8-sig")))
        rows = list(csv.reader(io.StringIO(explained.decode("utf-8-sig"))))
        assert [row[1] for row in rows[1:]] == header
        assert len({len(row) for row in rows}) == 1
    land = description(default_catalogue().field_set("land"), encoding="gb18030").decode("gb18030")
    assert "leased_in_area,流转入面积,Area leased in,数字/number,亩,0 … 1000000,H; F; C; E,NY,month,L3,A,待定" in land
