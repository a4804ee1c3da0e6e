"""Attack: send bytes that are no usable group element, and see whether anything is evaluated.

Every entry point refuses the identity, non-canonical encodings and wrong lengths before one scalar multiplication is
made. A tolerant build, kept below, shows why: it "repairs" what it is sent, and so one element has many spellings, each
of which passes a check for elements that were seen before.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha512

import pytest
import rbcl

from crypto import voprf
from crypto.errors import CryptoError, InvalidElement
from crypto.group import IDENTITY, base_mult, decode_element, decode_scalar, hash_to_scalar, scalar_mult
from crypto.request_proof import prove, verify_request_proof
from crypto.voprf import VoprfClient, VoprfServer

pytestmark = pytest.mark.attack

FIELD = 2**255 - 19
INPUT, CTX = b"R:alice", b"bank 7, table 1, epoch 9"
SERVER = VoprfServer(voprf.derive_key_pair(b"\x21" * 32, b"invalid points")[0])
CLIENT = VoprfClient(SERVER.public_key)
BLINDED = voprf.deterministic_blind(INPUT, hash_to_scalar(b"blind", b"invalid points"))
EVALUATION = SERVER.blind_evaluate(BLINDED.element)
REQUEST_PROOF = prove(INPUT, *BLINDED, CTX)


def negated(element: bytes) -> bytes:
    """The other square root: decodes to the same element wherever the sign is not checked (RFC 9496 §4.3.1, step 2)."""
    return (FIELD - int.from_bytes(element, "little")).to_bytes(32, "little")


def with_top_bit(element: bytes) -> bytes:
    """The same element wherever bit 255 is masked, as X25519 does."""
    return element[:31] + bytes([element[31] | 0x80])


INVALID = {
    "identity": IDENTITY,
    "identity, long": IDENTITY + b"\0",
    "empty": b"",
    "short": BLINDED.element[:31],
    "long": BLINDED.element + b"\0",
    "twice": BLINDED.element * 2,
    "negative": negated(BLINDED.element),
    "top bit set": with_top_bit(BLINDED.element),
    "not reduced": (FIELD + 2).to_bytes(32, "little"),
    "zero, not reduced": FIELD.to_bytes(32, "little"),
    "identity with top bit": bytes(31) + b"\x80",
    "minus one": (FIELD - 1).to_bytes(32, "little"),
    "on no curve": bytes.fromhex("26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371"),
    "on the twist": bytes.fromhex("4eac077a713c57b4f4397629a4145982c661f48044dd3f96427d40b147d9742f"),
}

ENTRY_POINTS: dict[str, Callable[[bytes], object]] = {
    "node evaluates": SERVER.blind_evaluate,
    "node evaluates in bulk": lambda bad: SERVER.blind_evaluate_many([BLINDED.element, bad], 1),
    "office checks a request": lambda bad: verify_request_proof(INPUT, bad, CTX, REQUEST_PROOF),
    "bank takes a public key": VoprfClient,
    "bank finalizes": lambda bad: CLIENT.finalize(INPUT, BLINDED, (bad, EVALUATION.proof)),
    "bank finalizes in bulk": lambda bad: CLIENT.finalize_many([INPUT], [BLINDED], [(bad, EVALUATION.proof)], 1),
    "auditor checks an evaluation": lambda bad: CLIENT.verify_evaluation(bad, EVALUATION.element, EVALUATION.proof),
    "auditor checks an answer": lambda bad: CLIENT.verify_evaluation(BLINDED.element, bad, EVALUATION.proof),
}


@pytest.fixture
def multiplications(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every scalar multiplication from now on leaves its product here."""
    made: list[bytes] = []
    for name in ("crypto_scalarmult_ristretto255", "crypto_scalarmult_ristretto255_base"):
        original = getattr(rbcl, name)

        def counted(*operands: bytes, original: Callable[..., bytes] = original) -> bytes:
            made.append(original(*operands))
            return made[-1]

        monkeypatch.setattr(rbcl, name, counted)
    return made


@pytest.mark.parametrize("entry_point", ENTRY_POINTS.values(), ids=ENTRY_POINTS.keys())
@pytest.mark.parametrize("invalid", INVALID.values(), ids=INVALID.keys())
def test_refused_at_every_entry_point_and_nothing_evaluated(
    entry_point: Callable[[bytes], object], invalid: bytes, multiplications: list[bytes]
) -> None:
    with pytest.raises(InvalidElement) as refusal:
        entry_point(invalid)
    assert multiplications == []
    assert invalid.hex() not in str(refusal.value) or not invalid


