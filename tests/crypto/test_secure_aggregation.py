"""Secure aggregation: sums under every dropout, refusals one by one, secrets that a restart keeps; and Shamir's shares."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from crypto import secure_aggregation as protocol
from crypto.errors import AggregationRefused, InvalidShare, ParameterError, ReuseRefused
from crypto.secure_aggregation import Member, Participant, Round, Unmasked, collusion_bound, messages, shamir
from crypto.secure_aggregation.messages import KeyAdvertisement, KeyList, SurvivorList, decode, encode, sign

LENGTH = 7


@dataclass
class Banks:
    """K banks with keys and vectors, and what was sent so far."""

    count: int
    session: str = "session"
    number: int = 1
    seed: int = 1
    sent: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        names = [f"bank-{n}" for n in range(self.count)]
        self.signing = {n: Ed25519PrivateKey.from_private_bytes(rng.bytes(32)) for n in names}
        self.vectors = {n: rng.integers(0, 2**64, LENGTH, dtype=np.uint64) for n in names}
        members = tuple(Member(n, key.public_key().public_bytes_raw()) for n, key in self.signing.items())
        self.terms = Round(self.session, self.number, members, LENGTH)
        self.parties = {n: Participant(self.terms, n, self.signing[n]) for n in names}

    @property
    def names(self) -> list[str]:
        return list(self.parties)

    def keys(self, names: Sequence[str]) -> bytes:
        return protocol.key_list(self.terms, {n: self.parties[n].advertise_keys() for n in names})

    def deliveries(self, keys: bytes, names: Sequence[str]) -> dict[str, bytes]:
        shares = {n: self.parties[n].share_keys(keys) for n in names}
        for n, body in shares.items():
            protocol.check_shares(self.terms, keys, n, body)
        return protocol.deliveries(self.terms, shares)

    def inputs(self, delivered: dict[str, bytes], names: Sequence[str]) -> dict[str, bytes]:
        return {n: self.parties[n].mask_input(delivered[n], self.vectors[n]) for n in names}

    def listed(self, keys: bytes, sharers: Sequence[str], inputs: dict[str, bytes]) -> bytes:
        shared = tuple(sorted(sharers))
        digests = {n: protocol.check_input(self.terms, keys, shared, n, body) for n, body in inputs.items()}
        return protocol.survivor_list(self.terms, keys, shared, digests)

    def request(self, survivors: bytes, names: Sequence[str]) -> bytes:
        signed = {n: self.parties[n].check_consistency(survivors) for n in names}
        for n, body in signed.items():
            protocol.check_consistency(self.terms, survivors, n, body)
        return protocol.unmask_request(self.terms, survivors, signed)

    def run(self, at_keys: int, at_shares: int, at_input: int, at_unmask: int) -> tuple[NDArray[np.uint64], list[str]]:
        """Everything, with so many banks left in each step; the last ones drop out."""
        names = self.names
        keys = self.keys(names[:at_keys])
        delivered = self.deliveries(keys, names[:at_shares])
        inputs = self.inputs(delivered, names[:at_input])
        survivors = self.listed(keys, names[:at_shares], inputs)
        request = self.request(survivors, names[:at_input])
        answers = {n: self.parties[n].unmask(request) for n in names[:at_unmask]}
        return protocol.aggregate(self.terms, keys, survivors, inputs, answers), names[:at_input]

    def up_to_list(self, alive: int | None = None) -> tuple[bytes, dict[str, bytes], bytes]:
        """Keys, masked inputs and survivor list, with `alive` inputs."""
        keys = self.keys(self.names)
        inputs = self.inputs(self.deliveries(keys, self.names), self.names[:alive])
        return keys, inputs, self.listed(keys, self.names, inputs)


# ---------------------------------------------------------------------------------------------------- sums


@pytest.mark.parametrize("count", [3, 4, 6, 10])
def test_the_sum_comes_out_whoever_drops_out_and_whenever(count: int) -> None:
    least = Banks(count).terms.fewest_survivors
    steps = {count, least} if count > 5 else {count, (count + least) // 2, least}
    for pattern in itertools.product(steps, repeat=4):
        if list(pattern) == sorted(pattern, reverse=True):
            banks = Banks(count)
            total, alive = banks.run(*pattern)
            np.testing.assert_array_equal(total, sum(banks.vectors[n] for n in alive))


@pytest.mark.parametrize("count", [3, 4, 7, 10])
def test_below_the_threshold_nothing_comes_out(count: int) -> None:
    least = Banks(count).terms.fewest_survivors
    for short in range(4):
        pattern = [count] * short + [least - 1] * (4 - short)
        with pytest.raises(AggregationRefused, match="are needed"):
            Banks(count).run(*pattern)


def test_a_masked_input_is_uniform_and_new_each_time() -> None:
    """With the same vector in another round nothing of the first one is there again."""
    words = []
    for _ in range(2):
        _, inputs, _ = Banks(3).up_to_list()
        words += [msgspec.msgpack.decode(inputs["bank-0"])["words"]]
    assert words[0] != words[1]


def test_the_stated_bounds() -> None:
    assert [protocol.threshold(k) for k in range(3, 11)] == [3, 3, 4, 5, 5, 6, 7, 7]
    assert [collusion_bound(k) for k in range(3, 11)] == [1, 1, 2, 3, 2, 3, 4, 3]
    for k in range(3, 11):
        t, c = protocol.threshold(k), collusion_bound(k)
        assert c <= t - 1
        assert c <= 2 * t - k - 1
        assert c <= t - 2
        for survivors in range(t, k + 1):
            assert collusion_bound(k, survivors) == min(t - 1, 2 * t - k - 1, survivors - 2)
    with pytest.raises(ParameterError, match="at most 1"):
        Round("s", 1, Banks(3).terms.members, 1, colluding=2)


def test_impossible_rounds() -> None:
    members = Banks(4).terms.members
    for wrong in (members[:2], members[::-1], (members[0], *members[:3]), (*members[:3], Member("bank-9", members[0].key))):
        with pytest.raises(ParameterError):
            Round("s", 1, wrong, 1)
    for session, number, length in (("", 1, 1), ("s", 0, 1), ("s", 1, 0), ("s", 1, 1 << 40)):
        with pytest.raises(ParameterError):
            Round(session, number, members, length)
    with pytest.raises(ParameterError, match="Ed25519"):
        Round("s", 1, (*members[:3], Member("bank-9", b"short")), 1)
    with pytest.raises(ParameterError, match="take part"):
        Participant(Banks(4).terms, "bank-0", Banks(4).signing["bank-1"])


# ---------------------------------------------------------------------------------------------------- refusals of a bank


def refused(match: str) -> pytest.RaisesExc[AggregationRefused]:
    return pytest.raises(AggregationRefused, match=match)


def test_a_substituted_or_repeated_key() -> None:
    banks, other = Banks(4), Banks(4, session="other")
    sent = {n: p.advertise_keys() for n, p in banks.parties.items()}
    fake = dict(sent)
    impostor = Ed25519PrivateKey.from_private_bytes(bytes(32))
    members = tuple(
        Member(m.name, impostor.public_key().public_bytes_raw() if m.name == "bank-1" else m.key) for m in banks.terms.members
    )
    forged = Participant(Round("session", 1, members, LENGTH), "bank-1", impostor).advertise_keys()
    # Signed with another key than the registered one, for the very terms of the round.
    advertised = msgspec.msgpack.decode(forged)
    fake["bank-1"] = msgspec.msgpack.encode({**advertised, "round": banks.terms.digest})
    with refused("registered"):
        banks.parties["bank-0"].share_keys(_list(banks, fake))
    with refused("another session"):
        banks.parties["bank-0"].share_keys(_list(banks, {**sent, "bank-1": other.parties["bank-1"].advertise_keys()}))
    with refused("twice"):
        banks.parties["bank-0"].share_keys(_list(banks, {**sent, "bank-1": sent["bank-2"]}))
    with refused("not hold the keys that this bank"):
        again = Participant(banks.terms, "bank-0", banks.signing["bank-0"]).advertise_keys()
        banks.parties["bank-0"].share_keys(_list(banks, {**sent, "bank-0": again}))
    with refused("not hold the keys that this bank"):
        banks.parties["bank-0"].share_keys(_list(banks, {n: b for n, b in sent.items() if n != "bank-0"}))


def _list(banks: Banks, sent: dict[str, bytes]) -> bytes:
    return encode(KeyList(round=banks.terms.digest, advertisements=tuple(sent.values())))


@pytest.mark.parametrize("point", [bytes(32), b"\1" + bytes(31)])
@pytest.mark.parametrize("which", ["cipher_key", "mask_key"])
def test_a_point_of_small_order_is_refused_by_the_node(which: str, point: bytes) -> None:
    """Else every other bank would fail on it later, and take it for a lie of the node."""
    banks = Banks(4)
    message = msgspec.msgpack.decode(banks.parties["bank-0"].advertise_keys(), type=KeyAdvertisement)
    bad = sign(msgspec.structs.replace(message, **{which: point}), banks.signing["bank-0"])
    with refused("no X25519 key"):
        protocol.check_advertisement(banks.terms, "bank-0", bad)


def test_a_key_that_stands_twice_is_refused_by_the_node() -> None:
    """Else there would be no key list, and one bank could stop every round."""
    banks = Banks(4)
    sent = {n: party.advertise_keys() for n, party in banks.parties.items()}
    other = msgspec.msgpack.decode(sent["bank-1"], type=KeyAdvertisement)
    own = msgspec.msgpack.decode(sent.pop("bank-0"), type=KeyAdvertisement)
    for key in (own.mask_key, other.mask_key):
        bad = sign(msgspec.structs.replace(own, cipher_key=key), banks.signing["bank-0"])
        with refused("stands twice"):
            protocol.check_advertisement(banks.terms, "bank-0", bad, sent)


def test_two_key_lists() -> None:
    banks = Banks(5)
    first, second = banks.keys(banks.names), banks.keys(banks.names[:4])
    banks.parties["bank-0"].share_keys(first)
    with pytest.raises(ReuseRefused):
        banks.parties["bank-0"].share_keys(second)
    # Whoever shows two banks two lists gets shares that do not open.
    shares = {"bank-0": banks.parties["bank-0"].share_keys(first)}
    shares |= {n: banks.parties[n].share_keys(second) for n in banks.names[1:4]}
    with refused("another bank or list of keys"):
        banks.parties["bank-1"].mask_input(protocol.deliveries(banks.terms, shares)["bank-1"], banks.vectors["bank-1"])


def test_who_seals_what_does_not_open_is_named() -> None:
    banks = Banks(4)
    liar, listed = banks.signing["bank-1"], banks.keys(banks.names)
    shares = {name: banks.parties[name].share_keys(listed) for name in banks.names}
    given = messages.opened(shares["bank-1"], messages.EncryptedShares, banks.terms)

    def again(**changes: Any) -> bytes:
        wrong = messages.opened(given.sealed["bank-0"], messages.SealedShares, banks.terms)
        sealed = messages.sign(msgspec.structs.replace(wrong, **changes), liar)
        return messages.sign(msgspec.structs.replace(given, sealed={**given.sealed, "bank-0": sealed}), liar)

    for changes in ({"recipient": "bank-2"}, {"keys": bytes(32)}):
        with refused("sealed for another"):
            protocol.check_shares(banks.terms, listed, "bank-1", again(**changes))
    shares["bank-1"] = again(data=bytes(100))
    protocol.check_shares(banks.terms, listed, "bank-1", shares["bank-1"])  # which the node cannot tell
    delivered = protocol.deliveries(banks.terms, shares)["bank-0"]
    with refused("by bank-1, who has signed it, not by the node"):
        banks.parties["bank-0"].mask_input(delivered, banks.vectors["bank-0"])


def _changed(message: bytes, **changes: Any) -> bytes:
    return msgspec.msgpack.encode({**msgspec.msgpack.decode(message), **changes})


def test_a_delivery_that_was_tampered_with() -> None:
    banks = Banks(4)
    delivered = banks.deliveries(banks.keys(banks.names), banks.names)
    fields = msgspec.msgpack.decode(delivered["bank-0"])
    sealed = dict(fields["sealed"])
    for change, match in (
        ({"sealed": {**sealed, "bank-1": sealed["bank-2"]}}, "another bank's"),
        ({"sealed": {**sealed, "bank-1": _changed(sealed["bank-1"], data=bytes(60))}}, "not signed"),
        ({"sealed": {**sealed, "bank-1": b""}}, "no SealedShares"),
        ({"sealed": {"bank-1": sealed["bank-1"]}}, "are needed"),
        ({"sealed": {**sealed, "nobody": b""}}, "from one that has not"),
        ({"recipient": "bank-1"}, "another bank"),
        ({"round": bytes(32)}, "another session"),
        ({"more": 1}, "no Delivery"),
    ):
        with refused(match):
            banks.parties["bank-0"].mask_input(msgspec.msgpack.encode(fields | change), banks.vectors["bank-0"])


def test_lists_that_cannot_be() -> None:
    banks = Banks(5)
    _, _, good = banks.up_to_list(alive=4)
    listed = decode(good, SurvivorList, banks.terms)

    def changed(**changes: object) -> bytes:
        return encode(msgspec.structs.replace(listed, **changes))

    me = banks.parties["bank-0"]
    four = listed.survivors
    for change, match in (
        ({"dropped": ("bank-3", "bank-4")}, "alive and dead"),
        ({"dropped": ()}, "leaves out"),
        ({"survivors": four[:3], "inputs": listed.inputs[:3]}, "are needed"),
        ({"survivors": ("bank-0", "bank-1", "bank-2", "bank-4"), "dropped": ("bank-4",)}, "alive and dead"),
        ({"survivors": ("bank-0", "bank-1", "bank-2", "nobody")}, "does not take part"),
        ({"survivors": four[::-1]}, "not in order"),
        ({"inputs": (bytes(32), *listed.inputs[1:])}, "another input"),
        ({"inputs": listed.inputs[:3]}, "does not take part"),
        ({"keys": bytes(32)}, "leaves out"),
        ({"round": bytes(32)}, "another session"),
    ):
        with refused(match):
            me.check_consistency(changed(**change))
    me.check_consistency(good)
    with pytest.raises(ReuseRefused):  # another list, though it could be one
        me.check_consistency(changed(inputs=(listed.inputs[0], bytes(32), *listed.inputs[2:])))


def test_who_is_named_dead_gives_nothing_any_more() -> None:
    banks = Banks(4)
    keys = banks.keys(banks.names)
    delivered = banks.deliveries(keys, banks.names)
    survivors = banks.listed(keys, banks.names, banks.inputs(delivered, banks.names[:3]))
    late = banks.parties["bank-3"]
    with refused("names this bank dead"):
        late.check_consistency(survivors)
    late = Participant.restore(late.snapshot(), banks.signing["bank-3"])
    with refused("too late"):
        late.mask_input(delivered["bank-3"], banks.vectors["bank-3"])


def test_a_request_to_unmask_needs_every_survivor_s_signature_on_the_one_list() -> None:
    banks = Banks(4)
    _, _, survivors = banks.up_to_list()
    signed = {n: p.check_consistency(survivors) for n, p in banks.parties.items()}
    request = {"round": banks.terms.digest, "survivor_list": survivors}

    def asked(*signatures: bytes) -> bytes:
        return msgspec.msgpack.encode({**request, "signatures": signatures})

    me, whole = banks.parties["bank-0"], list(signed.values())
    for signatures in (whole[:3], [*whole[:3], whole[0]], whole[::-1], [*whole, whole[0]]):
        with refused("not every survivor"):
            me.unmask(asked(*signatures))
    other = Banks(4, session="other")
    _, _, elsewhere = other.up_to_list()
    with refused("another session"):
        me.unmask(asked(*whole[:3], other.parties["bank-3"].check_consistency(elsewhere)))
    me.unmask(asked(*whole))
    assert me.unmask(asked(*whole)) == me.answer_to("unmask")
    with pytest.raises(ReuseRefused):
        me.unmask(asked(*whole[:3]))


def test_a_list_that_others_have_signed_and_this_bank_has_not() -> None:
    banks = Banks(5)
    keys = banks.keys(banks.names)
    inputs = banks.inputs(banks.deliveries(keys, banks.names), banks.names)
    first = banks.listed(keys, banks.names, inputs)
    second = banks.listed(keys, banks.names, {n: inputs[n] for n in banks.names[:4]})
    banks.parties["bank-0"].check_consistency(first)
    forged = Participant.restore(banks.parties["bank-0"].snapshot(), banks.signing["bank-0"])
    forged._state.answers.pop("list")
    signed = {n: banks.parties[n].check_consistency(second) for n in banks.names[1:4]}
    signed["bank-0"] = forged.check_consistency(second)
    with refused("another survivor list"):
        banks.parties["bank-0"].unmask(protocol.unmask_request(banks.terms, second, signed))


def test_steps_out_of_order() -> None:
    banks = Banks(3)
    me = banks.parties["bank-0"]
    with refused("comes after 'keys'"):
        me.share_keys(b"")
    with refused("comes after 'keys'"):
        me.mask_input(b"", banks.vectors["bank-0"])
    with refused("comes after 'keys'"):
        me.unmask(b"")
    with refused("after the masked input"):
        me.opening()
    with pytest.raises(ParameterError, match="7 words"):
        me.mask_input(b"", np.zeros(6, np.uint64))


def test_another_vector_for_a_round_is_refused() -> None:
    banks = Banks(3)
    delivered = banks.deliveries(banks.keys(banks.names), banks.names)
    banks.inputs(delivered, ["bank-0"])
    with pytest.raises(ReuseRefused):
        banks.parties["bank-0"].mask_input(delivered["bank-0"], banks.vectors["bank-1"])


@pytest.mark.parametrize(
    ("before", "now", "passes"),
    [
        ("abcd", "abcd", True),
        ("abcd", "abc", False),
        ("abc", "abcd", False),
        ("abcd", "abce", False),
        ("abcde", "abc", False),
        ("abcde", "abfg", True),
        ("abcdef", "abc", True),
    ],
)
def test_sets_of_banks_on_unchanged_labels(before: str, now: str, passes: bool) -> None:
    history = [Unmasked(b"q", tuple("xyz")), Unmasked(b"q", tuple(before))]
    protocol.check_history(b"other", now, history)
    if passes:
        protocol.check_history(b"q", now, history)
    else:
        with refused("differs by too few"):
            protocol.check_history(b"q", now, history)


def test_banks_that_conspire_do_not_turn_a_difference_of_three_into_one() -> None:
    """Ten banks, c = 3: the second sum leaves out one bank and two that tell the node what they have."""
    everybody = "abcdefghij"
    with refused("differs by too few"):
        protocol.check_history(b"q", everybody[3:], [Unmasked(b"q", tuple(everybody))], protocol.collusion_bound(10))


def test_several_sums_together_do_not_leave_one_bank() -> None:
    """No two of these sets differ by fewer than six, but one less two others is bank j's, where a, b and c conspire."""
    sums = [tuple(sorted(set("abcdefghij") - set(left))) for left in ("abc", "def", "ghi")]
    history = [Unmasked(b"q", banks) for banks in sums[:2]]
    protocol.check_history(b"q", sums[1], history[:1], 3)
    with refused("differs by too few"):
        protocol.check_history(b"q", sums[2], history, 3)


