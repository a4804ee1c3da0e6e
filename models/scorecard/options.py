"""How a bank wants the node's fields binned; said when a job is opened, before anybody has seen a count.

Nothing here changes after that, and nothing here depends on a label, so the shape of every message still follows from row
counts alone. A trend is put into force inside the node, on bad counts that carry its noise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from models.wire import Message

from .limits import LimitRefused, Limits

Trend = Literal["free", "monotone", "ascending", "descending"]
MOST_SPECIAL = 8
# The number of bins in a plan is exact: were every number of rows accepted, it would count any value, without noise.
MIN_ROWS = (0, *(50 * 2**k for k in range(16)))


class FieldBinning(Message):
    """One node field's binning; `field` is empty for all fields that have no entry of their own.

    Attributes:
        trend: of the bad rate over the values: "free", "ascending", "descending", or "monotone" for whichever fits better.
        min_rows: of each bin, where more than the node's own limit (50) is wanted: 100, 200, 400 and so on, doubling.
        special: values that say something other than a number of the field (-1 for "no loan"): bins of their own.
        missing: "own" for a bin of missing values, "pooled" to have them in the largest bin.
        categories: False to bin an enumeration by its catalogue's order, as numbers.
    """

    field: str = ""
    trend: Trend = "free"
    min_rows: int = 0
    special: tuple[float, ...] = ()
    missing: Literal["own", "pooled"] = "own"
    categories: bool = True

    def support(self, limits: Limits) -> int:
        """Rows that each bin needs."""
        return max(self.min_rows, limits.level_rows)


DEFAULT = FieldBinning()


def binning_of(options: Sequence[FieldBinning], field: str) -> FieldBinning:
    """What applies to a field: its own entry, else the one for all, else the default."""
    named = {option.field: option for option in options}
    return named.get(field, named.get("", DEFAULT))


def check_binnings(options: Sequence[FieldBinning], fields: Iterable[str], rows: int) -> None:
    """Refuse options that cannot be meant.

    Raises:
        LimitRefused: two for one field, one for a field that is not in the training, or bins of another size than is offered.
    """
    names = [option.field for option in options]
    unknown = sorted(set(names) - {"", *fields})
    if len(set(names)) != len(names) or unknown:
        about = f"fields that this training does not have: {', '.join(unknown)}" if unknown else "one field twice"
        raise LimitRefused("binning-of-no-field", f"The binning options name {about}", "Name each field of the training once.")
    for option in options:
        if option.min_rows not in MIN_ROWS:
            raise LimitRefused(
                "binning-out-of-range",
                f"The binning options of {option.field or 'all fields'} want {option.min_rows} rows a bin, which is no step",
                "Ask for 50, 100, 200, 400 and so on, doubling.",
            )
        if option.min_rows > rows // 2 or len(option.special) > MOST_SPECIAL:
            raise LimitRefused(
                "binning-out-of-range",
                f"The binning options of {option.field or 'all fields'} want {option.min_rows} rows a bin and "
                f"{len(option.special)} special values",
                f"A bin may be asked to have up to half of the rows ({rows // 2}), and a field {MOST_SPECIAL} special values.",
            )
