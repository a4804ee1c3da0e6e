"""The codec and the problem table: closed messages, exact arrays, statements that pass for nothing else."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil

import msgspec
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

import models
from models import problems, wire
from models.alignment import Cohort, MatchTags
from models.consents import Consent, ConsentKind
from models.tickets import AccessQuery
from models.training import OpenJob
from models.wire import Message, Signed

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


def test_equal_messages_have_equal_bytes_and_come_back() -> None:
    message = OpenJob(project="p", cohort="c", bank_columns=3)
    assert wire.encode(message) == wire.encode(OpenJob(cohort="c", bank_columns=3, project="p"))
    assert wire.decode(wire.encode(message), OpenJob) == message


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        msgspec.msgpack.encode({"subject": "x", "more": 1}),
        msgspec.msgpack.encode({"subject": 7}),
        msgspec.msgpack.encode({}),
        wire.encode(AccessQuery(subject="x")) + b"\x00",
        wire.encode(AccessQuery(subject="x"))[:-1],
        b"\x91" * 5_000,
    ],
    ids=["empty", "number", "unknown-field", "wrong-type", "missing", "trailing", "truncated", "deep"],
)
def test_malformed_messages_are_refused(data: bytes) -> None:
    with pytest.raises(problems.BadMessage):
        wire.decode(data, AccessQuery)


def test_a_refusal_names_the_place_and_never_the_value() -> None:
    secret = "citizen:110101199001011234"
    body = {"kind": secret} | {f: "" for f in Consent.__struct_fields__ if f != "kind"}  # type: ignore[attr-defined]
    with pytest.raises(problems.BadMessage) as caught:
        wire.decode(msgspec.msgpack.encode(body), Consent)
    assert secret not in str(caught.value)
    assert "$." in str(caught.value)


@given(st.binary(max_size=200))
def test_no_bytes_at_all_make_the_decoder_fail_otherwise(data: bytes) -> None:
    with contextlib.suppress(problems.BadMessage):
        assert isinstance(wire.decode(data, MatchTags), MatchTags)


@pytest.mark.parametrize("size", [0, 15, 17, 160])
def test_arrays_have_exactly_the_expected_length(size: int) -> None:
    with pytest.raises(problems.BadMessage, match="b: "):
        wire.unpack(bytes(size), "<u8", (2, 1), "b")


def test_arrays_travel_little_endian_and_come_back_read_only() -> None:
    values = np.arange(6, dtype=">u8").reshape(2, 3)
    back = wire.unpack(wire.pack(values), "<u8", (2, 3), "values")
    assert back.tolist() == values.tolist()
    assert not back.flags.writeable


def test_a_statement_passes_for_no_other() -> None:
    signed = wire.sign(Cohort(id="c", project="p", rows=1, root=b"r", kept=b""), "node", KEY)
    public = KEY.public_key()
    assert wire.open_signed(signed, Cohort, "node", public).id == "c"
    other = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32).public_key()
    changed = Signed(kind=signed.kind, signer="node", payload=signed.payload + b" ", signature=signed.signature)
    renamed = Signed(kind="AccessQuery", signer="node", payload=signed.payload, signature=signed.signature)
    for statement, kind, signer, key in (
        (signed, Cohort, "office", public),
        (signed, Cohort, "node", other),
        (signed, AccessQuery, "node", public),
        (changed, Cohort, "node", public),
        (renamed, AccessQuery, "node", public),
    ):
        with pytest.raises(problems.BadSignature):
            wire.open_signed(statement, kind, signer, key)


def test_every_problem_goes_out_and_comes_back() -> None:
    assert len(problems.REGISTRY) > 25
    for slug, kind in problems.REGISTRY.items():
        sent = kind("what was wrong", advice="what to do")
        fields = msgspec.json.decode(sent.document())
        assert fields["type"] == problems.URN + slug
        assert fields["status"] == kind.status
        back = problems.from_document(kind.status, sent.document())
        assert type(back) is kind
        assert (back.detail, back.next_step) == ("what was wrong", "what to do")
        assert kind.title
        assert kind.advice


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"type": 5}'])
def test_an_answer_without_a_problem_document_is_still_a_problem(body: bytes) -> None:
    assert isinstance(problems.from_document(502, body), problems.Problem)


def test_no_two_messages_share_a_name() -> None:
    # The kind of a signed statement is its class name.
    for module in pkgutil.walk_packages(models.__path__, "models."):
        importlib.import_module(module.name)
    names = [kind.__name__ for kind in Message.__subclasses__()]
    assert len(names) == len(set(names)), sorted(n for n in names if names.count(n) > 1)


def test_enums_are_closed() -> None:
    assert set(ConsentKind) == {"collection", "modelling", "query"}


@pytest.mark.parametrize("name", ["330106199001011234", "张三", "a`330106", "x" * 40, "id\n1"])
def test_a_field_is_named_in_a_refusal_only_where_it_is_a_plain_word(name: str) -> None:
    with pytest.raises(problems.BadMessage) as caught:
        wire.decode(msgspec.msgpack.encode({"subject": "s", name: 1}), AccessQuery)
    assert name not in caught.value.detail
    with pytest.raises(problems.BadMessage, match="unknown field `subjekt`"):
        wire.decode(msgspec.msgpack.encode({"subject": "s", "subjekt": 1}), AccessQuery)
