"""A subject's archive (本人档案): all that the node holds of one subject, shown to that subject alone.

::

    clerk or window                        office                                   node
    ── AskArchive(subject, ground) ──────> account or clerk; leaf
    <─ Signed(ArchiveLeave) ─────────────
    ── Signed(ArchiveLeave) ──────────────────────────────────────────────────────> leave, who asks; leaf
    <──────────────────────────────────────────── Signed(Archive), Signed(ModelUses)

The office names the legal ground and never sees the archive unless it is printed at its window; `ModelUses`, which holds no
value of a record, is what it may keep.

Leakage: the office learns that the subject asked; the node learns that this subject's archive was asked for, and no
question of a bank; who asks learns the whole archive, and of every training which row the subject was in.
"""

from __future__ import annotations

from enum import StrEnum

from models.records import Value
from models.wire import Message, Signed


class Ground(StrEnum):
    """Why an archive may be shown, each with its article in `LEGAL_BASIS`."""

    OWN_ARCHIVE = "own-archive"
    OBJECTION = "objection"


LEGAL_BASIS = {
    Ground.OWN_ARCHIVE: "《中华人民共和国个人信息保护法》第四十五条;《征信业管理条例》第十七条",
    Ground.OBJECTION: "《征信业管理条例》第二十五条",
}
CHECK, JOINT, NEVER = "check", "joint", "never"
WITHHELD, REPAIRED, EXPIRED, UNCONSENTED = "withheld", "repaired", "expired", "unconsented"
SHARED = (CHECK, JOINT, NEVER, WITHHELD, REPAIRED, EXPIRED, UNCONSENTED)


class AskArchive(Message):
    """A clerk (for a person at the window) or the window (for one who signed in) asks for leave."""

    subject: str
    ground: Ground


class ArchiveLeave(Message):
    """The office's leave to be shown one archive. `asked_by` is who may use it, until `expires` (POSIX seconds)."""

    subject: str
    ground: Ground
    legal_basis: str
    asked_by: str
    issued_at: int
    expires: int
    nonce: bytes


class ArchiveField(Message):
    """One value on file. `shared` is one of `SHARED`: how far it travels now, or why it does not travel any more.

    ``check``: to a bank whose question the subject consented to; ``joint``: only inside a joint model; ``never``: not at all;
    ``withheld``, ``repaired`` and ``expired``: not from the next epoch on; ``unconsented``: it is sensitive, and no consent of
    its own stands. `expires_on` (ISO day) dates adverse information.
    """

    name: str
    label_zh: str
    label_en: str
    unit: str
    value: Value
    grade: str
    shared: str
    disputed: bool
    expires_on: str = ""


class ArchiveSection(Message):
    """What one field set says: its departments, the day it speaks of, when it came (POSIX seconds) and in which delivery."""

    field_set: str
    department: str
    as_of: str
    loaded_at: int
    batch: str
    fields: tuple[ArchiveField, ...]


class ArchiveCohort(Message):
    """A cohort that the subject is a row of: `path` proves SHA-256-hashed `tag` at place `row` of `rows` under `root`.

    The tag is this subject's output under the project's key; the bank of the cohort holds the same. Where the project's key
    has died with it, `tag` and `path` are empty.
    """

    cohort: str
    project: str
    bank: str
    agreed_at: int
    root: bytes
    rows: int
    row: int
    tag: bytes
    path: tuple[bytes, ...]


class ModelUse(Message):
    """A released model that was trained on a row of this subject; `fields` are the node's fields in it, `band` what went out.

    `band` (from 0) is what the bank learned of this row; -1 where nothing was released of it.
    """

    model: str
    project: str
    bank: str
    cohort_root: str
    fields: tuple[str, ...]
    released_at: int
    band: int = -1


class Archive(Message):
    """The node's word on all that it holds of one subject. Times are POSIX seconds; `on_record_since` 0: not on record."""

    subject: str
    leave: str
    ground: Ground
    issued_at: int
    on_record_since: int
    subject_type: str
    collection: bool
    sections: tuple[ArchiveSection, ...]
    cohorts: tuple[ArchiveCohort, ...]
    models: tuple[ModelUse, ...]


class ModelUses(Message):
    """The models of an archive by themselves, without bands or values: what a letter on a correction lists."""

    subject: str
    issued_at: int
    models: tuple[ModelUse, ...]

    def of_field(self, field: str) -> tuple[ModelUse, ...]:
        """The models that used this field (``*``: any)."""
        return tuple(use for use in self.models if field == "*" or field in use.fields)


class Archived(Message):
    """The node's answer: `archive` is a signed `Archive`, `uses` a signed `ModelUses`."""

    archive: Signed
    uses: Signed
