"""The report of one model, or of a champion and its challenger: one HTML file that opens anywhere, without a network.

::

    model.report("report.html")                                   what the training's own counts say
    model.report("report.html", X, y, period=X.pop("quarter"))    rows with outcomes, also over time
    write_report([champion, challenger], "both.html", X, y)       side by side, with differences and swap set
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

    from bank_client.joint_scorecard import JointScorecard


def write_report(
    models: Sequence[JointScorecard],
    path: str | Path,
    X: pd.DataFrame | None = None,
    y: ArrayLike | None = None,
    **options: Any,
) -> Path:
    """Write the report of one or two released models; `options` are those of `bank_client.report.content.content_of`.

    Raises:
        ValueError: a model is not released, or the rows cannot be used.
    """
    from bank_client.report.content import content_of
    from bank_client.report.page import write

    return write(content_of(models, X, y, **options), path)
