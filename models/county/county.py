"""The county from seed to folder, in the order in which one thing depends on the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np

from models.county import consents, defects, writing
from models.county.departments import household_tables
from models.county.loans import Outcomes, credit_by_township, draw_loans
from models.county.organisations import organisation_tables, village_profiles, village_table
from models.county.population import Population, draw_population, generator
from models.county.tables import Table, flag

AS_OF: Final = date(2026, 6, 30)
SYNTHETIC: Final = "合成数据，与任何真实的个人或单位无关 synthetic: nobody in it exists"
STRANGER_SHARE: Final = 0.02
APPLICANTS: Final = 1000


@dataclass(frozen=True)
class CountySummary:
    """What was written: sizes, the share of defaults, rows by file (headers not counted)."""

    synthetic: str
    seed: int
    as_of: str
    households: int
    organisations: int
    villages: int
    loans: int
    applicants: int
    default_rate: float
    quarantined_rows: int
    conflicting_rows: int
    files: Mapping[str, int]


def generate_county(
    out_dir: Path,
    seed: int,
    households: int = 20_000,
    organisations: int = 600,
    loans: int = 6_000,
    *,
    applicants: int | None = None,
    as_of: date = AS_OF,
) -> CountySummary:
    """Write the county as it stands on ``as_of`` into ``out_dir`` and say what was written.

    ``applicants`` defaults to 1,000, or a sixth of the loans if that is less. Consents run from ``as_of``, most of them for two
    years or longer. Raises ValueError if the sizes do not fit together, FileExistsError if the folder holds anything that this
    function did not write.
    """
    if not 0 <= seed < 2**63 or organisations < 20 or loans < 100:
        raise ValueError("give a seed of 0 or more, at least 20 organisations and at least 100 loans")
    _claim(out_dir)
    asked = min(APPLICANTS, loans // 6) if applicants is None else applicants
    population = draw_population(seed, households, organisations, round(STRANGER_SHARE * loans), as_of)
    people = household_tables(seed, population)
    outcomes = draw_loans(seed, population, people, loans, asked)
    disputes = consents.dispute_table(seed, population, outcomes)
    repairs = consents.repair_table(seed, next(table for table in people if table.name == "credit"), as_of)
    villages = [village_profiles(population), village_table(seed, population)]
    tables = [_disputed(t, disputes) for t in people] + organisation_tables(seed, population) + villages

    files = writing.department_rows(tables)
    planted = defects.plant(generator(seed, "defects"), files, _bank_numbers(population, outcomes, disputes))
    written = _write_departments(out_dir, files)
    written |= _write_tables(
        out_dir / "bank", [outcomes.customers, outcomes.loans, outcomes.applicants, credit_by_township(population, outcomes)]
    )
    office = [consents.consent_table(seed, population, outcomes), disputes, repairs]
    written |= _write_tables(out_dir / "office", [*office, consents.institution_table(loans), consents.people_table()])
    written |= _write_tables(out_dir / "truth", [outcomes.applicant_outcomes])
    writing.write_rows(out_dir / "truth" / "defects.csv", writing.defect_rows(planted))
    writing.write_json(out_dir / "truth" / "model.json", outcomes.model())

    summary = CountySummary(
        synthetic=SYNTHETIC,
        seed=seed,
        as_of=as_of.isoformat(),
        households=households,
        organisations=organisations,
        villages=len(population.villages.code),
        loans=loans,
        applicants=asked,
        default_rate=round(float(np.mean(np.asarray(outcomes.loans.columns["default_12m"], dtype=float))), 4),
        quarantined_rows=sum(defect.expect == defects.QUARANTINE for defect in planted),
        conflicting_rows=sum(defect.expect == defects.CONFLICT for defect in planted),
        files=written | {"truth/defects.csv": len(planted)},
    )
    writing.write_json(out_dir / "summary.json", asdict(summary))
    return summary


def _claim(out_dir: Path) -> None:
    """Take an empty folder, or one of ours; the notice goes in first, so that nothing ever lies there unlabelled."""
    notice = out_dir / "README.txt"
    ours = notice.is_file() and notice.read_text("utf-8").startswith(writing.NOTICE[:20])
    if out_dir.exists() and not ours and any(out_dir.iterdir()):
        raise FileExistsError("the folder is not empty and is not a synthetic county; name a new folder")
    out_dir.mkdir(parents=True, exist_ok=True)
    notice.write_text(writing.NOTICE, "utf-8")


def _disputed(table: Table, disputes: Table) -> Table:
    """Mark households with an open objection where the credit platform marks them."""
    if table.name != "credit":
        return table
    pairs = zip(disputes.columns["subject"], disputes.columns["status"], strict=True)
    objecting = {subject.removeprefix("citizen:") for subject, status in pairs if status == "open"}
    marks = flag([number in objecting for number in table.columns["citizen_id_no"]])
    return replace(table, columns={**table.columns, "dispute_flag": marks})


def _bank_numbers(population: Population, outcomes: Outcomes, disputes: Table) -> set[str]:
    """Borrowers, applicants and people with objections: their rows carry no planted fault."""
    rows = np.concatenate([outcomes.borrower_rows, outcomes.applicant_rows])
    known = set(population.households.citizen_id_no[rows[rows >= 0]])
    return known | {subject.removeprefix("citizen:") for subject in disputes.columns["subject"]}


def _write_departments(out_dir: Path, files: Mapping[str, defects.Rows]) -> dict[str, int]:
    for category, rows in files.items():
        writing.write_rows(out_dir / "node" / f"{category}.csv", rows, writing.ENCODINGS.get(category, "utf-8"))
    return {f"node/{category}.csv": len(rows) - 1 for category, rows in files.items()}


def _write_tables(folder: Path, tables: Sequence[Table]) -> dict[str, int]:
    for table in tables:
        writing.write_rows(folder / f"{table.name}.csv", writing.table_rows(table))
    return {f"{folder.name}/{table.name}.csv": len(table) for table in tables}
