"""The messages of a round as MessagePack, each signed by its bank, each naming its round by digest.

Decoding checks form, round, sender and signature at once, so that what comes out of ``opened`` has been said by that bank in
this round. What the node sends (lists, deliveries, requests) is not signed here: it is made of signed parts, or agreed on by
signatures of the banks themselves.
"""

from __future__ import annotations

import hashlib
from typing import ClassVar, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from crypto.errors import AggregationRefused
from crypto.secure_aggregation.round import Round

_LABEL = b"xinqiao/secure-aggregation/"
_encoder = msgspec.msgpack.Encoder(order="deterministic")


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all messages; ``round`` is the round's digest."""

    round: bytes


class SignedMessage(Message, frozen=True, kw_only=True):
    """A bank's message. The signature is over the label of its kind and everything else in it."""

    LABEL: ClassVar[bytes]

    sender: str
    signature: bytes = b""

    def signed_bytes(self) -> bytes:
        """What the signature is over."""
        return _LABEL + self.LABEL + b"/v1" + _encoder.encode(msgspec.structs.replace(self, signature=b""))


class KeyAdvertisement(SignedMessage, frozen=True, kw_only=True):
    """Two ephemeral X25519 keys, SHA-256 commitments to the self-mask seed and, where inputs are proven, to the inputs."""

    LABEL = b"keys"

    cipher_key: bytes
    mask_key: bytes
    seed_commitment: bytes
    input_commitment: bytes = b""


class KeyList(Message, frozen=True, kw_only=True):
    """From the node: the advertisements that it took, in the order of names."""

    advertisements: tuple[bytes, ...]


class SealedShares(SignedMessage, frozen=True, kw_only=True):
    """A bank's shares for one other, sealed end to end; ``keys`` is the digest of the key list that it saw.

    Signed one by one, so that who cannot open them can show whose they are.
    """

    LABEL = b"sealed shares"

    keys: bytes
    recipient: str
    data: bytes


class EncryptedShares(SignedMessage, frozen=True, kw_only=True):
    """A bank's shares for each of the others, each a signed `SealedShares`, encoded."""

    LABEL = b"shares"

    keys: bytes
    sealed: dict[str, bytes]


class Delivery(Message, frozen=True, kw_only=True):
    """From the node to one bank: the sealed shares meant for it, by sender."""

    recipient: str
    sealed: dict[str, bytes]


class MaskedInput(SignedMessage, frozen=True, kw_only=True):
    """A masked vector, uint64[length] little-endian, and whose masks are in it (`sharers`, this bank's own among them)."""

    LABEL = b"input"

    keys: bytes
    sharers: tuple[str, ...]
    words: bytes

    def signed_bytes(self) -> bytes:
        """As of every message, with the words by their digest."""
        return SignedMessage.signed_bytes(msgspec.structs.replace(self, words=self.words_digest()))

    def words_digest(self) -> bytes:
        """SHA-256 of the masked vector: what log, survivor list and the office's replay know it by."""
        return hashlib.sha256(self.words).digest()


class SurvivorList(Message, frozen=True, kw_only=True):
    """From the node: whose inputs are summed, the digests of these inputs, and who has shared keys but is not among them."""

    keys: bytes
    survivors: tuple[str, ...]
    dropped: tuple[str, ...]
    inputs: tuple[bytes, ...]


class Consistency(SignedMessage, frozen=True, kw_only=True):
    """A survivor's signature on the survivor list."""

    LABEL = b"survivors"

    list_digest: bytes


class UnmaskRequest(Message, frozen=True, kw_only=True):
    """From the node: the survivor list, and every survivor's signature on it in the order of names."""

    survivor_list: bytes
    signatures: tuple[bytes, ...]


class Unmasking(SignedMessage, frozen=True, kw_only=True):
    """Shares of the dropped banks' mask keys and of the survivors' self-mask seeds, by name."""

    LABEL = b"unmasking"

    list_digest: bytes
    mask_keys: dict[str, bytes]
    seeds: dict[str, bytes]


class SharePair(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is sealed for one bank: a share of the sender's mask key and one of its seed."""

    mask_key: bytes
    seed: bytes

    def __repr__(self) -> str:
        return "SharePair(<secret>)"


class Opening(Message, frozen=True, kw_only=True):
    """What a bank shows the office: all that its masks of this round are made of. Secret, and from this round alone."""

    sender: str
    mask_private: bytes
    seed: bytes

    def __repr__(self) -> str:
        return f"Opening({self.sender!r}, <secret>)"


M = TypeVar("M", bound=Message)
S = TypeVar("S", bound=SignedMessage)


def encode(message: object) -> bytes:
    """Canonical bytes: the same value always gives the same bytes."""
    return _encoder.encode(message)


def decode_shares(data: bytes) -> SharePair:
    """What was sealed for a bank; raises ValueError."""
    return msgspec.msgpack.decode(data, type=SharePair)


def digest(data: bytes) -> bytes:
    """SHA-256: what a message is referred to by."""
    return hashlib.sha256(data).digest()


def sign(message: S, key: Ed25519PrivateKey) -> bytes:
    """The message with its bank's signature, encoded."""
    return encode(msgspec.structs.replace(message, signature=key.sign(message.signed_bytes())))


def decode(data: bytes, kind: type[M], round_: Round) -> M:
    """Decode a message of this round; raises ``AggregationRefused``."""
    try:
        message = msgspec.msgpack.decode(data, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise AggregationRefused(f"this is no {kind.__name__}") from None
    if message.round != round_.digest:
        raise AggregationRefused(f"this {kind.__name__} belongs to another session or round, or to other terms of it")
    return message


def opened(data: bytes, kind: type[S], round_: Round, sender: str | None = None) -> S:
    """Decode a bank's message and verify its signature; raises ``AggregationRefused``."""
    message = decode(data, kind, round_)
    if sender is not None and message.sender != sender:
        raise AggregationRefused(f"this {kind.__name__} is another bank's")
    try:
        round_.key_of(message.sender).verify(message.signature, message.signed_bytes())
    except InvalidSignature:
        raise AggregationRefused(f"a {kind.__name__} is not signed with the key that its bank has registered") from None
    return message
