"""What the page of an exposure check says to an auditor."""

from __future__ import annotations

TEXTS: dict[str, tuple[str, str]] = {
    "exposure": ("多头借贷查询", "Exposure check"),
    "exposure-see": ("各银行的回答", "The banks' answers"),
    "exposure-lead": ("合计由各银行加密的回答相加而成，信用办看不到单家银行的金额。怀疑某家银行的回答不实时，可要求其打开："
                      "与其当时签名不符的，会报警并保留证据。要求与理由记入日志，打开的金额只在此页显示，每次查看都会留痕。",
                      "The sum is of encrypted answers, none of which the office sees. Where one seems untrue, its bank is "
                      "made to open it: what does not fit its signature is an alarm, with the evidence. The demand is logged "
                      "with its reason; opened amounts are shown here alone, and each look leaves a leaf."),
    "exposure-asked": ("提问银行", "Asked by"),
    "exposure-released": ("合计放行", "Sum released"),
    "exposure-not-released": ("尚未放行：没有可以打开的回答。", "No sum was released: there is no answer to open."),
    "exposure-bank": ("回答银行", "Answering bank"),
    "exposure-state": ("状态", "State"),
    "exposure-none": ("未要求打开", "not demanded"),
    "exposure-open": ("已要求，等银行打开", "demanded, not opened yet"),
    "exposure-holds": ("与签名相符", "fits what was signed"),
    "exposure-false": ("与签名不符，已报警", "is not what was signed: an alarm"),
    "exposure-amount": ("金额（元）", "Amount (yuan)"),
    "exposure-reason": ("理由", "Reason"),
    "exposure-demand": ("要求打开", "Demand that it be opened"),
    "exposure-need-bank": ("请选择一家银行。", "Choose a bank."),
    "exposure-need-reason": ("请写明理由。", "Say why."),
}  # fmt: skip

DETAILS = {
    "this access is no exposure check that was granted, or was erased": "这次查询不是获准的多头借贷查询，或已删除",
    "no released sum of this question has an answer of this bank": "已放行的合计中没有这家银行的回答",
}
