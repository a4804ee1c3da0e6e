"""Erasing one subject, and purges by class: each leaves a leaf, names nobody, and the log verifies as before."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, update

from audit.office.acts import DAYS
from audit.office.approval_tables import act as filed_act
from audit.office.records import CLASSES, KEPT, MINIMUM, parse_periods
from audit.office.retention import ACTS, DAY, Retaining
from audit.office.rights_tables import dispute
from audit.office.tables import access, consent, log, metadata, report, ticket
from audit.verifier.log_check import check_log
from models import wire
from models.approvals import LAPSED, Act, ActKind, FileAct
from models.consents import Consent, ConsentKind, RevokeConsent
from models.log_health import LogHealth
from models.logged import Empty, Logged
from models.problems import Conflict, SecondClerk, Unusable
from models.projects import Decision
from models.reports import CheckOutcome, CheckReport
from models.retention import Erased, EraseSubject, FormsGone, Ground, Retention
from models.scans import drop_scans, keep_scan
from tests.office.world import ALICE, BOB, World, running


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An office in which Bob and Alice were asked about; the first tests tell its story over years, one after the other."""
    folder = tmp_path_factory.mktemp("office")
    folder.chmod(0o700)
    with running(folder) as made:
        made.consented(BOB, ALICE)
        made.project("p1")
        made.seal(project="p1")
        for subject in (BOB, ALICE):
            given = made.ask(made.question(subject)).results[0].ticket
            assert given is not None
            said = CheckReport(ticket=given.digest(), outcome=CheckOutcome.APPROVED, reference="x", decided_at=made.now)
            made.officer.logged("/reports", wire.sign(said, "bank-a/li", made.keys["bank-a/li"]), Empty)
        yield made


def ask(subject: str, ground: Ground = Ground.COURT, reference: str = "judgment 17") -> EraseSubject:
    return EraseSubject(subject=subject, ground=ground, reference=reference)


def rows(world: World, subject: str) -> int:
    """Rows in any table with the subject in a column of that name, and openings that hold its bytes."""
    total = 0
    with world.office.engine.connect() as connection:
        for table in metadata.sorted_tables:
            if "subject" in table.c:
                query = select(func.count()).select_from(table).where(table.c.subject == subject)
                total += connection.execute(query).scalar_one()
        openings = connection.execute(select(log.openings.c.opening)).scalars()
        total += sum(subject.encode() in bytes(opening) for opening in openings)
    return total


def verified(world: World) -> int:
    """The size of the office's log, found whole from its files."""
    served = world.office.log

    def fetch(path: str) -> bytes:
        return served.checkpoint().encode() if path == "checkpoint" else served.fetch(path)

    return check_log(fetch, [served.signer.key]).size


def test_every_table_with_a_subject_has_a_class_or_a_reason() -> None:
    covered = {part.table.name for one in CLASSES for part in one.parts} | set(KEPT)
    assert {table.name for table in metadata.sorted_tables if "subject" in table.c} <= covered


def test_what_is_still_open_is_not_erased(world: World) -> None:
    for ground in (Ground.WITHDRAWN, Ground.ENDED):
        with pytest.raises(Conflict, match="withdraw"):
            world.clerk.logged("/subjects/erase", ask(ALICE, ground), Erased)
    with pytest.raises(Unusable, match="request or decision"):
        world.clerk.logged("/subjects/erase", ask(ALICE, reference=" "), Erased)


def test_a_subject_is_erased_and_the_log_verifies(world: World) -> None:
    before, others = world.leaves(), rows(world, ALICE)
    with world.office.engine.connect() as connection:
        documents = connection.execute(select(consent.c.document).where(consent.c.subject == BOB)).scalars()
        forms = {wire.decode(bytes(one), Consent).evidence_digest for one in documents}
    assert rows(world, BOB) > 4
    answer = world.clerk.logged("/subjects/erase", ask(BOB), Erased).answer
    went = {one.name: one.erased for one in answer.classes}
    assert went["consents"] == 2
    assert went["tickets"] == went["accesses"] == 1
    assert went["openings"] > 0
    assert {form.digest for form in world.clerk.get("/retention/forms", FormsGone).forms} == forms
    assert rows(world, BOB) == 0
    assert rows(world, ALICE) == others, "nobody else loses anything"
    with world.office.engine.connect() as connection:
        reports = connection.execute(select(func.count()).select_from(report)).scalar_one()
        answers = connection.execute(select(metadata.tables["gate_answer"].c.answer)).scalars()
        assert not any(BOB.encode() in bytes(stored) for stored in answers)
    assert reports == 1
    after = world.leaves()
    assert after[: len(before)] == before, "leaves stay"
    assert (after[-1]["action"], after[-1]["facts"]["ground"]) == ("subject.erase", "court")
    assert BOB not in str(after)
    assert verified(world) == len(after)


