"""Releasing a proven training's bands, countersigning its card, and making its score table servable."""

from __future__ import annotations

import secrets
from collections import Counter
from datetime import UTC, datetime

from sqlalchemy import Connection

from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from models import wire
from models.problems import BadSignature, Conflict, Forbidden, NotApproved, ReleaseRefused
from models.projects import ProjectOpened
from models.scorecard import limits as rules
from models.scorecard.card import Budget, ModelCard, NodeCard, field_cards, statement
from models.scorecard.group_node import several_of
from models.scorecard.private import budgets
from models.scorecard.release import release
from models.scorecard.score import NodeModel
from models.tables import ModelApproval, ServeModel, score_table
from models.training import JobPlan, Released
from models.wire import Signed
from sharing_node.jobs.running import Opened
from sharing_node.jobs.training import Trainings
from sharing_node.node import Node
from sharing_node.private_models import repository as private_models
from sharing_node.records.sources import data_sources
from sharing_node.scores import earlier_bands, served_columns
from sharing_node.state import repository as state
from sharing_node.state.repository import StoredModel, StoredTable

YEAR = 365 * 24 * 3600


class Releases:
    """Handlers about released models."""

    def __init__(self, node: Node, trainings: Trainings) -> None:
        self._node = node
        self._trainings = trainings

    def release(self, call: Call) -> Outcome:
        """POST /jobs/{job}/release: the bands of the cohort's rows, within the limit on what all bands say."""
        running = self._trainings.running(call)
        opened = running.opened
        project, cohort, limits = opened.project, opened.cohort, opened.limits
        self._node.check_still_willing(cohort.subjects, project, call.institution)
        with call.engine.connect() as connection:
            released = state.models_released(connection)
            used = sum((m.project, m.bank) == (project.id, cohort.bank) for m in state.all_models(connection))
            earlier = earlier_bands(connection, cohort.subjects)
            served = served_columns(self._node, connection, opened.columns.fields)
            served_earlier = earlier_bands(connection, served.subjects)
            most = self._releases_this_year(connection, opened, call.now)
            trainings = state.trainings_used(connection, project.id)
            began = state.job_opened_at(connection, opened.job)
            sources = data_sources(connection, {f.category for f in self._node.catalogue.select(project.fields)}, began)
        if used >= project.releases:
            raise ReleaseRefused(f"all {project.releases} releases that the office approved for this project are used")
        try:
            limits.check_releases(most)
            learner = running.training.learned()
            assert learner.weights_ is not None
            made = release(
                opened.columns,
                learner.levels_,
                learner.weights_,
                earlier,
                limits,
                served=(served.columns, served_earlier),
            )
            figures = running.training.figures()
        except rules.OutOfOrder as error:
            raise Conflict("this training is not proven yet; hand over the office's verdict first") from error
        except rules.Refused as error:
            raise ReleaseRefused(error.reason, advice=error.accepted or None) from None
        model = secrets.token_hex(16)
        half = NodeModel.of(opened.columns, learner.levels_, made)
        terms = wire.decode(opened.signed_plan.payload, JobPlan).group
        card = self._node.sign(
            NodeCard(
                model=model,
                project=project.id,
                job=opened.job,
                cohort_root=cohort.root.hex(),
                rows=opened.plan.rows,
                fields=field_cards(figures, made.leakage),
                bands=len(made.bands.means),
                band_means=made.bands.means,
                budgets=(
                    Budget(name="releases a subject and year", used=most + 1, allowed=limits.releases),
                    Budget(name="trainings of the project", used=trainings, allowed=limits.trainings),
                    *(Budget(name=name, used=used, allowed=most) for name, used, most in budgets(opened.privacy)),
                ),
                leakage=statement(opened.plan, made, limits, len(earlier) + 1, several_of(running.training)),
                notes=(),
                data_day=datetime.fromtimestamp(began, UTC).date().isoformat(),
                sources=sources,
                group=terms.group if terms is not None else "",
                banks=terms.banks if terms is not None else (),
            )
        )
        stored = StoredModel(
            id=model,
            job=opened.job,
            project=project.id,
            cohort=cohort.id,
            bank=cohort.bank,
            half=half.to_bytes(),
            bands=made.codes.tobytes(),
            node_card=card,
            released_at=call.now,
        )

        def record(connection: Connection) -> None:
            # What was measured above holds only if nothing else went out meanwhile.
            state.one_at_a_time(connection)
            if state.models_released(connection).keys() != released.keys():
                raise Conflict("another model was released in the meantime; ask for the release again")
            state.set_job_state(connection, opened.job, "proven", "released")
            state.add_model(connection, stored)
            self._trainings.finished(connection, opened.job)

        answer = Released(job=opened.job, model=model, bands=made.codes.tobytes(), means=made.bands.means, card=card)
        facts = {"job": opened.job, "model": model, "card": card.digest(), "rows": opened.plan.rows}
        return Outcome(answer, [LeafDraft("job.release", facts)], record, cosigned=True)

    def countersign(self, call: Call) -> Outcome:
        """POST /models: the bank's signed `ModelCard`; the node signs the same card if its own part is as released."""
        signed: Signed = call.body
        card = wire.open_signed(signed, ModelCard, call.person.id, call.person.public_key())
        with call.engine.connect() as connection:
            stored = state.model(connection, card.node.model)
        if stored.bank != call.institution.id or card.bank != call.institution.id:
            raise Forbidden("this model belongs to another bank")
        if wire.decode(stored.node_card.payload, NodeCard) != card.node:
            raise BadSignature("the node's part of this card is not what the node signed at release")

        def record(connection: Connection) -> None:
            state.set_bank_card(connection, stored.id, signed)

        facts = {"model": stored.id, "card": signed.digest()}
        return Outcome(self._node.sign(card), [LeafDraft("model.card", facts)], record, cosigned=True)

    def serve(self, call: Call) -> Outcome:
        """POST /models/{model}/serve: with the office's approval the model gets a score table; epochs follow.

        After a review the same call hands over the new approval, and the table lasts until its date.
        """
        body: ServeModel = call.body
        approval = self._node.office.statement(body.approval, ModelApproval)
        with call.engine.connect() as connection:
            stored = state.model(connection, call.path["model"])
            card = state.bank_card(connection, stored.id)
            earlier = state.approval(connection, stored.id)
            self._node.check_project(state.project(connection, stored.project), call.now)
        if (approval.model, approval.bank) != (stored.id, stored.bank) or stored.bank != call.institution.id:
            raise NotApproved("this approval is for another model or bank")
        if card is None or approval.card != card.digest():
            raise NotApproved("the office approved another card than the one that the node signed; sign and file it again")
        if earlier is not None and approval.decided_at < earlier.decided_at:
            raise Conflict("the office approved this model anew since; hand over its latest approval")
        if call.now >= approval.ends:
            raise NotApproved("the review date of this approval is past; have the office review the model, then try again")
        table = StoredTable(score_table(stored.id), "score", (), stored.id, stored.project)

        def record(connection: Connection) -> None:
            state.set_approval(connection, stored.id, body.approval)
            state.add_table(connection, table)

        facts = {"model": stored.id, "table": table.id, "approval": body.approval.digest()}
        return Outcome(ProjectOpened(project=stored.project, table=table.id), [LeafDraft("model.serve", facts)], record)

    def _releases_this_year(self, connection: Connection, opened: Opened, now: int) -> int:
        members = set(opened.cohort.subjects)
        counts: Counter[str] = Counter()
        for model in state.all_models(connection):
            if model.bank == opened.cohort.bank and model.released_at > now - YEAR:
                counts.update(members.intersection(state.cohort(connection, model.cohort).subjects))
        # A private model's scores are a release of everybody.
        return max(counts.values(), default=0) + private_models.served_since(connection, opened.cohort.bank, now - YEAR)
