"""Scores of all served subjects under a released model: what its score table holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from models.problems import ReleaseRefused
from models.scorecard.learner import NodeColumns, NodeField
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


@dataclass(frozen=True)
class Served:
    """Whom a model's score table serves now, and the model's fields of them, in the same order."""

    subjects: list[str] = field(repr=False)
    columns: NodeColumns


def served_columns(node: Node, connection: Connection, fields: Sequence[NodeField]) -> Served:
    """Subjects with a standing collection consent, no open objection to these fields, and a value in any of them."""
    names = tuple(entry.name for entry in fields)
    candidates = sorted(set(node.eligibility().collection) - node.disputed(names))
    raw = records.numeric_columns(connection, node.catalogue.select(names), candidates, node.marks(), node.today())
    known = np.asarray(~np.isnan(raw).all(axis=1))
    raw = raw[known]
    codes = np.stack([entry.codes(raw[:, j]) for j, entry in enumerate(fields)])
    subjects = [subject for subject, has in zip(candidates, known, strict=True) if has]
    return Served(subjects, NodeColumns(tuple(fields), codes, raw.T.copy()))


def score_records(node: Node, connection: Connection, model: StoredModel) -> tuple[list[str], list[bytes]]:
    """Whom the model's score table serves, and the plain record of each: band and reason codes."""
    half = NodeModel.from_bytes(model.half)
    served = served_columns(node, connection, half.fields)
    try:
        table = score_table(half, served.columns, earlier_bands(connection, served.subjects), node.limits)
    except Refused as error:
        raise ReleaseRefused(error.reason, advice=error.accepted or None) from None
    plain = [
        msgspec.json.encode(ScoreRecord(band=int(band), reasons=themes))
        for band, themes in zip(table.bands, table.themes, strict=True)
    ]
    return served.subjects, plain
