"""The office's side where inputs are proven: a masked vector recomputed from what a bank opens."""

from __future__ import annotations

import hmac

import numpy as np
from numpy.typing import NDArray

from crypto.errors import AggregationRefused
from crypto.secure_aggregation import masks
from crypto.secure_aggregation.checks import open_key_list
from crypto.secure_aggregation.messages import Opening, decode, digest
from crypto.secure_aggregation.round import Round


def input_commitment(round_: Round, key_list: bytes, bank: str) -> bytes:
    """What ``bank`` has bound its input to in its advertisement: 32 bytes, or none."""
    advertised = open_key_list(round_, key_list).get(bank)
    if advertised is None:
        raise AggregationRefused("this bank has advertised no keys in this round")
    return advertised.input_commitment


def replay(
    round_: Round, opening: bytes, key_list: bytes, sharers: tuple[str, ...], bank: str, vector: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """The masked vector, uint64[length], that ``bank`` must have sent for ``vector`` under the masks that it opens.

    Mask key and seed must be those behind its signed advertisement in ``key_list``; so nothing is left to the bank to choose
    after it has seen the others' keys. ``sharers`` are the banks whose masks are in it. Raises ``AggregationRefused``.
    """
    opened, listed = decode(opening, Opening, round_), open_key_list(round_, key_list)
    if opened.sender != bank or bank not in sharers or not set(sharers) <= set(listed):
        raise AggregationRefused("the opening is another bank's, or holds the masks of one that has advertised no keys")
    if len(opened.mask_private) != masks.KEY_BYTES or masks.public_of(opened.mask_private) != listed[bank].mask_key:
        raise AggregationRefused("the opened mask key is not the one that was advertised")
    if not hmac.compare_digest(masks.commit_seed(round_, bank, opened.seed), listed[bank].seed_commitment):
        raise AggregationRefused("the opened seed is not the one that was committed to")
    if vector.shape != (round_.length,) or vector.dtype != np.uint64:
        raise AggregationRefused(f"the vector has {round_.length} words of 64 bits (uint64)")
    words = vector.copy()
    masks.add_mask(words, masks.self_mask_key(round_, opened.seed))
    for peer in sharers:
        if peer != bank:
            key = masks.pair_mask_key(round_, opened.mask_private, listed[peer].mask_key)
            masks.add_pair_mask(words, key, bank, peer)
    return words


def words_digest(words: NDArray[np.uint64]) -> bytes:
    """SHA-256 over little-endian words: how a masked vector is named in messages and in the log."""
    return digest(words.astype("<u8", copy=False).tobytes())
