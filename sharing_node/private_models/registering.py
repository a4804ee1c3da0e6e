"""From a project's fields to a served private model: the layout, the encrypted weights, the office's approval."""

from __future__ import annotations

import secrets
from collections import Counter
from datetime import UTC, datetime

import numpy as np
from sqlalchemy import Connection

from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from crypto.errors import CryptoError
from models import wire
from models.private_model import (
    BANDS,
    MOST_COLUMNS,
    POSITION,
    PRIVATE_ENCODING,
    ColumnMoments,
    FileWeights,
    OpenedPrivateModel,
    OpenPrivateModel,
    PrivateLayout,
    public_seed,
)
from models.problems import BadMessage, BadSignature, Conflict, Forbidden, NotApproved, ReleaseRefused, Unusable
from models.projects import Project, ProjectKind, ProjectOpened
from models.scorecard import limits as rules
from models.scorecard.card import Budget, FieldCard, LeakageStatement, ModelCard, NodeCard
from models.tables import PRIVATE_KIND, ModelApproval, ServeModel, score_table
from sharing_node.jobs.columns import node_columns, wanted_fields
from sharing_node.node import Node
from sharing_node.private_models import repository
from sharing_node.private_models.columns import noisy_gram, private_fields
from sharing_node.private_models.repository import StoredPrivateModel
from sharing_node.records import repository as records
from sharing_node.records.sources import data_sources
from sharing_node.state import repository as state
from sharing_node.state.repository import StoredTable

YEAR = 365 * 24 * 3600
NOTE = "a private model: the bank's own weights, which the node has never seen and the credit office has checked"


