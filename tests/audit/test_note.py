"""Signed notes: the published vectors, the examples of the C2SP texts, and everything that must be refused."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from audit.verifier.errors import FormatError, SignatureError
from audit.verifier.note import (
    ED25519,
    CosignatureSigner,
    Note,
    NoteSigner,
    VerifierKey,
    open_note,
    parse_signature_lines,
    sign_note,
)
from tests.conftest import shared_path

# signed-note, "Example"
FOO_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
FOO_NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
# signed-note, introduction: three paragraphs, so the last empty line splits it
QUASIMODO = (
    "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n"
    "— quasimodo.example/salvatore "
    "NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"
)
# tlog-cosignature, introduction and "Ed25519 signed message"
COSIGNED = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 "
    "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)


@pytest.fixture(scope="module")
def vectors() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(shared_path("vectors/signed_note/go_sumdb_note.json").read_text())
    return loaded


@pytest.fixture(scope="module")
def keys(vectors: dict[str, Any]) -> list[VerifierKey]:
    return [VerifierKey.parse(vkey) for vkey in vectors["vkeys"]]


def test_published_notes_verify(vectors: dict[str, Any], keys: list[VerifierKey]) -> None:
    text, signatures = open_note(vectors["signed_note"], keys)
    assert text == vectors["text"]
    assert [s.key.name for s in signatures] == ["PeterNeumann"]
    _, both = open_note(vectors["signed_note_two"].encode(), keys)
    assert [s.key.name for s in both] == ["PeterNeumann", "EnochRoot"]
    _, one = open_note(vectors["signed_note_two"], keys[1:])
    assert [s.key.name for s in one] == ["EnochRoot"], "a line of an unknown key is ignored"
    note = shared_path("vectors/signed_note/example.note").read_bytes()
    assert open_note(note, keys)[0] == vectors["text"]


def test_the_published_private_key_signs_the_published_line(vectors: dict[str, Any]) -> None:
    *_, name, _, material = vectors["skey"].split("+", 4)
    raw = base64.b64decode(material)
    assert raw[0] == ED25519
    signer = NoteSigner.from_seed(name, raw[1:])
    assert str(signer.key) == vectors["vkeys"][0]
    assert signer.sign(vectors["text"]) == vectors["signature_lines"][0]
    assert sign_note(vectors["text"], signer) == vectors["signed_note"]


def refused(note: str | bytes, keys: list[VerifierKey]) -> bool:
    try:
        open_note(note, keys)
    except FormatError:
        return True
    return False


def test_published_malformed_notes_are_refused(vectors: dict[str, Any], keys: list[VerifierKey]) -> None:
    assert len(vectors["malformed_notes_must_fail"]) == 7
    for bad in vectors["malformed_notes_must_fail"]:
        note = bytes.fromhex(bad["note_hex"]) if "note_hex" in bad else bad["note"]
        assert refused(note, keys), bad["why"]


def test_published_bad_keys_are_refused(vectors: dict[str, Any]) -> None:
    for bad in vectors["bad_vkeys"]:
        with pytest.raises(FormatError):
            VerifierKey.parse(bad["vkey"])


def test_published_further_rules(vectors: dict[str, Any], keys: list[VerifierKey]) -> None:
    """101 signature lines are malformed; duplicates of one known signature are ignored."""
    line = vectors["signature_lines"][0]
    _, signatures = open_note(vectors["text"] + "\n" + 100 * line, keys)
    assert len(signatures) == 1
    with pytest.raises(FormatError, match="at most 100"):
        open_note(vectors["text"] + "\n" + 101 * line, keys)


def test_example_of_signed_note() -> None:
    text, [signature] = open_note(FOO_NOTE, [VerifierKey.parse(FOO_VKEY)])
    assert text == "This is an example message.\n"
    assert signature.timestamp is None
    assert str(signature.line) == FOO_NOTE.partition("\n\n")[2]
    assert str(VerifierKey.parse(FOO_VKEY)) == FOO_VKEY


def test_text_ends_at_the_last_empty_line() -> None:
    note = Note.parse(QUASIMODO)
    assert note.text.endswith("sole:\n\ned è subito sera.\n")
    assert note.lines[0].name == "quasimodo.example/salvatore"
    assert note.lines[0].number == 6


def test_example_of_cosignature() -> None:
    log, witness = Note.parse(COSIGNED).lines
    assert len(log.signature) == 64
    assert len(witness.signature) == 72
    assert int.from_bytes(witness.signature[:8], "big") == 1679315147


def test_a_cosignature_signs_the_example_message() -> None:
    """tlog-cosignature, "Ed25519 signed message": header, time, then the note's text."""
    witness = CosignatureSigner.from_seed("witness.example.com/w1", b"w" * 32)
    text = Note.parse(COSIGNED).text
    line = witness.cosign(text, 1679315147)
    [signature] = Note.parse(f"{text}\n{line}").verified([witness.key])
    assert signature.timestamp == 1679315147
    plain = NoteSigner.from_seed("x", b"w" * 32)
    message = f"cosignature/v1\ntime 1679315147\n{text}"
    assert plain._private_key.sign(message.encode()) == signature.line.signature[8:]


