"""The pages of approvals and of the directory without a browser: what they show, and what they refuse."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from bank_client import project_cli
from bank_client.cli import app as bank_app
from models import wire
from models.approvals import Act, ActKind, Acts
from models.consents import ConsentKind
from models.logged import Empty
from models.parties import Role
from models.projects import ProjectKind, ProjectStatus
from models.registry import ModelDecision
from models.scans import keep_scan
from models.scorecard.card import FieldCard
from models.tables import ModelStatus
from tests.console.place import SECOND_CLERK, Place, Visitor
from tests.office.test_models_register import bank_card, both_sign, node_card

FIELDS = ("contracted_land_area", "credit_points")


@pytest.fixture
def rule(console: Place) -> Iterator[None]:
    settings = console.pair.office.office.settings
    settings.second_clerk = ",".join(ActKind)
    yield
    settings.second_clerk = ""


def register(console: Place, model: str) -> None:
    """A model whose card both sides have signed."""
    world, project = console.pair.office, f"joint-{model}"
    world.project(project, kind=ProjectKind.JOINT_SCORECARD, fields=FIELDS)
    fields = tuple(FieldCard(name=name, iv=0.3, bins=5, vif=1.2, r2=0.2) for name in FIELDS)
    card = wire.replace(node_card(model, project), fields=fields, band_means=(-1.5, -0.2, 0.4, 1.1))
    world.modeller.logged("/models", both_sign(world, bank_card(card)), Empty)


def act_of(console: Place, kind: ActKind) -> Act:
    """The act of this kind that waits; of other kinds others may wait as well."""
    acts = console.session(SECOND_CLERK[0]).get("/acts", Acts).acts
    [filed] = [act for act in acts if (act.action, act.state) == (kind, "waiting")]
    return filed


def test_a_model_is_judged_by_its_card_and_approved(console: Place, visitor: Visitor) -> None:
    register(console, "m-card")
    visitor.sign_in(Role.CLERK)
    visitor.get("/approvals")
    assert "m-card" in visitor.text
    visitor.get("/approvals/models/m-card")
    for said in ("泄露声明", "数据节点得知", "sums", "AUC", "0.700", "信用积分", "各档平均得分", "1.100"):
        assert said in visitor.text, said
    assert "<svg" in visitor.last.text
    visitor.post("/approvals/models/m-card", approve="yes", reason=" ")
    assert visitor.last.status_code == 422
    visitor.get("/approvals/models/m-card")
    visitor.post("/approvals/models/m-card", approve="yes", reason="限值之内")
    visitor.follow()
    assert "已决定" in visitor.text
    assert console.pair.office.modeller.get("/models/m-card", ModelStatus).state == "approved"
    visitor.get("/directory")
    visitor.post("/directory/look", kind="model", id="m-card")
    assert "暂停立即生效" in visitor.text
    visitor.post("/directory/suspend", kind="model", id="m-card", suspended="yes", reason="复核指标")
    visitor.follow()
    assert "已办理" in visitor.text
    assert [each.model for each in console.pair.office.directory().ended_models] == ["m-card"]
    auditor = Visitor(console).sign_in(Role.AUDITOR)
    assert "理由" not in auditor.get("/approvals/models/m-card").text.split("经过")[1]


@pytest.mark.usefixtures("rule")
def test_a_model_that_two_clerks_approve(console: Place, visitor: Visitor) -> None:
    console.pair.office.office.settings.second_clerk = ""
    register(console, "m-two")
    console.pair.office.office.settings.second_clerk = ",".join(ActKind)
    visitor.sign_in(Role.CLERK)
    visitor.get("/approvals/models/m-two")
    visitor.post("/approvals/models/m-two", approve="yes", reason="限值之内")
    visitor.follow()
    assert "等另一名经办决定" in visitor.text
    filed = act_of(console, ActKind.MODEL_APPROVE)
    assert filed.document == b"", "a list does not say whom an act is about"
    opened = console.session(SECOND_CLERK[0]).logged_get(f"/acts/{filed.id}", Act)
    assert wire.decode(opened.document, ModelDecision).subject == "m-two"
    assert visitor.get(f"/approvals/acts/{filed.id}").status_code == 200
    assert "撤回" in visitor.text
    other = Visitor(console).sign_in(SECOND_CLERK[0])
    other.get(f"/approvals/acts/{filed.id}")
    assert "打开所涉事项" in other.text
    other.post(f"/approvals/acts/{filed.id}", approve="yes", reason="同意")
    other.follow()
    assert console.pair.office.modeller.get("/models/m-two", ModelStatus).state == "approved"
    other.get(f"/approvals/acts/{filed.id}")
    assert "已办理" in other.text
    assert other.post(f"/approvals/acts/{filed.id}", approve="yes", reason="again").status_code == 409


def test_a_project_is_refused_with_a_reason(console: Place, visitor: Visitor) -> None:
    console.pair.office.project("too-much", approve=False, fields=("credit_points",))
    visitor.sign_in(Role.CLERK)
    visitor.get("/approvals/projects/too-much")
    visitor.post("/approvals/projects/too-much", approve="no", reason="数据项超出用途")
    visitor.follow()
    status = console.pair.office.modeller.get("/projects/too-much", ProjectStatus)
    assert (status.state, status.reason) == ("refused", "数据项超出用途")
    assert visitor.get("/approvals/projects/nothing").status_code == 404
    assert visitor.get("/approvals/acts/nothing").status_code == 404
    assert visitor.get("/approvals/budgets/nothing").status_code == 404


def test_an_institution_is_enrolled_and_a_second_time_refused(console: Place, visitor: Visitor) -> None:
    visitor.sign_in(Role.CLERK)
    facts: dict[str, Any] = {
        "id": "bank-z",
        "name": "云禾农商行（虚构）",
        "kind": "bank",
        "licence": "B1",
        "customers": "500",
        "reason": "许可证已核",
    }
    visitor.get("/directory/institutions/new")
    visitor.post("/directory/institutions/new", **facts)
    visitor.follow()
    assert "bank-z" in visitor.text
    visitor.get("/directory/institutions/new")
    visitor.post("/directory/institutions/new", **facts)
    assert "这一机构编号已登记" in visitor.text
    assert "云禾农商行" in visitor.last.text, "what was entered is kept"
    wrong: dict[str, Any]
    for wrong in ({"customers": "many"}, {"kind": "office"}, {"reason": " "}):
        visitor.post("/directory/institutions/new", **(facts | wrong))
        assert visitor.last.status_code == 422


def test_a_person_is_enrolled_with_a_key_that_is_one(console: Place, visitor: Visitor) -> None:
    key = base64.b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
    facts: dict[str, Any] = {
        "institution": "bank-b",
        "short": "lu.yan",
        "name": "鲁燕",
        "role": "loan_officer",
        "key": key,
        "reason": "新任",
    }
    visitor.sign_in(Role.CLERK)
    wrong: dict[str, Any]
    for wrong in ({"key": "AAAA"}, {"key": "…"}, {"role": "node"}, {"role": "window"}, {"reason": ""}):
        visitor.get("/directory/people/new")
        assert visitor.post("/directory/people/new", **(facts | wrong)).status_code == 422, wrong
    visitor.get("/directory/people/new")
    visitor.post("/directory/people/new", **facts)
    visitor.follow()
    assert "bank-b/lu.yan" in visitor.text
    visitor.get("/directory?find=鲁燕")
    assert "bank-b/lu.yan" in visitor.text
    assert "bank-a/li" not in visitor.text


def test_nobody_suspends_themselves(console: Place, visitor: Visitor) -> None:
    visitor.sign_in(Role.CLERK)
    visitor.get("/directory")
    visitor.post("/directory/suspend", kind="person", id="office/li.na", suspended="yes", reason="x")
    assert visitor.last.status_code == 422
    assert visitor.post("/directory/look", kind="person", id="office/nobody").status_code == 404


def test_pages_in_english(console: Place, visitor: Visitor) -> None:
    visitor.post("/language", language="en", back="/signin")
    visitor.sign_in(Role.CLERK)
    visitor.get("/directory")
    assert "Institutions and people" in visitor.text
    visitor.get("/approvals")
    assert "Approvals" in visitor.text
    acts = console.session("office/li.na").get("/acts", Acts).acts
    assert all(isinstance(act, Act) for act in acts)


@pytest.mark.usefixtures("rule")
def test_two_clerks_erase_a_subject_and_account_and_scan_go_too(console: Place, visitor: Visitor) -> None:
    number, office, forms = "11010519900101015X", console.pair.office, console.config.data_dir / "forms"
    console.account(f"citizen:{number}")
    own, others = (keep_scan(b"%PDF-" + name, forms) for name in (b"own", b"others"))
    office.file(
        office.consent(f"citizen:{number}", ConsentKind.QUERY, evidence_digest=own),
        office.consent("citizen:11010519491231002X", ConsentKind.QUERY, evidence_digest=others),
    )
    visitor.sign_in(Role.CLERK)
    facts: dict[str, Any] = {"subject": number, "ground": "court", "reference": "SQ-2026-7", "reason": "法院判决"}
    wrong: dict[str, Any]
    for wrong in ({"subject": "110105199001010150"}, {"ground": "none"}, {"reason": ""}):
        visitor.get("/erasure")
        assert visitor.post("/erasure", **(facts | wrong)).status_code == 422, wrong
    visitor.get("/erasure")
    visitor.post("/erasure", **facts)
    assert "等另一名经办决定" in visitor.text
    filed = act_of(console, ActKind.SUBJECT_ERASE)
    assert console.console.accounts.account_of(f"citizen:{number}") is not None
    other = Visitor(console).sign_in(SECOND_CLERK[0])
    other.get(f"/approvals/acts/{filed.id}")
    assert number in other.text
    other.post(f"/approvals/acts/{filed.id}", approve="yes", reason="申请书已核")
    other.follow()
    assert console.console.accounts.account_of(f"citizen:{number}") is None
    assert {file.stem for file in forms.iterdir()} >= {others}
    assert not (forms / f"{own}.pdf").exists(), "the scan went with its last consent"
    done = console.session(SECOND_CLERK[0]).logged_get(f"/acts/{filed.id}", Act)
    assert (done.state, done.document) == ("done", b""), "what the act was about is forgotten with it"


def test_a_bank_asks_on_the_command_line_and_the_clerk_decides(
    console: Place, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    console.pair.office.project("by-hand", fields=("credit_points",), checks=100)
    monkeypatch.setattr(project_cli, "session", lambda _config: console.pair.bank("bank-a/mo"))

    def budget(*options: str) -> dict[str, Any]:
        done = CliRunner().invoke(bank_app, ["project", "budget", "by-hand", *options, "--json"])
        assert done.exit_code == 0, done.output
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    assert budget()["requests"] == []
    budget("--checks", "150", "--reason", "春耕户数增加")
    visitor.sign_in(Role.CLERK)
    visitor.get("/approvals")
    assert "100 → 150" in visitor.text
    [row] = [row for row in visitor.last.text.split("<tr>") if "<td>by-hand</td>" in row]
    asked = re.search(r"/approvals/budgets/[0-9a-f]+", row)
    assert asked
    visitor.get(asked[0])
    visitor.post(asked[0], approve="yes", reason="属实")
    visitor.follow()
    assert "已决定" in visitor.text
    request = {"state": "approved", "trainings": 12, "releases": 4, "checks": 150}
    assert budget()["requests"] == [request]
    assert "100 / 4" not in visitor.get("/approvals/projects/by-hand").text
    assert "12 / 4 / 150" in visitor.text
