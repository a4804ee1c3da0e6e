"""A whole training in one process, for tests: a synthetic cohort, both roles, the office, every message kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from models.privacy import PlannedPrivacy
from models.scorecard.bank import BankColumn, BankTraining, bank_columns
from models.scorecard.binning import bin_columns
from models.scorecard.inputs import Opening, check_inputs
from models.scorecard.learner import NodeColumns, NodeField
from models.scorecard.limits import InputRefused, Limits
from models.scorecard.node import NodeSecrets, NodeTraining
from models.scorecard.noise import alpha_mac
from models.scorecard.rounds import ROUNDS, Plan, RoundRecord, replay_job
from models.scorecard.schemes import Scheme
from models.training import Verdict
from models.wire import Signed, sign

LIMITS = Limits()
OFFICE = "office"
OFFICE_KEY = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
MAC_KEY = b"m" * 32
TRANSCRIPTS = ("first", "second")


@dataclass
class Cohort:
    """Node fields (8: skewed, discrete, with gaps), bank fields (3) and labels of N rows."""

    node: dict[str, NDArray[np.float64]]
    bank: dict[str, NDArray[np.float64]]
    labels: NDArray[np.uint8]


def cohort(seed: int, rows: int = 2_400, bank_fields: int = 3) -> Cohort:
    random = np.random.default_rng(seed)
    hidden = random.normal(size=rows)
    node = {f"n{j}": np.round(hidden * (0.6 if j % 3 else 0.0) + random.normal(size=rows), 2) for j in range(8)}
    node["n1"] = np.where(node["n1"] < 0.5, 0.0, np.floor(node["n1"] * 4))
    node["n2"][random.random(rows) < 0.1] = np.nan
    bank = {f"b{k}": np.round(0.5 * hidden + random.normal(size=rows), 1) for k in range(bank_fields)}
    risk = -1.0 - 0.9 * hidden - 0.5 * node["n0"] - 0.4 * bank.get("b0", 0.0)
    return Cohort(node, bank, (random.random(rows) < 1 / (1 + np.exp(-risk))).astype(np.uint8))


def node_columns(made: Cohort, limits: Limits = LIMITS) -> NodeColumns:
    bins, _ = bin_columns(made.node, limits)
    fields = tuple(NodeField(b, theme=f"theme {j % 3}", disclosable=j % 2 == 0) for j, b in enumerate(bins))
    codes = np.stack([b.apply(made.node[b.field]) for b in bins])
    return NodeColumns(fields, codes, np.stack([made.node[b.field] for b in bins]))


@dataclass
class Job:
    """One training between a node and a bank. Tests replace messages between the steps to attack it."""

    made: Cohort
    columns: NodeColumns
    plan: Plan
    node: NodeTraining
    bank: BankTraining
    records: list[RoundRecord] = field(default_factory=list)
    seen_by_bank: list[tuple[Any, ...]] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        made: Cohort,
        own: list[BankColumn] | None = None,
        job_seed: bytes = b"s" * 32,
        privacy: PlannedPrivacy | None = None,
        scheme: Scheme = "lwe",
        limits: Limits = LIMITS,
    ) -> Job:
        columns = node_columns(made, limits)
        own = bank_columns(made.bank, made.labels, LIMITS) if own is None else own
        plan = Plan(columns.rows, columns.bins, len(own), privacy=privacy, scheme=scheme)
        secrets = NodeSecrets(noise_key=b"n" * 32, job_seed=job_seed)
        node = NodeTraining("job", plan, columns, cohort_root=b"root", secrets=secrets, limits=LIMITS)
        bank = BankTraining(plan, made.labels, own, LIMITS, seeds=[b"1" * 32, b"2" * 32])
        return cls(made, columns, plan, node, bank)

    def rounds(self, attack: Any = None) -> Job:
        """Both rounds; `attack(step, round, message, answer)` may replace "b, p", "w", "moments" on their way to the node."""
        change = attack or (lambda _step, _round, message, _answer: message)
        for round_ in ROUNDS:
            seed = bytes([round_]) * 32
            opening = self.bank.opening(round_)
            self.node.open_round(seed, macs(opening))
            self.bank.open_round(seed)
            b, p = change("b, p", round_, self.bank.encrypt(), None)
            h, c = self.node.respond(b, p)
            w, moments = self.bank.answer(h, c)
            w, moments = change("w", round_, w, (h, c)), change("moments", round_, moments, (h, c))
            digests = self.node.receive(w, moments)
            self.records.append(RoundRecord(seed, opening, (h, c), digests))
            self.seen_by_bank.append((h, c))
        return self

    def verdict(self) -> Signed:
        """The office's replay and its signed word."""
        try:
            replay_job(self.plan, self.records, LIMITS)
            return sign_verdict(usable=True)
        except InputRefused as refused:
            return sign_verdict(usable=False, reason=refused.reason)

    def close(self, signed: Signed | None = None) -> NodeTraining:
        """Hand the verdict to the node."""
        self.node.accept_verdict(signed or self.verdict(), OFFICE, OFFICE_KEY.public_key(), TRANSCRIPTS)
        return self.node


def macs(opening: Opening) -> list[bytes]:
    return [alpha_mac(MAC_KEY, alpha) for alpha in opening.alphas]


def sign_verdict(*, usable: bool, reason: str = "", key: Ed25519PrivateKey = OFFICE_KEY, job: str = "job") -> Signed:
    made = Verdict(job=job, bank="bank", transcripts=TRANSCRIPTS, usable=usable, reason=reason)
    return sign(made, OFFICE, key)


def refusal(opening: Opening, rows: int, node_fields: int = 8) -> InputRefused | None:
    """What `check_inputs` says of an opening; None where it accepts."""
    try:
        check_inputs(opening, LIMITS, rows, node_fields)
    except InputRefused as refused:
        return refused
    return None
