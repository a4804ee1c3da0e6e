"""What every reader of a round's public messages checks, bank, node and office alike."""

from __future__ import annotations

from crypto.errors import AggregationRefused
from crypto.secure_aggregation.masks import KEY_BYTES, check_key
from crypto.secure_aggregation.messages import (
    Consistency,
    KeyAdvertisement,
    KeyList,
    SurvivorList,
    UnmaskRequest,
    decode,
    digest,
    opened,
)
from crypto.secure_aggregation.round import Round


def open_advertisement(round_: Round, data: bytes) -> KeyAdvertisement:
    """A bank's advertisement, signed by its registered key; raises ``AggregationRefused``."""
    message = opened(data, KeyAdvertisement, round_)
    sizes = {len(message.cipher_key), len(message.mask_key), len(message.seed_commitment)}
    if sizes != {KEY_BYTES} or len(message.input_commitment) not in {0, KEY_BYTES}:
        raise AggregationRefused("keys and commitments have 32 bytes")
    for key in (message.cipher_key, message.mask_key):
        check_key(key)
    return message


def open_key_list(round_: Round, data: bytes) -> dict[str, KeyAdvertisement]:
    """The advertised keys by bank; raises ``AggregationRefused`` for a bank or key that stands twice, or too few."""
    listed = [open_advertisement(round_, each) for each in decode(data, KeyList, round_).advertisements]
    names = [message.sender for message in listed]
    if names != sorted(set(names)):
        raise AggregationRefused("the key list names a bank twice, or not in order")
    keys = [key for message in listed for key in (message.cipher_key, message.mask_key)]
    if len(set(keys)) != len(keys):
        raise AggregationRefused("a key stands twice in the key list: one bank's key was given out as another's")
    expect_enough(round_, len(names))
    return dict(zip(names, listed, strict=True))


def open_survivor_list(round_: Round, data: bytes) -> SurvivorList:
    """A survivor list that can be one; raises ``AggregationRefused``."""
    message = decode(data, SurvivorList, round_)
    alive, dead = set(message.survivors), set(message.dropped)
    if alive & dead:
        raise AggregationRefused("the survivor list names a bank both alive and dead")
    ordered = (sorted(alive), sorted(dead)) == (list(message.survivors), list(message.dropped))
    if not ordered or not alive | dead <= set(round_.names) or len(message.inputs) != len(message.survivors):
        raise AggregationRefused("the survivor list names a bank twice, not in order, or one that does not take part")
    if any(len(each) != KEY_BYTES for each in (message.keys, *message.inputs)):
        raise AggregationRefused("the survivor list names an input by something else than its digest")
    expect_enough(round_, len(alive))
    return message


def open_unmask_request(round_: Round, data: bytes) -> tuple[SurvivorList, bytes]:
    """The survivor list of a request to unmask and its digest, once every survivor's signature on it is verified."""
    request = decode(data, UnmaskRequest, round_)
    listed = open_survivor_list(round_, request.survivor_list)
    signed = [opened(each, Consistency, round_) for each in request.signatures]
    if tuple(message.sender for message in signed) != listed.survivors:
        raise AggregationRefused("not every survivor has signed the survivor list, and nobody else: nothing is unmasked")
    agreed = digest(request.survivor_list)
    if any(message.list_digest != agreed for message in signed):
        raise AggregationRefused("the survivors have signed different lists: nothing is unmasked")
    return listed, agreed


def expect_enough(round_: Round, count: int) -> None:
    """Raise ``AggregationRefused`` for fewer banks than a sum may be over."""
    if count < round_.fewest_survivors:
        raise AggregationRefused(
            f"{count} banks are left where {round_.fewest_survivors} of {len(round_.members)} are needed: nothing comes out. "
            "Begin a new round when the others are back"
        )
