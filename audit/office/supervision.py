"""A supervisor's figures: counted from the log, from the node's statements and from banks' reports; nobody is in them.

A quarter is counted from the log once it is over, and never again; the one that goes on at most once a day. Every figure names
what it was counted from (`Basis`: origin, size and root of a checkpoint), and with a mirror of the log and the office's
openings anybody counts the same (`models.supervision.tally`). What may be shown is decided before anything is stored as shown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from sqlalchemy import Connection

from audit.office.office import Office
from audit.office.store import supervision as store
from audit.office.store.supervision import Exact, Period
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome, Within
from audit.verifier.checkpoint import Checkpoint
from models.problems import NotFound, Unavailable, Unusable
from models.supervision import page, spreadsheet
from models.supervision.credit import MEASURES, advance_credit, sums
from models.supervision.messages import (
    ALL,
    Basis,
    CoverageStatement,
    Figure,
    IssuedReport,
    IssuedReports,
    IssueReport,
    SignedSource,
    YearFigures,
    YearlyReport,
)
from models.supervision.periods import Quarter, quarters_of
from models.supervision.release import closed, coverage, in_tens, running, standing, with_sums
from models.supervision.steps import Step, total
from models.supervision.tally import OPEN_OBJECTIONS, OVERDUE, Tally, tally
from models.wire import decode, replace
from models.zones import day_at

SLACK = 24 * 3600
"""Around a period, where entries whose time is within it may stand."""
SETTLING = 3600
"""After its end, until a quarter is counted: what was asked in its last moments has its entry by then."""
FIRST_YEAR, LAST_YEAR = 2020, 2100
LONGEST_REASON = 500


class Supervision:
    """Handlers for supervisors."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def figures(self, call: Call) -> Within:
        """POST /supervision/figures: all `YearFigures` of a year that may be shown now."""
        year: int = call.body.year
        counted = self._count(year, call.now)

        def within(connection: Connection) -> Outcome:
            answer = self._year(connection, counted, year, call.now)
            return Outcome(answer, [LeafDraft("supervision.figures", {"year": year, "figures": len(answer.figures)})])

        return within

    def issue(self, call: Call) -> Within:
        """POST /supervision/reports: the official report of a year that is over, as files with the office's signature."""
        body: IssueReport = call.body
        counted = self._count(body.year, call.now)
        if len(body.reason) > LONGEST_REASON:
            raise Unusable(f"the reason has at most {LONGEST_REASON} characters")

        def within(connection: Connection) -> Outcome:
            found = self._year(connection, counted, body.year, call.now)
            if not found.complete:
                raise Unusable("a yearly report is issued once the year is over; until then the figures can be exported")
            number = store.issued_numbers(connection, body.year) + 1
            if number > 1 and not body.reason:
                raise Unusable("this year's report has been issued; say why it is issued anew")
            table, zh, en = spreadsheet.write(found), page.render(found, "zh"), page.render(found, "en")
            word = YearlyReport(
                year=body.year,
                time_zone=self._office.settings.time_zone,
                number=number,
                issued_at=call.now,
                csv=hashlib.sha256(table).hexdigest(),
                page_zh=hashlib.sha256(zh).hexdigest(),
                page_en=hashlib.sha256(en).hexdigest(),
                bases=found.bases,
            )
            signed = self._office.sign(word)
            issued = IssuedReport(report=signed, csv=table, page_zh=zh, page_en=en)
            store.add_issued(connection, word, issued, call.person.id)
            facts = {"year": body.year, "number": number, "csv": word.csv, "report": signed.digest()}
            return Outcome(issued, [LeafDraft("supervision.issue", facts, {"reason": body.reason})])

        return within

    def issued(self, call: Call) -> IssuedReport:
        """GET /supervision/reports/{year}/{number}: an issued report."""
        year, number = call.path["year"], call.path["number"]
        with call.engine.connect() as connection:
            found = store.issued(connection, int(year), int(number)) if (year + number).isdecimal() else None
        if found is None:
            raise NotFound("no such report was issued")
        return found

    def all_issued(self, call: Call) -> IssuedReports:
        """GET /supervision/reports: what was issued."""
        with call.engine.connect() as connection:
            return IssuedReports(reports=tuple(store.all_issued(connection)))

    # ------------------------------------------------------------------ counting the log

    def _count(self, year: int, now: int) -> list[Period]:
        """The periods that have to be counted now, in order: quarters that have ended since, and the one that goes on."""
        zone = self._office.settings.zone
        present = Quarter.at(now, zone)
        if not FIRST_YEAR <= year <= min(LAST_YEAR, present.year):
            raise Unusable(f"there are figures for years from {FIRST_YEAR} to {present.year}")
        with self._office.engine.connect() as connection:
            known = store.periods(connection)
            latest = self._office.log.store.latest(connection)
            if latest is None:
                raise Unavailable("the log has no entries yet, so there is nothing to count")
            checkpoint = Checkpoint.parse(latest.note.split("\n\n", 1)[0] + "\n")
            quarter = self._first(connection, known)
            counted: list[Period] = []
            while quarter <= present:
                over = quarter.ends(zone) + SETTLING <= now
                stored = known.get(str(quarter))
                day = "" if over else day_at(now, zone).isoformat()
                if stored is None or stored.day not in ("", day):
                    fresh = self._quarter(connection, quarter, checkpoint, known, day, now)
                    known[str(quarter)] = fresh
                    counted.append(fresh)
                quarter = quarter.next()
        return counted + self._years(known, counted)

    def _first(self, connection: Connection, known: Mapping[str, Period]) -> Quarter:
        zone = self._office.settings.zone
        if known:
            return Quarter.parse(min(name for name in known if "Q" in name))
        [entry] = self._office.log.store.entries(connection, 0, 1)
        return Quarter.at(store.entry_time(entry), zone)

    def _quarter(
        self, connection: Connection, quarter: Quarter, checkpoint: Checkpoint, known: Mapping[str, Period], day: str, now: int
    ) -> Period:
        zone, name = self._office.settings.zone, str(quarter)
        begin, end = quarter.begins(zone), quarter.ends(zone)
        first = store.first_index(connection, begin - SLACK, checkpoint.size)
        after = store.first_index(connection, end + SLACK, checkpoint.size)
        before = known.get(str(quarter.previous()))
        opened = store.Opened(connection, first, after)
        still_open = before.exact.open if before else {}
        found = tally(opened.entries(), opened.opening, begin, end, zone, still_open)
        until = min(now, end - 1)
        basis = Basis(
            period=name,
            origin=checkpoint.origin,
            first=first,
            size=checkpoint.size,
            root=checkpoint.root,
            until=until,
            final=not day,
        )
        stored = known.get(name)
        earlier = stored.exact.stepped() if stored else before.exact.stepped() if before else {}
        stocks = {OPEN_OBJECTIONS: len(found.open), OVERDUE: found.overdue(until, zone)}
        figures, steps = standing(name, stocks, {measure: earlier[measure] for measure in stocks if measure in earlier})
        if day:
            of_quarter = {key: step for key, step in earlier.items() if key not in stocks} if stored else {}
            more, flows = running(name, found, of_quarter)
            return Period(name, day, basis, Exact.of(found, {**steps, **flows}), (*figures, *more))
        quarters = [str(each) for each in quarters_of(quarter.year) if each < quarter and str(each) in known]
        tallies = {each: known[each].exact.tally() for each in quarters} | {name: found}
        shown = [figure for each in quarters for figure in known[each].figures]
        return Period(name, "", basis, Exact.of(found, steps), (*figures, *closed(name, tallies, shown)))

    def _years(self, known: Mapping[str, Period], counted: list[Period]) -> list[Period]:
        """Years whose last quarter has just been counted for good."""
        found = []
        for last in counted:
            quarter = Quarter.parse(last.period)
            if last.day or quarter.number != 4:
                continue
            year = str(quarter.year)
            quarters = {str(each): known[str(each)] for each in quarters_of(quarter.year) if str(each) in known}
            tallies = {name: each.exact.tally() for name, each in quarters.items()}
            shown = [figure for each in quarters.values() for figure in each.figures]
            basis = replace(last.basis, period=year, first=min(each.basis.first for each in quarters.values()))
            found.append(Period(year, "", basis, Exact.of(Tally(), {}), tuple(closed(year, tallies, shown))))
        return found

    # ------------------------------------------------------------------ putting a year together

    def _year(self, connection: Connection, counted: list[Period], year: int, now: int) -> YearFigures:
        """Keep what was counted, and give all figures of the year."""
        known = store.periods(connection)
        for period in counted:
            # Another supervisor may have asked at the same moment; what is stored for this day or for good stays.
            stored = known.get(period.period)
            if stored is None or stored.day not in ("", period.day):
                store.set_period(connection, period)
                known[period.period] = period
        names = [*map(str, quarters_of(year)), str(year)]
        periods = [known[name] for name in names if name in known]
        figures = [figure for period in periods for figure in period.figures]
        sources: list[SignedSource] = []
        for name in map(str, quarters_of(year)):
            for more, source in (self._coverage(connection, name), self._credit(connection, name)):
                figures += more
                sources += source
        return YearFigures(
            year=year,
            asked_at=now,
            figures=tuple(figures),
            bases=tuple(period.basis for period in periods),
            sources=tuple(sources),
            complete=str(year) in known,
        )

    @staticmethod
    def _coverage(connection: Connection, name: str) -> tuple[list[Figure], list[SignedSource]]:
        """The last statement of a quarter."""
        quarter = Quarter.parse(name)
        months = [f"{quarter.year}-{3 * quarter.number - back:02}" for back in (2, 1, 0)]
        stated = store.statements(connection, store.COVERAGE, months[0], months[-1])
        if not stated:
            return [], []
        month, signed = stated[-1]
        source = SignedSource(kind=store.COVERAGE, period=month, signer=signed.signer, digest=signed.digest())
        return coverage(name, decode(signed.payload, CoverageStatement)), [source]

    @staticmethod
    def _credit(connection: Connection, name: str) -> tuple[list[Figure], list[SignedSource]]:
        """What banks reported for a quarter, by area and by bank."""
        reports = store.last_reports(connection, name)
        if not reports:
            return [], []
        own, before = store.steps(connection, name), store.steps(connection, str(Quarter.parse(name).previous()))

        def earlier(place: tuple[str, str, str]) -> Step | None:
            return own.get(place) or before.get(place)

        steps = advance_credit(sums(each.report for each in reports), earlier)
        if steps != own:
            store.set_steps(connection, name, steps)
        figures = []
        for measure in MEASURES:
            by_area = {area: step.shown for (what, area, _), step in steps.items() if what == measure and area}
            everywhere = with_sums(by_area, total)
            figures += [in_tens(f"credit.{measure}", name, value, area=area) for area, value in everywhere.items()]
            by_bank = {bank: step.shown for (what, _, bank), step in steps.items() if what == measure and bank}
            figures += [in_tens(f"credit.{measure}", name, value, area=ALL, key=bank) for bank, value in by_bank.items()]
        sources = [SignedSource(kind="credit", period=name, signer=each.bank, digest=each.digest) for each in reports]
        return figures, sources
