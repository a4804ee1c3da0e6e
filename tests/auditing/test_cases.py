"""Alarms that auditors handle; cases, and their evidence as a file that verifies without anybody."""

from __future__ import annotations

import base64
import io
import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from audit.database import writing
from audit.dossier import bundle as bundles
from audit.dossier.checks import check_access
from audit.dossier.evidence import ABSENT, FAILED, VERIFIED, LogTrust, Mismatch, Missing, Trust
from audit.dossier.words import tell
from audit.office import tables
from audit.office.audit_tables import alarm_event
from audit.office.audit_tables import case as case_table
from audit.office.retention import Retaining
from models.alarms import ACKNOWLEDGED, CLOSED, OPEN, AlarmHistory, Alarms, AskAlarm, AskAlarms, HandleAlarm
from models.cases import AddItem, AskCase, AskCases, Bundle, Case, Cases, CloseCase, ItemKind, OpenCase
from models.cli import main
from models.logged import Empty
from models.oversight import AskDossier, Dossier
from models.problems import Conflict, NotFound, OwnRequest, Problem, Unusable, WrongRole
from models.retention import Erased, EraseSubject, Ground
from models.tables import Evidence
from tests.auditing.conftest import ALICE, AUDITOR, BOB, CAROL, TIMEOUT, Audited
from tests.auditing.test_reconcile import findings, ticket_deleted
from tests.services import OFFICER

FLIPS = 600


def alarm(audit: Audited, what: str = "column damaged") -> int:
    audit.world.officer.logged("/evidence", Evidence(what=what, table="t", epoch=1, detail="d", artefacts=(b"\1",)), Empty)
    return audit.auditor.logged("/audit/alarms", AskAlarms(kind="evidence"), Alarms).answer.alarms[0].id


def handle(audit: Audited, number: int, state: str, reason: str = "looked into") -> AlarmHistory:
    return audit.auditor.logged(
        "/audit/alarm/state", HandleAlarm(alarm=number, state=state, reason=reason), AlarmHistory
    ).answer


def test_an_alarm_is_acknowledged_and_closed_with_reasons_by_a_named_auditor(audit: Audited) -> None:
    number = alarm(audit)
    assert handle(audit, number, ACKNOWLEDGED).alarm.state == ACKNOWLEDGED
    with pytest.raises(Conflict):
        handle(audit, number, ACKNOWLEDGED)
    with pytest.raises(Unusable):
        handle(audit, number, CLOSED, "  ")
    with pytest.raises(Unusable):
        handle(audit, number, "solved")
    closed = handle(audit, number, CLOSED, "the bank's disk")
    kept = audit.auditor.logged("/audit/alarm", AskAlarm(alarm=number), AlarmHistory).answer
    assert kept == closed
    assert [(event.state, event.by) for event in kept.events] == [(ACKNOWLEDGED, AUDITOR), (CLOSED, AUDITOR)]
    assert number not in {one.id for one in audit.auditor.logged("/audit/alarms", AskAlarms(state=OPEN), Alarms).answer.alarms}
    with pytest.raises(WrongRole):
        audit.world.clerk.logged("/audit/alarm", AskAlarm(alarm=number), AlarmHistory)
    with pytest.raises(NotFound):
        handle(audit, 10**6, CLOSED)


def test_what_happens_again_is_open_again_and_nobody_judges_an_alarm_about_themselves(audit: Audited) -> None:
    from audit.database import writing
    from audit.office.store import alarms

    def again(about: str) -> int:
        with writing(audit.office.engine) as connection:
            alarms.raise_or_count(
                connection, same=("x", about), at=1, kind="burst", institution="bank-a", about=about, detail="d",
                measured=31, threshold=30,
            )  # fmt: skip
        return audit.auditor.logged("/audit/alarms", AskAlarms(kind="burst"), Alarms).answer.alarms[0].id

    number = again(OFFICER)
    handle(audit, number, CLOSED)
    assert again(OFFICER) == number
    history = audit.auditor.logged("/audit/alarm", AskAlarm(alarm=number), AlarmHistory).answer
    assert (history.alarm.state, history.alarm.count, history.alarm.measured) == (OPEN, 2, 31)
    with pytest.raises(OwnRequest):
        handle(audit, again(AUDITOR), CLOSED)


@pytest.fixture(scope="module")
def case(audit: Audited) -> Case:
    """A case with a used check, an unused one, a refusal, an alarm, a finding and a note; closed with a finding."""
    opened = audit.auditor.logged("/audit/cases", OpenCase(title="Who asked about Alice?"), Case).answer
    numbers = [audit.search(subject=subject).accesses[0].id for subject in (ALICE, BOB, CAROL)]
    ticket_deleted(audit)
    audit.reconciled()
    add(audit, opened.id, ItemKind.NOTE, text="Alice came to the window.")
    for number in numbers:
        add(audit, opened.id, ItemKind.ACCESS, number)
    add(audit, opened.id, ItemKind.ALARM, alarm(audit, "hint differs"))
    [found] = [one for one in findings(audit) if one.rule == "leaf-without-ticket"]
    add(audit, opened.id, ItemKind.FINDING, found.id)
    ending = CloseCase(case=opened.id, finding="In order, but for one row that was deleted.")
    return audit.auditor.logged("/audit/cases/close", ending, Case).answer


