"""Planning a training of several banks: common bins by row counts over all cohorts, and one part for each bank."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from sqlalchemy import Connection, Engine

from crypto.secure_aggregation import collusion_bound, threshold
from models.problems import Conflict
from models.projects import Project
from models.scorecard.binning import bins_from_definition
from models.scorecard.group import GroupMember, GroupPlan
from models.scorecard.limits import LimitRefused, Limits
from models.training import FieldPlan, GroupTerms, JobPlan
from sharing_node.jobs.columns import node_columns, wanted_fields
from sharing_node.jobs.group_store import StoredGroup
from sharing_node.jobs.running import Group, Opened
from sharing_node.jobs.training import aggregates_asked, subject_set
from sharing_node.node import Node
from sharing_node.records import repository as records
from sharing_node.state import repository as state


@dataclass(frozen=True, eq=False)
class Part:
    """One bank's training, and what it is told of the group."""

    opened: Opened
    terms: GroupTerms


@dataclass(frozen=True, eq=False)
class Planned:
    """All parts, in order of banks. `asked` is what the plan rests on: label aggregates by cohort, as they were."""

    parts: tuple[Part, ...]
    limits: Limits
    asked: dict[str, int]
    rows: int

    def check_unchanged(self, connection: Connection) -> None:
        """Raise `Conflict` where another training on these subjects was opened meanwhile."""
        for part in self.parts:
            if aggregates_asked(connection, part.opened.cohort) != self.asked[part.opened.cohort.id]:
                raise Conflict("another training on these subjects was opened at the same time; go on once more")


def plan_group(node: Node, engine: Engine, group: StoredGroup, project: Project, seats: Sequence[str]) -> Planned:
    """The parts of those banks that have joined.

    A label aggregate is one over all banks; but what conspiring banks know of it comes off, so the limit of aggregates is held
    on the rows of the smallest cohorts that may be left then.

    Raises:
        models.scorecard.limits.Refused: too few banks, or a limit does not allow it.
    """
    terms, banks = group.terms, sorted(group.cohorts)
    needed = max(threshold(len(seats)), collusion_bound(len(seats)) + 2)  # before a plan can be made of them
    if len(banks) < needed:
        raise LimitRefused(
            "too-few-banks",
            f"{len(banks)} of {len(seats)} banks have joined where {needed} are needed, so nothing comes out",
            "Begin again under another name when the others are ready.",
        )
    if project.privacy is not None:
        raise LimitRefused(
            "privacy-alone",
            "A project with a budget of differential privacy trains one bank alone",
            "File a project of several banks without it.",
        )
    limits = replace(node.limits, levels=min(terms.max_bins, node.limits.levels))
    with engine.connect() as connection:
        cohorts = [state.cohort(connection, group.cohorts[bank]) for bank in banks]
        limits.check_trainings(state.trainings_used(connection, project.id))
        asked = {cohort.id: aggregates_asked(connection, cohort) for cohort in cohorts}
        fields = wanted_fields(node, project, terms.node_fields)
        raw = [records.numeric_columns(connection, fields, c.subjects, node.marks(), node.today()) for c in cohorts]
    members = tuple(GroupMember(c.bank, len(c.subjects), subject_set(node, c)) for c in cohorts)
    definitions = [bins_from_definition(each) for each in terms.columns]
    bare = GroupPlan(members, (), tuple(bins.count for bins in definitions), len(seats))
    rows = sum(member.rows for member in members)
    left = limits.aggregates_left(bare.fewest_rows(), max(asked.values()))
    columns, notes = node_columns(fields, np.concatenate(raw), limits, rows // limits.rows_per_aggregate - left, terms.binning)
    plan = replace(bare, bins=columns.bins)
    for bank in plan.banks:
        for round_ in (1, 2):
            plan.plan(bank).shape(round_).check()
    told = GroupTerms(
        group=group.id, banks=plan.banks, columns=terms.columns, largest_rows=max(member.rows for member in members)
    )
    order_seed, parts, start = secrets.token_bytes(32), [], 0
    for cohort, member in zip(cohorts, members, strict=True):
        inside = slice(start, start + member.rows)
        start += member.rows
        own = replace(columns, codes=columns.codes[:, inside].copy(), raw=columns.raw[:, inside].copy())
        job = secrets.token_hex(16)
        signed = node.sign(
            JobPlan(
                job=job,
                project=project.id,
                rows=member.rows,
                cohort_root=cohort.root,
                subjects=member.subjects,
                fields=tuple(FieldPlan(name=f.name, bins=f.bins.count) for f in columns.fields),
                bands=limits.band_count(len(columns.fields)),
                label_aggregates=plan.plan(cohort.bank).label_aggregates,
                notes=tuple(notes),
                binning=terms.binning,
                group=told,
            )
        )
        opened = Opened(
            job, project, cohort, signed, own, len(definitions), limits, secrets.token_bytes(32), group=Group(plan, order_seed)
        )
        parts.append(Part(opened, told))
    return Planned(tuple(parts), limits, asked, rows)
