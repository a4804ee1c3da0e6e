"""The classes of records about people, which rows belong to each, and when the period of a row begins to run.

Everything with a subject in it stands here, or in `KEPT` with the reason; a test holds the tables against both. Rows that
have no moment yet (a consent that stands, an objection that is open) are in use and are not purged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, case, literal, null, select

from audit.office import rights_tables as rights
from audit.office import tables
from audit.office.exposure_tables import exposure, exposure_demand
from models.disputes import OPEN as OPEN_DISPUTE

YEAR = 366
THREE_YEARS, FIVE_YEARS, TEN_YEARS = 3 * YEAR, 5 * YEAR, 10 * YEAR


@dataclass(frozen=True)
class Part:
    """Rows of one table: since when the matter of a row is over (null: it is not), and what hangs on a row."""

    table: Table
    since: ColumnElement[Any]
    children: tuple[tuple[Column[Any], Column[Any]], ...] = ()
    """(a column of another table, the column of this one that it names): those rows go first."""


@dataclass(frozen=True)
class RecordClass:
    """A class of records: kept for `days` days once its matter is over; a setting may say more, never less than `minimum`."""

    name: str
    days: int
    minimum: int
    parts: tuple[Part, ...]


_consent, _batch, _alignment = tables.consent, tables.batch, tables.alignment
_consent_over = case((_consent.c.revoked_at < _consent.c.valid_to, _consent.c.revoked_at), else_=_consent.c.valid_to)
_batch_over = select(_batch.c.valid_to).where(_batch.c.id == tables.batch_subject.c.batch).scalar_subquery()
_aligned = select(_alignment.c.filed_at).where(_alignment.c.root == rights.alignment_row.c.root).scalar_subquery()
_dispute, _repair_case, _account = rights.dispute, rights.repair_case, rights.account

CLASSES = (
    RecordClass("consents", TEN_YEARS, FIVE_YEARS, (Part(_consent, _consent_over),)),
    RecordClass(
        "tickets",
        FIVE_YEARS,
        THREE_YEARS,
        (Part(tables.ticket, tables.ticket.c.issued_at, ((tables.report.c.ticket, tables.ticket.c.digest),)),),
    ),
    RecordClass("accesses", FIVE_YEARS, THREE_YEARS, (Part(tables.access, tables.access.c.at),)),
    RecordClass("batches", FIVE_YEARS, THREE_YEARS, (Part(tables.batch_subject, _batch_over),)),
    RecordClass(
        "alignments",
        FIVE_YEARS,
        THREE_YEARS,
        (Part(tables.aligned_subject, tables.aligned_subject.c.last_filed_at), Part(rights.alignment_row, _aligned)),
    ),
    RecordClass(
        "exposures",
        FIVE_YEARS,
        THREE_YEARS,
        (Part(exposure, exposure.c.issued_at, ((exposure_demand.c.question, exposure.c.id),)),),
    ),
    RecordClass(
        "disputes",
        TEN_YEARS,
        FIVE_YEARS,
        (
            Part(
                _dispute,
                case((_dispute.c.state == OPEN_DISPUTE, null()), else_=_dispute.c.filed_at),
                ((rights.correction.c.dispute, _dispute.c.id),),
            ),
            Part(_repair_case, case((_repair_case.c.decided_at > 0, _repair_case.c.decided_at), else_=null())),
            Part(tables.objection, literal(None)),
        ),
    ),
    RecordClass("accounts", YEAR, 183, (Part(_account, case((_account.c.closed_at > 0, _account.c.closed_at), else_=null())),)),
)

OPENINGS, OPENINGS_DAYS, OPENINGS_MINIMUM = "openings", TEN_YEARS, FIVE_YEARS
"""What leaf commitments open to: who acted, and about whom. Kept longest, since it is what an auditor names people by."""

MINIMUM = {one.name: one.minimum for one in CLASSES} | {OPENINGS: OPENINGS_MINIMUM}
DEFAULT = {one.name: one.days for one in CLASSES} | {OPENINGS: OPENINGS_DAYS}

KEPT = {
    "office_repair": "without it, information that was repaired would be shown again",
    "office_correction": "goes with its dispute",
}


def parse_periods(text: str) -> dict[str, int]:
    """Days by class, the defaults where `text` (``class=days``, several between commas) says nothing; ValueError."""
    periods = dict(DEFAULT)
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, days = part.partition("=")
        if name not in DEFAULT or not days.isdigit():
            raise ValueError(f"periods are written as class=days, and the classes are {', '.join(DEFAULT)}")
        if int(days) < MINIMUM[name]:
            raise ValueError(f"{name} are kept for at least {MINIMUM[name]} days")
        periods[name] = int(days)
    return periods
