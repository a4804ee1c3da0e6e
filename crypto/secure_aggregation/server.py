"""The node's side of a round: functions of the messages that it has stored, so that any worker takes any step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from crypto.errors import AggregationRefused, InvalidShare
from crypto.secure_aggregation import masks, shamir
from crypto.secure_aggregation.checks import (
    expect_enough,
    open_advertisement,
    open_key_list,
    open_survivor_list,
    open_unmask_request,
)
from crypto.secure_aggregation.messages import (
    Consistency,
    Delivery,
    EncryptedShares,
    KeyList,
    MaskedInput,
    SealedShares,
    SurvivorList,
    Unmasking,
    UnmaskRequest,
    decode,
    digest,
    encode,
    opened,
)
from crypto.secure_aggregation.round import Round

Messages = Mapping[str, bytes]
"""What banks have sent in one step, by name."""


def key_list(round_: Round, advertisements: Messages) -> bytes:
    """After round 0: what every bank is sent; raises ``AggregationRefused`` for too few banks or keys that are not theirs."""
    listed = KeyList(round=round_.digest, advertisements=tuple(data for _, data in sorted(advertisements.items())))
    data = encode(listed)
    if set(open_key_list(round_, data)) != set(advertisements):
        raise AggregationRefused("an advertisement stands under another bank's name")
    return data


def check_advertisement(round_: Round, sender: str, data: bytes, others: Messages | None = None) -> None:
    """Raise ``AggregationRefused`` unless this is an advertisement of ``sender`` under its registered key, with new keys.

    ``others`` are those that have come before it: with a key twice there would be no key list.
    """
    advertised = open_advertisement(round_, data)
    if advertised.sender != sender:
        raise AggregationRefused("this advertisement is another bank's")
    earlier = [open_advertisement(round_, each) for each in (others or {}).values()]
    keys = [key for each in (advertised, *earlier) for key in (each.cipher_key, each.mask_key)]
    if len(set(keys)) != len(keys):
        raise AggregationRefused("an advertised key stands twice; each bank draws two new ones")


def advertisers(round_: Round, keys: bytes) -> tuple[str, ...]:
    """Whose keys a key list holds."""
    return tuple(open_key_list(round_, keys))


def check_shares(round_: Round, keys: bytes, sender: str, data: bytes) -> None:
    """Raise ``AggregationRefused`` unless ``sender`` has sealed shares for each of the others under this key list."""
    message = opened(data, EncryptedShares, round_, sender)
    if message.keys != digest(keys) or set(message.sealed) != set(open_key_list(round_, keys)) - {sender}:
        raise AggregationRefused("shares are sealed for every other bank of the present key list, and for nobody else")
    for recipient, part in message.sealed.items():
        sealed = opened(part, SealedShares, round_, sender)
        if (sealed.keys, sealed.recipient) != (message.keys, recipient):
            raise AggregationRefused("shares for one bank are sealed for another, or under another list of keys")


def deliveries(round_: Round, shares: Messages) -> dict[str, bytes]:
    """After round 1: for each bank that has shared keys, what the others have sealed for it."""
    expect_enough(round_, len(shares))
    sealed = {name: opened(data, EncryptedShares, round_, name).sealed for name, data in shares.items()}
    return {
        name: encode(
            Delivery(
                round=round_.digest,
                recipient=name,
                sealed={other: sealed[other][name] for other in sorted(shares) if other != name},
            )
        )
        for name in sorted(shares)
    }


def check_input(round_: Round, keys: bytes, sharers: tuple[str, ...], sender: str, data: bytes) -> bytes:
    """The digest of a masked vector; raises ``AggregationRefused`` for one of another length or with others' masks in it."""
    message = opened(data, MaskedInput, round_, sender)
    if message.keys != digest(keys) or message.sharers != sharers or sender not in sharers:
        raise AggregationRefused("the input holds the masks of other banks than have shared keys")
    if len(message.words) != 8 * round_.length:
        raise AggregationRefused(f"a masked vector has {round_.length} words of 8 bytes")
    return message.words_digest()


def survivor_list(round_: Round, keys: bytes, sharers: tuple[str, ...], inputs: Messages) -> bytes:
    """After round 2: who is alive, as every survivor is asked to sign it. ``inputs`` are digests of masked vectors by bank."""
    alive = tuple(sorted(inputs))
    listed = SurvivorList(
        round=round_.digest,
        keys=digest(keys),
        survivors=alive,
        dropped=tuple(sorted(set(sharers) - set(alive))),
        inputs=tuple(inputs[name] for name in alive),
    )
    data = encode(listed)
    open_survivor_list(round_, data)
    return data


