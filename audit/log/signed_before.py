"""Everything that a log signed before, against what it holds: every stored checkpoint, and every cosignature under one.

The sequencer checks the tree and its last checkpoint before it signs. Older checkpoints are no part of the tree, and there may
be as many as entries, so they are checked beside the work that has begun. One that is not what was signed is proof that the
database was changed: the sequencer then stops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from audit.log.log import Log
from audit.log.store import StoredCheckpoint
from audit.verifier.checkpoint import Checkpoint
from audit.verifier.errors import FormatError, LogRefusal, SignatureError
from audit.verifier.merkle import CompactRange
from audit.verifier.note import Note, parse_signature_lines
from audit.verifier.tiles import TILE_WIDTH

PAGE = 200


def check_signed_before(log: Log, upto: int, pause: Callable[[], bool] = lambda: False) -> int:
    """Check every checkpoint of at most `upto` entries; how many there were, or LogRefusal naming the first that is wrong.

    `pause` is called now and then; once it is true, the check ends.
    """
    tree, checked = CompactRange(), 0
    for page in _pages(log, upto):
        for stored, lines in page:
            for leaf in _leaves(log, tree.size, stored.size):
                tree.append(leaf)
            _check(log, stored, lines, tree)
            checked += 1
        if pause():
            break
    return checked


def _pages(log: Log, upto: int) -> Iterator[list[tuple[StoredCheckpoint, dict[str, str]]]]:
    """All checkpoints in order, each with its cosignatures by witness, a page at a time."""
    after = -1
    while True:
        with log.engine.connect() as connection:
            page = log.store.checkpoints_after(connection, after, upto, PAGE)
            lines = log.store.cosignatures_between(connection, after, page[-1].size) if page else {}
        if not page:
            return
        yield [(stored, lines.get(stored.size, {})) for stored in page]
        after = page[-1].size


def _leaves(log: Log, start: int, end: int) -> Iterator[bytes]:
    """Leaf hashes from `start` to before `end`, a tile at a time."""
    while start < end:
        width = min(end, start + TILE_WIDTH) - start
        with log.engine.connect() as connection:
            leaves = log.store.hashes(connection, 0, start, width)
        if len(leaves) != width:
            raise LogRefusal(f"entry {start + len(leaves)} was signed and is not there any more")
        yield from leaves
        start += width


def _check(log: Log, stored: StoredCheckpoint, lines: dict[str, str], tree: CompactRange) -> None:
    place = f"the checkpoint of {stored.size:,} entries"
    expected = Checkpoint(log.origin, tree.size, tree.root()).text
    known = {str(key): key for key in log.witnesses}
    try:
        note = Note.parse(stored.note)
        if note.text != expected:
            raise SignatureError("it does not say what the entries give")
        if not note.verified([log.signer.key]):
            raise SignatureError("this log has not signed it")
        for name, line in lines.items():
            # Lines of a witness that the log does not know any more count nothing, and are left alone.
            if name in known and not Note(expected, parse_signature_lines(line)).verified([known[name]]):
                raise SignatureError(f"the line of {known[name].name} is not its cosignature")
    except (FormatError, SignatureError) as error:
        raise LogRefusal(f"{place} is not the signed one: {error}") from None
