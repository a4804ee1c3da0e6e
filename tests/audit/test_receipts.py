"""Checkpoints, receipts (tlog-proof) and promises: what verifies offline, and what must not."""

from __future__ import annotations

import base64
import dataclasses
import json

import pytest

from audit.verifier.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from audit.verifier.errors import FormatError, LogError, ProofError, SignatureError
from audit.verifier.note import CosignatureSigner, Note, NoteSigner, VerifierKey
from audit.verifier.promise import Promise, open_promise, sign_promise, verify_promise
from audit.verifier.proof import Receipt, verify_receipt
from tests.audit import reference
from tests.conftest import shared_path

# tlog-checkpoint, introduction
SOFA = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
# tlog-proof, introduction (the text cuts its signatures short, so it is parsed and not verified)
FANCY = """c2sp.org/tlog-proof@v1
extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ
index 73894
gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=
RoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=
AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=

example.com/fancylog
109482
sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=

"""

LOG = NoteSigner.from_seed("log.example/node", b"l" * 32)
OFFICE = CosignatureSigner.from_seed("log.example/office", b"o" * 32)
BANK = CosignatureSigner.from_seed("log.example/bank", b"b" * 32)
WITNESSES = [OFFICE.key, BANK.key]
ENTRIES = [f"entry {index}".encode() for index in range(13)]


def cosigned(entries: list[bytes] = ENTRIES, *witnesses: CosignatureSigner) -> str:
    note = reference.checkpoint_note(entries, LOG)
    text = Note.parse(note).text
    return note + "".join(witness.cosign(text, 1_700_000_000) for witness in witnesses)


def receipt(index: int = 5, *witnesses: CosignatureSigner) -> str:
    return str(Receipt(index, tuple(reference.path(index, ENTRIES)), cosigned(ENTRIES, *witnesses)))


def test_example_checkpoint() -> None:
    checkpoint = Checkpoint.parse(SOFA)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.text == SOFA
    assert Checkpoint.parse(SOFA + "extension\n").extensions == ("extension",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n1\n",
        SOFA[:-1],
        SOFA + "\n",
        SOFA.replace("example.com/behind-the-sofa", ""),
        SOFA.replace("20852163", "020852163"),
        SOFA.replace("20852163", "-1"),
        SOFA.replace("20852163", "+1"),
        SOFA.replace("20852163", "0x1"),
        SOFA.replace("20852163", "１"),
        SOFA.replace("20852163", str(2**63)),
        SOFA.replace("20852163", "9" * 5000),
        SOFA.replace("q2I=", "q2I"),
        SOFA.replace("q2I=", "q2IA"),
    ],
)
def test_malformed_checkpoints(text: str) -> None:
    with pytest.raises(FormatError):
        Checkpoint.parse(text)


def test_published_tree_heads() -> None:
    """Go's checksum database has the same three lines; its malformed heads (but for the origin) are ours."""
    vectors = json.loads(shared_path("vectors/signed_note/go_sumdb_tlog.json").read_text())
    head = Checkpoint.parse(vectors["tree_head"]["text"])
    assert head.size == vectors["tree_head"]["n"]
    foreign, *malformed = vectors["bad_tree_heads"]
    for text in malformed:
        with pytest.raises(FormatError):
            Checkpoint.parse(text)
    note = sign_checkpoint(Checkpoint.parse(foreign), NoteSigner.from_seed("not-go.sum", b"1" * 32))
    with pytest.raises(SignatureError, match="line 1"):
        open_checkpoint(note, [NoteSigner.from_seed("not-go.sum", b"1" * 32).key])


def test_quorum() -> None:
    for witnesses, quorum in [((), 0), ((OFFICE,), 1), ((OFFICE, BANK), 2)]:
        assert len(open_checkpoint(cosigned(ENTRIES, *witnesses), [LOG.key], WITNESSES, quorum).cosignatures) == quorum
        with pytest.raises(SignatureError, match="must have cosigned"):
            open_checkpoint(cosigned(ENTRIES, *witnesses), [LOG.key], WITNESSES, quorum + 1)
    with pytest.raises(SignatureError, match="1 witnesses"):
        open_checkpoint(cosigned(ENTRIES, OFFICE, OFFICE), [LOG.key], [BANK.key], 1)


def test_one_witness_under_two_names_counts_once() -> None:
    again = CosignatureSigner("log.example/another-name", OFFICE._private_key)
    own = CosignatureSigner("log.example/own-witness", LOG._private_key)
    note = cosigned(ENTRIES, OFFICE, OFFICE, again, own)
    keys = [OFFICE.key, again.key, own.key]
    assert open_checkpoint(note, [LOG.key], keys, 1)
    with pytest.raises(SignatureError, match="2 witnesses"):
        open_checkpoint(note, [LOG.key], keys, 2)