def add(audit: Audited, number: int, kind: ItemKind, ref: int = 0, text: str = "") -> Case:
    return audit.auditor.logged("/audit/cases/items", AddItem(case=number, kind=kind, ref=ref, text=text), Case).answer


def export(audit: Audited, number: int) -> Bundle:
    return audit.auditor.logged("/audit/cases/bundle", AskCase(case=number), Bundle).answer


def test_a_case_gathers_and_ends(audit: Audited, case: Case) -> None:
    assert [item.kind for item in case.items] == ["note", "access", "access", "access", "alarm", "finding"]
    assert (case.state, case.closed_by) == ("closed", AUDITOR)
    with pytest.raises(Conflict):
        add(audit, case.id, ItemKind.NOTE, text="too late")
    another = audit.auditor.logged("/audit/cases", OpenCase(title="another"), Case).answer
    for kind in (ItemKind.ACCESS, ItemKind.ALARM, ItemKind.FINDING):
        with pytest.raises(NotFound):
            add(audit, another.id, kind, 10**6)
    with pytest.raises(Unusable):
        add(audit, another.id, ItemKind.NOTE)
    add(audit, another.id, ItemKind.ALARM, 1)
    with pytest.raises(Conflict):
        add(audit, another.id, ItemKind.ALARM, 1)
    listed = audit.auditor.logged("/audit/cases/search", AskCases(state="open"), Cases).answer.cases
    assert [one.id for one in listed] == [another.id]
    assert audit.auditor.logged("/audit/cases/show", AskCase(case=case.id), Case).answer == case


def test_a_bundle_verifies_and_says_what_it_verified(audit: Audited, case: Case) -> None:
    made = export(audit, case.id)
    verdict = bundles.verify_bundle(made.data, audit.trust)
    assert verdict.failed == []
    assert [check.state for check in verdict.own] == [VERIFIED] * 4
    alice = verdict.accesses[case.items[1].ref]
    assert sum(check.state == VERIFIED for check in alice) == 9
    assert sum(check.state == ABSENT for check in verdict.accesses[case.items[3].ref]) >= 5
    text = "\n".join(tell(verdict))
    assert "Everything that is there holds." in text
    assert "[verified] The bank proved that its blinded element is this subject's" in text
    assert export(audit, case.id).data == made.data, "an unchanged case gives the same bytes"


def test_the_office_cannot_say_in_its_log_what_the_node_evaluated(audit: Audited) -> None:
    """Both logs' keys are known to the reader, but an evaluation is the node's to log."""
    asked = AskDossier(access=audit.search(subject=ALICE).accesses[0].id)
    files = {one.name: one.data for one in audit.auditor.logged("/audit/dossier", asked, Dossier).answer.files}
    log = audit.office.log
    with writing(audit.office.engine) as connection:
        queued = log.enqueue(connection, files["node-leaf.json"])
    own = {"node-leaf.receipt": log.receipt(log.place(queued, TIMEOUT).index, TIMEOUT).encode()}
    states = {one.name: one.state for one in check_access(files | own, audit.trust)}
    assert (states["office-leaf"], states["node-leaf"]) == (VERIFIED, FAILED)


def test_another_offices_key_or_an_unknown_log_verifies_nothing(audit: Audited, case: Case) -> None:
    data, trust = export(audit, case.id).data, audit.trust
    with pytest.raises(Problem):
        bundles.verify_bundle(data, Trust(audit.pair.office.node_key.public_key(), trust.logs))
    verdict = bundles.verify_bundle(data, Trust(trust.office, trust.logs[:1]))
    failed = {check.name for _, check in verdict.failed}
    assert failed == {"node-leaf"}
    strict = Trust(trust.office, tuple(LogTrust(log.key, log.witnesses, 2) for log in trust.logs))
    assert {"office-leaf", "node-leaf", "manifest"} <= {check.name for _, check in bundles.verify_bundle(data, strict).failed}


def test_no_bit_of_a_bundle_can_be_flipped(audit: Audited, case: Case) -> None:
    data, key = export(audit, case.id).data, audit.trust.office
    bundles.open_bundle(data, key)
    rng = random.Random(7)
    places = [*range(128), *range(len(data) - 128, len(data)), *rng.sample(range(len(data)), FLIPS - 256)]
    for place in places:
        changed = bytearray(data)
        changed[place] ^= 1 << rng.randrange(8)
        with pytest.raises((Mismatch, Missing, Problem)):
            bundles.open_bundle(bytes(changed), key)
    for other in (data[:-512], data + bytes(512), b"", data[512:]):
        with pytest.raises((Mismatch, Missing, Problem)):
            bundles.open_bundle(other, key)


