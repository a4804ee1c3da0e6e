"""A consent captured at the counter: the signed form stays with the bank (mode 0600), its SHA-256 goes to the office."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from models.consents import Capture, Consent, ConsentKind
from models.scans import LARGEST_SCAN, ending_of, keep_scan
from models.web.notices import Notice
from models.zones import begin_of

LONGEST_YEARS = 5
CLOCK_TOLERANCE = 60
KINDS = (ConsentKind.COLLECTION, ConsentKind.QUERY)
WAYS = ("signed-form", "fingerprint-form")


@dataclass(frozen=True, repr=False)
class ConsentForm:
    """What the officer entered, and the scanned form."""

    kinds: tuple[ConsentKind, ...]
    field_sets: tuple[str, ...]
    sensitive_fields: tuple[str, ...]
    until: date
    way: str
    witness: str
    scan: bytes

    @classmethod
    def read(
        cls,
        kinds: list[str],
        field_sets: list[str],
        sensitive_fields: list[str],
        until: str,
        way: str,
        witness: str,
        scan: bytes,
        today: date,
    ) -> ConsentForm:
        """Check what was entered; raises `Notice` for the first thing that is missing or wrong."""
        if not kinds or not set(kinds) <= set(KINDS):
            raise Notice("consent-kinds")
        if not field_sets and not sensitive_fields:
            raise Notice("consent-fields")
        try:
            last = date.fromisoformat(until)
        except ValueError:
            raise Notice("consent-until") from None
        if not today < last <= today + timedelta(days=366 * LONGEST_YEARS):
            raise Notice("consent-until-range", years=LONGEST_YEARS)
        if way not in WAYS or not witness:
            raise Notice("consent-witness")
        if not scan:
            raise Notice("consent-scan")
        if len(scan) > LARGEST_SCAN:
            raise Notice("consent-scan-large", mib=LARGEST_SCAN >> 20)
        chosen = tuple(ConsentKind(kind) for kind in kinds)
        if ending_of(scan) is None:
            raise Notice("consent-scan-kind")
        return cls(chosen, tuple(field_sets), tuple(sensitive_fields), last, way, witness, scan)

    def keep(self, data_dir: Path) -> str:
        """Write the scan under its digest; the digest."""
        return keep_scan(self.scan, data_dir / "forms")


def consents_of(
    form: ConsentForm, digest: str, subject: str, bank: str, purpose: str, now: int, zone: ZoneInfo
) -> tuple[Consent, ...]:
    """The consents of a form, to this bank alone and for this purpose; they end with the last day in this zone.

    What is sensitive is consented to by itself, so that it can be withdrawn by itself.
    """
    return tuple(
        Consent(
            id=secrets.token_hex(12),
            subject=subject,
            kind=kind,
            recipient=bank,
            purposes=(purpose,),
            field_sets=field_sets,
            sensitive_fields=sensitive_fields,
            valid_from=now - CLOCK_TOLERANCE,  # the office's clock may be behind
            valid_to=begin_of(form.until + timedelta(days=1), zone),
            capture=Capture.OFFICER,
            witness=form.witness,
            reference=form.way,
            evidence_digest=digest,
        )
        for kind in form.kinds
        for field_sets, sensitive_fields in ((form.field_sets, ()), ((), form.sensitive_fields))
        if field_sets or sensitive_fields
    )
