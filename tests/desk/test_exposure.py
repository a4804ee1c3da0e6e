"""At the desk: what an applicant owes at other banks, asked from a case."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from bank_client.exposure_responder import Responder
from bank_client.exposure_responder import answering as answer_by_themselves
from models import wire
from models.consents import ConsentKind, FileConsents, Filed
from models.exposure import TABLE
from models.logged import Empty
from models.parties import Institution, InstitutionKind, Role
from models.projects import ProjectKind, Target
from tests.browser import Browser
from tests.desk.place import DISPUTED, KNOWN, Branch, Place
from tests.desk.test_browser import enter, sign_in
from tests.desk.visitor import Visitor

OWED = {"qingshui": "48000", "nongxin": "0", "yunling": "120500.50"}


@pytest.fixture(scope="module")
def answering(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Three banks that answer, and no other that could, `fumin`'s project, and one applicant's two consents."""
    world, folder = place.pair.office, tmp_path_factory.mktemp("books")
    for bank in OWED:
        new = Institution(id=bank, name=bank, kind=InstitutionKind.BANK, licence="6", declared_customers=10)
        world.clerk.logged("/institutions", new, Empty)
        world.enrol(f"{bank}/ex", Role.RESPONDER)
    silent = Target(kind="person", id="bank-a/ex", suspended=True, reason="has no book here")
    world.clerk.logged("/suspensions", silent, Empty)  # or every question would wait for it until its time is over
    place.pair.app.state.node.office._known = None  # the node would follow within seconds
    world.project("fumin-exposure", bank="fumin", kind=ProjectKind.EXPOSURE, fields=(), purpose="loan-approval")
    kinds = (ConsentKind.COLLECTION, ConsentKind.QUERY)
    consents = [world.consent(f"citizen:{KNOWN}", kind, recipient="fumin", field_sets=(TABLE,)) for kind in kinds]
    world.clerk.logged("/consents", FileConsents(consents=tuple(consents)), Filed)
    with ExitStack() as stack:
        responders = [_responder(stack, place, bank, amount, folder) for bank, amount in OWED.items()]
        stack.enter_context(answer_by_themselves(responders, every=0.1))
        yield
    world.clerk.logged("/suspensions", wire.replace(silent, suspended=False), Empty)


def _responder(stack: ExitStack, place: Place, bank: str, amount: str, folder: Path) -> Responder:
    book = folder / f"{bank}.csv"
    book.write_text(f"id,amount\n{KNOWN},{amount}\n")
    session = stack.enter_context(place.pair.bank(f"{bank}/ex"))
    session.config = msgspec.structs.replace(session.config, identity="national")
    return Responder(session, book, id_column="id")


@pytest.mark.usefixtures("answering")
def test_sum_and_number_of_banks_at_the_desk(place: Place, tmp_path: Path) -> None:
    with place.desk("fumin", tmp_path, exposure="fumin-exposure") as branch:
        visitor = Visitor(branch).sign_in("fumin/chen")
        case = visitor.begin(KNOWN)
        assert "询问其他银行" not in visitor.text, "first the check itself"
        visitor.ask(case)
        assert "询问其他银行" in visitor.text
        visitor.post(f"{case}/exposure")
        visitor.follow()
        visitor.until("合计 168,501 元", f"{case}/exposure")
        assert "3 家银行作答，其中 2 家有欠款" in visitor.text
        visitor.get(case)
        assert "合计 168,501 元" in visitor.text
        assert all(bank not in visitor.text for bank in OWED)
        visitor.post(f"{case}/exposure")
        assert visitor.last.status_code == 409


@pytest.mark.usefixtures("answering")
def test_the_panel_in_a_browser(place: Place, window: Browser, tmp_path: Path) -> None:
    with place.desk("fumin", tmp_path, exposure="fumin-exposure") as branch:
        sign_in(window, branch, "陈建国")
        enter(window, KNOWN, "CG-2026-0501")
        window.press("开始查询")
        window.wait_for("询问其他银行")
        window.press("询问其他银行")
        window.wait_for("合计 168,501 元")
        window.shot("exposure")


@pytest.mark.usefixtures("answering")
def test_who_did_not_consent_to_it_is_not_asked_about(place: Place, tmp_path: Path) -> None:
    with place.desk("fumin", tmp_path, exposure="fumin-exposure") as branch:
        visitor = Visitor(branch).sign_in("fumin/chen")
        case = visitor.begin(DISPUTED)
        visitor.ask(case)
        visitor.post(f"{case}/exposure")
        visitor.follow()
        visitor.until("没有覆盖本次查询的授权", f"{case}/exposure")


def test_a_branch_without_a_project_shows_nothing_of_it(fumin: Branch) -> None:
    visitor = Visitor(fumin).sign_in("fumin/chen")
    case = visitor.begin(KNOWN)
    visitor.ask(case)
    assert "多头借贷" not in visitor.text
    visitor.post(f"{case}/exposure")
    assert visitor.last.status_code == 404
