"""From a released model to its score table: the card under three signatures at the office, its approval to the node."""

from __future__ import annotations

from bank_client.session import Bank
from models import wire
from models.logged import Empty
from models.private_model import PrivateOpening
from models.problems import NotApproved
from models.projects import ProjectOpened
from models.scorecard.card import ModelCard
from models.tables import ModelStatus, RegisterModel, ServeModel
from models.wire import Signed


def file_card(bank: Bank, card: ModelCard, node_card: Signed) -> RegisterModel:
    """Sign the card, have the node sign it, and file it with the office, which then decides on it.

    Raises:
        Damaged: the node signed another card.
    """
    signed = bank.sign(card)
    countersigned = bank.node.logged("/models", signed, Signed).answer
    if bank.from_node(countersigned, ModelCard) != card:
        bank.damaged("card", "the node signed another card", artefacts=(wire.encode(countersigned),))
    filed = RegisterModel(bank_card=signed, node_card=node_card, countersigned=countersigned)
    bank.office.logged("/models", filed, Empty)
    return filed


def file_opened(bank: Bank, card: Signed, node_card: Signed, countersigned: Signed, opening: PrivateOpening) -> None:
    """File a private model's card with the office, and open its weights to it; raises `Unusable` where it refuses them."""
    filed = RegisterModel(bank_card=card, node_card=node_card, countersigned=countersigned, private=opening)
    bank.office.logged("/models", filed, Empty)


def open_table(bank: Bank, model: str) -> str:
    """Hand the office's approval to the node; the id of the score table.

    Raises:
        NotApproved: the office has not approved the model (yet).
    """
    status = bank.office.get(f"/models/{model}", ModelStatus)
    if status.approval is None:
        because = f": {status.reason}" if status.reason else ""
        raise NotApproved(f"the model is {status.state} at the credit office{because}")
    return bank.node.logged(f"/models/{model}/serve", ServeModel(approval=status.approval), ProjectOpened).answer.table
