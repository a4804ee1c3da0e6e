"""Pages of rights without a browser's eyes: use in models with its proofs, the letter that lists them, and what is refused."""

from __future__ import annotations

import re

import msgspec
import pytest
from stdnum.cn import ric

from audit.database import writing
from audit.verifier.merkle import leaf_hash, root_of
from crypto import cells
from models import wire
from models.alignment import tag_context
from models.consents import ConsentKind
from models.disputes import AnswerCorrection, Corrections, FiledEvidence, Filing, RaiseDispute
from models.identity import parse_id
from models.logged import Empty
from models.parties import Role
from models.projects import ProjectKind
from models.rights import OpenAccount
from models.scorecard.card import FieldCard
from sharing_node.state import repository as state
from sharing_node.state.repository import StoredCohort, StoredModel
from tests.console.place import Place, Visitor
from tests.office.test_alignments import alignment, file
from tests.office.test_models_register import bank_card, both_sign, node_card

FIELD = "leased_in_area"
NUMBER, LEAVING = (digits + ric.calc_check_digit(digits + "0") for digits in ("11010519720301205", "11010519720301207"))
SUBJECT = parse_id(NUMBER)
OTHER = "11010519491231002X"
MODEL = "lines-2026"


@pytest.fixture(scope="module")
def used(console: Place) -> Place:
    """A subject who was filed for an alignment, is the second of four rows of its cohort, and of whose row a model was made."""
    world = console.pair.office
    world.file(*(world.consent(SUBJECT, kind) for kind in (ConsentKind.COLLECTION, ConsentKind.MODELLING)))
    console.pair.open_project("lines", kind=ProjectKind.JOINT_SCORECARD, fields=(FIELD, "leased_out_area"))
    file(world, alignment(world, [SUBJECT], project="lines"))
    node = console.pair.app.state.node
    subjects = ("opaque:a", SUBJECT, "opaque:b", "opaque:c")
    outputs = node.keys.new_oprf("project-lines").evaluate_many([subject.encode() for subject in subjects])
    root = root_of([leaf_hash(cells.derive(y, tag_context("lines"))[0]) for y in outputs])
    card = wire.replace(
        node_card(MODEL, "lines"),
        cohort_root=root.hex(),
        fields=(FieldCard(name=FIELD, iv=0.1, bins=4, vif=1.0, r2=0.1),),
    )
    both = both_sign(world, bank_card(card))
    world.modeller.logged("/models", both, Empty)
    cohort = StoredCohort("lines-cohort", "lines", "bank-a", root, subjects)
    with writing(node.engine) as connection:
        state.add_cohort(connection, cohort, world.now)
        state.add_job(connection, "lines-job", cohort, both.node_card, aggregates=0, at=world.now)
        model = StoredModel(
            MODEL, "lines-job", "lines", cohort.id, "bank-a", b"", bytes([1, 3, 0, 2]), both.node_card, world.now
        )  # fmt: skip
        state.add_model(connection, model)
    return console


def with_account(clerk: Visitor, number: str) -> str:
    """Have the clerk find a person and open an account; the person's page, which is shown."""
    clerk.get("/rights")
    clerk.post("/rights/person", number=number)
    where = clerk.last.headers["location"]
    clerk.follow()
    clerk.post(f"{where}/account", document="居民身份证")
    assert "一次性代码" in clerk.text
    clerk.get(where)
    return where


@pytest.fixture(scope="module")
def clerk(used: Place) -> Visitor:
    """The clerk, who has found the person and opened an account."""
    visitor = Visitor(used).sign_in(Role.CLERK)
    with_account(visitor, NUMBER)
    return visitor


@pytest.fixture(scope="module")
def subject(used: Place, clerk: Visitor) -> Visitor:
    return Visitor(used).sign_in_account(used.account(SUBJECT))


def test_use_in_models_is_shown_with_its_proofs(subject: Visitor) -> None:
    subject.get("/me/cohorts")
    assert "第 1 行，共 1 行：证明成立" in subject.text
    assert "样本：第 2 行，共 4 行：证明成立" in subject.text
    assert MODEL in subject.text
    assert subject.text.count("使用了本人数据") == 1
    kept = msgspec.json.decode(subject.get("/me/archive.json").content)
    assert [(one["model"], one["band"]) for one in kept["archive"]["models"]] == [(MODEL, 3)]
    assert [one["row"] for one in kept["archive"]["cohorts"]] == [1]


