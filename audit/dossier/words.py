"""What was checked, in plain words: for the command line, the console, and whoever reads a bundle years later."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from audit.dossier.bundle import Verdict
from audit.dossier.evidence import ABSENT, FAILED, VERIFIED, Check

STATES = {VERIFIED: ("已核实", "verified"), FAILED: ("未通过", "NOT verified"), ABSENT: ("没有", "not there")}
CHECKS: dict[str, tuple[str, str]] = {
    "office-leaf": ("信用办日志记录了这次查询", "The access stands in the office's log"),
    "opening": ("日志承诺的信贷员与当事人正是此二人", "The leaf commits to this officer and this subject"),
    "ticket": ("许可由信用办签名，银行、用途、数据表一致", "The ticket is the office's, for this bank, purpose and table"),
    "request-proof": ("银行证明其盲化元素属于这位当事人", "The bank proved that its blinded element is this subject's"),
    "consents": ("两项授权（采集与查询）当时有效，且与许可的承诺一致",
                 "Both consents stood, and are those that the ticket commits to"),
    "approval": ("银行内第二人批准", "A second person of the bank approved"),
    "project": ("信用办批准了项目，且不是申请人自批", "The office approved the project, and not by whoever asked"),
    "batch": ("所属批次", "The batch that it belongs to"),
    "manifest": ("数据表清单由节点签名、信用办盖章", "The table's manifest is the node's, under the office's seal"),
    "node-leaf": ("节点日志记录了这次计算，且与许可一致", "The evaluation stands in the node's log and is this ticket's"),
    "reports": ("银行报告了查询结果", "The bank reported what became of it"),
    "keys": ("证据包所列密钥与读者所持一致", "The bundle names keys that the reader holds"),
    "directory": ("当时的人员与密钥，与登记日志一致", "People and keys of then are those of their enrolment leaves"),
    "items": ("案件所列证据齐全", "Everything that the case names is there"),
}  # fmt: skip


def name_of(check: Check) -> tuple[str, str]:
    """A check's name in both languages."""
    if check.name.startswith("finding-"):
        number = check.name.removeprefix("finding-")
        return f"对账发现 {number} 的日志条目", f"The leaves of finding {number}"
    return CHECKS[check.name]


def tell(verdict: Verdict) -> Iterator[str]:
    """The whole verdict, a line at a time."""
    manifest, case = verdict.bundle.manifest, verdict.bundle.case
    made = datetime.fromtimestamp(manifest.made_at, UTC).isoformat(sep=" ", timespec="seconds")
    files = len(verdict.bundle.files) - 1
    yield f"The file is byte for byte what the credit office signed on {made}: {files} files, none changed."
    yield f"Case {case.id}: {case.title} ({case.state}, opened by {case.opened_by})"
    if case.finding:
        yield f"Finding: {case.finding}"
    yield from map(_line, verdict.own)
    for number, checks in sorted(verdict.accesses.items()):
        yield f"Access {number}:"
        yield from map(_line, checks)
    failed = len(verdict.failed)
    yield f"{failed} checks FAILED." if failed else "Everything that is there holds."


def _line(check: Check) -> str:
    return f"  [{STATES[check.state][1]}] {name_of(check)[1]}: {check.detail}"
