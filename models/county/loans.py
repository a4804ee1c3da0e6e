"""The bank's side: borrowers, applicants, and outcomes drawn from a known logistic model of both sides' fields.

Because the model is known, a test can say how good any scorecard could be at best, and what each side's fields are worth:

    logit P(default within 12 months) = intercept + Σ_f  coefficient_f · z_f
    z_f = clip((t_f(x_f) − centre_f) / scale_f, ±3),   z_f = 0 where x_f was not sent

with t_f the identity or log(1 + x). Centres and scales are round numbers, written to ``truth/model.json`` together with the
intercept, which is set so that the borrowers' mean probability is ``DEFAULT_RATE``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from models.county import parameters as par
from models.county.population import Floats, Ints, Population, Texts, choose, generator
from models.county.tables import Column, Table, amount, blank, days_after, whole

DEFAULT_RATE: Final = 0.11
AGRICULTURAL: Final = ("crop", "livestock", "processing")
"""Occupations whose loans count as agricultural."""
BANK_NAME: Final = "云禾富民村镇银行（虚构）"


@dataclass(frozen=True)
class Effect:
    """One field's term in the true model."""

    side: Literal["bank", "node"]
    field: str
    transform: Literal["identity", "log1p"]
    centre: float
    scale: float
    coefficient: float

    def term(self, values: Floats) -> Floats:
        """The field's addition to the logit; zero where the value is missing."""
        seen = np.log1p(values) if self.transform == "log1p" else values
        z = np.clip((seen - self.centre) / self.scale, -3.0, 3.0)
        return self.coefficient * np.where(np.isnan(z), 0.0, z)


EFFECTS: Final = (
    Effect("bank", "requested_amount", "log1p", 10.9, 0.60, 0.14),
    Effect("bank", "term_months", "identity", 20.0, 10.0, 0.14),
    Effect("bank", "years_as_customer", "log1p", 1.6, 0.70, -0.20),
    Effect("bank", "deposit_balance", "log1p", 8.2, 1.40, -0.24),
    Effect("bank", "internal_overdue_24m", "identity", 0.35, 0.75, 0.40),
    Effect("bank", "declared_income", "log1p", 10.7, 0.55, -0.10),
    Effect("bank", "age", "identity", 46.0, 10.0, -0.10),
    Effect("bank", "product_count", "identity", 2.0, 1.0, -0.12),
    Effect("node", "household_size", "identity", 4.0, 1.8, 0.05),
    Effect("node", "labour_count", "identity", 3.0, 1.4, -0.12),
    Effect("node", "annual_operating_income", "log1p", 10.4, 0.65, -0.06),
    Effect("node", "penalty_count_36m", "identity", 0.06, 0.27, 0.15),
    Effect("node", "contracted_land_area", "log1p", 1.75, 0.62, -0.11),
    Effect("node", "leased_in_area", "log1p", 0.5, 1.00, -0.08),
    Effect("node", "real_estate_count", "identity", 0.8, 0.9, -0.08),
    Effect("node", "award_count_36m", "identity", 0.16, 0.42, -0.15),
    Effect("node", "insured_area", "log1p", 1.6, 0.60, -0.10),
    Effect("node", "claim_count_36m", "identity", 0.6, 0.95, 0.27),
    Effect("node", "input_purchase_12m", "log1p", 6.8, 0.80, -0.06),
    Effect("node", "machinery_count", "identity", 0.5, 0.75, -0.10),
    Effect("node", "fertility_subsidy_y", "log1p", 5.9, 0.75, -0.04),
    Effect("node", "enforcement_count_36m", "identity", 0.09, 0.33, 0.24),
    Effect("node", "litigation_count_36m", "identity", 0.24, 0.55, 0.15),
    Effect("node", "social_ins_months", "identity", 150.0, 85.0, -0.18),
    Effect("node", "power_usage_12m", "log1p", 7.15, 0.52, -0.18),
    Effect("node", "water_usage_12m", "log1p", 4.3, 0.45, -0.04),
    Effect("node", "utility_overdue_days_12m", "log1p", 1.0, 1.40, 0.27),
    Effect("node", "commitment_breach_count", "identity", 0.12, 0.36, 0.24),
    Effect("node", "credit_points", "identity", 640.0, 60.0, -0.08),
)
"""The true model's terms. Fields that are shared with nobody (mode N) are not in it."""


