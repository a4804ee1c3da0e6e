"""The credit office's side: consents (双授权), objections, repairs, institutions and their people. All names are invented."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.county import parameters as par
from models.county.loans import BANK_NAME, Outcomes
from models.county.population import Population, Texts, choose, credit_code, generator
from models.county.tables import Column, Table, days_after, pick

BANK: Final = "fumin-bank"
SECOND_BANK: Final = "heyuan-bank"
BANK_CLASS: Final = "rural"
COLLECTION_SHARE: Final = 0.98
MODELLING_SHARE: Final = 0.95
QUERY_SHARE: Final = 0.90
POST_LOAN_SHARE: Final = 0.30
EXPIRED_SHARE: Final = 0.01
REVOKED_SHARE: Final = 0.008
DISPUTES_PER_10000: Final = 8
MOST_REPAIRS: Final = 5

CAPTURES: Final = (("window", 0.35), ("esign", 0.45), ("officer", 0.20))

SENSITIVE: Final = ("real_estate_count", "social_ins_months")

_PARTICULARS: Final[dict[str, Callable[[str], tuple[str, str, str]]]] = {
    "window": lambda number: ("yunhe-office/tang.yulan", "", ""),
    "esign": lambda number: ("", "", f"ES-{number}"),
    "officer": lambda number: (f"{BANK}/chen.jianguo", f"{BANK}/yang.chunhua", "signed-form"),
}
"""Who took it, the witness, the reference."""

# id, name, kind, bank class, serial of the credit code, declared customers per loan of the synthetic bank
_INSTITUTIONS: Final = (
    ("yunhe-bureau", "云禾县大数据局（虚构）", "bureau", "", 990_001, 0.0),
    ("yunhe-office", "云禾县信用办（虚构）", "office", "", 990_002, 0.0),
    (BANK, BANK_NAME, "bank", BANK_CLASS, 990_003, 1.2),
    (SECOND_BANK, "云禾禾源农村商业银行（虚构）", "bank", BANK_CLASS, 990_004, 2.0),
)
_PEOPLE: Final = (
    ("yunhe-bureau", "he.qingyuan", "何清远", "steward"),
    ("yunhe-bureau", "luo.wenbin", "罗文斌", "node_operator"),
    ("yunhe-office", "tang.yulan", "唐玉兰", "clerk"),
    ("yunhe-office", "deng.zhiming", "邓志明", "clerk"),
    ("yunhe-office", "xu.guangyi", "徐广义", "auditor"),
    ("yunhe-office", "shen.huifang", "沈慧芳", "supervisor"),
    (BANK, "lin.xiaomei", "林晓梅", "modeller"),
    (BANK, "chen.jianguo", "陈建国", "loan_officer"),
    (BANK, "yang.chunhua", "杨春华", "loan_officer"),
    (BANK, "zhou.anping", "周安平", "approver"),
    (SECOND_BANK, "gao.haibo", "高海波", "modeller"),
    (SECOND_BANK, "song.guilan", "宋桂兰", "loan_officer"),
    (SECOND_BANK, "feng.yongfu", "冯永福", "approver"),
)


@dataclass(frozen=True)
class Terms:
    """What one round of consents says: kind, weighted recipients, purposes, its age and its days left (from, to)."""

    kind: str
    recipients: tuple[tuple[str, float], ...]
    purposes: str
    age_days: tuple[int, int]
    days_left: tuple[int, int]


def institution_table(loans: int) -> Table:
    """The bureau, the office and the county's two banks, as they enrol."""
    rows = _INSTITUTIONS
    columns: dict[str, Column] = {
        "id": _column([row[0] for row in rows]),
        "name": _column([row[1] for row in rows]),
        "kind": _column([row[2] for row in rows]),
        "licence": _column([credit_code("91", par.REGION, row[4]) for row in rows]),
        "contact": _column([f"service@{row[0]}.example" for row in rows]),
        "bank_class": _column([row[3] for row in rows]),
        "declared_customers": np.array([np.ceil(row[5] * loans) for row in rows]),
    }
    return Table("institutions", "id", columns)


def people_table() -> Table:
    """Named people with one role each; keys are made at enrolment, not here."""
    columns: dict[str, Column] = {
        "id": _column([f"{row[0]}/{row[1]}" for row in _PEOPLE]),
        "institution": _column([row[0] for row in _PEOPLE]),
        "name": _column([row[2] for row in _PEOPLE]),
        "role": _column([row[3] for row in _PEOPLE]),
    }
    return Table("people", "id", columns)


