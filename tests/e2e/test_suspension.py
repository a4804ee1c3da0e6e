"""A suspension takes effect everywhere within a minute: at the office and the node as processes, and at the console."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx2
import pyotp
import pytest

from bank_client.demo.console import start_console
from bank_client.demo.town import FIRST_CLERK, Town
from models import wire
from models.approvals import Act, ActKind, Acts, FileAct
from models.logged import Empty
from models.parties import Institution, InstitutionKind, Person, Role
from models.problems import SecondClerk, Suspended
from models.projects import Decision, Project, ProjectKind, ProjectOpened, ProjectStatus, Target
from models.wire import Signed

pytestmark = pytest.mark.e2e
BANKS, CLERK = ("bank-a", "bank-b", "bank-c"), "office/li.na"
NEW = Person(id="bank-a/new", institution="bank-a", name="new", role=Role.LOAN_OFFICER, key=bytes(range(32)))
WITHIN = 60.0
TOKEN = re.compile(r'name="csrf" value="([0-9a-f]*)"')


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with Town(tmp_path_factory.mktemp("town")) as made:
        for bank in BANKS:
            made.enrol_institution(
                Institution(id=bank, name=bank, kind=InstitutionKind.BANK, licence="3", declared_customers=1000)
            )
            made.enrol(f"{bank}/mo", "modeller", Role.MODELLER)
        made.enrol(CLERK, "李娜", Role.CLERK)
        yield made


def approved(town: Town, bank: str) -> Signed:
    now = int(time.time())
    project = Project(
        id=f"{bank}-loans", bank=bank, kind=ProjectKind.CHECK, title="loans", purpose="loan-approval",
        fields=("credit_points",), valid_from=now - 60, valid_to=now + 86_400, requested_by=f"{bank}/mo",
    )  # fmt: skip
    town.client(f"{bank}/mo", "office").logged("/projects", project, Empty)
    decision = Decision(subject=project.id, approve=True, reason="in order")
    path = f"/projects/{project.id}/decision"
    status = town.client(FIRST_CLERK, "office").logged(path, decision, ProjectStatus).answer
    assert status.approval is not None
    return status.approval


@contextmanager
def signed_in(town: Town, folder: Path) -> Iterator[httpx2.Client]:
    """A browser at the console, with a second factor set up just now."""
    running = start_console(town, {CLERK: ("李娜", "clerk")}, folder)
    try:
        said = running.sign_in_file.read_text(encoding="utf-8")
        passphrase = said.split("\n", maxsplit=1)[0].rpartition(" ")[2]
        code = next(line for line in said.splitlines() if CLERK in line).rpartition(" ")[2]
        with httpx2.Client(base_url=running.url, trust_env=False, timeout=30.0, follow_redirects=True) as browser:
            page = browser.get("/signin")

            def post(path: str, **values: str) -> httpx2.Response:
                token = TOKEN.search(page.text)
                assert token is not None, page.text
                return browser.post(path, data={"csrf": token[1]} | values)

            page = post("/signin", person=CLERK, passphrase=passphrase)
            page = post("/signin/enrol", code=code)
            secret = re.search(r'id="secret">([A-Z2-7]+)<', page.text)
            assert secret is not None
            page = post("/signin/enrol/totp", code=pyotp.TOTP(secret[1]).now())
            assert "恢复码" in page.text
            yield browser
    finally:
        os.kill(running.pid, signal.SIGTERM)


@pytest.fixture(scope="module")
def waiting(town: Town) -> Act:
    """The enrolment of somebody new, which one clerk has filed."""
    filed = FileAct(action=ActKind.ENROL_PERSON, document=wire.encode(NEW), reason="new")
    return town.client(FIRST_CLERK, "office").logged("/acts", filed, Act).answer


def test_two_clerks_where_there_are_two(town: Town, waiting: Act) -> None:
    clerk = town.client(FIRST_CLERK, "office")
    with pytest.raises(SecondClerk):
        clerk.logged("/people", NEW, Empty)
    assert [(act.id, act.state) for act in clerk.get("/acts", Acts).acts] == [(waiting.id, "waiting")]


@pytest.mark.usefixtures("waiting")
def test_people_banks_projects_and_clerks(town: Town, tmp_path: Path) -> None:
    approvals = {bank: approved(town, bank) for bank in BANKS}
    clients = {bank: town.client(f"{bank}/mo", "node") for bank in BANKS}
    for bank in BANKS:
        clients[bank].logged("/projects", approvals[bank], ProjectOpened)
    with signed_in(town, tmp_path / "console") as browser:
        assert "等第二名经办决定" in browser.get("/approvals").text
        targets = {"person": "bank-a/mo", "institution": "bank-b", "project": "bank-c-loans"}
        for kind, target in (*targets.items(), ("person", CLERK)):
            word = Target(kind=kind, id=target, suspended=True, reason="test")
            town.client(FIRST_CLERK, "office").logged("/suspensions", word, Empty)
        deadline = time.monotonic() + WITHIN
        for bank in BANKS[:2]:
            with pytest.raises(Suspended):
                town.client(f"{bank}/mo", "office").get(f"/projects/{bank}-loans", ProjectStatus)
        assert town.client("bank-c/mo", "office").get("/projects/bank-c-loans", ProjectStatus).state == "suspended"
        for bank in BANKS:
            ask = partial(clients[bank].logged, "/projects", approvals[bank], ProjectOpened)
            until(partial(refused, ask), deadline)
        asked = {"HX-Request": "true"}
        until(lambda: browser.get("/session", headers=asked).headers.get("hx-redirect") == "/signin", deadline)
    with pytest.raises(Suspended):
        town.client(CLERK, "office").get("/acts", Acts)


def refused(ask: Callable[[], object]) -> bool:
    """Whether a suspension refuses it."""
    try:
        ask()
    except Suspended:
        return True
    return False


def until(holds: Callable[[], bool], deadline: float) -> None:
    """Look again and again until it holds."""
    while not holds():
        assert time.monotonic() < deadline, f"still served after {WITHIN} s"
        time.sleep(0.3)
