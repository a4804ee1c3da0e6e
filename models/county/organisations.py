"""What departments know of organisations, farm to grain trader, and of the villages themselves."""

from __future__ import annotations

from typing import Final

import numpy as np

from models.county.departments import PRODUCTS, documents, grade
from models.county.population import Population, Texts, choose, generator
from models.county.tables import Column, Table, amount, blank, days_after, flag, pick, whole

TYPE_LABELS: Final = {
    "F": "家庭农场", "C": "农民合作社", "E": "农业企业", "S": "农业社会化服务组织", "I": "农资经营主体", "G": "粮食企业",
}  # fmt: skip
INDUSTRIES: Final = {"F": "A0111", "C": "A0141", "E": "C1371", "S": "A0511", "I": "F5166", "G": "F5111"}
LICENCES: Final = {"F": "其他", "C": "食品生产经营", "E": "食品生产经营", "S": "动物防疫条件", "I": "农药经营", "G": "其他"}


def organisation_tables(seed: int, population: Population) -> list[Table]:
    """One table per category for all organisations; fields that a kind does not have stay empty."""
    draw = _Registers(seed, population)
    return [
        draw.basic(), draw.supervision(), draw.land(), draw.demo(), draw.insurance(), draw.inputs(), draw.subsidy(),
        draw.judicial(), draw.fiscal(), draw.credit(),
    ]  # fmt: skip


def village_table(seed: int, population: Population) -> Table:
    """The villages' own figures, keyed by the credit code of the village collective."""
    rng, villages = generator(seed, "village"), population.villages
    n = len(villages.code)
    counts = np.bincount(population.households.village, minlength=n)
    columns: dict[str, Column] = {
        "uscc": villages.uscc,
        "subject_type": pick(np.ones(n), ["村集体"]),
        "village_household_count": whole(counts),
        "village_archive_coverage": amount(np.clip(97 - 9 * villages.remote + rng.standard_normal(n), 0, 100), 1),
        "village_credit_granted": flag(rng.standard_normal(n) < 0.2 + 0.6 * villages.wealth),
        "promise_fulfilment_rate": amount(np.clip(92 + 3 * villages.wealth + rng.standard_normal(n), 0, 100), 1),
        "gov_overdue_to_sme": amount((rng.uniform(size=n) < 0.15) * np.round(np.exp(10 + rng.standard_normal(n)), -2)),
    }
    return Table("village", "uscc", columns)


def village_profiles(population: Population) -> Table:
    """Where the villages lie, which is how what they report is added up by township."""
    villages = population.villages
    columns: dict[str, Column] = {
        "uscc": villages.uscc,
        "subject_type": pick(np.ones(len(villages.code)), ["村集体"]),
        "subject_name": villages.name,
        "division_code": villages.code,
    }
    return Table("basic", "uscc", columns)


