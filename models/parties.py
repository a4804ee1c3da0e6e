"""Who takes part: institutions, named people with one role each, and the directory that the credit office signs."""

from __future__ import annotations

from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from models.wire import Message


class Role(StrEnum):
    """Roles are disjoint: one person, one role. `NODE` and `OFFICE` are the services themselves.

    `WINDOW` is the office's self-service window: it acts for a subject who has an account and signed in. `RESPONDER` is a
    bank's own service that answers exposure checks.
    """

    MODELLER = "modeller"
    LOAN_OFFICER = "loan_officer"
    APPROVER = "approver"
    STEWARD = "steward"
    CLERK = "clerk"
    AUDITOR = "auditor"
    SUPERVISOR = "supervisor"
    NODE_OPERATOR = "node_operator"
    NODE = "node"
    OFFICE = "office"
    WINDOW = "window"
    RESPONDER = "responder"


class InstitutionKind(StrEnum):
    """What an institution is."""

    BANK = "bank"
    BUREAU = "bureau"
    OFFICE = "office"


# Where a role may be held. A bank's people never act for the node, and the node's never ask for a bank.
ROLES_OF: dict[InstitutionKind, frozenset[Role]] = {
    InstitutionKind.BANK: frozenset({Role.MODELLER, Role.LOAN_OFFICER, Role.APPROVER, Role.RESPONDER}),
    InstitutionKind.BUREAU: frozenset({Role.STEWARD, Role.NODE_OPERATOR, Role.NODE}),
    InstitutionKind.OFFICE: frozenset({Role.CLERK, Role.AUDITOR, Role.SUPERVISOR, Role.OFFICE, Role.WINDOW}),
}


class Institution(Message):
    """An enrolled institution. `declared_customers` bounds what a bank may align in a year; 0 for the others.

    With `second_approval`, every ticket of this bank needs the signature of one of its approvers.
    """

    id: str
    name: str
    kind: InstitutionKind
    licence: str
    contact: str = ""
    bank_class: str = ""
    declared_customers: int = 0
    second_approval: bool = False
    suspended: bool = False


class Person(Message):
    """A named person (or a service) with one Ed25519 key and one role. The id is ``institution/name``."""

    id: str
    institution: str
    name: str
    role: Role
    key: bytes
    suspended: bool = False

    def public_key(self) -> Ed25519PublicKey:
        """The person's verification key; raises ValueError where the stored bytes are no Ed25519 key."""
        return Ed25519PublicKey.from_public_bytes(self.key)


class EndedModel(Message):
    """A model that serves no score from `since` on, before its review date: ``suspended``, ``retired`` or ``replaced``."""

    model: str
    state: str
    since: int


class Directory(Message):
    """All institutions and people at one moment; the office signs it, the node follows it within a minute.

    Work on a project in `suspended_projects` stops at once, whatever approval was given before; so do the scores of
    `ended_models`.
    """

    version: int
    issued_at: int
    institutions: tuple[Institution, ...]
    people: tuple[Person, ...]
    suspended_projects: tuple[str, ...] = ()
    ended_models: tuple[EndedModel, ...] = ()


class ServiceKeys(Message):
    """What verifies a service's word: its statements (32 bytes), its log, its cosignatures (C2SP verifier keys)."""

    signer: str
    statement_key: bytes
    log_key: str
    witness_key: str
