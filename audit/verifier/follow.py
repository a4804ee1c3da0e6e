"""Following a log: from where it was verified last, new entries must lead to the root that is signed now.

What was verified is remembered as the right edge of its tree. No earlier entry can be changed without another edge, so only
the new entries are fetched; a log that was cut, changed or forked since does not lead from the edge to its signed root.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from audit.verifier.checkpoint import SignedCheckpoint, open_checkpoint
from audit.verifier.errors import DamagedLog, FormatError, SignatureError
from audit.verifier.log_check import Fetch, bundle_entries
from audit.verifier.merkle import CompactRange, leaf_hashes
from audit.verifier.note import VerifierKey
from audit.verifier.tiles import CHECKPOINT_PATH, TILE_WIDTH, Tile

Progress = Callable[[int, int], None]
"""Told how many of the new entries were verified, and how many there are."""


@dataclass(frozen=True)
class Followed:
    """A log verified up to `signed`; `tree` is the right edge from which to go on."""

    signed: SignedCheckpoint
    tree: CompactRange


def follow_log(
    fetch: Fetch,
    known: CompactRange,
    log_keys: Iterable[VerifierKey],
    witness_keys: Iterable[VerifierKey] = (),
    quorum: int = 0,
    *,
    progress: Progress = lambda _done, _all: None,
) -> Followed:
    """Verify a log from the tree `known` (an empty one at first) to its newest checkpoint; DamagedLog names the place."""
    try:
        signed = open_checkpoint(fetch(CHECKPOINT_PATH), log_keys, witness_keys, quorum)
    except FileNotFoundError:
        raise DamagedLog(CHECKPOINT_PATH, "there is no checkpoint here: is this the prefix of a log?") from None
    except (FormatError, SignatureError) as error:
        raise DamagedLog(CHECKPOINT_PATH, str(error)) from None
    tree, head = known.copy(), signed.checkpoint
    if head.size < known.size:
        raise DamagedLog(
            "line 2 of the checkpoint",
            f"the log has {head.size:,} entries but had {known.size:,} before: it was cut or set back",
        )
    while tree.size < head.size:
        number, skip = divmod(tree.size, TILE_WIDTH)
        tile = Tile(0, number, min(TILE_WIDTH, head.size - number * TILE_WIDTH))
        for leaf in leaf_hashes(list(bundle_entries(fetch, tile))[skip:]):
            tree.append(leaf)
        progress(tree.size - known.size, head.size - known.size)
    if tree.root() != head.root:
        raise DamagedLog(
            f"entries {known.size} to {head.size}",
            "with them, what was verified before does not lead to the signed root: the log was changed or forked",
        )
    return Followed(signed, tree)
