"""The departments of the packaged catalogue, in Chinese and English; a code that is not here is shown as it is."""

from __future__ import annotations

DEPARTMENTS = {
    "FG": ("信用办", "Credit office"),
    "SC": ("市场监管局", "Market supervision"),
    "GA": ("公安局", "Police"),
    "NY": ("农业农村局", "Agriculture"),
    "XZ": ("乡镇网格", "Township grid"),
    "ZR": ("自然资源局", "Land and natural resources"),
    "RH": ("人民银行", "Central bank"),
    "SP": ("行政审批局", "Administrative approvals"),
    "LS": ("粮食局", "Grain administration"),
    "TW": ("团委", "Youth league"),
    "MZ": ("民政局", "Civil affairs"),
    "JG": ("金融监管机构", "Insurance supervision"),
    "GXS": ("供销社", "Supply cooperative"),
    "CZ": ("财政局", "Finance"),
    "FY": ("法院", "Court"),
    "SW": ("税务局", "Taxation"),
    "RS": ("人社局", "Social security"),
    "GJ": ("住房公积金中心", "Housing fund"),
    "UT": ("水电公用", "Utilities"),
    "GXJ": ("工信局", "Industry"),
}