def test_the_history_is_looked_at_before_signing_and_again_before_unmasking() -> None:
    banks = Banks(4)
    _, _, survivors = banks.up_to_list()
    earlier = [Unmasked(b"q", tuple(banks.names[:3]))]
    with refused("differs by too few"):
        banks.parties["bank-0"].check_consistency(survivors, question=b"q", history=earlier)
    request = banks.request(survivors, banks.names)
    with refused("differs by too few"):
        banks.parties["bank-0"].unmask(request, question=b"q", history=earlier)
    banks.parties["bank-0"].unmask(request, question=b"changed labels", history=earlier)


# ---------------------------------------------------------------------------------------------------- over a restart


def test_after_any_restart_the_same_question_gets_the_same_bytes() -> None:
    banks = Banks(4)

    def restart() -> None:
        banks.parties = {n: Participant.restore(p.snapshot(), banks.signing[n]) for n, p in banks.parties.items()}

    keys = banks.keys(banks.names)
    restart()
    assert banks.keys(banks.names) == keys
    delivered = banks.deliveries(keys, banks.names)
    restart()
    assert banks.deliveries(keys, banks.names) == delivered
    inputs = banks.inputs(delivered, banks.names[:3])
    restart()
    assert banks.inputs(delivered, banks.names[:3]) == inputs
    survivors = banks.listed(keys, banks.names, inputs)
    request = banks.request(survivors, banks.names[:3])
    restart()
    answers = {n: banks.parties[n].unmask(request) for n in banks.names[:3]}
    restart()
    assert {n: banks.parties[n].unmask(request) for n in banks.names[:3]} == answers
    total = protocol.aggregate(banks.terms, keys, survivors, inputs, answers)
    np.testing.assert_array_equal(total, sum(banks.vectors[n] for n in banks.names[:3]))


