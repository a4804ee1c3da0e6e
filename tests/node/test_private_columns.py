"""What the office is told of the columns that a private model may weigh: counts of pairs, noise that does not average out."""

from __future__ import annotations

import numpy as np

from models.scorecard.limits import Limits
from sharing_node.private_models.columns import noisy_gram

KEY, COUNTS = b"k" * 32, (3, 5, 4)


def test_two_fields_meet_the_same_noise_whatever_stands_beside_them() -> None:
    drawn = np.random.default_rng(7)
    codes = np.stack([drawn.integers(0, count, 4_000, dtype=np.uint8) for count in COUNTS])
    limits = Limits()
    all_three = noisy_gram(codes, COUNTS, KEY, limits)
    assert np.array_equal(all_three, all_three.T)
    ones = np.concatenate([np.eye(count)[code] for code, count in zip(codes, COUNTS, strict=True)], axis=1)
    spread = np.std(all_three - ones.T @ ones)
    assert limits.node_noise / 2 < spread < 2 * limits.node_noise
    assert not np.array_equal(all_three, noisy_gram(codes, COUNTS, b"other key".ljust(32), limits))

    turned = noisy_gram(codes[[2, 0]], (COUNTS[2], COUNTS[0]), KEY, limits)
    first, last = slice(0, 3), slice(8, 12)
    assert np.array_equal(turned[:4, :4], all_three[last, last])
    assert np.array_equal(turned[4:, 4:], all_three[first, first])
    assert np.array_equal(turned[:4, 4:], all_three[last, first])
