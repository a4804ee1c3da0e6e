"""A training of several banks on the wire: who takes part, what each is told, and where it stands.

::

    bank                                    office                          node
    ── JoinGroup (cohort, common columns) ─────────────────────────────────> waits for the others; bins; plans
       <─ GroupState: Signed(JobPlan) with this bank's part ───────────────
    per round:
      ── opening (labels, columns, seed) ─> well-formed? HMACs
      ── open, b, p → h, c; Signed(RoundTranscript) as alone ──────────────>
      ── a sum over banks (`models.aggregation`) of w and counts or moments, masked ──>
           ── ReplayMember ───────────────> replays products and masks
           <─ Signed(ProvenInput) ────────
      ── AdvanceGroup ─────────────────────────────────────────────────────> learns from the sum; Signed(CommonCounts)
    ── figures ────────────────────────────────────────────────────────────> figures that name no row
    ── release, as alone ──────────────────────────────────────────────────> bands of this bank's rows

What each side learns: `models.scorecard.group`.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

from models.aggregation import FileOpening
from models.scorecard.options import FieldBinning
from models.training import GroupTerms, ReplayRound
from models.wire import Message, Signed, encode


class GroupPhase(StrEnum):
    """What a training of several banks waits for; the last two are its ends."""

    JOINING = "joining"
    COUNTS = "counts"
    MOMENTS = "moments"
    PROVEN = "proven"
    ENDED = "ended"


class JoinGroup(Message):
    """A bank is ready to train on its cohort. All that is said beside the cohort must be the same at every bank.

    `columns` are the definitions of the common bank columns, in an agreed order; a bank that has not taken a step
    `step_seconds` after it was due counts as lost. `name` tells trainings of one project apart.
    """

    project: str
    name: str
    cohort: str
    columns: tuple[bytes, ...]
    max_bins: int = 20
    step_seconds: int = 600
    node_fields: tuple[str, ...] = ()
    binning: tuple[FieldBinning, ...] = ()

    def agreed(self) -> str:
        """SHA-256 (hex) of what must be the same at every bank."""
        same = JoinGroup(
            project=self.project,
            name=self.name,
            cohort="",
            columns=self.columns,
            max_bins=self.max_bins,
            step_seconds=self.step_seconds,
            node_fields=self.node_fields,
            binning=self.binning,
        )
        return hashlib.sha256(encode(same)).hexdigest()


class GroupState(Message):
    """Where a training of several banks stands, as one of them is told.

    `plan` is this bank's `JobPlan` once all have joined; `session` the sum over banks that is under way; `columns` the signed
    `CommonCounts` after round 1, `banks` the banks in that sum.
    """

    group: str
    phase: GroupPhase
    joined: tuple[str, ...]
    deadline: int
    plan: Signed | None = None
    session: str = ""
    columns: Signed | None = None
    banks: tuple[str, ...] = ()
    reason: str = ""


class AdvanceGroup(Message):
    """A bank asks that a phase which is over be ended; `phase` is what it saw."""

    phase: GroupPhase


class ColumnCounts(Message):
    """How a common column falls over all banks: the pooled bin of each of its bins, and rows and bads of the pooled ones."""

    groups: tuple[int, ...]
    rows: tuple[int, ...]
    bads: tuple[int, ...]


class CommonCounts(Message):
    """The node's signed word on the common columns; from it follow WOE and levels, the same at every bank and at the office."""

    group: str
    columns: tuple[ColumnCounts, ...]


class ReplayMember(Message):
    """One bank asks for the office's word on one round before anything is unmasked.

    `round` is as of a training alone. `masks` shows what the sum's input is made of; its `vector` is left empty, since the
    office computes it. `columns` is the node's `CommonCounts`, for round 2.
    """

    plan: Signed
    round: ReplayRound
    masks: FileOpening
    columns: Signed | None = None


def about_round(terms: GroupTerms, round_: int) -> str:
    """What the sum of a round is named by: SHA-256 (hex) of the group's terms and the round."""
    return hashlib.sha256(b"xinqiao/group-training/" + bytes([round_]) + encode(terms)).hexdigest()
