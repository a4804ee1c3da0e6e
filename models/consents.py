"""Consents (双授权): a subject's leave to collect, to model with and to query what departments know of them."""

from __future__ import annotations

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


class Consent(Message):
    """One consent. Times are POSIX seconds, `valid_to` exclusive; `recipient` is an institution id, ``class:X`` or ``*``.

    `field_sets` names catalogue categories or ``score``; ``*`` covers all. `evidence_digest` is the SHA-256 (hex) of the
    signed form or recording, which stays with whoever captured it.
    """

    id: str
    subject: str
    kind: ConsentKind
    recipient: str
    purposes: tuple[str, ...]
    field_sets: tuple[str, ...]
    valid_from: int
    valid_to: int
    capture: str
    evidence_digest: str

    def names(self, bank: Institution) -> bool:
        """Whether this consent's recipient is the bank, its class, or any."""
        return self.recipient in {ANY, bank.id} or (bool(bank.bank_class) and self.recipient == f"class:{bank.bank_class}")

    def covers(self, bank: Institution, purpose: str, field_sets: tuple[str, ...], now: int) -> bool:
        """Whether this consent lets `bank` use these field sets for `purpose` at `now` (revocation apart)."""
        return (
            self.valid_from <= now < self.valid_to
            and self.names(bank)
            and (ANY in self.purposes or purpose in self.purposes)
            and (ANY in self.field_sets or set(field_sets) <= set(self.field_sets))
        )


class FileConsents(Message):
    """A clerk (or, for its own applicants, a bank's officer) files consents; all are stored or none."""

    consents: tuple[Consent, ...]


class RevokeConsent(Message):
    """A subject withdraws; counts from the next ticket and the next epoch."""

    consent: str


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
    """One subject's modelling consent as the node sees it: whom it names and until when."""

    subject: str
    recipient: str
    valid_from: int
    valid_to: int


class Eligibility(Message):
    """A page of the office's signed list for the node: of the subjects above `after` up to `upto`; empty is the list's end.

    Query consents are not in it: they would tell whom a bank will ask about. `collection` holds subjects whose collection
    consent stands now; `objections` the open disputes, `repairs` those that stand.
    """

    version: int
    issued_at: int
    collection: tuple[str, ...]
    modelling: tuple[ModellingConsent, ...]
    objections: tuple[Objection, ...]
    repairs: tuple[Repair, ...] = ()
    after: str = ""
    upto: str = ""


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
    """

    collection: StandingConsent | None
    query: StandingConsent | None
    counts_from_next_epoch: bool
    missing: tuple[str, ...]
