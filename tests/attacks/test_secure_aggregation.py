"""A node that lies in a sum over banks: it wants the vector of bank-0 alone, and never gets one word of it.

- Lists: it tells three banks that bank-0 is alive and two that it is dead, to get its seed from some and its mask key from the
  others. Works where few answers are enough and nobody signs the one list.
- Keys: it shows bank-0 keys of its own in the others' names, and so reads the shares and knows the masks. Works where keys are
  not signed.
- Second unmask: once the sum is out it asks again, with bank-0 dead. Works where a bank answers every request.
- Late input: it holds bank-0's input back, has its mask key opened as that of a dead bank, and then reads the input. Works with
  pairwise masks alone.
- One bank fewer: it begins another sum of the same vectors without bank-0. Works where a bank forgets what was summed before.

In the sound build a bank refuses, or what the node has left of the vector is no better than a guess. The attacks are the same
code on both builds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import msgspec
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from crypto import secure_aggregation as protocol
from crypto.errors import AggregationRefused, CryptoError, InvalidShare, ReuseRefused
from crypto.secure_aggregation import Member, Participant, Round, Unmasked, masks, messages, shamir
from crypto.secure_aggregation.checks import open_key_list
from crypto.secure_aggregation.messages import MaskedInput, SurvivorList, Unmasking, UnmaskRequest, decode

pytestmark = pytest.mark.attack

NAME = "secure-aggregation"
FULL_COUNT = 300
SMALL_COUNT = 2
BANKS = tuple(f"bank-{n}" for n in range(5))
TARGET, OTHERS = BANKS[0], BANKS[1:]
LENGTH = 64
QUESTION = b"the same labels"

Words = NDArray[np.uint64]


class Stage:
    """Five banks of one build, and a node that lies to them."""

    def __init__(
        self,
        rng: np.random.Generator,
        party: type[Participant],
        kind: type[Round] = Round,
        vectors: dict[str, Words] | None = None,
    ) -> None:
        self.signing = {n: Ed25519PrivateKey.from_private_bytes(rng.bytes(32)) for n in BANKS}
        self.vectors = vectors or {n: rng.integers(0, 2**64, LENGTH, dtype=np.uint64) for n in BANKS}
        members = tuple(Member(n, key.public_key().public_bytes_raw()) for n, key in self.signing.items())
        self.terms = kind(rng.bytes(8).hex(), 1, members, LENGTH)
        self.parties = {n: party(self.terms, n, self.signing[n]) for n in BANKS}

    def up_to_inputs(self) -> None:
        """An honest beginning."""
        self.keys = protocol.key_list(self.terms, {n: p.advertise_keys() for n, p in self.parties.items()})
        shares = {n: p.share_keys(self.keys) for n, p in self.parties.items()}
        delivered = protocol.deliveries(self.terms, shares)
        self.inputs = {n: p.mask_input(delivered[n], self.vectors[n]) for n, p in self.parties.items()}
        self.advertised = open_key_list(self.terms, self.keys)

    def listed(self, alive: tuple[str, ...]) -> bytes:
        digests = {n: protocol.check_input(self.terms, self.keys, BANKS, n, self.inputs[n]) for n in alive}
        return protocol.survivor_list(self.terms, self.keys, BANKS, digests)

    def agree(self, alive: tuple[str, ...], among: tuple[str, ...], history: list[Unmasked] | None = None) -> bytes:
        """A request to unmask, with the signatures of those who are shown this list."""
        survivors = self.listed(alive)
        signed = tuple(
            self.parties[n].check_consistency(survivors, question=QUESTION, history=history or []) for n in alive if n in among
        )
        return messages.encode(UnmaskRequest(round=self.terms.digest, survivor_list=survivors, signatures=signed))

    def ask(self, request: bytes, banks: tuple[str, ...], history: list[Unmasked] | None = None) -> dict[str, Unmasking]:
        answers = {n: self.parties[n].unmask(request, question=QUESTION, history=history or []) for n in banks}
        return {n: messages.opened(body, Unmasking, self.terms, n) for n, body in answers.items()}

    def seed(self, answers: dict[str, Unmasking]) -> bytes:
        return self._combine({n: answer.seeds[TARGET] for n, answer in answers.items()})

    def mask_key(self, answers: dict[str, Unmasking]) -> bytes:
        return self._combine({n: answer.mask_keys[TARGET] for n, answer in answers.items()})

    def _combine(self, shares: dict[str, bytes]) -> bytes:
        return shamir.combine({self.terms.index(n): share for n, share in shares.items()}, self.terms.threshold)

    def strip(self, mask_key: bytes | None, seed: bytes | None) -> Words:
        """What is left of the target's input without the masks that the node knows."""
        words = np.frombuffer(decode(self.inputs[TARGET], MaskedInput, self.terms).words, "<u8").astype(np.uint64)
        if seed is not None:
            masks.add_mask(words, masks.self_mask_key(self.terms, seed), subtract=True)
        for peer in OTHERS if mask_key is not None else ():
            key = masks.pair_mask_key(self.terms, mask_key or b"", self.advertised[peer].mask_key)
            masks.add_pair_mask(words, key, TARGET, peer, remove=True)
        return words


