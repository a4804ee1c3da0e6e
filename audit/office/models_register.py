"""The register of models: both sides signed one card, the office decides, reviews, suspends and retires.

States and messages: `models.registry`. Whoever serves, seals or gives tickets asks `audit.office.served`.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from audit.office.office import NODE, Office
from audit.office.private_models import examine
from audit.office.projects import Projects, check_decision
from audit.office.served import why_not
from audit.office.store import models, parties, private_models
from audit.office.store.models import StoredModel
from audit.office.store.projects import APPROVED as PROJECT_APPROVED
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from models.logged import Empty
from models.parties import InstitutionKind
from models.problems import BadMessage, Conflict, Forbidden, NotApproved, NotFound, Unusable
from models.projects import Decision
from models.registry import (
    APPROVED,
    FILED,
    REFUSED,
    REPLACED,
    RETIRED,
    STATES,
    SUSPENDED,
    ChangeModel,
    ModelDecision,
    ModelEntry,
    ModelEvent,
    ModelList,
    ModelRecord,
)
from models.scorecard.card import ModelCard, NodeCard
from models.tables import ModelApproval, ModelStatus, RegisterModel
from models.wire import Signed, decode, open_signed, replace

DAY = 24 * 3600
MOST_IN_PAGE = 100
MOST_IN_LINE = 50
# From which states a model may go to which: what is retired or refused stays so.
_WAYS = {
    SUSPENDED: {APPROVED, REPLACED},
    APPROVED: {APPROVED, SUSPENDED, REPLACED},
    RETIRED: {FILED, APPROVED, SUSPENDED, REPLACED},
}


class ModelRegister:
    """Handlers about models."""

    def __init__(self, office: Office) -> None:
        self._office = office

    # ---------------------------------------------------------------- what banks file and clerks decide

    def register(self, call: Call) -> Outcome:
        """POST /models: a modeller hands in the card that it and the node have signed."""
        body: RegisterModel = call.body
        node_card = open_signed(body.node_card, NodeCard, NODE, self._office.node_key())
        bank_card = open_signed(body.bank_card, ModelCard, call.person.id, call.person.public_key())
        if bank_card.node != node_card:
            raise Unusable("the bank's card does not hold the node's card as the node signed it")
        if body.countersigned is None:
            raise Unusable("the node has not signed the whole card; have it countersigned (POST /models at the node) first")
        if open_signed(body.countersigned, ModelCard, NODE, self._office.node_key()) != bank_card:
            raise Unusable("the node signed another card than the bank")
        if bank_card.bank != call.institution.id:
            raise Forbidden("the card names another bank")
        with call.engine.connect() as connection:
            stored = Projects.get(connection, node_card.project)
            parent = models.get(connection, bank_card.parent) if bank_card.parent else None
            private = examine(self._office, connection, bank_card, body.private)
        if call.institution.id not in stored.project.members:
            raise Forbidden("the card's project belongs to another bank")
        if stored.state != PROJECT_APPROVED or stored.suspended:
            raise NotApproved("the card's project is not approved, or it is suspended")
        if bank_card.parent and (parent is None or parent.bank != call.institution.id or parent.id == node_card.model):
            raise Unusable("the card's parent is no model that this bank has registered; name one, or leave it empty")
        model = StoredModel(
            id=node_card.model,
            bank=call.institution.id,
            project=node_card.project,
            card=body.bank_card.digest(),
            cards=replace(body, private=None),
            registered_by=call.person.id,
            state=FILED,
            reason="",
            approval=None,
            parent=bank_card.parent,
            version=1 if parent is None else parent.version + 1,
            registered_at=call.now,
        )

        def record(connection: Connection) -> None:
            if models.get(connection, model.id) is not None:
                raise Conflict("a model with this id is registered already")
            models.add(connection, model)
            models.note(connection, model.id, _event(call, FILED, "", 0))
            if private is not None:
                private.record(connection)

        facts: dict[str, str | int | bool] = {"model": model.id, "project": model.project, "card": model.card}
        facts |= {"parent": model.parent, "version": model.version}
        facts |= {} if private is None else private.facts
        return Outcome(Empty(), [LeafDraft("model.register", facts)], record)

    def decide(self, call: Call) -> Outcome:
        """POST /models/{id}/decision: a clerk approves or refuses; answers with the `ModelStatus`."""
        decision: ModelDecision = call.body
        with call.engine.connect() as connection:
            model = self._get(connection, call.path["id"])
        plain = Decision(subject=decision.subject, approve=decision.approve, reason=decision.reason)
        check_decision(plain, model.id, model.registered_by, model.state, call)
        state, review_by, approval = REFUSED, 0, None
        if decision.approve:
            state, review_by = APPROVED, self._review_by(decision.review_by, call.now)
            approval = self._approve(model, call, decision.reason, review_by)

        def record(connection: Connection) -> None:
            if not models.decide(connection, model.id, state, decision.reason, approval, review_by):
                raise Conflict("this model has been decided already")
            models.note(connection, model.id, _event(call, state, decision.reason, review_by))
            if decision.approve and model.parent:
                self._replace(connection, call, model)

        return _told(model, state, decision.reason, approval, review_by, record, "model.decide")

    def change(self, call: Call) -> Outcome:
        """POST /models/{id}/state: suspend, retire, or approve anew after a review; answers with the `ModelStatus`."""
        asked: ChangeModel = call.body
        with call.engine.connect() as connection:
            model = self._own(connection, call)
        if asked.subject != model.id:
            raise BadMessage("the message is about another model than the address names")
        if asked.state not in _WAYS:
            raise BadMessage(f"a model is moved to one of {', '.join(_WAYS)}")
        if not asked.reason.strip():
            raise Unusable("a change of a model's state has a reason")
        if call.institution.kind is InstitutionKind.BANK and asked.state != RETIRED:
            raise Forbidden("a bank may retire its own model; what else becomes of it is the office's to decide")
        if model.state not in _WAYS[asked.state]:
            raise Conflict(f"this model is {model.state} and cannot become {asked.state}")
        again = asked.state == APPROVED
        review_by = self._review_by(asked.review_by, call.now) if again else model.review_by
        approval = self._approve(model, call, asked.reason, review_by) if again else model.approval
        end = None if again else call.now

        def record(connection: Connection) -> None:
            done = models.change(
                connection, model.id, model.state, asked.state, asked.reason,
                approval=approval, review_by=review_by, ends_at=end,
            )  # fmt: skip
            if not done:
                raise Conflict("this model was changed at the same moment; look at it again")
            models.note(connection, model.id, _event(call, asked.state, asked.reason, review_by))
            parties.raise_version(connection)

        shown = approval if again else None
        return _told(model, asked.state, asked.reason, shown, review_by, record, "model.state")

    # ---------------------------------------------------------------- what can be looked up

    def status(self, call: Call) -> ModelStatus:
        """GET /models/{id}: its state, for the bank that registered it and for clerks."""
        with call.engine.connect() as connection:
            model = self._own(connection, call)
        told = why_not(model, call.now, self._office.settings.zone) if model.state in {APPROVED, REPLACED} else ""
        approval = model.approval if model.serves(call.now) else None
        return ModelStatus(state=model.state, reason=told or model.reason, approval=approval, review_by=model.review_by)

    def listed(self, call: Call) -> ModelList:
        """GET /models?text=&state=&after=: the register newest first; a bank sees its own models."""
        state, bank = call.query.get("state", ""), ""
        if state and state not in STATES:
            raise BadMessage(f"a model's state is one of {', '.join(STATES)}")
        if call.institution.kind is InstitutionKind.BANK:
            bank = call.institution.id
        words = {name: call.query.get(name, "")[:128] for name in ("text", "after")}
        with call.engine.connect() as connection:
            found = models.search(connection, bank=bank, state=state, most=MOST_IN_PAGE + 1, **words)
        page = found[:MOST_IN_PAGE]
        after = page[-1].id if len(found) > len(page) else ""
        return ModelList(models=tuple(entry_of(model, call.now) for model in page), after=after)

    def record(self, call: Call) -> ModelRecord:
        """GET /models/{id}/record: cards with their signatures, approval, history and lineage."""
        with call.engine.connect() as connection:
            model = self._own(connection, call)
            history = models.history(connection, model.id)
            line = models.lineage(connection, model, MOST_IN_LINE)
        return ModelRecord(
            entry=entry_of(model, call.now),
            cards=model.cards,
            approval=model.approval,
            history=history,
            lineage=tuple(entry_of(one, call.now) for one in line),
        )

    # ---------------------------------------------------------------- steps of the above

    def _review_by(self, asked: int, now: int) -> int:
        days = self._office.settings.review_days
        latest = now + days * DAY
        if asked and not now < asked <= latest:
            raise Unusable(f"a model is reviewed again within {days} days from now; name an earlier date that is still to come")
        return asked or latest

    def _approve(self, model: StoredModel, call: Call, reason: str, review_by: int) -> Signed:
        with call.engine.connect() as connection:
            width = private_models.band_width(connection, model.id)
        return self._office.sign(
            ModelApproval(
                model=model.id,
                bank=model.bank,
                card=model.card,
                decided_by=call.person.id,
                decided_at=call.now,
                reason=reason,
                review_by=review_by,
                band_width=width,
            )
        )

    def _replace(self, connection: Connection, call: Call, successor: StoredModel) -> None:
        """The parent of a model that was approved serves on for the overlap, for both to be compared, and then no more."""
        parent = models.get(connection, successor.parent)
        if parent is None or parent.state not in {APPROVED, SUSPENDED}:
            return
        end = call.now + self._office.settings.overlap_days * DAY
        end = end if parent.ends_at is None else min(end, parent.ends_at)
        reason = f"replaced by {successor.id}"
        models.change(
            connection, parent.id, parent.state, REPLACED, reason,
            approval=parent.approval, review_by=parent.review_by, ends_at=end,
        )  # fmt: skip
        models.note(connection, parent.id, _event(call, REPLACED, reason, parent.review_by))
        parties.raise_version(connection)

    def _own(self, connection: Connection, call: Call) -> StoredModel:
        model = self._get(connection, call.path["id"])
        if call.institution.kind is InstitutionKind.BANK and model.bank != call.institution.id:
            raise Forbidden("this model belongs to another bank")
        return model

    @staticmethod
    def _get(connection: Connection, model_id: str) -> StoredModel:
        model = models.get(connection, model_id)
        if model is None:
            raise NotFound("there is no such model")
        return model


def entry_of(model: StoredModel, now: int) -> ModelEntry:
    """A model as a line of the register."""
    card = decode(model.cards.bank_card.payload, ModelCard)
    return ModelEntry(
        id=model.id,
        bank=model.bank,
        project=model.project,
        parent=model.parent,
        version=model.version,
        state=model.state,
        reason=model.reason,
        served=model.serves(now),
        registered_at=model.registered_at,
        registered_by=model.registered_by,
        review_by=model.serves_until,
        card=model.card,
        rows=card.node.rows,
        auc=card.metrics.auc,
        ks=card.metrics.ks,
    )


def _event(call: Call, state: str, reason: str, review_by: int) -> ModelEvent:
    return ModelEvent(at=call.now, state=state, reason=reason, by=call.person.id, review_by=review_by)


def _told(
    model: StoredModel,
    state: str,
    reason: str,
    approval: Signed | None,
    review_by: int,
    record: Callable[[Connection], None],
    action: str,
) -> Outcome:
    """The answer to a decision, and its leaf."""
    facts: dict[str, str | int | bool] = {"model": model.id, "state": state, "review_by": review_by}
    facts["approval"] = "" if approval is None else approval.digest()
    answer = ModelStatus(state=state, reason=reason, approval=approval, review_by=review_by)
    return Outcome(answer, [LeafDraft(action, facts, {"reason": reason})], record)