def test_what_must_be_kept_is_kept_and_said(world: World) -> None:
    with world.office.engine.connect() as connection:
        ids = connection.execute(select(consent.c.id).where(consent.c.subject == ALICE)).scalars().all()
    for number in ids:
        world.clerk.logged("/consents/revoke", RevokeConsent(consent=number), Empty)
    answer = world.clerk.logged("/subjects/erase", ask(ALICE, Ground.WITHDRAWN, "letter 3"), Erased).answer
    by_name = {one.name: one for one in answer.classes}
    assert sum(one.erased for one in answer.classes) == 0
    assert by_name["tickets"].kept == 1
    assert 0 <= world.now + MINIMUM["tickets"] * DAY - by_name["tickets"].kept_until < 3600, "from when it was given"
    assert by_name["openings"].kept > 0


def test_the_daily_purge(world: World) -> None:
    retaining = Retaining(world.office)
    assert all(run.count == 0 for run in retaining.run_once()), "nothing is due yet"
    quiet = len(world.leaves())
    with world.office.engine.connect() as connection:
        people = connection.execute(select(func.count()).select_from(access)).scalar_one()
    world.clock.shift += (parse_periods("")["tickets"] + 2) * DAY
    gone = {run.name: run.count for run in retaining.run_once()}
    assert gone["tickets"] == 1
    assert gone["accesses"] == people
    assert gone["consents"] == gone["openings"] == 0, "longer periods"
    world.clerk.logged("/subjects/erase", ask("opaque:nobody"), Erased)  # what was queued before it has its index now
    leaves = [leaf["facts"] for leaf in world.leaves()[quiet:] if leaf["action"] == "retention.purge"]
    assert {(fact["class"], fact["count"]) for fact in leaves} == {("tickets", 1), ("accesses", people)}
    with world.office.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(ticket)).scalar_one() == 0
    shown = world.clerk.get("/retention", Retention)
    assert {(run.name, run.count) for run in shown.runs} >= {("tickets", 1), ("openings", 0)}
    assert {rule.name: rule.days for rule in shown.rules} == parse_periods("")
    assert verified(world) == len(world.leaves())


def test_openings_go_last_and_the_log_still_verifies(world: World) -> None:
    retaining = Retaining(world.office)
    world.clock.shift += (parse_periods("")["openings"] - parse_periods("")["tickets"]) * DAY
    with world.office.engine.connect() as connection:
        before = connection.execute(select(func.count()).select_from(log.openings)).scalar_one()
    gone = {run.name: run.count for run in retaining.run_once()}
    assert 0 < gone["openings"] < before, "those of the last days stay"
    assert {run.count for run in retaining.run_once() if run.name == "openings"} == {0}, "once"
    world.clerk.logged("/subjects/erase", ask("opaque:nobody"), Erased)
    assert verified(world) == len(world.leaves())


def objection(world: World, subject: str, state: str = "open") -> None:
    row = {
        "id": f"{subject}-{state}", "subject": subject, "field": "f", "statement": "s", "withheld": 0, "filed_by": "x",
        "filed_at": 1, "warned": 0, "state": state, "evidence_name": "", "evidence_digest": "", "evidence": b"", "letter": None,
    }  # fmt: skip
    with world.office.engine.begin() as connection:
        connection.execute(insert(dispute).values(row))


