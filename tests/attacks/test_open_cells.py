"""Attack: with N evaluations, open more than N cells, and open something after the key was changed.

The attacker is given more than any bank gets: every column of D in clear (the hint is D·A and tells no more), and the
outputs of N evaluations. It tries each of its keys on every cell, whatever the cell's tag; evaluations of others made of
sums, differences and multiples of its own (k·B + k·B' = k·(B + B')); and all of it again on the next epoch and on another
table, with keys derived anew under every context it knows. It also looks for cells that stay recognisable.

Criterion: exactly its N cells, nothing after the rotation, no tag in two tables.

Naive builds, kept below: one key for all cells opens the whole table with one evaluation; the same OPRF key for the next
epoch opens to old outputs, though every other thing of it is new; tags that do not depend on the epoch link its cells.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crypto import cells, group, pir, voprf
from crypto.voprf import VoprfClient
from tests.attacks.epochs import MadeEpoch, county, made_epoch

pytestmark = pytest.mark.attack

NAME = "open-cells"
FULL_COUNT = 600
SMALL_COUNT = 25
SUBJECTS_PER_COUNT = 33

_ONE = group.Scalar((1).to_bytes(32, "little"))
_NONCE = bytes(12)


@dataclass
class Attacker:
    """What N evaluations of one epoch left: unblinded elements k·P and outputs."""

    epoch: MadeEpoch
    elements: list[group.Element] = field(repr=False)
    outputs: list[bytes] = field(repr=False)

    def opens(self, target: MadeEpoch, others: Sequence[str]) -> set[int]:
        """Positions of the cells of `target` that any of the attacks opens; `others` were never evaluated."""
        contexts = {self.epoch.context, target.context}
        own = {cells.derive(y, context)[1] for y in self.outputs for context in contexts}
        made = {cells.derive(y, target.context)[1] for y in self._combined(others)}
        return _opened(target.cells(), own | made)

    def _combined(self, others: Sequence[str]) -> Iterator[bytes]:
        """Outputs for subjects that nobody evaluated, from what was evaluated for others."""
        for n, subject in enumerate(others):
            a, b = self.elements[n % len(self.elements)], self.elements[(n + 1) % len(self.elements)]
            multiple = group.scalar_mult(group.random_scalar(), a)
            for guess in (a, group.add(a, b), group.sub(a, b), multiple) if a != b else (a, multiple):
                yield voprf.unblind(subject.encode(), _ONE, guess)


def _opened(table: Sequence[bytes], keys: set[bytes]) -> set[int]:
    """Every key on every cell, under the cell's own tag, so that no key fails for want of the right one."""
    found = set()
    for key in keys:
        cipher = AESGCM(key)
        for position, cell in enumerate(table):
            try:
                cipher.decrypt(_NONCE, cell[cells.TAG_BYTES :], cell[: cells.TAG_BYTES])
            except InvalidTag:
                continue
            found.add(position)
    return found


def evaluated(epoch: MadeEpoch, subjects: Sequence[str]) -> Attacker:
    """The protocol as it runs for each subject: blind, evaluate, verify, unblind."""
    client, inputs = VoprfClient(epoch.manifest.public_key), [subject.encode() for subject in subjects]
    blinded = client.blind_many(inputs)
    answers = epoch.server.blind_evaluate_many([b.element for b in blinded])
    outputs = client.finalize_many(inputs, blinded, answers)
    elements = [group.scalar_mult(group.invert(b.blind), a.element) for b, a in zip(blinded, answers, strict=True)]
    return Attacker(epoch, elements, outputs)


def tags(epoch: MadeEpoch) -> set[bytes]:
    return {cell[: cells.TAG_BYTES] for cell in epoch.cells()}


# ---------------------------------------------------------------------- the naive builds


def one_key_opens_all(records: dict[str, bytes], subjects: Sequence[str], others: Sequence[str]) -> int:
    """Tags from the OPRF, and one cell key for the epoch: how many cells a single evaluation opens."""
    derive = cells.derive

    def one_key(y: bytes, context: bytes) -> tuple[bytes, bytes]:
        return derive(y, context)[0], hashlib.sha256(context).digest()

    with patch.object(cells, "derive", one_key):
        epoch = made_epoch(records)
        return len(evaluated(epoch, subjects[:1]).opens(epoch, others[:1]))


def old_key_opens_the_next(records: dict[str, bytes], subjects: Sequence[str], others: Sequence[str]) -> int:
    """The OPRF key of the epoch before: seed, context, dummies are new, and yet old outputs open the new cells."""
    before = made_epoch(records)
    after = made_epoch(records, epoch=2, server=before.server)
    assert not tags(before) & tags(after)
    return len(evaluated(before, subjects).opens(after, others))


def tags_without_epoch_link(records: dict[str, bytes]) -> int:
    """The same key, and a context that does not name the epoch: how many cells are recognised without any evaluation."""
    derive = cells.derive
    with patch.object(cells, "derive", lambda y, _context: derive(y, b"table")):
        before = made_epoch(records)
        return len(tags(before) & tags(made_epoch(records, epoch=2, server=before.server)))


# ---------------------------------------------------------------------- the campaign


def campaign(count: int, seed: int) -> dict[str, Any]:
    """`count` evaluations against a table of 33 subjects each; AssertionError if one cell too many opens."""
    rng = random.Random(seed)
    records = county(count * SUBJECTS_PER_COUNT)
    order = rng.sample(sorted(records), len(records))
    subjects, others = order[:count], order[count : count + max(5, count // 10)]
    epoch = made_epoch(records)
    assert np.array_equal(epoch.hint, pir.setup(epoch.matrix, epoch.manifest.seed)), "the hint tells no more than D"
    attacker = evaluated(epoch, subjects)

    own = {tag for tag, _ in epoch.keyed(subjects)}
    found = attacker.opens(epoch, others)
    assert {epoch.cells()[position][: cells.TAG_BYTES] for position in found} == own, "exactly what was evaluated opens"
    assert len(found) == count

    rotated = made_epoch(records, epoch=2)
    sibling = made_epoch(records, table="check-2")
    for name, target in (("the next epoch", rotated), ("another table", sibling)):
        assert not attacker.opens(target, others), f"old outputs open {name}"
        assert not tags(epoch) & tags(target), f"cells of {name} are recognised"
    assert len(evaluated(rotated, subjects[:5]).opens(rotated, [])) == min(5, count), "who asks again still gets an answer"

    few = dict(list(records.items())[:800])
    asked, rest = list(few)[:5], list(few)[5:10]
    naive = {
        "one_key_for_all_cells_opens": one_key_opens_all(few, asked, rest),
        "old_oprf_key_opens_in_the_next_epoch": old_key_opens_the_next(few, asked, rest),
        "tags_without_the_epoch_recognised": tags_without_epoch_link(few),
    }
    assert naive == {
        "one_key_for_all_cells_opens": len(few),
        "old_oprf_key_opens_in_the_next_epoch": len(asked),
        "tags_without_the_epoch_recognised": len(few),
    }, "each naive build must give its cells away"
    return {
        "subjects": len(records),
        "cells": len(epoch.cells()),
        "evaluations": count,
        "opened": len(found),
        "opened_after_rotation": 0,
        "opened_in_another_table": 0,
        "naive": {**naive, "naive_subjects": len(few), "naive_evaluations": len(asked)},
    }


def test_n_evaluations_open_exactly_n_cells_and_none_after_the_rotation() -> None:
    assert campaign(SMALL_COUNT, 20_250_101)["opened"] == SMALL_COUNT
