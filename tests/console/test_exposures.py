"""Exposure checks on an auditor's pages: found by their kind, examined without a false alarm, and an answer that is opened."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.exposure import TABLE
from models.oversight import FoundAccesses, SearchAccesses
from models.parties import Role
from tests.console.place import Place, Visitor, cheap, console_of
from tests.exposure.banks import Place as Banks
from tests.exposure.banks import place, put


@pytest.fixture(scope="module")
def banks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Banks]:
    """One released sum about Wang, at four banks."""
    folder: Path = tmp_path_factory.mktemp("exposure")
    with place(folder) as made:
        made.consent("opaque:wang")
        made.owe("bank-b", {"wang": 120_000})
        for bank in ("bank-c", "bank-d", "bank-e"):
            made.owe(bank, {})
        asked = put(made, "wang")
        made.answer()
        asked.summed(asked.released(asked.close()))
        yield made


@pytest.fixture(scope="module")
def auditor(banks: Banks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    with pytest.MonkeyPatch.context() as patched:
        cheap(patched)
        with console_of(banks.pair, tmp_path_factory.mktemp("console"), identity="opaque") as made:
            yield Visitor(made).sign_in(Role.AUDITOR)


def number_of(place: Place) -> int:
    found = place.session("office/zhou.min").logged("/audit/search", SearchAccesses(table=TABLE), FoundAccesses)
    assert [one.outcome for one in found.accesses] == ["granted"]
    return found.accesses[0].id


def test_the_search_names_exposure_checks_and_finds_them_alone(auditor: Visitor) -> None:
    auditor.get("/accesses")
    auditor.post("/accesses", table=TABLE)
    assert auditor.text.count("bank-a/li") == 1
    assert re.search(r'<span class="tag">多头借贷查询</span>', auditor.last.text)
    number = number_of(auditor.place)
    assert f"/accesses/{number}" in auditor.last.text


def test_what_stands_behind_one_is_checked_as_what_it_is(auditor: Visitor) -> None:
    number = number_of(auditor.place)
    auditor.get(f"/accesses/{number}")
    assert "多头借贷查询" in auditor.text
    assert "未通过" not in auditor.text
    assert "向其他银行提问，不涉及数据表" in auditor.text
    assert f"/accesses/{number}/exposure" in auditor.last.text


def test_an_answer_is_opened_on_an_auditors_demand(auditor: Visitor, banks: Banks) -> None:
    page = f"/accesses/{number_of(auditor.place)}/exposure"
    auditor.get(page)
    assert auditor.text.count("未要求打开") == 4
    assert "120000" not in auditor.text
    assert auditor.post(page, bank="bank-b", reason=" ").status_code == 422
    auditor.get(page)
    assert auditor.post(page, bank="bank-a", reason="x").status_code == 409
    auditor.get(page)
    auditor.post(page, bank="bank-b", reason="与企业年报不符")
    auditor.follow()
    assert "等银行打开" in auditor.text
    banks.responders["bank-b"].open_demanded()
    auditor.get(page)
    assert "与签名相符" in auditor.text
    assert "120000" in auditor.text
    assert "与企业年报不符" in auditor.text
    actions = [leaf["action"] for leaf in banks.pair.office.leaves()]
    assert {"exposure.demand", "exposure.opened", "exposure.open"} <= set(actions)
    assert "年报" not in str(banks.pair.office.leaves())


def test_a_clerk_sees_none_of_it(auditor: Visitor) -> None:
    clerk = Visitor(auditor.place).sign_in(Role.CLERK)
    assert clerk.get(f"/accesses/{number_of(auditor.place)}/exposure").status_code == 403
