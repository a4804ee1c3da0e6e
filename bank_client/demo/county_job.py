"""The main job on the synthetic county: what `make demo` runs and tells."""

from __future__ import annotations

import csv
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from bank_client.alignment import Progress, silent
from bank_client.checks import AuthorisedCheck, authorised_check
from bank_client.demo.csv_job import alone
from bank_client.demo.job import MainJob, Say, quiet
from bank_client.demo.town import FIRST_CLERK, Town
from bank_client.joint_scorecard import JointScorecard
from bank_client.session import Bank
from models.approvals import ActKind
from models.consents import (
    Capture,
    Consent,
    ConsentKind,
    Filed,
    FileObjections,
    FileRepairs,
    Objection,
    Purpose,
    Repair,
    RevokeConsent,
)
from models.county import AS_OF, SYNTHETIC, generate_county
from models.logged import Empty
from models.parties import Institution, InstitutionKind, Role
from models.problems import Problem
from models.projects import ProjectKind, Target
from models.scorecard import metrics
from models.supervision.credit import read_lines
from models.supervision.messages import AskFigures, CreditFiled, CreditReport, YearFigures
from models.supervision.periods import Quarter
from models.tickets import Accesses, AccessQuery
from models.wire import Signed

SEED = 20_260_630
BANK = "fumin-bank"
MODELLER, OFFICER, OTHER_OFFICER = f"{BANK}/lin.xiaomei", f"{BANK}/chen.jianguo", f"{BANK}/yang.chunhua"
SUPERVISOR = "yunhe-office/shen.huifang"
OFFICIALS = ("yunhe-office/tang.yulan", "yunhe-office/xu.guangyi", SUPERVISOR)
STEWARD, OPERATOR = "yunhe-bureau/he.qingyuan", "yunhe-bureau/luo.wenbin"
ID, LABEL = "citizen_id_no", "default_12m"
NO_FEATURES = {"application_id", "applied_on"}
JOINT_FIELDS = (
    "labour_count", "annual_operating_income", "contracted_land_area", "leased_in_area", "real_estate_count",
    "insured_area", "claim_count_36m", "input_purchase_12m", "penalty_count_36m", "enforcement_count_36m",
    "litigation_count_36m", "commitment_breach_count", "credit_points", "power_usage_12m", "utility_overdue_days_12m",
    "social_ins_months",
)  # fmt: skip
CHECK_FIELDS = (
    "contracted_land_area", "land_right_certified", "leased_in_area", "mortgage_flag", "insured_line", "insured_area",
    "sum_insured", "judgment_defaulter_flag", "enforcement_count_36m", "public_credit_grade", "credit_points",
)  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    """How large a county to make."""

    households: int = 20_000
    organisations: int = 600
    loans: int = 6_000