def test_only_the_logs_own_key_signs_for_it() -> None:
    other = NoteSigner.from_seed("log.example/office-log", b"2" * 32)
    note = reference.checkpoint_note(ENTRIES, LOG)
    foreign = Note.parse(note).text + "\n" + other.sign(Note.parse(note).text)
    with pytest.raises(SignatureError, match="line 1"):
        open_checkpoint(foreign, [LOG.key, other.key])
    with pytest.raises(SignatureError, match="mixed up"):
        open_checkpoint(note, [OFFICE.key])
    with pytest.raises(SignatureError, match="mixed up"):
        open_checkpoint(note, [LOG.key], [LOG.key])
    empty = sign_checkpoint(Checkpoint(LOG.key.name, 0, b"\1" * 32), LOG)
    with pytest.raises(FormatError, match="empty log"):
        open_checkpoint(empty, [LOG.key])


def test_example_receipt() -> None:
    parsed = Receipt.parse(FANCY)
    assert parsed.index == 73894
    assert len(parsed.proof) == 5
    assert parsed.extra is not None
    assert str(parsed) == FANCY
    assert Checkpoint.parse(parsed.checkpoint.removesuffix("\n")).size == 109482


def test_receipts_verify_offline() -> None:
    for index, entry in enumerate(ENTRIES):
        verify_receipt(receipt(index, OFFICE), entry, [LOG.key], WITNESSES, 1)
    extra = dataclasses.replace(Receipt.parse(receipt()), extra=b"more")
    again = Receipt.parse(str(extra))
    assert again.extra == b"more"
    again.verify(ENTRIES[5], [LOG.key])
    single = str(Receipt(0, (), cosigned(ENTRIES[:1])))
    verify_receipt(single, ENTRIES[0], [LOG.key])


def test_receipts_that_must_not_verify() -> None:
    good = receipt(5, OFFICE)
    verify_receipt(good, ENTRIES[5], [LOG.key], WITNESSES, 1)
    with pytest.raises(ProofError):
        verify_receipt(good, ENTRIES[6], [LOG.key])
    with pytest.raises(ProofError):
        verify_receipt(good.replace("index 5", "index 4"), ENTRIES[5], [LOG.key])
    with pytest.raises(ProofError):
        verify_receipt(good.replace("index 5", "index 13"), ENTRIES[5], [LOG.key])
    with pytest.raises(SignatureError):
        verify_receipt(good, ENTRIES[5], [LOG.key], WITNESSES, 2)
    with pytest.raises(SignatureError):
        verify_receipt(good, ENTRIES[5], [NoteSigner.from_seed(LOG.key.name, b"?" * 32).key])


def verifies(changed: bytes) -> bool:
    try:
        verify_receipt(changed.decode(), ENTRIES[5], [LOG.key], WITNESSES, 1)
    except (LogError, UnicodeDecodeError):
        return False
    return True


def test_no_changed_bit_of_a_receipt_verifies() -> None:
    good = receipt(5, OFFICE).encode()
    for place in range(len(good)):
        changed = bytearray(good)
        changed[place] ^= 1 << place % 8
        assert not verifies(bytes(changed)), f"byte {place}: {bytes(changed)!r}"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tlog-proof@v1", "tlog-proof@v2"),
        ("index 5", "index 05"),
        ("index 5", "index -5"),
        ("index 5\n", ""),
        ("index 5", "index 5\n" + base64.b64encode(b"short").decode()),
        ("index 5", "index 5" + ("\n" + base64.b64encode(b"0" * 32).decode()) * 64),
        ("index 5", "extra !\nindex 5"),
        ("\n\nlog.example", "\nlog.example"),
    ],
)
def test_malformed_receipts(old: str, new: str) -> None:
    assert old in receipt()
    with pytest.raises(FormatError):
        verify_receipt(receipt().replace(old, new, 1), ENTRIES[5], [LOG.key])


def test_promise() -> None:
    promise = Promise(LOG.key.name, 5, reference.mth([ENTRIES[5]]), 1_700_000_000)
    note = sign_promise(promise, LOG)
    verify_promise(note, 5, ENTRIES[5], [LOG.key])
    assert open_promise(note, [LOG.key]) == promise
    with pytest.raises(ProofError):
        verify_promise(note, 6, ENTRIES[5], [LOG.key])
    with pytest.raises(ProofError):
        verify_promise(note, 5, ENTRIES[6], [LOG.key])
    with pytest.raises(SignatureError):
        verify_promise(note, 5, ENTRIES[5], [NoteSigner.from_seed("other", b"l" * 32).key])
    with pytest.raises(SignatureError):
        verify_promise(note.replace(b"\n5\n", b"\n6\n"), 6, ENTRIES[5], [LOG.key])


def test_a_promise_is_no_checkpoint_and_a_checkpoint_no_promise() -> None:
    promise = sign_promise(Promise(LOG.key.name, 5, b"\0" * 32, 1), LOG)
    with pytest.raises(FormatError):
        open_checkpoint(promise, [LOG.key])
    with pytest.raises(FormatError):
        open_promise(reference.checkpoint_note(ENTRIES, LOG), [LOG.key])


def test_vkeys_of_both_kinds_are_read_back() -> None:
    for key in (LOG.key, OFFICE.key):
        assert VerifierKey.parse(str(key)) == key
