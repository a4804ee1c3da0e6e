"""The endpoints of sums over banks: each step leaves a leaf; what is read follows from steps that have one."""

from __future__ import annotations

from audit.service.gate import Gate
from models.aggregation import MOST_WORDS, Advance, OpenAggregation, Phase, TakeStep
from models.logged import Empty
from models.parties import Role
from sharing_node.aggregation.sessions import Sessions
from sharing_node.aggregation.statistics import Statistics
from sharing_node.aggregation.steps import FLOW
from sharing_node.node import Node

MODELLER = {Role.MODELLER}
LARGEST_INPUT = 8 * MOST_WORDS + (1 << 16)


def bind_aggregation(gate: Gate, node: Node) -> None:
    """Declare them."""
    sessions = Sessions(node)
    statistics = Statistics(node, sessions)
    path = "/aggregations/{session}"
    gate.logged("POST", "/aggregations", action="aggregate.open", roles=MODELLER, takes=OpenAggregation)(statistics.open)
    for step in FLOW:
        limit = LARGEST_INPUT if step is Phase.INPUT else 1 << 20
        gate.logged(
            "POST", f"{path}/{step.value}", action=f"aggregate.{step.value}", roles=MODELLER, takes=TakeStep, limit=limit
        )(sessions.take(step))
    gate.logged("POST", f"{path}/advance", action="aggregate.advance", roles=MODELLER, takes=Advance)(sessions.advance)
    gate.logged("POST", f"{path}/release", action="statistics.release", roles=MODELLER, takes=Empty)(statistics.release)
    why = "where a sum stands follows from its steps, each of which is logged"
    gate.unlogged("GET", path, roles=MODELLER, why=why)(sessions.state)
    why = "it is made of what banks have sent in steps that are logged, for banks that take part"
    gate.unlogged("GET", path + "/rounds/{round}/keys", roles=MODELLER, why=why)(sessions.keys)
    gate.unlogged("GET", path + "/rounds/{round}/delivery", roles=MODELLER, why=why)(sessions.delivery)
    gate.unlogged("GET", path + "/rounds/{round}/list", roles=MODELLER, why=why)(sessions.survivors)
    gate.unlogged("GET", path + "/rounds/{round}/request", roles=MODELLER, why=why)(sessions.request)
