"""Village drives: a table of consents, of which the rows at fault are named and left out."""

from __future__ import annotations

import hashlib

import pytest

from audit.verifier.consents import open_consent_receipt
from models.consent_drives import HEADINGS, left_out, template
from models.consent_receipts import AskConsentReceipt, ConsentReceipt
from models.consents import ANY, AskConsents, Capture, ConsentKind, ConsentsOf, DriveFiled, FileDrive
from models.problems import Conflict, Unusable
from tests.office.world import World

CITIZEN = "11010519491231002X"
HEADING = ",".join(HEADINGS)
GOOD = (
    "opaque:v1,采集,全部,全部,全部,,2026-01-01,2029-12-31,,,,",
    f"{CITIZEN},查询,bank-a,贷款审批;贷后管理,land;credit,,2026/01/01,2029-12-31,,,,",
    "opaque:v1,collection,*,*,,real_estate_count,2026-01-01,2029-12-31,bank-a/li,村支书周,signed-form,",
)
FAULTS = {
    "opaque:v2,借阅,全部,全部,全部,,2026-01-01,2029-12-31,,,,": "kind is one of",
    f"{CITIZEN[:-1]}1,查询,bank-a,贷款审批,全部,,2026-01-01,2029-12-31,,,,": "subject: ",
    "opaque:v3,查询,bank-a,贷款审批,全部,,tomorrow,2029-12-31,,,,": "a day is written",
    "opaque:v3,查询,bank-a,好奇,全部,,2026-01-01,2029-12-31,,,,": "purposes are of",
    "opaque:v3,查询,bank-x,贷款审批,全部,,2026-01-01,2029-12-31,,,,": "not enrolled",
    "opaque:v3,查询,bank-a,贷款审批,全部,real_estate_count,2026-01-01,2029-12-31,,,,": "a consent of its own",
    "opaque:v3,,bank-a,贷款审批,全部,,2026-01-01,2029-12-31,,,,": "kind is empty",
    "opaque:v3,查询,bank-a,贷款审批,全部,,2029-12-31,2026-01-01,,,,": "before it begins",
    GOOD[0]: "the same as line 2",
}
EVIDENCE = hashlib.sha256(b"scans").hexdigest()


def table(*rows: str, encoding: str = "utf-8-sig", heading: str = HEADING) -> bytes:
    return "".join(f"{row}\r\n" for row in (heading, *rows)).encode(encoding)


def file(world: World, data: bytes, **changes: object) -> DriveFiled:
    given = {"place": "云禾县柳河村", "officer": "bank-a/li", "witness": "村支书周", "evidence_digest": EVIDENCE} | changes
    return world.clerk.logged("/consents/drives", FileDrive(table=data, **given), DriveFiled).answer  # type: ignore[arg-type]


def test_good_rows_are_filed_and_the_others_named_by_line_and_reason(world: World) -> None:
    data = table(*GOOD, *FAULTS)
    looked = file(world, data, check_only=True)
    assert world.clerk.logged("/consents/of", AskConsents(subject="opaque:v1"), ConsentsOf).answer.consents == ()
    filed = file(world, data)
    assert (filed.rows, filed.count) == (looked.rows, looked.count) == (len(GOOD) + len(FAULTS), len(GOOD))
    assert [fault.line for fault in filed.faults] == list(range(2 + len(GOOD), 2 + len(GOOD) + len(FAULTS)))
    for fault, said in zip(filed.faults, FAULTS.values(), strict=True):
        assert said in fault.reason
        assert CITIZEN[:10] not in fault.reason
    found = world.clerk.logged("/consents/of", AskConsents(subject=CITIZEN), ConsentsOf).answer.consents
    [entry] = [entry for entry in found if entry.consent.id.startswith(filed.drive)]
    consent = entry.consent
    assert (consent.kind, consent.purposes, consent.field_sets) == (
        ConsentKind.QUERY, ("loan-approval", "post-loan"), ("land", "credit"),
    )  # fmt: skip
    assert (consent.capture, consent.captured_by, consent.witness) == (Capture.OFFICER, "bank-a/li", "村支书周")
    assert consent.evidence_digest == EVIDENCE
    # Whole days where the office is: from one midnight at Shanghai to another.
    assert (consent.valid_from + 8 * 3600) % 86400 == (consent.valid_to + 8 * 3600) % 86400 == 0
    receipt = world.clerk.logged("/consents/receipt", AskConsentReceipt(consent=consent.id), ConsentReceipt).answer
    key, log = world.office.keys.statement.public_key(), world.office.log.signer.key
    assert open_consent_receipt(receipt, key, [log]).consent == consent
    assert receipt.filing.count == len(GOOD)
    leaf = next(leaf for leaf in reversed(world.leaves()) if leaf["action"] == "consent.drive" and "root" in leaf["facts"])
    assert leaf["facts"]["faults"] == len(FAULTS)
    assert "柳河村" not in str(leaf)


def test_rows_that_were_left_out_come_back_to_be_corrected(world: World) -> None:
    wrong, right = (
        "opaque:w1,查询,bank-a,贷款审批,全部,,2026-13-01,2029-12-31,,,,",
        "opaque:w2,采集,全部,全部,全部,,2026-01-01,2029-12-31,,,,",
    )
    data = table(right, wrong, encoding="gb18030", heading=",".join(zh for zh, _ in HEADINGS.values()))
    filed = file(world, data)
    assert [fault.line for fault in filed.faults] == [3]
    back = left_out(data, filed.faults)
    assert "opaque:w2" not in back.decode("utf-8-sig")
    corrected = file(world, back.replace(b"2026-13-01", b"2026-12-01"))
    assert (corrected.rows, corrected.count, corrected.faults) == (1, 1, ())
    with pytest.raises(Conflict, match="filed before"):
        file(world, data)


def test_what_a_spreadsheet_would_compute_is_written_as_text() -> None:
    data = table("=1+1,采集,全部,全部,全部,,2026-01-01,2029-12-31,,,,")
    from models.consents import DriveFault

    assert "'=1+1" in left_out(data, (DriveFault(line=2, reason="x"),)).decode("utf-8-sig")


def test_no_table_at_all(world: World) -> None:
    assert template().decode("utf-8-sig").startswith("主体编号,授权种类")
    unusable = {
        "nothing": b"",
        "headings alone": template(),
        "a spreadsheet file": b"PK\x03\x04",
        "a column that nobody knows": table("x", heading="subject,colour"),
        "a column that is missing": table("x", heading="subject,kind"),
        "a column twice": table("x", heading=HEADING + ",kind"),
        "bytes": b"\xff\xff\xff",
        "no place": table(GOOD[0]),
    }
    for name, data in unusable.items():
        with pytest.raises(Unusable):
            file(world, data, **({"place": ""} if name == "no place" else {}))
    assert ANY == "*"
