"""Between the wire messages of a training and the values that the roles work with.

Sizes are checked against the plan before anything is allocated; what a message says of itself is never believed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models import training
from models.wire import pack, unpack

from .inputs import BankVector, Opening
from .limits import InputRefused
from .noise import alpha_mac
from .rounds import COUNTS, Plan

_MOST_LEVELS = 256


def opening_message(job: str, round_: int, opening: Opening) -> training.Opening:
    """The bank's opening as it goes to the office."""
    columns = tuple(
        training.Column(codes=pack(v.codes), levels=tuple(v.levels.tolist()), bound=v.bound, scale=v.scale)
        for v in opening.vectors
    )
    return training.Opening(job=job, round=round_, rows=opening.labels.size, columns=columns, seed=opening.seed)


def opening_of(message: training.Opening, plan: Plan) -> Opening:
    """The opening that a bank sent.

    Raises:
        models.problems.BadMessage: codes of another length than the cohort.
        InputRefused: other vectors than the plan's, or a level that is no 64-bit integer.
    """
    if message.rows != plan.rows or len(message.columns) != len(plan.vectors(message.round)):
        raise InputRefused("wrong-vectors", f"Round {message.round} takes other rows or vectors than were opened")
    vectors = []
    for place, column in enumerate(message.columns):
        if len(column.levels) > _MOST_LEVELS or any(abs(level) >= 1 << 62 for level in column.levels):
            raise InputRefused("level-table-malformed", f"Vector {place} has no table of levels that could be one")
        codes = unpack(column.codes, "<u1", (plan.rows,), f"codes of vector {place}")
        vectors.append(BankVector(codes, np.array(column.levels, dtype=np.int64), column.bound, column.scale))
    return Opening(tuple(vectors), message.seed)


def vector_infos(opening: Opening, mac_key: bytes) -> tuple[training.VectorInfo, ...]:
    """What the office signs about an opening that `check_inputs` accepted."""
    return tuple(
        training.VectorInfo(bound=v.bound, scale=v.scale, commitment=made, hmac=alpha_mac(mac_key, v.alpha))
        for v, made in zip(opening.vectors, opening.commitments(), strict=True)
    )


def macs_of(inputs: training.RoundInputs, plan: Plan) -> tuple[bytes, ...]:
    """The HMACs that the node's noise is bound to, from the office's signed word on a round's inputs.

    Raises:
        InputRefused: the office's word is on other rows or other vectors than the plan's.
    """
    said = [(info.bound, info.scale) for info in inputs.vectors]
    if inputs.rows != plan.rows or said != [(spec.bound, spec.scale) for spec in plan.vectors(inputs.round)]:
        raise InputRefused("wrong-vectors", f"The office's word for round {inputs.round} is on other rows or vectors")
    return tuple(info.hmac for info in inputs.vectors)


def moments_from(data: bytes, plan: Plan, round_: int) -> NDArray[np.int64]:
    """The bank's own moments from the wire: int64[K+2, K+2], or int64[0, 0] in the first round.

    Raises:
        models.problems.BadMessage: another length.
    """
    size = 0 if round_ == COUNTS else plan.bank_columns + 2
    return unpack(data, "<i8", (size, size), "the bank's moments").astype(np.int64)
