"""Receipts of consents: what they prove without the office, and what they refuse; lists, withdrawal, who may ask."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest
import typer
from sqlalchemy import delete
from typer.testing import CliRunner

from audit.consent_cli import verify_consent
from audit.office import tables
from audit.verifier.consents import open_consent_receipt
from audit.verifier.errors import LogError
from audit.verifier.note import VerifierKey
from models import wire
from models.consent_receipts import (
    BEGIN,
    AskConsentReceipt,
    ConsentReceipt,
    ConsentStatement,
    consent_commitment,
    parse_receipt,
    qr_texts,
    receipt_text,
)
from models.consent_words import words_of
from models.consents import (
    AskConsents,
    Capture,
    Consent,
    ConsentKind,
    ConsentsOf,
    ConsentState,
    FileConsents,
    Filed,
    RevokeConsent,
    Withdrawer,
)
from models.logged import Empty
from models.problems import BadMessage, BadSignature, Forbidden, NotFound, Problem, Unusable
from models.rights import OpenAccount
from tests.office.world import World

CITIZEN = "citizen:11010519491231002X"


def receipt_of(world: World, consent: Consent, person: str = "office/wang", subject: str = "") -> ConsentReceipt:
    ask = AskConsentReceipt(consent=consent.id, subject=subject)
    return world.client(person).logged("/consents/receipt", ask, ConsentReceipt).answer


def keys(world: World) -> tuple[Any, list[VerifierKey]]:
    return world.office.keys.statement.public_key(), [world.office.log.signer.key]


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_receipt_opens_one_place_of_its_filing(world: World, count: int) -> None:
    filed = [world.consent(f"opaque:many{count}-{n}", ConsentKind.QUERY) for n in range(count)]
    world.file(*filed)
    for place, consent in enumerate(filed):
        receipt = receipt_of(world, consent)
        statement = open_consent_receipt(receipt, *keys(world))
        assert (receipt.filing.place, receipt.filing.count) == (place, count)
        # What was filed, with who took it: the clerk who signed the request.
        assert statement.consent == wire.replace(consent, captured_by="office/wang")
        for other in filed:
            if other is not consent:
                assert other.subject.encode() not in wire.encode(receipt)


def test_the_leaf_of_a_filing_names_nobody_and_stands_for_every_word(world: World) -> None:
    consent = world.consent("opaque:leaf", ConsentKind.COLLECTION)
    world.file(consent)
    leaf = next(leaf for leaf in reversed(world.leaves()) if leaf["action"] == "consent.file")
    assert set(leaf["facts"]) == {"count", "root"}
    statement = open_consent_receipt(receipt_of(world, consent), *keys(world))
    commitment = consent_commitment(statement.salt, statement.consent)
    assert leaf["facts"]["root"] == hashlib.sha256(b"\0" + commitment).hexdigest()
    assert commitment != consent_commitment(bytes(32), statement.consent), "the salt counts"


def test_erasing_one_consent_leaves_the_receipts_of_the_others(world: World) -> None:
    filed = [world.consent(f"opaque:erased{n}", ConsentKind.QUERY) for n in range(3)]
    world.file(*filed)
    with world.office.engine.begin() as connection:
        connection.execute(delete(tables.consent).where(tables.consent.c.id == filed[1].id))
    for consent in (filed[0], filed[2]):
        assert open_consent_receipt(receipt_of(world, consent), *keys(world)).consent.id == consent.id
    with pytest.raises(NotFound):
        receipt_of(world, filed[1])


def tampered(receipt: ConsentReceipt) -> dict[str, ConsentReceipt]:
    """Receipts that must not verify, by what is wrong with them."""
    filing = receipt.filing

    def entry(old: bytes, new: bytes) -> ConsentReceipt:
        return wire.replace(receipt, filing=wire.replace(filing, entry=filing.entry.replace(old, new)))

    return {
        "another place": wire.replace(receipt, filing=wire.replace(filing, place=1)),
        "another count": wire.replace(receipt, filing=wire.replace(filing, count=3)),
        "no path": wire.replace(receipt, filing=wire.replace(filing, path=())),
        "a leaf of another action": entry(b"consent.file", b"consent.lend"),
        "a leaf of another root": entry(b'"root":"', b'"root":"00'),
        "a withdrawal that is not stated": wire.replace(receipt, withdrawal=filing),
        "a log's proof cut short": wire.replace(receipt, filing=wire.replace(filing, receipt=filing.receipt[:-40])),
    }


TAMPERED = (
    *("another place", "another count", "no path", "a leaf of another action", "a leaf of another root"),
    *("a withdrawal that is not stated", "a log's proof cut short"),
)


@pytest.mark.parametrize("name", TAMPERED)
def test_a_changed_receipt_does_not_verify(world: World, name: str) -> None:
    pair = [world.consent(f"opaque:changed-{hash(name)}-{n}", ConsentKind.QUERY) for n in range(2)]
    world.file(*pair)
    receipts = tampered(receipt_of(world, pair[0]))
    assert set(receipts) == set(TAMPERED)
    with pytest.raises((LogError, BadSignature)):
        open_consent_receipt(receipts[name], *keys(world))


def test_the_statement_must_be_the_offices_and_about_what_was_filed(world: World) -> None:
    consent = world.consent("opaque:stated", ConsentKind.QUERY)
    world.file(consent)
    receipt = receipt_of(world, consent)
    statement = open_consent_receipt(receipt, *keys(world))
    longer = wire.replace(statement, consent=wire.replace(statement.consent, valid_to=statement.consent.valid_to + 1))
    forged = wire.replace(receipt, statement=wire.sign(longer, "office", world.keys["bank-a/li"]))
    with pytest.raises(BadSignature):
        open_consent_receipt(forged, *keys(world))
    # Even the office cannot state another consent than the one that it filed.
    restated = wire.replace(receipt, statement=world.office.sign(longer))
    with pytest.raises(LogError):
        open_consent_receipt(restated, *keys(world))
    with pytest.raises(LogError):
        open_consent_receipt(receipt, keys(world)[0], [world.node_log.key])


def test_a_withdrawal_is_in_the_receipt_and_counts_for_the_same_consent_alone(world: World) -> None:
    one, other = (world.consent(f"opaque:withdrawn{n}", ConsentKind.QUERY) for n in range(2))
    world.file(one, other)
    for consent in (one, other):
        world.clerk.logged("/consents/revoke", RevokeConsent(consent=consent.id), Empty)
    receipt = receipt_of(world, one)
    statement = open_consent_receipt(receipt, *keys(world))
    assert statement.withdrawn_at >= statement.filed_at
    assert statement.withdrawn_by == Withdrawer.SUBJECT
    assert "撤回" in words_of(statement)
    assert repr(one.id) not in str([leaf for leaf in world.leaves() if leaf["action"] == "consent.revoke"])
    swapped = wire.replace(receipt, withdrawal=receipt_of(world, other).withdrawal)
    with pytest.raises(LogError):
        open_consent_receipt(swapped, *keys(world))
    with pytest.raises(LogError):
        open_consent_receipt(wire.replace(receipt, withdrawal=None), *keys(world))


def test_a_receipt_travels_as_a_file_and_as_codes(world: World) -> None:
    consent = world.consent(CITIZEN, ConsentKind.QUERY, capture=Capture.ESIGN, reference="ES-1")
    world.file(consent)
    receipt = receipt_of(world, consent)
    statement = open_consent_receipt(receipt, *keys(world))
    words = words_of(statement)
    assert CITIZEN.partition(":")[2] not in words, "paper shows an id masked"
    for said in ("查询授权", "贷款审批", "loan approval", "ES-1", "nothing sensitive"):
        assert said in words
    assert parse_receipt(receipt_text(receipt, words)) == receipt
    codes = qr_texts(receipt)
    assert 1 < len(codes) < 6
    assert parse_receipt("\n".join(reversed(codes))) == receipt
    with pytest.raises(BadMessage, match="are missing"):
        parse_receipt(codes[0])
    for damaged in (
        "",
        "hello",
        receipt_text(receipt, words).replace(f"{BEGIN}\neN", f"{BEGIN}\nAA"),
        codes[0].replace("/", "/1"),
    ):
        with pytest.raises(BadMessage):
            parse_receipt(damaged)


def test_the_command_verifies_offline(world: World, tmp_path: Path) -> None:
    consent = world.consent("opaque:command", ConsentKind.COLLECTION)
    world.file(consent)
    receipt = receipt_of(world, consent)
    statement = wire.decode(receipt.statement.payload, ConsentStatement)
    app = typer.Typer()
    app.command()(verify_consent)
    statement_key = base64.b64encode(world.office.keys.statement.public_key().public_bytes_raw()).decode()
    kept, scanned = tmp_path / "receipt.txt", tmp_path / "codes.txt"
    kept.write_text(receipt_text(receipt, words_of(statement)), encoding="utf-8")
    scanned.write_text("\n".join(qr_texts(receipt)), encoding="utf-8")
    given = ["--office-key", statement_key, "--log-key", str(world.office.log.signer.key)]
    for file in (kept, scanned):
        done = CliRunner().invoke(app, [str(file), *given])
        assert done.exit_code == 0, done.output
        assert "采集授权" in done.output
        assert "Good: the office signed this" in done.output
    kept.write_text(kept.read_text(encoding="utf-8").replace("采集授权", "建模授权"), encoding="utf-8")
    assert "建模授权" not in CliRunner().invoke(app, [str(kept), *given]).output, "the words of the file prove nothing"
    refused: dict[str, list[str]] = {
        "another office": [str(kept), "--office-key", base64.b64encode(bytes(31) + b"\1").decode(), *given[2:]],
        "no key": [str(kept), "--office-key", "x", *given[2:]],
        "another log": [str(kept), *given[:3], str(world.node_log.key)],
        "nobody cosigned": [str(kept), *given, "--quorum", "1"],
        "no receipt": [__file__, *given],
    }
    for name, arguments in refused.items():
        done = CliRunner().invoke(app, arguments)
        assert (done.exit_code, "NOT verified" in done.output) == (1, True), name


def test_a_list_says_what_each_consent_is_worth(world: World) -> None:
    subject, day = "opaque:listed", 24 * 3600
    made: dict[ConsentState, Consent] = {
        ConsentState.STANDING: world.consent(subject, ConsentKind.QUERY),
        ConsentState.AHEAD: world.consent(subject, ConsentKind.QUERY, valid_from=world.now + day),
        ConsentState.ENDED: world.consent(subject, ConsentKind.COLLECTION, valid_to=world.now - 10),
        ConsentState.WITHDRAWN: world.consent(subject, ConsentKind.MODELLING),
    }
    lasting = world.consent(subject, ConsentKind.COLLECTION, valid_to=world.now + 300 * day)
    world.file(*made.values(), lasting)
    by = RevokeConsent(consent=made[ConsentState.WITHDRAWN].id, by=Withdrawer.REPRESENTATIVE, reason="daughter, by proxy 7")
    world.clerk.logged("/consents/revoke", by, Empty)
    reply = world.clerk.logged("/consents/of", AskConsents(subject=subject), ConsentsOf)
    found = {entry.consent.id: entry for entry in reply.answer.consents}
    assert {state: found[consent.id].state for state, consent in made.items()} == {state: state for state in made}
    assert found[made[ConsentState.STANDING].id].ends_soon, "ten days are fewer than thirty"
    assert not found[lasting.id].ends_soon
    gone = found[made[ConsentState.WITHDRAWN].id]
    assert (gone.withdrawn_by, gone.reason) == ("representative", "daughter, by proxy 7")
    leaf = world.leaves()[reply.leaves[0].index]
    assert (leaf["action"], leaf["facts"]) == ("consent.list", {})


BAD_WITHDRAWALS: dict[str, dict[str, Any]] = {
    "a representative who is not named": {"by": Withdrawer.REPRESENTATIVE},
    "the office without a reason": {"by": Withdrawer.OFFICE},
    "a reason too long": {"reason": "x" * 501},
}


@pytest.mark.parametrize("name", BAD_WITHDRAWALS)
def test_a_withdrawal_that_lacks_something_changes_nothing(world: World, name: str) -> None:
    consent = world.consent(f"opaque:kept-{len(name)}", ConsentKind.QUERY)
    world.file(consent)
    with pytest.raises(Unusable):
        world.clerk.logged("/consents/revoke", RevokeConsent(consent=consent.id, **BAD_WITHDRAWALS[name]), Empty)
    [entry] = world.clerk.logged("/consents/of", AskConsents(subject=consent.subject), ConsentsOf).answer.consents
    assert entry.state is ConsentState.STANDING


def test_an_officer_gets_receipts_of_what_they_took_and_of_nothing_else(world: World) -> None:
    taken = {"capture": Capture.OFFICER, "witness": "bank-a/ap"}
    own, others = (world.consent("opaque:own", ConsentKind.QUERY, **taken) for _ in range(2))
    world.officer.logged("/consents", FileConsents(consents=(own,)), Filed)
    world.file(wire.replace(others, capture=Capture.WINDOW))
    statement = open_consent_receipt(receipt_of(world, own, "bank-a/li"), *keys(world))
    assert (statement.consent.captured_by, statement.consent.witness) == ("bank-a/li", "bank-a/ap")
    for consent, person in ((others, "bank-a/li"), (own, "bank-b/li")):
        with pytest.raises(NotFound):
            receipt_of(world, consent, person)
    with pytest.raises(Forbidden):
        receipt_of(world, own, "bank-a/mo")


BAD_CAPTURES: dict[str, dict[str, Any]] = {
    "a window without a clerk": {"capture": Capture.WINDOW, "captured_by": "bank-a/li"},
    "a signature without a number": {"capture": Capture.ESIGN},
    "an officer without a witness": {"capture": Capture.OFFICER, "captured_by": "bank-a/li"},
    "an officer who is their own witness": {"capture": Capture.OFFICER, "captured_by": "bank-a/li", "witness": "bank-a/li"},
    "nobody who took it": {"capture": Capture.OFFICER, "witness": "village head Zhou"},
    "an officer whom nobody knows": {"capture": Capture.OFFICER, "captured_by": "bank-a/x", "witness": "village head Zhou"},
    "a reference too long": {"capture": Capture.ESIGN, "reference": "9" * 201},
}


@pytest.mark.parametrize("name", BAD_CAPTURES)
def test_each_way_of_capture_has_its_particulars(world: World, name: str) -> None:
    with pytest.raises(Problem) as refused:
        world.file(world.consent("opaque:capture", ConsentKind.QUERY, **BAD_CAPTURES[name]))
    assert isinstance(refused.value, Unusable)
    assert world.clerk.logged("/consents/of", AskConsents(subject="opaque:capture"), ConsentsOf).answer.consents == ()


def test_the_window_serves_whoever_signed_in_and_nobody_else(world: World) -> None:
    mine, others = (world.consent(f"opaque:window{n}", ConsentKind.QUERY) for n in range(2))
    world.file(mine, others)
    window = world.client("office/window")
    with pytest.raises(Forbidden, match="open account"):
        window.logged("/consents/of", AskConsents(subject=mine.subject), ConsentsOf)
    world.clerk.logged("/accounts", OpenAccount(account="window0", subject=mine.subject, checked="card"), Empty)
    assert open_consent_receipt(receipt_of(world, mine, "office/window", mine.subject), *keys(world))
    for ask in (AskConsentReceipt(consent=others.id, subject=mine.subject), AskConsentReceipt(consent=mine.id)):
        with pytest.raises(NotFound):
            window.logged("/consents/receipt", ask, ConsentReceipt)
    for revoke in (RevokeConsent(consent=others.id, subject=mine.subject), RevokeConsent(consent=mine.id)):
        with pytest.raises(NotFound):
            window.logged("/consents/revoke", revoke, Empty)
    by_office = RevokeConsent(consent=mine.id, subject=mine.subject, by=Withdrawer.OFFICE, reason="x")
    with pytest.raises(Forbidden):
        window.logged("/consents/revoke", by_office, Empty)
    window.logged("/consents/revoke", RevokeConsent(consent=mine.id, subject=mine.subject), Empty)
    [entry] = window.logged("/consents/of", AskConsents(subject=mine.subject), ConsentsOf).answer.consents
    assert (entry.state, entry.withdrawn_by) == (ConsentState.WITHDRAWN, "subject")
