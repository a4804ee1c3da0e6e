"""Canonical subject identities: one text for one subject, whoever typed it and however.

===============  ==========================================  ================================
kind             source                                      canonical form
===============  ==========================================  ================================
``citizen``      GB 11643-1999, 18 characters                ``citizen:11010519491231002X``
``organisation`` GB 32100-2015 unified social credit code    ``organisation:91110000600037341L``
``opaque``       ids that mean something to both sides only  ``opaque:ROW-17``
===============  ==========================================  ================================

``canonical.encode()`` is the input of the oblivious pseudorandom function, so two sides that disagree on one character
would miss each other's subjects. No error of this module contains the value it refuses.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from functools import lru_cache
from typing import Final, Literal, cast

from stdnum import numdb
from stdnum.cn import ric, uscc
from stdnum.exceptions import ValidationError

Kind = Literal["citizen", "organisation", "opaque"]
KINDS: Final = ("citizen", "organisation", "opaque")
OPAQUE_LENGTH: Final = 64

# Full-width ASCII (U+FF01 to U+FF5E) and the ideographic blank, as Chinese input methods type them. Not NFKC: that
# would also fold signs such as ① and make two opaque ids one.
_FULL_WIDTH: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
_CITIZEN: Final = re.compile(r"[0-9]{17}[0-9X]")
# GB 32100-2015: authority, type, region (six digits), organisation code, check character; no I, O, Z, S, V.
_ORGANISATION: Final = re.compile(r"[1-9ANY][1-9][0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}")
_SEPARATORS: Final = re.compile(r"[ \-]")

# Residence permits of Hong Kong, Macao and Taiwan residents carry numbers of GB 11643 under these codes.
_RESIDENCE_PERMITS: Final = frozenset({"810000", "820000", "830000"})
_GRACE_YEARS: Final = 5


class IdentityError(ValueError):
    """An id that cannot be one; the message says what is wrong with it and never shows it."""


def fold_width(text: str) -> str:
    """Full-width letters, digits and signs made plain, surrounding blanks removed."""
    return text.translate(_FULL_WIDTH).strip()


def canonical_id(kind: Kind, text: str) -> str:
    """The canonical identity ``kind:value``; ``IdentityError`` if ``text`` is no id of that kind.

    Full-width characters, surrounding blanks, lower case and (for credit codes) blanks and hyphens between groups are
    normalised. Opaque ids keep their case.
    """
    if kind == "citizen":
        return f"citizen:{_citizen(fold_width(text).upper())}"
    if kind == "organisation":
        return f"organisation:{_organisation(_SEPARATORS.sub('', fold_width(text)).upper())}"
    if kind == "opaque":
        return f"opaque:{_opaque(unicodedata.normalize('NFC', fold_width(text)))}"
    raise IdentityError(f"unknown kind of identity; use one of {', '.join(KINDS)}")


def parse_id(text: str) -> str:
    """The canonical identity of a citizen number, a credit code, or a text that already names its kind.

    A citizen number whose digits would pass as a credit code of no region is a citizen number. Raises ``IdentityError`` for
    anything else, and for a text that would be valid as both kinds.
    """
    kind, colon, value = fold_width(text).partition(":")
    if colon and kind in KINDS:
        return canonical_id(cast(Kind, kind), value)
    value = kind
    found: list[str] = []
    problems: list[str] = []
    national: tuple[Kind, Kind] = ("citizen", "organisation")
    for candidate in national:
        try:
            found.append(canonical_id(candidate, text))
        except IdentityError as error:
            problems.append(str(error))
    if len(found) == 2 and _last_year(value[2:8]) is None:
        # One citizen number in thirty passes a credit code's check character too, but in a credit code the third to
        # eighth characters are the region of its registration, which they then are not.
        return found[0]
    if len(found) == 2:
        raise IdentityError("the id is valid as a citizen number and as a credit code; write its kind before it")
    if not found:
        raise IdentityError("; ".join(dict.fromkeys(problems)))
    return found[0]


def kind_of(canonical: str) -> Kind:
    """The kind of a canonical identity."""
    kind, colon, value = canonical.partition(":")
    if not colon or kind not in KINDS or not value:
        raise IdentityError("not a canonical identity; it starts with citizen:, organisation: or opaque:")
    return cast(Kind, kind)


def region_of(canonical: str) -> str:
    """The six digits of the region whose office gave the code out; empty for an opaque identity, which does not say."""
    kind, _, value = canonical.partition(":")
    return {"citizen": value[:6], "organisation": value[2:8]}.get(kind, "")


def _citizen(number: str) -> str:
    if not _CITIZEN.fullmatch(number):
        raise IdentityError("a citizen number has 17 digits and a check character (a digit or X)")
    if ric.calc_check_digit(number) != number[-1]:
        raise IdentityError("the check character of the citizen number is wrong: probably mistyped")
    try:
        birth = ric.get_birth_date(number)
    except ValidationError:
        raise IdentityError("the date of birth in the citizen number does not exist") from None
    if birth > date.today():
        raise IdentityError("the date of birth in the citizen number lies in the future")
    _check_region(number[:6], birth.year)
    return number


def _organisation(code: str) -> str:
    if not _ORGANISATION.fullmatch(code):
        raise IdentityError("a unified social credit code has 18 digits or capitals, none of them I, O, Z, S or V")
    # Not uscc.validate: it wants digits in the first two places and so refuses every village collective (N1, N2, N3).
    if uscc.calc_check_digit(code) != code[-1]:
        raise IdentityError("the check character of the credit code is wrong: probably mistyped")
    return code


def _opaque(text: str) -> str:
    if not 1 <= len(text) <= OPAQUE_LENGTH:
        raise IdentityError(f"an opaque id has 1 to {OPAQUE_LENGTH} characters")
    if not text.isprintable():
        raise IdentityError("an opaque id has printable characters only")
    return text


def _check_region(code: str, birth_year: int) -> None:
    """Raise unless an office could have given out numbers under this GB/T 2260 code to someone born that year.

    ``ric.validate`` wants a code that was in force in the year of birth. But numbers have been given out since the
    middle of the 1980s, at the first identity card or the first registration, under the code of that day: a farmer
    born in 1960 in a county that became a district in 1986 has the district's code, and ``ric`` refuses him. So a code
    that is *younger* than its holder is right. One that was withdrawn *before* the birth is not; five years are
    allowed, because registers follow the standard with delay. A code that the list leaves out (it has few of the
    "urban district" codes that end in 01) passes if its prefecture is listed. Leaning this way is deliberate: a wrong
    refusal shuts a person out of credit, a wrong acceptance names nobody (a mistyped number fails its check character).
    """
    if code in _RESIDENCE_PERMITS:
        return
    last_year = _last_year(code) or _last_year(f"{code[:4]}00")
    if last_year is None:
        raise IdentityError("the region in the citizen number (first six digits) is in no edition of GB/T 2260")
    if birth_year > last_year + _GRACE_YEARS:
        raise IdentityError("the region in the citizen number had been withdrawn before the date of birth")


@lru_cache(maxsize=8192)
def _last_year(code: str) -> int | None:
    """The last year in which the region code was in force, 9999 if it still is, None if it never was."""
    properties = {key: value for _, part in numdb.get("cn/loc").info(code) for key, value in part.items()}
    if "province" not in properties or "county" not in properties:
        return None  # ric.get_birth_place stops with a KeyError where only the province is known
    periods = re.findall(r"\[[0-9]*-([0-9]*)\]", properties["county"])
    return max(int(end) if end else 9999 for end in periods) if periods else 9999