# --- the naive builds ---------------------------------------------------------------------------------------------------


class Generous(Round):
    """The naive round: two answers are enough."""

    @property
    def threshold(self) -> int:
        return 2


class Trusting(Participant):
    """The naive bank: it signs what it is shown, and answers every request."""

    def check_consistency(self, survivor_list: bytes, **_: Any) -> bytes:
        self._state.answers.pop("list", None)
        return super().check_consistency(survivor_list)

    def unmask(self, request: bytes, **_: Any) -> bytes:
        listed = decode(decode(request, UnmaskRequest, self.round).survivor_list, SurvivorList, self.round)
        shares = {**self._state.received, self._state.name: self._state.own_shares}
        message = Unmasking(
            round=self.round.digest,
            sender=self._state.name,
            list_digest=bytes(32),
            mask_keys={n: shares[n].mask_key for n in listed.dropped},  # type: ignore[union-attr]
            seeds={n: shares[n].seed for n in listed.survivors},  # type: ignore[union-attr]
        )
        return messages.sign(message, self._key)


class PairwiseOnly(Participant):
    """The naive bank: without a mask of its own, as long as nobody is lost the sum is the same."""

    def mask_input(self, delivery: bytes, vector: Words) -> bytes:
        add = masks.add_mask
        own = masks.self_mask_key(self.round, self._state.seed)

        def only_pairs(words: Words, key: bytes, *, subtract: bool = False) -> None:
            if key != own:
                add(words, key, subtract=subtract)

        with patch.object(masks, "add_mask", only_pairs):
            return super().mask_input(delivery, vector)


class Forgetful(Participant):
    """The naive bank: it looks at no history."""

    def check_consistency(self, survivor_list: bytes, **_: Any) -> bytes:
        return super().check_consistency(survivor_list)

    def unmask(self, request: bytes, **_: Any) -> bytes:
        return super().unmask(request)


# --- the lies -----------------------------------------------------------------------------------------------------------


def lists(rng: np.random.Generator, naive: bool) -> tuple[Words, Words]:
    stage = Stage(rng, Trusting, Generous) if naive else Stage(rng, Participant)
    stage.up_to_inputs()
    first, second = BANKS[:3], BANKS[3:]
    alive = stage.ask(stage.agree(BANKS, first), first)
    dead = stage.ask(stage.agree(OTHERS, second), second)
    return stage.strip(stage.mask_key(dead), stage.seed(alive)), stage.vectors[TARGET]


def second_unmask(rng: np.random.Generator, naive: bool) -> tuple[Words, Words]:
    stage = Stage(rng, Trusting if naive else Participant)
    stage.up_to_inputs()
    alive = stage.ask(stage.agree(BANKS, BANKS), BANKS)
    dead = stage.ask(stage.agree(OTHERS, OTHERS), OTHERS)
    return stage.strip(stage.mask_key(dead), stage.seed(alive)), stage.vectors[TARGET]


def late_input(rng: np.random.Generator, naive: bool) -> tuple[Words, Words]:
    """The input was on its way when the others were told that the bank is dead."""
    stage = Stage(rng, PairwiseOnly if naive else Participant)
    stage.up_to_inputs()
    dead = stage.ask(stage.agree(OTHERS, OTHERS), OTHERS)
    return stage.strip(stage.mask_key(dead), None), stage.vectors[TARGET]


def one_bank_fewer(rng: np.random.Generator, naive: bool) -> tuple[Words, Words]:
    party = Forgetful if naive else Participant
    first = Stage(rng, party)
    second = Stage(rng, party, vectors=first.vectors)
    sums: list[Words] = []
    history: list[Unmasked] = []
    for stage, alive in ((first, BANKS), (second, OTHERS)):
        stage.up_to_inputs()
        answers = stage.ask(stage.agree(alive, alive, history), alive, history)
        sent = {n: messages.encode(answer) for n, answer in answers.items()}
        sums.append(protocol.aggregate(stage.terms, stage.keys, stage.listed(alive), stage.inputs, sent))
        history.append(Unmasked(QUESTION, alive))
    return sums[0] - sums[1], first.vectors[TARGET]