class PrivateModels:
    """Handlers about private models."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def open(self, call: Call) -> Outcome:
        """POST /private-models: bin the project's fields on everybody who is served, and tell the office their counts."""
        body: OpenPrivateModel = call.body
        node = self._node
        with call.engine.connect() as connection:
            project = self._project(connection, call, body.project)
            fields = wanted_fields(node, project, body.fields)
            names = tuple(field.name for field in fields)
            subjects = sorted(set(node.eligibility().collection) - node.disputed(names))
            raw = records.numeric_columns(connection, fields, subjects, node.marks(), node.today())
            raw = raw[~np.isnan(raw).all(axis=1)]
            used = self._releases(connection, project, call.now)
            sources = data_sources(connection, {field.category for field in fields}, call.now)
        try:
            node.limits.check_cohort(raw.shape[0])
            node.limits.check_releases(used)
            columns, notes = node_columns(fields, raw, node.limits, 0, ())
        except rules.Refused as error:
            raise ReleaseRefused(error.reason, advice=error.accepted or None) from None
        layout = PrivateLayout(
            model=secrets.token_hex(16),
            project=project.id,
            bank=project.bank,
            fields=private_fields(columns.fields),
            nonce=secrets.token_bytes(32),
            rows=columns.rows,
            data_day=datetime.fromtimestamp(call.now, UTC).date().isoformat(),
        )
        card = NodeCard(
            model=layout.model,
            project=project.id,
            job="",
            cohort_root="",
            rows=columns.rows,
            fields=tuple(FieldCard(name=f.name, iv=0.0, bins=f.count, vif=0.0, r2=0.0) for f in layout.fields),
            bands=BANDS,
            band_means=(),
            budgets=(Budget(name="releases a subject and year", used=used + 1, allowed=node.limits.releases),),
            leakage=_leakage(used + 1, node.limits),
            notes=(NOTE, *notes),
            data_day=layout.data_day,
            sources=sources,
        )
        gram = noisy_gram(columns.codes, columns.bins, node.keys.secret("private-model-moments"), node.limits)
        node.office.tell("/private-models/moments", node.sign(ColumnMoments(layout=layout, gram=gram.astype("<f8").tobytes())))
        signed_layout, signed_card = node.sign(layout), node.sign(card)

        def record(connection: Connection) -> None:
            repository.add(connection, signed_layout, columns.fields, signed_card, call.now)

        facts = {"model": layout.model, "project": project.id, "rows": layout.rows, "layout": signed_layout.digest()}
        answer = OpenedPrivateModel(layout=signed_layout, card=signed_card)
        return Outcome(answer, [LeafDraft("private-model.open", facts)], record)

    def file(self, call: Call) -> Outcome:
        """POST /private-models/{model}/weights: encrypted weights and the bank's card, which the node signs as well."""
        from crypto.bfv import EncryptedModel  # SEAL is loaded where private models are filed

        body: FileWeights = call.body
        with call.engine.connect() as connection:
            stored = self._own(connection, call)
            self._project(connection, call, stored.project)
        fields = stored.stated.fields
        fits = all(0 <= c.field < len(fields) and POSITION <= c.bin < fields[c.field].count for c in body.columns)
        if body.model != stored.id or len(body.nonce) != 32 or not 1 <= len(body.columns) <= MOST_COLUMNS or not fits:
            raise BadMessage("the message names another model, columns that are not in the layout, or too many")
        encrypted = EncryptedModel(public_seed(stored.id, body.columns, stored.stated.nonce, body.nonce), body.body)
        try:
            if encrypted.columns != len(body.columns):
                raise BadMessage("there is one encrypted weight for each column")
            encrypted.halves()
        except CryptoError as error:
            raise Unusable(str(error)) from None
        card = wire.open_signed(body.card, ModelCard, call.person.id, call.person.public_key())
        if card.node != wire.decode(stored.node_card.payload, NodeCard) or card.bank != stored.bank:
            raise BadSignature("the node's part of this card is not what the node signed when the model was opened")
        if (card.half, card.encoding) != (encrypted.digest().hex(), PRIVATE_ENCODING):
            raise Unusable("the card's half is not the digest of these encrypted weights")

        def record(connection: Connection) -> None:
            repository.file(connection, body)

        facts = {"model": stored.id, "card": body.card.digest(), "weights": card.half, "columns": len(body.columns)}
        return Outcome(self._node.sign(card), [LeafDraft("private-model.weights", facts)], record, cosigned=True)

    def serve(self, call: Call) -> Outcome:
        """POST /private-models/{model}/serve: with the office's approval the model gets a table; epochs follow."""
        body: ServeModel = call.body
        approval = self._node.office.statement(body.approval, ModelApproval)
        with call.engine.connect() as connection:
            stored = self._own(connection, call)
            project = self._project(connection, call, stored.project)
            used = self._releases(connection, project, call.now)
            served = repository.served_in(connection, project.id)
        if (approval.model, approval.bank) != (stored.id, stored.bank) or stored.filed is None:
            raise NotApproved("this approval is for another model or bank, or the model's weights are not here")
        if approval.card != stored.filed.card.digest():
            raise NotApproved("the office approved another card than the one that the node signed; register it again")
        if stored.approval is not None and approval.decided_at < stored.approval.decided_at:
            raise Conflict("the office approved this model anew since; hand over its latest approval")
        if call.now >= approval.ends:
            raise NotApproved("the review date of this approval is past; have the office review the model, then try again")
        if stored.approval is None:
            if served >= project.releases:
                raise ReleaseRefused(f"all {project.releases} releases that the office approved for this project are used")
            try:
                self._node.limits.check_releases(used)
            except rules.Refused as error:
                raise ReleaseRefused(error.reason, advice=error.accepted or None) from None
        table = StoredTable(score_table(stored.id), PRIVATE_KIND, (), stored.id, stored.project)

        def record(connection: Connection) -> None:
            state.one_at_a_time(connection)
            if stored.approval is None and repository.served_since(connection, stored.bank, call.now - YEAR) > used:
                raise Conflict("another private model was served at the same moment; ask again")
            repository.serve(connection, stored.id, body.approval, call.now)
            state.add_table(connection, table)

        facts = {"model": stored.id, "table": table.id, "approval": body.approval.digest()}
        answer = ProjectOpened(project=stored.project, table=table.id)
        return Outcome(answer, [LeafDraft("private-model.serve", facts)], record)

    # ---------------------------------------------------------------- steps of the above

    def _project(self, connection: Connection, call: Call, project_id: str) -> Project:
        project = state.project(connection, project_id)
        if project.bank != call.institution.id:
            raise Forbidden("this project belongs to another bank")
        if project.kind is not ProjectKind.JOINT_SCORECARD:
            raise Forbidden("a private model belongs to a joint project, whose fields it may weigh")
        self._node.check_project(project, call.now)
        return project

    @staticmethod
    def _own(connection: Connection, call: Call) -> StoredPrivateModel:
        stored = repository.get(connection, call.path["model"])
        if stored.bank != call.institution.id:
            raise Forbidden("this model belongs to another bank")
        return stored

    @staticmethod
    def _releases(connection: Connection, project: Project, now: int) -> int:
        """The most releases to this bank within a year that anybody was in: a private model's scores are one of everybody."""
        counts: Counter[str] = Counter()
        for model in state.all_models(connection):
            if model.bank == project.bank and model.released_at > now - YEAR:
                counts.update(state.cohort(connection, model.cohort).subjects)
        return max(counts.values(), default=0) + repository.served_since(connection, project.bank, now - YEAR)


def _leakage(releases: int, limits: rules.Limits) -> LeakageStatement:
    return LeakageStatement(
        node_learns=(
            "which columns have an encrypted weight, and no weight: it sees Ring-LWE samples, and gives back padded sums.",
            f"how wide one of {BANDS} bands of the score is, so that it can add noise of half a band.",
        ),
        bank_learns=(
            "the score of each subject it has a ticket for, with noise of half a band, the same in every epoch; of everybody "
            "else sums under pads that it never learns.",
            "where a field's bins lie, unless the field's mode forbids to tell of it, and how many people were binned.",
            f"from the banded scores an R² of at most {limits.r2_column:.2f} about any column, {limits.r2_mean:.2f} on average "
            "of the fields, as the office reckons it from counts of pairs of bins.",
        ),
        office_learns=(
            "the weights; counts of pairs of bins over all rows, with noise; no row and no score.",
            "who is asked about, from the tickets.",
        ),
        label_aggregates=0,
        band_bits=4.32,
        r2_most=0.0,
        r2_mean=0.0,
        r2_most_allowed=limits.r2_column,
        r2_mean_allowed=limits.r2_mean,
        shrunk_fields=(),
        releases_counted=releases,
    )
