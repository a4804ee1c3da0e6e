"""What went wrong is said in Chinese on Chinese pages, and as it came where no words are known."""

from __future__ import annotations

import re

import pytest

from audit.dossier.evidence import FAILED, Mismatch, run_check
from models.detail_words import in_chinese


@pytest.mark.parametrize(
    ("detail", "said"),
    [
        ("more than 30 single questions within 10 minutes", "10 分钟内逐笔查询超过 30 笔"),
        ("the answer in writing is due in 5 days (2026-11-27)", "书面答复还有 5 天到期（2026-11-27）"),
        ("the node's log signed two different trees of one size", "节点日志对同一大小签署了两棵不同的树"),
        ("evaluated before, entry 7 of the node's log", "此前已计算过，见节点日志第 7 条"),
        ("other than the ticket: purpose, project", "与许可不同：purpose, project"),
        ("something new", "something new"),
    ],
)
def test_details_in_chinese(detail: str, said: str) -> None:
    assert in_chinese(detail) == said


def test_a_failed_check_says_why_in_both_languages() -> None:
    def fails() -> tuple[str, str]:
        raise Mismatch("the evaluation came after the ticket's end")

    check = run_check("node-leaf", fails)
    assert (check.state, check.detail) == (FAILED, "the evaluation came after the ticket's end")
    assert re.fullmatch("核对不符：计算晚于许可到期", check.zh)