def test_the_counter_sees_a_valid_evaluation(multiplications: list[bytes]) -> None:
    assert SERVER.blind_evaluate(BLINDED.element).element in multiplications


# --- the tolerant build ---------------------------------------------------------------------------


class TolerantServer:
    """Repairs what it is sent instead of refusing it, and remembers requests by their bytes."""

    def __init__(self, secret_key: bytes) -> None:
        self._secret_key = decode_scalar(secret_key)
        self._seen: set[bytes] = set()

    def blind_evaluate(self, sent: bytes) -> bytes:
        if sent in self._seen:
            raise InvalidElement("seen before")
        self._seen.add(sent)
        root = (int.from_bytes(sent[:32], "little") & (2**255 - 1)) % FIELD
        element = (FIELD - root if root % 2 else root).to_bytes(32, "little")
        return rbcl.crypto_scalarmult_ristretto255_allow_scalar_zero(self._secret_key, element)


class StrictServer:
    """The same memory in front of the real thing."""

    def __init__(self, secret_key: bytes) -> None:
        self._server = VoprfServer(secret_key)
        self._seen: set[bytes] = set()

    def blind_evaluate(self, sent: bytes) -> bytes:
        evaluated = self._server.blind_evaluate(sent).element
        if sent in self._seen:
            raise InvalidElement("seen before")
        self._seen.add(sent)
        return evaluated


def spellings(element: bytes) -> list[bytes]:
    """Many byte strings for one element, if the reader is tolerant."""
    spelled = [element, element, negated(element), with_top_bit(element), with_top_bit(negated(element))]
    if element.endswith(b"\0"):
        spelled.append(element.rstrip(b"\0"))
    return spelled + [element + bytes([n]) for n in range(3)]


def evaluations(server: TolerantServer | StrictServer, element: bytes) -> int:
    """How many times one element is evaluated although it may be evaluated once."""
    done = 0
    for sent in spellings(element):
        try:
            server.blind_evaluate(sent)
            done += 1
        except CryptoError:
            pass
    return done


def test_one_ticket_is_spent_many_times_on_the_tolerant_build_only() -> None:
    secret_key, _ = voprf.generate_key_pair()
    ends_in_zero = next(
        element for n in range(1, 10_000) if (element := base_mult(decode_scalar(n.to_bytes(32, "little")))).endswith(b"\0")
    )
    for element in (BLINDED.element, ends_in_zero):
        assert evaluations(TolerantServer(secret_key), element) == len(spellings(element)) - 1
        assert evaluations(StrictServer(secret_key), element) == 1


def test_the_identity_gives_an_output_without_any_key_on_the_tolerant_build_only() -> None:
    """k·0 = 0 for every k: whoever blinds with r = 0 gets an output that anyone can compute, for any subject."""
    anyone = sha512(len(INPUT).to_bytes(2) + INPUT + (32).to_bytes(2) + IDENTITY + b"Finalize").digest()
    for seed in (b"\1" * 32, b"\2" * 32):
        secret_key, public_key = voprf.derive_key_pair(seed, b"")
        evaluated = TolerantServer(secret_key).blind_evaluate(IDENTITY)
        assert sha512(len(INPUT).to_bytes(2) + INPUT + (32).to_bytes(2) + evaluated + b"Finalize").digest() == anyone
        with pytest.raises(InvalidElement, match="identity"):
            VoprfServer(secret_key).blind_evaluate(IDENTITY)
        with pytest.raises(InvalidElement, match="identity"):
            VoprfClient(public_key).finalize(INPUT, BLINDED, (evaluated, EVALUATION.proof))


def test_libsodium_answers_an_invalid_sum_with_zeros_so_elements_are_decoded_first() -> None:
    bad = INVALID["on no curve"]
    assert rbcl.crypto_core_ristretto255_add(SERVER.public_key, bad) == IDENTITY
    with pytest.raises(InvalidElement):
        decode_element(bad)
    with pytest.raises(InvalidElement):
        scalar_mult(BLINDED.blind, bad)  # type: ignore[arg-type]  # even without decoding, no product comes out
