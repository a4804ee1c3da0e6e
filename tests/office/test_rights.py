"""Rights of subjects: who may see what, objections from filing to letter, credit repair, and proofs of use."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select
from typer.testing import CliRunner

from audit.office import duties
from audit.office.rights_tables import alignment_row, dispute
from audit.verifier.cohorts import verify_alignment_use
from audit.verifier.errors import ProofError
from crypto.errors import CryptoError
from models import wire
from models.alarm_rules import rule_of
from models.archives import ArchiveLeave, AskArchive, Ground, ModelUse, ModelUses
from models.consents import Eligibility, Filed, FileObjections, Objection
from models.disputes import (
    OPEN,
    AnswerCorrection,
    AnswerDispute,
    ApplyRepair,
    AskCorrection,
    AskFilings,
    Correction,
    Corrections,
    DecideRepair,
    Dispute,
    Disputes,
    FiledEvidence,
    Filing,
    Finding,
    Letter,
    RaiseDispute,
    RepairCases,
)
from models.http_client import SignedClient
from models.logged import Empty
from models.problems import BadIdentity, Conflict, Forbidden, NotFound, OwnRequest, TooLarge, Unusable
from models.reports import CheckOutcome, CheckReport
from models.rights import AlignmentUses, AskSubject, CloseAccount, OpenAccount
from models.tickets import Accesses, AccessQuery
from models.wire import Signed
from sharing_node.corrections import app as stewards
from tests.office.test_alignments import alignment, file, joint, willing  # noqa: F401 - the fixture of a joint project
from tests.office.test_manifests import alarms
from tests.office.world import World

FIELD = "main_product"
PHOTO = FiledEvidence(name="合同.jpg", content=b"\xff\xd8 a photograph")
DAY = 86_400


def window(world: World) -> SignedClient:
    return world.client("office/window")


def account(world: World, name: str) -> str:
    """A subject with an open account."""
    subject = f"opaque:{name}"
    world.clerk.logged("/accounts", OpenAccount(account=name, subject=subject, checked="resident identity card"), Empty)
    return subject


def marks(world: World, subject: str) -> list[Objection]:
    signed = world.node.get("/eligibility", Signed)
    listed = wire.open_signed(signed, Eligibility, "office", world.office.keys.statement.public_key())
    return [objection for objection in listed.objections if objection.subject == subject]


def raise_dispute(who: SignedClient, subject: str, **changes: Any) -> str:
    new = RaiseDispute(**{"subject": subject, "field": FIELD, "statement": "I grow rice, not maize", **changes})
    return who.logged("/disputes", new, Filing).answer.id


def cases(who: SignedClient, subject: str = "") -> tuple[Dispute, ...]:
    return who.logged("/disputes/list", AskFilings(subject=subject), Disputes).answer.disputes


def answer(world: World, case: str, finding: Finding, **changes: Any) -> Letter:
    said = AnswerDispute(finding=finding, text="we have compared the contract", **changes)
    signed = world.clerk.logged(f"/disputes/{case}/answer", said, Signed).answer
    return wire.open_signed(signed, Letter, "office", world.office.keys.statement.public_key())


def uses(world: World, subject: str, *fields: str, issued_at: int = 0) -> Signed:
    used = ModelUse(
        model="m1", project="p", bank="bank-a", cohort_root="00", fields=tuple(fields), released_at=world.now - 10
    )  # fmt: skip
    return world.by_node(ModelUses(subject=subject, issued_at=issued_at or world.now, models=(used,)))


# ---------------------------------------------------------------- accounts


def test_the_window_acts_only_for_subjects_with_an_open_account(world: World) -> None:
    asked = AccessQuery(subject="opaque:acc1")
    with pytest.raises(Forbidden, match="open account"):
        window(world).logged("/accesses", asked, Accesses)
    subject = account(world, "acc1")
    assert window(world).logged("/accesses", asked, Accesses).answer.accesses == ()
    with pytest.raises(Conflict, match="has an open account"):
        world.clerk.logged("/accounts", OpenAccount(account="other", subject=subject, checked="card"), Empty)
    world.clerk.logged("/accounts/close", CloseAccount(account="acc1"), Empty)
    with pytest.raises(Forbidden):
        window(world).logged("/accesses", asked, Accesses)
    with pytest.raises(NotFound):
        world.clerk.logged("/accounts/close", CloseAccount(account="acc1"), Empty)


@pytest.mark.parametrize("name", ["", "AB", "a b c", "x" * 65, "-abc", "名字"])
def test_names_of_accounts_are_plain(world: World, name: str) -> None:
    with pytest.raises(Unusable):
        world.clerk.logged("/accounts", OpenAccount(account=name, subject="opaque:q", checked="card"), Empty)


def test_leave_for_an_archive_names_its_ground_and_who_asked(world: World) -> None:
    subject = account(world, "leave")
    for who, ground in (("office/window", Ground.OWN_ARCHIVE), ("office/wang", Ground.OBJECTION)):
        signed = world.client(who).logged("/archives", AskArchive(subject=subject, ground=ground), Signed).answer
        leave = wire.open_signed(signed, ArchiveLeave, "office", world.office.keys.statement.public_key())
        assert (leave.subject, leave.asked_by, leave.ground) == (subject, who, ground)
        assert "条例" in leave.legal_basis
        assert 0 < leave.expires - leave.issued_at <= 600
    with pytest.raises(Forbidden, match="own archive"):
        window(world).logged("/archives", AskArchive(subject=subject, ground=Ground.OBJECTION), Signed)
    assert "leave" not in str([leaf["facts"] for leaf in world.leaves()]), "no account and no subject is in a leaf"


# ---------------------------------------------------------------- objections


def test_an_objection_marks_at_once_and_ends_with_a_letter(world: World) -> None:
    subject = account(world, "obj1")
    case = raise_dispute(window(world), subject, evidence=PHOTO)
    assert marks(world, subject) == [Objection(subject=subject, field=FIELD, open=True)]
    [listed] = cases(window(world), subject)
    assert (listed.id, listed.state, listed.by_subject, listed.days_left) == (case, OPEN, True, 20)
    assert listed.evidence_digest == hashlib.sha256(PHOTO.content).hexdigest()
    assert world.clerk.logged(f"/disputes/{case}/evidence", Empty(), FiledEvidence).answer == PHOTO
    with pytest.raises(Conflict, match="open already"):
        raise_dispute(world.clerk, subject)
    settled = Objection(subject=subject, field=FIELD, open=False)
    with pytest.raises(Conflict, match="in writing"):
        world.clerk.logged("/objections", FileObjections(objections=(settled,)), Filed)
    letter = answer(world, case, Finding.UNMARKED)
    assert (letter.subject, letter.finding, letter.models) == (subject, Finding.UNMARKED, ())
    assert marks(world, subject) == []
    [closed] = cases(window(world), subject)
    assert (closed.state, closed.letter is not None) == ("unmarked", True)
    with pytest.raises(Conflict, match="answered already"):
        answer(world, case, Finding.NOTED)


def test_a_noted_objection_stays_marked(world: World) -> None:
    subject = account(world, "obj2")
    first = raise_dispute(world.clerk, subject, withheld=True)
    assert marks(world, subject) == [Objection(subject=subject, field=FIELD, open=True, withheld=True)]
    answer(world, first, Finding.NOTED)
    noted = [Objection(subject=subject, field=FIELD, open=True)]
    assert marks(world, subject) == noted
    answer(world, raise_dispute(window(world), subject), Finding.UNMARKED)
    assert marks(world, subject) == noted, "another objection to the field is noted still"
    last = raise_dispute(window(world), subject)
    correct(world, last)
    answer(world, last, Finding.CORRECTED, uses=uses(world, subject, FIELD))
    assert marks(world, subject) == [], "what was corrected needs no note any more"


def correct(world: World, case: str) -> None:
    """The source is asked, and has corrected."""
    asked = world.clerk.logged(f"/disputes/{case}/correction", AskCorrection(request="compare"), Filing).answer.id
    done = AnswerCorrection(corrected=True, reply="it was wrong", batch="cd" * 16)
    world.client("node/steward").logged(f"/corrections/{asked}/answer", done, Filing)


@pytest.mark.parametrize("withheld", [False, True])
@pytest.mark.parametrize("of_clerk", [False, True])
def test_a_mark_from_elsewhere_outlasts_the_answer(world: World, withheld: bool, of_clerk: bool) -> None:
    subject = account(world, f"court{withheld:d}{of_clerk:d}")
    court = Objection(subject=subject, field=FIELD, open=True, withheld=withheld)
    world.clerk.logged("/objections", FileObjections(objections=(court,)), Filed)
    world.clock.shift += 5
    case = raise_dispute(world.clerk, subject, withheld=True) if of_clerk else raise_dispute(window(world), subject)
    assert marks(world, subject) == [wire.replace(court, withheld=withheld or of_clerk)]
    world.clock.shift += 5
    answer(world, case, Finding.UNMARKED)
    assert marks(world, subject) == [court]
    world.clerk.logged("/objections", FileObjections(objections=(wire.replace(court, open=False, withheld=False),)), Filed)
    assert marks(world, subject) == []


def test_a_correction_goes_by_the_source_and_lists_the_models(world: World) -> None:
    subject = account(world, "obj3")
    case = raise_dispute(window(world), subject)
    with pytest.raises(Unusable, match="has not corrected"):
        answer(world, case, Finding.CORRECTED, uses=uses(world, subject, FIELD))
    asked = world.clerk.logged(f"/disputes/{case}/correction", AskCorrection(request="compare the contract"), Filing).answer.id
    with pytest.raises(Conflict, match="asked already"):
        world.clerk.logged(f"/disputes/{case}/correction", AskCorrection(request="again"), Filing)
    steward = world.client("node/steward")
    [request] = [one for one in corrections(world) if one.id == asked]
    assert (request.subject, request.field, request.request) == (subject, FIELD, "compare the contract")
    with pytest.raises(Unusable, match="names the delivery"):
        steward.logged(f"/corrections/{asked}/answer", AnswerCorrection(corrected=True, reply="rice it is"), Filing)
    done = AnswerCorrection(corrected=True, reply="rice it is", batch="ab" * 16)
    steward.logged(f"/corrections/{asked}/answer", done, Filing)
    assert all(one.id != asked for one in corrections(world))
    for bad in (None, uses(world, "opaque:else", FIELD), uses(world, subject, FIELD, issued_at=world.now - DAY)):
        with pytest.raises(Unusable, match="models"):
            answer(world, case, Finding.CORRECTED, uses=bad)
    letter = answer(world, case, Finding.CORRECTED, uses=uses(world, subject, FIELD, "other"))
    assert [use.model for use in letter.models] == ["m1"]
    assert marks(world, subject) == []
    [closed] = cases(window(world), subject)
    assert [one.state for one in closed.corrections] == ["corrected"]


def test_a_steward_answers_on_the_command_line(world: World, tmp_path: Path) -> None:
    key = tmp_path / "steward.key"
    key.write_bytes(world.keys["node/steward"].private_bytes_raw())
    who = ["--person", "node/steward", "--key-file", str(key), "--office", world.url]
    case = raise_dispute(world.clerk, "opaque:cli")
    asked = world.clerk.logged(f"/disputes/{case}/correction", AskCorrection(request="look again"), Filing).answer.id
    shown = CliRunner().invoke(stewards, ["list", *who])
    assert (shown.exit_code, f"{asked}  asked" in shown.stdout, "look again" in shown.stdout) == (0, True, True)
    told = CliRunner().invoke(stewards, ["answer", asked, "--reply", "it was right", *who])
    assert told.exit_code == 0, told.output
    assert [one.state for one in cases(world.clerk, "opaque:cli")[0].corrections] == ["upheld"]
    again = CliRunner().invoke(stewards, ["answer", asked, "--reply", "it was right", *who])
    assert (again.exit_code, "has been answered" in again.output) == (1, True)


def corrections(world: World) -> tuple[Correction, ...]:
    return world.client("node/steward").logged("/corrections/list", Empty(), Corrections).answer.corrections


def test_models_that_did_not_use_the_field_are_not_listed(world: World) -> None:
    listed = wire.decode(uses(world, "opaque:x", "area").payload, ModelUses)
    assert listed.of_field(FIELD) == ()
    assert len(listed.of_field("area")) == len(listed.of_field("*")) == 1


BAD: dict[str, tuple[type[Exception], dict[str, Any]]] = {
    "no field": (Unusable, {"field": "no field"}),
    "no words": (Unusable, {"statement": " "}),
    "too many words": (Unusable, {"statement": "x" * 2001}),
    "an empty file": (Unusable, {"evidence": FiledEvidence(name="a.jpg", content=b"")}),
    "a path for a name": (Unusable, {"evidence": FiledEvidence(name="../a.jpg", content=b"x")}),
    "a file too large": (TooLarge, {"evidence": FiledEvidence(name="a.jpg", content=bytes((8 << 20) + 1))}),
    "no identity": (BadIdentity, {"subject": "citizen:123"}),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_objection(world: World, name: str) -> None:
    problem, changes = BAD[name]
    with pytest.raises(problem):
        raise_dispute(world.clerk, **{"subject": "opaque:bad", **changes})
    assert marks(world, "opaque:bad") == []


def test_the_window_sees_and_does_no_more_than_the_subject_may(world: World) -> None:
    subject = account(world, "own")
    with pytest.raises(Forbidden, match="own cases"):
        cases(window(world))
    with pytest.raises(Forbidden, match="clerk's decision"):
        raise_dispute(window(world), subject, withheld=True)
    of_another = raise_dispute(world.clerk, "opaque:another", evidence=PHOTO)
    with pytest.raises(Forbidden):
        window(world).logged(f"/disputes/{of_another}/evidence", Empty(), FiledEvidence)
    with pytest.raises(NotFound):
        world.clerk.logged("/disputes/none/evidence", Empty(), FiledEvidence)


# ---------------------------------------------------------------- deadlines


def test_warnings_come_at_fifteen_and_at_twenty_days_and_once_each(fresh: World) -> None:
    world, zone = fresh, fresh.office.settings.zone
    case = raise_dispute(world.clerk, "opaque:late")
    filed_on = datetime.fromtimestamp(world.now, zone)
    given = []
    for days in (14, 15, 15, 19, 20, 21):
        # The first second of that local day: the warning counts days of the calendar, not hours.
        at = (filed_on + timedelta(days=days)).replace(hour=0, minute=0, second=1, microsecond=0)
        world.clock.shift = at.timestamp() - (world.now - world.clock.shift)
        given.append(duties.run_once(world.office).objections)
        assert cases(world.clerk)[0].days_left == 20 - days
    assert given == [0, 1, 0, 0, 1, 0]
    raised = alarms(world)
    assert [(a.kind, a.about) for a in raised] == [(f"objection-{d}-days", f"objection {case}") for d in (20, 15)]
    assert "late" not in str(raised), "an alarm names no subject"


def test_an_answered_objection_warns_no_more(fresh: World) -> None:
    answer(fresh, raise_dispute(fresh.clerk, "opaque:early"), Finding.NOTED)
    fresh.clock.shift = 30 * DAY
    assert duties.run_once(fresh.office) == duties.Done(0, 0, 0)


def test_overdue_reports_alarm_once_a_day_for_each_bank(fresh: World) -> None:
    world, (subject, other) = fresh, ("opaque:r1", "opaque:r2")
    world.consented(subject, other)
    world.project("p1")
    world.seal()
    tickets = [world.ask(world.question(asked)).results[0].ticket for asked in (subject, other)]
    assert tickets[0] is not None
    report = CheckReport(ticket=tickets[0].digest(), outcome=CheckOutcome.APPROVED, decided_at=world.now)
    world.officer.logged("/reports", wire.sign(report, "bank-a/li", world.keys["bank-a/li"]), Empty)
    given = []
    for days in (29, 31, 31, 32):
        world.clock.shift = days * DAY
        given.append(duties.run_once(world.office).banks)
    assert given == [0, 1, 0, 1]
    raised = alarms(world)[0]
    assert (raised.kind, raised.institution, raised.about) == ("report-overdue", "bank-a", "1 checks without a report")
    assert duties.run_once(world.office, reports=False) == duties.Done(0, 0, 0)


def test_duties_end_with_the_service(fresh: World) -> None:
    with duties.Duties(fresh.office, lambda: True):
        pass


def test_the_duties_alarms_have_rules() -> None:
    kinds = ("objection-15-days", "objection-20-days", "report-overdue")
    assert [rule_of(kind).id for kind in kinds] == ["D-01", "D-02", "D-03"]


# ---------------------------------------------------------------- credit repair


def test_a_repair_is_decided_by_another_clerk_and_then_stands(world: World) -> None:
    field, subject = "penalty_severity", account(world, "rep")
    applied = ApplyRepair(subject=subject, field=field, grounds="the fine was paid")
    case = window(world).logged("/repairs/applications", applied, Filing).answer.id
    with pytest.raises(Conflict):
        world.clerk.logged("/repairs/applications", applied, Filing)
    decided = DecideRepair(grant=True, reason="the fine was paid and two years have passed")
    with pytest.raises(OwnRequest, match="who opened it"):  # whoever gave out the slip may have signed in with it
        world.clerk.logged(f"/repairs/applications/{case}/decision", decided, Filing)
    other = world.client("office/chen")
    other.logged(f"/repairs/applications/{case}/decision", decided, Filing)
    signed = world.node.get("/eligibility", Signed)
    assert (subject, field) in [(r.subject, r.field) for r in wire.decode(signed.payload, Eligibility).repairs]
    [told] = window(world).logged("/repairs/list", AskFilings(subject=subject), RepairCases).answer.repairs
    assert (told.state, told.reason, told.by_subject) == ("granted", decided.reason, True)
    with pytest.raises(Conflict):
        other.logged(f"/repairs/applications/{case}/decision", decided, Filing)
    own = world.clerk.logged("/repairs/applications", ApplyRepair(subject=subject, field=FIELD, grounds="x"), Filing).answer.id
    with pytest.raises(OwnRequest):
        world.clerk.logged(f"/repairs/applications/{own}/decision", decided, Filing)
    refused = DecideRepair(grant=False, reason="not adverse")
    other.logged(f"/repairs/applications/{own}/decision", refused, Filing)


def test_a_slip_given_out_anew_counts_like_the_first(world: World) -> None:
    subject, other = account(world, "anew"), world.client("office/chen")
    other.logged("/accounts", OpenAccount(account="anew", subject=subject, checked="card"), Empty)
    applied = ApplyRepair(subject=subject, field="penalty_severity", grounds="the fine was paid")
    case = window(world).logged("/repairs/applications", applied, Filing).answer.id
    other.logged("/accounts/close", CloseAccount(account="anew"), Empty)
    decided = DecideRepair(grant=True, reason="as asked")
    with pytest.raises(OwnRequest, match="who opened it"):
        other.logged(f"/repairs/applications/{case}/decision", decided, Filing)
    world.clerk.logged(f"/repairs/applications/{case}/decision", decided, Filing)


# ---------------------------------------------------------------- use in cohorts


def test_a_subject_proves_its_place_in_an_alignment(joint: World) -> None:  # noqa: F811
    subjects = [f"opaque:use{n}" for n in range(5)]
    willing(joint, *subjects)
    filed = file(joint, alignment(joint, [*subjects, "opaque:not-consented"]))
    assert filed.accepted == b"\1\1\1\1\1\0"
    for place, subject in enumerate(subjects):
        [use] = joint.clerk.logged("/cohorts", AskSubject(subject=subject), AlignmentUses).answer.alignments
        assert (use.bank, use.place, use.rows) == ("bank-a", place, 5)
        verify_alignment_use(subject, use)
        with pytest.raises(CryptoError):
            verify_alignment_use("opaque:not-consented", use)
        with pytest.raises(ProofError):
            verify_alignment_use(subject, wire.replace(use, place=(place + 1) % 5))
    assert joint.clerk.logged("/cohorts", AskSubject(subject="opaque:not-consented"), AlignmentUses).answer.alignments == ()


def test_rows_of_a_subject_are_erased_without_harm_to_the_others(joint: World) -> None:  # noqa: F811
    willing(joint, "opaque:stay", "opaque:leave")
    file(joint, alignment(joint, ["opaque:stay", "opaque:leave"]))
    with joint.office.engine.begin() as connection:
        connection.execute(delete(alignment_row).where(alignment_row.c.subject == "opaque:leave"))
    assert joint.clerk.logged("/cohorts", AskSubject(subject="opaque:leave"), AlignmentUses).answer.alignments == ()
    [use] = joint.clerk.logged("/cohorts", AskSubject(subject="opaque:stay"), AlignmentUses).answer.alignments
    verify_alignment_use("opaque:stay", use)


@pytest.mark.attack
def test_no_leaf_of_a_case_names_anybody(world: World) -> None:
    subject = account(world, "zhangsan")
    raise_dispute(window(world), subject, statement="my telephone is 13800000000", evidence=PHOTO)
    written = str(world.leaves())
    for personal in ("zhangsan", "13800000000", "合同", FIELD, hashlib.sha256(PHOTO.content).hexdigest()):
        assert personal not in written
    with world.office.engine.connect() as connection:
        assert connection.execute(select(dispute.c.evidence).where(dispute.c.subject == subject)).scalar() == PHOTO.content
