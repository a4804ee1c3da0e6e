"""Verifiable oblivious PRF, suite ristretto255-SHA512, modes OPRF (0x00) and VOPRF (0x01): RFC 9497.

    client(input, pkS)                                              server(skS)
    ----------------------------------------------------------------------------
    P = HashToGroup(input);  r random
    B = r·P                                  (blind, §3.3.1)
                                    B
                          --------------------->
                                                E = skS·B
                                                proof: log_G pkS = log_B E
                                             (blind_evaluate, §3.3.2)
                                E, proof
                          <---------------------
    verify proof;  y = Hash(input, r⁻¹·E)    (finalize, §3.3.2)

    y = F(skS, input), 64 bytes. The server alone gets the same by `evaluate` (§3.3.1).

Leakage statement. The server learns that one evaluation took place: B is uniform and independent of the input, whatever
the server does. The client learns y for the one input it committed to with B, and E = skS·B; nothing else about skS.
Whoever holds skS can evaluate every input of a small domain: protect and delete the key accordingly.

In Xinqiao every evaluation carries a proof of its own (see `crypto.dleq`, whose functions take lists as the RFC's do).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from hashlib import sha512
from typing import Final, NamedTuple

from crypto.dleq import generate_proof, length_prefixed, verify_proof
from crypto.errors import CryptoError, ParameterError
from crypto.group import (
    Element,
    Scalar,
    base_mult,
    decode_element,
    decode_elements,
    decode_scalar,
    hash_to_group,
    hash_to_scalar,
    invert,
    map_threads,
    random_scalar,
    scalar_mult,
)

OUTPUT_BYTES: Final = 64
MAX_INPUT_BYTES: Final = 2**16 - 1
SEED_BYTES: Final = 32


class Mode(IntEnum):
    """Protocol variants of RFC 9497 §3.1 that are in use here."""

    OPRF = 0x00
    VOPRF = 0x01


def _context(mode: Mode) -> bytes:
    return b"OPRFV1-" + mode.to_bytes(1) + b"-ristretto255-SHA512"


_HASH_TO_GROUP_DST: Final = {mode: b"HashToGroup-" + _context(mode) for mode in Mode}
_DERIVE_KEY_PAIR_DST: Final = {mode: b"DeriveKeyPair" + _context(mode) for mode in Mode}


class Evaluation(NamedTuple):
    """What the server returns for one blinded element: E = skS·B (32 bytes) and the DLEQ proof (64 bytes)."""

    element: Element
    proof: bytes


class Blinded(NamedTuple):
    """What the client keeps for one input: the secret scalar r, and B = r·P, which it sends."""

    blind: Scalar
    element: Element

    def __repr__(self) -> str:
        return f"Blinded(blind=<secret>, element={self.element.hex()})"


# --- keys, RFC 9497 §3.2 --------------------------------------------------------------------------


def generate_key_pair() -> tuple[Scalar, Element]:
    """Return a fresh (skS, pkS)."""
    secret_key = random_scalar()
    return secret_key, base_mult(secret_key)


def derive_key_pair(seed: bytes, info: bytes, mode: Mode = Mode.VOPRF) -> tuple[Scalar, Element]:
    """Return the (skS, pkS) that a 32-byte uniform secret seed and a public `info` stand for (§3.2.1)."""
    if len(seed) != SEED_BYTES or len(info) > MAX_INPUT_BYTES:
        raise ParameterError(f"a key seed has {SEED_BYTES} bytes and its info at most {MAX_INPUT_BYTES}")
    for counter in range(256):
        secret_key = hash_to_scalar(seed + length_prefixed(info) + counter.to_bytes(1), _DERIVE_KEY_PAIR_DST[mode])
        if any(secret_key):
            return secret_key, base_mult(secret_key)
    raise ParameterError("this seed gives no key; take another")


# --- the steps both modes share, RFC 9497 §3.3.1 --------------------------------------------------


def hash_input(input_: bytes, mode: Mode = Mode.VOPRF) -> Element:
    """Return P = HashToGroup(input): the element that `blind` multiplies and a request proof speaks about."""
    if len(input_) > MAX_INPUT_BYTES:
        raise ParameterError(f"an input has at most {MAX_INPUT_BYTES} bytes, got {len(input_)}")
    return hash_to_group(input_, _HASH_TO_GROUP_DST[mode])


def blind(input_: bytes, mode: Mode = Mode.VOPRF) -> Blinded:
    """Hide an input under a fresh scalar. One blind serves one request: never send two elements with one r."""
    return deterministic_blind(input_, random_scalar(), mode)


def deterministic_blind(input_: bytes, scalar: Scalar, mode: Mode = Mode.VOPRF) -> Blinded:
    """`blind` with a given scalar: only for test vectors."""
    return Blinded(scalar, scalar_mult(scalar, hash_input(input_, mode)))


def unblind(input_: bytes, scalar: Scalar, evaluated: Element) -> bytes:
    """Finalize without a proof (mode OPRF): Hash(input, r⁻¹·E), 64 bytes."""
    return _output(input_, scalar_mult(invert(scalar), evaluated))


def _output(input_: bytes, element: Element) -> bytes:
    return sha512(length_prefixed(input_) + length_prefixed(element) + b"Finalize").digest()


# --- roles ----------------------------------------------------------------------------------------


class VoprfServer:
    """The key holder in mode VOPRF.

    Every element that comes in is decoded and checked before the key touches anything; a list is checked whole.
    """

    def __init__(self, secret_key: bytes) -> None:
        self._secret_key = decode_scalar(secret_key)
        self.public_key: Final = base_mult(self._secret_key)

    def __repr__(self) -> str:
        return f"VoprfServer(secret_key=<secret>, public_key={self.public_key.hex()})"

    def blind_evaluate(self, element: bytes) -> Evaluation:
        """Return k·B and its proof; `InvalidElement` for anything but a canonical element other than the identity."""
        return self._evaluate_blinded(decode_element(element))

    def blind_evaluate_many(self, elements: Sequence[bytes], workers: int | None = None) -> list[Evaluation]:
        """`blind_evaluate` for each element, each with its own proof, in order, on `workers` threads (None: all cores).

        Raises:
            InvalidElement: names the first position that is refused; nothing was evaluated then.
        """
        return map_threads(self._evaluate_blinded, decode_elements(elements), workers)

    def evaluate(self, input_: bytes) -> bytes:
        """Return y = F(k, input) directly, 64 bytes: what a client's `finalize` gives, for one multiplication."""
        return _output(input_, scalar_mult(self._secret_key, hash_input(input_)))

    def evaluate_many(self, inputs: Sequence[bytes], workers: int | None = None) -> list[bytes]:
        """`evaluate` for each input, in order, on `workers` threads (None: all cores)."""
        return map_threads(self.evaluate, inputs, workers)

    def _evaluate_blinded(self, element: Element) -> Evaluation:
        evaluated = scalar_mult(self._secret_key, element)
        return Evaluation(evaluated, generate_proof(self._secret_key, self.public_key, [element], [evaluated]))


