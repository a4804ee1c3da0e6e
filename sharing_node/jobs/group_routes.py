"""The endpoints of trainings of several banks; what each bank plays alone has the endpoints of a training alone."""

from __future__ import annotations

from audit.service.gate import Gate
from models.group_training import AdvanceGroup, JoinGroup
from models.logged import Empty
from models.parties import Role
from sharing_node.jobs.groups import Groups
from sharing_node.jobs.training import Trainings
from sharing_node.node import Node

MODELLER = {Role.MODELLER}


def bind_groups(gate: Gate, node: Node, trainings: Trainings) -> None:
    """Declare them."""
    groups = Groups(node, trainings)
    gate.logged("POST", "/groups", action="group.join", roles=MODELLER, takes=JoinGroup)(groups.join)
    gate.logged("POST", "/groups/{group}/advance", action="group.advance", roles=MODELLER, takes=AdvanceGroup)(groups.advance)
    why = "where a training of several banks stands follows from steps that are logged"
    gate.unlogged("GET", "/groups/{group}", roles=MODELLER, why=why)(groups.state)
    gate.logged("POST", "/jobs/{job}/figures", action="group.figures", roles=MODELLER, takes=Empty)(groups.figures)