def test_an_open_objection_is_not_purged(world: World) -> None:
    for state in ("open", "corrected"):
        objection(world, "opaque:d", state)
    gone = {run.name: run.count for run in Retaining(world.office).run_once()}
    assert gone["disputes"] == 1


def test_a_form_goes_with_its_last_consent(world: World) -> None:
    shared, again = "a" * 64, "b" * 64
    world.file(*(world.consent(f"opaque:v{n}", ConsentKind.QUERY, evidence_digest=shared) for n in range(2)))
    for kind in (ConsentKind.QUERY, ConsentKind.COLLECTION):
        world.file(world.consent("opaque:v0", kind, evidence_digest=again))

    def gone() -> set[str]:
        return {form.digest for form in world.clerk.get("/retention/forms", FormsGone).forms}

    world.clerk.logged("/subjects/erase", ask("opaque:v0"), Erased)
    assert again in gone()
    assert shared not in gone(), "another's consent rests on it"
    world.clerk.logged("/subjects/erase", ask("opaque:v1"), Erased)
    assert shared in gone()


def test_scans_of_gone_forms_are_deleted(tmp_path: Path) -> None:
    first, second, third = (keep_scan(b"%PDF-" + name, tmp_path) for name in (b"1", b"2", b"3"))
    now = int(time.time())
    assert drop_scans(tmp_path, {first: now, second: now - 3600, "c" * 64: now}) == 1
    assert {file.stem for file in tmp_path.iterdir()} == {second, third}, "one was handed in again since"
    assert drop_scans(tmp_path / "none", {first: now}) == 0


def test_two_clerks(world: World) -> None:
    objection(world, "opaque:e")
    world.office.settings.second_clerk = str(ActKind.SUBJECT_ERASE)
    with pytest.raises(SecondClerk):
        world.clerk.logged("/subjects/erase", ask("opaque:e"), Erased)
    document = wire.encode(ask("opaque:e"))
    act = world.clerk.logged("/acts", FileAct(action=ActKind.SUBJECT_ERASE, document=document, reason="judgment"), Act).answer
    assert rows(world, "opaque:e") == 1
    decision = Decision(subject=act.id, approve=True, reason="read it")
    world.client("office/chen").logged(f"/acts/{act.id}/decision", decision, Act)
    assert rows(world, "opaque:e") == 0
    world.office.settings.second_clerk = ""


def test_what_waits_too_long_for_a_second_clerk_is_forgotten(world: World) -> None:
    objection(world, "opaque:f")
    world.office.settings.second_clerk = str(ActKind.SUBJECT_ERASE)
    file = FileAct(action=ActKind.SUBJECT_ERASE, document=wire.encode(ask("opaque:f")), reason="judgment")
    act = world.clerk.logged("/acts", file, Act).answer
    late = int(world.office.clock()) - DAYS * DAY - 1
    with world.office.engine.begin() as connection:
        connection.execute(update(filed_act).where(filed_act.c.id == act.id).values(filed_at=late))
    [lapsed] = [run for run in Retaining(world.office).run_once() if run.name == ACTS]
    assert lapsed.count == 1
    opened = wire.decode(world.clerk.get(f"/acts/{act.id}", Logged).answer, Act)
    assert (opened.state, opened.document) == (LAPSED, b"")
    decision = Decision(subject=act.id, approve=True, reason="read it")
    with pytest.raises(Conflict, match="anew"):
        world.client("office/chen").logged(f"/acts/{act.id}/decision", decision, Act)
    assert rows(world, "opaque:f") == 1
    world.office.settings.second_clerk = ""


def test_periods_have_minima() -> None:
    assert parse_periods("tickets=4000")["tickets"] == 4000
    for wrong in ("tickets=100", "letters=5000", "tickets", "tickets=x"):
        with pytest.raises(ValueError, match=r"kept|classes"):
            parse_periods(wrong)


def test_the_log_tells_how_it_stands(world: World) -> None:
    health = world.client("office/audit").get("/log-health", LogHealth)
    assert health.size == len(world.leaves())
    assert (health.origin, health.waiting, health.witnesses) == (world.office.log.origin, 0, ())


def test_every_class_has_a_default_above_its_minimum() -> None:
    assert all(one.days >= one.minimum for one in CLASSES)
