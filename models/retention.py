"""How long the office keeps what is about people, and erasing one of them: what clerks ask and are told."""

from __future__ import annotations

from enum import StrEnum

from models.wire import Message


class Ground(StrEnum):
    """Why a subject is erased. Under the first two, what the law says to keep stays until its period is over."""

    WITHDRAWN = "withdrawn"
    ENDED = "ended"
    UNLAWFUL = "unlawful"
    COURT = "court"


AT_ONCE = frozenset({Ground.UNLAWFUL, Ground.COURT})


class EraseSubject(Message):
    """Erase what the office holds about one subject. `reference` names the written request or decision."""

    subject: str
    ground: Ground
    reference: str


class ErasedClass(Message):
    """What became of one class of records: how many rows went, how many stay, and until when at the latest (0: none)."""

    name: str
    erased: int
    kept: int = 0
    kept_until: int = 0


class Erased(Message):
    """What an erasure came to. The leaves stay and the log verifies as before; their openings are gone."""

    classes: tuple[ErasedClass, ...]


class FormGone(Message):
    """A form (SHA-256 of its scan) that no consent rests on since `at`: whoever keeps the scan deletes it."""

    digest: str
    at: int


class FormsGone(Message):
    """The forms that went within the last year."""

    forms: tuple[FormGone, ...]


class RetentionRule(Message):
    """A class of records: how many days it is kept once its matter is over, and the fewest that a setting may say."""

    name: str
    days: int
    minimum: int


class RetentionRun(Message):
    """One class that was purged: when, what had ended before which moment, and how many rows went."""

    at: int
    name: str
    before: int
    count: int


class Retention(Message):
    """The rules in force and the last runs, newest first."""

    rules: tuple[RetentionRule, ...]
    runs: tuple[RetentionRun, ...]