@dataclass(frozen=True)
class Outcomes:
    """The bank's tables and the truth behind them.

    ``customers`` are the borrowers with the features of their application, one row for each row of ``loans``; ``applicants``
    are people whose outcome only ``applicant_outcomes`` tells. ``borrower_rows``
    and ``applicant_rows`` are household numbers, −1 for people from elsewhere.
    """

    customers: Table
    loans: Table
    applicants: Table
    applicant_outcomes: Table
    borrower_rows: Ints
    applicant_rows: Ints
    intercept: float

    def model(self) -> dict[str, object]:
        """The content of ``truth/model.json``."""
        return {
            "synthetic": True,
            "formula": "logit p = intercept + sum(coefficient * clip((t(x) - centre) / scale, -3, 3)); missing x adds 0",
            "label": "default_12m",
            "target_rate": DEFAULT_RATE,
            "intercept": self.intercept,
            "effects": [asdict(effect) for effect in EFFECTS],
        }


def draw_loans(seed: int, population: Population, tables: Sequence[Table], loans: int, applicants: int) -> Outcomes:
    """Choose borrowers and applicants (nobody is both), write their applications, draw outcomes.

    ``population.strangers`` are the last borrowers. Raises ValueError if the county has too few households of working age.
    """
    strangers = len(population.strangers)
    rng = generator(seed, "loans")
    chosen = _choose(rng, population, loans - strangers + applicants)
    borrowers = np.concatenate([chosen[: loans - strangers], np.full(strangers, -1)])
    newcomers = chosen[loans - strangers :]
    node = {name: column for table in tables for name, column in aligned(table, population).items()}

    customers = _applications(generator(seed, "customers"), population, borrowers)
    fresh = _applications(generator(seed, "applicants"), population, newcomers)
    known, unknown = logit(customers.columns, node, borrowers), logit(fresh.columns, node, newcomers)
    intercept = _intercept(known)
    outcome = rng.uniform(size=loans) < _sigmoid(known + intercept)
    later = rng.uniform(size=applicants) < _sigmoid(unknown + intercept)

    granted = days_after(population.as_of, rng.integers(-1095, -365, loans))
    lent = np.round(
        np.asarray(customers.columns["requested_amount"], dtype=float) * rng.choice([1.0, 1.0, 0.8, 0.6], loans), -3
    )
    ledger: dict[str, Column] = {
        "loan_id": np.array([f"L{i:07d}" for i in rng.permutation(loans) + 1], dtype=object),
        "citizen_id_no": customers.columns["citizen_id_no"],
        "granted_on": granted,
        "amount": amount(np.maximum(lent, 5000.0)),
        "term_months": customers.columns["term_months"],
        "annual_rate_percent": amount(5.2 + 1.6 * rng.beta(2, 3, loans), 2),
        "default_12m": whole(outcome),
    }
    numbers = np.array([f"A{i:07d}" for i in rng.permutation(applicants) + 1], dtype=object)
    applied = days_after(population.as_of, rng.integers(-90, 1, applicants))
    asked: dict[str, Column] = {"application_id": numbers, "applied_on": applied, **fresh.columns}
    truth: dict[str, Column] = {
        "application_id": numbers,
        "citizen_id_no": fresh.columns["citizen_id_no"],
        "probability": np.round(_sigmoid(unknown + intercept), 6),
        "default_12m": whole(later),
    }
    return Outcomes(
        customers=customers,
        loans=Table("loans", "loan_id", ledger),
        applicants=Table("applicants", "application_id", asked),
        applicant_outcomes=Table("applicant_outcomes", "application_id", truth),
        borrower_rows=borrowers,
        applicant_rows=newcomers,
        intercept=intercept,
    )


def credit_by_township(population: Population, outcomes: Outcomes) -> Table:
    """What the bank reports of its credit at the quarter's end: whole yuan and borrowers, by township; people from elsewhere
    are another county's. Agricultural is what those borrow who grow, raise or process."""
    here = outcomes.borrower_rows >= 0
    villages = population.villages.code[population.households.village[outcomes.borrower_rows[here]]]
    amounts = np.asarray(outcomes.loans.columns["amount"], dtype=float)[here].astype(np.int64)
    farming = np.isin(outcomes.customers.columns["occupation_code"][here], AGRICULTURAL)
    towns, place = np.unique(np.array([code[:9] for code in villages], dtype=object), return_inverse=True)
    columns: dict[str, Column] = {
        "area": towns,
        "agricultural": whole(np.bincount(place, amounts * farming)),
        "agricultural_borrowers": whole(np.bincount(place, farming)),
        "loans": whole(np.bincount(place, amounts)),
        "borrowers": whole(np.bincount(place)),
    }
    return Table("agricultural_credit", "area", columns)


