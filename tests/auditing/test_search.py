"""An auditor's search: every way in, page by page, and a leaf for each that names nobody."""

from __future__ import annotations

from contextlib import suppress

import pytest
from sqlalchemy import text

from audit.dossier.checks import NAMES, check_access
from audit.dossier.evidence import ABSENT, FAILED, VERIFIED
from models.alarms import Alarms, AskAlarms
from models.oversight import AskDossier, Dossier
from models.problems import NotFound, Unusable, WrongRole
from tests.auditing.conftest import ALICE, BOB, CAROL, Audited
from tests.services import FIELDS, OFFICER


@pytest.fixture(scope="module")
def audit(clean: Audited) -> Audited:
    return clean


def subjects(audit: Audited, **ask: object) -> list[str]:
    return [one.subject for one in audit.search(**ask).accesses]


@pytest.mark.parametrize(
    ("ask", "found"),
    [
        ({}, [CAROL, CAROL, BOB, ALICE]),
        ({"bank": "bank-a"}, [CAROL, CAROL, BOB, ALICE]),
        ({"bank": "bank-b"}, []),
        ({"officer": OFFICER, "result": "granted"}, [BOB, ALICE]),
        ({"subject": BOB}, [BOB]),
        ({"purpose": "post-loan"}, []),
        ({"project": "check"}, [CAROL, BOB, ALICE]),
        ({"field": FIELDS[0], "result": "refused"}, [CAROL]),
        ({"field": "no-such-field"}, []),
        ({"batch": "b1"}, []),
        ({"result": "looked-in-vain"}, [CAROL]),
        ({"result": "no-consent"}, [CAROL]),
        ({"result": "approved"}, [ALICE]),
        ({"result": "unreported"}, [BOB]),
        ({"result": "overdue"}, []),
        ({"until": 1}, []),
        ({"since": 1}, [CAROL, CAROL, BOB, ALICE]),
    ],
)
def test_each_way_to_search(audit: Audited, ask: dict[str, object], found: list[str]) -> None:
    assert subjects(audit, **ask) == found


def test_pages_follow_one_another(audit: Audited) -> None:
    seen, after = [], ""
    for _ in range(4):
        page = audit.search(most=1, after=after)
        seen += [one.id for one in page.accesses]
        after = page.next
    assert after == ""
    assert len(set(seen)) == 4
    assert seen == sorted(seen, reverse=True)
    with pytest.raises(Unusable):
        audit.search(after="elsewhere")


def test_a_search_leaves_a_leaf_that_names_nobody(audit: Audited) -> None:
    audit.search(subject=ALICE, officer=OFFICER, bank="bank-a")
    leaf = audit.world.leaves()[-1]
    assert leaf["action"] == "audit.search"
    assert leaf["facts"] == {"count": 1, "by": "bank,officer,subject"}
    opening = audit.office.log.opening(bytes.fromhex(leaf["opening"]))
    assert opening is not None
    assert ALICE.encode() in opening
    assert "alice" not in str(leaf)
    assert OFFICER not in str(leaf)


def test_a_number_in_the_wrong_box_stands_in_no_leaf(audit: Audited) -> None:
    number = "11010519491231002X"
    for box in ("bank", "purpose", "field", "project", "batch", "table", "result"):
        with suppress(Unusable):
            audit.search(**{"most": 1, box: number})
    for ask in (AskAlarms(kind=number), AskAlarms(institution=number)):
        audit.auditor.logged("/audit/alarms", ask, Alarms)
    assert number not in str(audit.world.leaves())


def test_only_auditors_search(audit: Audited) -> None:
    for person in ("office/wang", OFFICER, "office/super"):
        with pytest.raises(WrongRole):
            audit.world.client(person).logged("/audit/dossier", AskDossier(access=1), Dossier)


def test_every_search_has_an_index(audit: Audited) -> None:
    from audit.office.store import accesses
    from models.oversight import SearchAccesses

    asked: list[str] = []
    with audit.office.engine.connect() as connection:
        for name in accesses.EQUAL:
            if name == "purpose":  # three words for everything: the time's index serves it
                continue
            column = accesses.EQUAL[name]
            accesses.search(connection, SearchAccesses(**{name: "x"}), None, 0)
            query = f"select id from office_access where {column} = 'x' order by at desc, id desc limit 100"
            [plan] = [row.detail for row in connection.execute(text("explain query plan " + query))]
            asked.append(plan)
    assert all("USING" in plan and "INDEX ix_office_access_" in plan for plan in asked), asked


def dossier(audit: Audited, **ask: object) -> Dossier:
    number = audit.search(**ask).accesses[0].id
    return audit.auditor.logged("/audit/dossier", AskDossier(access=number), Dossier).answer


def states(audit: Audited, found: Dossier) -> dict[str, str]:
    files = {one.name: one.data for one in found.files}
    checks = check_access(files, audit.trust)
    assert [check.name for check in checks] == list(NAMES)
    assert all(check.detail for check in checks)
    return {check.name: check.state for check in checks}


def test_everything_behind_a_used_check_is_verified(audit: Audited) -> None:
    found = states(audit, dossier(audit, subject=ALICE))
    absent = {"approval", "batch"}
    assert found == {name: ABSENT if name in absent else VERIFIED for name in NAMES}


def test_an_unused_check_has_no_evaluation_and_no_report(audit: Audited) -> None:
    found = states(audit, dossier(audit, subject=BOB))
    absent = {"approval", "batch", "node-leaf", "reports"}
    assert found == {name: ABSENT if name in absent else VERIFIED for name in NAMES}


def test_a_refusal_and_a_look_have_their_leaves(audit: Audited) -> None:
    for result in ("refused", "looked-in-vain"):
        found = states(audit, dossier(audit, subject=CAROL, result=result))
        assert found["office-leaf"] == found["opening"] == VERIFIED
        assert found["ticket"] == ABSENT
        assert FAILED not in found.values()


def test_evidence_that_was_changed_does_not_verify(audit: Audited) -> None:
    files = {one.name: one.data for one in dossier(audit, subject=ALICE).files}
    other = {one.name: one.data for one in dossier(audit, subject=BOB).files}
    swapped = {
        "office-leaf.json": "office-leaf",
        "office-leaf.opening": "opening",
        "ticket.signed": "ticket",
        "request.json": "request-proof",
    }
    for name, check in swapped.items():
        found = {one.name: one.state for one in check_access(files | {name: other[name]}, audit.trust)}
        assert found[check] == FAILED, name
    for name in sorted(files):
        changed = bytearray(files[name])
        changed[len(changed) // 2] ^= 1
        found = [one.state for one in check_access(files | {name: bytes(changed)}, audit.trust)]
        assert FAILED in found or name == "missing.json" or found != [o.state for o in check_access(files, audit.trust)], name


def test_an_erased_opening_leaves_the_leaf_verifiable(audit: Audited) -> None:
    found = dossier(audit, subject=CAROL, result="looked-in-vain")
    files = {one.name: one.data for one in found.files}
    del files["office-leaf.opening"]
    by_name = {one.name: one for one in check_access(files, audit.trust)}
    assert (by_name["office-leaf"].state, by_name["opening"].state) == (VERIFIED, ABSENT)
    with pytest.raises(NotFound):
        audit.auditor.logged("/audit/dossier", AskDossier(access=10**6), Dossier)
