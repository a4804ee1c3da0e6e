"""The county's constants: shapes of marginals, names, places.

The quantile tables are rounded shapes seen in published rural surveys (farm households of the Vietnam Living Standards Survey
1997-98, as in the R package ``Ecdat``; Indonesian rice farms 1975-83, as in ``plm``), with land turned from hectares into mu
and ages moved up by a few years for today's countryside. No record of those surveys is copied.
"""

from __future__ import annotations

from typing import Final

Quantiles = tuple[tuple[float, float], ...]

COUNTY_NAME: Final = "云禾县（虚构）"
REGION: Final = "532300"
"""The six digits in front of every number of the county.

A prefecture's code: it is in the official list, so that every checker accepts it, but numbers are issued under county codes,
so that hardly any living person or registered organisation bears one that starts like this.
"""
OTHER_REGION: Final = "532500"
"""The same for the few bank customers who live elsewhere and whom the node does not know."""

AGE: Final[Quantiles] = (
    (0.0, 22), (0.05, 31), (0.10, 34), (0.25, 41), (0.50, 49), (0.75, 60), (0.90, 69), (0.95, 74), (0.99, 81), (1.0, 90),
)  # fmt: skip
"""Age of the head of the household, years."""

HOUSEHOLD_SIZE: Final = (0.05, 0.15, 0.18, 0.23, 0.18, 0.12, 0.05, 0.025, 0.01, 0.005)
"""Probability of 1, 2, … 10 persons."""

LAND_MU: Final[Quantiles] = (
    (0.0, 0.2), (0.05, 0.9), (0.10, 1.1), (0.25, 2.1), (0.50, 4.3), (0.75, 7.5), (0.90, 12.9), (0.95, 18.0), (0.99, 32.0),
    (1.0, 60.0),
)  # fmt: skip
"""Contracted land of a household, mu (1/15 ha)."""

VILLAGE_SHARE: Final = 0.35
"""Share of the variance of wealth that lies between villages (about a half between communes in the survey, towns included)."""

HOUSEHOLDS_PER_VILLAGE: Final = 160
VILLAGES_PER_TOWN: Final = 10

ORGANISATION_MIX: Final = {"F": 0.42, "C": 0.25, "E": 0.13, "S": 0.09, "I": 0.08, "G": 0.03}
"""Family farms, cooperatives, enterprises, service organisations, input dealers, grain enterprises."""

SURNAMES: Final = "李王张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
GIVEN: Final = "永国建文志明德春秀桂兰英华芳玉凤金荣福祥云平安庆林海生红梅丽燕军强勇涛洪贵忠良仁义光发兴旺成富"
TOWNS: Final = ("青禾", "石桥", "麦田", "清溪", "柳湾", "松坡", "稻香", "白鹭", "云岭", "茶山", "双河", "长坪", "桃林")
VILLAGES: Final = ("上坝", "下坝", "新村", "大湾", "小河", "东山", "西坡", "龙潭", "竹园", "核桃", "水磨", "中村", "沙沟")

OCCUPATIONS: Final = (("crop", 0.46), ("livestock", 0.16), ("trade", 0.14), ("migrant", 0.16), ("processing", 0.08))
GUARANTEES: Final = (("credit", 0.52), ("guarantor", 0.30), ("joint_liability", 0.10), ("collateral", 0.08))
