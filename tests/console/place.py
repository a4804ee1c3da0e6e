"""A county with its credit office, its node and the office's console: all in this process, over real HTTP.

People of each role may sign in; each has confirmed an authenticator, whose codes `Place.code` gives.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import httpx2
import pyotp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI

from audit.client.services import NodeSection, OfficeSection
from audit.client.session import OfficeSession
from audit.console import accounts
from audit.console.app import create_app
from audit.console.settings import ConsoleConfig
from audit.console.web import Console
from audit.verifier.note import CosignatureSigner
from bank_client.demo.town import free_port
from models import protected_keys
from models.catalogue import default_catalogue
from models.logged import Empty
from models.parties import Person, Role
from tests.office.world import Clock, serving
from tests.services import Services, node_log, node_witness, services

PASSPHRASE = "春天 的 麦田 很 安静 2026"
PEOPLE = {
    Role.CLERK: ("office/li.na", "李娜"),
    Role.AUDITOR: ("office/zhou.min", "周敏"),
    Role.SUPERVISOR: ("office/wu.gang", "吴刚"),
}
SECOND_CLERK = ("office/zhao.lei", "赵磊")
STEP = 30
_TAGS = re.compile(r"<[^>]+>")
_TOKEN = re.compile(r'name="csrf" value="([0-9a-f]*)"')


@dataclass
class Place:
    """A running console, with the services behind it."""

    pair: Services
    url: str
    config: ConsoleConfig
    app: FastAPI
    clock: Clock
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    last_step: dict[str, int] = field(default_factory=dict)

    @property
    def console(self) -> Console:
        console: Console = self.app.state.console
        return console

    def code(self, owner: str) -> str:
        """A code of the owner's authenticator that was not used yet; a code counts once."""
        present = int(self.clock()) // STEP
        step = max(present, self.last_step.get(owner, 0) + 1)
        if step > present + 1:
            self.clock.shift += (step - present - 1) * STEP
        self.last_step[owner] = step
        return str(pyotp.TOTP(self.secrets[owner]).at(step * STEP))

    def enrol(self, person: str, name: str, role: Role) -> None:
        """Have a person enrolled with the office and let them sign in, with an authenticator."""
        key = Ed25519PrivateKey.generate()
        self.pair.office.keys[person] = key
        public = key.public_key().public_bytes_raw()
        enrolled = Person(id=person, institution="office", name=name, role=role, key=public)
        self.pair.office.clerk.logged("/people", enrolled, Empty)
        file = self.config.data_dir / f"{person.replace('/', '.')}.pem"
        protected_keys.protect(key, file, PASSPHRASE)
        self.console.accounts.add_person(person, name, file)
        self.confirm(person)

    def confirm(self, owner: str) -> None:
        """Give an owner an authenticator."""
        self.secrets[owner] = pyotp.random_base32()
        step = int(self.clock()) // STEP  # not the one before, which counts no more if the next begins meanwhile
        given = pyotp.TOTP(self.secrets[owner]).at(step * STEP)
        self.console.factors.enrol_totp(owner, self.secrets[owner], given)
        self.last_step[owner] = step

    def session(self, person: str) -> OfficeSession:
        """What a page of this person works with."""
        return OfficeSession(self.config.services, person, self.pair.office.keys[person])

    def account(self, subject: str, passphrase: str = PASSPHRASE) -> str:
        """A subject's account that is ready for use; its login."""
        made, _code = self.console.accounts.open_account(subject, "office/li.na")
        self.console.accounts.set_passphrase(made.login, passphrase)
        self.confirm(made.owner)
        return made.login


@contextmanager
def county(folder: Path, **changes: Any) -> Iterator[Place]:
    """Office, node and console; `changes` are settings of the console."""
    with (
        services(folder, identity="national", described=default_catalogue()) as pair,
        console_of(pair, folder, **changes) as made,
    ):
        yield made


@contextmanager
def console_of(pair: Services, folder: Path, **changes: Any) -> Iterator[Place]:
    """The console of a pair that runs."""
    office, port, clock = pair.office.office, free_port(), Clock()
    data = folder / "console"
    data.mkdir(mode=0o700)
    window = Ed25519PrivateKey.generate()
    (data / "window.key").write_bytes(window.private_bytes_raw())
    (data / "window.key").chmod(0o600)
    settings: dict[str, Any] = {
        "office": OfficeSection(
            url=pair.office.url,
            statement_key=base64.b64encode(office.keys.statement.public_key().public_bytes_raw()).decode(),
            log_key=str(office.log.signer.key),
            witness_key=str(CosignatureSigner(office.settings.witness_name, office.keys.witness).key),
        ),
        "node": NodeSection(
            url=pair.url,
            log_key=str(node_log(pair.settings.data_dir).key),
            witness_key=str(node_witness(pair.settings.data_dir).key),
        ),
        "data_dir": data,
        "port": port,
    }
    if (known := pair.office.keys.get("office/window")) is not None:
        (data / "window.key").write_bytes(known.private_bytes_raw())
        settings |= {"window": "office/window", "window_key": data / "window.key"}
    config = ConsoleConfig(**(settings | changes))
    app = create_app(config, clock)
    with serving(app, port):
        place = Place(pair, config.address, config, app, clock)
        for role, (person, name) in PEOPLE.items():
            place.enrol(person, name, role)
        place.enrol(*SECOND_CLERK, Role.CLERK)
        yield place


def cheap(patched: Any) -> None:
    """Passphrases that are opened at once."""
    for module in (protected_keys, accounts):
        patched.setattr(module, "SCRYPT_N", 1 << 10)
        patched.setattr(module, "SCRYPT_P", 1)


class Visitor:
    """A browser without eyes: cookies, forms with their tokens, and the text of a page."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.http = httpx2.Client(base_url=place.url, timeout=60.0, trust_env=False, follow_redirects=False)
        self.token = ""
        self.last: httpx2.Response = self.get("/signin")

    def get(self, path: str, **headers: str) -> httpx2.Response:
        self.last = self.http.get(path, headers=headers)
        return self.last

    def post(self, path: str, files: dict[str, Any] | None = None, **values: Any) -> httpx2.Response:
        """Send a form with the token of the page that was seen last."""
        if found := _TOKEN.search(self.last.text):
            self.token = found[1]
        self.last = self.http.post(path, data={"csrf": self.token} | values, files=files)
        return self.last

    def follow(self) -> httpx2.Response:
        """Go where the last answer leads."""
        assert self.last.status_code == 303, self.text
        return self.get(self.last.headers["location"])

    def sign_in(self, role: Role | str, passphrase: str = PASSPHRASE) -> Visitor:
        """Sign in as the person of a role, or as a named person."""
        person = PEOPLE[role][0] if isinstance(role, Role) else role
        self.get("/signin")
        self.post("/signin", person=person, passphrase=passphrase)
        self.follow()
        self.post("/signin/second", code=self.place.code(person))
        self.follow()
        return self

    def sign_in_account(self, login: str, passphrase: str = PASSPHRASE) -> Visitor:
        """Sign in as a subject with an account."""
        self.get("/me/signin")
        self.post("/me/signin", login=login, passphrase=passphrase)
        self.follow()
        self.post("/signin/second", code=self.place.code(f"account:{login}"))
        self.follow()
        return self

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", unescape(_TAGS.sub(" ", self.last.text)))
