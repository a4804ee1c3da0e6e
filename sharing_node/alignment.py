"""Alignment: blind evaluation of accepted elements, the published hashes, and the cohort that both sides agree on.

See `models.alignment` for the message diagram and the leakage statement.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from datetime import UTC, datetime

import numpy as np
from sqlalchemy import Connection

from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome, Within
from audit.verifier.merkle import leaf_hash, root_of
from crypto import cells
from crypto.group import decode_elements
from crypto.voprf import VoprfServer
from models import wire
from models.alignment import (
    AlignmentEvaluated,
    AlignmentStatement,
    Cohort,
    EvaluateAlignment,
    MatchTags,
    Published,
    tag_context,
)
from models.problems import BadMessage, BadTicket, CohortRefused, Forbidden, NotApproved
from models.projects import Project, ProjectKind
from sharing_node.keys import MissingKey
from sharing_node.node import Node
from sharing_node.state import repository as state
from sharing_node.state.repository import StoredCohort

PADDING = 1000
EVALUATIONS_A_CUSTOMER = 6
SMALLEST_DIFFERENCE = 50


class Alignment:
    """Handlers about alignment; tags of one project's eligible subjects are kept in memory between calls."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._lock = threading.Lock()
        self._tags: dict[str, tuple[list[str], dict[bytes, str]]] = {}

    def evaluate(self, call: Call) -> Outcome:
        """POST /projects/{project}/alignment/evaluate: k·B with a DLEQ proof each, for accepted elements only."""
        body: EvaluateAlignment = call.body
        project = self._project(call)
        statement = self._node.office.statement(body.statement, AlignmentStatement)
        elements = decode_elements(wire.split(body.elements, 32, "elements"))
        if (statement.project, statement.bank) != (project.id, call.institution.id):
            raise BadTicket("the office's statement is for another project or bank")
        if statement.expires <= call.now:
            raise BadTicket("the office's statement has expired; file the alignment again")
        if len(elements) != statement.count or root_of([leaf_hash(e) for e in elements]) != statement.root:
            raise BadTicket("these are not the elements that the office accepted, in its order")
        if len(set(elements)) != len(elements):
            raise BadMessage("an element stands twice")
        server = self._server(project)
        evaluations = server.blind_evaluate_many(elements)
        answer = AlignmentEvaluated(
            public_key=server.public_key,
            evaluated=b"".join(e.element for e in evaluations),
            proofs=b"".join(e.proof for e in evaluations),
        )
        allowed = EVALUATIONS_A_CUSTOMER * call.institution.declared_customers
        year = datetime.fromtimestamp(call.now, UTC).year

        def record(connection: Connection) -> None:
            state.spend(connection, call.institution.id, "evaluations", year=year, amount=len(elements), allowed=allowed)

        facts = {"project": project.id, "count": len(elements), "root": statement.root.hex()}
        return Outcome(answer, [LeafDraft("align.evaluate", facts)], record)

    def publish(self, call: Call) -> Outcome:
        """POST /projects/{project}/alignment/published: hashes of the eligible subjects' tags, with dummies."""
        project = self._project(call)
        tags = self._eligible_tags(project, call)
        hashes = [cells.published(tag) for tag in tags]
        # Dummies must be the same in every answer: else two answers would tell them from subjects.
        secret = self._node.keys.secret("dummies")
        for number in range(-len(hashes) % PADDING):
            hashes.append(hmac.digest(secret, f"{project.id}/{number}".encode(), "sha256"))
        facts = {"project": project.id, "count": len(hashes)}
        return Outcome(Published(hashes=b"".join(sorted(hashes))), [LeafDraft("align.publish", facts)])

    def match(self, call: Call) -> Within:
        """POST /projects/{project}/alignment/match: the returned tags become a cohort, or are refused."""
        body: MatchTags = call.body
        project = self._project(call)
        known = self._eligible_tags(project, call)
        tags = wire.split(body.tags, 32, "tags")
        if len(set(tags)) != len(tags):
            raise CohortRefused("a row stands twice in this cohort")
        if tags != sorted(tags):
            raise CohortRefused("the tags of a cohort stand in ascending order")
        if any(tag not in known for tag in tags):
            raise CohortRefused("a tag in this cohort belongs to no eligible subject; align again")
        found = {known[tag]: tag for tag in tags}
        self._check_size(len(found))

        def within(connection: Connection) -> Outcome:
            state.one_at_a_time(connection)
            subjects = self._in_row_order(self._apart(connection, set(found)))
            self._check_size(len(subjects))
            rows = [found[subject] for subject in subjects]
            root = root_of([leaf_hash(tag) for tag in rows])
            identifier = hashlib.sha256(b"cohort/" + project.id.encode() + b"/" + root).hexdigest()[:32]
            state.add_cohort(connection, StoredCohort(identifier, project.id, call.institution.id, root, subjects), call.now)
            place = {tag: position for position, tag in enumerate(tags)}
            kept = np.array([place[tag] for tag in rows], dtype="<u4").tobytes()
            answer = Cohort(id=identifier, project=project.id, rows=len(rows), root=root, kept=kept)
            facts = {"project": project.id, "cohort": identifier, "rows": len(rows), "root": root.hex()}
            return Outcome(answer, [LeafDraft("align.match", facts)], cosigned=True)

        return within

    def _in_row_order(self, subjects: set[str]) -> tuple[str, ...]:
        # The same subjects stand in the same order in every project, so that the same question has the same HMAC and meets
        # the same noise; only the node knows the order before it tells the bank.
        secret = self._node.keys.secret("row-order")
        return tuple(sorted(subjects, key=lambda subject: hmac.digest(secret, subject.encode(), "sha256")))

    def _apart(self, connection: Connection, subjects: set[str]) -> set[str]:
        """The subjects, less so many random ones that no earlier cohort differs from the rest in too few rows.

        After a withdrawal the same customers are a cohort again that differs in a row or two; which rows are left out
        besides is the node's choice, since the bank would leave out those that single somebody out.
        """
        earlier = [set(cohort.subjects) for cohort in state.all_cohorts(connection)]
        if subjects in earlier:
            return subjects
        while close := [other for other in earlier if 0 < len(subjects ^ other) < SMALLEST_DIFFERENCE]:
            missing = SMALLEST_DIFFERENCE - len(subjects ^ close[0])
            subjects = subjects - set(secrets.SystemRandom().sample(sorted(subjects & close[0]), missing))
            self._check_size(len(subjects))
        return subjects

    def _check_size(self, rows: int) -> None:
        least = self._node.limits.cohort_rows
        if rows < least:
            raise CohortRefused(f"this cohort has {rows} rows; at least {least} are needed")

    def _project(self, call: Call) -> Project:
        with call.engine.connect() as connection:
            project = state.project(connection, call.path["project"])
        if call.institution.id not in project.members:
            raise Forbidden("this project belongs to another bank")
        if project.kind is not ProjectKind.JOINT_SCORECARD:
            raise NotApproved("this project is for checks, not for joint modelling")
        self._node.check_project(project, call.now)
        return project

    def _server(self, project: Project) -> VoprfServer:
        name = f"project-{project.id}"
        try:
            return self._node.keys.oprf(name)
        except MissingKey:
            return self._node.keys.new_oprf(name)

    def _eligible_tags(self, project: Project, call: Call) -> dict[bytes, str]:
        subjects = self._node.joint_subjects(project, call.institution)
        with self._lock:
            kept = self._tags.get(project.id)
            if kept is None or kept[0] != subjects:
                outputs = self._server(project).evaluate_many([subject.encode() for subject in subjects])
                context = tag_context(project.id)
                by_tag = {cells.derive(y, context)[0]: s for y, s in zip(outputs, subjects, strict=True)}
                kept = self._tags[project.id] = (subjects, by_tag)
            return kept[1]
