"""Requests signed per RFC 9421 with Ed25519, a digest of the body (RFC 9530), a nonce and an expiry of at most 60 s.

One form of what RFC 9421 allows, and no other: one signature, labelled `sig1`, over method, target URI, content digest,
content type and idempotency key, in this order::

    Content-Digest:  sha-256=:…:
    Signature-Input: sig1=("@method" "@target-uri" "content-digest" "content-type" "idempotency-key");created=…;
                     keyid="…";alg="ed25519";expires=…;nonce="…";tag="xinqiao"
    Signature:       sig1=:…:

A server verifies the head before it reads a body, so that strangers cannot make it hold one, and then holds the body against
the signed digest: a signature alone says nothing about the body. Replay is the server's to refuse: see `audit.service`.

Every call is signed and verified, so both are written out for this one form; the tests hold them against a library for all.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from models.problems import BadSignature

TAG: Final = "xinqiao"
LABEL: Final = "sig1"
ALGORITHM: Final = "ed25519"
LIFETIME_SECONDS: Final = 60
SKEW_SECONDS: Final = 5
"""By so much may two clocks differ."""
COVERED: Final = ("@method", "@target-uri", "content-digest", "content-type", "idempotency-key")

_COVERED: Final = "(" + " ".join(f'"{name}"' for name in COVERED) + ")"
_STRING: Final = r'"[ !#-\[\]-~]*"'  # a String of RFC 8941 in which nothing is escaped
_INPUT: Final = re.compile(
    rf"{LABEL}=(?P<value>(?P<covered>\([^()]*\))(?P<parameters>(?:;[a-z]+=(?:[0-9]{{1,15}}|{_STRING}))*))"
)
_PARAMETER: Final = re.compile(rf";([a-z]+)=([0-9]+|{_STRING})")
_SIGNATURE: Final = re.compile(rf"{LABEL}=:([A-Za-z0-9+/]{{86}}==):")
_KEY_ID: Final = re.compile(r"[ !#-\[\]-~]+")


@dataclass
class Request:
    """The parts of a request that a signature covers; `url` is the absolute target URI as the client meant it."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Proven:
    """What a verified signature proves: who signed, the nonce, its times (POSIX seconds), the body's digest field."""

    key_id: str
    nonce: str
    created: int
    expires: int
    digest: str


def sign_request(request: Request, key_id: str, key: Ed25519PrivateKey, now: datetime | None = None) -> None:
    """Add Content-Digest, Signature-Input and Signature to `request.headers`; a fresh nonce each time.

    Raises:
        ValueError: the key id, the address or a header holds what cannot be signed: anything but printable ASCII.
    """
    if not _KEY_ID.fullmatch(key_id):
        raise ValueError("a key id that signs requests has printable ASCII characters, and neither a quote nor a backslash")
    created = int(now.timestamp() if now else time.time())
    for name in [name for name in request.headers if name.lower() in {"content-digest", "signature", "signature-input"}]:
        del request.headers[name]
    request.headers.setdefault("content-type", "application/octet-stream")
    request.headers.setdefault("idempotency-key", secrets.token_urlsafe(16))
    request.headers["Content-Digest"] = _digest_field(request.body)
    value = (
        f'{_COVERED};created={created};keyid="{key_id}";alg="{ALGORITHM}";expires={created + LIFETIME_SECONDS}'
        f';nonce="{secrets.token_urlsafe(18)}";tag="{TAG}"'
    )
    try:
        signature = key.sign(_signature_base(request, _fields(request), value))
    except BadSignature as problem:
        raise ValueError(problem.detail) from None
    request.headers["Signature-Input"] = f"{LABEL}={value}"
    request.headers["Signature"] = f"{LABEL}=:{base64.b64encode(signature).decode()}:"


