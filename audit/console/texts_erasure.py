"""What the pages of erasing a subject say."""

from __future__ import annotations

TEXTS: dict[str, tuple[str, str]] = {
    "erasure": ("删除个人资料", "Erase a person's data"),
    "erasure-lead": ("删除信用办所存的某一主体的资料，连同审计日志条目的存档；日志条目本身不含个人信息，仍可验证。"
                     "法律要求保存的，到期再删。",
                     "Erases what the office holds about one subject, with the openings of log entries; the entries themselves "
                     "hold no personal data and verify as before. What the law says to keep goes when its period is over."),
    "erasure-two": ("删除不能恢复，一般须由两名经办共同办理。", "It cannot be undone, and as a rule needs two clerks."),
    "erasure-subject": ("证件号码", "Citizen number or credit code"),
    "erasure-wrong": ("号码有误，请核对。", "This is not a valid number."),
    "erasure-do": ("提交删除", "Erase"),
    "erasure-done": ("已删除", "Erased"),
    "erasure-class": ("记录类别", "Class of records"),
    "erasure-erased": ("已删除", "Erased"),
    "erasure-kept": ("依法保留", "Kept by law"),
    "erasure-until": ("保留至", "Until"),
    "erasure-another": ("等另一名经办决定", "It waits for another clerk"),
    "erasure-see": ("查看待复核事项", "See what waits"),
    "act-subject": ("主体", "Subject"),
    "act-ground": ("依据", "Ground"),
    "act-reference": ("申请书或决定编号", "Reference of the request or decision"),
    "ground-withdrawn": ("本人撤回授权", "consent withdrawn"),
    "ground-ended": ("目的已实现或期限已满", "purpose reached or period over"),
    "ground-unlawful": ("违法收集或处理", "unlawful collection or use"),
    "ground-court": ("法院或主管部门决定", "order of a court or authority"),
}  # fmt: skip
