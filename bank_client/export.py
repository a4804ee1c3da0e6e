"""The bank's half of a released model as an ONNX file, for whatever engine decides on loans.

::

    inputs    each own field as it comes: double [N, 1] (NaN for missing), or string [N, 1] for a category
              "node band": int64 [N, 1], as the private query gave it; -1 where the node has no record
    outputs   "log_odds" and "probability" of bad, double [N, 1]

Binning is in the graph, so the engine is given what stands in the bank's own systems. The node's half is not in it, since it
never left the node: what the file knows of it are the bands' means, which the bank was given with the release.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from bank_client.calibrators import Isotonic
from bank_client.half_digest import half_digest
from models.durable import write_private
from models.scorecard.binning import ABSENT, CategoryBins, NumericBins
from models.scorecard.design import BAND
from models.scorecard.points import contributions

if TYPE_CHECKING:
    from onnx import ModelProto

    from bank_client.joint_scorecard import JointScorecard

OPSET, ML_OPSET, IR = 17, 3, 8
"""Older than the newest, for engines that are."""


def export_onnx(model: JointScorecard, path: str | Path) -> Path:
    """Write the half of a released model, mode 0600; the extra `export` brings what it needs.

    Raises:
        ValueError: the model is not released, or the extra is not installed.
    """
    target = Path(path)
    write_private(target, onnx_of(model).SerializeToString())
    return target


def onnx_of(model: JointScorecard) -> ModelProto:
    """The half as an ONNX model that passed ONNX's own check."""
    try:
        import onnx
    except ModuleNotFoundError:
        raise ValueError("this needs onnx: pip install 'xinqiao[export]'") from None
    if not hasattr(model, "half_"):
        raise ValueError("only a released model has a half to export; call release first")
    graph = _Graph()
    design, half = model.half_.design_, model.half_
    tables = contributions(design, half.coef_)
    terms = [graph.gather(table, _code(graph, column.bins)) for column, table in zip(design.columns, tables[:-1], strict=True)]
    terms.append(graph.gather(tables[-1], _band(graph, len(design.means))))
    odds = graph.constant(half.intercept_.reshape(1, 1))
    for term in terms:
        odds = graph.node("Add", odds, term)
    slope, shift = model.calibrator_.line
    line = graph.node("Add", graph.node("Mul", odds, graph.constant([[slope]])), graph.constant([[shift]]))
    graph.node("Identity", line, out="log_odds")
    calibrator = model.calibrator_
    found = _steps(graph, odds, calibrator) if isinstance(calibrator, Isotonic) else graph.node("Sigmoid", line)
    graph.node("Identity", found, out="probability")
    card = model.card_
    made = graph.model(
        {
            "xinqiao.model": card.node.model,
            "xinqiao.bank": card.bank,
            "xinqiao.half": half_digest(half),
            "xinqiao.bands": str(len(design.means)),
        }
    )
    onnx.checker.check_model(made)
    return made


def _code(graph: _Graph, bins: NumericBins | CategoryBins) -> str:
    """The bin of each row, int64 [N, 1], exactly as `bins.apply` gives it."""
    if isinstance(bins, CategoryBins):
        known = dict(zip(bins.values, bins.codes, strict=True))
        known |= dict.fromkeys(ABSENT, bins.other if bins.missing is None else bins.missing)
        return graph.node(
            "LabelEncoder",
            graph.input(bins.field, np.str_),
            domain="ai.onnx.ml",
            keys_strings=list(known),
            values_int64s=list(known.values()),
            default_int64=bins.other,
        )
    x = graph.input(bins.field, np.float64)
    below = graph.node("Less", graph.constant(np.array([(*bins.edges, np.inf)])), x)  # no number is above infinity
    code = graph.node("ReduceSum", graph.integers(below), graph.constant(np.array([1])), keepdims=1)
    code = graph.node("Where", graph.node("IsNaN", x), graph.constant(np.array([[bins.missing]])), code)
    for special, value in enumerate(bins.special, bins.count - len(bins.special)):
        code = graph.node(
            "Where", graph.node("Equal", x, graph.constant([[value]])), graph.constant(np.array([[special]])), code
        )
    return code


def _band(graph: _Graph, bands: int) -> str:
    """The band's place in its table, whose last entry is for no record."""
    band = graph.input(BAND, np.int64)
    none = graph.node("Less", band, graph.constant(np.array([[0]])))
    return graph.node("Where", none, graph.constant(np.array([[bands]])), band)


def _steps(graph: _Graph, odds: str, steps: Isotonic) -> str:
    """Linear between the steps and flat outside, as `numpy.interp`: the first rate, and what each stretch adds to it."""
    x, rates = np.asarray(steps.log_odds), np.asarray(steps.rates)
    start, width, rise = x[:-1], np.diff(x), np.diff(rates)
    if not start.size:
        return graph.node("Add", graph.node("Mul", odds, graph.constant([[0.0]])), graph.constant([[rates[0]]]))
    share = graph.node("Div", graph.node("Sub", odds, graph.constant(start[None])), graph.constant(width[None]))
    inside = graph.node("Max", graph.node("Min", share, graph.constant([[1.0]])), graph.constant([[0.0]]))
    added = graph.node("Mul", inside, graph.constant(rise[None]))
    total = graph.node("ReduceSum", added, graph.constant(np.array([1])), keepdims=1)
    return graph.node("Add", total, graph.constant([[rates[0]]]))


class _Graph:
    """Nodes in the order in which they were added; each method gives the name of its result."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._inputs: list[Any] = []
        self._constants: list[Any] = []

    def input(self, name: str, kind: type[np.generic]) -> str:
        from onnx import TensorProto, helper

        of = {np.float64: TensorProto.DOUBLE, np.int64: TensorProto.INT64, np.str_: TensorProto.STRING}
        self._inputs.append(helper.make_tensor_value_info(name, of[kind], ["N", 1]))
        return name

    def constant(self, values: ArrayLike) -> str:
        from onnx import numpy_helper

        self._constants.append(numpy_helper.from_array(np.asarray(values), f"#{len(self._constants)}"))
        return str(self._constants[-1].name)

    def node(self, operator: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        from onnx import helper

        name = out or f"@{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def integers(self, value: str) -> str:
        from onnx import TensorProto

        return self.node("Cast", value, to=TensorProto.INT64)

    def gather(self, table: Sequence[float] | np.ndarray[Any, Any], code: str) -> str:
        return self.node("Gather", self.constant(np.asarray(table, dtype=np.float64)), code)

    def model(self, facts: dict[str, str]) -> ModelProto:
        from onnx import TensorProto, helper

        outputs = [helper.make_tensor_value_info(n, TensorProto.DOUBLE, ["N", 1]) for n in ("log_odds", "probability")]
        graph = helper.make_graph(self._nodes, "bank-half", self._inputs, outputs, self._constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        made = helper.make_model(graph, producer_name="xinqiao", opset_imports=opsets, ir_version=IR)
        helper.set_model_props(made, facts)
        return made
