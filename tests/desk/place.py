"""A county with two banks and their desks: office, node and desks in this process, over real HTTP.

`fumin` asks alone, `huinong` requires a second approval. The people are invented; their numbers are well formed.
"""

from __future__ import annotations

import base64
import csv
import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from stdnum.cn import ric

from audit.verifier.note import CosignatureSigner
from bank_client.config import NodeSection, OfficeSection
from bank_client.demo.town import free_port
from bank_client.desk.app import create_app
from bank_client.desk.settings import DeskConfig, DeskPerson, DeskProject
from models import protected_keys
from models.catalogue import default_catalogue
from models.consents import ConsentKind, FileConsents, Filed, FileObjections, Objection, Purpose
from models.loads import LoadReport
from models.logged import Empty
from models.parties import Institution, InstitutionKind, Person, Role
from tests.office.world import Clock, serving
from tests.services import Services, node_log, node_witness, services

PASSPHRASE = "春天 的 麦田 很 安静 2026"
BANKS = {"fumin": ("云禾富民村镇银行（虚构）", False), "huinong": ("云禾惠农银行（虚构）", True)}
PEOPLE = {
    "fumin/mo": ("林晓梅", Role.MODELLER),
    "fumin/chen": ("陈建国", Role.LOAN_OFFICER),
    "fumin/yang": ("杨春花", Role.LOAN_OFFICER),
    "huinong/mo": ("孙立", Role.MODELLER),
    "huinong/liu": ("刘志强", Role.LOAN_OFFICER),
    "huinong/zhao": ("赵敏", Role.APPROVER),
}
FIELDS = (
    "contracted_land_area", "land_right_certified", "leased_in_area", "mortgage_flag", "insured_line", "insured_area",
    "sum_insured", "judgment_defaulter_flag", "enforcement_count_36m", "litigation_count_36m", "public_credit_grade",
    "credit_points",
)  # fmt: skip
VALUES = {
    "contracted_land_area": "12.6", "land_right_certified": "是", "leased_in_area": "85.5", "mortgage_flag": "否",
    "insured_line": "种植险", "insured_area": "80", "sum_insured": "120000", "judgment_defaulter_flag": "否",
    "enforcement_count_36m": "0", "litigation_count_36m": "1", "public_credit_grade": "AA", "credit_points": "862",
}  # fmt: skip
DELIVERED = {"land": "2026-06-30", "insurance": "2026-05-31", "judicial": "2026-07-02", "credit": "2026-06-30"}


def number(serial: int) -> str:
    """A well-formed citizen number that nobody holds: the example region of the standard, born on the first of a month."""
    digits = f"110105{1960 + serial % 30}0101{serial:03d}"
    return digits + ric.calc_check_digit(digits + "0")


KNOWN, DISPUTED, NEWCOMER, ABSENT, WITHOUT, BROKEN = map(number, range(101, 107))


@dataclass
class Branch:
    """One bank's desk as it runs."""

    url: str
    config: DeskConfig
    app: FastAPI
    clock: Clock

    @property
    def data_dir(self) -> Path:
        return self.config.data_dir


@dataclass
class Place:
    """Office, node, keys and projects; desks are started for each test."""

    pair: Services
    folder: Path
    projects: dict[str, str] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def desk(self, bank: str, data_dir: Path, **settings: Any) -> Iterator[Branch]:
        port = free_port()
        config = msgspec.structs.replace(self.config(bank, data_dir, port), **settings)
        clock = Clock()
        app = create_app(config, clock)
        with serving(app, port):
            yield Branch(f"http://127.0.0.1:{port}", config, app, clock)

    def config(self, bank: str, data_dir: Path, port: int) -> DeskConfig:
        office = self.pair.office.office
        people = [person for person in PEOPLE if person.startswith(f"{bank}/") and not person.endswith("/mo")]
        return DeskConfig(
            institution=bank,
            office=OfficeSection(
                url=self.pair.office.url,
                statement_key=base64.b64encode(office.keys.statement.public_key().public_bytes_raw()).decode(),
                log_key=str(office.log.signer.key),
                witness_key=str(CosignatureSigner(office.settings.witness_name, office.keys.witness).key),
            ),
            node=NodeSection(
                url=self.pair.url,
                log_key=str(node_log(self.pair.settings.data_dir).key),
                witness_key=str(node_witness(self.pair.settings.data_dir).key),
            ),
            people=tuple(DeskPerson(id=p, name=PEOPLE[p][0], key_file=self.key_file(p)) for p in people),
            projects=(DeskProject(id=self.projects[bank], label_zh="春耕贷款受理", label_en="Spring loans"),),
            data_dir=data_dir,
            port=port,
        )

    def key_file(self, person: str) -> Path:
        return self.folder / f"{person.replace('/', '.')}.pem"

    def build(self, bank: str) -> None:
        """The next epoch, from the office's list as it is now; what was filed before counts in it."""
        time.sleep(1 - time.time() % 1)  # the list is of a second, and a consent of that very second may not be in it
        self.pair.app.state.node._eligibility = None
        self.pair.build(self.tables[bank])


