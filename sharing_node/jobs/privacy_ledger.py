"""The ledger of differential privacy: what a project's trainings have spent of the budget that the office approved.

A training pays when it is opened, before anything is drawn, for each side that it protects; one that fails, or is never
finished, has paid all the same, and asking the same again costs again. What is spent is counted in ρ, which adds up; a
row of the ledger and a leaf of the log (`privacy.spend`) go with the job in one transaction, so every process of the node
sees it, also after a restart.

In a project with such a budget every training keeps to it: one without noise would make what others paid for worthless.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select

from audit.service.leaves import LeafDraft
from models.privacy import OutsideRange, PlannedPrivacy, PrivacyWish, Side, Spending, check_range, epsilon_of, rho_of
from models.problems import Conflict, OverBudget, TrainingRefused
from models.projects import Project
from models.scorecard.private import SAMPLES, label_noise, samples
from models.scorecard.rounds import Plan
from sharing_node.state.tables import PrivacySpendingRow

ROUNDING = 1e-9  # of ρ, where a budget is used up to its end


@dataclass(frozen=True)
class Spent:
    """What a training is to spend; `record` does it."""

    project: str
    job: str
    privacy: PlannedPrivacy

    def record(self, connection: Connection, at: int) -> None:
        """Write it down, in the job's own transaction and under its lock.

        Raises:
            Conflict: another training of the project has paid since this one was planned.
        """
        for spending in self.privacy.spendings:
            before = spent(connection, self.project, spending.side)
            rho = rho_of(self.privacy.epsilon, self.privacy.delta)
            if abs(before + rho - spending.rho) > ROUNDING:
                raise Conflict("another training of this project was paid for at the same time; open this one again")
            connection.execute(
                insert(PrivacySpendingRow).values(
                    job=self.job,
                    side=spending.side,
                    project=self.project,
                    rho=rho,
                    epsilon=self.privacy.epsilon,
                    delta=self.privacy.delta,
                    at=at,
                )
            )

    def leaves(self) -> list[LeafDraft]:
        """A leaf for each spending."""
        facts = {"project": self.project, "job": self.job}
        this = {"epsilon": f"{self.privacy.epsilon:g}", "delta": f"{self.privacy.delta:g}"}
        return [
            LeafDraft(
                "privacy.spend",
                facts | this | {"side": s.side, "rho": f"{s.rho:.6f}", "rho_allowed": f"{s.rho_allowed:.6f}"},
            )
            for s in self.privacy.spendings
        ]


def spent(connection: Connection, project: str, side: Side) -> float:
    """ρ that a project's trainings have spent on one side."""
    row = PrivacySpendingRow
    total = connection.scalar(select(func.sum(row.rho)).where(row.project == project, row.side == side))
    return float(total or 0.0)


def planned(connection: Connection, project: Project, wish: PrivacyWish | None, plan: Plan) -> PlannedPrivacy | None:
    """The privacy of a training that is about to be opened, None where neither project nor bank asks for any.

    Raises:
        TrainingRefused: it does not fit the project, or cannot be kept.
        OverBudget: it would pass what is left.
    """
    budget = project.privacy
    if budget is None and wish is None:
        return None
    if budget is None:
        raise TrainingRefused(
            "this project was approved without a privacy budget", advice="File a project with `privacy`, or train without."
        )
    if wish is None or set(wish.protects) != set(budget.protects):
        sides = " and ".join(budget.protects)
        raise TrainingRefused(
            f"this project has a privacy budget for {sides}, so each of its trainings states an epsilon for {sides}",
            advice=f"Open it with privacy=PrivacyWish(epsilon=…, delta={budget.delta:g}, protects={budget.protects}).",
        )
    try:
        check_range(wish.epsilon, wish.delta, plan.rows)
        rho, allowed = rho_of(wish.epsilon, wish.delta), rho_of(budget.epsilon, budget.delta)
        noise = (0, 0)
        if "labels" in wish.protects:
            noise = label_noise(wish.epsilon, wish.delta, plan.node_fields, plan.bank_columns)
    except OutsideRange as error:
        raise TrainingRefused(str(error)) from None
    if samples(plan.bins, plan.bank_columns) > SAMPLES:
        raise TrainingRefused("so many fields cannot be trained under a privacy budget", advice="Use fewer fields or bins.")
    spendings = []
    for side in budget.protects:
        before = spent(connection, project.id, side)
        if before + rho > allowed + ROUNDING:
            left = max(0.0, allowed - before)
            raise OverBudget(
                f"the privacy budget for {side} is epsilon {budget.epsilon:g} at delta {budget.delta:g}; what is left of it "
                f"allows no training at epsilon {wish.epsilon:g}",
                advice=_advice(left, wish.delta),
            )
        spendings.append(
            Spending(
                side=side,
                rho=before + rho,
                rho_allowed=allowed,
                epsilon=epsilon_of(before + rho, budget.delta),
                epsilon_allowed=budget.epsilon,
                delta=budget.delta,
            )
        )
    return PlannedPrivacy(
        epsilon=wish.epsilon,
        delta=wish.delta,
        protects=budget.protects,
        answer_noise=noise[0],
        own_noise=noise[1],
        spendings=tuple(spendings),
    )


def _advice(left: float, delta: float) -> str:
    largest = epsilon_of(left, delta) if left > 0 else 0.0
    try:
        check_range(floored := int(largest * 100) / 100, delta)
    except OutsideRange:
        return "File a new project with the credit office."
    return f"A training at epsilon {floored:g} would still be allowed; or file a new project with the credit office."
