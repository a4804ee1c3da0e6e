"""A tlog-witness: it cosigns a log's checkpoint only if that extends the last one it cosigned.

```
 log                                              witness
 old <size>                              ───────▶ (1) is the log known?                      404
 <consistency proof, base64 lines>                (2) did it sign this?                      403
                                                  (3) old size ≤ new size?                   400
 <checkpoint>                                     (4) is the old size the one I cosigned?    409, its size
                                                  (5) does the proof lead from mine to this? 422
                                                  (6) remember it, durably
 cosignature/v1 line                     ◀─────── (7) cosign                                 200
```

What the witness learns: the log's name, size and root, never an entry. Bytes in, bytes out: the store decides where the
memory lies, the service how bytes travel.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from audit.verifier.checkpoint import Checkpoint, parse_decimal, parse_hash
from audit.verifier.errors import FormatError, ProofError, SignatureError
from audit.verifier.merkle import EMPTY_ROOT, verify_consistency
from audit.verifier.note import CosignatureSigner, Note, VerifierKey

MAX_PROOF_LINES = 63
MAX_REQUEST_BYTES = 1 << 20
TEXT = "text/plain; charset=utf-8"
SIZE = "text/x.tlog.size"


@dataclass(frozen=True)
class Seen:
    """What a witness remembers of a log: the note it cosigned last (as the log signed it), and when (POSIX seconds)."""

    note: str
    time: int

    @property
    def text(self) -> str:
        """The checkpoint's text."""
        return Note.parse(self.note).text

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint."""
        return Checkpoint.parse(self.text)


@dataclass(frozen=True)
class Reply:
    """An answer over HTTP. `fork`: two notes of the log that prove its misbehaviour, for the operator's alarm."""

    status: int
    body: str
    content_type: str = TEXT
    fork: tuple[str, str] | None = None


Decide = Callable[[Seen | None], tuple[Seen | None, Reply]]
"""From what is remembered of a log to what shall be remembered instead (None: no change), and the reply."""


class WitnessStore(Protocol):
    """A witness's memory. It must outlast a power failure, and must not come from the log's own backup."""

    def update(self, origin: str, decide: Decide) -> Reply:
        """Run `decide` on what is remembered of `origin`; remember what it gives, durably, before returning the reply.

        Reading and remembering are one step: no other update of `origin` comes between. A reply's `fork` is kept.
        """

    def last(self, origin: str) -> Seen | None:
        """What is remembered of a log."""


class Witness:
    """The witness `signer` of the logs in `logs`, by origin (tlog-witness)."""

    def __init__(
        self,
        signer: CosignatureSigner,
        logs: Mapping[str, Sequence[VerifierKey]],
        store: WitnessStore,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if any(key.public_key == signer.key.public_key for keys in logs.values() for key in keys):
            raise ValueError("a witness does not cosign a log of its own key")
        self.key = signer.key
        self._signer = signer
        self._logs = {origin: tuple(keys) for origin, keys in logs.items()}
        self._store = store
        self._clock = clock

    def add_checkpoint(self, body: bytes) -> Reply:
        """Answer one add-checkpoint request."""
        try:
            request = AddCheckpoint.parse(body)
        except FormatError as error:
            return Reply(400, f"{error}\n")
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        now = int(self._clock())
        reply = self._store.update(request.checkpoint.origin, lambda seen: consider(request, seen, now))
        if reply.status != 200:
            return reply
        # (7) The store has persisted; from here on nothing can be forgotten.
        return Reply(200, self._cosignature(Seen(request.note, int(reply.body))))

    def _refusal(self, request: AddCheckpoint) -> Reply | None:
        """What can be said against a request without remembering anything."""
        # (1)
        keys = self._logs.get(request.checkpoint.origin)
        if keys is None:
            return Reply(404, "this witness does not know the log\n")
        # (2)
        try:
            signed = Note.parse(request.note).verified(keys)
        except SignatureError as error:
            return Reply(403, f"{error}\n")
        if not signed:
            return Reply(403, "no key that this witness knows for the log has signed the checkpoint\n")
        # (3)
        if request.old > request.checkpoint.size:
            return Reply(400, "the old size is above the new one\n")
        return None

    def checkpoint(self, origin: str) -> str | None:
        """The last checkpoint of a log with this witness's cosignature, or None (tlog-witness, "Monitor Retrieval")."""
        seen = self._store.last(origin) if origin in self._logs else None
        return None if seen is None else seen.note + self._cosignature(seen)

    @property
    def origins(self) -> frozenset[str]:
        """The logs that it knows."""
        return frozenset(self._logs)

    def _cosignature(self, seen: Seen) -> str:
        return self._signer.cosign(seen.text, seen.time)


@dataclass(frozen=True)
class AddCheckpoint:
    """A request: the size that the log believes was cosigned last, the proof from there, and its new checkpoint."""

    old: int
    proof: tuple[bytes, ...]
    note: str
    checkpoint: Checkpoint

    @classmethod
    def parse(cls, body: bytes) -> AddCheckpoint:
        """Read a request's body strictly; FormatError."""
        if len(body) > MAX_REQUEST_BYTES:
            raise FormatError("the request is above 1 MiB")
        try:
            head, separator, note = body.decode().partition("\n\n")
        except UnicodeDecodeError:
            raise FormatError("the request is not UTF-8") from None
        first, *lines = head.split("\n")
        if not separator or not first.startswith("old "):
            raise FormatError("a request is: old size, proof lines, an empty line, a checkpoint")
        if len(lines) > MAX_PROOF_LINES:
            raise FormatError(f"a consistency proof has at most {MAX_PROOF_LINES} lines")
        parsed = Note.parse(note)
        return cls(
            parse_decimal(first.removeprefix("old "), "the old size"),
            tuple(parse_hash(line, f"line {number} of the proof") for number, line in enumerate(lines, 1)),
            parsed.text + "\n" + "".join(str(line) for line in parsed.lines),
            Checkpoint.parse(parsed.text),
        )


def consider(request: AddCheckpoint, seen: Seen | None, now: int) -> tuple[Seen | None, Reply]:
    """Decide on a request that the log has signed, given what was cosigned last. Pure.

    A reply of 200 carries the cosignature's time, max(now, last), as its body.
    """
    last, new = (seen.checkpoint if seen else None), request.checkpoint
    fork = None
    if seen and last and last.size == new.size and last.root != new.root:
        fork = (seen.note, request.note)  # two signed roots for one size: the log cannot explain this away
    # (4)
    size = last.size if last else 0
    if request.old != size:
        return None, Reply(409, f"{size}\n", SIZE, fork)
    # (5)
    try:
        _check_extension(request, last)
    except ProofError as error:
        return None, Reply(422, f"{error}\n", TEXT, fork)
    # (6)
    time_of_cosignature = max(now, seen.time if seen else 0, 1)
    return Seen(request.note, time_of_cosignature), Reply(200, str(time_of_cosignature))


def _check_extension(request: AddCheckpoint, last: Checkpoint | None) -> None:
    new = request.checkpoint
    if new.size == 0 and new.root != EMPTY_ROOT:
        raise ProofError("this is not the root of the empty log")
    if request.old > 0:
        assert last is not None, "an old size above zero was cosigned"
        verify_consistency(last.size, new.size, last.root, new.root, request.proof)
    elif request.proof:
        raise ProofError("anything extends the empty log, so the proof must be empty")
