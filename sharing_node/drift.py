"""How the people of a model's score table are spread over its bands, for the model's bank: once a quarter, with noise."""

from __future__ import annotations

import numpy as np
from sqlalchemy import Connection

from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from models.problems import Forbidden, ReleaseRefused
from models.scorecard.limits import Refused
from models.scorecard.score import NodeModel
from models.scorecard.table_drift import TableDrift, quarter_of, shown_shares
from models.tables import score_table
from sharing_node.node import Node
from sharing_node.scores import served_columns
from sharing_node.served_models import check_served
from sharing_node.state import drift
from sharing_node.state import repository as state


class Drift:
    """The handler."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def show(self, call: Call) -> Outcome:
        """POST /models/{model}/drift: all quarters so far; the present one is counted when it is first asked for."""
        node, quarter = self._node, quarter_of(call.now)
        with call.engine.connect() as connection:
            model = state.model(connection, call.path["model"])
            if model.bank != call.institution.id:
                raise Forbidden("this model belongs to another bank")
            node.check_project(state.project(connection, model.project), call.now)
            table = state.table(connection, score_table(model.id))
            check_served(node, connection, table.id, call.now)
            quarters = drift.shown_quarters(connection, model.id)
            facts = {"model": model.id, "quarter": quarter}
            if any(known.quarter == quarter for known in quarters):
                return Outcome(TableDrift(model=model.id, quarters=quarters), [LeafDraft("model.drift", facts)])
            half = NodeModel.from_bytes(model.half)
            columns = served_columns(node, connection, half.fields).columns
        bands = half.bands.apply(half.parts(columns.codes).sum(axis=0))
        counts = np.bincount(bands, minlength=len(half.bands.means))
        try:
            shares = shown_shares(counts, quarter, node.keys.secret("noise"), model.id, node.limits)
        except Refused as error:
            raise ReleaseRefused(error.reason, advice=error.accepted or None) from None

        def record(connection: Connection) -> None:
            drift.add_quarter(connection, model.id, shares)

        answer = TableDrift(model=model.id, quarters=(*quarters, shares))
        return Outcome(answer, [LeafDraft("model.drift", facts)], record, cosigned=True)
