"""default_credit's rows split unevenly over several banks, with common node bins and common bank columns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models import wire
from models.scorecard.binning import Bins, bin_columns
from models.scorecard.columns import NodeColumns, NodeField
from models.scorecard.group import pooled_name
from models.scorecard.group_columns import propose
from models.scorecard.group_node import pooled_columns
from models.scorecard.learner import Learner
from models.scorecard.limits import Limits
from models.scorecard.moments import SCALE, bank_moments
from models.scorecard.noise import NodeNoise
from models.scorecard.snapshot import LearnedState
from tests.conftest import shared_path
from tests.models.group_job import BankRows, GroupJob

ROWS = 30_000


@cache
def _table() -> tuple[NDArray[np.uint8], dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    guest = pd.read_csv(shared_path("data/default_credit/default_credit_hetero_guest.csv"))
    host = pd.read_csv(shared_path("data/default_credit/default_credit_hetero_host.csv"))
    joined = guest.merge(host, on="id", suffixes=("_bank", "_node")).sort_values("id")[:ROWS]
    own, node = ({str(n): joined[n].to_numpy(np.float64) for n in joined if str(n).endswith(end)} for end in ("_bank", "_node"))
    return joined.y.to_numpy(np.uint8), own, node


def split(banks: int, seed: int, limits: Limits) -> tuple[dict[str, BankRows], list[Bins]]:
    """Cohorts by bank and the agreed bank columns: of ten banks the smallest has 1,600 rows, the largest 4,100.

    Rows are drawn so that banks differ: the last ones have more of the customers with a high first bank column, and more bads.
    """
    labels, own, node = _table()
    random = np.random.default_rng([seed, banks])
    first = next(iter(own.values()))
    order = np.argsort(first + 2.0 * first.std() * random.normal(size=ROWS))
    share = np.arange(1, banks + 1, dtype=np.float64) ** 0.7
    sizes = np.floor(1_000 + (ROWS - 1_000 * banks) * share / share.sum()).astype(int)
    parts = np.split(order, np.cumsum(sizes)[:-1])
    bins, _ = bin_columns(node, limits)
    fields = tuple(NodeField(b) for b in bins)
    codes = np.stack([b.apply(node[b.field]) for b in bins])
    # The largest bank coordinates: it proposes the bins of the bank columns.
    definitions = propose({name: values[parts[-1]] for name, values in own.items()}, limits)
    cohorts = {
        f"bank-{k}": BankRows(
            NodeColumns(fields, codes[:, rows], np.zeros((len(fields), rows.size))),
            [b.apply(own[b.field][rows]) for b in definitions],
            labels[rows],
        )
        for k, rows in enumerate(parts)
    }
    return cohorts, definitions


@dataclass
class Pooled:
    """Models on the pooled rows of some banks with the bins and WOE codes of a joint training: weights float64[d_n]."""

    clear: NDArray[np.float64]
    same_noise: NDArray[np.float64]


class Quiet(NodeNoise):
    """No noise at all."""

    def draw(self, definition: bytes, mac: bytes = b"", bound: float = 1.0) -> float:
        return 0.0


def pooled_model(job: GroupJob, banks: tuple[str, ...], learned: LearnedState) -> Pooled:
    """Trained centrally on the rows of these banks: without any noise, and under the node's noise for this very question."""
    rows = [job.cohorts[bank] for bank in banks]
    columns = pooled_columns([each.node for each in rows])
    labels = np.concatenate([each.labels for each in rows])
    Z = np.array(
        [column.levels[np.concatenate([each.codes[k] for each in rows])] for k, column in enumerate(job.columns)]
    ).reshape(len(job.columns), labels.size)
    parts = [(bank, job.plan.member(bank).subjects) for bank in banks]
    macs = [pooled_name(b"vector", [(bank, job.node[bank].macs[v]) for bank in banks]) for v in range(len(Z) + 1)]
    found = []
    for kind in (Quiet, NodeNoise):
        learner = Learner(columns, kind(job.noise_key, pooled_name(b"cohort", parts), job.limits), job.limits)
        learner.restore(wire.replace(learned, moments=None, shown=None, weights=()))
        X = learner.woe_columns() / SCALE
        learner.learn_weights(X @ np.concatenate([labels[None], Z / SCALE]).T, macs, bank_moments(labels, Z))
        assert learner.weights_ is not None
        found.append(learner.weights_)
    return Pooled(*found)
