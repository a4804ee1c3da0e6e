"""What a leaf says, and what it only commits to.

A leaf is canonical JSON without personal data. Who acted, and on what exactly, stands in its *opening*: the leaf holds
SHA-256(salt ‖ opening), the opening lies in an erasable side store (`audit.log`), so that erasing a person's data leaves
the log verifiable.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

_canonical = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True)
class LeafDraft:
    """What a handler wants logged: public `facts` (no person, no value of a record) and the private `opening`."""

    action: str
    facts: Mapping[str, object] = field(default_factory=dict)
    opening: dict[str, Any] = field(default_factory=dict, repr=False)
    outcome: str = "done"
    problem: str = ""


@dataclass(frozen=True)
class Leaf:
    """A finished leaf: the log entry, and the salted opening (32-byte salt first) with its commitment."""

    entry: bytes
    commitment: bytes
    opening: bytes = field(repr=False)


def finish(draft: LeafDraft, *, institution: str, at: int, who: dict[str, Any]) -> Leaf:
    """Turn a draft into entry bytes; `who` (person, name, role, request digest) joins the opening."""
    if not all(isinstance(value, str | int | bool) for value in draft.facts.values()):
        raise TypeError("facts of a leaf are words, numbers and truth values")
    opening = secrets.token_bytes(32) + _canonical.encode({**draft.opening, **who})
    commitment = hashlib.sha256(opening).digest()
    entry: dict[str, Any] = {
        "v": 1,
        "at": at,
        "action": draft.action,
        "outcome": draft.outcome,
        "institution": institution,
        "facts": draft.facts,
        "opening": commitment.hex(),
    }
    if draft.problem:
        entry["problem"] = draft.problem
    return Leaf(entry=_canonical.encode(entry), commitment=commitment, opening=opening)
