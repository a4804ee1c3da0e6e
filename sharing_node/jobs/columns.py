"""From the records of a cohort to the columns of a training: which fields, in which bins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.catalogue import Field
from models.problems import Forbidden
from models.projects import Project
from models.scorecard.binning import bin_columns
from models.scorecard.columns import NodeColumns, NodeField, named
from models.scorecard.limits import Limits
from models.scorecard.options import FieldBinning, binning_of, check_binnings
from sharing_node.node import Node
from sharing_node.projects import barred_fields


def wanted_fields(node: Node, project: Project, names: Sequence[str]) -> tuple[Field, ...]:
    """Those of the project's fields that a bank named, all if it named none, in the project's order.

    Raises:
        Forbidden: one that the project does not have, or whose sharing mode has come to forbid joint models.
    """
    others = sorted(set(names) - set(project.fields))
    if others:
        raise Forbidden(
            f"the project was not approved for {', '.join(others)}",
            advice=f"Name fields of the project: {', '.join(project.fields)}.",
        )
    wanted = tuple(name for name in project.fields if not names or name in names)
    barred = barred_fields(node, wanted, "joint")
    if barred:
        rest = [name for name in wanted if name not in barred]
        raise Forbidden(
            f"the sharing mode of {', '.join(barred)} forbids joint use",
            advice=f"Train without: node_fields={rest}." if rest else "File a new project with other fields.",
        )
    return tuple(node.catalogue.select(wanted))


def node_columns(
    fields: Sequence[Field], raw: NDArray[np.float64], limits: Limits, asked: int, options: Sequence[FieldBinning]
) -> tuple[NodeColumns, list[str]]:
    """Columns of a training, and notes on what was reduced.

    Args:
        fields: J of them.
        raw: float64[N, J] as `records.numeric_columns` gives them; enumerations become categories again.
        limits: of the project.
        asked: label aggregates asked so far on these subjects.
        options: of the bank.

    Raises:
        LimitRefused: a limit does not allow these bins, or the options cannot be meant.
    """
    check_binnings(options, [field.name for field in fields], raw.shape[0])
    chosen = {field.name: binning_of(options, field.name) for field in fields}
    categories = {f.name: f.enum_values if f.kind == "enum" and chosen[f.name].categories else () for f in fields}
    values = {f.name: named(raw[:, j], categories[f.name]) if categories[f.name] else raw[:, j] for j, f in enumerate(fields)}
    bins, notes = bin_columns(values, limits, asked, options)
    entries = tuple(
        NodeField(
            made,
            field.theme,
            disclosable=field.mode != "J" and field.grade != "L4",
            trend=chosen[field.name].trend,
            categories=categories[field.name],
            dates=field.kind == "date",
        )
        for made, field in zip(bins, fields, strict=True)
    )
    codes = np.stack([entry.codes(raw[:, j]) for j, entry in enumerate(entries)])
    return NodeColumns(entries, codes, raw.T.copy()), notes
