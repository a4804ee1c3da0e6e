"""What the pages about the logs say."""

from __future__ import annotations

TEXTS: dict[str, tuple[str, str]] = {
    "log-title": ("审计日志", "Audit logs"),
    "log-lead": ("每次访问先登入日志，再给出结果。任何人都可以凭公钥镜像和核验这两份日志。",
                 "Every access stands in a log before its result goes out. Anyone may mirror and verify both by public keys."),
    "log-office": ("信用办的日志", "The office's log"),
    "log-node": ("数据局的日志", "The node's log"),
    "log-size": ("条目", "Entries"),
    "log-root": ("根哈希", "Root"),
    "log-signed": ("最近签名", "Last signed"),
    "log-ago": ("{seconds} 秒前", "{seconds} s ago"),
    "log-waiting": ("排队的条目", "Entries waiting"),
    "log-witnesses": ("见证", "Witnesses"),
    "log-witness": ("见证方", "Witness"),
    "log-cosigned": ("见证时间", "Cosigned"),
    "log-reach": ("见证到", "Up to"),
    "log-lag": ("落后", "Behind"),
    "log-never": ("尚未见证", "not yet"),
    "log-quorum": ("须由 {quorum} 方见证后才放行成果。", "Results are released once {quorum} have cosigned."),
    "log-late": ("见证已落后，请联系见证方的管理员。", "A witness is behind: ask its operator."),
    "log-verify": ("立即核验", "Verify now"),
    "log-live": ("实时核验", "Live verification"),
    "log-live-lead": ("从上次核验之处起，逐条计算哈希，直到今天签名的根；日志若被删改、回退或分叉，会在这里显示。",
                      "From where it ended last, every new entry is hashed up to the root that is signed today. A log "
                      "that was cut, changed, set back or forked shows here."),
    "log-running": ("正在核验：{done} / {total}", "Verifying: {done} of {total}"),
    "log-verified": ("核验无误，共 {size} 条", "Verified, {size} entries"),
    "log-new": ("本次新核验 {new} 条", "{new} of them new"),
    "log-unverified": ("尚未核验。", "Not verified yet."),
    "log-problem": ("没有通过核验", "Not verified"),
    "log-retention": ("保存期限", "Retention"),
    "log-retention-lead": ("各类记录自事项结束起保存到期后清除，每次清除都登入日志；日志条目本身从不删除。",
                           "Records are kept for so long after their matter is over, then purged, each time with an entry in "
                           "the log. Entries of the log are never deleted."),
    "log-class": ("类别", "Class"),
    "log-days": ("保存天数", "Days"),
    "log-minimum": ("不少于", "At least"),
    "log-runs": ("最近的清除", "Last purges"),
    "log-run-at": ("时间", "When"),
    "log-run-count": ("清除条数", "Rows"),
    "log-runs-none": ("还没有清除过。", "Nothing was purged yet."),
    "log-class-consents": ("授权", "Consents"),
    "log-class-tickets": ("查询凭证与报告", "Tickets and reports"),
    "log-class-accesses": ("查询记录", "Accesses"),
    "log-class-batches": ("批量查询名单", "Lists of batches"),
    "log-class-alignments": ("样本对齐", "Alignments"),
    "log-class-exposures": ("多头借贷查询", "Exposure checks"),
    "log-class-disputes": ("异议与修复", "Objections and repairs"),
    "log-class-accounts": ("自助账户", "Accounts"),
    "log-class-bundles": ("案件证据包", "Bundles of cases"),
    "log-class-openings": ("日志明细（谁、查了谁）", "Openings: who, and about whom"),
}  # fmt: skip

DETAILS = {
    "the written request or decision is named, in at most 200 characters": "请写明书面申请或决定的文号，不超过 200 字。",
}