class CountyJob:
    """Runs the main job in a started town; what it finds stays in its attributes for the account."""

    def __init__(self, town: Town, county: Path, *, say: Say = quiet, progress: Progress = silent) -> None:
        self.town = town
        self.county = county
        self.say = say
        self.progress = progress
        self.main = MainJob(town, steward=STEWARD, operator=OPERATOR, say=say)
        self.quarantined = 0
        self.revoked: list[Consent] = []
        self.window = ""
        self.objections: tuple[Objection, ...] = ()
        self.repaired = 0

    # ---------------------------------------------------------------- preparing

    def enrol(self) -> None:
        """The office's first clerk enrols everybody."""
        for row in self._rows("office/institutions.csv"):
            self.town.enrol_institution(
                Institution(
                    id=row["id"], name=row["name"], kind=InstitutionKind(row["kind"]), licence=row["licence"],
                    contact=row["contact"], bank_class=row["bank_class"], declared_customers=int(row["declared_customers"]),
                )
            )  # fmt: skip
        for row in self._rows("office/people.csv"):
            self.town.enrol(row["id"], row["name"], Role(row["role"]))

    def deliver(self) -> int:
        """The steward delivers all department files; rows loaded."""
        loaded = 0
        files = sorted((self.county / "node").glob("*.csv"), key=lambda file: file.stem != "basic")
        for number, file in enumerate(files):
            report = self.main.load(file, file.stem, AS_OF.isoformat())
            loaded += report.rows_loaded
            self.quarantined += report.rows_quarantined
            self.progress("department files", number + 1, len(files))
        return loaded

    def file_consents(self) -> int:
        """The clerk files consents, revocations, objections and repairs."""
        rows = list(self._rows("office/consents.csv"))
        consents = [_consent(row) for row in rows]
        filed = self.main.consent(consents)
        self.revoked = [consent for consent, row in zip(consents, rows, strict=True) if row["revoked_at"]]
        for number, consent in enumerate(self.revoked):
            self.main.clerk.logged("/consents/revoke", RevokeConsent(consent=consent.id), Empty)
            self.progress("revocations", number + 1, len(self.revoked))
        objections = tuple(
            Objection(subject=row["subject"], field=row["field"], open=True, withheld=row["withheld"] == "1")
            for row in self._rows("office/disputes.csv")
            if row["status"] == "open"
        )
        self.main.clerk.logged("/objections", FileObjections(objections=objections), Filed)
        self.objections = objections
        for row in self._rows("office/repairs.csv"):
            repair = Repair(subject=row["subject"], field=row["field"])
            self.main.town.act(ActKind.REPAIR_FILE, "/repairs", FileRepairs(decision=row["decision"], repairs=(repair,)), Filed)
            self.repaired += 1
        return filed

    # ---------------------------------------------------------------- the main job

    def train(self, bank: Bank) -> JointScorecard:
        """Align, train, release; the model serves scores afterwards."""
        project = self.main.project(
            MODELLER,
            ProjectKind.JOINT_SCORECARD,
            "spring loans to farm households",
            JOINT_FIELDS,
            purpose=Purpose.LOAN_APPROVAL,
            checks=5_000,
        )
        X, y = self.borrowers()
        model = JointScorecard(project, bank, progress=self.progress)
        return model.fit(X, y).release()

    def borrowers(self) -> tuple[pd.DataFrame, pd.Series[Any]]:
        """The bank's own columns and labels of its borrowers, by identity code."""
        customers = self._frame("bank/customers.csv").set_index(ID)
        loans = self._frame("bank/loans.csv").set_index(ID)
        return customers, loans[LABEL].reindex(customers.index).astype(int)

    def applicants(self) -> tuple[pd.DataFrame, pd.Series[Any]]:
        """The bank's own columns of new applicants, and how each turned out (which only the synthetic truth knows)."""
        rows = self._frame("bank/applicants.csv").set_index(ID)
        outcomes = self._frame("truth/applicant_outcomes.csv").set_index(ID)
        return rows.drop(columns=[c for c in rows if c in NO_FEATURES]), outcomes[LABEL].reindex(rows.index).astype(int)

    def compare(self, model: JointScorecard) -> dict[str, Any]:
        """Score the applicants through private queries, and beside it with the bank's own columns alone."""
        X, outcome = self.applicants()
        with warnings.catch_warnings(record=True) as refused:
            warnings.simplefilter("always")
            joint = pd.Series(model.predict_proba(X)[:, 1], index=X.index)
        for warning in refused:
            self.say(f"   {warning.message}")
        borrowers, labels = self.borrowers()
        own = pd.Series(alone(borrowers.assign(**{LABEL: labels}), X.assign(**{LABEL: 0}), LABEL), index=X.index)
        scored = joint.notna()
        y = outcome[scored]
        return {
            "scored": int(scored.sum()),
            "refused": int((~scored).sum()),
            "labels": y.to_numpy(),
            "alone": own[scored].to_numpy(),
            "joint": joint[scored].to_numpy(),
            "auc_alone": metrics.auc(y, own[scored]),
            "auc_joint": metrics.auc(y, joint[scored]),
            "ks_alone": metrics.ks(y, own[scored]),
            "ks_joint": metrics.ks(y, joint[scored]),
        }

    # ---------------------------------------------------------------- the officer's check, and what is refused

    def check_project(self) -> tuple[str, str]:
        """A check project and the first epoch of its table: ids of both."""
        project = self.main.project(
            MODELLER,
            ProjectKind.CHECK,
            "authorised check of one applicant",
            CHECK_FIELDS,
            purpose=Purpose.LOAN_APPROVAL,
            checks=1_000,
        )
        with self.town.bank(MODELLER) as bank:
            from bank_client.alignment import open_project

            table = open_project(bank, project).table
        self.main.build(table)
        self.window = project
        return project, table

    def check(self, project: str) -> tuple[str, AuthorisedCheck]:
        """The loan officer checks one consented applicant; who it was, and what came."""
        subject = self.consented()
        with self.town.bank(OFFICER) as officer:
            return subject, authorised_check(officer, project, subject)

    def refusals(self, project: str, subject: str) -> list[tuple[str, str]]:
        """What must be refused, and how it was: (what was tried, the problem's title or what went wrong)."""
        tried = [
            ("no consent", self.without_consent(), Purpose.LOAN_APPROVAL),
            ("consent revoked", self.revoked_subject(), Purpose.LOAN_APPROVAL),
            ("consent expired", self.expired_subject(), Purpose.LOAN_APPROVAL),
            ("another purpose", subject, Purpose.POST_LOAN),
        ]
        found = []
        with self.town.bank(OFFICER) as officer:
            found += [(what, _attempt(officer, project, who, purpose)) for what, who, purpose in tried]
        self.main.clerk.logged(
            "/suspensions", Target(kind="person", id=OTHER_OFFICER, suspended=True, reason="demonstration"), Empty
        )
        with self.town.bank(OTHER_OFFICER) as suspended:
            found.append(("a suspended officer", _attempt(suspended, project, subject, Purpose.LOAN_APPROVAL)))
        return found

    def who_looked(self, subject: str) -> Accesses:
        """The office answers a farmer: who looked at me."""
        clerk = self.town.client(FIRST_CLERK, "office")
        return clerk.logged("/accesses", AccessQuery(subject=subject), Accesses).answer

    def supervise(self) -> YearFigures:
        """The node states its coverage, the bank reports its credit of the last quarter; the supervisor looks at the year."""
        stated = self.town.client(STEWARD, "node").logged("/statements/coverage", Empty(), Signed).answer
        self.town.client(STEWARD, "office").logged("/statements/coverage", stated, Empty)
        present = Quarter.at(int(time.time()), ZoneInfo("Asia/Shanghai"))
        lines = read_lines((self.county / "bank/agricultural_credit.csv").read_bytes())
        with self.town.bank(MODELLER) as bank:
            report = CreditReport(bank=BANK, period=str(present.previous()), lines=lines)
            bank.office.logged("/credit-reports", bank.sign(report), CreditFiled)
        supervisor = self.town.client(SUPERVISOR, "office")
        return supervisor.logged("/supervision/figures", AskFigures(year=present.year), YearFigures).answer

    # ---------------------------------------------------------------- who is who

    def name_of(self, person: str) -> str:
        """How somebody is called."""
        return next(row["name"] for row in self._rows("office/people.csv") if row["id"] == person)

    def role_of(self, person: str) -> str:
        """What somebody is enrolled as."""
        return next(row["role"] for row in self._rows("office/people.csv") if row["id"] == person)

    def consented(self) -> str:
        """An applicant whose query consent stands for a loan application."""
        return self._applicant(lambda c: c.valid_from <= time.time() < c.valid_to and Purpose.LOAN_APPROVAL in c.purposes)

    def expired_subject(self) -> str:
        """An applicant whose only query consent has expired."""
        return self._applicant(lambda c: c.valid_to <= time.time())

    def revoked_subject(self) -> str:
        """An applicant who withdrew."""
        withdrawn = {c.subject for c in self.revoked if c.kind is ConsentKind.QUERY}
        return next(iter(sorted(withdrawn & set(self._applicants()))))

    def without_consent(self) -> str:
        """An applicant who never gave a query consent."""
        asked = {row["subject"] for row in self._rows("office/consents.csv") if row["kind"] == ConsentKind.QUERY}
        return next(subject for subject in self._applicants() if subject not in asked)

    def _applicants(self) -> list[str]:
        return [f"citizen:{row[ID]}" for row in self._rows("bank/applicants.csv")]

    def _applicant(self, fits: Any) -> str:
        applicants = set(self._applicants())
        gone = {consent.id for consent in self.revoked}
        disputed = {row["subject"] for row in self._rows("office/disputes.csv")}
        by_subject: dict[str, list[Consent]] = {}
        for row in self._rows("office/consents.csv"):
            if row["kind"] == ConsentKind.QUERY and row["subject"] in applicants - disputed:
                by_subject.setdefault(row["subject"], []).append(_consent(row))
        return next(
            subject
            for subject, consents in sorted(by_subject.items())
            if len(consents) == 1 and consents[0].id not in gone and fits(consents[0])
        )

    def _rows(self, name: str) -> Iterable[dict[str, str]]:
        with (self.county / name).open(encoding="utf-8-sig", newline="") as file:
            yield from csv.DictReader(file)

    def _frame(self, name: str) -> pd.DataFrame:
        return pd.read_csv(self.county / name, dtype={ID: str})


