"""Asking witnesses for cosignatures (tlog-witness, add-checkpoint), with any transport that moves bytes.

```
 log                                              witness
 old <size>, consistency proof, checkpoint ─────▶ signed by that log? extends what I cosigned last?
                                                  persist, then cosign
 verify the line, store it             ◀───────── 200: signature lines
 ask again from that size              ◀───────── 409: the size that I cosigned last
```
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass

from audit.database import writing
from audit.log.log import Log
from audit.log.store import StoredCheckpoint
from audit.verifier.checkpoint import SignedCheckpoint, open_checkpoint, parse_decimal
from audit.verifier.errors import FormatError, LogError, LogRefusal, SignatureError
from audit.verifier.note import Note, VerifierKey, parse_signature_lines

logger = logging.getLogger(__name__)
ATTEMPTS = 3

Post = Callable[[bytes], tuple[int, bytes]]
"""Sends the body to the witness's add-checkpoint and gives the answer's status and body."""

Last = Callable[[str], bytes | None]
"""What the witness cosigned last of the log of that origin (tlog-witness, "Monitor Retrieval"); None where nothing."""


class WitnessRefusal(LogError):
    """A witness did not cosign. `status`: its HTTP status."""

    def __init__(self, witness: str, status: int) -> None:
        super().__init__(f"the witness {witness} refused the checkpoint with status {status}")
        self.status = status


class WitnessElsewhere(LogError):
    """The witness cosigned another size last (409)."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the witness has cosigned {size} entries")
        self.size = size


@dataclass(frozen=True)
class Cosigner:
    """A witness to be asked: its key, and the ways to its add-checkpoint and to what it cosigned last."""

    key: VerifierKey
    post: Post
    last: Last | None = None

    def __call__(self, old_size: int, proof: Sequence[bytes], checkpoint: str) -> str:
        """The witness's verified signature line; WitnessElsewhere, WitnessRefusal, SignatureError, FormatError."""
        hashes = "".join(f"{base64.b64encode(value).decode()}\n" for value in proof)
        status, answer = self.post(f"old {old_size}\n{hashes}\n{checkpoint}".encode())
        if status == 409:
            raise WitnessElsewhere(parse_decimal(answer.decode("ascii", "replace").rstrip("\n"), "the witness's size"))
        if status != 200:
            raise WitnessRefusal(self.key.name, status)
        lines = parse_signature_lines(answer.decode("utf-8", "replace"))
        verified = Note(Note.parse(checkpoint).text, lines).verified([self.key])
        if not verified:
            raise SignatureError(f"the witness {self.key.name} answered without its cosignature")
        return str(verified[0].line)