def test_the_office_itself_cannot_make_evidence_up(audit: Audited, case: Case) -> None:
    """Signed anew over a leaf, a subject or a report of its choice, what was logged and signed by others no longer fits."""
    opened = bundles.open_bundle(export(audit, case.id).data, audit.trust.office)
    number = case.items[1].ref
    for name in ("access.json", "office-leaf.json", "office-leaf.opening", "request.json", "report-0.signed"):
        whole = f"access/{number}/{name}"
        files = dict(opened.files) | {whole: opened.files[whole].replace(b"alice", b"carol").replace(b"approved", b"declined")}
        del files[bundles.MANIFEST], files[bundles.README]
        if files[whole] == opened.files[whole]:
            files[whole] = opened.files[f"access/{case.items[2].ref}/office-leaf.json"]
        again = bundles.make_bundle(files, opened.manifest, audit.office.keys.statement)
        states = [check.state for check in bundles.verify_bundle(again, audit.trust).accesses[number]]
        assert FAILED in states, name


def test_the_command_verifies_without_any_service(audit: Audited, case: Case, tmp_path: Path) -> None:
    file = tmp_path / "case.tar"
    file.write_bytes(export(audit, case.id).data)
    office = base64.b64encode(audit.office.keys.statement.public_key().public_bytes_raw()).decode()
    keys = [f"--log-key={log.key}" for log in audit.trust.logs]
    keys += [f"--witness-key={witness}" for log in audit.trust.logs for witness in log.witnesses]
    command = ["verify-bundle", str(file), f"--office-key={office}", *keys]
    assert run(command) == 0
    file.write_bytes(file.read_bytes().replace(b"Alice came", b"Alice went"))
    assert run(command) == 1


def test_a_purged_alarm_is_said_to_be_missing(audit: Audited) -> None:
    opened = audit.auditor.logged("/audit/cases", OpenCase(title="an old alarm"), Case).answer
    number = alarm(audit, "receipt")
    add(audit, opened.id, ItemKind.ALARM, number)
    with writing(audit.office.engine) as connection:
        for table, column in ((alarm_event, alarm_event.c.alarm), (tables.alarm, tables.alarm.c.id)):
            connection.execute(delete(table).where(column == number))
    verdict = bundles.verify_bundle(export(audit, opened.id).data, audit.trust)
    assert verdict.failed == []
    [items] = [check for check in verdict.own if check.name == "items"]
    assert f"1 items, of which 1 were erased or purged before the export: alarm/{number}" in items.detail
    assert "1 项导出前已删除或清除" in items.zh


def test_bundles_that_name_an_erased_subject_go_and_the_case_stays(audit: Audited) -> None:
    cases_of = {}
    for subject in (ALICE, CAROL):
        opened = audit.auditor.logged("/audit/cases", OpenCase(title="one subject"), Case).answer
        add(audit, opened.id, ItemKind.ACCESS, audit.search(subject=subject).accesses[0].id)
        cases_of[subject] = opened.id, export(audit, opened.id)

    def kept(subject: str) -> tuple[bytes | None, str]:
        with audit.office.engine.connect() as connection:
            query = select(case_table.c.bundle, case_table.c.bundle_digest)
            row = connection.execute(query.where(case_table.c.id == cases_of[subject][0])).one()
        return row.bundle, row.bundle_digest

    erase = EraseSubject(subject=CAROL, ground=Ground.COURT, reference="judgment 4")
    answer = audit.world.clerk.logged("/subjects/erase", erase, Erased).answer
    assert {one.name: one.erased for one in answer.classes}["bundles"] >= 1
    assert kept(CAROL) == (None, cases_of[CAROL][1].digest), "the digest stays, as in the leaf"
    assert kept(ALICE)[0] == cases_of[ALICE][1].data, "nobody else's"
    again = export(audit, cases_of[CAROL][0])
    assert CAROL.encode() not in again.data
    assert bundles.verify_bundle(again.data, audit.trust).failed == []
    with writing(audit.office.engine) as connection:
        connection.execute(delete(tables.access).where(tables.access.c.subject == ALICE))
    assert {run.name: run.count for run in Retaining(audit.office).run_once()}["bundles"] >= 1
    assert kept(ALICE)[0] is None, "what its accesses were purged from is not kept in a bundle"


def run(command: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(command)
    return int(ended.value.code or 0)


def sparse() -> bytes:
    """Ten kilobytes that unpack to four gigabytes."""
    return _tar_of({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 32)}, b"1\n0\n0\n")


def long_name() -> bytes:
    return _tar_of({}, b"", name="x" * 400)


def _tar_of(headers: dict[str, str], body: bytes, name: str = bundles.MANIFEST) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for each in (name, bundles.MANIFEST) if name != bundles.MANIFEST else (name,):
            info = tarfile.TarInfo(each)
            info.size, info.pax_headers = 512, headers
            tar.addfile(info, io.BytesIO(body.ljust(512, b"\0")))
    return out.getvalue()


@pytest.mark.parametrize("made", [sparse, long_name])
def test_a_file_that_somebody_made_up_is_refused_in_words(audit: Audited, made: Callable[[], bytes]) -> None:
    with pytest.raises(Mismatch):
        bundles.open_bundle(made(), audit.trust.office)