def test_a_changed_text_time_or_signature_is_refused() -> None:
    signer = NoteSigner.from_seed("example.com/log", b"s" * 32)
    witness = CosignatureSigner.from_seed("example.com/w", b"w" * 32)
    text = "a\n1\nb\n"
    note = sign_note(text, signer) + witness.cosign(text, 7)
    assert len(open_note(note, [signer.key, witness.key])[1]) == 2
    with pytest.raises(SignatureError, match="line 5"):
        open_note(note.replace("1\n", "2\n", 1), [signer.key, witness.key])
    line = parse_signature_lines(witness.cosign(text, 7))[0]
    for place in (0, 7, 8, 71):
        changed = bytearray(line.signature)
        changed[place] ^= 1
        with pytest.raises(SignatureError):
            witness.key.verify(text, bytes(changed))
    for short in (b"", line.signature[:-1], line.signature + b"\0", line.signature[8:]):
        with pytest.raises(SignatureError):
            witness.key.verify(text, short)


def test_a_key_of_the_same_name_and_id_but_other_bytes_is_refused() -> None:
    """A known name and key ID whose signature fails spoils the note, even beside a good one."""
    good, bad = NoteSigner.from_seed("a", b"1" * 32), NoteSigner.from_seed("b", b"2" * 32)
    note = sign_note("text\n", good) + bad.sign("another\n")
    open_note(note, [good.key])
    with pytest.raises(SignatureError, match="of b"):
        open_note(note, [good.key, bad.key])
    with pytest.raises(SignatureError, match="no known key"):
        open_note(note, [])


@pytest.mark.parametrize(
    "note",
    [
        "",
        "text",
        "text\n",
        "\n\n",
        "text\n\n— a AAAAAAA=",
        "text\n\n— a AAAAAAA\n",  # no padding
        "text\n\n— a AAAAAAB=\n",  # not canonical: bits beyond the last byte
        "text\n\n— a AAAAAA==\n",  # four bytes: a key ID without a signature
        "text\n\n—  AAAAAAA=\n",  # empty name
        "text\n\n— a\u3000b AAAAAAA=\n",  # a Unicode space
        "text\n\n— a+b AAAAAAA=\n",
        "text\n\n- a AAAAAAA=\n",
        "text\n\n— a AAAA AAA=\n",
        "text\r\n\n— a AAAAAAA=\n",
        "te\0xt\n\n— a AAAAAAA=\n",
        "text\n\n— a AAAAAAA=\n\n",
        "text\n\n" + "x" * 1_000_001,
    ],
)
def test_malformed(note: str) -> None:
    with pytest.raises(FormatError):
        Note.parse(note)


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "a",
        "a+b",
        FOO_VKEY.replace("530d903a", "530d903b"),
        FOO_VKEY.replace("530d903a", "530D903A"),
        FOO_VKEY.replace("foo", "bar"),
        FOO_VKEY + "A",
        FOO_VKEY.replace("example", "exa mple"),
        "example.com/foo+530d903a+",
    ],
)
def test_malformed_vkeys(vkey: str) -> None:
    with pytest.raises(FormatError):
        VerifierKey.parse(vkey)


def test_signers_keep_to_their_kind_and_show_no_key() -> None:
    signer, witness = NoteSigner.from_seed("l", b"1" * 32), CosignatureSigner.from_seed("w", b"1" * 32)
    assert signer.key.key_id != witness.key.key_id, "one key pair, two types, two key IDs"
    with pytest.raises(FormatError, match="cosignature"):
        signer.sign("cosignature/v1\ntime 1\nx\n")
    with pytest.raises(FormatError, match="cosign"):
        witness.sign("text\n")
    assert "redacted" in repr(signer)
    for text in ("no newline", "control\x01\n"):
        with pytest.raises(FormatError):
            signer.sign(text)
    for time in (0, -1, 2**63):
        with pytest.raises(FormatError):
            witness.cosign("text\n", time)
