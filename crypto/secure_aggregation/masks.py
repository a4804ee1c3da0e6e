"""Key agreement and masks: X25519, HKDF-SHA-256 and the AES-256-CTR stream read as words of Z_2^64."""

from __future__ import annotations

import os

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

from crypto.errors import AggregationRefused
from crypto.secure_aggregation.messages import SharePair, decode_shares, digest, encode
from crypto.secure_aggregation.round import Round
from crypto.xof import derive_key, keystream_words

KEY_BYTES = 32
_NONCE_BYTES = 12
_PAIR = b"xinqiao/secure-aggregation/pair-mask"
_SELF = b"xinqiao/secure-aggregation/self-mask"
_SEAL = b"xinqiao/secure-aggregation/share-seal"
_SEED = b"xinqiao/secure-aggregation/seed-commitment"


def public_of(private: bytes) -> bytes:
    """The X25519 public key, 32 bytes."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def check_key(peer: bytes) -> None:
    """Raise ``AggregationRefused`` for a point of small order, which no secret can be agreed on with, whoever tries."""
    _agree(b"\1" * KEY_BYTES, peer)


def commit_seed(round_: Round, name: str, seed: bytes) -> bytes:
    """SHA-256 over round, bank and seed: binding, and hiding since the seed is 32 random bytes."""
    return digest(_SEED + round_.digest + name.encode() + b"\0" + seed)


def pair_mask_key(round_: Round, private: bytes, peer: bytes) -> bytes:
    """The key of the mask that two banks share, the same at either end; raises ``AggregationRefused`` for a bad key."""
    return derive_key(_agree(private, peer), _PAIR + round_.digest + b"".join(sorted((public_of(private), peer))))


def self_mask_key(round_: Round, seed: bytes) -> bytes:
    """The key of a bank's own mask."""
    return derive_key(seed, _SELF + round_.digest)


def add_mask(words: NDArray[np.uint64], key: bytes, *, subtract: bool = False) -> None:
    """Add the stream under ``key`` to ``words`` uint64[n] in place, modulo 2^64, or take it away."""
    mask = keystream_words(key, words.size)
    if subtract:
        words -= mask
    else:
        words += mask


def add_pair_mask(words: NDArray[np.uint64], key: bytes, own: str, peer: str, *, remove: bool = False) -> None:
    """What the bank ``own`` adds for ``peer``: plus for the one whose name comes first, minus for the other; or undo it."""
    add_mask(words, key, subtract=(own > peer) != remove)


class ShareSeal:
    """AES-256-GCM from one bank to another, under a key for this direction, this round and this key list."""

    def __init__(self, round_: Round, keys: bytes, private: bytes, peer: bytes, *, sender: str, recipient: str) -> None:
        self._bound = encode([round_.digest, keys, sender, recipient])
        self._aead = AESGCM(derive_key(_agree(private, peer), _SEAL + self._bound))
        self._sender = sender

    def __repr__(self) -> str:
        return f"ShareSeal(from {self._sender!r}, key=<secret>)"

    def seal(self, shares: SharePair) -> bytes:
        """nonce (12) ‖ ciphertext ‖ tag (16)."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, encode(shares), self._bound)

    def open(self, sealed: bytes) -> SharePair:
        """What was sealed; raises ``AggregationRefused``."""
        try:
            return decode_shares(self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], self._bound))
        except (InvalidTag, ValueError):
            raise AggregationRefused("what was sealed does not open, or holds no shares") from None


def _agree(private: bytes, peer: bytes) -> bytes:
    try:
        return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(peer))
    except ValueError:
        raise AggregationRefused("an advertised key is no X25519 key that a secret can be agreed on with") from None
