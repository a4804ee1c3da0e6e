"""A training of several banks in one process: real products, real masks, the office's replay; banks may be lost or lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from crypto import secure_aggregation as sa
from crypto.errors import AggregationRefused
from models.scorecard.binning import Bins
from models.scorecard.columns import NodeColumns
from models.scorecard.group import GroupMember, GroupPlan
from models.scorecard.group_bank import GroupBankTraining
from models.scorecard.group_columns import CommonColumn, common_columns
from models.scorecard.group_inputs import GroupRecord, check_group_inputs, codes_as_vectors, replayed_words
from models.scorecard.group_node import Counted, MemberTraining, learn_counts, learn_moments
from models.scorecard.inputs import Opening
from models.scorecard.learner import Figures
from models.scorecard.limits import InputRefused, Limits
from models.scorecard.node import NodeSecrets
from models.scorecard.noise import alpha_mac
from models.scorecard.rounds import COUNTS, MOMENTS
from models.scorecard.snapshot import LearnedState
from tests.models.scorecard_job import LIMITS, MAC_KEY

Words = NDArray[np.uint64]
Tamper = Callable[[str, int, str, Any], Any]


@dataclass
class BankRows:
    """What one bank and the node have of one bank's cohort."""

    node: NodeColumns
    codes: list[NDArray[np.uint8]]
    labels: NDArray[np.uint8]

    @property
    def rows(self) -> int:
        return int(self.labels.size)


