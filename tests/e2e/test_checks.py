"""An officer's check: one record byte for byte, nothing where there is none, and a leaf for each refusal."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest
from sqlalchemy import create_engine

from bank_client import PrivateQuery, authorised_check
from models import wire
from models.consents import Purpose
from models.logged import Empty
from models.problems import URN, NoConsent, NotApproved, Problem, Suspended
from models.projects import Target
from models.records import RecordForm
from models.tickets import Accesses, AccessQuery, RequestTickets
from sharing_node.records import Marks, iterate_check_records
from tests.e2e.village import CHECK_FIELDS, Village, Watch, catalogue

pytestmark = pytest.mark.e2e

IN_ORDER = tuple(sorted(CHECK_FIELDS))  # as the node keeps the fields of a project
FORM = RecordForm(IN_ORDER, ("farm", "money"))


def held(place: Village) -> dict[str, bytes]:
    """What the node's own database holds for the checked field set, by subject."""
    engine = create_engine(f"sqlite:///{place.database('node')}")
    with engine.connect() as connection:
        found = dict(iterate_check_records(connection, catalogue().select(IN_ORDER), Marks(), date.today()))
    engine.dispose()
    return found


def test_the_record_is_byte_for_byte_what_the_node_holds(place: Village, check_project: str) -> None:
    stored = held(place)
    with place.bank("bank-a/officer") as bank:
        query = PrivateQuery(bank, check_project, place.checks[1])
        for subject in place.applicants[:6]:  # each of the remarks, and of the gaps
            result = query.ask(subject)
            assert result.record == stored[f"opaque:{subject}"]
            record = FORM.decode(result.record or b"")
            assert set(record.fields) <= set(CHECK_FIELDS)
            assert set(record.sources) == {catalogue()[name].category for name in record.fields}
        assert any("😀" in (query.ask(s).record or b"").decode() for s in place.applicants[6:10])


def test_nothing_is_returned_by_the_same_calls_where_there_is_no_record(place: Village, check_project: str) -> None:
    def calls(subject: str) -> list[Any]:
        watch = Watch()
        with place.bank("bank-a/officer", watch) as bank:
            query = PrivateQuery(bank, check_project, place.checks[1])
            query.ask(place.applicants[1])  # fetches directory and hint, which serve every later question
            before = len(watch.calls)
            result = query.ask(subject)
            assert (result.record is None) == (subject == place.special("absent"))
            assert result.receipt is not None
        watch.calls = watch.calls[before:]
        return watch.sequence

    present, absent = calls(place.applicants[2]), calls(place.special("absent"))
    assert [call[:4] for call in present] == [call[:4] for call in absent], "the same calls, as long"
    assert len(present) == 5
    assert [call[4] for call in present[2:4]] == [call[4] for call in absent[2:4]], "evaluation and column are as long"


REFUSALS: dict[str, type[Problem]] = {
    "no consent": NoConsent,
    "revoked": NoConsent,
    "expired": NoConsent,
    "other purpose": NoConsent,
    "other bank": NoConsent,
    "no collection": NoConsent,
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_without_a_consent_that_covers_it_a_question_is_refused(place: Village, check_project: str, reason: str) -> None:
    refused(place, check_project, REFUSALS[reason], subject=place.special(reason))


def test_another_purpose_than_the_projects_is_refused(place: Village, check_project: str) -> None:
    refused(place, check_project, NotApproved, purpose=Purpose.POST_LOAN)


def test_a_suspended_officer_is_refused_at_once(place: Village, check_project: str) -> None:
    with suspended(place, "person", "bank-a/other"):
        refused(place, check_project, Suspended, person="bank-a/other", action="ticket")
    with place.bank("bank-a/other") as bank:
        assert authorised_check(bank, check_project, place.applicants[3]).record is not None


def test_a_suspended_project_is_refused_at_once(place: Village, check_project: str) -> None:
    with suspended(place, "project", check_project):
        refused(place, check_project, Suspended)


@contextmanager
def suspended(place: Village, kind: str, target: str) -> Any:
    word = Target(kind=kind, id=target, suspended=True, reason="under review")
    place.main.clerk.logged("/suspensions", word, Empty)
    try:
        yield
    finally:
        place.main.clerk.logged("/suspensions", wire.replace(word, suspended=False), Empty)


def refused(
    place: Village,
    project: str,
    problem: type[Problem],
    *,
    subject: str = "",
    purpose: str = Purpose.LOAN_APPROVAL,
    person: str = "bank-a/officer",
    action: str = "ticket",
) -> None:
    """Ask, and expect this problem and exactly one leaf for it; nothing reaches the node's evaluation."""
    subject = subject or place.applicants[4]
    before, at_node = place.leaves("office"), place.leaves("node")
    with place.bank(person) as bank, pytest.raises(problem) as caught:
        PrivateQuery(bank, project, place.checks[1]).ask(subject, purpose)
    assert caught.value.detail
    assert caught.value.next_step
    assert subject not in f"{caught.value.detail} {caught.value.next_step}"
    [leaf] = place.leaves("office")[len(before) :]
    assert (leaf["action"], leaf["outcome"], leaf["problem"]) == (action, "refused", problem.slug())
    assert leaf["institution"] == "bank-a"
    assert place.leaves("node")[len(at_node) :] == []


def test_a_refusal_is_a_problem_document(place: Village, check_project: str) -> None:
    captured: list[bytes] = []
    with place.bank("bank-a/officer") as bank:
        query = PrivateQuery(bank, check_project, place.checks[1])
        send = bank.office.client._send

        def keep(method: str, path: str, body: bytes, *rest: Any) -> bytes:
            captured.append(body)
            return send(method, path, body, *rest)

        bank.office.client._send = keep  # type: ignore[assignment, method-assign]
        with pytest.raises(NoConsent):
            query.ask(place.special("no consent"))
    assert wire.decode(captured[-1], RequestTickets)
    response = place.send("office", "bank-a/officer", "POST", "/tickets", captured[-1])
    assert (response.status_code, response.headers["content-type"]) == (403, "application/problem+json")
    document = response.json()
    assert set(document) == {"type", "title", "status", "detail", "advice"}
    assert (document["type"], document["status"]) == (f"{URN}no-consent", 403)


def test_the_subject_is_told_who_looked_and_who_tried(place: Village, check_project: str) -> None:
    def asked(subject: str) -> list[str]:
        query = AccessQuery(subject=f"opaque:{subject}")
        return [a.outcome for a in place.main.clerk.logged("/accesses", query, Accesses).answer.accesses]

    subject = place.applicants[5]
    before = asked(subject)
    with place.bank("bank-a/officer") as bank:
        PrivateQuery(bank, check_project, place.checks[1]).ask(subject)
        with pytest.raises(NotApproved):
            PrivateQuery(bank, check_project, place.checks[1]).ask(subject, Purpose.POST_LOAN)
    assert asked(subject)[len(before) :] == ["granted", "not-approved"]
