"""What a supervisor's pages say."""

from __future__ import annotations

TEXTS: dict[str, tuple[str, str]] = {
    "supervision": ("监管统计", "Figures"),
    "supervision-title": ("{year} 年农村信用数据共享统计", "Rural credit data sharing: figures of {year}"),
    "supervision-lead": ("各数由办内日志重算得出，或取自已签名的报送；不含任何个人信息，小数不公布。",
                         "Counted from the office's log, or taken from signed statements; nobody is in them."),
    "supervision-year": ("年份", "Year"),
    "supervision-county": ("地区", "County"),
    "supervision-all": ("全部", "All"),
    "supervision-show": ("查看", "Show"),
    "supervision-csv": ("导出表格（CSV）", "Export as CSV"),
    "supervision-print": ("打印版", "Printable page"),
    "supervision-issued": ("正式年报", "Official yearly reports"),
    "supervision-issued-lead": ("年度结束后出具；信用办签名，摘要登入日志，文件可离线核验。",
                                "Issued once a year is over, signed by the office, with a leaf in its log."),
    "supervision-issued-none": ("尚未出具。", "None has been issued yet."),

    "supervision-reason": ("重新出具的理由", "Reason, where it is issued anew"),
    "supervision-report": ("{year} 年 第 {number} 号", "{year}, no. {number}"),
    "supervision-file-csv": ("表格", "Table"),
    "supervision-file-zh": ("中文页", "Page in Chinese"),
    "supervision-file-en": ("英文页", "Page in English"),
    "supervision-file-word": ("签名", "Signature"),
    "supervision-year-wrong": ("没有这一年的统计。", "There are no figures of such a year."),
}  # fmt: skip

DETAILS = {
    "a yearly report is issued once the year is over; until then the figures can be exported": (
        "年度结束后才能出具正式年报；在此之前可以导出统计。"
    ),
    "this year's report has been issued; say why it is issued anew": "本年度的年报已经出具；重新出具请写明理由。",
}
