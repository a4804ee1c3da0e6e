"""What the pages at the window and the subject's own pages do alike: for one subject, through one session."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import msgspec
from fastapi import UploadFile

from audit.client.session import OfficeSession
from audit.console.seats import Seat
from audit.verifier.cohorts import verify_alignment_use, verify_cohort_row
from audit.verifier.errors import LogError
from crypto.errors import CryptoError
from models.archives import LEGAL_BASIS, Archive, ArchiveCohort, Archived, ArchiveField, AskArchive, Ground, ModelUse, ModelUses
from models.catalogue import Catalogue
from models.disputes import AskFilings, Dispute, Disputes, FiledEvidence, Letter, RepairCase, RepairCases
from models.rights import AlignmentUse, AlignmentUses, AskSubject, ModelLine
from models.tickets import Access, Accesses, AccessQuery
from models.web.notices import Notice
from models.web.texts import Language
from models.wire import Signed

KEPT = "rights"


# ---------------------------------------------------------------- handles: no id stands in an address


def handle_of(seat: Seat, subject: str) -> str:
    """A name for a subject that means something in this seat only."""
    kept: dict[str, str] = seat.kept.setdefault(KEPT, {})
    for handle, known in kept.items():
        if known == subject:
            return handle
    handle = secrets.token_urlsafe(9)
    kept[handle] = subject
    return handle


def subject_of(seat: Seat, handle: str) -> str:
    """The subject behind a handle; raises `Notice` where the seat knows none."""
    subject: str | None = seat.kept.get(KEPT, {}).get(handle)
    if subject is None:
        raise Notice("rights-gone", 404)
    return subject


# ---------------------------------------------------------------- what services say


@dataclass(frozen=True, repr=False)
class File:
    """An archive as its page shows it."""

    archive: Archive
    signed: Archived
    basis: str


def fetch_archive(office: OfficeSession, subject: str, ground: Ground = Ground.OWN_ARCHIVE) -> File:
    """Ask the office for leave and the node for the archive; the node's signature is verified."""
    leave = office.logged("/archives", AskArchive(subject=subject, ground=ground), Signed)
    signed = office.node.logged("/archives", leave, Archived).answer
    archive = office.from_node(signed.archive, Archive)
    office.from_node(signed.uses, ModelUses)
    if archive.subject != subject or archive.leave != leave.digest():
        raise Notice("rights-gone", 409)
    return File(archive, signed, LEGAL_BASIS[ground])


def accesses_of(office: OfficeSession, subject: str) -> tuple[Access, ...]:
    """Who asked about the subject, newest first."""
    return office.logged("/accesses", AccessQuery(subject=subject), Accesses).accesses[::-1]


def disputes_of(office: OfficeSession, subject: str = "") -> tuple[Dispute, ...]:
    """A subject's objections, or with none given all that are open."""
    return office.logged("/disputes/list", AskFilings(subject=subject), Disputes).disputes


def repairs_of(office: OfficeSession, subject: str = "") -> tuple[RepairCase, ...]:
    """A subject's applications for credit repair, or with none given all that are open."""
    return office.logged("/repairs/list", AskFilings(subject=subject), RepairCases).repairs


def letter_of(office: OfficeSession, case: Dispute) -> Letter:
    """The answer in writing, its signature verified; raises `Notice` where there is none."""
    if case.letter is None:
        raise Notice("not-found", 404)
    return office.from_office(case.letter, Letter)


@dataclass(frozen=True, repr=False)
class Membership:
    """A cohort that the subject's row is in, whether its proof holds, and the models that were trained on it."""

    cohort: ArchiveCohort
    holds: bool
    models: tuple[ModelUse, ...]


@dataclass(frozen=True, repr=False)
class Use:
    """One alignment, whether its proof holds, the project's models, and the cohorts that came of it."""

    alignment: AlignmentUse
    holds: bool
    cohorts: tuple[Membership, ...]

    def used(self, line: ModelLine) -> bool:
        """Whether a registered model was trained on a cohort with the subject's row."""
        return line.cohort_root in {membership.cohort.root.hex() for membership in self.cohorts if membership.holds}