def make_county(folder: Path, sizes: Sizes) -> str:
    """Write the synthetic county; one line about it."""
    summary = generate_county(folder, SEED, sizes.households, sizes.organisations, sizes.loans)
    return f"{SYNTHETIC}: {summary.households:,} households, {summary.organisations:,} organisations, {summary.loans:,} loans"


def _attempt(officer: Bank, project: str, subject: str, purpose: str) -> str:
    try:
        authorised_check(officer, project, subject, purpose)
    except Problem as problem:
        return f"{problem.status} {problem.title}"
    return "NOT REFUSED"


def _consent(row: dict[str, str]) -> Consent:
    return Consent(
        id=row["id"],
        subject=row["subject"],
        kind=ConsentKind(row["kind"]),
        recipient=row["recipient"],
        purposes=tuple(row["purposes"].split(";")),
        field_sets=tuple(filter(None, row["field_sets"].split(";"))),
        sensitive_fields=tuple(filter(None, row["sensitive_fields"].split(";"))),
        valid_from=_seconds(row["valid_from"]),
        valid_to=_seconds(row["valid_to"]),
        capture=Capture(row["capture"]),
        captured_by=row["captured_by"],
        witness=row["witness"],
        reference=row["reference"],
        evidence_digest=row["evidence_digest"],
    )


def _seconds(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())
