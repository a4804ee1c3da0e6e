"""What each department knows of a household, as fields of the catalogue.

Every number is a draw around the household's latent factors, so that the columns correlate as a county's would: land brings
subsidies, insurance and purchases; diligence shows in promises kept, bills paid and points; shock in claims, suits and arrears.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from models.county import parameters as par
from models.county.population import Floats, Households, Population, Texts, choose, generator, quantile, uniform_of
from models.county.tables import Column, Table, amount, blank, days_after, flag, pick, whole

PRODUCTS: Final = (
    ("粮食", 0.30), ("油料", 0.04), ("蔬菜", 0.19), ("水果", 0.13), ("茶叶", 0.05), ("棉麻糖烟", 0.08), ("中药材", 0.04),
    ("生猪", 0.08), ("牛羊", 0.06), ("家禽", 0.03),
)  # fmt: skip
ANIMALS: Final = ("生猪", "牛羊", "家禽")
GROWERS: Final = ("蔬菜", "水果", "茶叶")


def household_tables(seed: int, population: Population) -> list[Table]:
    """All household field sets, one per category, in the catalogue's order."""
    return _Departments(seed, population).tables()


class _Departments:
    """One method per category; shared quantities (land, product) are attributes drawn first."""

    def __init__(self, seed: int, population: Population) -> None:
        self.seed = seed
        self.population = population
        people: Households = population.households
        self.people = people
        villages = population.villages
        rng = generator(seed, "shared")
        n = len(people)
        self.w, self.d, self.s = people.wealth, people.diligence, people.shock
        self.old = (people.age - 50) / 13.0
        crowd = (people.size - 4) / 2.0
        rank = uniform_of(0.45 * crowd + 0.25 * self.w + 0.15 * self.d + rng.standard_normal(n))
        self.land = amount(np.maximum(0.1, quantile(par.LAND_MU, rank) * villages.land[people.village]), 1)
        leases = rng.standard_normal(n) < -0.85 + 0.35 * self.w + 0.30 * self.d - 0.35 * self.old
        self.leased = amount(leases * np.exp(1.9 + 0.35 * self.w + 0.8 * rng.standard_normal(n)), 1).clip(0, 800)
        self.product = choose(rng, PRODUCTS, n)
        self.remote = villages.remote[people.village]

    def tables(self) -> list[Table]:
        """All tables, each from a generator of its own."""
        return [
            self.basic(), self.supervision(), self.land_rights(), self.demo(), self.civic(), self.insurance(),
            self.inputs(), self.subsidy(), self.judicial(), self.utility(), self.credit(),
        ]  # fmt: skip

    def _table(self, category: str, columns: dict[str, Column]) -> Table:
        label = pick(np.ones(len(self.people)), ["农户"])
        keyed: dict[str, Column] = {"citizen_id_no": self.people.citizen_id_no, "subject_type": label}
        return Table(category, "citizen_id_no", keyed | columns)

    def _gaps(self, rng: np.random.Generator, columns: dict[str, Column], rate: float) -> dict[str, Column]:
        rates = rate * (0.5 + 1.5 * self.remote)
        return {name: blank(rng, column, rates) for name, column in columns.items()}

    def _events(self, rng: np.random.Generator, log_rate: Floats, most: int) -> Floats:
        return whole(np.minimum(rng.poisson(np.exp(log_rate)), most))

    def basic(self) -> Table:
        """Composition and declared income; names and codes complete, the rest with gaps."""
        rng, people, n = generator(self.seed, "basic"), self.people, len(self.people)
        income = np.exp(9.9 + 0.38 * self.w + 0.16 * np.log1p(self.land + self.leased) + 0.1 * people.labour)
        years = np.clip(people.age - 22 - rng.gamma(2.0, 6.0, n), 0, 60)
        soft: dict[str, Column] = {
            "household_size": whole(people.size),
            "labour_count": whole(people.labour),
            "main_product": self.product,
            "operating_years": amount(years, 1),
            "annual_operating_income": amount(np.round(income * np.exp(0.55 * rng.standard_normal(n)), -2)),
        }
        fixed: dict[str, Column] = {
            "subject_name": people.name,
            "household_id": people.household_id,
            "division_code": self.population.villages.code[people.village],
        }
        return self._table("basic", fixed | self._gaps(rng, soft, 0.03))

    def supervision(self) -> Table:
        """Penalties are rare; conformity certificates belong to growers of vegetables and fruit."""
        rng, n = generator(self.seed, "supervision"), len(self.people)
        count = self._events(rng, -3.0 - 0.55 * self.d + 0.1 * self.w, 6)
        fined = count > 0
        fine = np.round(count * np.exp(6.0 + 0.8 * rng.standard_normal(n)), -1)
        severity = np.array(["轻微", "一般", "严重"], dtype=object)[np.digitize(fine, [400.0, 2000.0])]
        until = days_after(self.population.as_of, rng.integers(-700, 360, n))
        grower = np.isin(self.product.astype(str), GROWERS)
        columns: dict[str, Column] = {
            "penalty_count_36m": count,
            "penalty_amount_36m": amount(fine),
            "penalty_severity": pick(fined, severity, "无"),
            "publicity_end_date": pick(fined, until),
            "conformity_cert_count_12m": self._events(rng, np.where(grower, 0.8, -2.5) + 0.3 * self.d, 400),
        }
        return self._table("supervision", columns)

    def land_rights(self) -> Table:
        """Contracted and transferred land, facilities, registered property."""
        rng, n = generator(self.seed, "land"), len(self.people)
        gives = rng.standard_normal(n) < -1.0 + 0.6 * self.old - 0.2 * self.people.labour / 2
        facility = rng.standard_normal(n) < -1.6 + 0.35 * self.w
        ends = days_after(self.population.as_of, rng.integers(-60, 3600, n))
        certified = rng.uniform(size=n) < 0.95 - 0.08 * self.remote
        columns: dict[str, Column] = {
            "contracted_land_area": self.land,
            "land_right_certified": flag(certified),
            "leased_in_area": self.leased,
            "leased_out_area": amount(gives * self.land * rng.beta(2.0, 2.0, n), 1),
            "facility_area": whole(facility * np.exp(6.2 + 0.6 * rng.standard_normal(n))),
            "real_estate_count": self._events(rng, -0.3 + 0.32 * self.w, 6),
            "mortgage_flag": flag(rng.standard_normal(n) < -1.45 + 0.2 * self.s + 0.15 * self.w),
        }
        gapped = self._gaps(rng, columns, 0.03)
        gapped["lease_end_date"] = pick(self.leased > 0, blank(rng, ends, 0.1))
        return self._table("land", gapped)

    def demo(self) -> Table:
        """Credit households and honours."""
        rng, n = generator(self.seed, "demo"), len(self.people)
        trusted = rng.standard_normal(n) < -0.25 + 0.45 * self.d
        columns: dict[str, Column] = {
            "three_credit_status": pick(trusted, ["信用户"], "未评定"),
            "award_count_36m": self._events(rng, -2.0 + 0.5 * self.d + 0.1 * self.w, 6),
        }
        return self._table("demo", self._gaps(rng, columns, 0.02))

    def civic(self) -> Table:
        """Village governance. These fields are shared with nobody; they are here to show that they never leave."""
        rng, n = generator(self.seed, "civic"), len(self.people)
        points = 60 + 9 * self.d + 6 * rng.standard_normal(n)
        columns: dict[str, Column] = {
            "volunteer_hours_12m": amount(np.maximum(0, rng.gamma(1.2, 6.0, n) * np.exp(0.3 * self.d) - 3), 1),
            "donation_amount_12m": amount((rng.uniform(size=n) < 0.2) * np.round(np.exp(4 + 0.6 * self.w), -1)),
            "governance_points": whole(np.clip(points, 0, 100)),
            "household_points": whole(np.clip(points + 8 * rng.standard_normal(n), 0, 100)),
        }
        return self._table("civic", self._gaps(rng, columns, 0.08))

    def insurance(self) -> Table:
        """Only insured households appear: the insurers send no row for anyone else."""
        rng, n = generator(self.seed, "insurance"), len(self.people)
        farmed = self.land + self.leased
        covered = rng.standard_normal(n) < 0.35 + 0.25 * self.d + 0.25 * np.log(farmed / 4.3)
        breeder = np.isin(self.product.astype(str), ANIMALS)
        area = amount(farmed * rng.beta(6.0 + np.maximum(0, 2 * self.d), 2.5, n), 1)
        heads = whole(breeder * np.clip(np.exp(1.8 + 0.5 * self.w + 0.7 * rng.standard_normal(n)), 1, 400))
        claims = self._events(rng, -0.95 + 0.65 * self.s + 0.12 * np.log(farmed), 8)
        paid = np.round(claims * np.exp(6.3 + 0.3 * np.log(farmed) + 0.5 * rng.standard_normal(n)), 1)
        columns: dict[str, Column] = {
            "insured_line": pick(breeder, ["养殖险"], "种植险"),
            "insured_area": area,
            "insured_heads": heads,
            "sum_insured": amount(np.round(area * 900 + heads * 1500, -1)),
            "claim_count_36m": claims,
            "claim_amount_36m": amount(paid),
        }
        return self._table("insurance", self._gaps(rng, columns, 0.01)).where(covered)

    def inputs(self) -> Table:
        """Purchases on the cooperative's counter and registered machines."""
        rng, n = generator(self.seed, "inputs"), len(self.people)
        farmed = np.log(self.land + self.leased + 0.5)
        bought = np.exp(5.3 + 0.7 * farmed + 0.2 * self.w + 0.7 * rng.standard_normal(n))
        columns: dict[str, Column] = {
            "input_purchase_12m": amount(bought),
            "machinery_count": self._events(rng, -1.4 + 0.35 * farmed + 0.35 * self.w, 12),
        }
        return self._table("inputs", self._gaps(rng, columns, 0.06))

    def subsidy(self) -> Table:
        """The land subsidy is the town's rate times certified land, so it all but repeats the land."""
        rng, n = generator(self.seed, "subsidy"), len(self.people)
        towns = self.population.villages.town
        rates = np.round(rng.uniform(74, 96, int(towns.max()) + 1), 1)[towns[self.people.village]]
        bought = rng.standard_normal(n) < -1.6 + 0.25 * self.w
        columns: dict[str, Column] = {
            "fertility_subsidy_y": amount(rates * self.land * rng.choice([1.0, 1.0, 1.0, 0.9, 0.6], n)),
            "machinery_subsidy_y": amount(bought * np.round(np.exp(7.2 + 0.5 * rng.standard_normal(n)), -1)),
            "poverty_alleviated_flag": flag(rng.standard_normal(n) < -1.25 - 0.8 * self.w),
            "social_aid_flag": flag(rng.standard_normal(n) < -1.8 - 0.6 * self.w + 0.2 * self.old),
        }
        return self._table("subsidy", self._gaps(rng, columns, 0.02))

    def judicial(self) -> Table:
        """Courts answer for everyone they were asked about, mostly with zero."""
        rng, n = generator(self.seed, "judicial"), len(self.people)
        enforced = self._events(rng, -2.75 - 0.75 * self.d + 0.3 * self.s - 0.15 * self.w, 8)
        unpaid = (enforced > 0) * (rng.uniform(size=n) < 0.6) * np.exp(9.2 + 0.8 * rng.standard_normal(n))
        columns: dict[str, Column] = {
            "judgment_defaulter_flag": flag((unpaid > 0) & (rng.uniform(size=n) < 0.25)),
            "enforcement_count_36m": enforced,
            "enforcement_unpaid": amount(unpaid),
            "litigation_count_36m": self._events(rng, -2.1 - 0.35 * self.d + 0.3 * self.s, 10) + enforced,
        }
        return self._table("judicial", columns)

    def utility(self) -> Table:
        """Power, water and contributions; the longest arrears of the year, mostly zero."""
        rng, people, n = generator(self.seed, "utility"), self.people, len(self.people)
        power = np.exp(6.75 + 0.35 * self.w + 0.3 * np.log(people.size) + 0.35 * rng.standard_normal(n))
        water = np.exp(3.6 + 0.12 * self.w + 0.55 * np.log(people.size) + 0.35 * rng.standard_normal(n))
        late = rng.standard_normal(n) < -0.45 - 0.45 * self.d - 0.12 * self.w + 0.15 * self.s
        overdue = late * np.minimum(365, 1 + np.exp(2.7 - 0.3 * self.d + 0.9 * rng.standard_normal(n)))
        months = np.clip(12 * (people.age - 25) * rng.beta(2.2 + np.maximum(0, 0.8 * self.d), 1.8, n), 0, 420)
        columns: dict[str, Column] = {
            "social_ins_months": whole(np.round(months)),
            "housing_fund_months": whole((rng.uniform(size=n) < 0.05) * rng.integers(1, 200, n)),
            "power_usage_12m": amount(power, 1),
            "water_usage_12m": amount(water, 1),
            "utility_overdue_days_12m": whole(overdue),
        }
        return self._table("fiscal_utility", self._gaps(rng, columns, 0.05))

    def credit(self) -> Table:
        """Promises, points and lists, as the credit office's own platform computes them."""
        rng, n = generator(self.seed, "credit"), len(self.people)
        made = self._events(rng, 0.45 + 0.12 * self.d, 12)
        broken = whole(rng.binomial(made.astype(np.int64), 1 / (1 + np.exp(2.9 + 0.8 * self.d - 0.25 * self.s))))
        points = np.clip(np.round(640 + 34 * self.d + 8 * self.w - 25 * broken + 50 * rng.standard_normal(n)), 0, 1000)
        listed, praised = (broken > 1) & (points < 520), (points > 745) & (rng.uniform(size=n) < 0.3)
        repair = pick(rng.uniform(size=n) < 0.3, ["已修复"], "申请中")
        columns: dict[str, Column] = {
            "commitment_count": made,
            "commitment_breach_count": broken,
            "list_type": pick(praised, ["守信激励"], "无"),
            "list_basis_doc": pick(praised | listed, documents(rng, n)),
            "public_credit_grade": grade(points),
            "credit_points": whole(points),
            "dispute_flag": flag(rng.uniform(size=n) < 0.002),
            "repair_status": pick(broken > 0, pick(rng.uniform(size=n) < 0.4, repair, "无"), "无"),
        }
        columns["list_type"] = pick(~listed, columns["list_type"], "严重失信")
        columns["credit_points"] = blank(rng, columns["credit_points"], 0.02 + 0.04 * self.remote)
        return self._table("credit", columns)


def documents(rng: np.random.Generator, count: int) -> Texts:
    """Invented document numbers."""
    return np.array([f"云禾信用〔2025〕{i}号" for i in rng.integers(1, 400, count)], dtype=object)


def grade(points: Floats) -> Texts:
    """Grades AAA to D by points."""
    return np.array(["D", "C", "B", "A", "AA", "AAA"], dtype=object)[np.digitize(points, [480.0, 540, 600, 680, 740])]
