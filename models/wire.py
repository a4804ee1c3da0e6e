"""The one codec of the wire: MessagePack through msgspec, closed structs, arrays of stated shape, signed envelopes.

Every message is a frozen `Message`. Unknown fields, wrong types and trailing bytes are refused by the decoder; numeric
arrays travel as little-endian bytes whose length must equal the shape that the receiver expects, so that no peer can
choose how much memory we allocate.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform

import msgspec
import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from numpy.typing import NDArray

from models.problems import BadMessage, BadSignature

CONTENT_TYPE = "application/vnd.msgpack"
SIGNATURE_DOMAIN = b"xinqiao/signed/v1/"


if TYPE_CHECKING:
    # Subclasses inherit msgspec's options, which type checkers cannot see: say them once here.
    @dataclass_transform(frozen_default=True, kw_only_default=True)
    class Message:
        """Base of all wire messages: immutable and closed."""
else:

    class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
        """Base of all wire messages: immutable and closed."""


M = TypeVar("M", bound=Message)
_UNKNOWN_FIELD = re.compile(
    r"unknown field `(?![a-z][a-z_]{0,31}`( - at |$)).*`", re.DOTALL
)  # a plain word is a misspelt field
_encoder = msgspec.msgpack.Encoder(order="deterministic")


def encode(message: Message) -> bytes:
    """Canonical bytes of a message: the same value always gives the same bytes."""
    return _encoder.encode(message)


def replace(message: M, **changes: Any) -> M:
    """A copy with some fields changed."""
    return msgspec.structs.replace(message, **changes)  # type: ignore[type-var]


def fields_of(message: Message) -> dict[str, Any]:
    """The fields by name, as they are."""
    return msgspec.structs.asdict(message)  # type: ignore[arg-type]


def decode(data: bytes, kind: type[M]) -> M:
    """Decode and validate; raises `BadMessage` naming the place (never the value) that does not fit."""
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise BadMessage(f"{kind.__name__}: {_place_only(error)}") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise BadMessage(f"{kind.__name__}: not one complete MessagePack object") from None


def _place_only(error: msgspec.ValidationError) -> str:
    # msgspec quotes what was sent in two places, and either may be personal: values of enums, and names of unknown fields.
    text = str(error)
    if text.startswith("Invalid enum value"):
        return "Invalid enum value" + text[text.rfind(" - at") :]
    return _UNKNOWN_FIELD.sub("an unknown field", text)


def pack(array: NDArray[Any]) -> bytes:
    """C-ordered little-endian bytes of an array."""
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()


def split(data: bytes, size: int, what: str) -> list[bytes]:
    """Cut concatenated values of `size` bytes each apart; raises `BadMessage`."""
    if len(data) % size:
        raise BadMessage(f"{what}: {len(data)} bytes are no multiple of {size}")
    return [data[start : start + size] for start in range(0, len(data), size)]


def unpack(data: bytes, dtype: str, shape: tuple[int, ...], what: str) -> NDArray[Any]:
    """A read-only array of exactly `shape` and `dtype` (e.g. ``"<u8"``); raises `BadMessage` for any other length."""
    kind = np.dtype(dtype)
    expected = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
    if len(data) != expected:
        raise BadMessage(f"{what}: {len(data)} bytes where {expected} are expected for shape {shape} of {kind.name}")
    return np.frombuffer(data, dtype=kind).reshape(shape)


class Signed(Message):
    """A statement and its Ed25519 signature; `kind` separates the domains so that no statement passes for another."""

    kind: str
    signer: str
    payload: bytes
    signature: bytes

    def digest(self) -> str:
        """SHA-256 of the payload, as lower-case hex: how leaves and other statements refer to this one."""
        return hashlib.sha256(self.payload).hexdigest()


def _signed_bytes(kind: str, signer: str, payload: bytes) -> bytes:
    head = kind.encode() + b"\0" + signer.encode() + b"\0"
    return SIGNATURE_DOMAIN + head + payload


def sign(message: Message, signer: str, key: Ed25519PrivateKey) -> Signed:
    """Sign a message as `signer`; the kind is the message's class name."""
    kind = type(message).__name__
    payload = encode(message)
    return Signed(kind=kind, signer=signer, payload=payload, signature=key.sign(_signed_bytes(kind, signer, payload)))


def open_signed(signed: Signed, kind: type[M], signer: str, key: Ed25519PublicKey) -> M:
    """Verify that `signer` made this statement with `key` and decode it; raises `BadSignature` or `BadMessage`."""
    verify_signed(signed, kind.__name__, signer, key)
    return decode(signed.payload, kind)


def verify_signed(signed: Signed, kind: str, signer: str, key: Ed25519PublicKey) -> None:
    """Verify that `signer` made this statement with `key`, whatever it says; raises `BadSignature`."""
    if signed.kind != kind or signed.signer != signer:
        raise BadSignature(f"expected a {kind} signed by {signer}")
    try:
        key.verify(signed.signature, _signed_bytes(signed.kind, signed.signer, signed.payload))
    except InvalidSignature:
        raise BadSignature(f"the signature of {signer} on this {kind} does not verify") from None
