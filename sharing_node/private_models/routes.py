"""Endpoints about private models."""

from __future__ import annotations

from audit.service.gate import Gate
from models.parties import Role
from models.private_model import FileWeights, OpenPrivateModel
from models.tables import ServeModel
from sharing_node.epochs.epochs import Epochs
from sharing_node.node import Node
from sharing_node.private_models.registering import PrivateModels

LARGEST_WEIGHTS = 40 << 20
MODELLER = {Role.MODELLER}


def bind_private_models(gate: Gate, node: Node, epochs: Epochs) -> None:
    """Declare them."""
    models, path = PrivateModels(node), "/private-models"
    gate.logged("POST", path, action="private-model.open", roles=MODELLER, takes=OpenPrivateModel)(models.open)
    gate.logged(
        "POST",
        f"{path}/{{model}}/weights",
        action="private-model.weights",
        roles=MODELLER,
        takes=FileWeights,
        limit=LARGEST_WEIGHTS,
    )(models.file)
    gate.logged("POST", f"{path}/{{model}}/serve", action="private-model.serve", roles=MODELLER, takes=ServeModel)(models.serve)
    gate.unlogged(
        "GET",
        "/tables/{table}/epochs/{epoch}/scores",
        roles={Role.MODELLER, Role.LOAN_OFFICER, Role.OFFICE},
        why="scores are under pads that only a ticket's cell opens, and fetched whole, so that nobody shows who is asked for",
    )(epochs.scores)
