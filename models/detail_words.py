"""Details of alarms, findings and failed checks in Chinese: the office and the checks write them in English.

What is not known here is left as it came, since what exactly was wrong must not get lost.
"""

from __future__ import annotations

import re

_PATTERNS: tuple[tuple[str, str], ...] = (
    # alarms
    (r"single questions outside of the open hours, (.+)", r"在营业时间（\1）之外逐笔查询"),
    (r"(\d+) of (\d+) bulk questions of a day were about subjects without consent: a share of ([\d.]+); "
     r"up to ([\d.]+) raises no alarm",
     r"一天批量查询 \2 笔，其中 \1 笔的当事人没有授权，占 \3；不超过 \4 不报警"),
    (r"more than (\d+) single questions within (\d+) minutes", r"\2 分钟内逐笔查询超过 \1 笔"),
    (r"more than (\d+) distinct subjects of region (\d+) within 24 hours without an approved batch",
     r"24 小时内没有批准的批次，查询地区 \2 的不同当事人超过 \1 人"),
    (r"more than (\d+) distinct subjects of no known region within 24 hours without an approved batch",
     r"24 小时内没有批准的批次，查询地区不明的不同当事人超过 \1 人"),
    (r"(\d+) questions of a day were refused or found no consent; (\d+) raise no alarm",
     r"一天有 \1 笔查询被拒绝或没有授权；\2 笔以内不报警"),
    (r"the answer in writing is due in (\d+) days \((.+)\)", r"书面答复还有 \1 天到期（\2）"),
    (r"the answer in writing is due today \((.+)\)", r"书面答复今日到期（\1）"),
    (r"the answer in writing was due (\d+) days ago \((.+)\)", r"书面答复已逾期 \1 天（\2）"),
    (r"what became of them was to be reported within (\d+) days; the oldest is of (.+)",
     r"应在 \1 天内报告结果；最早一笔为 \2"),
    (r"the (node|office)'s log signed two different trees of one size", r"{\1}日志对同一大小签署了两棵不同的树"),
    (r"an opened answer to an exposure check is not what the bank had signed", "银行打开的回答与其当时签名的不符"),
    # findings
    (r"asked for by (.+)", r"由 \1 请求"),
    (r"evaluated before, entry (\d+) of the node's log", r"此前已计算过，见节点日志第 \1 条"),
    (r"other than the ticket: (.+)", r"与许可不同：\1"),
    (r"a row of the office's own database", "信用办数据库中的一行"),
    (r"its sum was released", "其合计已放行"),
    (r"reported as (.+)", r"银行报告为 \1"),
    (r"manifest ([0-9a-f]+|-)", r"清单 \1"),
    (r"the (node|office)'s log cannot be read now: (.+)", r"{\1}日志暂时读不到：\2"),
    # checks
    (r"(.+): two pieces of evidence do not say the same", r"\1：两份证据不一致"),
    (r"no key is known for the log (.+): give its verifier key", r"没有日志 \1 的公钥，请提供"),
    (r"the opening is not what the leaf commits to", "明细与日志的承诺不符"),
    (r"the key or role is not that of the enrolment leaf", "密钥或角色与登记日志不符"),
    (r"the leaf is of another institution or time than the access", "日志条目的机构或时间与查询不符"),
    (r"the leaf tells another outcome than the access", "日志条目的结果与查询不符"),
    (r"consent (.+) does not cover this question", r"授权 \1 不覆盖这次查询"),
    (r"the approver is the one who asked", "批准人就是查询人"),
    (r"the project is another bank's, or was not in its period", "项目属于别家银行，或不在有效期内"),
    (r"whoever asked for the project approved it", "项目由申请人自批"),
    (r"the question came outside of the batch's period", "查询不在批次有效期内"),
    (r"the leaf is not an evaluation that was done", "日志条目不是已完成的计算"),
    (r"the evaluation came after the ticket's end", "计算晚于许可到期"),
    (r"(.+) is not what the office signed", r"\1 与信用办签名的不符"),
    (r"the file is not byte for byte what the office wrote: it was changed, or packed anew",
     "文件与信用办写出的不是逐字节一致：被改动或重新打包"),
    (r"the finding is missing", "缺少这项发现"),
)  # fmt: skip
_KNOWN = [(re.compile(pattern), words) for pattern, words in _PATTERNS]
_LOGS = {"{node}": "节点", "{office}": "信用办"}


def in_chinese(detail: str) -> str:
    """A detail in Chinese where it is known, else as it came."""
    for pattern, words in _KNOWN:
        if match := pattern.fullmatch(detail):
            said = match.expand(words)
            return re.sub(r"\{(node|office)\}", lambda log: _LOGS[log[0]], said)
    return detail