class _Registers:
    """One method per category, over all organisations at once; ``_table`` keeps the kinds that a category knows."""

    def __init__(self, seed: int, population: Population) -> None:
        self.seed = seed
        self.population = population
        self.all = population.organisations
        self.n = len(self.all)
        self.kind = self.all.subject_type.astype(str)
        self.z, self.q = self.all.scale, self.all.quality

    def _is(self, kinds: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return np.isin(self.kind, list(kinds))

    def _only(self, kinds: str, column: Column) -> Column:
        keep = self._is(kinds)
        return pick(keep, column) if column.dtype == object else np.where(keep, column, np.nan)

    def _table(self, category: str, columns: dict[str, Column], kinds: str = "FCESIG") -> Table:
        keyed: dict[str, Column] = {"uscc": self.all.uscc, "subject_type": self._by_kind(TYPE_LABELS)}
        return Table(category, "uscc", keyed | columns).where(self._is(kinds))

    def _dates(self, rng: np.random.Generator, low: int, high: int) -> Texts:
        return days_after(self.population.as_of, rng.integers(low, high, self.n))

    def _by_kind(self, values: dict[str, str]) -> Texts:
        return np.array([values[kind] for kind in self.kind], dtype=object)

    def basic(self) -> Table:
        """The register of enterprises."""
        rng, n = generator(self.seed, "org basic"), self.n
        years = np.clip(rng.gamma(2.2, 3.2, n), 0.2, 28)
        since = days_after(self.population.as_of, -np.round(years * 365.25))
        capital = np.round(np.exp(3.4 + 0.8 * self.z + 0.6 * rng.standard_normal(n)) * np.where(self._is("EG"), 4, 1))
        income = np.round(np.exp(12.3 + 0.9 * self.z + 0.5 * rng.standard_normal(n)), -2)
        states = (("存续", 0.95), ("停业", 0.03), ("注销", 0.02))
        columns: dict[str, Column] = {
            "subject_name": self.all.name,
            "division_code": self.population.villages.code[self.all.village],
            "registration_date": since,
            "registration_status": choose(rng, states, n),
            "registered_capital": amount(capital),
            "industry_code": self._by_kind(INDUSTRIES),
            "main_product": pick(self._is("SI"), ["其他"]) + pick(~self._is("SI"), choose(rng, PRODUCTS, n)),
            "operating_years": amount(years, 1),
            "coop_member_count": self._only("C", whole(np.maximum(5, np.exp(3.6 + 0.7 * self.z)))),
            "annual_operating_income": blank(rng, amount(income), 0.08),
        }
        return self._table("basic", columns)

    def supervision(self) -> Table:
        """Licences, penalties, inspections, samples."""
        rng, n = generator(self.seed, "org supervision"), self.n
        count = whole(np.minimum(rng.poisson(np.exp(-1.9 - 0.6 * self.q)), 9))
        fine = np.round(count * np.exp(7.6 + 0.9 * rng.standard_normal(n)), -1)
        severity = np.array(["轻微", "一般", "严重"], dtype=object)[np.digitize(fine, [2000.0, 10000.0])]
        inspected = np.array(["不合格", "限期整改", "合格"], dtype=object)
        score = np.digitize(self.q + rng.standard_normal(n), [-2.4, -1.5])
        grades = np.array(["D", "C", "B", "A"], dtype=object)[np.digitize(self.q, [-1.8, -0.9, 0.3])]
        columns: dict[str, Column] = {
            "licence_type": self._by_kind(LICENCES),
            "licence_valid_to": self._dates(rng, -60, 1800),
            "penalty_count_36m": count,
            "penalty_amount_36m": amount(fine),
            "penalty_severity": pick(count > 0, severity, "无"),
            "publicity_end_date": pick(count > 0, self._dates(rng, -700, 360)),
            "inspection_result": inspected[score],
            "abnormal_list_flag": flag(self.q + rng.standard_normal(n) < -2.3),
            "quality_sample_fail_36m": self._only("FCE", whole(rng.poisson(np.exp(-2.6 - 0.5 * self.q)))),
            "conformity_cert_count_12m": self._only("FCE", whole(rng.poisson(np.exp(2.2 + 0.4 * self.q)))),
            "traceability_enrolled": self._only("FCE", flag(rng.standard_normal(n) < 0.2 + 0.5 * self.q)),
            "grain_credit_grade": self._only("G", grades),
        }
        return self._table("supervision", columns)

    def land(self) -> Table:
        """Leased land and property."""
        rng, n = generator(self.seed, "org land"), self.n
        leased = amount(np.exp(4.6 + 0.8 * self.z + 0.5 * rng.standard_normal(n)), 1)
        facility = (rng.uniform(size=n) < 0.3) * np.exp(7.5 + 0.8 * rng.standard_normal(n))
        columns: dict[str, Column] = {
            "leased_in_area": self._only("FCE", leased),
            "lease_end_date": self._only("FCE", blank(rng, self._dates(rng, -60, 5400), 0.08)),
            "facility_area": self._only("FCE", whole(facility)),
            "real_estate_count": whole(np.minimum(rng.poisson(np.exp(-0.2 + 0.4 * self.z)), 20)),
            "mortgage_flag": flag(rng.uniform(size=n) < 0.18),
        }
        return self._table("land", columns)

    def demo(self) -> Table:
        """Demonstration levels, certificates, honours."""
        rng, n = generator(self.seed, "org demo"), self.n
        levels = np.array(["无", "县级", "市级", "省级", "国家级"], dtype=object)
        level = levels[np.digitize(0.7 * self.q + 0.5 * self.z + rng.standard_normal(n), [0.6, 1.4, 2.2, 3.4])]
        certificates = (("无", 0.78), ("绿色食品", 0.15), ("有机农产品", 0.04), ("地理标志", 0.03))
        columns: dict[str, Column] = {
            "demo_level": self._only("FCE", level),
            "demo_valid_to": self._only("FCE", pick(level != "无", self._dates(rng, 30, 1000))),
            "product_cert_type": self._only("FCE", choose(rng, certificates, n)),
            "award_count_36m": whole(np.minimum(rng.poisson(np.exp(-1.2 + 0.5 * self.q)), 9)),
        }
        return self._table("demo", columns)

    def insurance(self) -> Table:
        """Policies of farms, cooperatives and enterprises."""
        rng, n = generator(self.seed, "org insurance"), self.n
        area = amount(np.exp(4.4 + 0.7 * self.z + 0.5 * rng.standard_normal(n)), 1)
        claims = whole(np.minimum(rng.poisson(0.6, n), 9))
        columns: dict[str, Column] = {
            "insured_line": choose(rng, (("种植险", 0.7), ("养殖险", 0.2), ("设施农业险", 0.1)), n),
            "insured_area": area,
            "insured_heads": whole((rng.uniform(size=n) < 0.2) * np.exp(4.5 + 0.6 * rng.standard_normal(n))),
            "sum_insured": amount(np.round(area * 1000, -2)),
            "claim_count_36m": claims,
            "claim_amount_36m": amount(np.round(claims * np.exp(8.2 + 0.6 * rng.standard_normal(n)), 1)),
        }
        return self._table("insurance", columns, "FCE")

    def inputs(self) -> Table:
        """Dealers' grades and others' purchases and machines."""
        rng, n = generator(self.seed, "org inputs"), self.n
        grades = np.array(["D", "C", "B", "A"], dtype=object)[np.digitize(self.q, [-1.8, -0.9, 0.3])]
        kinds = (("种子", 0.25), ("农药", 0.25), ("肥料", 0.25), ("综合", 0.25))
        bought = np.exp(9.8 + 0.8 * self.z + 0.5 * rng.standard_normal(n))
        columns: dict[str, Column] = {
            "input_licence_type": self._only("I", choose(rng, kinds, n)),
            "input_credit_grade": self._only("I", grades),
            "counterfeit_case_36m": self._only("I", whole(rng.poisson(np.exp(-2.8 - 0.6 * self.q)))),
            "input_purchase_12m": self._only("FC", amount(bought)),
            "machinery_count": self._only("FCS", whole(np.minimum(rng.poisson(np.exp(0.9 + 0.5 * self.z)), 60))),
        }
        return self._table("inputs", columns, "FCSI")

    def subsidy(self) -> Table:
        """Machines and projects."""
        rng, n = generator(self.seed, "org subsidy"), self.n
        machines = (rng.uniform(size=n) < 0.15) * np.round(np.exp(9 + 0.6 * rng.standard_normal(n)), -1)
        projects = (rng.uniform(size=n) < 0.2) * np.round(np.exp(11 + 0.7 * self.z), -2)
        columns: dict[str, Column] = {
            "machinery_subsidy_y": self._only("FCS", amount(machines)),
            "project_fund_36m": self._only("FCES", amount(projects)),
        }
        return self._table("subsidy", columns, "FCES")

    def judicial(self) -> Table:
        """Suits and enforcement."""
        rng, n = generator(self.seed, "org judicial"), self.n
        enforced = whole(np.minimum(rng.poisson(np.exp(-2.3 - 0.7 * self.q)), 9))
        unpaid = (enforced > 0) * (rng.uniform(size=n) < 0.6) * np.exp(11 + 0.8 * rng.standard_normal(n))
        columns: dict[str, Column] = {
            "judgment_defaulter_flag": flag((unpaid > 0) & (rng.uniform(size=n) < 0.3)),
            "enforcement_count_36m": enforced,
            "enforcement_unpaid": amount(unpaid),
            "litigation_count_36m": enforced + rng.poisson(np.exp(-1.0 - 0.3 * self.q)),
        }
        return self._table("judicial", columns)

    def fiscal(self) -> Table:
        """Taxes, contributions, power and water."""
        rng, n = generator(self.seed, "org fiscal"), self.n
        grades = np.array(["D", "C", "M", "B", "A"], dtype=object)[np.digitize(self.q, [-2.0, -1.3, -0.4, 0.6])]
        paid = np.where(self._is("FC"), 0.15, 1.0) * np.exp(8.6 + 0.9 * self.z + 0.5 * rng.standard_normal(n))
        owed = (rng.standard_normal(n) < -1.5 - 0.6 * self.q) * np.exp(7.5 + rng.standard_normal(n))
        won = (rng.uniform(size=n) < 0.08) * np.round(np.exp(12 + 0.6 * self.z), -2)
        late = rng.standard_normal(n) < -0.8 - 0.5 * self.q
        columns: dict[str, Column] = {
            "tax_credit_grade": grades,
            "tax_paid_12m": blank(rng, amount(paid), 0.04),
            "tax_arrears": amount(owed),
            "social_ins_headcount": whole(np.maximum(1, np.exp(1.2 + 0.7 * self.z))),
            "power_usage_12m": blank(rng, amount(np.exp(9 + 0.8 * self.z + 0.4 * rng.standard_normal(n)), 1), 0.05),
            "water_usage_12m": blank(rng, amount(np.exp(6 + 0.7 * self.z + 0.4 * rng.standard_normal(n)), 1), 0.08),
            "utility_overdue_days_12m": whole(late * np.minimum(365, rng.gamma(1.2, 20.0, n))),
            "gov_procurement_award_36m": self._only("CESG", amount(won)),
        }
        return self._table("fiscal_utility", columns)

    def credit(self) -> Table:
        """Promises, points and lists."""
        rng, n = generator(self.seed, "org credit"), self.n
        made = np.minimum(rng.poisson(3.0, n), 15)
        broken = whole(rng.binomial(made, 1 / (1 + np.exp(3.0 + 0.8 * self.q))))
        points = np.clip(np.round(650 + 55 * self.q + 15 * self.z - 25 * broken + 30 * rng.standard_normal(n)), 0, 1000)
        bad, good = (broken > 1) & (points < 520), (points > 770) & (broken == 0)
        columns: dict[str, Column] = {
            "commitment_count": whole(made),
            "commitment_breach_count": broken,
            "list_type": pick(bad, ["严重失信"]) + pick(good, ["守信激励"]) + pick(~bad & ~good, ["无"]),
            "list_basis_doc": pick(bad | good, documents(rng, n)),
            "public_credit_grade": grade(points),
            "credit_points": whole(points),
            "dispute_flag": flag(rng.uniform(size=n) < 0.003),
            "repair_status": pick((broken > 0) & (rng.uniform(size=n) < 0.3), ["申请中"], "无"),
        }
        return self._table("credit", columns)
