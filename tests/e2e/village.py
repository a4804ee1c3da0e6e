"""A small place for whole runs: made-up people, two departments, two banks; office and node run as processes.

Everybody's id is opaque. Borrowers have consented to modelling by their bank, applicants to a query, and a few people
stand for one reason each why a question about them must be refused.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import numpy as np
import pandas as pd
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.verifier.log_check import LogReport, check_log, http_fetch
from audit.verifier.note import VerifierKey
from bank_client import Bank
from bank_client.demo.job import MainJob, new_consent
from bank_client.demo.town import Service, Town
from models import wire
from models.catalogue import Catalogue, Field
from models.consents import Consent, ConsentKind, Purpose, RevokeConsent
from models.http_client import SignedClient
from models.http_signatures import Request, sign_request
from models.logged import Empty, LeafRef
from models.parties import Institution, InstitutionKind, Role
from models.projects import ProjectKind

BANKS = ("bank-a", "bank-b")
PEOPLE = {
    "office/audit": Role.AUDITOR,
    "office/super": Role.SUPERVISOR,
    "node/steward": Role.STEWARD,
    "node/operator": Role.NODE_OPERATOR,
    **{f"{bank}/modeller": Role.MODELLER for bank in BANKS},
    **{f"{bank}/officer": Role.LOAN_OFFICER for bank in BANKS},
    **{f"{bank}/other": Role.LOAN_OFFICER for bank in BANKS},
    **{f"{bank}/approver": Role.APPROVER for bank in BANKS},
}
FARM = ("land", "herd", "yield", "age", "insured")
MONEY = ("income", "arrears", "points")
NODE_FIELDS = (*FARM, *MONEY)
CHECK_FIELDS = ("land", "income", "remark", "arrears")
BY_ITSELF = ("log_", "witness_", "gate_nonce", "builder_lease", "office_retention", "sqlite_")
"""Tables that a service writes when nobody asks it for anything: log, cosignatures, and what it does now and then."""
REMARKS = ('好 "A级" \\ 信用户', "", "naïve, semi;colon", "山核桃😀")


@dataclass(frozen=True)
class Sizes:
    """How many people of each kind: each bank's borrowers, and applicants of the first bank."""

    borrowers: int = 2_000
    others: int = 2_000
    applicants: int = 160


@dataclass(frozen=True)
class Residents:
    """Everybody's data: node columns, bank columns and outcomes, all indexed by id; the same seed gives the same people."""

    node: pd.DataFrame = field(repr=False)
    bank: pd.DataFrame = field(repr=False)
    outcome: pd.Series[Any] = field(repr=False)

    @classmethod
    def make(cls, seed: int, count: int) -> Residents:
        rng = np.random.default_rng(seed)
        ids = pd.Index([f"s{n:05d}" for n in range(count)], name="id")
        hidden = rng.normal(size=count)
        loads = {
            "land": 0.0,
            "herd": 0.3,
            "yield": 0.8,
            "age": 0.0,
            "insured": 0.2,
            "income": 0.7,
            "arrears": 0.9,
            "points": 0.4,
        }
        node = pd.DataFrame({n: (w * hidden + rng.normal(size=count)).round(2) for n, w in loads.items()}, index=ids)
        node["insured"] = (node["insured"] > 0.5).astype(float)
        node.loc[rng.random(count) < 0.1, "herd"] = np.nan
        bank = pd.DataFrame({f"b{k}": (0.4 * hidden + rng.normal(size=count)).round(1) for k in range(3)}, index=ids)
        bank.iloc[:5, 1] = np.nan  # fewer gaps than a level may have
        risk = -0.7 - 0.8 * hidden - 0.6 * node["land"] - 0.5 * node["income"] - 0.5 * bank["b0"]
        return cls(node, bank, pd.Series((rng.random(count) < 1 / (1 + np.exp(-risk))).astype(int), index=ids))


def catalogue() -> Catalogue:
    """Two departments' field sets, all in authorised mode; the remark is text."""
    fields = [Field(name=n, category="farm", label_zh=n, mode="A", theme="farm") for n in FARM]
    fields += [Field(name=n, category="money", label_zh=n, mode="A", theme="money") for n in MONEY]
    fields.append(Field(name="remark", category="money", label_zh="remark", type="str200", mode="A", theme="money"))
    return Catalogue(tuple(fields), "opaque")


