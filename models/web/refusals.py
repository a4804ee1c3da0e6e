"""Refusals of office and node in the words of a page: titles and next steps of the common ones, and sentences of identity.

The services speak English. A Chinese page shows title and next step in Chinese and keeps the detail as it came where no
translation is known: what exactly was wrong must not get lost.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from models.problems import Problem
from models.web.texts import Language

TITLES: dict[str, tuple[str, str]] = {
    "no-consent": ("没有覆盖本次查询的授权", "请当事人签署对本行和本用途的授权，登记后再查询。"),
    "not-approved": ("信用办没有批准", "请向信用办备案，或等待其决定。"),
    "bad-ticket": ("凭证不适用于本次查询", "请重新查询，取得新的凭证。"),
    "over-budget": ("查询次数已用完", "等待下一周期，或向信用办申请增加次数。"),
    "suspended": ("信用办已暂停", "请联系信用办。"),
    "wrong-role": ("您的角色不能办理", "请由有权限的人员办理。"),
    "own-request": ("不能批准自己的申请", "须由第二人决定。"),
    "second-clerk": ("此事须由两名经办共同办理", "请提交待复核事项，由另一名经办决定后办理。"),
    "forbidden": ("不允许这样做", "如有疑问请联系信用办。"),
    "not-found": ("没有找到", "请核对项目；数据表可能尚未开放。"),
    "conflict": ("当前状态不允许", "请刷新后再继续；没有改动任何内容。"),
    "bad-identity": ("号码无效", "请核对号码。"),
    "bad-signature": ("签名未通过验证", "请核对本机时间和登记的密钥。"),
    "damaged": ("收到的内容与签名不符", "证据已保存并已告知信用办。请不要自行重复查询。"),
    "unusable": ("内容未被接受", "请按说明更正。"),
    "bad-message": ("请求格式有误", "请更正后再试；没有改动任何内容。"),
    "too-large": ("请求太大", "请缩小后再试。"),
    "busy": ("服务繁忙", "没有办理任何内容，请稍后再试。"),
    "unavailable": ("服务暂时不可用", "没有提供任何数据，请稍后再试。"),
    "peer-unavailable": ("对方服务没有应答", "没有提供任何数据，请检查网络后再试。"),
    "log-unavailable": ("日志无法写入，因此不提供服务", "没有提供任何数据，请稍后再试。"),
    "problem": ("系统出错", "没有提供任何数据。请重试；如仍不行，请把时间告诉管理员。"),
}

DETAILS: dict[str, str] = {
    "no collection consent of this subject stands for these fields": "此人没有覆盖这些数据的有效采集授权",
    "no query consent of this subject names this bank, this purpose and these fields until then":
        "此人没有对本行、本用途和这些数据的有效查询授权",
    "a consent was revoked while this was looked at; ask again": "办理过程中授权被撤回，请重新查看",
    "this bank has no such project": "本行没有这个项目",
    "this project is suspended by the credit office": "信用办已暂停这个项目",
    "this project's period has not begun or is over": "项目尚未开始或已经到期",
    "this project is not approved for this purpose": "项目没有批准这一用途",
    "this epoch of the table is over; ask the node for the present one": "这一期数据已结束，请重新查询",
    "the office has sealed no epoch of such a table": "信用办还没有封存这张数据表",
    # identity
    "a citizen number has 17 digits and a check character (a digit or X)": "公民身份号码为 17 位数字加 1 位校验码（数字或 X）",
    "the check character of the citizen number is wrong: probably mistyped": "公民身份号码校验码不对，可能输错",
    "the date of birth in the citizen number does not exist": "公民身份号码中的出生日期不存在",
    "the date of birth in the citizen number lies in the future": "公民身份号码中的出生日期晚于今天",
    "the region in the citizen number (first six digits) is in no edition of GB/T 2260": "公民身份号码前六位不是行政区划代码",
    "the region in the citizen number had been withdrawn before the date of birth": "公民身份号码中的行政区划在出生前已撤销",
    "a unified social credit code has 18 digits or capitals, none of them I, O, Z, S or V":
        "统一社会信用代码为 18 位数字或大写字母，不含 I、O、Z、S、V",
    "the check character of the credit code is wrong: probably mistyped": "统一社会信用代码校验码不对，可能输错",
    "the id is valid as a citizen number and as a credit code; write its kind before it":
        "号码同时符合两种规则，请在前面写明种类（citizen: 或 organisation:）",
    "an opaque id has 1 to 64 characters": "编号为 1 至 64 个字符",
    "an opaque id has printable characters only": "编号只能用可打印字符",
}  # fmt: skip

BUDGETS: dict[str, str] = {
    "this project's budget of checks": "本项目的查询次数",
    "this officer's budget of questions a day": "您今天的查询次数",
    "this bank's budget of questions a day": "本行今天的查询次数",
    "the budget of questions about this epoch of the table": "这一期数据的查询次数",
}  # fmt: skip
_BUDGET = re.compile(r"(.+) has ([0-9]+) of ([0-9]+) left; .+")


@dataclass(frozen=True)
class Refusal:
    """What a page shows of a problem."""

    title: str
    detail: str
    next_step: str


def refusal_of(problem: Problem, language: Language, details: Mapping[str, str] | None = None) -> Refusal:
    """A problem in the language of the page; `details` are translations beside `DETAILS`."""
    detail = in_words(problem.detail, language, details)
    if language == "zh" and problem.slug() in TITLES:
        title, next_step = TITLES[problem.slug()]
        return Refusal(title, "" if problem.detail == problem.title else detail, next_step)
    return Refusal(problem.title, "" if problem.detail == problem.title else detail, problem.next_step)


def in_words(detail: str, language: Language, details: Mapping[str, str] | None = None) -> str:
    """A sentence (or several, separated by semicolons) of office, node or identity in the page's language."""
    if language != "zh":
        return detail
    known = DETAILS | dict(details or {})
    if detail in known:
        return known[detail]
    if (budget := _BUDGET.fullmatch(detail)) and budget[1] in BUDGETS:
        return f"{BUDGETS[budget[1]]}还剩 {budget[2]} 次，共 {budget[3]} 次"
    return "；".join(known.get(part, part) for part in detail.split("; "))
