"""Following a log from where it was verified last: new entries must lead from the tree of then to the root that is signed now.

::

    office                                                    a log (tlog-tiles)
    verified: size n, the right edge of that tree
    <────────────────────────────────────────── checkpoint, signed and cosigned ──
    <────────────────────────────── entries n … m, in bundles ──
    edge of n + hashes of n … m  ══  the signed root of m?     kept only then

No earlier entry can be changed without another edge, so what was verified stays verified. Of each entry the office keeps what
it needs to count by: its time, action, outcome and what it is about; nothing personal is in a leaf.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy.exc import IntegrityError

from audit.database import writing
from audit.office.office import Office
from audit.office.store import seen
from audit.office.store.seen import NODE_LOG, OFFICE_LOG, SeenLeaf, SeenLog
from audit.verifier.checkpoint import open_checkpoint
from audit.verifier.errors import DamagedLog, LogError, LogUnavailable
from audit.verifier.log_check import Fetch, bundle_entries, http_fetch
from audit.verifier.merkle import CompactRange, leaf_hash
from audit.verifier.note import VerifierKey
from audit.verifier.tiles import CHECKPOINT_PATH, TILE_WIDTH, Tile
from models.problems import PeerUnavailable

ENROL = "enrol.person"
BUNDLES_A_TRANSACTION = 8
_following = threading.Lock()


def follow_node(office: Office) -> int:
    """Verify the node's log to its newest cosigned checkpoint; its size. Raises `DamagedLog`, `PeerUnavailable`."""
    key, url = office.settings.node_log_key, office.settings.node_url
    if key is None or not url:
        raise PeerUnavailable("the office does not know the node's log", advice="Set XINQIAO_OFFICE_NODE_URL and …_NODE_LOG.")
    return _Follower(office, NODE_LOG, http_fetch(f"{url.rstrip('/')}/log"), [key], [office.witness_key]).advance()


def follow_own(office: Office) -> int:
    """Verify the office's own log to its newest checkpoint, cosigned or not; its size. Raises as `follow_node`."""

    def fetch(path: str) -> bytes:
        return office.log.checkpoint().encode() if path == CHECKPOINT_PATH else office.log.fetch(path)

    return _Follower(office, OFFICE_LOG, fetch, [office.log.signer.key], []).advance()


def person_digest(person: str) -> str:
    """What an enrolment leaf is found by."""
    return hashlib.sha256(person.encode()).hexdigest()


class _Follower:
    """One log, one run."""

    def __init__(
        self, office: Office, log: str, fetch: Fetch, keys: Sequence[VerifierKey], witnesses: Sequence[VerifierKey]
    ) -> None:
        self._office = office
        self._log = log
        self._fetch = fetch
        self._keys = keys
        self._witnesses = witnesses

    def advance(self) -> int:
        with _following:
            try:
                return self._advance()
            except (OSError, LogUnavailable) as error:
                raise PeerUnavailable(f"the {self._log}'s log cannot be read now: {error}") from None
            except IntegrityError:
                raise PeerUnavailable(f"another process follows the {self._log}'s log at this moment; ask again") from None

    def _advance(self) -> int:
        with self._office.engine.connect() as connection:
            known = seen.verified(connection, self._log)
        # (1) the checkpoint and its signatures
        try:
            note = self._fetch(CHECKPOINT_PATH)
            head = open_checkpoint(note, self._keys, self._witnesses, len(self._witnesses)).checkpoint
        except (DamagedLog, LogUnavailable):
            raise
        except LogError as error:
            raise DamagedLog(CHECKPOINT_PATH, str(error)) from None
        if head.size < known.size:
            raise DamagedLog(CHECKPOINT_PATH, f"the log has {head.size:,} entries but had {known.size:,} before: it was cut")
        # (2) the entries since then, kept provisionally
        tree = CompactRange(known.size, known.peaks)
        with writing(self._office.engine) as connection:
            seen.forget_above(connection, self._log, known.size)
        for leaves in self._new_leaves(tree, head.size):
            with writing(self._office.engine) as connection:
                seen.add(connection, self._log, leaves)
        # (3) the root
        if tree.root() != head.root:
            raise DamagedLog(
                f"entries {known.size} to {head.size}",
                "with them, the tree that was verified before does not lead to the signed root: the log was changed or forked",
            )
        now = SeenLog(tree.size, tuple(tree.peaks), note.decode())
        with writing(self._office.engine) as connection:
            seen.set_verified(connection, self._log, now, int(self._office.clock()))
        return head.size

    def _new_leaves(self, tree: CompactRange, size: int) -> Iterator[list[SeenLeaf]]:
        """What the entries from the tree's size on say, a few bundles at a time; each is added to the tree."""
        gathered: list[SeenLeaf] = []
        while tree.size < size:
            number, skip = divmod(tree.size, TILE_WIDTH)
            tile = Tile(0, number, min(TILE_WIDTH, size - number * TILE_WIDTH))
            for entry in list(bundle_entries(self._fetch, tile))[skip:]:
                leaf = leaf_hash(entry)
                gathered.append(self._said(tree.size, leaf, entry))
                tree.append(leaf)
            if len(gathered) >= BUNDLES_A_TRANSACTION * TILE_WIDTH:
                yield gathered
                gathered = []
        yield gathered

    def _said(self, index: int, leaf: bytes, entry: bytes) -> SeenLeaf:
        said = _object(entry)
        facts = said["facts"] if isinstance(said.get("facts"), dict) else {}
        action, about = _word(said, "action", 64), _word(facts, "ticket", 64) or _word(facts, "manifest", 64)
        if action == ENROL and self._log == OFFICE_LOG:
            about = self._enrolled(_word(said, "opening", 64))
        return SeenLeaf(
            index=index,
            leaf=leaf,
            at=_number(said, "at"),
            action=action,
            outcome=_word(said, "outcome", 32),
            institution=_word(said, "institution", 128),
            table_name=_word(facts, "table", 128),
            epoch=_number(facts, "epoch"),
            purpose=_word(facts, "purpose", 32),
            project=_word(facts, "project", 128),
            about=about,
        )

    def _enrolled(self, commitment: str) -> str:
        """By whom an enrolment leaf can be found again, as long as its opening is there."""
        try:
            opening = self._office.log.opening(bytes.fromhex(commitment))
        except ValueError:
            return ""
        return "" if opening is None else person_digest(_word(_object(opening[32:]), "enrolled", 128))


def _object(data: bytes) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return said if isinstance(said, dict) else {}


def _word(said: dict[str, Any], name: str, most: int) -> str:
    value = said.get(name)
    return value[:most] if isinstance(value, str) else ""


def _number(said: dict[str, Any], name: str) -> int:
    value = said.get(name)
    return value if isinstance(value, int) and abs(value) < 1 << 62 else -1