def test_secrets_are_not_printed_and_are_gone_after_unmasking() -> None:
    banks = Banks(3)
    me = banks.parties["bank-0"]
    secret = me._state.seed
    _, _, survivors = banks.up_to_list()
    assert secret in me.snapshot()
    assert "<secret>" in repr(me)
    assert "<secret>" in repr(me._state)
    assert secret.hex() not in repr(me)
    me.unmask(banks.request(survivors, banks.names))
    assert secret not in me.snapshot()
    with refused("before anything is unmasked"):
        me.opening()
    with pytest.raises(ParameterError, match="snapshot"):
        Participant.restore(b"\x00", banks.signing["bank-0"])
    with pytest.raises(ParameterError, match="this key"):
        Participant.restore(me.snapshot(), banks.signing["bank-1"])


# ---------------------------------------------------------------------------------------------------- what the node checks


def test_the_node_refuses_what_is_not_that_bank_s_or_that_step_s() -> None:
    banks = Banks(4)
    keys = banks.keys(banks.names)
    with refused("another bank"):
        protocol.check_advertisement(banks.terms, "bank-1", banks.parties["bank-0"].advertise_keys())
    shares = banks.parties["bank-0"].share_keys(keys)
    with refused("another bank"):
        protocol.check_shares(banks.terms, keys, "bank-1", shares)
    with refused("present key list"):
        protocol.check_shares(banks.terms, banks.keys(banks.names[:3]), "bank-0", shares)
    with refused("no EncryptedShares"):
        protocol.check_shares(banks.terms, keys, "bank-0", keys)
    inputs = banks.inputs(banks.deliveries(keys, banks.names), banks.names)
    with refused("masks of other banks"):
        protocol.check_input(banks.terms, keys, tuple(banks.names[:3]), "bank-0", inputs["bank-0"])
    cut = msgspec.msgpack.decode(inputs["bank-0"])
    with refused("registered"):
        tampered = msgspec.msgpack.encode({**cut, "words": bytes(8 * LENGTH)})
        protocol.check_input(banks.terms, keys, tuple(banks.names), "bank-0", tampered)


