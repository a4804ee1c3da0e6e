"""Alignment at the bank: from its own customers' ids to the rows that both sides know.

::

    ids ─> canonical ─> P, r, B = r·P, proof ─> office: consents, Signed(root of accepted B)      (file)
        accepted B ─> node: k·B with a DLEQ proof each ─> y ─> tag                                (evaluate)
        published SHA-256(tag) of the node's eligible subjects ─> the tags that both know         (published)
        tags, ascending ─> node: cohort                                                           (match)

The node sets the order of the cohort's rows. It is pseudorandom, so it says nothing to the office, which knows the order
in which ids were filed and must not be able to join the replayed labels on it; and the same customers give the same
cohort again. Where a cohort would differ from an earlier one in a few rows only, the node leaves some more out at random.
See `models.alignment` for the whole diagram and the leakage statement.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from audit.verifier.merkle import leaf_hash, root_of
from bank_client.job_journal import JobJournal
from bank_client.session import Bank
from crypto import cells
from crypto.group import Element, Scalar, map_threads
from crypto.request_proof import prove
from crypto.voprf import Blinded, VoprfClient, blind
from models import wire
from models.alignment import (
    AlignmentContext,
    AlignmentEvaluated,
    AlignmentFiled,
    AlignmentStatement,
    Cohort,
    EvaluateAlignment,
    FileAlignment,
    MatchTags,
    Published,
    tag_context,
)
from models.durable import write_private
from models.logged import Empty
from models.problems import BadMessage, CohortRefused, NoConsent, NotApproved, Problem, Unavailable, Unusable
from models.projects import ProjectOpened, ProjectStatus
from models.wire import Message, Signed

CHUNK = 20_000  # subjects a request: 3 MB of body, and short enough to be repeated
LIFETIME = 6 * 3600
SPARE = 600  # seconds before its end at which a filing is not gone on with
NONCE_BYTES = 16

Progress = Callable[[str, int, int], None]
"""Called with (what, done, of) as the work goes on."""


def silent(_what: str, _done: int, _of: int) -> None:
    """No progress shown."""


@dataclass(frozen=True)
class AlignedCohort:
    """The rows that both sides know. `subjects` are canonical ids in row order; only the two sides know this order.

    `asked` counts the ids given, `refused` the office's reasons by count, `unknown` the accepted ids that the node does
    not serve for this project.
    """

    project: str
    id: str
    root: bytes
    subjects: tuple[str, ...] = field(repr=False)
    asked: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    unknown: int = 0

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.subjects)

    def save(self, path: str | Path) -> None:
        """Write as JSON, mode 0600: the file holds customers' ids."""
        write_private(Path(path), self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> AlignedCohort:
        """Read what `save` wrote."""
        return cls.from_json(Path(path).read_bytes())

    def to_json(self) -> bytes:
        """All of it as JSON."""
        values = {**self.__dict__, "root": self.root.hex(), "subjects": list(self.subjects)}
        return json.dumps(values, ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, data: bytes) -> AlignedCohort:
        """What `to_json` gave."""
        values = json.loads(data)
        return cls(**{**values, "root": bytes.fromhex(values["root"]), "subjects": tuple(values["subjects"])})


def open_project(bank: Bank, project: str) -> ProjectOpened:
    """Hand the office's approval to the node; doing it again changes nothing.

    Raises:
        NotApproved: the office has not approved the project (yet).
    """
    status = bank.office.get(f"/projects/{project}", ProjectStatus)
    if status.approval is None:
        because = f": {status.reason}" if status.reason else ""
        raise NotApproved(f"the project {project} is {status.state} at the credit office{because}")
    return bank.node.logged("/projects", status.approval, ProjectOpened).answer


def align(
    bank: Bank,
    project: str,
    ids: Sequence[object],
    *,
    progress: Progress = silent,
    journal: JobJournal | None = None,
) -> AlignedCohort:
    """Align customers with the node.

    What is done is kept in the data folder, so that calling it again with the same ids goes on where it stopped, in another
    process too.

    Args:
        bank: the modeller's session.
        project: id of an approved joint project.
        ids: of the bank's customers, each once, in any spelling that `models.identity` takes.
        journal: of the job that this is a part of; the cohort stays in it until that job ends.

    Raises:
        NoConsent: the office accepted none of them.
        CohortRefused: too few rows, or too like an earlier cohort.
        Damaged: the node's answers do not verify; the evidence was reported.
        Cancelled: the job was given up.
    """
    subjects = _canonical(bank, ids)
    own = journal or JobJournal.of(bank.config.data_dir, "align", bank.config.person, project, *subjects)
    with bank.phase("align"), own.held():
        try:
            cohort = _aligned(bank, project, subjects, progress, own)
        except (Problem, ValueError) as problem:
            if not isinstance(problem, Unavailable):
                own.forget()  # refused: there is nothing to go on with
            raise
        if journal is None:
            own.forget()
    return cohort


def _aligned(bank: Bank, project: str, subjects: list[str], progress: Progress, journal: JobJournal) -> AlignedCohort:
    if (kept := journal.fact("cohort")) is not None:
        return AlignedCohort.from_json(kept)
    journal.keep("project", project.encode())
    open_project(bank, project)
    run = _Alignment(bank, project, journal)
    for start in range(0, len(subjects), CHUNK):
        chunk = subjects[start : start + CHUNK]
        journal.check()
        run.add(f"align/{start}", chunk)
        progress("align", start + len(chunk), len(subjects))
    if not run.tags:
        raise NoConsent(f"the office accepted none of {len(subjects)} ids: {_reasons(run.refused)}")
    cohort, rows = run.match()
    made = AlignedCohort(
        project, cohort.id, cohort.root, rows, len(subjects), dict(run.refused), unknown=len(run.tags) - len(rows)
    )
    journal.keep("cohort", made.to_json(), instead_of="align/")
    return made


def _canonical(bank: Bank, ids: Sequence[object]) -> list[str]:
    subjects = [bank.canonical(subject) for subject in ids]
    if len(set(subjects)) != len(subjects):
        raise ValueError(f"{len(subjects) - len(set(subjects))} ids stand more than once; give each customer one row")
    if not subjects:
        raise ValueError("there are no ids to align")
    return subjects


class _Asked(Message):
    """A request as it is about to be made, with what its answer is worth nothing without: the blinds, end to end."""

    key: str
    body: bytes
    blinds: bytes = b""
    expires: int = 0

    def __repr__(self) -> str:
        return "_Asked(<secret>)"


class _Added(Message):
    """What came of a chunk: a bit for each subject that was accepted, their tags, and the office's reasons by count."""

    accepted: bytes
    tags: bytes
    refused: dict[str, int]
    public_key: bytes

    def __repr__(self) -> str:
        return "_Added(<secret>)"


class _Alignment:
    """One alignment as it goes: `tags` of the subjects evaluated so far, `refused` reasons by count.

    A request is kept before it is made, and made again as it was: its blinds and proofs are never drawn twice. What came of a
    chunk takes the place of its requests.
    """

    def __init__(self, bank: Bank, project: str, journal: JobJournal) -> None:
        self.tags: dict[bytes, str] = {}
        self.refused: Counter[str] = Counter()
        self._bank = bank
        self._project = project
        self._journal = journal
        self._public_key = b""

    def add(self, name: str, subjects: list[str]) -> None:
        """File and evaluate so many subjects; the office may accept none of them."""
        kept = self._journal.fact(f"{name}/added")
        if kept is None:
            added = self._add(name, subjects)
            self._journal.keep(f"{name}/added", wire.encode(added), instead_of=f"{name}/")
        else:
            added = wire.decode(kept, _Added)
        if added.public_key:
            if self._public_key not in (b"", added.public_key):
                # A key for each group of customers would sort them by group when their tags come back.
                keys = (self._public_key, added.public_key)
                self._bank.damaged("alignment key", "the node changed its key within one project", artefacts=keys)
            self._public_key = added.public_key
        chosen = [subject for subject, yes in zip(subjects, added.accepted, strict=True) if yes]
        self.tags |= dict(zip(wire.split(added.tags, 32, "tags"), chosen, strict=True))
        self.refused.update(added.refused)

    def _add(self, name: str, subjects: list[str]) -> _Added:
        try:
            filed, accepted = self.file(name, subjects)
        except Unusable as problem:
            return _Added(accepted=bytes(len(subjects)), tags=b"", refused={problem.detail: len(subjects)}, public_key=b"")
        public_key, tags = self.evaluate(name, filed.statement, accepted)
        return _Added(accepted=filed.accepted, tags=b"".join(tags), refused=filed.refused, public_key=public_key)

    def file(self, name: str, subjects: list[str]) -> tuple[AlignmentFiled, list[tuple[str, Blinded]]]:
        """Blind, prove and file with the office: its answer, and the accepted subjects in the order filed."""
        kept = self._journal.fact(f"{name}/file")
        asked = None if kept is None else wire.decode(kept, _Asked)
        if asked is None or asked.expires < time.time() + SPARE:
            asked = self._filing(subjects)
            self._journal.keep(f"{name}/file", wire.encode(asked), instead_of=f"{name}/")
        request = wire.decode(asked.body, FileAlignment)
        filed = self._bank.office.logged("/alignments", request, AlignmentFiled, key=asked.key).answer
        if len(filed.accepted) != len(subjects) or not set(filed.accepted) <= {0, 1}:
            raise BadMessage("the office's answer does not say yes or no to each filed subject")
        blinds, elements = wire.split(asked.blinds, 32, "blinds"), wire.split(request.elements, 32, "elements")
        made = [Blinded(Scalar(blind), Element(element)) for blind, element in zip(blinds, elements, strict=True)]
        return filed, [(s, b) for s, b, yes in zip(subjects, made, filed.accepted, strict=True) if yes]

    def _filing(self, subjects: list[str]) -> _Asked:
        context = AlignmentContext(
            bank=self._bank.config.institution,
            modeller=self._bank.config.person,
            project=self._project,
            expires=int(time.time()) + LIFETIME,
            nonce=secrets.token_bytes(NONCE_BYTES),
        )
        binding = context.binding()

        def blind_and_prove(subject: str) -> tuple[Blinded, bytes]:
            blinded = blind(subject.encode())
            return blinded, prove(subject.encode(), blinded.blind, blinded.element, binding)

        made = map_threads(blind_and_prove, subjects)
        request = FileAlignment(
            context=context,
            subjects=tuple(subjects),
            elements=b"".join(blinded.element for blinded, _ in made),
            proofs=b"".join(proof for _, proof in made),
        )
        blinds = b"".join(blinded.blind for blinded, _ in made)
        return _Asked(key=secrets.token_urlsafe(16), body=wire.encode(request), blinds=blinds, expires=context.expires)

    def evaluate(self, name: str, signed: Signed, accepted: list[tuple[str, Blinded]]) -> tuple[bytes, list[bytes]]:
        """Have the node evaluate the accepted elements, verify every proof, and derive the tags: its key, and these."""
        bank, project = self._bank, self._project
        elements = [blinded.element for _, blinded in accepted]
        statement = bank.from_office(signed, AlignmentStatement)
        expected = (project, bank.config.institution, root_of(map(leaf_hash, elements)), len(elements))
        if (statement.project, statement.bank, statement.root, statement.count) != expected:
            detail = "the office signed other elements than it accepted"
            bank.damaged("alignment statement", detail, artefacts=(signed.payload,))
        request = EvaluateAlignment(statement=signed, elements=b"".join(elements))
        path = f"/projects/{project}/alignment/evaluate"
        key = self._journal.derived(f"{name}/evaluate/{signed.digest()}")[:16].hex()
        answer = bank.node.logged(path, request, AlignmentEvaluated, key=key).answer
        evaluated, proofs = wire.split(answer.evaluated, 32, "evaluations"), wire.split(answer.proofs, 64, "proofs")
        try:
            outputs = VoprfClient(answer.public_key).finalize_many(
                [subject.encode() for subject, _ in accepted],
                [blinded for _, blinded in accepted],
                list(zip(evaluated, proofs, strict=True)),
            )
        except ValueError as error:  # CryptoError among them
            bank.damaged("alignment evaluation", str(error), artefacts=(wire.encode(answer), request.elements))
        context = tag_context(project)
        return answer.public_key, [cells.derive(y, context)[0] for y in outputs]

    def match(self) -> tuple[Cohort, tuple[str, ...]]:
        """Find the tags that the node published, and agree on them as a cohort."""
        bank, path = self._bank, f"/projects/{self._project}/alignment"
        asked = self._journal.fact("align/match")  # as it was made, since what the node publishes may have changed
        request = self._known() if asked is None else wire.decode(asked, MatchTags)
        if asked is None:
            self._journal.keep("align/match", wire.encode(request))
        rows = wire.split(request.tags, 32, "tags")
        key = self._journal.derived("align/match")[:16].hex()
        cohort = bank.node.logged(f"{path}/match", request, Cohort, key=key).answer
        kept = wire.unpack(cohort.kept, "<u4", (cohort.rows,), "kept rows").tolist()
        if len(set(kept)) != len(kept) or max(kept, default=0) >= len(rows):
            bank.damaged("cohort", "the node kept rows that were not returned, or one twice", artefacts=(wire.encode(cohort),))
        rows = [rows[position] for position in kept]
        if (cohort.project, cohort.root) != (self._project, root_of(map(leaf_hash, rows))):
            bank.damaged("cohort", "the node agreed on other rows than the bank returned", artefacts=(wire.encode(cohort),))
        return cohort, tuple(self.tags[tag] for tag in rows)

    def _known(self) -> MatchTags:
        """The tags that the node published, ascending."""
        path = f"/projects/{self._project}/alignment/published"
        answer = self._bank.node.logged(path, Empty(), Published).answer
        published = set(wire.split(answer.hashes, 32, "published hashes"))
        rows = sorted(tag for tag in self.tags if cells.published(tag) in published)
        if not rows:
            raise CohortRefused("the node serves none of these customers for this project")
        return MatchTags(tags=b"".join(rows))


def _reasons(refused: Counter[str]) -> str:
    return ", ".join(f"{count} × {reason}" for reason, count in refused.most_common()) or "no reason was given"