@dataclass
class Watch:
    """What a person's clients sent and were given: (service, method, path, bytes sent, bytes received), and the leaves."""

    calls: list[tuple[str, str, str, int, int]] = field(default_factory=list)
    leaves: list[tuple[str, LeafRef]] = field(default_factory=list)

    def follow(self, name: str, client: SignedClient) -> None:
        send, logged = client._send, client.logged

        def watched_send(method: str, path: str, body: bytes, content_type: str, key: str | None, limit: int) -> bytes:
            answer = send(method, path, body, content_type, key, limit)
            self.calls.append((name, method, path, len(body), len(answer)))
            return answer

        def watched_logged(*args: Any, **kwargs: Any) -> Any:
            reply = logged(*args, **kwargs)
            self.leaves.extend((name, leaf) for leaf in reply.leaves)
            return reply

        client._send = watched_send  # type: ignore[method-assign]
        client.logged = watched_logged  # type: ignore[method-assign]

    @property
    def sequence(self) -> list[tuple[str, str, str, int, int]]:
        """The calls without how often a receipt had to be asked for, which depends on the witness's pace alone."""
        out: list[tuple[str, str, str, int, int]] = []
        for name, method, path, up, down in self.calls:
            call = (name, method, "/receipts", up, 0) if path.startswith("/receipts/") else (name, method, path, up, down)
            if not (out and call == out[-1] and call[2] == "/receipts"):
                out.append(call)
        return out


