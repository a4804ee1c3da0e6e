"""The limits that a joint scorecard is held to, as one table of data, and the refusals that say why.

Every limit may be configured towards stricter only; a value on the other side of its default stops the start-up.

    Refused (ValueError)
    ├── LimitRefused     a limit of this table is reached
    ├── InputRefused     a bank's opened input is malformed
    └── OutOfOrder       a step was asked for before the one it depends on
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal, cast


class Refused(ValueError):
    """Root of all refusals: `rule` for machines, `reason` and `accepted` in plain words for people."""

    def __init__(self, rule: str, reason: str, accepted: str = "") -> None:
        super().__init__(f"{reason}. {accepted}" if accepted else reason)
        self.rule = rule
        self.reason = reason
        self.accepted = accepted


class LimitRefused(Refused):
    """A limit of `Limits` is reached."""


class FieldTooSparse(LimitRefused):
    """A node field has hardly any values here: said of the data, so whoever asks for it pays as for a training."""

    def __init__(self, field: str, support: int) -> None:
        super().__init__(
            "field-too-sparse", f"The field {field} has a value for fewer than {support} rows", "Leave it out of the project."
        )


class InputRefused(Refused):
    """A bank's opened input is malformed; the reason names the input, never a row of it."""


class OutOfOrder(Refused):
    """A step was asked for before the one it depends on, or twice."""

    def __init__(self, reason: str, accepted: str = "") -> None:
        super().__init__("out-of-order", reason, accepted)


def _limit(default: float, stricter: Literal["up", "down"]) -> Any:
    return field(default=default, metadata={"stricter": stricter, "default": default})


@dataclass(frozen=True)
class Limits:
    """All limits of a joint scorecard. `d` counts the fields of both sides.

    Raises:
        LimitRefused: a value is laxer than its default.
    """

    cohort_rows: int = _limit(1_000, "up")  # a cohort has at least so many rows
    difference_rows: int = _limit(50, "up")  # two cohorts, or two vectors of a job, differ in 0 or at least so many
    releases: int = _limit(4, "down")  # a subject, bank and year
    trainings: int = _limit(12, "down")  # a project
    label_vectors: int = _limit(5, "down")  # a cohort and year
    field_tables: int = _limit(4, "down")  # different questions whose tables a subject is counted in, a year, all banks
    rows_per_aggregate: int = _limit(10, "up")  # rows for each label aggregate asked over all runs on them
    class_rows: int = _limit(50, "up")  # each of the two classes
    class_rows_per_field: int = _limit(10, "up")  # and so many for each of the d fields
    levels: int = _limit(20, "down")  # bins of a column, on either side
    level_rows: int = _limit(50, "up")  # each level of a column
    bands: int = _limit(20, "down")  # of a release
    few_fields: int = _limit(8, "up")  # with fewer node fields the band count halves
    r2_column: float = _limit(0.70, "down")  # any node column explained by all bands ever released
    r2_mean: float = _limit(0.45, "down")  # the same on average over the node's columns
    node_noise: float = _limit(4.0, "up")  # standard deviation, times the vector's bound, in natural units

    def __post_init__(self) -> None:
        for entry in fields(self):
            value, default = getattr(self, entry.name), cast(float, entry.metadata["default"])
            upward = entry.metadata["stricter"] == "up"
            if not (value >= default if upward else 0 < value <= default):
                raise LimitRefused(
                    "limit-laxer-than-default",
                    f"{entry.name} = {value} is laxer than the default {default}",
                    f"It may only be configured {'upwards' if upward else 'downwards, and above 0'}.",
                )

    def stricter(self, other: Limits) -> Limits:
        """The stricter value of each of two sets."""
        pairs = {entry.name: (getattr(self, entry.name), getattr(other, entry.name)) for entry in fields(self)}
        upward = {entry.name for entry in fields(self) if entry.metadata["stricter"] == "up"}
        return Limits(**{name: max(pair) if name in upward else min(pair) for name, pair in pairs.items()})

    def check_cohort(self, rows: int) -> None:
        """Refuse cohorts that are too small to hide one subject."""
        if rows < self.cohort_rows:
            raise LimitRefused(
                "cohort-too-small",
                f"The cohort has {rows} rows; at least {self.cohort_rows} are needed so that no figure speaks of one person",
                "Align more customers that have given a modelling consent.",
            )

    def check_difference(self, rows: int) -> None:
        """Refuse a cohort whose symmetric difference to an earlier one has 1 to 49 rows."""
        if 0 < rows < self.difference_rows:
            raise LimitRefused(
                "cohort-too-similar",
                f"The cohort differs from an earlier one in fewer than {self.difference_rows} rows, "
                "so that the difference of two results would speak of those few",
                f"Use the earlier cohort unchanged, or one that differs in at least {self.difference_rows} rows.",
            )

    def check_releases(self, most: int) -> None:
        """`most`: the largest number of releases that any subject of the cohort has had from this bank this year."""
        if most >= self.releases:
            raise LimitRefused(
                "releases-spent",
                f"Subjects of this cohort have already been in {most} releases to this bank within a year; "
                f"{self.releases} are allowed",
                "Wait until the oldest is a year old, or leave those subjects out of the cohort.",
            )

    def check_trainings(self, done: int) -> None:
        """`done`: trainings of the project so far, failed ones included."""
        if done >= self.trainings:
            raise LimitRefused(
                "trainings-spent",
                f"The project has used its {self.trainings} trainings; failed ones count as well",
                "File a new project with the credit office.",
            )

    def check_label_vectors(self, known: int, is_new: bool) -> None:
        """`known`: different label vectors used on this cohort within a year; an equal one is no new one."""
        if is_new and known >= self.label_vectors:
            raise LimitRefused(
                "label-vectors-spent",
                f"{known} different label vectors were used on this cohort within a year; {self.label_vectors} are allowed",
                "Train on one of the label vectors already used, or on another cohort.",
            )

    def aggregates_left(self, rows: int, asked: int) -> int:
        """Label aggregates (label sums over a node column) that may still be asked on these rows.

        Args:
            rows: of the cohort.
            asked: aggregates asked so far over all runs on the same subjects.
        """
        return max(0, rows // self.rows_per_aggregate - asked)

    def bins_per_field(self, rows: int, asked: int, node_fields: int) -> int:
        """The most bins a node column may have: each bin is one label aggregate, and each column one more in round 2.

        Raises:
            LimitRefused: not even two bins a column are left.
        """
        left = self.aggregates_left(rows, asked) // max(1, node_fields) - 1
        if left < 2:
            raise LimitRefused(
                "label-aggregates-spent",
                f"{asked} label aggregates were asked on these {rows} rows; {node_fields} more columns would pass one for "
                f"every {self.rows_per_aggregate} rows",
                "Use fewer node fields, or a larger cohort.",
            )
        return min(self.levels, left)

    def check_classes(self, bads: int, rows: int, fields_of_both: int) -> None:
        """Both classes need max(50, 10 d) rows."""
        needed = max(self.class_rows, self.class_rows_per_field * fields_of_both)
        if min(bads, rows - bads) < needed:
            raise InputRefused(
                "class-too-small",
                f"One of the two label classes has fewer than {needed} rows ({fields_of_both} fields on both sides)",
                f"Use a larger cohort or fewer fields, so that both classes have at least {needed} rows.",
            )

    def band_count(self, node_fields: int) -> int:
        """Bands of a release: halved where the node brings fewer than eight fields."""
        return self.bands if node_fields >= self.few_fields else self.bands // 2