def keys(rng: np.random.Generator, naive: bool) -> tuple[Words, Words]:
    """The node is every other bank to bank-0: keys of its own, under their names.

    A bank that does not know the others' registered keys takes them from the node: its round has the node's keys as members.
    """
    stage = Stage(rng, Participant)
    fakes = {n: Ed25519PrivateKey.from_private_bytes(rng.bytes(32)) for n in OTHERS}
    members = tuple(Member(n, fakes.get(n, stage.signing[n]).public_key().public_bytes_raw()) for n in BANKS)
    played = Round(stage.terms.session, 1, members, LENGTH)
    if naive:
        stage.terms = played
    target = Participant(stage.terms, TARGET, stage.signing[TARGET])
    puppets = {n: Participant(played, n, fakes[n]) for n in OTHERS}
    advertised = {n: _for(stage.terms, p.advertise_keys(), fakes[n]) for n, p in puppets.items()}
    listed = messages.KeyList(round=stage.terms.digest, advertisements=(target.advertise_keys(), *advertised.values()))
    shown = messages.encode(listed)
    shares = messages.opened(target.share_keys(shown), messages.EncryptedShares, stage.terms)
    own = open_key_list(stage.terms, shown)[TARGET]
    pairs = {
        n: masks.ShareSeal(
            stage.terms, messages.digest(shown), p._state.cipher_private, own.cipher_key, sender=TARGET, recipient=n
        ).open(messages.opened(shares.sealed[n], messages.SealedShares, stage.terms).data)
        for n, p in puppets.items()
    }
    t = stage.terms.threshold
    seed = shamir.combine({stage.terms.index(n): pair.seed for n, pair in pairs.items()}, t)
    private = shamir.combine({stage.terms.index(n): pair.mask_key for n, pair in pairs.items()}, t)
    keys = messages.digest(shown)
    sealed = {}
    for n, p in puppets.items():
        seal = masks.ShareSeal(stage.terms, keys, p._state.cipher_private, own.cipher_key, sender=n, recipient=TARGET)
        data = seal.seal(messages.SharePair(bytes(33), bytes(33)))
        message = messages.SealedShares(round=stage.terms.digest, sender=n, keys=keys, recipient=TARGET, data=data)
        sealed[n] = messages.sign(message, fakes[n])
    delivery = messages.encode(messages.Delivery(round=stage.terms.digest, recipient=TARGET, sealed=sealed))
    stage.inputs = {TARGET: target.mask_input(delivery, stage.vectors[TARGET])}
    stage.advertised = open_key_list(stage.terms, shown)
    return stage.strip(private, seed), stage.vectors[TARGET]


def _for(terms: Round, advertisement: bytes, key: Ed25519PrivateKey) -> bytes:
    """The same advertisement for other terms, signed with what key there is."""
    changed = msgspec.msgpack.encode({**msgspec.msgpack.decode(advertisement), "round": terms.digest})
    return messages.sign(decode(changed, messages.KeyAdvertisement, terms), key)


LIES: dict[str, Callable[[np.random.Generator, bool], tuple[Words, Words]]] = {
    "lists": lists,
    "keys": keys,
    "second unmask": second_unmask,
    "late input": late_input,
    "one bank fewer": one_bank_fewer,
}


def read(lie: Callable[[np.random.Generator, bool], tuple[Words, Words]], rng: np.random.Generator, naive: bool) -> float | str:
    """The part of the target's words that the lie reads, or why the banks refused."""
    try:
        guess, truth = lie(rng, naive)
    except (AggregationRefused, ReuseRefused, InvalidShare) as refusal:
        return type(refusal).__name__
    return float(np.mean(guess == truth))


def campaign(count: int, seed: int) -> dict[str, Any]:
    """Every lie `count` times on the sound build; raises AssertionError where one reads a word."""
    found: dict[str, Any] = {}
    for name, lie in LIES.items():
        rng = np.random.default_rng(seed)
        outcomes = [read(lie, rng, naive=False) for _ in range(count)]
        refused = [outcome for outcome in outcomes if isinstance(outcome, str)]
        words = [outcome for outcome in outcomes if not isinstance(outcome, str)]
        assert max(words, default=0.0) == 0, f"{name}: the node has read words of one bank's input"
        found[name] = {"refused": len(refused), "words read": 0.0, "naive build": read(lie, rng, naive=True)}
        assert found[name]["naive build"] == 1, f"{name}: the naive build must give the input away"
    return {"trials each": count, "lies": found}


def test_no_lie_reads_a_bank_s_input() -> None:
    found = campaign(SMALL_COUNT, 1)["lies"]
    refused = {name for name, outcome in found.items() if outcome["refused"] == SMALL_COUNT}
    # An input that is held back cannot be told from one that is lost: there the second mask protects it.
    assert refused == set(LIES) - {"late input"}


def test_a_bank_that_knows_itself_dead_sends_no_input() -> None:
    stage = Stage(np.random.default_rng(3), Participant)
    stage.up_to_inputs()
    target = stage.parties[TARGET]
    with pytest.raises(CryptoError, match="names this bank dead"):
        target.check_consistency(stage.listed(OTHERS))
    target._state.answers.pop("input")
    with pytest.raises(CryptoError, match="too late"):
        target.mask_input(b"", stage.vectors[TARGET])


@pytest.mark.parametrize("alive", [BANKS, OTHERS])
def test_one_list_signed_by_all_gives_the_sum(alive: tuple[str, ...]) -> None:
    """The stage itself is right: without a lie the same calls give the sum."""
    stage = Stage(np.random.default_rng(4), Participant)
    stage.up_to_inputs()
    answers = stage.ask(stage.agree(alive, alive), alive)
    sent = {n: messages.encode(answer) for n, answer in answers.items()}
    total = protocol.aggregate(stage.terms, stage.keys, stage.listed(alive), stage.inputs, sent)
    np.testing.assert_array_equal(total, np.sum([stage.vectors[n] for n in alive], axis=0, dtype=np.uint64))
