"""RFC 6962 §2.1 word for word, slow and plain, and the files of a log built from it: what the fast code is checked against."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from audit.verifier.note import NoteSigner


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _k(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def mth(d: Sequence[bytes]) -> bytes:
    """MTH(D[n])."""
    if len(d) == 0:
        return _sha256(b"")
    if len(d) == 1:
        return _sha256(b"\x00" + d[0])
    k = _k(len(d))
    return _sha256(b"\x01" + mth(d[:k]) + mth(d[k:]))


def path(m: int, d: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D[n])."""
    if len(d) == 1:
        return []
    k = _k(len(d))
    if m < k:
        return [*path(m, d[:k]), mth(d[k:])]
    return [*path(m - k, d[k:]), mth(d[:k])]


def proof(m: int, d: Sequence[bytes]) -> list[bytes]:
    """PROOF(m, D[n])."""
    return _subproof(m, d, True)


def _subproof(m: int, d: Sequence[bytes], b: bool) -> list[bytes]:
    n = len(d)
    if m == n:
        return [] if b else [mth(d)]
    k = _k(n)
    if m <= k:
        return [*_subproof(m, d[:k], b), mth(d[k:])]
    return [*_subproof(m - k, d[k:], False), mth(d[:k])]


def checkpoint_note(entries: Sequence[bytes], signer: NoteSigner) -> str:
    text = f"{signer.key.name}\n{len(entries)}\n{base64.b64encode(mth(entries)).decode()}\n"
    return text + "\n" + signer.sign(text)


def tile_name(kind: str, n: int, width: int) -> str:
    groups = f"{n:03}" if n < 1000 else f"x{n // 1000:03}/{n % 1000:03}"
    return f"tile/{kind}/{groups}" + ("" if width == 256 else f".p/{width}")


def log_files(entries: Sequence[bytes], signer: NoteSigner) -> dict[str, bytes]:
    """Every file of a log with these entries, by path (tlog-tiles)."""
    files = {"checkpoint": checkpoint_note(entries, signer).encode()}
    for start in range(0, len(entries), 256):
        part = entries[start : start + 256]
        bundle = b"".join(len(entry).to_bytes(2, "big") + entry for entry in part)
        files[tile_name("entries", start // 256, len(part))] = bundle
    level, hashes = 0, [mth([entry]) for entry in entries]
    while hashes:
        for start in range(0, len(hashes), 256):
            part = hashes[start : start + 256]
            files[tile_name(str(level), start // 256, len(part))] = b"".join(part)
        level += 1
        span = 256**level
        hashes = [mth(entries[start : start + span]) for start in range(0, len(entries) - span + 1, span)]
    return files
