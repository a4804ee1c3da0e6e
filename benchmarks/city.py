"""A city for benchmarks: an office and a node as processes, with so many subjects that are on record and have consented.

Rows are written straight into both databases before the services start: filing them by the million over HTTP is not what
is measured. Everything after that goes through the services as it always does.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from sqlalchemy import insert, select

from audit.database import open_engine
from audit.office.tables import consent as consent_table
from bank_client import Bank
from bank_client.alignment import open_project
from bank_client.demo.job import MainJob, new_consent
from bank_client.demo.town import START_SECONDS, ServiceDied, Town
from models.catalogue import Catalogue
from models.catalogue.catalogue import CSV_COLUMNS
from models.consents import Consent, ConsentKind, Purpose
from models.parties import Institution, InstitutionKind, Role
from models.projects import ProjectKind
from models.records import CheckRecord, RecordForm, Source
from models.wire import encode
from sharing_node.epochs.columns import MATRIX
from sharing_node.epochs.store import EpochStore
from sharing_node.records.tables import LoadBatch, Record, Subject
from sharing_node.state.tables import BuilderRow

BANK, STEWARD, OPERATOR = "bank-a", "node/steward", "node/operator"
CATEGORY, DEPARTMENT, BATCH = "data", "农业农村局", "benchmark"
T = TypeVar("T")
FIELDS = ("insured", "land", "note", "subsidy")
AS_OF = date(2026, 6, 30)
ROWS_A_WRITE = 20_000


def subject(number: int) -> str:
    """The id of a subject; ascending numbers give ascending ids."""
    return f"opaque:{number:010d}"


class City:
    """`subjects` people whose plain record has `size` bytes, `officers` loan officers, and a check project.

    Every fourth of the `asked` numbers that the officers may ask about is of somebody without a record.
    """

    def __init__(self, folder: Path, subjects: int, size: int, officers: int, asked: int, **node_settings: str) -> None:
        self.subjects, self.size = subjects, size
        self.officers = [f"{BANK}/officer-{number}" for number in range(officers)]
        random = np.random.default_rng(7)
        present = random.choice(subjects, min(subjects, asked - asked // 4), replace=False)
        absent = subjects + np.arange(asked // 4)
        self.asked = random.permutation(np.concatenate([present, absent])).tolist()
        catalogue = folder / "catalogue.csv"
        folder.mkdir(parents=True, exist_ok=True)
        catalogue.write_text(self.catalogue_csv(), encoding="utf-8")
        self.catalogue = Catalogue.from_csv(catalogue, identity="opaque")
        self.town = Town(folder, identity="opaque", catalogue=catalogue, node_settings=node_settings)
        # Officers here ask more in a minute than people do in a day.
        self.town.office.environment["XINQIAO_OFFICE_OFFICER_CHECKS"] = "1000000"
        self._filler = ""
        self._filler = "x" * (size - len(self.plain(0)))
        if len(self.plain(0)) != size:
            raise ValueError(f"a record has at least {len(self.plain(0))} bytes, so BYTES cannot be {size}")

    def catalogue_csv(self) -> str:
        """The catalogue that node and office work from."""
        return catalogue_of({"insured": "bool", "land": "int", "note": "str2000", "subsidy": "int"})

    def values(self, number: int) -> dict[str, Any]:
        """A subject's fields."""
        return {"insured": number % 3 == 0, "land": number % 90 + 10, "note": self._filler, "subsidy": number % 9000 + 1000}

    def plain(self, number: int) -> bytes:
        """A subject's record as a check gives it."""
        record = CheckRecord(
            fields=self.values(number), sources={CATEGORY: Source(department=DEPARTMENT, as_of=AS_OF.isoformat())}
        )
        return RecordForm(FIELDS, (CATEGORY,)).encode(record)

    def matrix_file(self, table: str, epoch: int) -> Path:
        """Where the node keeps an epoch's matrix."""
        return EpochStore(self.town.folder / "node" / "epochs").file(table, epoch, MATRIX)[0]

    # ------------------------------------------------------------------ before the services start

    def seed(self) -> None:
        """Write subjects, records and consents."""
        now = datetime.now(UTC)
        node = open_engine(f"sqlite:///{self.town.folder / 'node' / 'node.sqlite'}")
        with node.begin() as connection:
            delivery = {
                "batch": BATCH, "field_set": CATEGORY, "source_department": DEPARTMENT, "as_of": AS_OF, "loaded_at": now,
                "file_name": "city.csv", "file_digest": bytes(32), "catalogue_digest": self.catalogue.digest(),
                "rows_loaded": self.subjects, "rows_quarantined": 0,
            }  # fmt: skip
            connection.execute(insert(LoadBatch), [delivery])
        for numbers in _chunks(range(self.subjects)):
            with node.begin() as connection:
                connection.execute(
                    insert(Subject),
                    [{"subject_id": subject(n), "kind": "opaque", "subject_type": "*", "first_seen": now} for n in numbers],
                )
                connection.execute(insert(Record), [self._record(n, now) for n in numbers])
        node.dispose()
        office = open_engine(f"sqlite:///{self.town.folder / 'office' / 'office.sqlite'}")
        for consents in _chunks(self._consents()):
            with office.begin() as connection:
                connection.execute(insert(consent_table), [_consent_row(c) for c in consents])
        office.dispose()

    def _record(self, number: int, now: datetime) -> dict[str, Any]:
        return {
            "subject_id": subject(number), "field_set": CATEGORY, "as_of": AS_OF,
            "payload": msgspec.json.encode(self.values(number), order="deterministic"), "source_department": DEPARTMENT,
            "loaded_at": now, "batch": BATCH,
        }  # fmt: skip

    def _consents(self) -> Iterator[Consent]:
        everybody: Iterable[int] = range(self.subjects)
        yield from (new_consent(subject(n), ConsentKind.COLLECTION) for n in everybody)
        yield from (new_consent(subject(n), ConsentKind.COLLECTION) for n in self.asked if n >= self.subjects)
        yield from (new_consent(subject(n), ConsentKind.QUERY, BANK) for n in self.asked)

    # ------------------------------------------------------------------ with the services up

    def wait_for_builder(self) -> None:
        """Until the process that builds has come up: from then on there is a lease, held or given back."""
        node = open_engine(f"sqlite:///{self.town.folder / 'node' / 'node.sqlite'}")
        deadline = time.monotonic() + START_SECONDS
        while True:
            with node.connect() as connection:
                if connection.execute(select(BuilderRow.id)).first() is not None:
                    break
            if time.monotonic() > deadline:
                raise ServiceDied(f"the node's builder did not start within {START_SECONDS:.0f} s")
            time.sleep(0.1)
        node.dispose()

    def enrol(self) -> MainJob:
        """Everybody who takes part; the clerk's, steward's and operator's acts."""
        town = self.town
        town.enrol_institution(
            Institution(id=BANK, name="Bank A", kind=InstitutionKind.BANK, licence="none", declared_customers=self.subjects)
        )
        for person, role in ((STEWARD, Role.STEWARD), (OPERATOR, Role.NODE_OPERATOR), (f"{BANK}/modeller", Role.MODELLER)):
            town.enrol(person, person, role)
        for person in self.officers:
            town.enrol(person, person, Role.LOAN_OFFICER)
        return MainJob(town, steward=STEWARD, operator=OPERATOR)

    def check_project(self, job: MainJob) -> tuple[str, str]:
        """An approved and opened check project; its id and its table."""
        project = job.project(
            f"{BANK}/modeller", ProjectKind.CHECK, "checks", FIELDS, purpose=Purpose.LOAN_APPROVAL, checks=1_000_000
        )
        with Bank(self.town.bank_config(f"{BANK}/modeller")) as bank:
            return project, open_project(bank, project).table


