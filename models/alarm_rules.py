"""Why an alarm was raised: the rules behind all alarms of the credit office, each with its number, in both languages.

A rule's number never changes and is never given again: cases and answers to the public name it for years.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """One rule. `setting` names the office's setting that holds its threshold; empty where one occurrence is enough."""

    id: str
    kind: str
    zh: str
    en: str
    why_zh: str
    why_en: str
    setting: str = ""


def rule_of(kind: str) -> Rule:
    """The rule behind an alarm's kind; one that this version does not know is said to be so."""
    return _BY_KIND.get(kind) or Rule(
        "A-00", kind, kind, kind, "此规则不在本版本的目录中。", "This rule is not in this version's list."
    )


RULES: tuple[Rule, ...] = (
    # ---- what people do (audit.office.patterns, audit.office.budgets)
    Rule("A-01", "night", "非营业时间查询", "questions at night",
         "在规定的营业时间之外逐笔查询。信贷员此时不在柜台，可能是他人使用了其密钥。",
         "Single questions outside of the open hours. No officer is at a counter then; somebody else may hold the key.",
         "open_hours"),
    Rule("A-02", "burst", "短时集中查询", "a burst of questions",
         "十分钟内的逐笔查询超过柜台所能办理的数量，像是程序在查询。",
         "More single questions within ten minutes than a person asks at a counter: it looks like a program.",
         "burst_checks"),
    Rule("A-03", "walk", "逐户查询一个地区", "a walk through a region",
         "一名信贷员在 24 小时内、没有批准的批次，查询了同一地区很多不同的人。",
         "One officer asked about many distinct people of one region within 24 hours, without an approved batch.",
         "walk_subjects"),
    Rule("A-04", "refusals", "大量被拒绝的查询", "many refusals",
         "一名信贷员一天内很多查询被拒绝或没有授权：像是在试探谁有授权。",
         "Many of an officer's questions of a day were refused or found no consent: somebody looks for who has one.",
         "refused_questions"),
    Rule("A-05", "enumeration", "批量枚举", "enumeration in bulk",
         "批量查询中没有授权的人占比过高：像是在逐个试名单。",
         "A large share of the people of bulk questions has no consent: a register is being gone through.",
         "unconsented_share"),
    Rule("A-06", "budget", "超出额度", "over a budget",
         "查询或对齐超出了机构、信贷员、项目、批次或数据期的额度，超出部分已被拒绝。",
         "Questions or alignments went beyond the budget of a bank, officer, project, batch or epoch; these were refused."),
    # ---- what services and institutions do
    Rule("A-10", "evidence", "银行提交的证据", "evidence of a bank",
         "银行收到的数据与已签名的内容不符，并提交了证据。",
         "What a bank received did not match what was signed; the bank's evidence is kept."),
    Rule("A-11", "manifest", "数据表清单不符", "a manifest that does not hold",
         "节点提交的数据表与其清单不符，或同一期出现了第二份清单。",
         "A table was not what its manifest says, or a second manifest came for one table and epoch."),
    Rule("A-12", "fork", "日志分叉", "a fork of a log",
         "日志对同一大小签署了两棵不同的树：有人被展示了另一份历史。",
         "A log signed two different trees of one size: somebody was shown another history."),
    Rule("A-13", "replay", "重算不符", "a replay that differs",
         "按银行承诺的输入重算，结果与日志中的不同。",
         "Recomputed from the inputs that a bank committed to, the result is another than the log says."),
    Rule("A-14", "aggregation", "安全求和输入不合规", "an input to a sum that does not hold",
         "一家银行在多方求和中的输入不符合其承诺或规定。",
         "A bank's input to a sum over banks is not what it committed to, or not what is allowed."),
    Rule("A-15", "exposure", "多头借贷查询不符", "an exposure check that does not hold",
         "节点给出的合计与各银行签名的回答不符，或银行打开的回答与其签名的不同。",
         "The node's sum is not that of the banks' signed answers, or an answer that a bank opened is not what it had signed."),
    # ---- what is due to subjects (audit.office.duties)
    Rule("D-01", "objection-15-days", "异议满十五日未答复", "an objection of fifteen days",
         "异议提出已满十五日，还没有书面答复；法定期限为二十日。",
         "An objection was raised fifteen days ago and has no answer in writing; the law gives twenty."),
    Rule("D-02", "objection-20-days", "异议答复到期", "an objection that is due",
         "异议提出已满二十日，今日是答复的最后一日，或者已经超期。",
         "An objection was raised twenty days ago: the answer is due today, or late."),
    Rule("D-03", "report-overdue", "查询结果超期未报告", "reports that are overdue",
         "银行查询后没有在期限内报告结果，当事人看不到查询的用处。",
         "A bank did not report in time what became of its checks, so that the people asked about cannot be told.",
         "report_days"),
    Rule("D-04", "opening-overdue", "银行逾期未打开回答", "an answer that is not opened",
         "审计员要求一家银行打开其在多头借贷查询中的回答，三日内没有打开。",
         "An auditor demanded that a bank open its answer to an exposure check, and three days later it has not."),
    # ---- what the daily reconciliation finds (audit.office.reconcile)
    Rule("R-01", "evaluation-without-ticket", "没有许可的计算", "an evaluation without a ticket",
         "节点日志中有一次查询计算，其许可不在信用办的记录中：可能是伪造许可、签名密钥泄露或恢复了旧备份。",
         "The node's log has an evaluation whose ticket this office does not know: a forged ticket, a stolen key, or a "
         "restored backup."),
    Rule("R-02", "evaluation-twice", "同一许可两次计算", "one ticket evaluated twice",
         "节点日志中同一许可被计算了不止一次。",
         "The node's log has more than one evaluation of one ticket."),
    Rule("R-03", "evaluation-differs", "计算与许可不一致", "an evaluation that is not its ticket's",
         "节点日志中的计算与许可的数据表、数据期、用途、项目或银行不同，或在许可到期之后。",
         "An evaluation in the node's log names another table, epoch, purpose, project or bank than its ticket, or came after "
         "the ticket's end."),
    Rule("R-04", "used-without-evaluation", "已使用却没有计算", "used, but never evaluated",
         "银行报告使用了一次查询，节点日志中却没有这次计算：节点可能漏记了日志。",
         "A bank reports that it used a check, but the node's log has no evaluation of it: the node may have answered "
         "without a leaf."),
    Rule("R-05", "leaf-without-ticket", "有日志没有许可", "a leaf without its ticket",
         "信用办日志记录了一份许可，数据库中却没有：记录被删除，或恢复了旧备份。",
         "This office's log names a ticket that its database does not have: it was deleted, or a backup was restored."),
    Rule("R-06", "ticket-without-leaf", "有许可没有日志", "a ticket without its leaf",
         "数据库中有一份许可，信用办日志却没有记录：有人绕过服务写入了数据库。",
         "The database has a ticket that this office's log does not name: somebody wrote past the service."),
    Rule("R-07", "ticket-without-access", "许可不在查询记录中", "a ticket that 'who looked at me' lacks",
         "数据库中有一份许可，当事人的“谁查询过我”中却没有：记录被删除。",
         "A ticket is missing from what its subject is shown under 'who looked at me': a row was deleted."),
    Rule("R-08", "seal-without-build", "已盖章的清单不在节点日志", "a sealed manifest that was not logged",
         "信用办为一份数据表清单盖了章，节点日志中却没有这份清单。",
         "This office sealed a manifest that the node's log does not have."),
    Rule("R-09", "epoch-without-seal", "没有盖章的数据期", "an epoch that was never sealed",
         "节点日志开放了一个数据期，其清单没有经过信用办盖章。",
         "The node's log opens an epoch whose manifest this office never sealed."),
    Rule("R-10", "log-damaged", "日志不完整", "a log that does not verify",
         "日志的叶子、路径或签名核对失败，或日志变短、分叉。",
         "A log's entries, tree or signatures do not verify, or it was cut or forked."),
    Rule("R-11", "release-without-leave", "未经同意的合计", "a sum that was not released",
         "节点日志给出了一次多头借贷查询的合计，信用办没有同意过：少于三家银行的合计会暴露单家银行的回答。",
         "The node's log gives out the sum of an exposure check that this office never released: of fewer than three banks it "
         "would show what one of them answered."),
)  # fmt: skip
_BY_KIND = {rule.kind: rule for rule in RULES}