def open_cases(clerk: Visitor) -> set[str]:
    return set(re.findall(r"/rights/disputes/([0-9a-f]{16})", clerk.get("/rights").text))


def test_a_letter_on_a_correction_lists_the_models(used: Place, subject: Visitor, clerk: Visitor) -> None:
    before = open_cases(clerk)
    subject.get("/me/disputes")
    subject.post("/me/disputes", field=FIELD, statement="应为 21.5 亩")
    subject.follow()
    assert "核查中" in subject.text
    subject.post("/me/disputes", field=FIELD, statement="应为 21.5 亩")
    assert (subject.last.status_code, "此项的异议正在核查" in subject.text) == (409, True)
    steward = used.pair.office.client("node/steward")
    [case] = open_cases(clerk) - before
    clerk.get(f"/rights/disputes/{case}")
    clerk.post(f"/rights/disputes/{case}/answer", finding="corrected", text="已更正")
    assert "请先发函核查" in clerk.text, "nothing is said to be corrected that the source did not correct"
    clerk.get(f"/rights/disputes/{case}")
    clerk.post(f"/rights/disputes/{case}/correction", text="请核对合同")
    [asked] = [
        one for one in steward.logged("/corrections/list", Empty(), Corrections).answer.corrections if one.dispute == case
    ]
    done = AnswerCorrection(corrected=True, reply="合同为 21.5 亩", batch="ab" * 16)
    steward.logged(f"/corrections/{asked.id}/answer", done, Filing)
    clerk.follow()
    clerk.post(f"/rights/disputes/{case}/answer", finding="corrected", text="已更正为 21.5 亩")
    clerk.follow()
    assert "以下模型使用过更正前的信息" in clerk.text
    assert MODEL in clerk.text
    subject.get(f"/me/disputes/{case}/letter")
    assert MODEL in subject.text


def test_pages_of_another_are_not_shown(used: Place, subject: Visitor, clerk: Visitor) -> None:
    assert subject.get("/rights").status_code == 403
    assert clerk.get("/me/archive").status_code == 403
    assert clerk.get("/rights/person/unknown/archive").status_code == 404
    assert subject.get("/me/disputes/0123456789abcdef/letter").status_code == 404


def test_evidence_of_another_is_not_handed_out(used: Place, subject: Visitor, clerk: Visitor) -> None:
    """The office sees the window alone, which may act for both: that the case is one's own is the console's to see."""
    office, other = used.pair.office.clerk, parse_id(OTHER)
    office.logged("/accounts", OpenAccount(account="another", subject=other, checked="居民身份证"), Empty)
    photo = FiledEvidence(name="合同.jpg", content=b"\xff\xd8 of another")
    told = RaiseDispute(subject=other, field=FIELD, statement="不对", evidence=photo)
    case = office.logged("/disputes", told, Filing).answer.id
    subject.get("/me/disputes")
    subject.post(f"/me/disputes/{case}/evidence")
    assert subject.last.status_code == 404
    own = RaiseDispute(subject=SUBJECT, field="operating_years", statement="不对", evidence=photo)
    case = office.logged("/disputes", own, Filing).answer.id
    subject.get("/me/disputes")
    assert subject.post(f"/me/disputes/{case}/evidence").content == photo.content


def test_no_address_holds_a_number(clerk: Visitor) -> None:
    clerk.get("/rights")
    clerk.post("/rights/person", number="110105194912310021")
    assert (clerk.last.status_code, "号码不正确" in clerk.text) == (422, True)
    clerk.get("/rights")
    clerk.post("/rights/person", number=NUMBER)
    assert NUMBER not in clerk.last.headers["location"]


def test_a_closed_account_stops_at_once(used: Place, clerk: Visitor) -> None:
    where = with_account(clerk, LEAVING)
    leaving = Visitor(used).sign_in_account(used.account(parse_id(LEAVING)))
    assert leaving.get("/me/disputes").status_code == 200
    clerk.post(f"{where}/account/close")
    clerk.follow()
    assert "没有自助账户" in clerk.text
    assert leaving.get("/me/disputes").headers.get("location") == "/signin"
