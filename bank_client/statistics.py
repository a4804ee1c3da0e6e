"""Statistics across banks: begin the sum of a table, take part with this bank's cells, read what comes out.

Messages and leakage: `models.statistics` and `models.aggregation`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bank_client.aggregation import Aggregation
from bank_client.alignment import Progress, open_project, silent
from bank_client.session import Bank
from models import wire
from models.aggregation import AggregationPlan, AggregationPurpose, AggregationState, OpenAggregation, about_digest
from models.logged import Empty
from models.statistics import BankTable, Kind, StatisticsRelease, StatisticsTable, decode_table, read
from models.wire import Signed

ALL = "(all)"


@dataclass(frozen=True)
class Opened:
    """A sum that was begun: its id, which the other banks take part under, and its terms."""

    session: str
    terms: OpenAggregation = field(repr=False)
    table: StatisticsTable


def begin(bank: Bank, table: StatisticsTable, *, proven: bool = True, step_seconds: int = 3600) -> Opened:
    """Begin the sum of a table over the banks of its project.

    With `proven` the office recomputes every bank's table before anything is unmasked, and sees it while it does; without, it
    sees nothing, and nobody checks what a bank gives.
    """
    table.check()
    form = wire.encode(table)
    terms = OpenAggregation(
        project=table.project,
        purpose=AggregationPurpose.STATISTICS,
        about=about_digest(form),
        length=table.length,
        proven=proven,
        step_seconds=step_seconds,
        form=form,
    )
    open_project(bank, table.project)
    plan = bank.from_node(bank.node.logged("/aggregations", terms, Signed).answer, AggregationPlan)
    return Opened(plan.session, terms, table)


def look(bank: Bank, session: str) -> Opened:
    """The table of a sum that another bank has begun, for this bank to look at before it takes part."""
    state = bank.node.get(f"/aggregations/{session}", AggregationState)
    plan = bank.from_node(state.plan, AggregationPlan)
    table = decode_table(plan.form)
    if plan.about != about_digest(plan.form) or plan.session != session or table.project != plan.project:
        bank.damaged("aggregation", "the node shows another table than the sum's", artefacts=(wire.encode(state.plan),))
    terms = OpenAggregation(
        project=plan.project,
        purpose=plan.purpose,
        about=plan.about,
        length=table.length,
        proven=plan.proven,
        step_seconds=plan.step_seconds,
        form=plan.form,
    )
    return Opened(session, terms, table)


def cells_of(table: StatisticsTable, borrowers: pd.DataFrame) -> BankTable:
    """This bank's cells from a line for each borrower: the table's key columns, and a column for each measure.

    A count's column holds 0 and 1, an amount's whole numbers of its unit. Lines whose keys are not in the table are an error,
    so that nobody is left out by a misspelling. Raises ValueError.
    """
    keys = [(table.row_key, table.rows)] + ([(table.column_key, table.columns)] if table.column_key else [])
    places = []
    for name, known in keys:
        if name not in borrowers:
            raise ValueError(f"there is no column {name}; there are {', '.join(map(str, borrowers.columns))}")
        found = pd.Index(known).get_indexer(pd.Index(borrowers[name].astype(str).str.strip()))
        if (found < 0).any():
            raise ValueError(f"{int((found < 0).sum())} lines have a {name} that the table does not name")
        places.append(found)
    if len(places) == 1:
        places.append(np.zeros(len(borrowers), np.int64))
    cells = np.ravel_multi_index((places[0], places[1]), table.shape)
    size = int(np.prod(table.shape))
    counts = np.bincount(cells, minlength=size).reshape(table.shape).astype(np.int64)
    measures = np.zeros((len(table.measures), *table.shape), np.int64)
    holders = []
    for layer, measure in zip(measures, table.measures, strict=True):
        values = _whole(borrowers, measure.name, binary=measure.kind is Kind.COUNT)
        np.add.at(layer.reshape(-1), cells, values)
        if measure.kind is Kind.AMOUNT:
            holders.append(np.bincount(cells[values != 0], minlength=size).reshape(table.shape))
    return BankTable(counts, measures, np.array(holders, dtype=np.int64).reshape(-1, *table.shape))


def aggregation(bank: Bank, opened: Opened, cells: BankTable) -> Aggregation:
    """This bank's part in the sum of a table."""
    vector = cells.vector(opened.table)
    # A project shows the people of a period once. Title, measures and order do not make another question, or the node could ask
    # the same of other banks under another title.
    named = f"{opened.table.project}\0{opened.table.period}"
    question = hashlib.sha256(b"xinqiao/statistics/question/" + named.encode()).digest()
    return Aggregation(bank, opened.session, opened.terms, vector, question=question)


def take_part(bank: Bank, opened: Opened, cells: BankTable, *, progress: Progress = silent) -> StatisticsRelease:
    """Take part to the end, and read what came out. Run again after an interruption, it goes on.

    Raises as `Aggregation.run`, and `InputsRefused` where the office could not recompute this bank's table.
    """
    open_project(bank, opened.table.project)
    survivors = aggregation(bank, opened, cells).run(progress=progress)
    return result(bank, opened, survivors)


def result(bank: Bank, opened: Opened, survivors: tuple[str, ...] | None = None) -> StatisticsRelease:
    """What came out of a sum; raises `Conflict` while it has not, `Damaged` where it is another one."""
    signed = bank.node.logged(f"/aggregations/{opened.session}/release", Empty(), Signed).answer
    released = bank.from_node(signed, StatisticsRelease)
    if (released.session, released.table) != (opened.session, opened.table) or survivors not in {None, released.banks}:
        bank.damaged("statistics", "the node released another table than the one that was summed", artefacts=(signed.payload,))
    return released


def frame_of(released: StatisticsRelease) -> pd.DataFrame:
    """A line for each cell and margin (key ``(all)``): borrowers and measures as nullable integers, hidden ones missing, and of
    each count its rate among the borrowers."""
    table = released.table
    values, shown = read(released)
    rows = [*table.rows, ALL][: table.shape_with_margins[0]]
    columns = [*table.columns, ALL][: table.shape_with_margins[1]]
    frame: dict[str, Any] = {table.row_key: np.repeat(rows, len(columns))}
    if table.column_key:
        frame[table.column_key] = np.tile(columns, len(rows))
    for name, layer, mask in zip(["borrowers", *(m.name for m in table.measures)], values, shown, strict=True):
        frame[name] = pd.array(layer.ravel(), dtype="Int64")
        frame[name][~mask.ravel()] = pd.NA
    made = pd.DataFrame(frame)
    for measure in table.measures:
        if measure.kind is Kind.COUNT:
            made[f"{measure.name}_rate"] = (made[measure.name] / made["borrowers"]).astype("Float64").round(4)
    return made


def _whole(borrowers: pd.DataFrame, name: str, *, binary: bool) -> np.ndarray[Any, np.dtype[np.int64]]:
    if name not in borrowers:
        raise ValueError(f"there is no column {name}, which the table sums")
    values = pd.to_numeric(borrowers[name], errors="coerce").to_numpy(dtype=float)
    if not np.isfinite(values).all() or (values != np.rint(values)).any():
        raise ValueError(f"the column {name} has values that are no whole numbers; give amounts in their smallest unit")
    if binary and not np.isin(values, (0, 1)).all():
        raise ValueError(f"the column {name} is counted, so it holds 0 and 1")
    return np.asarray(values, dtype=np.int64)