@dataclass
class Village:
    """A running town with everybody enrolled, the departments' files loaded and consents filed."""

    town: Town
    main: MainJob
    residents: Residents
    sizes: Sizes
    checks: tuple[str, str] = ("", "")
    consents: dict[str, Consent] = field(default_factory=dict, repr=False)

    # ------------------------------------------------------------------ who is who

    @property
    def borrowers(self) -> list[str]:
        """Customers of bank-a with a known outcome."""
        return self._ids(0, self.sizes.borrowers)

    @property
    def others(self) -> list[str]:
        """Customers of bank-b with a known outcome."""
        return self._ids(self.sizes.borrowers, self.sizes.others)

    @property
    def applicants(self) -> list[str]:
        """New applicants of bank-a who consented to a query."""
        return self._ids(self.sizes.borrowers + self.sizes.others, self.sizes.applicants)

    def special(self, reason: str) -> str:
        """A person about whom nothing may be asked, for one reason."""
        return self._ids(self.sizes.borrowers + self.sizes.others + self.sizes.applicants, len(SPECIAL))[SPECIAL.index(reason)]

    def rows(self, ids: list[str]) -> tuple[pd.DataFrame, pd.Series[Any]]:
        """The bank's own columns, and outcomes."""
        return self.residents.bank.loc[ids], self.residents.outcome.loc[ids]

    def _ids(self, start: int, count: int) -> list[str]:
        return [str(i) for i in self.residents.bank.index[start : start + count]]

    # ------------------------------------------------------------------ what they do

    def bank(self, person: str, watch: Watch | None = None) -> Bank:
        made = self.town.bank(person)
        if watch is not None:
            watch.follow("office", made.office.client)
            watch.follow("node", made.node.client)
        return made

    def joint_project(self, bank: str = "bank-a") -> str:
        return self.main.project(
            f"{bank}/modeller", ProjectKind.JOINT_SCORECARD, "joint", NODE_FIELDS, purpose=Purpose.LOAN_APPROVAL, checks=2_000
        )

    def check_project(self, bank: str = "bank-a", purpose: str = Purpose.LOAN_APPROVAL) -> str:
        return self.main.project(f"{bank}/modeller", ProjectKind.CHECK, "check", CHECK_FIELDS, purpose=purpose, checks=100)

    def send(self, service: str, person: str, method: str, path: str, body: bytes = b"", **headers: str) -> httpx2.Response:
        """One signed request as it stands, without the client's care; headers with underscores for hyphens."""
        key = Ed25519PrivateKey.from_private_bytes(self.town.key_file(person).read_bytes())
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = Request(method, self.service(service).url + path, {"content-type": wire.CONTENT_TYPE} | named, body)
        sign_request(request, person, key)
        return httpx2.request(method, request.url, content=body, headers=request.headers, timeout=60.0, trust_env=False)

    # ------------------------------------------------------------------ what stands where

    def service(self, name: str) -> Service:
        return self.town.office if name == "office" else self.town.node

    def keys(self, name: str) -> tuple[str, ...]:
        """The log's verifier key and those of its two witnesses."""
        if name == "office":
            return self.town.office_keys["log"], *self.town.cosigners("office")
        return self.town.node_keys["log"], *self.town.cosigners("node")

    def check_log(self, name: str, **options: Any) -> LogReport:
        """Check a log from outside."""
        log, *witnesses = map(VerifierKey.parse, self.keys(name))
        return check_log(http_fetch(f"{self.service(name).url}/log"), [log], witnesses, 2, **options)

    def database(self, name: str) -> Path:
        return self.town.folder / name / f"{name}.sqlite"

    def leaves(self, name: str) -> list[dict[str, Any]]:
        """Every durable leaf, decoded; read from the database since a checkpoint may wait for its witness."""
        return [msgspec.json.decode(entry) for entry in self.entries(name)]

    def entries(self, name: str) -> list[bytes]:
        with closing(sqlite3.connect(self.database(name))) as connection:
            return [entry for (entry,) in connection.execute('SELECT entry FROM log_entries ORDER BY "index"')]

    def state(self, name: str) -> dict[str, str]:
        """A digest of each of a service's tables, but those that it writes by itself."""
        with closing(sqlite3.connect(self.database(name))) as connection:
            found = [n for (n,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
            kept = [n for n in found if not n.startswith(BY_ITSELF)]
            rows = {n: connection.execute(f"SELECT * FROM {n}").fetchall() for n in kept}
        return {n: hashlib.sha256(repr(sorted(map(repr, r))).encode()).hexdigest() for n, r in rows.items()}

    def printed(self, name: str) -> str:
        return self.service(name).output.read_text(errors="replace")


SPECIAL = ("no consent", "revoked", "expired", "other purpose", "no collection", "absent", "other bank")


@contextmanager
def village(folder: Path, sizes: Sizes | None = None, seed: int = 7, **town: Any) -> Iterator[Village]:
    """Open a village below `folder`; `town` are further arguments of `Town`."""
    sizes = sizes or Sizes()
    residents = Residents.make(seed, sizes.borrowers + sizes.others + sizes.applicants + len(SPECIAL))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "catalogue.csv").write_bytes(catalogue().to_csv())
    with Town(folder / "town", identity="opaque", catalogue=folder / "catalogue.csv", **town) as started:
        made = Village(started, MainJob(started, steward="node/steward", operator="node/operator"), residents, sizes)
        _enrol(made)
        _deliver(made, folder)
        _consent(made)
        yield made


def _enrol(made: Village) -> None:
    for bank in BANKS:
        made.town.enrol_institution(
            Institution(id=bank, name=bank, kind=InstitutionKind.BANK, licence="1", declared_customers=4_000)
        )
    for person, role in PEOPLE.items():
        made.town.enrol(person, person, role)


def _deliver(made: Village, folder: Path) -> None:
    known = made.residents.node.drop(index=made.special("absent"))
    remarks = [REMARKS[n % len(REMARKS)] for n in range(len(known))]
    today = time.strftime("%Y-%m-%d")
    for name, frame in (("farm", known[list(FARM)]), ("money", known[list(MONEY)].assign(remark=remarks))):
        file = folder / f"{name}.csv"
        frame.to_csv(file)
        report = made.main.load(file, name, today, identity_column="id")
        assert report.rows_loaded == len(known)


def _consent(made: Village) -> None:
    def each(ids: list[str], kind: ConsentKind, recipient: str = "*", purpose: str = "*") -> list[Consent]:
        return [new_consent(f"opaque:{i}", kind, recipient, purpose) for i in ids]

    everybody = [str(i) for i in made.residents.bank.index if i != made.special("no collection")]
    asked = [*made.applicants, made.special("revoked"), made.special("absent"), made.special("no collection")]
    [expired] = each([made.special("expired")], ConsentKind.QUERY)
    day = 24 * 3600
    queries = [
        *each(asked, ConsentKind.QUERY, "bank-a", Purpose.LOAN_APPROVAL),
        *each([made.special("other purpose")], ConsentKind.QUERY, "bank-a", Purpose.POST_LOAN),
        *each([made.special("other bank")], ConsentKind.QUERY, "bank-b"),
        wire.replace(expired, valid_from=expired.valid_from - 9 * day, valid_to=int(time.time()) - day),
    ]
    made.consents = {c.subject.removeprefix("opaque:"): c for c in queries}
    made.main.consent(
        [
            *each(everybody, ConsentKind.COLLECTION),
            *each(made.borrowers, ConsentKind.MODELLING, "bank-a"),
            *each(made.others, ConsentKind.MODELLING, "bank-b"),
            *queries,
        ]
    )
    revoked = made.consents[made.special("revoked")].id
    made.main.clerk.logged("/consents/revoke", RevokeConsent(consent=revoked), Empty)