def consent_table(seed: int, population: Population, outcomes: Outcomes) -> Table:
    """Collection consents of nearly everyone, modelling consents of borrowers, query consents of applicants.

    A subject has at most one consent of a kind, and one more of it to what is sensitive. Dates are ISO, ``valid_to`` exclusive;
    ``revoked_at`` is empty or a date.
    """
    rng, as_of = generator(seed, "consents"), population.as_of
    people, organisations = population.households, population.organisations
    everyone = [*people.citizen_id_no, *organisations.uscc]
    borrowers = list(outcomes.customers.columns["citizen_id_no"])
    applicants = list(people.citizen_id_no[outcomes.applicant_rows])
    bureau, bank = (("yunhe-bureau", 1.0),), ((BANK, 0.70), (f"class:{BANK_CLASS}", 0.25), ("*", 0.05))
    short, long = (730, 1100), (1800, 3600)
    collection = _draw(rng, as_of, everyone, COLLECTION_SHARE, Terms("collection", bureau, "*", (60, 900), long))
    modelling = _draw(rng, as_of, borrowers, MODELLING_SHARE, Terms("modelling", bank, "modelling", (370, 1100), long))
    asked = set(_canonical([*borrowers, *applicants]))
    parts = [
        collection,
        modelling,
        _draw(rng, as_of, applicants, QUERY_SHARE, Terms("query", bank[:2], "loan-approval", (0, 90), short)),
        _draw(rng, as_of, borrowers, POST_LOAN_SHARE, Terms("query", bank[:1], "post-loan", (60, 900), short)),
        # Borrowers and applicants are asked for what is sensitive on a form of its own, signed on the same day.
        _sensitive(collection, np.array([subject in asked for subject in collection["subject"]])),
        _sensitive(modelling, np.ones(len(modelling["subject"]), dtype=bool)),
    ]
    columns: dict[str, Column] = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    numbers = [f"K{i:08d}" for i in range(1, len(columns["subject"]) + 1)]
    digests = [
        hashlib.sha256(f"synthetic evidence {seed} {number} {subject}".encode()).hexdigest()
        for number, subject in zip(numbers, columns["subject"], strict=True)
    ]
    taken = [_PARTICULARS[way](number) for way, number in zip(columns["capture"], numbers, strict=True)]
    particulars = {
        name: _column([row[place] for row in taken]) for place, name in enumerate(("captured_by", "witness", "reference"))
    }
    columns |= particulars | {"evidence_digest": _column(digests)}
    return Table("consents", "id", {"id": _column(numbers), **columns})


def dispute_table(seed: int, population: Population, outcomes: Outcomes) -> Table:
    """A few objections of households and borrowers against one field each; one open one withholds its field."""
    rng, as_of = generator(seed, "disputes"), population.as_of
    people = population.households
    count = max(6, len(people) * DISPUTES_PER_10000 // 10_000)
    known = outcomes.borrower_rows[outcomes.borrower_rows >= 0]
    rows = np.concatenate([rng.choice(known, count // 3, replace=False), rng.choice(len(people), count - count // 3)])
    fields = (("credit_points", 0.3), ("utility_overdue_days_12m", 0.3), ("penalty_count_36m", 0.2), ("*", 0.2))
    status = choose(rng, (("open", 0.5), ("upheld", 0.2), ("rejected", 0.3)), count)
    status[0], status[-1] = "open", "rejected"
    columns: dict[str, Column] = {
        "id": _column([f"D{i:05d}" for i in range(1, count + 1)]),
        "subject": _canonical(list(people.citizen_id_no[rows])),
        "field": choose(rng, fields, count),
        "raised_at": days_after(as_of, rng.integers(-120, 0, count)),
        "status": status,
        "withheld": _column(["1"] + ["0"] * (count - 1)),
    }
    return Table("disputes", "id", columns)


def repair_table(seed: int, credit: Table, as_of: date) -> Table:
    """信用修复: a few households whose broken commitments the credit platform calls repaired."""
    repaired = np.flatnonzero(credit.columns["repair_status"] == "已修复")[:MOST_REPAIRS]
    rng, count = generator(seed, "repairs"), len(repaired)
    columns: dict[str, Column] = {
        "id": _column([f"R{i:05d}" for i in range(1, count + 1)]),
        "subject": _canonical(list(credit.columns["citizen_id_no"][repaired])),
        "field": _column(["commitment_breach_count"] * count),
        "decision": _column([f"云禾信修〔{as_of.year}〕{i}号" for i in range(1, count + 1)]),
        "decided_at": days_after(as_of, rng.integers(-60, 0, count)),
    }
    return Table("repairs", "id", columns)


def _draw(rng: np.random.Generator, as_of: date, numbers: list[str], share: float, terms: Terms) -> dict[str, Texts]:
    """Consents of exactly the given share of ``numbers``; of these a few have expired and a few were revoked."""
    n = round(share * len(numbers))
    rows = np.sort(rng.permutation(len(numbers))[:n])
    age = rng.integers(*terms.age_days, size=n)
    left = rng.integers(*terms.days_left, size=n)
    fate = rng.uniform(size=n)
    expired, revoked = fate < EXPIRED_SHARE, fate > 1 - REVOKED_SHARE
    left = np.where(expired, -rng.integers(0, 30, n), left)
    age = np.where(expired, age + 400, age)
    ended = days_after(as_of, -rng.integers(0, np.maximum(age, 1)))
    return {
        "subject": _canonical([numbers[row] for row in rows]),
        "kind": _column([terms.kind] * n),
        "recipient": choose(rng, terms.recipients, n),
        "purposes": _column([terms.purposes] * n),
        "field_sets": _column(["*"] * n),
        "sensitive_fields": _column([""] * n),
        "valid_from": days_after(as_of, -age),
        "valid_to": days_after(as_of, left),
        "capture": choose(rng, CAPTURES, n),
        "revoked_at": pick(revoked, ended),
    }


def _sensitive(part: dict[str, Texts], chosen: NDArray[np.bool_]) -> dict[str, Texts]:
    """The same consents once more, of the chosen subjects, to the sensitive fields alone."""
    own = {name: column[chosen] for name, column in part.items()}
    n = int(chosen.sum())
    return own | {"field_sets": _column([""] * n), "sensitive_fields": _column([";".join(SENSITIVE)] * n)}


def _canonical(numbers: list[str]) -> Texts:
    """Identities with their kind in front; a credit code here starts with 9 and a number with the region."""
    return _column([("organisation:" if number[0] == "9" else "citizen:") + number for number in numbers])


def _column(values: list[str]) -> Texts:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column