def test_a_wrong_share_is_left_out_where_enough_are_right() -> None:
    banks = Banks(4)
    keys, inputs, survivors = banks.up_to_list()
    request = banks.request(survivors, banks.names)
    liar = banks.parties["bank-1"]
    liar._state.received["bank-0"] = liar._state.received["bank-2"]
    answers = {n: banks.parties[n].unmask(request) for n in banks.names}
    total = protocol.aggregate(banks.terms, keys, survivors, inputs, answers)
    np.testing.assert_array_equal(total, sum(banks.vectors.values()))
    with refused("bank-0 do not give the secret"):
        protocol.aggregate(banks.terms, keys, survivors, inputs, {n: answers[n] for n in banks.names[:3]})


# ---------------------------------------------------------------------------------------------------- proven inputs


def test_an_opening_replays_and_nothing_else_does() -> None:
    banks = Banks(4)
    keys, inputs, _ = banks.up_to_list()
    sharers = tuple(banks.names)
    digest = protocol.check_input(banks.terms, keys, sharers, "bank-0", inputs["bank-0"])
    opening, vector = banks.parties["bank-0"].opening(), banks.vectors["bank-0"]
    assert protocol.words_digest(protocol.replay(banks.terms, opening, keys, sharers, "bank-0", vector)) == digest
    changed = vector.copy()
    changed[3] += np.uint64(1)
    assert protocol.words_digest(protocol.replay(banks.terms, opening, keys, sharers, "bank-0", changed)) != digest
    fields = msgspec.msgpack.decode(opening)
    for change, match in (
        ({"seed": bytes(32)}, "seed is not the one"),
        ({"mask_private": bytes(32)}, "mask key is not the one"),
        ({"mask_private": b""}, "mask key is not the one"),
        ({"sender": "bank-1"}, "another bank"),
        ({"round": bytes(32)}, "another session"),
    ):
        with refused(match):
            protocol.replay(banks.terms, msgspec.msgpack.encode(fields | change), keys, sharers, "bank-0", vector)
    with refused("advertised no keys"):
        protocol.replay(banks.terms, opening, keys, (*sharers, "nobody"), "bank-0", vector)


