"""The VOPRF against RFC 9497 A.1.1 and A.1.2, and what its two roles refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import voprf
from crypto.dleq import deterministic_proof, generate_proof, verify_proof
from crypto.errors import InvalidElement, InvalidProof, InvalidScalar, ParameterError
from crypto.group import ORDER, Scalar, base_mult, decode_element, decode_scalar, random_scalar, scalar_mult
from crypto.voprf import Evaluation, Mode, VoprfClient, VoprfServer
from tests.conftest import shared_path

SEED, KEY_INFO = b"\xa3" * 32, b"test key"

# RFC 9497 A.1.1.1 and A.1.2.1
OPRF_SECRET_KEY = "5ebcea5ee37023ccb9fc2d2019f9d7737be85591ae8652ffa9ef0f4d37063b0e"
VOPRF_SECRET_KEY = "e6f73f344b79b379f1a0dd37e07ff62e38d9f71345ce62ae3a9bc60b04ccd909"
VOPRF_PUBLIC_KEY = "c803e2cc6b05fc15064549b5920659ca4a77b2cca6f04f6b357009335476ad4e"
BLIND = "64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706"
BLINDED = "863f330cc1a1259ed5a5998a23acfd37fb4351a793a5b3c090b642ddc439b945"
EVALUATED = "aa8fa048764d5623868679402ff6108d2521884fa138cd7f9c7669a9a014267e"
PROOF = (
    "ddef93772692e535d1a53903db24367355cc2cc78de93b3be5a8ffcc6985dd06"
    "6d4346421d17bf5117a2a1ff0fcb2a759f58a539dfbe857a40bce4cf49ec600d"
)
PROOF_NONCE = "222a5e897cf59db8145db8d16e597e8facb80ae7d4e26d9881aa6f61d645fc0e"
OUTPUT = (
    "b58cfbe118e0cb94d79b5fd6a6dafb98764dff49c14e1770b566e42402da1a7d"
    "a4d8527693914139caee5bd03903af43a491351d23b430948dd50cde10d32b3c"
)


def scalar(encoded: str) -> Scalar:
    return decode_scalar(bytes.fromhex(encoded))


@pytest.fixture
def server() -> VoprfServer:
    return VoprfServer(voprf.derive_key_pair(SEED, KEY_INFO)[0])


@pytest.fixture
def client(server: VoprfServer) -> VoprfClient:
    return VoprfClient(server.public_key)


# --- vectors --------------------------------------------------------------------------------------


def test_rfc_literals() -> None:
    assert voprf.derive_key_pair(SEED, KEY_INFO, Mode.OPRF)[0].hex() == OPRF_SECRET_KEY
    secret_key, public_key = voprf.derive_key_pair(SEED, KEY_INFO)
    assert (secret_key.hex(), public_key.hex()) == (VOPRF_SECRET_KEY, VOPRF_PUBLIC_KEY)
    blinded = voprf.deterministic_blind(b"\0", scalar(BLIND))
    assert blinded.element.hex() == BLINDED
    evaluated = scalar_mult(secret_key, blinded.element)
    assert evaluated.hex() == EVALUATED
    proof = deterministic_proof(secret_key, public_key, [blinded.element], [evaluated], scalar(PROOF_NONCE))
    assert proof.hex() == PROOF
    assert VoprfClient(public_key).finalize(b"\0", blinded, (evaluated, proof)).hex() == OUTPUT
    assert VoprfServer(secret_key).evaluate(b"\0").hex() == OUTPUT


def rfc_suites() -> list[dict[str, Any]]:
    suites = json.loads(shared_path("vectors/rfc9497_oprf/allVectors.json").read_text())
    return [suite for suite in suites if suite["identifier"] == "ristretto255-SHA512" and suite["mode"] in (0, 1)]


@pytest.mark.parametrize("mode", Mode)
def test_every_rfc_vector(mode: Mode) -> None:
    (suite,) = [suite for suite in rfc_suites() if suite["mode"] == mode]
    secret_key, public_key = voprf.derive_key_pair(bytes.fromhex(suite["seed"]), bytes.fromhex(suite["keyInfo"]), mode)
    assert secret_key.hex() == suite["skSm"]
    assert public_key.hex() == suite.get("pkSm", public_key.hex())
    assert [vector["Batch"] for vector in suite["vectors"]] == ([1, 1] if mode == Mode.OPRF else [1, 1, 2])
    for vector in suite["vectors"]:
        run_vector(mode, secret_key, vector)


def run_vector(mode: Mode, secret_key: Scalar, vector: dict[str, Any]) -> None:
    def parts(name: str) -> list[bytes]:
        return [bytes.fromhex(part) for part in vector[name].split(",")]

    inputs, outputs = parts("Input"), parts("Output")
    blinded = [
        voprf.deterministic_blind(input_, decode_scalar(blind), mode)
        for input_, blind in zip(inputs, parts("Blind"), strict=True)
    ]
    elements = [one.element for one in blinded]
    assert elements == parts("BlindedElement")
    evaluated = [scalar_mult(secret_key, element) for element in elements]
    assert evaluated == parts("EvaluationElement")
    assert [
        voprf.unblind(input_, one.blind, answer) for input_, one, answer in zip(inputs, blinded, evaluated, strict=True)
    ] == outputs
    if mode == Mode.VOPRF:
        public_key = base_mult(secret_key)
        nonce = scalar(vector["Proof"]["r"])
        proof = deterministic_proof(secret_key, public_key, elements, evaluated, nonce)
        assert proof.hex() == vector["Proof"]["proof"]
        verify_proof(public_key, elements, evaluated, proof)
        assert VoprfServer(secret_key).evaluate_many(inputs, 1) == outputs


# --- both roles together --------------------------------------------------------------------------


@settings(max_examples=15)
@given(st.binary(max_size=200))
def test_client_and_server_agree_on_every_input(input_: bytes) -> None:
    secret_key, public_key = voprf.generate_key_pair()
    client, server = VoprfClient(public_key), VoprfServer(secret_key)
    first, second = client.blind(input_), client.blind(input_)
    assert first.element != second.element
    y = client.finalize(input_, first, server.blind_evaluate(first.element))
    assert y == client.finalize(input_, second, server.blind_evaluate(second.element)) == server.evaluate(input_)
    assert len(y) == voprf.OUTPUT_BYTES


@pytest.mark.parametrize("workers", [1, 2])
def test_bulk_gives_what_one_by_one_gives(client: VoprfClient, server: VoprfServer, workers: int) -> None:
    inputs = [f"subject {n}".encode() for n in range(150)]
    blinded = client.blind_many(inputs, workers)
    evaluations = server.blind_evaluate_many([one.element for one in blinded], workers)
    assert len({one.proof for one in evaluations}) == len(inputs), "each evaluation has a proof of its own"
    outputs = client.finalize_many(inputs, blinded, evaluations, workers)
    assert outputs == server.evaluate_many(inputs, workers)
    assert len(set(outputs)) == len(inputs)


def test_keys_and_modes_are_separate(server: VoprfServer) -> None:
    other = VoprfServer(voprf.derive_key_pair(SEED, b"another key")[0])
    assert other.evaluate(b"id") != server.evaluate(b"id")
    assert voprf.hash_input(b"id", Mode.OPRF) != voprf.hash_input(b"id", Mode.VOPRF)


# --- what is refused ------------------------------------------------------------------------------


def test_another_key_is_noticed(client: VoprfClient) -> None:
    """A node that evaluates with another key, whichever public key it proves against."""
    cheat_key, cheat_public = voprf.generate_key_pair()
    blinded = client.blind(b"id")
    wrong = scalar_mult(cheat_key, blinded.element)
    for claimed in (client.public_key, cheat_public):
        proof = generate_proof(cheat_key, claimed, [blinded.element], [wrong])
        with pytest.raises(InvalidProof, match="published key"):
            client.finalize(b"id", blinded, (wrong, proof))


def test_a_proof_holds_for_its_own_evaluation_only(client: VoprfClient, server: VoprfServer) -> None:
    blinded = client.blind_many([b"a", b"b"], 1)
    first, second = server.blind_evaluate_many([one.element for one in blinded], 1)
    for swapped in (Evaluation(first.element, second.proof), Evaluation(second.element, first.proof), second):
        with pytest.raises(InvalidProof):
            client.finalize(b"a", blinded[0], swapped)


@pytest.mark.parametrize(
    ("proof", "reason"),
    [
        (b"", "64 bytes"),
        (bytes.fromhex(PROOF)[:-1], "64 bytes"),
        (bytes.fromhex(PROOF) + b"\0", "64 bytes"),
        (bytes(32) + bytes.fromhex(PROOF)[32:], "zero"),
        (bytes.fromhex(PROOF)[:32] + bytes(32), "zero"),
        (bytes.fromhex(PROOF)[:32] + ORDER.to_bytes(32, "little"), "not reduced"),
        (b"\xff" * 64, "not reduced"),
        (bytes.fromhex(PROOF)[32:] + bytes.fromhex(PROOF)[:32], "published key"),
    ],
)
def test_malformed_proofs_are_refused(client: VoprfClient, proof: bytes, reason: str) -> None:
    with pytest.raises(InvalidProof, match=reason):
        client.verify_evaluation(bytes.fromhex(BLINDED), bytes.fromhex(EVALUATED), proof)


def test_the_response_cannot_be_written_in_two_ways(client: VoprfClient) -> None:
    """s + L is the same number: accepting it would let one evaluation have two proofs."""
    c, s = bytes.fromhex(PROOF)[:32], int.from_bytes(bytes.fromhex(PROOF)[32:], "little")
    client.verify_evaluation(bytes.fromhex(BLINDED), bytes.fromhex(EVALUATED), bytes.fromhex(PROOF))
    with pytest.raises(InvalidProof, match="not reduced"):
        client.verify_evaluation(bytes.fromhex(BLINDED), bytes.fromhex(EVALUATED), c + (s + ORDER).to_bytes(32, "little"))


def test_an_evaluation_cannot_be_the_identity(client: VoprfClient) -> None:
    with pytest.raises(InvalidElement, match="identity"):
        client.finalize(b"id", client.blind(b"id"), (bytes(32), bytes.fromhex(PROOF)))


def test_bulk_errors_name_the_position(client: VoprfClient, server: VoprfServer) -> None:
    inputs = [b"a", b"b", b"c"]
    blinded = client.blind_many(inputs, 1)
    evaluations = server.blind_evaluate_many([one.element for one in blinded], 1)
    evaluations[2] = evaluations[1]
    with pytest.raises(InvalidProof, match="evaluation 2 of 3"):
        client.finalize_many(inputs, blinded, evaluations, 1)
    with pytest.raises(ParameterError, match="every input"):
        client.finalize_many(inputs, blinded, evaluations[:2], 1)


def test_proofs_need_equally_many_pairs() -> None:
    element, public_key = decode_element(bytes.fromhex(BLINDED)), decode_element(bytes.fromhex(VOPRF_PUBLIC_KEY))
    for blinded, evaluated in (([], []), ([element], []), ([element], [element, element])):
        with pytest.raises(ParameterError, match="equally many"):
            verify_proof(public_key, blinded, evaluated, bytes.fromhex(PROOF))


def test_impossible_keys_seeds_and_inputs_are_refused() -> None:
    with pytest.raises(InvalidScalar, match="zero"):
        VoprfServer(bytes(32))
    with pytest.raises(InvalidScalar, match="not reduced"):
        VoprfServer(ORDER.to_bytes(32, "little"))
    with pytest.raises(ParameterError, match="seed"):
        voprf.derive_key_pair(SEED[:-1], KEY_INFO)
    with pytest.raises(ParameterError, match="65535"):
        voprf.blind(bytes(65536))
    assert len(voprf.blind(bytes(65535)).element) == 32


def test_secrets_do_not_print(server: VoprfServer) -> None:
    secret = random_scalar()
    shown = repr(server) + repr(voprf.deterministic_blind(b"id", secret))
    for hidden in (bytes.fromhex(VOPRF_SECRET_KEY), secret):
        assert hidden.hex() not in shown
        assert repr(hidden)[2:-1] not in shown
    assert VOPRF_PUBLIC_KEY in shown
