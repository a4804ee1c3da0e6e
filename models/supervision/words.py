"""The words of figures in Chinese and English: measures, units, purposes, departments."""

from __future__ import annotations

from functools import cache
from typing import Literal

from models.catalogue import default_catalogue
from models.catalogue.departments import DEPARTMENTS
from models.supervision.messages import ALL, ELSEWHERE, OTHER

Language = Literal["zh", "en"]

MEASURES: dict[str, tuple[str, str, str]] = {
    "coverage.declared": ("村报农户数", "Households as villages report them", "户"),
    "coverage.households": ("建档农户数", "Households on record", "户"),
    "coverage.households_served": ("可查询农户数（已同意采集）", "Households served under a collection consent", "户"),
    "coverage.organisations": ("建档经营主体数", "Organisations on record", "家"),
    "coverage.organisations_served": ("可查询经营主体数", "Organisations served under a collection consent", "家"),
    "freshness.fresh": ("周期内更新的记录", "Records within their cycle", "条"),
    "freshness.late": ("逾期不超过一个周期的记录", "Records up to one cycle late", "条"),
    "freshness.old": ("逾期超过一个周期的记录", "Records later than that", "条"),
    "questions.granted": ("获准查询", "Questions granted", "次"),
    "questions.refused": ("拒绝查询", "Questions refused", "次"),
    "batches.filed": ("批量查询申请", "Batches filed", "件"),
    "trainings.usable": ("联合建模（核验通过）", "Trainings with proven inputs", "次"),
    "trainings.unusable": ("联合建模（核验未通过）", "Trainings with unusable inputs", "次"),
    "models.registered": ("登记模型", "Models registered", "个"),
    "objections.filed": ("提出异议", "Objections filed", "件"),
    "objections.answered": ("答复异议", "Objections answered", "件"),
    "objections.open": ("期末未答复异议", "Objections open at the end", "件"),
    "objections.overdue": ("期末超期未答复异议", "Objections overdue at the end", "件"),
    "credit.agricultural": ("涉农贷款余额", "Agricultural loans outstanding", "元"),
    "credit.agricultural_borrowers": ("涉农贷款户数", "Borrowers of agricultural loans", "户"),
    "credit.loans": ("各项贷款余额", "All loans outstanding", "元"),
    "credit.borrowers": ("各项贷款户数", "Borrowers of all loans", "户"),
}
"""Chinese, English, unit."""

UNITS = {"户": "households or borrowers", "家": "organisations", "条": "records", "次": "times", "件": "cases", "个": "models",
         "元": "yuan"}  # fmt: skip

WORDS: dict[str, tuple[str, str]] = {
    ALL: ("合计", "all"),
    ELSEWHERE: ("不详", "not known"),
    OTHER: ("其他", "other"),
    "loan-approval": ("贷款审批", "loan approval"),
    "post-loan": ("贷后管理", "after the loan"),
    "modelling": ("建模", "modelling"),
    "in-time": ("按期", "in time"),
    "late": ("超期", "late"),
    "corrected": ("已更正", "corrected"),
    "unmarked": ("取消标注", "unmarked"),
    "noted": ("附注说明", "noted"),
    "exact": ("实数", "exact"),
    "tens": ("按十取整", "in tens"),
    "few": ("不足十", "fewer than ten"),
    "hidden": ("不公布", "not shown"),
    "daily": ("每日", "daily"),
    "week": ("每周", "weekly"),
    "month": ("每月", "monthly"),
    "quarter": ("每季", "quarterly"),
    "halfyear": ("每半年", "half-yearly"),
    "year": ("每年", "yearly"),
    "coverage": ("档案覆盖与时效", "coverage and freshness"),
    "credit": ("涉农贷款", "agricultural credit"),
}


def measure(name: str, language: Language) -> str:
    """A measure's name."""
    zh, en, _ = MEASURES[name]
    return zh if language == "zh" else en


def unit(name: str, language: Language) -> str:
    """A measure's unit."""
    sign = MEASURES[name][2]
    return sign if language == "zh" else UNITS[sign]


def word(key: str, language: Language) -> str:
    """What a key stands for; a bank's id or a code stands for itself."""
    if key in WORDS:
        return WORDS[key][0 if language == "zh" else 1]
    parts = [DEPARTMENTS.get(part, (part, part))[0 if language == "zh" else 1] for part in key.split("/")]
    return "/".join(parts)


def theme(category: str, language: Language) -> str:
    """What a category of the packaged catalogue is about; another one stands for itself."""
    zh, _, en = _themes().get(category, category).partition(" / ")
    return zh if language == "zh" else en or zh


@cache
def _themes() -> dict[str, str]:
    return {field.category: field.theme for field in default_catalogue() if field.theme}
