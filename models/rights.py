"""A subject's account at the window, and in which cohorts a bank asked to use the subject's data.

`AlignmentUse` is a chain that anybody can check offline (`audit.verifier.cohorts`): the bank's request proof ties the blinded
element to the subject's id, the path ties the element to the root that the office signed and both logs hold.

Leakage: an alignment's elements are fresh and blinded; a path holds hashes of other elements and tells nothing of whom they
belong to.
"""

from __future__ import annotations

from models.wire import Message


class OpenAccount(Message):
    """A clerk who has checked the person's identity opens an account; `checked` says by which document."""

    account: str
    subject: str
    checked: str


class CloseAccount(Message):
    """A clerk closes an account: the window acts for this subject no more."""

    account: str


class SubjectAccount(Message):
    """An account at the window; `closed_at` 0 while it is open."""

    account: str
    subject: str
    opened_at: int
    opened_by: str
    closed_at: int = 0


class AskSubject(Message):
    """Whose cohorts are asked about."""

    subject: str


class ModelLine(Message):
    """A registered model of a project, with its period: served from its approval until `serves_until` (0: never yet)."""

    model: str
    version: int
    state: str
    cohort_root: str
    fields: tuple[str, ...]
    rows: int
    registered_at: int
    serves_until: int


class AlignmentUse(Message):
    """One alignment for which a bank filed the subject and the office accepted it.

    `context` holds the bytes that the request proof is bound to; `place` of `rows` is the element's place under `root`.
    """

    project: str
    title: str
    bank: str
    filed_at: int
    root: bytes
    rows: int
    place: int
    element: bytes
    proof: bytes
    context: bytes
    path: tuple[bytes, ...]
    models: tuple[ModelLine, ...]


class AlignmentUses(Message):
    """All alignments with the subject, newest first."""

    subject: str
    alignments: tuple[AlignmentUse, ...]
