"""Scores of all served subjects under a released model: what its score table holds."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from models.problems import ReleaseRefused
from models.scorecard.learner import NodeColumns
from models.scorecard.limits import Refused
from models.scorecard.release import NOT_RELEASED
from models.scorecard.score import NodeModel, score_table
from models.tables import ScoreRecord
from sharing_node.node import Node
from sharing_node.records import repository as records
from sharing_node.state import repository as state
from sharing_node.state.repository import StoredModel


def earlier_bands(connection: Connection, subjects: Sequence[str]) -> list[NDArray[np.uint8]]:
    """Everything ever released on these subjects to any bank: uint8[len(subjects)] a release, `NOT_RELEASED` elsewhere."""
    place = {subject: row for row, subject in enumerate(subjects)}
    found = []
    for released in state.all_models(connection):
        members = state.cohort(connection, released.cohort).subjects
        inside = [(place[s], row) for row, s in enumerate(members) if s in place]
        if inside:
            here, there = np.array(inside).T
            codes = np.full(len(subjects), NOT_RELEASED, dtype=np.uint8)
            codes[here] = np.frombuffer(released.bands, dtype=np.uint8)[there]
            found.append(codes)
    return found


def score_records(
    node: Node, connection: Connection, model: StoredModel, subjects: Sequence[str]
) -> tuple[list[str], list[bytes]]:
    """The subjects that have any of the model's fields, and the plain record of each: band and reason codes."""
    half = NodeModel.from_bytes(model.half)
    fields = node.catalogue.select([field.name for field in half.fields])
    raw = records.numeric_columns(connection, fields, subjects)
    known = np.asarray(~np.isnan(raw).all(axis=1))
    scored = [subject for subject, has in zip(subjects, known, strict=True) if has]
    raw = raw[known]
    codes = half.codes({field.name: raw[:, j] for j, field in enumerate(half.fields)})
    columns = NodeColumns(half.fields, codes, raw.T.copy())
    try:
        table = score_table(half, columns, earlier_bands(connection, scored), node.limits)
    except Refused as error:
        raise ReleaseRefused(error.reason, advice=error.accepted or None) from None
    plain = [
        msgspec.json.encode(ScoreRecord(band=int(band), reasons=themes))
        for band, themes in zip(table.bands, table.themes, strict=True)
    ]
    return scored, plain