@contextmanager
def county(folder: Path) -> Iterator[Place]:
    """Everybody enrolled, data delivered, consents and one objection filed, a table for each bank."""
    patient = {"exposure_seconds": 300}  # a question ends when all banks have answered, however busy the machine is
    with services(folder, identity="national", described=default_catalogue(), node_settings=patient) as pair:
        place = Place(pair, folder)
        _enrol(place)
        _deliver(pair)
        _consent(pair)
        for bank in BANKS:
            place.projects[bank] = f"{bank}-window"
            changes: dict[str, Any] = {"bank": bank, "fields": FIELDS, "purpose": Purpose.LOAN_APPROVAL, "title": "window"}
            place.tables[bank] = pair.open_project(place.projects[bank], **changes)
            place.build(bank)
        yield place


def _enrol(place: Place) -> None:
    clerk = place.pair.office.clerk
    for bank, (name, second) in BANKS.items():
        kind, declared = InstitutionKind.BANK, 1000
        facts = {"id": bank, "name": name, "licence": "5", "declared_customers": declared, "second_approval": second}
        clerk.logged("/institutions", Institution(kind=kind, **facts), Empty)  # type: ignore[arg-type]
    for person, (name, role) in PEOPLE.items():
        key = Ed25519PrivateKey.generate()
        place.pair.office.keys[person] = key
        public, bank = key.public_key().public_bytes_raw(), person.partition("/")[0]
        clerk.logged("/people", Person(id=person, institution=bank, name=name, role=role, key=public), Empty)
        protected_keys.protect(key, place.key_file(person), PASSPHRASE)


def _deliver(pair: Services) -> None:
    catalogue = default_catalogue()
    for category, as_of in DELIVERED.items():
        names = [name for name in FIELDS if catalogue[name].category == category]
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["citizen_id_no", *names])
        for person in (KNOWN, DISPUTED, NEWCOMER, WITHOUT, BROKEN):
            writer.writerow([person, *(VALUES[name] for name in names)])
        query = urlencode({"field_set": category, "as_of": as_of, "name": f"{category}.csv"})
        client = pair.client("node/steward")
        report = client.logged_raw(f"/loads?{query}", text.getvalue().encode(), "text/csv", LoadReport).answer
        assert report.rows_loaded == 5, report


def _consent(pair: Services) -> None:
    world = pair.office
    filed, year = [], world.now + 365 * 24 * 3600
    for person in (KNOWN, DISPUTED, ABSENT, BROKEN):
        filed.append(world.consent(f"citizen:{person}", ConsentKind.COLLECTION, recipient="*", valid_to=year))
        filed += [world.consent(f"citizen:{person}", ConsentKind.QUERY, recipient=bank, valid_to=year) for bank in BANKS]
    filed.append(world.consent(f"citizen:{WITHOUT}", ConsentKind.COLLECTION, recipient="*", valid_to=year))
    world.clerk.logged("/consents", FileConsents(consents=tuple(filed)), Filed)
    objection = Objection(subject=f"citizen:{DISPUTED}", field="litigation_count_36m", open=True)
    world.clerk.logged("/objections", FileObjections(objections=(objection,)), Filed)