def survivors_of(round_: Round, survivors: bytes) -> tuple[str, ...]:
    """Whom a survivor list names alive."""
    return open_survivor_list(round_, survivors).survivors


def inputs_of(round_: Round, survivors: bytes) -> dict[str, bytes]:
    """The digests of the survivors' masked inputs that a survivor list names."""
    listed = open_survivor_list(round_, survivors)
    return dict(zip(listed.survivors, listed.inputs, strict=True))


def check_consistency(round_: Round, survivors: bytes, sender: str, data: bytes) -> None:
    """Raise ``AggregationRefused`` unless ``sender`` is a survivor and has signed this list."""
    message = opened(data, Consistency, round_, sender)
    if message.list_digest != digest(survivors) or sender not in open_survivor_list(round_, survivors).survivors:
        raise AggregationRefused("this is no survivor's signature on the present survivor list")


def unmask_request(round_: Round, survivors: bytes, signatures: Messages) -> bytes:
    """After round 3: the request to unmask; raises ``AggregationRefused`` unless every survivor has signed the list."""
    request = UnmaskRequest(
        round=round_.digest,
        survivor_list=survivors,
        signatures=tuple(data for _, data in sorted(signatures.items())),
    )
    data = encode(request)
    open_unmask_request(round_, data)
    return data


def check_unmasking(round_: Round, survivors: bytes, sender: str, data: bytes) -> None:
    """Raise ``AggregationRefused`` unless ``sender`` is a survivor and gives a share for each bank of the list."""
    message, listed = opened(data, Unmasking, round_, sender), open_survivor_list(round_, survivors)
    if message.list_digest != digest(survivors) or sender not in listed.survivors:
        raise AggregationRefused("this is no survivor's answer to the present request")
    if set(message.mask_keys) != set(listed.dropped) or set(message.seeds) != set(listed.survivors):
        raise AggregationRefused("an answer holds one share for each bank: of a mask key of the dead, of a seed of the living")


def aggregate(round_: Round, keys: bytes, survivors: bytes, inputs: Messages, unmaskings: Messages) -> NDArray[np.uint64]:
    """After round 4: the sum of the survivors' vectors modulo 2^64, uint64[length].

    ``inputs`` are the survivors' masked inputs, ``unmaskings`` at least t survivors' answers. Raises ``AggregationRefused``
    for fewer, and where no t shares of a secret give what its bank had advertised: then that bank has dealt badly.
    """
    listed, advertised = open_survivor_list(round_, survivors), open_key_list(round_, keys)
    for name, data in unmaskings.items():
        check_unmasking(round_, survivors, name, data)
    expect_enough(round_, len(listed.survivors))
    if len(unmaskings) < round_.threshold:
        raise AggregationRefused(f"{len(unmaskings)} banks answered where {round_.threshold} are needed: nothing comes out")
    answers = {round_.index(name): opened(data, Unmasking, round_, name) for name, data in unmaskings.items()}
    total = np.zeros(round_.length, np.uint64)
    for name, expected in zip(listed.survivors, listed.inputs, strict=True):
        message = decode(inputs[name], MaskedInput, round_)
        if message.words_digest() != expected:
            raise AggregationRefused("an input is not the one that the survivors have signed")
        total += np.frombuffer(message.words, "<u8")
        shares = {index: answer.seeds[name] for index, answer in answers.items()}
        commitment = advertised[name].seed_commitment
        seed = _reconstruct(round_, name, shares, commitment, partial(masks.commit_seed, round_, name))
        masks.add_mask(total, masks.self_mask_key(round_, seed), subtract=True)
    for name in listed.dropped:
        shares = {index: answer.mask_keys[name] for index, answer in answers.items()}
        private = _reconstruct(round_, name, shares, advertised[name].mask_key, masks.public_of)
        for peer in listed.survivors:
            key = masks.pair_mask_key(round_, private, advertised[peer].mask_key)
            masks.add_pair_mask(total, key, peer, name, remove=True)
    return total


def _reconstruct(
    round_: Round, name: str, shares: dict[int, bytes], expected: bytes, public: Callable[[bytes], bytes]
) -> bytes:
    """The secret that ``expected`` is the public side of, from any t shares that give it: a few may be wrong."""
    for chosen in combinations(sorted(shares), round_.threshold):
        try:
            secret = shamir.combine({index: shares[index] for index in chosen}, round_.threshold)
        except InvalidShare:
            continue
        if public(secret) == expected:
            return secret
    raise AggregationRefused(f"the shares of {name} do not give the secret that it had advertised: the round is lost")
