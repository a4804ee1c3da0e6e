"""Consents (双授权): a subject's leave to collect, to model with and to query what departments know of them."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from models.parties import Institution
from models.wire import Message

ANY = "*"


class ConsentKind(StrEnum):
    """Collection lets the node hold and serve the data; modelling lets rows join a cohort; query lets one bank ask."""

    COLLECTION = "collection"
    MODELLING = "modelling"
    QUERY = "query"


class Purpose(StrEnum):
    """What a bank may ask for; a consent and a project name the purposes they cover."""

    LOAN_APPROVAL = "loan-approval"
    POST_LOAN = "post-loan"
    MODELLING = "modelling"


class Capture(StrEnum):
    """How a consent was taken. Each way has particulars of its own, which the office asks for (`Consent`)."""

    WINDOW = "window"
    ESIGN = "esign"
    OFFICER = "officer"


class Consent(Message):
    """One consent. Times are POSIX seconds, `valid_to` exclusive; `recipient` is an institution id, ``class:X`` or ``*``.

    `field_sets` names catalogue categories or ``score``; ``*`` covers all of them, but no sensitive field. Such a field needs
    a consent of its own (单独同意): one that has `sensitive_fields`, by name, and no `field_sets`. `evidence_digest` is the
    SHA-256 (hex) of the signed form or recording, which stays with whoever captured it.

    ``window``: `captured_by` is the office's clerk. ``esign``: `reference` is the signature's number at the signing service.
    ``officer``: `captured_by` is the officer, `witness` who stood by, `reference` what kind of form was signed, if told.
    """

    id: str
    subject: str
    kind: ConsentKind
    recipient: str
    purposes: tuple[str, ...]
    field_sets: tuple[str, ...]
    valid_from: int
    valid_to: int
    capture: Capture
    evidence_digest: str
    sensitive_fields: tuple[str, ...] = ()
    captured_by: str = ""
    witness: str = ""
    reference: str = ""

    def names(self, bank: Institution) -> bool:
        """Whether this consent's recipient is the bank, its class, or any."""
        return self.recipient in {ANY, bank.id} or (bool(bank.bank_class) and self.recipient == f"class:{bank.bank_class}")

    def allows(self, bank: Institution, purpose: str, now: int) -> bool:
        """Whether this consent speaks of this bank, this purpose and this moment (fields and revocation apart)."""
        in_time = self.valid_from <= now < self.valid_to
        return in_time and self.names(bank) and (ANY in self.purposes or purpose in self.purposes)

    def covers(self, field_sets: Collection[str]) -> bool:
        """Whether it covers all these field sets; a consent to sensitive fields covers none, not even no field set."""
        return bool(self.field_sets) and (ANY in self.field_sets or set(field_sets) <= set(self.field_sets))


class FileConsents(Message):
    """A clerk (or, for its own applicants, a bank's officer) files consents; all are stored or none."""

    consents: tuple[Consent, ...]


class Withdrawer(StrEnum):
    """Who withdraws a consent: the subject, somebody who may act for them, or the office, which found it not to be good."""

    SUBJECT = "subject"
    REPRESENTATIVE = "representative"
    OFFICE = "office"


class RevokeConsent(Message):
    """A subject withdraws; counts from the next ticket and the next epoch.

    A subject need not say why. A representative is named (and by which right) in `reason`, the office gives its own.
    The self-service window names the `subject` who signed in: nobody withdraws another's consent there.
    """

    consent: str
    by: Withdrawer = Withdrawer.SUBJECT
    reason: str = ""
    subject: str = ""


class AskConsents(Message):
    """A clerk, or the self-service window for whoever signed in there, asks for all consents of a subject."""

    subject: str


class ConsentState(StrEnum):
    """What a consent is worth now."""

    AHEAD = "ahead"
    STANDING = "standing"
    ENDED = "ended"
    WITHDRAWN = "withdrawn"


class ConsentEntry(Message):
    """A consent in the office's books. Times are POSIX seconds; `ends_soon` where it should be renewed."""

    consent: Consent
    state: ConsentState
    filed_by: str
    filed_at: int
    ends_soon: bool = False
    withdrawn_at: int = 0
    withdrawn_by: str = ""
    reason: str = ""
    has_receipt: bool = True


