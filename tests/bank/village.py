"""A village for whole-village checks: an office and a node over HTTP in this process, and people of every kind.

Nobody of `PEOPLE` but the absent one lacks a record; who may be asked about is told by the consents.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bank_client import Bank, batch_run
from bank_client.batch import VillageBatch
from models import wire
from models.alarms import Alarm, Alarms
from models.batches import BatchStatus
from models.consents import ConsentKind, Filed, FileObjections, Objection, RevokeConsent
from models.logged import Empty, Logged
from models.parties import Role
from models.projects import Decision, Target
from tests.office.world import World
from tests.services import FIELDS, OFFICER, Services, services

PROJECT, CAREFUL = "village-checks", "careful-checks"  # the second one is of bank-c, which wants a second approval
CONSENTED = tuple(f"h{n:03d}" for n in range(20))
ABSENT, DISPUTED, REVOKED = "absent", "h003", "h004"
UNWILLING = ("u000", "u001")
NOT_VALID = "bell\x07"
LIST = (*CONSENTED, ABSENT, *UNWILLING, NOT_VALID, CONSENTED[0])
"""As a clerk's list is: not sorted, with one line that is no id and one person who stands twice."""


@dataclass
class Place:
    pair: Services
    table: str
    values: dict[str, dict[str, float]]
    revocable: str  # id of the query consent of `REVOKED`

    def bank(self, person: str = OFFICER) -> Bank:
        return self.pair.bank(person)

    def file(self, bank: Bank, name: str, approve: bool = True, **changes: object) -> VillageBatch:
        batch = VillageBatch.file(bank, PROJECT, LIST, place="东村", batch=name, **changes)  # type: ignore[arg-type]
        if approve:
            self.decide(name)
        return batch

    def decide(self, name: str, approve: bool = True) -> None:
        word = Decision(subject=name, approve=approve, reason="in order")
        self.pair.office.clerk.logged(f"/batches/{name}/decision", word, BatchStatus)

    def suspend(self, name: str, suspended: bool = True) -> None:
        word = Target(kind="batch", id=name, suspended=suspended, reason="under review")
        self.pair.office.clerk.logged("/suspensions", word, Empty)

    def alarms(self) -> list[Alarm]:
        """Those about evidence, oldest first."""
        reply = wire.decode(self.pair.office.client("office/chen").get_raw("/alarms"), Logged)
        found = wire.decode(reply.answer, Alarms).alarms
        return sorted((alarm for alarm in found if alarm.evidence), key=lambda alarm: alarm.id)

    def granted(self, name: str) -> int:
        """Tickets that the office gave under a batch, by its log."""
        leaves = self.pair.office.leaves()
        return sum(
            leaf["action"] == "ticket" and leaf["outcome"] == "done" and leaf["facts"].get("batch") == name for leaf in leaves
        )

    def evaluated(self, since: int) -> int:
        """Evaluations by the node, from a size of its log on."""
        return sum(leaf["action"] == "check.evaluate" and leaf["outcome"] == "done" for leaf in self.pair.leaves(since))

    def toml(self, person: str = OFFICER) -> Path:
        """Settings of a person as a file, for a process of its own."""
        with self.bank(person) as bank:
            config = bank.config
        sections = {"office": config.office, "node": config.node}
        lines = [
            f'{name} = "{getattr(config, name)}"' for name in ("institution", "person", "key_file", "identity", "data_dir")
        ]
        for section, values in sections.items():
            lines += [f"[{section}]", *(f'{k} = "{getattr(values, k)}"' for k in values.__struct_fields__)]
        file = config.data_dir.with_suffix(".toml")
        file.write_text("\n".join(lines), encoding="utf-8")
        return file

    def revoke(self) -> None:
        """Revoke the query consent of `REVOKED`."""
        self.pair.office.clerk.logged("/consents/revoke", RevokeConsent(consent=self.revocable), Empty)

    def consent_again(self) -> None:
        """File another one."""
        consent = self.pair.office.consent(f"opaque:{REVOKED}", ConsentKind.QUERY)
        self.pair.office.file(consent)
        self.revocable = consent.id


@contextmanager
def village(folder: Path) -> Iterator[Place]:
    rng = random.Random(3)
    with services(folder) as pair:
        _enrol_careful_bank(pair.office)
        people = [*CONSENTED, *UNWILLING]
        values = {i: {f: round(rng.gauss(0, 1), 2) for f in FIELDS} for i in people}
        pair.load(list(values.items()))
        pair.willing([f"opaque:{i}" for i in UNWILLING], ConsentKind.COLLECTION)
        pair.willing([f"opaque:{i}" for i in (*CONSENTED, ABSENT) if i != REVOKED], ConsentKind.QUERY)
        query = pair.office.consent(f"opaque:{REVOKED}", ConsentKind.QUERY)
        pair.office.file(pair.office.consent(f"opaque:{REVOKED}", ConsentKind.COLLECTION), query)
        objection = Objection(subject=f"opaque:{DISPUTED}", field=FIELDS[1], open=True)
        pair.office.clerk.logged("/objections", FileObjections(objections=(objection,)), Filed)
        table = pair.open_project(PROJECT)
        pair.open_project(CAREFUL, person="bank-c/mo", bank="bank-c")
        pair.build(table)
        yield Place(pair, table, values, query.id)


def _enrol_careful_bank(office: World) -> None:
    home = next(entry for entry in office.directory().institutions if entry.id == "bank-a")
    office.clerk.logged("/institutions", wire.replace(home, id="bank-c", second_approval=True), Empty)
    for person, role in (("mo", Role.MODELLER), ("li", Role.LOAN_OFFICER), ("ap", Role.APPROVER)):
        office.enrol(f"bank-c/{person}", role)


def small_chunks(size: int = 4) -> Any:
    """Chunks of so many, that a short list has several."""
    return patch.object(batch_run, "CHUNK", size)
