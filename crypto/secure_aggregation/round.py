"""What all who take part in a round have agreed on before it, and the numbers that follow from it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Final

import msgspec
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from crypto.errors import AggregationRefused, ParameterError

FEWEST, MOST = 3, 10
LARGEST_LENGTH: Final = 1 << 27
_DIGEST_LABEL: Final = b"xinqiao/secure-aggregation/round/v1"


def threshold(banks: int) -> int:
    """t = ⌊2K/3⌋ + 1: how many banks must answer for a secret of another one to be known."""
    return 2 * banks // 3 + 1


def collusion_bound(banks: int, survivors: int | None = None) -> int:
    """c ≤ min(t − 1, 2t − K − 1, survivors − 2): how many banks may conspire with the node, and the others stay hidden.

    With t − 1 they cannot open a secret of another bank; with 2t − K − 1 the node cannot find t answers to each of two survivor
    lists, since no honest bank gives two; with survivors − 2 every sum has two honest banks in it. ``survivors`` is t if not
    given, fewer than which no round has.
    """
    t = threshold(banks)
    return min(t - 1, 2 * t - banks - 1, (t if survivors is None else survivors) - 2)


class Member(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Who takes part: the bank's name and its registered Ed25519 key (32 bytes)."""

    name: str
    key: bytes


@dataclass(frozen=True)
class Round:
    """One round of one session: summing vectors of ``length`` words of Z_2^64 over ``members``.

    A session may take several rounds where one does not come to its end; each has its own number, keys and masks, and at most
    one of them is unmasked. ``colluding`` is c, the number of banks whose conspiracy with the node must be borne; by default
    the largest that K allows. Raises ``ParameterError``.
    """

    session: str
    number: int
    members: tuple[Member, ...]
    length: int
    colluding: int = -1

    def __post_init__(self) -> None:
        names = [member.name for member in self.members]
        if not FEWEST <= len(names) <= MOST:
            raise ParameterError(f"{FEWEST} to {MOST} banks sum together, got {len(names)}")
        if names != sorted(set(names)) or len({member.key for member in self.members}) != len(names):
            raise ParameterError("banks are named in ascending order, each once, and each with a key of its own")
        if not self.session or self.number < 1 or not 1 <= self.length <= LARGEST_LENGTH:
            raise ParameterError(f"a round has a session, a number from 1 on, and 1 to {LARGEST_LENGTH} words")
        for member in self.members:
            verification_key(member)
        if self.colluding == -1:
            object.__setattr__(self, "colluding", collusion_bound(len(names)))
        if not 0 <= self.colluding <= collusion_bound(len(names)):
            raise ParameterError(f"{len(names)} banks bear at most {collusion_bound(len(names))} that conspire with the node")

    @property
    def names(self) -> tuple[str, ...]:
        """The banks, ascending."""
        return tuple(member.name for member in self.members)

    @property
    def threshold(self) -> int:
        """t."""
        return threshold(len(self.members))

    @property
    def fewest_survivors(self) -> int:
        """max(t, c + 2): with fewer, nothing comes out."""
        return max(self.threshold, self.colluding + 2)

    def index(self, name: str) -> int:
        """Where a bank's shares lie: 1 to K."""
        return self.names.index(name) + 1

    def key_of(self, name: str) -> Ed25519PublicKey:
        """A member's registered key; raises ``AggregationRefused`` for somebody who is not one."""
        for member in self.members:
            if member.name == name:
                return verification_key(member)
        raise AggregationRefused("a message names a bank that does not take part in this round")

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 over all of it: it stands in every message, signature, associated data and key derivation."""
        fields = (self.session, self.number, self.members, self.length, self.colluding)
        return hashlib.sha256(_DIGEST_LABEL + msgspec.msgpack.encode(fields)).digest()


def verification_key(member: Member) -> Ed25519PublicKey:
    """The key that verifies a member's signatures; raises ``ParameterError``."""
    try:
        return Ed25519PublicKey.from_public_bytes(member.key)
    except ValueError:
        raise ParameterError("a registered key is 32 bytes of an Ed25519 key") from None


@dataclass(frozen=True)
class Unmasked:
    """A sum that has come out before: what was asked (a digest of the question and of this bank's own labels), and of whom."""

    question: bytes
    banks: tuple[str, ...]


def check_history(question: bytes, survivors: Iterable[str], history: Sequence[Unmasked], colluding: int = 1) -> None:
    """Raise ``AggregationRefused`` where earlier sums of the same question, with this one, would give a bank away.

    So it is where the sets of banks differ by one or two, since the difference of two sums is what those have. With c
    conspiring banks, whose parts are known, it is also where they differ by up to c + 1, or where several sums together leave
    one bank.
    The very same banks are no difference, and get the same sum. Only unmasked rounds belong into ``history``: of the others
    nobody has learnt anything.
    """
    sums = {frozenset(earlier.banks) for earlier in history if earlier.question == question}
    now = frozenset(survivors)
    # In a sum over few, of a smaller project, fewer may conspire.
    known = max(1, min(colluding, *(len(banks) - 2 for banks in (now, *sums))))
    if now not in sums and _leaves_one({*sums, now}, known):
        raise AggregationRefused(
            "the same labels were summed before over a set of banks that differs by too few: the difference of the sums would "
            "show what one of them has. Go on with the same banks, or with changed labels"
        )


def _leaves_one(sums: set[frozenset[str]], known: int) -> bool:
    """Whether a combination of sums over these sets is one bank's part alone, given the parts of any ``known`` others."""
    banks = sorted(frozenset.union(*sums))
    matrix = np.array([[bank in each for bank in banks] for each in sums], dtype=np.float64)
    for conspirators in combinations(range(len(banks)), known):
        others = np.delete(matrix, conspirators, axis=1)
        # A unit vector lies in the space of the rows exactly if it is its own projection onto it.
        projection = np.linalg.pinv(others) @ others
        if np.isclose(np.diag(projection), 1.0, atol=1e-6).any():
            return True
    return False
