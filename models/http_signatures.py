"""Requests signed per RFC 9421 with Ed25519, a digest of the body (RFC 9530), a nonce and an expiry of at most 60 s.

Covered: method, target URI, content digest, content type, idempotency key. A server verifies the head before it reads a
body, so that strangers cannot make it hold one, and then holds the body against the signed digest: a signature alone says
nothing about the body. Replay is the server's to refuse: see `audit.service`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
)
from http_message_signatures.algorithms import ED25519
from http_message_signatures.digests import ContentDigest
from http_message_signatures.exceptions import HTTPMessageSignaturesException

from models.problems import BadSignature

TAG = "xinqiao"
LABEL = "sig1"
LIFETIME = timedelta(seconds=60)
COVERED = ("@method", "@target-uri", "content-digest", "content-type", "idempotency-key")


@dataclass
class Request:
    """The parts of a request that a signature covers; `url` is the absolute target URI as the client meant it."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Proven:
    """What a verified signature proves: who signed, the nonce, when it expires (POSIX seconds), the body's digest field."""

    key_id: str
    nonce: str
    expires: int
    digest: str


class _OneKey(HTTPSignatureKeyResolver):
    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private

    def resolve_private_key(self, key_id: str) -> Ed25519PrivateKey:
        return self._private


class _Lookup(HTTPSignatureKeyResolver):
    def __init__(self, find: Callable[[str], Ed25519PublicKey | None]) -> None:
        self._find = find

    def resolve_public_key(self, key_id: str) -> Ed25519PublicKey | None:
        return self._find(key_id)


def sign_request(request: Request, key_id: str, key: Ed25519PrivateKey, now: datetime | None = None) -> None:
    """Add Content-Digest, Signature-Input and Signature to `request.headers`; a fresh nonce each time."""
    created = now or datetime.now(UTC)
    request.headers.setdefault("content-type", "application/octet-stream")
    request.headers.setdefault("idempotency-key", secrets.token_urlsafe(16))
    for name in ("Content-Digest", "Signature", "Signature-Input"):
        request.headers.pop(name, None)
    signer = HTTPMessageSigner(signature_algorithm=ED25519, key_resolver=_OneKey(key))
    signer.sign(
        request,
        key_id=key_id,
        created=created,
        expires=created + LIFETIME,
        nonce=secrets.token_urlsafe(18),
        label=LABEL,
        tag=TAG,
        covered_component_ids=COVERED,
        body=request.body,
    )


def verify_head(request: Request, find_key: Callable[[str], Ed25519PublicKey | None]) -> Proven:
    """Verify the one `xinqiao` signature over a request's head, before its body is read; raises `BadSignature`.

    `find_key` maps a key id to its verification key or None. The caller must still refuse a nonce seen before, and hold the
    body against the signed digest with `verify_body`.
    """
    verifier = HTTPMessageVerifier(signature_algorithm=ED25519, key_resolver=_Lookup(find_key))
    try:
        results = verifier.verify(request, max_age=LIFETIME, expect_tag=TAG, require_components=COVERED)
    except HTTPMessageSignaturesException as error:
        raise BadSignature(_plain(error)) from None
    if len(results) != 1:
        raise BadSignature("exactly one signature with the tag 'xinqiao' is expected")
    parameters: Mapping[str, Any] = results[0].parameters
    nonce, created, expires = (parameters.get(name) for name in ("nonce", "created", "expires"))
    if not isinstance(nonce, str) or not 16 <= len(nonce) <= 64:
        raise BadSignature("a nonce of 16 to 64 characters is required")
    if not isinstance(expires, int) or not isinstance(created, int):
        raise BadSignature("the parameters 'created' and 'expires' are required")
    if not 0 < expires - created <= LIFETIME.total_seconds():
        raise BadSignature("the signature must expire within 60 seconds of its creation")
    digest = results[0].covered_components['"content-digest"']
    return Proven(key_id=str(parameters["keyid"]), nonce=nonce, expires=expires, digest=digest)


def verify_body(proven: Proven, body: bytes) -> None:
    """Hold a body against the digest that was signed (RFC 9530); raises `BadSignature`."""
    try:
        ContentDigest.verify(proven.digest, body)
    except HTTPMessageSignaturesException as error:
        raise BadSignature(_plain(error)) from None


def _plain(error: HTTPMessageSignaturesException) -> str:
    text = str(error)
    # The library's own sentences name headers and parameters, never their values, but an inner error may quote bytes.
    return text if text and len(text) < 200 and text.isprintable() else "the signature does not verify"