def test_a_round_is_bound_to_what_was_committed_to() -> None:
    banks = Banks(3)
    sent = {n: p.advertise_keys(bytes([n_ + 1]) * 32) for n_, (n, p) in enumerate(banks.parties.items())}
    keys = protocol.key_list(banks.terms, sent)
    assert protocol.input_commitment(banks.terms, keys, "bank-1") == b"\x02" * 32
    with pytest.raises(ReuseRefused):
        banks.parties["bank-1"].advertise_keys(b"\x03" * 32)


# ---------------------------------------------------------------------------------------------------- Shamir


def test_the_prime_is_the_smallest_above_two_to_the_256() -> None:
    def passes(n: int) -> bool:  # Miller-Rabin with fixed bases
        odd, twos = n - 1, 0
        while odd % 2 == 0:
            odd, twos = odd // 2, twos + 1
        for base in range(2, 42):
            x = pow(base, odd, n)
            if x in {1, n - 1}:
                continue
            for _ in range(twos - 1):
                x = x * x % n
                if x == n - 1:
                    break
            else:
                return False
        return True

    assert passes(shamir.PRIME)
    assert not any(passes(n) for n in range(2**256 + 1, shamir.PRIME))


@settings(max_examples=60)
@given(st.binary(min_size=32, max_size=32), st.integers(1, 12), st.data())
def test_any_t_shares_give_the_secret(secret: bytes, count: int, data: st.DataObject) -> None:
    t = data.draw(st.integers(1, count))
    shares = shamir.split(secret, count, t)
    order = data.draw(st.permutations(sorted(shares)))
    used = order[: data.draw(st.integers(t, count))]
    assert shamir.combine({index: shares[index] for index in used}, t) == secret
    if t > 1:
        with pytest.raises(InvalidShare, match="are needed"):
            shamir.combine({index: shares[index] for index in order[: t - 1]}, t)


