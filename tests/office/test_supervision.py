"""A supervisor's figures: counted from the log, the same as from the database, small cells not shown, reports that verify."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from stdnum.cn import ric
from typer.testing import CliRunner

from audit.office import tables
from audit.office.store import supervision as store
from audit.verifier.checkpoint import Checkpoint
from models import wire
from models.cli import build
from models.consents import Purpose
from models.disputes import AnswerDispute, Filing, Finding, RaiseDispute
from models.logged import Empty
from models.parties import Role
from models.problems import BadSignature, Conflict, Forbidden, NoConsent, Unusable
from models.supervision import page, spreadsheet
from models.supervision.messages import (
    ALL,
    AreaCoverage,
    AskFigures,
    CoverageStatement,
    CreditFiled,
    CreditLine,
    CreditReport,
    Figure,
    Freshness,
    IssuedReport,
    IssuedReports,
    IssueReport,
    Shown,
    YearFigures,
    YearlyReport,
)
from models.supervision.periods import Quarter
from models.supervision.recount import WrongFigure, recount
from models.supervision.tally import tally
from models.wire import Signed
from tests.noon import noon_zone
from tests.office.world import World

DAY = 24 * 3600
NORTH, SOUTH = "532301", "532522"


def citizen(county: str, number: int) -> str:
    """A valid identity code that nobody has been given."""
    body = f"{county}19000101{number:03}"
    return f"citizen:{body}{ric.calc_check_digit(body + '0')}"


def figures(world: World, year: int, person: str = "office/super") -> YearFigures:
    return world.client(person).logged("/supervision/figures", AskFigures(year=year), YearFigures).answer


def found(of: YearFigures, measure: str, **where: str) -> Figure:
    [one] = [f for f in of.figures if f.measure == measure and all(getattr(f, name) == value for name, value in where.items())]
    return one


def ask(world: World, county: str, numbers: range) -> None:
    for number in numbers:
        world.ask(world.question(citizen(county, number)))


def quarter_of(world: World) -> Quarter:
    return Quarter.at(world.now, world.office.settings.zone)


def into_next_year(world: World, quarter: Quarter) -> None:
    world.clock.shift += Quarter(quarter.year + 1, 1).begins(world.office.settings.zone) + DAY - world.now


@pytest.fixture(scope="module")
def asked(world: World) -> World:
    """12 and 3 granted questions of two counties, 2 refused, two objections of which one is answered, all around noon."""
    object.__setattr__(world.office.settings, "time_zone", noon_zone())
    world.project("p1")
    world.seal()
    people = [citizen(NORTH, n) for n in range(12)] + [citizen(SOUTH, n) for n in range(3)]
    world.consented(*people)
    ask(world, NORTH, range(12))
    ask(world, SOUTH, range(3))
    for number in (900, 901):
        with pytest.raises(NoConsent):
            ask(world, NORTH, range(number, number + 1))
    cases = []
    for person in people[:2]:
        dispute = RaiseDispute(subject=person, field="household_size", statement="we are five")
        cases.append(world.clerk.logged("/disputes", dispute, Filing).answer.id)
    answer = AnswerDispute(finding=Finding.UNMARKED, text="it is five in the register too")
    world.client("office/chen").logged(f"/disputes/{cases[0]}/answer", answer, Signed)
    return world


# ---------------------------------------------------------------------- counting


def test_the_running_quarter_is_shown_in_tens_and_counted_once_a_day(asked: World) -> None:
    quarter = quarter_of(asked)
    name = str(quarter)
    seen = figures(asked, quarter.year)
    assert not seen.complete
    granted = found(seen, "questions.granted", period=name, key="bank-a", second=Purpose.LOAN_APPROVAL)
    assert (granted.value, granted.shown) == (20, Shown.TENS)
    assert not [f for f in seen.figures if f.measure.startswith("questions.") and f.area]
    assert found(seen, "questions.refused", period=name, key="bank-a", second=Purpose.LOAN_APPROVAL).shown is Shown.FEW
    assert found(seen, "objections.open", period=name).shown is Shown.FEW
    asked.consented(*(citizen(NORTH, n) for n in range(100, 115)))
    ask(asked, NORTH, range(100, 115))
    assert figures(asked, quarter.year).figures == seen.figures
    asked.clock.shift += DAY
    if quarter_of(asked) == quarter:
        later = figures(asked, quarter.year)
        assert found(later, "questions.granted", period=name, key="bank-a", second=Purpose.LOAN_APPROVAL).value == 30
    asked.clock.shift -= DAY


def test_counts_recomputed_from_the_log_are_those_of_the_database(asked: World) -> None:
    size = asked.office.log.size
    with asked.office.engine.connect() as connection:
        opened = store.Opened(connection, 0, size)
        counted = tally(opened.entries(), opened.opening, 0, asked.now + DAY, asked.office.settings.zone)
        rows = connection.execute(
            select(tables.access.c.bank, tables.access.c.purpose, tables.access.c.region, tables.access.c.outcome)
        )
        stored = Counter(
            ("questions.granted" if row.outcome == "granted" else "questions.refused", row.bank, row.purpose, row.region)
            for row in rows
        )
    assert stored == Counter({cell: n for cell, n in counted.flows.items() if cell[0].startswith("questions.")})
    assert counted.flows["objections.filed", "", "", NORTH] == 2
    assert counted.flows["objections.answered", "unmarked", "in-time", NORTH] == 1
    assert len(counted.open) == 1
    assert counted.overdue(asked.now, asked.office.settings.zone) == 0
    assert counted.overdue(asked.now + 21 * DAY, asked.office.settings.zone) == 1


def test_without_openings_only_county_and_refused_purpose_are_missing(asked: World) -> None:
    with asked.office.engine.connect() as connection:
        entries = asked.office.log.store.entries(connection, 0, asked.office.log.size)
    counted = tally(entries, lambda _: None, 0, asked.now + DAY, asked.office.settings.zone)
    assert {cell[3] for cell in counted.flows} == {"-"}
    assert counted.flows["questions.granted", "bank-a", Purpose.LOAN_APPROVAL, "-"] >= 15
    assert counted.flows["questions.refused", "bank-a", "other", "-"] == 2


def test_every_figure_names_the_log_that_it_was_counted_from(asked: World) -> None:
    quarter = quarter_of(asked)
    [basis] = [basis for basis in figures(asked, quarter.year).bases if basis.period == str(quarter)]
    assert basis.origin == asked.office.log.origin
    with asked.office.engine.connect() as connection:
        kept = asked.office.log.store.checkpoint(connection, basis.size)
    assert kept is not None
    checkpoint = Checkpoint.parse(kept.note.split("\n\n")[0] + "\n")
    assert (checkpoint.size, checkpoint.root) == (basis.size, basis.root)


# ---------------------------------------------------------------------- a year that is over


def test_a_closed_year_is_exact_hides_small_cells_and_is_issued_signed(fresh: World, tmp_path: Path) -> None:
    world = fresh
    world.project("p1")
    world.seal()
    quarter = quarter_of(world)
    world.consented(*(citizen(NORTH, n) for n in range(12)), *(citizen(SOUTH, n) for n in range(3)))
    ask(world, NORTH, range(12))
    ask(world, SOUTH, range(3))
    client = world.client("office/super")
    with pytest.raises(Unusable, match="once the year is over"):
        client.logged("/supervision/reports", IssueReport(year=quarter.year), IssuedReport)
    into_next_year(world, quarter)
    seen = figures(world, quarter.year)
    assert seen.complete
    name = str(quarter)
    total = found(seen, "questions.granted", period=name, key=ALL, second=ALL)
    assert (total.value, total.shown) == (15, Shown.EXACT)
    # 15 in all and 12 in the north would give the three of the south away.
    assert {found(seen, "questions.granted", period=name, area=county).shown for county in (NORTH, SOUTH)} == {Shown.HIDDEN}
    assert all(found(seen, "questions.granted", period=str(quarter.year), area=c).shown is Shown.HIDDEN for c in (NORTH, SOUTH))

    before = world.office.log.size
    issued = client.logged("/supervision/reports", IssueReport(year=quarter.year), IssuedReport).answer
    key = world.office.keys.statement.public_key()
    word = wire.open_signed(issued.report, YearlyReport, "office", key)
    assert (word.year, word.number) == (quarter.year, 1)
    assert hashlib.sha256(issued.csv).hexdigest() == word.csv
    assert hashlib.sha256(issued.page_zh).hexdigest() == word.page_zh
    assert hashlib.sha256(issued.page_en).hexdigest() == word.page_en
    leaf = next(leaf for leaf in world.leaves()[before:] if leaf["action"] == "supervision.issue")
    assert leaf["facts"] == {"year": quarter.year, "number": 1, "csv": word.csv, "report": issued.report.digest()}
    with pytest.raises(BadSignature):
        wire.open_signed(wire.replace(issued.report, payload=issued.report.payload + b" "), YearlyReport, "office", key)
    with pytest.raises(Unusable, match="say why"):
        client.logged("/supervision/reports", IssueReport(year=quarter.year), IssuedReport)
    verify_offline(world, issued, tmp_path)
    auditor = world.client("office/audit")
    assert auditor.get(f"/supervision/reports/{quarter.year}/1", IssuedReport) == issued
    assert auditor.get("/supervision/reports", IssuedReports).reports == (issued.report,)


def verify_offline(world: World, issued: IssuedReport, folder: Path) -> None:
    """With the files, public keys and a copy of the log, and nothing of the service."""
    name = {"word": wire.encode(issued.report), "csv": issued.csv, "zh": issued.page_zh, "en": issued.page_en}
    for file, content in name.items():
        (folder / file).write_bytes(content)
    key = base64.b64encode(world.office.keys.statement.public_key().public_bytes_raw()).decode()
    app = build(one for one in entry_points(group="xinqiao.commands") if one.name in ("mirror", "verify-report"))
    run, log_key = CliRunner(), str(world.office.log.signer.key)
    copied = run.invoke(app, ["mirror", f"{world.url}/log", str(folder / "mirror"), "--vkey", log_key])
    assert copied.exit_code == 0, copied.output
    files = [argument for file in ("csv", "zh", "en") for argument in ("--file", str(folder / file))]
    again = ["--log", str(folder / "mirror"), "--log-key", log_key]
    good = run.invoke(app, ["verify-report", str(folder / "word"), "--office-key", key, *files, *again])
    assert good.exit_code == 0, good.output
    assert re.search(r"[1-9][0-9]* figures were counted again", good.output)
    with world.office.engine.connect() as connection:
        entries = world.office.log.store.entries(connection, 0, world.office.log.size)
    report = wire.decode(issued.report.payload, YearlyReport)
    exact = next(line for line in issued.csv.splitlines() if b"questions.granted" in line and b",exact," in line)
    wrong = issued.csv.replace(exact, exact.replace(b",15,", b",16,"))
    with pytest.raises(WrongFigure, match="the report says 16, the log gives 15"):
        recount(report, wrong, entries)
    (folder / "csv").write_bytes(wrong)
    bad = run.invoke(app, ["verify-report", str(folder / "word"), "--office-key", key, *files])
    assert bad.exit_code == 1
    assert "was changed" in bad.output


# ---------------------------------------------------------------------- what others state


def statement(month: str, **changes: Any) -> CoverageStatement:
    counts = {f"{NORTH}100": (210, 200, 190, 20, -1), f"{NORTH}101": (100, 90, 80, -1, -1), f"{SOUTH}100": (0, -1, -1, -1, -1)}
    names = ("declared", "households", "households_served", "organisations", "organisations_served")
    areas = tuple(AreaCoverage(area=area, **dict(zip(names, values, strict=True))) for area, values in counts.items())
    fresh = Freshness(department="NY", category="land", cycle="month", days=31, newest="2026-06-30", fresh=0, late=-1, old=300)
    return CoverageStatement(**{"month": month, "stated_at": 1, "areas": areas, "freshness": (fresh,), **changes})


def test_the_nodes_statement_is_kept_once_a_month_and_leads_back_to_its_leaf(asked: World) -> None:
    month = this_month(asked)
    quarter = Quarter(int(month[:4]), (int(month[5:]) + 2) // 3)  # the month's, which is by UTC
    signed = asked.by_node(statement(month))
    asked.client("node/steward").logged("/statements/coverage", signed, Empty)
    asked.client("node/op").logged("/statements/coverage", signed, Empty)
    with pytest.raises(Conflict):
        asked.client("node/op").logged("/statements/coverage", asked.by_node(statement(month, stated_at=2)), Empty)
    with pytest.raises(BadSignature):
        asked.client("node/op").logged(
            "/statements/coverage", wire.sign(statement("2026-01"), "node", asked.keys["node/op"]), Empty
        )
    with pytest.raises(Unusable):
        asked.client("node/op").logged("/statements/coverage", asked.by_node(statement("2026-13")), Empty)
    with pytest.raises(Unusable):
        asked.client("node/op").logged("/statements/coverage", asked.by_node(statement(f"{quarter.year + 1}-12")), Empty)
    with pytest.raises(Forbidden):
        asked.officer.logged("/statements/coverage", signed, Empty)
    seen = figures(asked, quarter.year)
    assert found(seen, "coverage.households", period=str(quarter), area=NORTH).value == 290
    assert found(seen, "coverage.declared", period=str(quarter), area=ALL).value == 310
    assert found(seen, "coverage.households_served", period=str(quarter), area=f"{SOUTH}100").shown is Shown.FEW
    assert found(seen, "freshness.old", period=str(quarter), key="NY", second="land/month").value == 300
    [source] = [source for source in seen.sources if source.kind == "coverage"]
    leaf = next(leaf for leaf in asked.leaves() if leaf["action"] == "statement.coverage" and leaf["outcome"] == "done")
    assert leaf["facts"]["statement"] == source.digest == signed.digest()


def this_month(world: World) -> str:
    return datetime.fromtimestamp(world.now, UTC).strftime("%Y-%m")


def line(area: str = NORTH, **changes: Any) -> CreditLine:
    fields = {"agricultural": 6_000_000, "agricultural_borrowers": 61, "loans": 20_000_000, "borrowers": 200}
    return CreditLine(area=area, **{**fields, **changes})


def file(
    world: World, *lines: CreditLine, person: str = "bank-a/ap", bank: str = "bank-a", back: int = 1, corrects: str = ""
) -> CreditFiled:
    period = quarter_of(world)
    for _ in range(back):
        period = period.previous()
    report = CreditReport(bank=bank, period=str(period), lines=lines, corrects=corrects)
    signed = wire.sign(report, person, world.keys[person])
    return world.client(person).logged("/credit-reports", signed, CreditFiled).answer


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ([line(agricultural=30_000_000)], "part of all loans"),
        ([line(agricultural=-1)], "negative"),
        ([line(loans=200)], "do not fit"),
        ([line(loans=6_000_000, agricultural=600)], "do not fit"),
        ([line(), line()], "stands twice"),
        ([line(), line(f"{NORTH}100")], "count them twice"),
        ([line("53")], "code of a county"),
        ([], "1 to"),
    ],
)  # fmt: skip
def test_implausible_reports_are_refused(asked: World, wrong: list[CreditLine], why: str) -> None:
    with pytest.raises(Unusable, match=why):
        file(asked, *wrong)


def test_a_correction_names_what_it_replaces_and_figures_move_in_tens(fresh: World) -> None:
    quarter = quarter_of(fresh).previous()
    first = file(fresh, line(), line(SOUTH, agricultural=10_000, agricultural_borrowers=2))
    with pytest.raises(Conflict, match="names the digest"):
        file(fresh, line())
    seen = figures(fresh, quarter.year)
    shown = {f.area: f for f in seen.figures if f.measure == "credit.agricultural_borrowers" and not f.key}
    assert (shown[NORTH].value, shown[SOUTH].shown) == (60, Shown.FEW)
    assert found(seen, "credit.agricultural", period=str(quarter), area=SOUTH).shown is Shown.FEW
    assert found(seen, "credit.agricultural", period=str(quarter), area=NORTH).value == 6_000_000
    # One borrower more, and one loan more: nothing that is shown moves.
    second = file(
        fresh,
        line(agricultural=6_150_000, agricultural_borrowers=62),
        line(SOUTH, agricultural=10_000, agricultural_borrowers=2),
        corrects=first.digest,
    )
    assert second.number == 1
    assert [f for f in figures(fresh, quarter.year).figures if f.measure.startswith("credit.")] == [
        f for f in seen.figures if f.measure.startswith("credit.")
    ]
    with pytest.raises(Conflict):
        file(fresh, line(), corrects=first.digest)
    with pytest.raises(Unusable, match="not over"):
        file(fresh, line(), back=0)
    fresh.clock.shift += quarter_of(fresh).ends(fresh.office.settings.zone) + DAY - fresh.now
    # In 万元 instead of yuan, a quarter later.
    with pytest.raises(Unusable, match="10 times"):
        file(fresh, line(agricultural=6_000, agricultural_borrowers=6, loans=20_000, borrowers=20))
    with pytest.raises(Forbidden):
        file(fresh, line(), bank="bank-b")
    with pytest.raises(Forbidden):
        file(fresh, line(), person="bank-a/li")


# ---------------------------------------------------------------------- files


def test_the_csv_opens_in_excel_and_a_county_filter_keeps_its_townships(asked: World) -> None:
    seen = figures(asked, quarter_of(asked).year)
    content = spreadsheet.write(seen)
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    assert rows[0] == list(spreadsheet.COLUMNS)
    assert rows[1] == list(spreadsheet.COLUMNS.values())
    assert len(rows) == len(seen.figures) + 2
    assert not any(cell[:1] in "=+-@" for row in rows for cell in row if cell)
    for figure, row in zip(seen.figures, rows[2:], strict=True):
        record = dict(zip(rows[0], row, strict=True))
        assert (record["value"] == "") == (figure.shown in (Shown.FEW, Shown.HIDDEN))
        assert record["log_root"] or record["sources"]
    only = list(csv.DictReader(io.StringIO(spreadsheet.write(seen, SOUTH).decode("utf-8-sig"))))[1:]
    assert {row["area"][:6] for row in only} <= {"", SOUTH}


def test_the_page_is_escaped_whole_and_the_same_each_time(asked: World) -> None:
    seen = figures(asked, quarter_of(asked).year)
    odd = wire.replace(
        seen, figures=(*seen.figures, Figure(measure="batches.filed", period=str(quarter_of(asked)), key="<b>&"))
    )
    for language in ("zh", "en"):
        text = page.render(odd, language).decode()
        assert page.render(odd, language).decode() == text
        assert "<b>" not in text
        assert "<script" not in text
        assert 'style="' not in text
        assert seen.bases[0].root.hex() in text


def test_only_supervisors_are_given_figures_and_only_aggregates(asked: World) -> None:
    year = quarter_of(asked).year
    for person in ("office/wang", "bank-a/mo", "node/op"):
        with pytest.raises(Forbidden):
            figures(asked, year, person)
    for endpoint in asked.app.state.gate.endpoints:
        if Role.SUPERVISOR in endpoint.roles:
            # What else they may read takes nothing in which somebody could be named.
            nameless = endpoint.method == "GET" and "{" not in endpoint.path
            assert endpoint.path.startswith("/supervision/") or nameless, endpoint
    with pytest.raises(Unusable):
        figures(asked, year + 1)
    assert "citizen:" not in str(figures(asked, year))
