"""Models: bank and node have signed one card; the office decides whether the model's scores may be served."""

from __future__ import annotations

from sqlalchemy import Connection

from audit.office.office import NODE, Office
from audit.office.projects import Projects, check_decision
from audit.office.store import projects
from audit.office.store.projects import APPROVED, FILED, REFUSED, StoredModel
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from models.logged import Empty
from models.parties import InstitutionKind
from models.problems import Conflict, Forbidden, NotApproved, NotFound, Unusable
from models.projects import Decision
from models.scorecard.card import ModelCard, NodeCard
from models.tables import ModelApproval, ModelStatus, RegisterModel
from models.wire import Signed, open_signed


class ModelRegister:
    """Handlers about models."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def register(self, call: Call) -> Outcome:
        """POST /models: a modeller hands in the card that it and the node have signed."""
        body: RegisterModel = call.body
        node_card = open_signed(body.node_card, NodeCard, NODE, self._office.node_key())
        bank_card = open_signed(body.bank_card, ModelCard, call.person.id, call.person.public_key())
        if bank_card.node != node_card:
            raise Unusable("the bank's card does not hold the node's card as the node signed it")
        if bank_card.bank != call.institution.id:
            raise Forbidden("the card names another bank")
        with call.engine.connect() as connection:
            stored = Projects.get(connection, node_card.project)
        if stored.project.bank != call.institution.id:
            raise Forbidden("the card's project belongs to another bank")
        if stored.state != APPROVED or stored.suspended:
            raise NotApproved("the card's project is not approved, or it is suspended")
        model = StoredModel(
            id=node_card.model,
            bank=call.institution.id,
            project=node_card.project,
            card=body.bank_card.digest(),
            cards=body,
            registered_by=call.person.id,
            state=FILED,
            reason="",
            approval=None,
        )

        def record(connection: Connection) -> None:
            if projects.get_model(connection, model.id) is not None:
                raise Conflict("a model with this id is registered already")
            projects.add_model(connection, model)

        facts = {"model": model.id, "project": model.project, "card": model.card}
        return Outcome(Empty(), [LeafDraft("model.register", facts)], record)

    def decide(self, call: Call) -> Outcome:
        """POST /models/{id}/decision: a clerk approves or refuses; answers with the `ModelStatus`."""
        decision: Decision = call.body
        with call.engine.connect() as connection:
            model = self._get(connection, call.path["id"])
        check_decision(decision, model.id, model.registered_by, model.state, call)
        approval: Signed | None = None
        if decision.approve:
            approval = self._office.sign(
                ModelApproval(
                    model=model.id,
                    bank=model.bank,
                    card=model.card,
                    decided_by=call.person.id,
                    decided_at=call.now,
                    reason=decision.reason,
                )
            )
        state = APPROVED if decision.approve else REFUSED

        def record(connection: Connection) -> None:
            if not projects.decide_model(connection, model.id, state, decision.reason, approval):
                raise Conflict("this model has been decided already")

        facts = {"model": model.id, "state": state, "approval": approval.digest() if approval else ""}
        answer = ModelStatus(state=state, reason=decision.reason, approval=approval)
        return Outcome(answer, [LeafDraft("model.decide", facts, {"reason": decision.reason})], record)

    def status(self, call: Call) -> ModelStatus:
        """GET /models/{id}: its state, for the bank that registered it and for clerks."""
        with call.engine.connect() as connection:
            model = self._get(connection, call.path["id"])
        if call.institution.kind is InstitutionKind.BANK and model.bank != call.institution.id:
            raise Forbidden("this model belongs to another bank")
        return ModelStatus(state=model.state, reason=model.reason, approval=model.approval)

    @staticmethod
    def _get(connection: Connection, model_id: str) -> StoredModel:
        model = projects.get_model(connection, model_id)
        if model is None:
            raise NotFound("there is no such model")
        return model