def uses_of(office: OfficeSession, subject: str, archive: Archive) -> tuple[AlignmentUses, list[Use]]:
    """Every alignment with the subject beside the cohorts of the archive; all proofs are checked here and now."""
    answer = office.logged("/cohorts", AskSubject(subject=subject), AlignmentUses)
    found = []
    for alignment in answer.alignments:
        rows = [c for c in archive.cohorts if (c.project, c.bank) == (alignment.project, alignment.bank)]
        memberships = (
            Membership(row, _holds(row), tuple(u for u in archive.models if u.cohort_root == row.root.hex())) for row in rows
        )
        found.append(Use(alignment, _proven(subject, alignment), tuple(memberships)))
    return answer, found


def _proven(subject: str, alignment: AlignmentUse) -> bool:
    try:
        verify_alignment_use(subject, alignment)
    except (CryptoError, LogError):
        return False
    return True


def _holds(row: ArchiveCohort) -> bool:
    try:
        verify_cohort_row(row)
    except LogError:
        return False
    return True


def as_json(
    file: File,
    uses: AlignmentUses,
    accesses: tuple[Access, ...],
    disputes: tuple[Dispute, ...],
    repairs: tuple[RepairCase, ...],
) -> bytes:
    """All of it for the person to keep: readable, and as it was signed (payloads and signatures in base64)."""
    whole = {
        "archive": file.archive,
        "legal_basis": file.basis,
        "alignments": uses.alignments,
        "accesses": accesses,
        "objections": disputes,
        "repairs": repairs,
        "signed": {"archive": file.signed.archive, "uses": file.signed.uses},
    }
    return msgspec.json.format(msgspec.json.encode(whole), indent=2)


# ---------------------------------------------------------------- words


def field_name(catalogue: Catalogue, name: str, language: Language) -> str:
    """What a field is called."""
    if name not in catalogue:
        return name
    field = catalogue[name]
    return field.label_en or field.label_zh if language == "en" else field.label_zh


def section_name(catalogue: Catalogue, field_set: str, language: Language) -> str:
    """What a field set is called: the theme that its fields share."""
    if field_set not in catalogue.categories:
        return field_set
    chinese, _, english = catalogue.fields_of(field_set)[0].theme.partition(" / ")
    return (english or chinese if language == "en" else chinese) or field_set


def value_of(catalogue: Catalogue, field: ArchiveField, language: Language) -> str:
    """A value in words, with its unit."""
    value = field.value
    if isinstance(value, bool):
        return {"zh": ("否", "是"), "en": ("no", "yes")}[language][value]
    if isinstance(value, str) and language == "en" and field.name in catalogue:
        known = catalogue[field.name]
        if value in known.enum_values and known.enum_labels_en:
            return known.enum_labels_en[known.enum_values.index(value)]
    said = f"{value:,}" if isinstance(value, int | float) else value
    return f"{said} {field.unit}".strip()


def names(office: OfficeSession) -> dict[str, str]:
    """What institutions and people are called, by id."""
    directory = office.directory()
    institutions = {institution.id: institution.name for institution in directory.institutions}
    return institutions | {person.id: person.name for person in directory.people}


def evidence_of(given: UploadFile | None) -> FiledEvidence | None:
    """The file of a form, or None where none was chosen."""
    if given is None or not given.filename:
        return None
    name = "".join(c for c in given.filename.replace("\\", "/").rsplit("/", 1)[-1] if c.isprintable())[-100:]
    return FiledEvidence(name=name or "file", content=given.file.read())


def attachment(name: str) -> dict[str, str]:
    """Headers that have a browser save what it is given, under a plain name."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in ".-_") else "_" for c in name) or "file"
    return {"content-disposition": f'attachment; filename="{plain}"'}
