"""Ids of people on the desk's pages: checked as they are typed, and shown with their middle gone."""

from __future__ import annotations

import re

from models.identity import IdentityError, parse_id

_LONG = re.compile(r"[0-9A-Z]{15,}", re.IGNORECASE)
HIDDEN = "•"


def mask(canonical: str) -> str:
    """What of an id is shown: beginning and end, enough to tell two papers on a desk apart and too little to find a person."""
    value = canonical.partition(":")[2]
    head, tail = (4, 4) if len(value) >= 15 else (0, min(2, len(value) // 2))
    return value[:head] + HIDDEN * (len(value) - head - tail) + value[len(value) - tail :]


def named_in(text: str) -> bool:
    """Whether a text holds a citizen number or a credit code."""
    return any(_is_id(word) for word in _LONG.findall(text))


def _is_id(word: str) -> bool:
    try:
        parse_id(word)
    except IdentityError:
        return False
    return True
