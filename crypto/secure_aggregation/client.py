"""A bank's side of a round. See the package for the messages; each method is a step of them, named as in the source."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from crypto.errors import AggregationRefused, InvalidShare, ParameterError, ReuseRefused
from crypto.secure_aggregation import masks, shamir
from crypto.secure_aggregation.checks import expect_enough, open_key_list, open_survivor_list, open_unmask_request
from crypto.secure_aggregation.messages import (
    Consistency,
    Delivery,
    EncryptedShares,
    KeyAdvertisement,
    MaskedInput,
    Opening,
    SealedShares,
    SharePair,
    Unmasking,
    decode,
    digest,
    encode,
    opened,
    sign,
)
from crypto.secure_aggregation.round import Round, Unmasked, check_history
from crypto.secure_aggregation.state import Answer, State, read_state

KEYS: Final = "keys"
SHARES: Final = "shares"
INPUT: Final = "input"
LIST: Final = "list"
UNMASK: Final = "unmask"
_STEPS: Final = (KEYS, SHARES, INPUT, LIST, UNMASK)


class Participant:
    """One bank in one round, with fresh secrets; ``signing_key`` is the registered key, which is never stored with them.

    Each step is answered once. Asked the same again it gives the same bytes; asked anything else, it refuses with
    ``ReuseRefused``. Store ``snapshot()`` durably *before* a step's answer leaves: a bank that is restored from it goes on
    where it was and cannot give another answer.
    """

    def __init__(self, round_: Round, name: str, signing_key: Ed25519PrivateKey) -> None:
        self._bind(
            round_,
            signing_key,
            State(
                session=round_.session,
                number=round_.number,
                members=round_.members,
                length=round_.length,
                colluding=round_.colluding,
                name=name,
                cipher_private=secrets.token_bytes(masks.KEY_BYTES),
                mask_private=secrets.token_bytes(masks.KEY_BYTES),
                seed=secrets.token_bytes(masks.KEY_BYTES),
            ),
        )

    def __repr__(self) -> str:
        done = ", ".join(self._state.answers) or "nothing"
        return f"Participant({self._state.name!r}, {self.round.session!r}, round {self.round.number}, done: {done}, <secret>)"

    # ---------------------------------------------------------------- kept over a restart

    def snapshot(self) -> bytes:
        """All of the state, secrets among it: keep it where nobody else reads."""
        return encode(self._state)

    @property
    def done(self) -> frozenset[str]:
        """The steps that this bank has taken: ``keys``, ``shares``, ``input``, ``list``, ``unmask``."""
        return frozenset(self._state.answers)

    @property
    def key_list(self) -> bytes:
        """The key list that this bank has shared keys under; none before."""
        return self._state.key_list

    @property
    def survivors(self) -> tuple[str, ...]:
        """The survivor list that this bank has signed."""
        return self._state.survivors

    @property
    def input_digest(self) -> bytes:
        """SHA-256 of the masked vector that this bank has sent."""
        return decode(self.answer_to(INPUT), MaskedInput, self.round).words_digest()

    def answer_to(self, step: str) -> bytes:
        """What this bank has answered in a step; raises ``AggregationRefused`` where it has not."""
        if step not in self._state.answers:
            raise AggregationRefused(f"this bank has not taken the step {step!r} in this round")
        return self._state.answers[step].answer

    @classmethod
    def restore(cls, snapshot: bytes, signing_key: Ed25519PrivateKey) -> Participant:
        """The bank as it was; raises ``ParameterError`` for other bytes or another key."""
        state = read_state(snapshot)
        made = cls.__new__(cls)
        made._bind(state.terms(), signing_key, state)
        return made

    # ---------------------------------------------------------------- the steps

    def advertise_keys(self, input_commitment: bytes = b"") -> bytes:
        """Round 0: two ephemeral public keys and a commitment to the self-mask seed, signed.

        ``input_commitment`` (32 bytes or none) binds the round to inputs that were committed to elsewhere.
        """
        state = self._state
        message = KeyAdvertisement(
            round=self.round.digest,
            sender=state.name,
            cipher_key=masks.public_of(state.cipher_private),
            mask_key=masks.public_of(state.mask_private),
            seed_commitment=masks.commit_seed(self.round, state.name, state.seed),
            input_commitment=input_commitment,
        )
        return self._once(KEYS, input_commitment, lambda: sign(message, self._key))

    def share_keys(self, key_list: bytes) -> bytes:
        """Round 1: shares of the mask key and of the seed, sealed for each bank of the key list."""

        def make() -> bytes:
            listed = open_key_list(self.round, key_list)
            state = self._state
            own = listed.get(state.name)
            if own is None or encode(own) != state.answers[KEYS].answer:
                raise AggregationRefused("the key list does not hold the keys that this bank has advertised")
            total, t = len(self.round.members), self.round.threshold
            of_key, of_seed = shamir.split(state.mask_private, total, t), shamir.split(state.seed, total, t)
            pairs = {name: SharePair(of_key[self.round.index(name)], of_seed[self.round.index(name)]) for name in listed}
            sealed = {
                name: self._sealed(key_list, keys.cipher_key, name, pairs[name])
                for name, keys in listed.items()
                if name != state.name
            }
            message = EncryptedShares(round=self.round.digest, sender=state.name, keys=digest(key_list), sealed=sealed)
            state.key_list, state.own_shares = key_list, pairs[state.name]
            return sign(message, self._key)

        return self._once(SHARES, key_list, make)

    def mask_input(self, delivery: bytes, vector: NDArray[np.uint64]) -> bytes:
        """Round 2: ``vector`` uint64[length] plus the self mask and the pairwise masks of all who have shared keys.

        Refused once a survivor list was seen: an input that comes late could be unmasked with what was opened for a dead bank.
        """
        if vector.shape != (self.round.length,) or vector.dtype != np.uint64:
            raise ParameterError(f"the vector has {self.round.length} words of 64 bits (uint64)")
        if self._state.named_dead:
            raise AggregationRefused("it is too late for this bank's input: the survivors have been named already")

        def make() -> bytes:
            state = self._state
            listed = open_key_list(self.round, state.key_list)
            received = self._open_delivery(delivery, {name: keys.cipher_key for name, keys in listed.items()})
            words = vector.copy()
            masks.add_mask(words, masks.self_mask_key(self.round, state.seed))
            for peer in received:
                key = masks.pair_mask_key(self.round, state.mask_private, listed[peer].mask_key)
                masks.add_pair_mask(words, key, state.name, peer)
            state.received = received
            message = MaskedInput(
                round=self.round.digest,
                sender=state.name,
                keys=digest(state.key_list),
                sharers=tuple(sorted((*received, state.name))),
                words=words.astype("<u8", copy=False).tobytes(),
            )
            return sign(message, self._key)

        return self._once(INPUT, delivery + digest(np.ascontiguousarray(vector, "<u8").tobytes()), make)

    def opening(self) -> bytes:
        """For the office, where inputs are proven: what this bank's masks of this round are made of. Secret."""
        state = self._state
        if INPUT not in state.answers or UNMASK in state.answers:
            raise AggregationRefused("masks are opened to the office after the masked input and before anything is unmasked")
        return encode(Opening(round=self.round.digest, sender=state.name, mask_private=state.mask_private, seed=state.seed))

    def check_consistency(self, survivor_list: bytes, *, question: bytes = b"", history: Sequence[Unmasked] = ()) -> bytes:
        """Round 3: sign the survivor list, the only one of this round.

        ``question`` is a digest of what is being asked and of this bank's own labels, ``history`` the sums unmasked before:
        the rule on sets of banks that differ by one or two is checked against them.
        """

        listed = open_survivor_list(self.round, survivor_list)
        state = self._state
        if state.name not in listed.survivors and LIST not in state.answers:
            self.stand_aside()
            raise AggregationRefused("the survivor list names this bank dead: it gives no input any more and unmasks nobody")

        def make() -> bytes:
            given = decode(state.answers[INPUT].answer, MaskedInput, self.round)
            if listed.keys != given.keys or {*listed.survivors, *listed.dropped} != set(given.sharers):
                raise AggregationRefused("the survivor list leaves out a bank that has shared keys, or brings another in")
            if listed.inputs[listed.survivors.index(state.name)] != given.words_digest():
                raise AggregationRefused("the survivor list names another input than this bank has sent")
            check_history(question, listed.survivors, history, self.round.colluding)
            state.survivors = listed.survivors
            message = Consistency(round=self.round.digest, sender=state.name, list_digest=digest(survivor_list))
            return sign(message, self._key)

        return self._once(LIST, survivor_list, make)

    def unmask(self, request: bytes, *, question: bytes = b"", history: Sequence[Unmasked] = ()) -> bytes:
        """Round 4: shares of the survivors' seeds and of the dropped banks' mask keys, once all survivors signed the one list.

        The history is looked at again, since another session may have been unmasked in the meantime; add this round to it with
        the snapshot, before the answer leaves. Afterwards the round's secrets are forgotten.
        """

        def make() -> bytes:
            state = self._state
            listed, agreed = open_unmask_request(self.round, request)
            if agreed != decode(state.answers[LIST].answer, Consistency, self.round).list_digest:
                raise AggregationRefused("another survivor list than the one that this bank has signed: nothing is unmasked")
            check_history(question, listed.survivors, history, self.round.colluding)
            shares = {**state.received, state.name: state.own_shares}
            message = Unmasking(
                round=self.round.digest,
                sender=state.name,
                list_digest=agreed,
                mask_keys={name: _held(shares, name).mask_key for name in listed.dropped},
                seeds={name: _held(shares, name).seed for name in listed.survivors},
            )
            state.cipher_private = state.mask_private = state.seed = b""
            state.own_shares, state.received = None, {}
            return sign(message, self._key)

        return self._once(UNMASK, request, make)

    def stand_aside(self) -> None:
        """Give no input to this round any more: others have been told that this bank is dead."""
        self._state.named_dead = True

    # ---------------------------------------------------------------- inside

    def _bind(self, round_: Round, signing_key: Ed25519PrivateKey, state: State) -> None:
        if {member.name: member.key for member in round_.members}.get(
            state.name
        ) != signing_key.public_key().public_bytes_raw():
            raise ParameterError("this bank does not take part in the round with this key")
        self.round, self._key, self._state = round_, signing_key, state

    def _once(self, step: str, asked: bytes, make: Callable[[], bytes]) -> bytes:
        """The step's one answer; the step before it must be done, the same question gets the same bytes."""
        answers, wanted = self._state.answers, digest(asked)
        if step in answers:
            if not hmac.compare_digest(answers[step].asked, wanted):
                raise ReuseRefused(f"the step {step!r} of this round was taken before on something else; begin a new round")
            return answers[step].answer
        before = _STEPS[: _STEPS.index(step)]
        if missing := [earlier for earlier in before if earlier not in answers]:
            raise AggregationRefused(f"the step {step!r} comes after {missing[0]!r}, which this bank has not taken")
        answers[step] = Answer(wanted, answer := make())
        return answer

    def _seal(self, key_list: bytes, peer: bytes, *, sender: str, recipient: str) -> masks.ShareSeal:
        return masks.ShareSeal(
            self.round, digest(key_list), self._state.cipher_private, peer, sender=sender, recipient=recipient
        )

    def _sealed(self, key_list: bytes, peer: bytes, recipient: str, shares: SharePair) -> bytes:
        data = self._seal(key_list, peer, sender=self._state.name, recipient=recipient).seal(shares)
        keys, sender = digest(key_list), self._state.name
        return sign(SealedShares(round=self.round.digest, sender=sender, keys=keys, recipient=recipient, data=data), self._key)

    def _open_delivery(self, data: bytes, cipher_keys: dict[str, bytes]) -> dict[str, SharePair]:
        state = self._state
        delivery = decode(data, Delivery, self.round)
        if delivery.recipient != state.name or state.name in delivery.sealed or not set(delivery.sealed) <= set(cipher_keys):
            raise AggregationRefused("the delivery is for another bank, or from one that has not advertised keys")
        expect_enough(self.round, len(delivery.sealed) + 1)
        received = {}
        for name, sealed in sorted(delivery.sealed.items()):
            message = opened(sealed, SealedShares, self.round, name)
            if (message.keys, message.recipient) != (digest(state.key_list), state.name):
                raise AggregationRefused(f"the shares that come from {name} are for another bank or list of keys")
            try:
                pair = self._seal(state.key_list, cipher_keys[name], sender=name, recipient=state.name).open(message.data)
                for share in (pair.mask_key, pair.seed):
                    shamir.check_share(self.round.index(state.name), share)
            except (AggregationRefused, InvalidShare) as error:
                raise AggregationRefused(f"by {name}, who has signed it, not by the node: {error}") from None
            received[name] = pair
        return received


def _held(shares: dict[str, SharePair | None], name: str) -> SharePair:
    found = shares.get(name)
    if found is None:
        raise AggregationRefused("the request is about a bank that has given this one no shares")
    return found