class ConsentsOf(Message):
    """All consents of one subject, the newest first."""

    subject: str
    consents: tuple[ConsentEntry, ...]


class FileDrive(Message):
    """The consents of a village drive, as a table (`models.consent_drives`); rows at fault are left out and named.

    `officer` and `witness` took them where a row does not name others; `evidence_digest` is the SHA-256 (hex) of the scans
    of all forms, for rows without one of their own. `check_only` stores nothing.
    """

    place: str
    table: bytes
    officer: str
    witness: str
    evidence_digest: str
    check_only: bool = False


class DriveFault(Message):
    """What is wrong with one row; `line` counts the table's lines from 1. Never a value of the row."""

    line: int
    reason: str


class DriveFiled(Message):
    """What a drive came to: consents that were (or would be) stored, from so many rows, and the rows that were left out."""

    drive: str
    rows: int
    count: int
    faults: tuple[DriveFault, ...] = ()


class Objection(Message):
    """A dispute about one field (``*`` for the whole record) of a subject, or its settlement.

    An open one marks the field in what a check shows; with `withheld` the field (or the subject) is not shown at all, from
    the node's next epoch until it is settled.
    """

    subject: str
    field: str
    open: bool
    withheld: bool = False


class FileObjections(Message):
    """A clerk files or settles objections."""

    objections: tuple[Objection, ...]


class Repair(Message):
    """信用修复 of one field of a subject: from the node's next epoch on nobody is shown it; ``stands`` False takes it back."""

    subject: str
    field: str
    stands: bool = True


class FileRepairs(Message):
    """A clerk files what was repaired; `decision` is the reference of the decision, which stays at the office."""

    decision: str
    repairs: tuple[Repair, ...]


class Filed(Message):
    """How many items were stored."""

    count: int


class ModellingConsent(Message):
    """One subject's modelling consent as the node sees it: whom it names and until when.

    One with `sensitive_fields` is for these alone, and adds to another that is for all else.
    """

    subject: str
    recipient: str
    valid_from: int
    valid_to: int
    sensitive_fields: tuple[str, ...] = ()


class SensitiveCollection(Message):
    """The sensitive fields that a subject's own consents let the node hold and use."""

    subject: str
    fields: tuple[str, ...]


class Eligibility(Message):
    """A page of the office's signed list for the node: of the subjects above `after` up to `upto`; empty is the list's end.

    Query consents are not in it: they would tell whom a bank will ask about. `collection` holds subjects whose collection
    consent stands now; `objections` the open disputes, `repairs` those that stand; `sensitive` which sensitive fields are
    covered: what is not in it is not used, whatever was delivered.
    """

    version: int
    issued_at: int
    collection: tuple[str, ...]
    modelling: tuple[ModellingConsent, ...]
    objections: tuple[Objection, ...]
    repairs: tuple[Repair, ...] = ()
    after: str = ""
    upto: str = ""
    sensitive: tuple[SensitiveCollection, ...] = ()


class AskStanding(Message):
    """A loan officer asks, before a question, what the subject consented to; `table` is where the question would go."""

    subject: str
    table: str
    purpose: str


class StandingConsent(Message):
    """A consent that stands now. Times are POSIX seconds; `ends_soon` where it should be renewed at this occasion."""

    valid_from: int
    valid_to: int
    filed_at: int
    ends_soon: bool


class Standing(Message):
    """The two consents (双授权) that a question needs; `missing` names the kinds of which none stands.

    With `counts_from_next_epoch` the collection consent is newer than the table, so that the record is not in it yet.
    `sensitive` are the table's sensitive fields, which need a consent of their own; `missing_sensitive` those that lack one.
    Where several consents are needed for one kind, what is told is of the one that ends first.
    """

    collection: StandingConsent | None
    query: StandingConsent | None
    counts_from_next_epoch: bool
    missing: tuple[str, ...]
    sensitive: tuple[str, ...] = ()
    missing_sensitive: tuple[str, ...] = ()
