"""Exposure checks end to end, over real HTTP: what comes out, who learns what, what is missing, who is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import msgspec
import pytest
from sqlalchemy import select

from bank_client.exposure import ExposureCheck, opened
from bank_client.exposure_book import BookError, read_book
from bank_client.exposure_keys import KeyPool
from crypto.paillier.bounded import MOST_AMOUNT
from crypto.voprf import VoprfClient
from models import wire
from models.consents import ConsentKind
from models.exposure import LEAKAGE, TABLE, ExposureState, OpenExposure, TagBorrowers
from models.problems import (
    BadElement,
    BadTicket,
    Conflict,
    Damaged,
    NoConsent,
    NotApproved,
    OverBudget,
    TooFewBanks,
    WrongRole,
)
from models.projects import ProjectKind
from models.tickets import Accesses, AccessQuery
from sharing_node.exposure.tables import ExposureAnswerRow, ExposureRow
from tests.exposure.banks import PROJECT, Place, place, pool, put, send_answers

WANG, LI = "opaque:wang", "opaque:li"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder: Path = tmp_path_factory.mktemp("exposure")
    with place(folder) as made:
        made.consent(WANG, LI, *(f"opaque:s{n}" for n in range(20)))
        made.owe("bank-b", {"wang": "120000.40", "zhao": 1})
        made.owe("bank-c", {"li": 7})
        made.owe("bank-d", {"wang": 30_000, "li": "0"})
        made.owe("bank-e", {})
        yield made


def test_sum_and_count_over_banks(here: Place) -> None:
    before = here.pair.logged()
    with here.answering():
        found = here.check().ask("wang")
    assert (found.amount, found.banks) == (150_000, 2)
    assert found.answered == ("bank-b", "bank-c", "bank-d", "bank-e")
    assert found.missing == ()
    assert found.leakage == LEAKAGE
    leaves = here.pair.leaves(before)
    assert [leaf["action"] for leaf in leaves].count("exposure.answer") == 4
    assert {"exposure.ask", "exposure.close", "exposure.release"} <= {leaf["action"] for leaf in leaves}
    # No leaf that names the asking bank says which question it is, and none says whom it is about.
    assert all(found.question not in str(leaf) for leaf in leaves)
    assert "wang" not in str(leaves) + str(here.pair.office.leaves())


def test_the_subject_sees_the_check_at_the_window(here: Place) -> None:
    looked = here.pair.office.client("office/audit").logged("/accesses", AccessQuery(subject=WANG), Accesses).answer
    assert ("bank-a", TABLE, "granted") in {(one.bank, one.table, one.outcome) for one in looked.accesses}


def test_a_bank_that_is_down_is_a_stated_gap(here: Place) -> None:
    asked = put(here, "s1")
    here.answer("bank-d")
    asked.expire(here)
    found = asked.finish(asked.close())
    assert found.missing == ("bank-d",)
    assert (found.amount, found.banks) == (0, 0)


def test_two_answers_are_no_sum(here: Place) -> None:
    asked = put(here, "s2")
    here.answer("bank-d", "bank-e")
    asked.expire(here)
    with pytest.raises(TooFewBanks, match="2 of 4"):
        asked.close()


def test_all_answers_look_alike(here: Place) -> None:
    """Who owes and who does not: the same messages of the same sizes, and nothing of either at the node."""
    asked = put(here, "wang")
    sizes = set()
    for responder in here.responders.values():
        made = responder._answer_one(asked.leave.question)
        assert made is not None
        sizes.add((len(made.ciphertext), len(made.proof), len(wire.encode(made.answer)), tuple(wire.fields_of(made))))
    assert len(sizes) == 1
    with here.pair.engine.connect() as connection:
        kept = connection.execute(select(ExposureRow.question).where(ExposureRow.id == asked.question.id)).scalar_one()
    book = here.responders["bank-b"].book()
    assert all(tag not in bytes(kept) for tag in book.owed)
    # Two questions about one person carry one tag under two seals.
    assert put(here, "wang").question.address != asked.question.address
    assert book.found(asked.question) == 120_000


def test_ciphertexts_are_erased_with_the_release(here: Place) -> None:
    asked = put(here, "li")
    here.answer()
    tally = asked.close()
    release = asked.released(tally)
    first = asked.summed(release)
    assert opened(asked.key.key.decrypt(first), 4) == (7, 1)
    with here.pair.engine.connect() as connection:
        query = select(ExposureAnswerRow.ciphertext).where(ExposureAnswerRow.question == asked.question.id)
        assert set(connection.execute(query).scalars()) == {None}
    # Lost on the way, it is given once more.
    assert asked.summed(asked.released(tally)) == first


def test_a_question_is_not_closed_while_banks_may_answer(here: Place) -> None:
    asked = put(here, "s3")
    here.responders["bank-b"].answer_waiting()
    with pytest.raises(Conflict, match="may still answer"):
        asked.close()
    state = asked.officer.node.get(f"/exposures/{asked.question.id}", ExposureState)
    assert (state.asked, state.answered, state.complete) == (4, 1, False)


def test_a_late_answer_is_refused(here: Place) -> None:
    asked = put(here, "s4")
    late = here.responders["bank-e"]._answer_one(asked.leave.question)
    assert late is not None
    asked.expire(here)
    assert send_answers(here, "bank-e", late) == ("conflict",)


# -------------------------------------------------------------------- who is refused


def test_consents_must_name_exposures(here: Place) -> None:
    office = here.pair.office
    everything = [office.consent("opaque:all", kind) for kind in (ConsentKind.COLLECTION, ConsentKind.QUERY)]
    office.file(*everything, office.consent("opaque:half", ConsentKind.QUERY, field_sets=(TABLE,)))
    for subject in ("all", "half", "nobody"):
        with pytest.raises(NoConsent, match=TABLE):
            here.check().ask(subject)


def test_a_project_of_another_kind_or_purpose_gives_no_leave(here: Place) -> None:
    here.pair.office.project("checks-only", fields=("f0",))
    with pytest.raises(NotApproved, match="no such project of exposure checks"):
        ExposureCheck(here.officer(), "checks-only", keys=pool()).ask("wang")
    with pytest.raises(NotApproved, match="purpose"):
        here.check().ask("wang", "post-loan")


def test_a_project_s_budget_ends(here: Place) -> None:
    here.pair.office.project("one-check", kind=ProjectKind.EXPOSURE, fields=(), purpose="loan-approval", checks=1)
    check = ExposureCheck(here.officer(), "one-check", keys=pool())
    check._leave(check.prepare("s5"), pool().take(), None)
    with pytest.raises(OverBudget):
        check._leave(check.prepare("s6"), pool().take(), None)


def test_a_key_without_its_proof_gives_no_leave(here: Place) -> None:
    check, key = here.check(), pool().take()
    with pytest.raises(BadElement, match="proof"):
        check._leave(check.prepare("s7"), type(key)(key.key, bytes(len(key.proof))), None)


def test_a_ticket_is_spent_once_and_by_its_officer(here: Place) -> None:
    asked = put(here, "s8")
    body = OpenExposure(ticket=asked.leave.ticket, question=asked.leave.question)
    with pytest.raises(BadTicket, match="spent before"):
        asked.officer.node.logged("/exposures", body, ExposureState)
    with pytest.raises(BadTicket, match="another bank"):
        here.pair.client("bank-b/li").logged("/exposures", body, ExposureState)
    other = put(here, "s9")
    mixed = OpenExposure(ticket=asked.leave.ticket, question=other.leave.question)
    with pytest.raises(BadTicket, match="another question"):
        asked.officer.node.logged("/exposures", mixed, ExposureState)


def test_only_answering_services_are_shown_questions(here: Place) -> None:
    request = here.pair.signed("node", "bank-b/li", "GET", "/exposures")
    response = httpx2.get(request.url, headers=request.headers, timeout=60.0, trust_env=False)
    assert response.json()["type"].endswith(WrongRole.slug())


def test_tags_are_counted(here: Place) -> None:
    """A bank of 100 declared customers tags 120 an epoch: it cannot try out the register."""
    bank = here.responders["bank-c"]._bank
    element = here.responders["bank-c"].book().epoch
    client = VoprfClient(element.public_key)
    elements = b"".join(client.blind(str(n).encode()).element for n in range(130))
    with pytest.raises(OverBudget, match="at most 120"):
        bank.office.logged("/exposures/tags", TagBorrowers(epoch=element.epoch, elements=elements), wire.Message)


# -------------------------------------------------------------------- the bank's own side


def test_sums_that_no_honest_answers_give_are_refused() -> None:
    assert opened((2 << 64) + 5, 3) == (5, 2)
    for plaintext in ((4 << 64) + 5, (1 << 64) + 3 * MOST_AMOUNT + 1, 5, 1 << 3000):
        with pytest.raises(Damaged):
            opened(plaintext, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,owed\na,1\n", "no column amount"),
        ("id,amount\na,much\n", "line 2: amount is no number"),
        ("id,amount\na,-1\n", "line 2: amount is negative"),
        ("id,amount\na,nan\n", "line 2"),
        (f"id,amount\na,{MOST_AMOUNT}\na,1\n", "owes more than"),
    ],
)
def test_a_book_that_is_wrong_says_where(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "book.csv").write_text(text)
    with pytest.raises(BookError, match=message):
        read_book(tmp_path / "book.csv", str, "id")


def test_lines_of_one_borrower_add_up_and_who_did_not_consent_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "book.csv").write_text("id,amount,consented\na,1.30,1\na,1.20,\nb,9,0\nc,0.4,1\n")
    assert read_book(tmp_path / "book.csv", str, "id") == {"a": 3}


def test_a_book_as_chinese_spreadsheets_save_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "book.csv").write_bytes("编号,余额\na,7\n".encode("gb18030"))
    assert read_book(tmp_path / "book.csv", str, "编号", "余额") == {"a": 7}
    (tmp_path / "book.csv").write_bytes(b"PK\x03\x04")
    with pytest.raises(BookError, match="save it as CSV"):
        read_book(tmp_path / "book.csv", str, "编号")


def test_a_pool_gives_each_key_once() -> None:
    keys = KeyPool(2)
    keys.fill()
    assert len(keys) == 2
    keys._size = 0
    assert keys.take().key.public.n != keys.take().key.public.n


def test_an_answer_is_the_same_after_a_crash(here: Place) -> None:
    asked = put(here, "s10")
    responder = here.responders["bank-b"]
    first = responder._answer_one(asked.leave.question)
    again = type(responder)(responder._bank, responder._file, id_column="id")._answer_one(asked.leave.question)
    assert first == again
    made = [msgspec.msgpack.decode(file.read_bytes()) for file in responder._folder.glob("*.msgpack")]
    assert all(file.stat().st_mode & 0o077 == 0 for file in responder._folder.iterdir())
    assert made
    assert PROJECT not in str(made)
