"""What a clerk enters of a consent at the window, and the consents that come of it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from models.catalogue import Catalogue
from models.consents import ANY, Capture, Consent, ConsentKind, Purpose
from models.exposure import TABLE as EXPOSURE
from models.parties import Directory, InstitutionKind, Role
from models.scans import LARGEST_SCAN, ending_of
from models.web.notices import Notice
from models.web.texts import Language
from models.zones import day_at

CLOCK_TOLERANCE = 60
LONGEST_YEARS = 10
SCORE = "score"
BESIDE = (ANY, SCORE, EXPOSURE)
"""Field sets that the catalogue does not name."""


@dataclass(frozen=True)
class Choices:
    """What a form offers: recipients, field sets, sensitive fields and people, each with what it is called."""

    recipients: Mapping[str, str]
    field_sets: Mapping[str, str]
    sensitive: Mapping[str, str]
    officers: Mapping[str, str]

    @classmethod
    def of(cls, directory: Directory, catalogue: Catalogue, language: Language, names: Mapping[str, str]) -> Choices:
        """From who takes part and what there is; `names` is what the sets beside the catalogue's are called."""
        english = language == "en"
        themes: dict[str, str] = {ANY: names[ANY]}
        for entry in catalogue:
            zh, _, en = entry.theme.partition(" / ")
            themes.setdefault(entry.category, (en if english else zh) or entry.category)
        themes |= {name: names[name] for name in (SCORE, EXPOSURE)}
        sensitive = [entry for entry in catalogue if entry.sensitive and entry.mode != "N"]
        people = [person for person in directory.people if not person.suspended]
        return cls(
            recipients={one.id: one.name for one in directory.institutions if one.kind is not InstitutionKind.OFFICE},
            field_sets=themes,
            sensitive={entry.name: (entry.label_en if english else "") or entry.label_zh for entry in sensitive},
            officers={person.id: person.name for person in people if person.role in (Role.LOAN_OFFICER, Role.CLERK)},
        )


@dataclass(frozen=True, repr=False)
class ConsentForm:
    """What was entered, as it came; `consents` checks it."""

    kinds: list[str] = field(default_factory=lambda: [str(ConsentKind.QUERY)])
    recipient: str = ""
    purposes: list[str] = field(default_factory=lambda: [str(Purpose.LOAN_APPROVAL)])
    field_sets: list[str] = field(default_factory=lambda: [ANY])
    sensitive_fields: list[str] = field(default_factory=list)
    until: str = ""
    capture: str = str(Capture.WINDOW)
    captured_by: str = ""
    witness: str = ""
    reference: str = ""

    def consents(self, subject: str, digest: str, choices: Choices, now: int, zone: ZoneInfo) -> tuple[Consent, ...]:
        """The consents: one for each kind to what is not sensitive, and one to what is; raises `Notice`."""
        if not self.kinds or not set(self.kinds) <= set(ConsentKind):
            raise Notice("consents-need-kind")
        if self.recipient not in choices.recipients and self.recipient != ANY:
            raise Notice("consents-need-recipient")
        if not self.purposes or not set(self.purposes) <= {ANY, *Purpose}:
            raise Notice("consents-need-purpose")
        if not self.field_sets and not self.sensitive_fields:
            raise Notice("consents-need-fields")
        if self.capture not in set(Capture):
            raise Notice("consents-need-capture")
        if self.capture == Capture.OFFICER and (not self.captured_by or not self.witness):
            raise Notice("consents-need-witness")
        if self.capture == Capture.ESIGN and not self.reference:
            raise Notice("consents-need-reference")
        return tuple(
            Consent(
                id=secrets.token_hex(12),
                subject=subject,
                kind=ConsentKind(kind),
                recipient=self.recipient,
                purposes=self._purposes(kind),
                field_sets=field_sets,
                sensitive_fields=sensitive,
                valid_from=now - CLOCK_TOLERANCE,  # the office's clock may be behind
                valid_to=self._end(now, zone),
                capture=Capture(self.capture),
                captured_by="" if self.capture == Capture.ESIGN else self.captured_by,
                witness=self.witness if self.capture == Capture.OFFICER else "",
                reference=self.reference,
                evidence_digest=digest,
            )
            for kind in self.kinds
            for field_sets, sensitive in ((tuple(self.field_sets), ()), ((), tuple(self.sensitive_fields)))
            if field_sets or sensitive
        )

    def _purposes(self, kind: str) -> tuple[str, ...]:
        # What a modelling consent is for, its kind says.
        return (Purpose.MODELLING,) if kind == ConsentKind.MODELLING and ANY not in self.purposes else tuple(self.purposes)

    def _end(self, now: int, zone: ZoneInfo) -> int:
        today = day_at(now, zone)
        try:
            last = date.fromisoformat(self.until)
        except ValueError:
            raise Notice("consents-need-until", years=LONGEST_YEARS) from None
        if not today < last <= today + timedelta(days=366 * LONGEST_YEARS):
            raise Notice("consents-need-until", years=LONGEST_YEARS)
        return int(datetime.combine(last + timedelta(days=1), time(), zone).timestamp())


def check_scan(scan: bytes) -> bytes:
    """A scan that can be kept; raises `Notice`."""
    if not scan:
        raise Notice("consents-need-scan")
    if len(scan) > LARGEST_SCAN:
        raise Notice("consents-scan-large", mib=LARGEST_SCAN >> 20)
    if ending_of(scan) is None:
        raise Notice("consents-scan-kind")
    return scan