class Cosigning:
    """Gets the last durable checkpoint cosigned, round by round; a round asks all witnesses that are not still busy.

    `on_contradiction` is told once a witness shows a checkpoint of this log's own signature that the stored log does not
    extend: the log was set back or forked, and must sign nothing more.
    """

    def __init__(
        self, log: Log, cosigners: Sequence[Cosigner], on_contradiction: Callable[[LogRefusal], None] | None = None
    ) -> None:
        unknown = {cosigner.key for cosigner in cosigners} - set(log.witnesses)
        if unknown:
            raise ValueError("the log does not know the key of every cosigner: pass `witnesses` to Log")
        self._log = log
        self._cosigners = tuple(cosigners)
        self._on_contradiction = on_contradiction
        self._sizes = {cosigner.key: 0 for cosigner in cosigners}
        self._busy: dict[Future[None], Cosigner] = {}
        self._pool = ThreadPoolExecutor(max(1, len(cosigners)), thread_name_prefix="cosign")

    def round(self) -> bool:
        """Ask for cosignatures on the last checkpoint; True once it is cosigned, False if it did not come to that."""
        with self._log.engine.connect() as connection:
            checkpoint = self._log.store.latest(connection)
        if checkpoint is None:
            return False
        idle = self._idle()
        if not idle:
            wait_for(self._busy, return_when=FIRST_COMPLETED)
            idle = self._idle()
        asked = {self._pool.submit(self._ask, cosigner, checkpoint): cosigner for cosigner in idle}
        self._busy |= asked
        pending = set(asked)
        while pending:
            _, pending = wait_for(pending, return_when=FIRST_COMPLETED)
            if self._is_cosigned(checkpoint):
                return True
        return False

    def seen(self) -> list[str] | None:
        """The checkpoints of this log that its witnesses cosigned last; None while no witness answers."""
        asked = [(one, self._pool.submit(one.last, self._log.origin)) for one in self._cosigners if one.last is not None]
        notes: list[str] = []
        answers = 0
        for cosigner, future in asked:
            try:
                note = future.result()
                if note is not None:
                    notes.append(self._own(note).note)
            except (FormatError, SignatureError) as error:
                logger.error("the witness %s shows a checkpoint that cannot be used: %s", cosigner.key.name, error)
            except Exception as error:
                logger.warning("the witness %s cannot be asked: %s", cosigner.key.name, error)
            else:
                answers += 1
        return notes if answers or not asked else None

    def close(self) -> None:
        """Stop asking. A request that is under way ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _idle(self) -> list[Cosigner]:
        self._busy = {future: cosigner for future, cosigner in self._busy.items() if not future.done()}
        return [cosigner for cosigner in self._cosigners if cosigner not in self._busy.values()]

    def _is_cosigned(self, checkpoint: StoredCheckpoint) -> bool:
        with self._log.engine.connect() as connection:
            return self._log.cosigned_size(connection, checkpoint.size - 1) is not None

    def _ask(self, cosigner: Cosigner, checkpoint: StoredCheckpoint) -> None:
        try:
            line = self._cosign(cosigner, checkpoint)
        except WitnessRefusal as error:
            logger.critical("%s: the log may have been set back or forked; look before anything else", error)
            self._compare(cosigner)
        except (FormatError, SignatureError) as error:
            logger.error("the witness %s gave an answer that cannot be used: %s", cosigner.key.name, error)
        except Exception as error:
            logger.warning("the witness %s cannot be asked: %s", cosigner.key.name, error)
        else:
            # The witness remembers; a line that is lost is asked for again.
            with writing(self._log.engine, synced=False) as connection:
                self._log.store.add_cosignature(connection, checkpoint.size, str(cosigner.key), line)
            self._log.waiters.cosigned()

    def _cosign(self, cosigner: Cosigner, checkpoint: StoredCheckpoint) -> str:
        for _ in range(ATTEMPTS):
            old = self._sizes[cosigner.key]
            try:
                line = cosigner(old, self._log.consistency(old, checkpoint.size), checkpoint.note)
            except WitnessElsewhere as elsewhere:
                if elsewhere.size > checkpoint.size:
                    raise WitnessRefusal(cosigner.key.name, 409) from None
                self._sizes[cosigner.key] = elsewhere.size
            else:
                self._sizes[cosigner.key] = checkpoint.size
                return line
        raise WitnessRefusal(cosigner.key.name, 409)

    def _compare(self, cosigner: Cosigner) -> None:
        """What a witness that refuses has seen, against what is stored. Its word counts only under the log's own signature."""
        try:
            note = cosigner.last(self._log.origin) if cosigner.last is not None else None
            seen = self._own(note).checkpoint if note is not None else None
        except Exception as error:
            logger.warning("the witness %s does not show what it has seen: %s", cosigner.key.name, error)
            return
        if seen is None or self._log.extends(seen):
            return
        refusal = LogRefusal(
            f"the witness {cosigner.key.name} has cosigned {seen.size:,} entries that this log signed and does not hold: "
            "it was set back or forked"
        )
        if self._on_contradiction is not None:
            self._on_contradiction(refusal)

    def _own(self, note: bytes) -> SignedCheckpoint:
        return open_checkpoint(note, [self._log.signer.key])