@contextmanager
def city(folder: Path, subjects: int, size: int, officers: int, asked: int, **node_settings: str) -> Iterator[City]:
    """A seeded city with its services running."""
    made = City(folder, subjects, size, officers, asked, **node_settings)
    made.seed()
    with made.town:
        yield made


def _consent_row(consent: Consent) -> dict[str, Any]:
    return {
        "id": consent.id, "subject": consent.subject, "kind": str(consent.kind), "valid_from": consent.valid_from,
        "valid_to": consent.valid_to, "document": encode(consent), "filed_by": "office/benchmark", "filed_at": int(time.time()),
    }  # fmt: skip


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(items)
    while chunk := list(islice(remaining, ROWS_A_WRITE)):
        yield chunk


def catalogue_of(kinds: dict[str, str]) -> str:
    """A catalogue of one field set with fields of these kinds, as CSV."""
    lines = [",".join(CSV_COLUMNS)]
    for name, kind in kinds.items():
        row = {
            "category": CATEGORY, "field": name, "label_zh": name, "label_en": name, "type": kind, "subject_types": "*",
            "source_dept": DEPARTMENT, "cycle": "year", "grade": "L2", "share_mode": "A", "legal_basis": "待定",
        }  # fmt: skip
        lines.append(",".join(row.get(column, "") for column in CSV_COLUMNS))
    return "\n".join(lines) + "\n"