def logit(bank: Mapping[str, Column], node: Mapping[str, Column], rows: Ints) -> Floats:
    """The true model's sum without its intercept; node fields of people from elsewhere (row −1) count as missing."""
    total = np.zeros(len(rows))
    for effect in EFFECTS:
        if effect.side == "bank":
            values = np.asarray(bank[effect.field], dtype=np.float64)
        else:
            values = np.where(rows < 0, np.nan, np.asarray(node[effect.field], dtype=np.float64)[rows])
        total += effect.term(values)
    return total


def aligned(table: Table, population: Population) -> dict[str, Column]:
    """The numeric columns of a household table in the order of the households, NaN where there is no row."""
    place = {number: row for row, number in enumerate(population.households.citizen_id_no)}
    rows = np.array([place[number] for number in table.columns["citizen_id_no"]], dtype=np.int64)
    full: dict[str, Column] = {}
    for name, column in table.columns.items():
        if column.dtype != object:
            full[name] = np.full(len(place), np.nan)
            full[name][rows] = column
    return full


def _choose(rng: np.random.Generator, population: Population, count: int) -> Ints:
    """Households that borrow: of working age, the better off and the more diligent more often (Gumbel top-k)."""
    people = population.households
    eligible = np.flatnonzero((people.age >= 22) & (people.age <= 65))
    if len(eligible) < count:
        raise ValueError(f"{count} borrowers and applicants need more than {len(eligible)} households of age 22 to 65")
    pull = 0.35 * people.wealth[eligible] + 0.15 * people.diligence[eligible] - 0.02 * np.abs(people.age[eligible] - 44)
    order = np.argsort(-(pull + rng.gumbel(size=len(eligible))), kind="stable")
    return rng.permutation(eligible[order[:count]])


def _applications(rng: np.random.Generator, population: Population, rows: Ints) -> Table:
    """What the bank knows when someone applies; strangers have average latent factors."""
    people, n = population.households, len(rows)
    here = rows >= 0
    wealth, diligence, shock = (np.where(here, f[rows], 0.0) for f in (people.wealth, people.diligence, people.shock))
    numbers: Texts = people.citizen_id_no[rows]
    numbers[~here] = population.strangers[: np.count_nonzero(~here)]
    age = _ages(numbers, population.as_of)
    income = np.exp(10.6 + 0.32 * wealth + 0.42 * rng.standard_normal(n))
    late = rng.poisson(np.exp(-1.35 - 0.45 * diligence + 0.2 * shock + 0.5 * rng.standard_normal(n)))
    asked = np.exp(10.8 + 0.2 * wealth + 0.5 * rng.standard_normal(n))
    columns: dict[str, Column] = {
        "citizen_id_no": numbers,
        "requested_amount": amount(np.clip(np.round(asked, -3), 5000, 500_000)),
        "term_months": whole(rng.choice([6, 12, 24, 36], n, p=[0.1, 0.45, 0.25, 0.2])),
        "years_as_customer": amount(np.minimum(rng.gamma(1.8, 2.6, n), age - 18.0), 1),
        "deposit_balance": amount(np.exp(8.2 + 0.55 * wealth + 0.25 * diligence + 1.15 * rng.standard_normal(n))),
        "internal_overdue_24m": whole(np.minimum(late, 9)),
        "declared_income": blank(rng, amount(np.round(income, -2)), 0.04),
        "age": whole(age),
        "occupation_code": choose(rng, par.OCCUPATIONS, n),
        "guarantee_type": choose(rng, par.GUARANTEES, n),
        "product_count": whole(1 + np.minimum(rng.poisson(np.exp(0.05 + 0.15 * wealth)), 6)),
    }
    return Table("customers", "citizen_id_no", columns)


def _ages(numbers: Texts, as_of: date) -> npt.NDArray[np.int64]:
    """Age in full years, read from the identity numbers."""
    born = [date.fromisoformat(f"{n[6:10]}-{n[10:12]}-{n[12:14]}") for n in numbers]
    return np.array([as_of.year - b.year - ((as_of.month, as_of.day) < (b.month, b.day)) for b in born], dtype=np.int64)


def _sigmoid(logits: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-logits))


def _intercept(logits: Floats) -> float:
    """The intercept that makes the mean probability ``DEFAULT_RATE``, by bisection."""
    low, high = -12.0, 12.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if _sigmoid(logits + middle).mean() > DEFAULT_RATE else (middle, high)
    return round((low + high) / 2, 6)