@settings(max_examples=40)
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32), st.integers(2, 8))
def test_t_minus_one_shares_fit_every_secret(secret: bytes, other: bytes, t: int) -> None:
    """For any other secret there is a last share that gives it."""
    shares = shamir.split(secret, t, t)
    known = {index: int.from_bytes(shares[index]) for index in range(1, t)}
    at = {0: int.from_bytes(other), **known}
    last = shamir._interpolate(at, t).to_bytes(shamir.SHARE_BYTES)
    assert shamir.combine({**{i: shares[i] for i in range(1, t)}, t: last}, t) == other


def test_shares_are_checked() -> None:
    secret = random.Random(1).randbytes(32)
    shares = shamir.split(secret, 5, 3)
    wrong = {**shares, 4: (int.from_bytes(shares[4]) ^ 1).to_bytes(33)}
    with pytest.raises(InvalidShare, match="one secret"):
        shamir.combine(wrong, 3)
    for index, share in ((0, shares[1]), (256, shares[1]), (1, shares[1][:-1]), (1, shamir.PRIME.to_bytes(33))):
        with pytest.raises(InvalidShare):
            shamir.combine({**{i: shares[i] for i in (2, 3)}, index: share}, 3)
    for count, t in ((3, 4), (3, 0), (256, 3)):
        with pytest.raises(ParameterError):
            shamir.split(secret, count, t)
    with pytest.raises(ParameterError, match="32 bytes"):
        shamir.split(b"short", 3, 2)


def test_a_fixed_polynomial_gives_fixed_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """3 + 5x + 7x² modulo p at 1, 2 and 3, worked out by hand."""
    coefficients = iter((5, 7))
    monkeypatch.setattr("crypto.secure_aggregation.shamir.secrets.randbelow", lambda _: next(coefficients))
    shares = shamir.split((3).to_bytes(32), 3, 3)
    assert [int.from_bytes(share) for share in shares.values()] == [15, 41, 81]