@dataclass
class GroupJob:
    """One training. `lost[bank]` is the place where a bank falls silent, as (round, step); steps as in the aggregation."""

    cohorts: Mapping[str, BankRows]
    definitions: Sequence[Bins]
    limits: Limits = LIMITS
    noise_key: bytes = b"n" * 32
    job_seed: bytes = b"s" * 32
    lost: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    tamper: Tamper = lambda _bank, _round, _what, value: value
    plan: GroupPlan = field(init=False)
    node: dict[str, MemberTraining] = field(init=False)
    banks: dict[str, GroupBankTraining] = field(init=False)
    failed: dict[str, str] = field(default_factory=dict)
    inputs: dict[tuple[str, int], Words] = field(default_factory=dict)
    columns: list[CommonColumn] = field(default_factory=list)
    _answers: dict[tuple[str, int], tuple[Words, Words]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        first = next(iter(self.cohorts.values()))
        members = tuple(GroupMember(b, c.rows, b.encode().ljust(32)) for b, c in sorted(self.cohorts.items()))
        self.plan = GroupPlan(members, first.node.bins, tuple(bins.count for bins in self.definitions))
        self.node = {
            bank: MemberTraining(
                f"job-{bank}",
                self.plan,
                bank,
                rows.node,
                cohort_root=bank.encode(),
                secrets=NodeSecrets(self.noise_key, self.job_seed[:-1] + bytes([place])),
                limits=self.limits,
                order_seed=b"o" * 32,
            )
            for place, (bank, rows) in enumerate(sorted(self.cohorts.items()))
        }
        self.banks = {
            bank: GroupBankTraining(
                self.plan.part(bank), rows.labels, rows.codes, self.limits, [bytes([r]) * 32 for r in (1, 2)]
            )
            for bank, rows in sorted(self.cohorts.items())
        }

    # ------------------------------------------------------------------ a whole training

    def run(self) -> Figures:
        first, counted = self.counts()
        return self.moments(first, counted)[1]

    def counts(self) -> tuple[tuple[str, ...], Counted]:
        """Round 1: the banks of the sum, and what it gave; levels go to them."""
        banks, total = self.summed(COUNTS, self.plan.banks)
        parts, named = {b: self.node[b] for b in banks}, [bins.definition() for bins in self.definitions]
        counted = learn_counts(parts, total, self.noise_key, self.limits, named)
        self.columns = common_columns(self.definitions, counted.counts, self.limits)
        for bank in banks:
            self.node[bank].settle(counted.learned, len(banks))
            self.banks[bank].take_levels([column.levels for column in self.columns])
        return banks, counted

    def moments(self, first: tuple[str, ...], counted: Counted) -> tuple[LearnedState, Figures]:
        """Round 2 over the banks of the first."""
        banks, total = self.summed(MOMENTS, first)
        learned, figures = learn_moments(
            {b: self.node[b] for b in banks}, total, self.noise_key, self.limits, counted.learned, first
        )
        for bank in banks:
            self.node[bank].settle(learned, len(banks), figures)
        return learned, figures

    # ------------------------------------------------------------------ one round

    def summed(self, round_: int, banks: Sequence[str]) -> tuple[tuple[str, ...], Words]:
        """One round of the aggregation among these banks, the office's replay in between: who is in the sum, and the sum."""

        def there(step: str, among: Sequence[str]) -> list[str]:
            return [bank for bank in among if self.lost.get(bank) != (round_, step)]

        members = tuple(sa.Member(bank, key_of(bank).public_key().public_bytes_raw()) for bank in banks)
        aggregation = sa.Round(f"group/{round_}", 1, members, self.plan.part(banks[0]).words(round_))
        people = {bank: sa.Participant(aggregation, bank, key_of(bank)) for bank in banks}
        here = there("keys", banks)
        keys = sa.key_list(aggregation, {bank: people[bank].advertise_keys() for bank in here})
        here = there("shares", here)
        sealed = {bank: people[bank].share_keys(keys) for bank in here}
        delivered, sharers = sa.deliveries(aggregation, sealed), tuple(sorted(sealed))
        here = there("input", here)
        inputs = {}
        for bank in here:
            words = self._play(bank, round_)
            inputs[bank] = people[bank].mask_input(delivered[bank], self.tamper(bank, round_, "words", words))
        digests = {bank: sa.check_input(aggregation, keys, sharers, bank, data) for bank, data in inputs.items()}
        passed = []
        for bank in there("opening", here):
            self.node[bank].close_product()
            try:
                words = self._judge(bank, round_)
                masks = self.tamper(bank, round_, "masks", people[bank].opening())
                try:
                    masked = sa.words_digest(sa.replay(aggregation, masks, keys, sharers, bank, words))
                except AggregationRefused:
                    raise InputRefused("masks-not-as-committed", "") from None
                if masked != digests[bank]:
                    raise InputRefused("response-not-as-committed", "")
                passed.append(bank)
            except InputRefused as refused:
                self.failed[bank] = refused.rule
        self.plan.check_enough(passed)
        listed = sa.survivor_list(aggregation, keys, sharers, {bank: digests[bank] for bank in passed})
        signed = {bank: people[bank].check_consistency(listed) for bank in there("list", passed)}
        request = sa.unmask_request(aggregation, listed, signed)
        answers = {bank: people[bank].unmask(request) for bank in there("unmask", passed)}
        total = sa.aggregate(aggregation, keys, listed, {bank: inputs[bank] for bank in passed}, answers)
        return tuple(passed), total

    def _play(self, bank: str, round_: int) -> Words:
        training, node = self.banks[bank], self.node[bank]
        seed = self._seed(bank, round_)
        opening = self.tamper(bank, round_, "filed", training.opening(round_))
        macs = [alpha_mac(MAC_KEY, alpha) for alpha in opening.alphas]
        node.open_round(seed, macs[: len(node.plan.vectors(round_))])
        training.open_round(seed)
        h, c = node.respond(*self.tamper(bank, round_, "b, p", training.encrypt()))
        self._answers[bank, round_] = (h, c)
        words = training.answer(h, c)
        self.inputs[bank, round_] = words
        return words

    def _judge(self, bank: str, round_: int) -> Words:
        """The office's part: the words that this bank must have masked."""
        opening: Opening = self.tamper(bank, round_, "opening", self.banks[bank].opening(round_))
        part = self.plan.part(bank)
        check_group_inputs(opening, round_, part, [column.levels for column in self.columns], self.limits)
        if round_ == MOMENTS:
            kept = self.banks[bank].opening(COUNTS).vectors
            assert all(np.array_equal(a.codes, b.codes) for a, b in zip(kept, codes_as_vectors(opening), strict=True))
        seen = self.node[bank].digests(round_)
        seed, answer = self._seed(bank, round_), self._answers[bank, round_]
        return replayed_words(part, round_, GroupRecord(seed, opening, answer, seen.product, seen.answer))

    def _seed(self, bank: str, round_: int) -> bytes:
        return bytes([round_]) + bank.encode().ljust(31, b"\0")


def key_of(bank: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bank.encode().ljust(32, b"k"))
