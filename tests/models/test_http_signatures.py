"""Signed requests: RFC 9421's Ed25519 case, what must be covered, and every way in which a request is not what was signed."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from http_message_signatures import HTTPMessageSigner, HTTPMessageVerifier, HTTPSignatureKeyResolver
from http_message_signatures.algorithms import ED25519

from models.http_signatures import COVERED, LABEL, TAG, Request, sign_request, verify_body, verify_head
from models.problems import BadSignature
from tests.conftest import shared_path

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
URL = "https://node.example/tables/t/evaluate?epoch=1"


class _Key(HTTPSignatureKeyResolver):
    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    def resolve_private_key(self, key_id: str) -> Ed25519PrivateKey:
        return self._key

    def resolve_public_key(self, key_id: str) -> Ed25519PublicKey:
        return self._key.public_key()


def find(key_id: str) -> Ed25519PublicKey | None:
    return KEY.public_key() if key_id == "bank/li" else None


def signed(body: bytes = b"body", **changes: object) -> Request:
    request = Request("POST", URL, {"content-type": "text/csv"}, body)
    sign_request(request, "bank/li", KEY, **changes)  # type: ignore[arg-type]
    return request


def test_a_signed_request_proves_its_sender_and_its_body() -> None:
    request = signed()
    proven = verify_head(request, find)
    assert proven.key_id == "bank/li"
    verify_body(proven, b"body")
    with pytest.raises(BadSignature, match="does not match"):
        verify_body(proven, b"bodx")


def test_two_signatures_never_share_a_nonce() -> None:
    assert verify_head(signed(), find).nonce != verify_head(signed(), find).nonce


def other_bits(stated: str) -> str:
    place = len("sig1=:") + 20
    return stated[:place] + ("B" if stated[place] == "A" else "A") + stated[place + 1 :]


@pytest.mark.parametrize(
    "change",
    [
        lambda r: setattr(r, "method", "PUT"),
        lambda r: setattr(r, "url", URL.replace("evaluate", "columns")),
        lambda r: setattr(r, "url", URL.replace("node.example", "office.example")),
        lambda r: setattr(r, "url", URL.replace("epoch=1", "epoch=2")),
        lambda r: r.headers.update({"content-type": "application/vnd.msgpack"}),
        lambda r: r.headers.update({"idempotency-key": "another-key-0000"}),
        lambda r: r.headers.update({"Content-Digest": "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"}),
        lambda r: r.headers.pop("Signature"),
        lambda r: r.headers.pop("Signature-Input"),
        lambda r: r.headers.pop("Content-Digest"),
        lambda r: r.headers.update({"Signature-Input": r.headers["Signature-Input"].replace("bank/li", "bank/xu")}),
        lambda r: r.headers.update({"Signature": other_bits(r.headers["Signature"])}),
    ],
    ids=["method", "path", "host", "query", "type", "key", "digest", "no-signature", "no-input", "no-digest", "who", "bits"],
)
def test_anything_changed_after_signing_is_refused(change: Callable[[Request], object]) -> None:
    request = signed()
    change(request)
    with pytest.raises(BadSignature):
        verify_head(request, find)


@pytest.mark.parametrize("minutes", [-3, 3])
def test_an_old_or_future_signature_is_refused(minutes: int) -> None:
    with pytest.raises(BadSignature):
        verify_head(signed(now=datetime.now(UTC) + timedelta(minutes=minutes)), find)


@pytest.mark.parametrize(
    ("parameters", "covered", "why"),
    [
        ({"lifetime": 61}, None, "60 seconds"),
        ({"nonce": None}, None, "nonce"),
        ({"nonce": "short"}, None, "nonce"),
        ({"tag": "other"}, None, "tag"),
        ({}, ("@method", "@target-uri", "content-type"), "cover|component"),
        ({}, ("@method", "content-digest", "content-type", "idempotency-key"), "cover|component"),
    ],
    ids=["long-lived", "no-nonce", "short-nonce", "other-tag", "digest-not-covered", "uri-not-covered"],
)
def test_a_signature_that_promises_too_little_is_refused(
    parameters: dict[str, object], covered: tuple[str, ...] | None, why: str
) -> None:
    request = signed()
    for name in ("Signature", "Signature-Input"):
        request.headers.pop(name)
    now = datetime.now(UTC)
    HTTPMessageSigner(signature_algorithm=ED25519, key_resolver=_Key(KEY)).sign(
        request,
        key_id="bank/li",
        created=now,
        expires=now + timedelta(seconds=int(str(parameters.get("lifetime", 60)))),
        nonce=parameters.get("nonce", "n" * 20),  # type: ignore[arg-type]
        label=LABEL,
        tag=str(parameters.get("tag", TAG)),
        use_existing_digest=True,
        covered_component_ids=covered or ("@method", "@target-uri", "content-digest", "content-type", "idempotency-key"),
    )
    with pytest.raises(BadSignature, match=why):
        verify_head(request, find)


# ---------------------------------------------------------------------- held against a library for all of RFC 9421


@pytest.mark.parametrize("url", [URL, "http://127.0.0.1:8000/", "https://node.example/loads?name=a%20b&as_of=%E4%BF%A1"])
@pytest.mark.parametrize("body", [b"", b"body", bytes(range(256))])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_library_verifies_what_we_sign(method: str, url: str, body: bytes) -> None:
    request = Request(method, url, {"content-type": " text/csv ", "idempotency-key": "k" * 20}, body)
    sign_request(request, "bank/li wei", KEY)
    verifier = HTTPMessageVerifier(signature_algorithm=ED25519, key_resolver=_Key(KEY))
    [result] = verifier.verify(
        request, max_age=timedelta(seconds=60), expect_tag=TAG, expect_label=LABEL, require_components=COVERED, body=body
    )
    assert result.parameters["keyid"] == "bank/li wei"


@pytest.mark.parametrize("include_alg", [True, False])
def test_we_verify_what_the_library_signs(include_alg: bool) -> None:
    request = signed()
    for name in ("Signature", "Signature-Input"):
        request.headers.pop(name)
    now = datetime.now(UTC)
    HTTPMessageSigner(signature_algorithm=ED25519, key_resolver=_Key(KEY)).sign(
        request, key_id="bank/li", created=now, expires=now + timedelta(seconds=60), nonce="n" * 20, label=LABEL, tag=TAG,
        use_existing_digest=True, covered_component_ids=COVERED, include_alg=include_alg,
    )  # fmt: skip
    assert verify_head(request, find).nonce == "n" * 20


def test_signing_again_leaves_one_signature() -> None:
    request = signed()
    request.headers = {name.lower(): value for name, value in request.headers.items()}
    first = request.headers["signature"]
    sign_request(request, "bank/li", KEY)
    assert verify_head(request, find).key_id == "bank/li"
    assert request.headers["Signature"] != first


def stated(change: Callable[[str], str]) -> Callable[[Request], object]:
    """Signature-Input changed, and signed as it then stands: a fault of form alone."""

    def apply(request: Request) -> None:
        value = change(request.headers["Signature-Input"])
        fields = ("Content-Digest", "content-type", "idempotency-key")
        lines = [request.method, request.url, *(request.headers[name] for name in fields)]
        base = "".join(f'"{name}": {line}\n' for name, line in zip(COVERED, lines, strict=True))
        signature = KEY.sign(f'{base}"@signature-params": {value.removeprefix("sig1=")}'.encode())
        request.headers["Signature-Input"] = value
        request.headers["Signature"] = f"sig1=:{base64.b64encode(signature).decode()}:"

    return apply


def test_a_faultless_statement_that_the_test_signs_is_taken() -> None:
    request = signed()
    stated(lambda value: value)(request)
    assert verify_head(request, find).key_id == "bank/li"


@pytest.mark.parametrize(
    "change",
    [
        stated(lambda value: value + ';nonce="another-nonce-of-this-request"'),
        stated(lambda value: value + ";created=1"),
        stated(lambda value: value + ";more=1"),
        stated(lambda value: value.replace('alg="ed25519"', 'alg="hmac-sha256"')),
        stated(lambda value: value.replace('keyid="bank/li"', 'keyid="bank\\/li"')),
        stated(lambda value: re.sub(r"created=(\d+)", r'created="\1"', value)),
        stated(lambda value: re.sub(r"created=(\d+)", r"created=-\1", value)),
        stated(lambda value: re.sub(r"expires=(\d+)", r"expires=\g<1>.0", value)),
        stated(lambda value: re.sub(r'nonce="[^"]*"', "nonce=12345678901234", value)),
        stated(lambda value: value.replace(";tag", "; tag")),
        stated(lambda value: value.replace('"@method"', '"@method";req')),
        stated(lambda value: value.replace("sig1=", "sig2=")),
        stated(lambda value: value.replace('"@method" "@target-uri"', '"@target-uri" "@method"')),
        lambda r: r.headers.update({"Signature": r.headers["Signature"] + ", sig2=:AAAA:"}),
        lambda r: r.headers.update({"Signature-Input": r.headers["Signature-Input"] + ", sig2=()"}),
        lambda r: r.headers.update({"Content-Type": "text/csv"}),
        lambda r: r.headers.update({"content-type": 'text/csv\n"idempotency-key": x'}),
        lambda r: setattr(r, "url", URL + '\n"content-type": x'),
    ],
    ids=[
        "nonce-twice", "created-twice", "unknown", "algorithm", "escape", "string", "negative", "decimal", "number", "space",
        "flag", "label", "order", "two-signatures", "two-inputs", "field-twice", "line-in-field", "line-in-address",
    ],
)  # fmt: skip
def test_no_other_spelling_is_taken(change: Callable[[Request], object]) -> None:
    request = signed()
    change(request)
    with pytest.raises(BadSignature):
        verify_head(request, find)


@pytest.mark.parametrize("key_id", ["", 'bank/"li"', "bank/\\li", "bank/李", "bank/li\n"])
def test_a_key_id_that_cannot_be_stated_is_not_signed_for(key_id: str) -> None:
    with pytest.raises(ValueError, match="key id"):
        sign_request(Request("GET", URL, {}), key_id, KEY)


def test_an_address_that_is_not_ascii_is_not_signed() -> None:
    with pytest.raises(ValueError, match="ASCII"):
        sign_request(Request("GET", "https://node.example/表", {}), "bank/li", KEY)


def test_rfc_9421_appendix_b_2_6() -> None:
    """The published Ed25519 signature comes out of the library that we are held against, over the published base."""
    vectors = json.loads(shared_path("vectors/rfc9421_httpsig/rfc9421_appendix_b.json").read_text(encoding="utf-8"))
    [case] = [case for case in vectors["cases"] if case["title"].endswith("ed25519")]
    pem = vectors["keys"]["Example Ed25519 Test Key"][0]
    private = load_pem_private_key(pem[pem.index("-----BEGIN PRIVATE") :].encode(), None)
    assert isinstance(private, Ed25519PrivateKey)
    head, body = vectors["messages"]["test-request"].split("\n\n")
    line, *fields = head.split("\n")
    method, target, _ = line.split(" ")
    headers = dict(field.split(": ", 1) for field in fields)
    request = Request(method, f"https://{headers['Host']}{target}", headers, body.encode())
    covered = ("date", "@method", "@path", "@authority", "content-type", "content-length")
    signer = HTTPMessageSigner(signature_algorithm=ED25519, key_resolver=_Key(private))
    created = datetime.fromtimestamp(1618884473, UTC)
    arguments = {"key_id": "test-key-ed25519", "created": created, "label": "sig-b26", "covered_component_ids": covered}
    prepared = signer.prepare(request, include_alg=False, use_existing_digest=True, **arguments)  # type: ignore[arg-type]
    assert prepared.signature_base.decode() == case["signature_base"]
    signer.sign(request, include_alg=False, use_existing_digest=True, **arguments)  # type: ignore[arg-type]
    published = dict(line.split(": ", 1) for line in case["headers"].split("\n"))
    assert request.headers["Signature"] == published["Signature"]
    assert request.headers["Signature-Input"] == published["Signature-Input"]