class VoprfClient:
    """The asking side in mode VOPRF, bound to the public key it got from a source it trusts (a signed manifest)."""

    def __init__(self, public_key: bytes) -> None:
        self.public_key: Final = decode_element(public_key)

    def blind(self, input_: bytes) -> Blinded:
        """Return (r, B) for one input; r stays here, B goes out."""
        return blind(input_)

    def blind_many(self, inputs: Sequence[bytes], workers: int | None = None) -> list[Blinded]:
        """`blind` for each input, each with its own scalar, in order, on `workers` threads (None: all cores)."""
        return map_threads(blind, inputs, workers)

    def verify_evaluation(self, blinded: bytes, evaluated: bytes, proof: bytes) -> None:
        """Check a server's answer against the public key.

        Raises:
            InvalidElement: `blinded` or `evaluated` is no usable element.
            InvalidProof: the proof does not hold; the answer is evidence against the server.
        """
        verify_proof(self.public_key, [decode_element(blinded)], [decode_element(evaluated)], proof)

    def finalize(self, input_: bytes, blinded: Blinded, evaluation: tuple[bytes, bytes]) -> bytes:
        """Verify the answer (evaluated element, proof) and return y, 64 bytes; errors as `verify_evaluation`."""
        evaluated, proof = evaluation
        self.verify_evaluation(blinded.element, evaluated, proof)
        return unblind(input_, blinded.blind, Element(evaluated))

    def finalize_many(
        self,
        inputs: Sequence[bytes],
        blinded: Sequence[Blinded],
        evaluations: Sequence[tuple[bytes, bytes]],
        workers: int | None = None,
    ) -> list[bytes]:
        """`finalize` for each position, in order, on `workers` threads (None: all cores).

        Raises:
            ParameterError: the three lists differ in length.
            InvalidElement, InvalidProof: as `finalize`, naming the position; no output is returned at all.
        """
        if not len(inputs) == len(blinded) == len(evaluations):
            raise ParameterError("finalize_many needs one blind and one evaluation for every input")

        def finalize_at(position: int) -> bytes:
            try:
                return self.finalize(inputs[position], blinded[position], evaluations[position])
            except CryptoError as error:
                raise type(error)(f"evaluation {position} of {len(inputs)}: {error}") from None

        return map_threads(finalize_at, range(len(inputs)), workers)