def verify_head(request: Request, find_key: Callable[[str], Ed25519PublicKey | None]) -> Proven:
    """Verify the one `xinqiao` signature over a request's head, before its body is read; raises `BadSignature`.

    `find_key` maps a key id to its verification key or None. The caller must still refuse a nonce seen before, and hold the
    body against the signed digest with `verify_body`.
    """
    fields = _fields(request)
    stated, signed = (_field(fields, name) for name in ("signature-input", "signature"))
    found, signature = _INPUT.fullmatch(stated), _SIGNATURE.fullmatch(signed)
    if found is None or signature is None:
        raise BadSignature(
            f"exactly one signature is expected, labelled {LABEL!r}, its parameters in plain strings and numbers"
        )
    if found["covered"] != _COVERED:
        raise BadSignature(f"the signature must cover the components {', '.join(COVERED)}, in this order")
    parameters = _parameters(found["parameters"])
    _check_times(parameters, time.time())
    key_id = parameters["keyid"]
    key = find_key(key_id)
    if key is None:
        raise BadSignature("no such key is enrolled")
    try:
        key.verify(base64.b64decode(signature[1]), _signature_base(request, fields, found["value"]))
    except (InvalidSignature, binascii.Error):
        raise BadSignature("the signature does not verify") from None
    created, expires = int(parameters["created"]), int(parameters["expires"])
    return Proven(key_id, parameters["nonce"], created, expires, fields["content-digest"])


def verify_body(proven: Proven, body: bytes) -> None:
    """Hold a body against the digest that was signed (RFC 9530); raises `BadSignature`."""
    if not hmac.compare_digest(proven.digest.encode(), _digest_field(body).encode()):
        raise BadSignature("the body does not match its signed Content-Digest, or that is not one of SHA-256")


def _fields(request: Request) -> dict[str, str]:
    """The header fields by lower-case name."""
    fields = {name.lower(): value.strip(" \t") for name, value in request.headers.items()}
    if len(fields) != len(request.headers):
        raise BadSignature("a header field stands twice in this request")
    return fields


def _field(fields: Mapping[str, str], name: str) -> str:
    try:
        return fields[name]
    except KeyError:
        raise BadSignature(f"the header field {name} is missing") from None


def _signature_base(request: Request, fields: Mapping[str, str], value: str) -> bytes:
    """RFC 9421 §2.5: a line for each covered component, then the parameters as they stand in Signature-Input."""
    lines = [request.method.upper(), request.url, *(_field(fields, name) for name in COVERED[2:])]
    # A line break in a component would let one signed text be read as another.
    if not all(line.isascii() and line.isprintable() for line in lines) or " " in request.url:
        raise BadSignature("method, address and header fields that are signed hold printable ASCII characters only")
    stated = [f'"{name}": {line}' for name, line in zip(COVERED, lines, strict=True)]
    return "\n".join([*stated, f'"@signature-params": {value}']).encode()


def _parameters(text: str) -> dict[str, str]:
    """The signature's parameters (RFC 9421 §2.3), each once, the strings without their quotes."""
    pairs = _PARAMETER.findall(text)
    parameters = {name: stated.strip('"') for name, stated in pairs}
    integers = {name for name, stated in pairs if not stated.startswith('"')}
    wanted = {"created", "expires", "keyid", "nonce", "tag"}
    if missing := wanted - parameters.keys():
        raise BadSignature(f"the signature lacks the parameters {', '.join(sorted(missing))}")
    if len(pairs) != len(parameters) or parameters.keys() - wanted - {"alg"} or integers != {"created", "expires"}:
        raise BadSignature("a parameter of the signature stands twice, is unknown, or has another type than it should")
    if parameters["tag"] != TAG or parameters.get("alg", ALGORITHM) != ALGORITHM:
        raise BadSignature(f"a signature with the tag {TAG!r} by Ed25519 is expected")
    if not 16 <= len(parameters["nonce"]) <= 64:
        raise BadSignature("a nonce of 16 to 64 characters is required")
    return parameters


def _check_times(parameters: Mapping[str, str], now: float) -> None:
    created, expires = int(parameters["created"]), int(parameters["expires"])
    if not 0 < expires - created <= LIFETIME_SECONDS:
        raise BadSignature(f"the signature must expire within {LIFETIME_SECONDS} seconds of its creation")
    if created > now + SKEW_SECONDS:
        raise BadSignature("the signature was created in the future: compare the clocks")
    if expires < now - SKEW_SECONDS:
        raise BadSignature("the signature has expired: sign the request anew, and compare the clocks")


def _digest_field(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
