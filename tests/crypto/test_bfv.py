"""Private models under BFV: right scores, a proven noise bound, well-formed keys and encryptions, one flooding a block."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crypto.bfv import (
    LARGEST_CODE,
    LARGEST_WEIGHT,
    MOST_COLUMNS,
    PRIVATE_MODEL,
    ROWS,
    EncryptedModel,
    MalformedData,
    ModelEvaluation,
    ModelKey,
    block_pads,
    column,
    load_column,
    save_column,
    unpad,
    verify_opening,
)
from crypto.bfv.bank import mask, unpack_block
from crypto.errors import InvalidCiphertext, InvalidProof, ParameterError, ReuseRefused
from tests.bfv import Unflooded, read_noise

RNG = np.random.default_rng(3)
SEED, PUBLIC, EPOCH = RNG.bytes(32), RNG.bytes(32), RNG.bytes(32)
WEIGHTS = [31, -31, 7, 0, -1, 12, 3, 5]
CODES = RNG.integers(0, LARGEST_CODE + 1, (len(WEIGHTS), ROWS), dtype=np.uint8)
CODES[4] = 0


@pytest.fixture(scope="module")
def key() -> ModelKey:
    return ModelKey(WEIGHTS, SEED, PUBLIC)


@pytest.fixture(scope="module")
def encrypted(key: ModelKey) -> EncryptedModel:
    return key.encrypt()


def test_every_row_s_score_comes_back_under_its_pad(key: ModelKey, encrypted: EncryptedModel) -> None:
    block = ModelEvaluation(encrypted, EPOCH).block(7, [column(codes) for codes in CODES])
    opened = key.open(block.sealed)
    scores = [unpad(int(value), int(pad)) for value, pad in zip(opened, block.pads, strict=True)]
    assert scores == (np.array(WEIGHTS) @ CODES.astype(np.int64)).tolist()
    assert np.array_equal(block.pads, block_pads(EPOCH, 7))
    assert len(block.sealed) == 10 * ROWS


def test_pads_are_uniform_and_differ_from_block_to_block() -> None:
    first, second = block_pads(EPOCH, 0), block_pads(EPOCH, 1)
    assert not np.array_equal(first, second)
    assert abs(first.mean() / PRIVATE_MODEL.plain - 0.5) < 0.02
    assert int(first.max()) < PRIVATE_MODEL.plain


def test_the_same_key_makes_the_same_bytes(encrypted: EncryptedModel) -> None:
    columns = [column(codes) for codes in CODES]
    first, again = (ModelEvaluation(encrypted, EPOCH).block(0, columns).sealed for _ in range(2))
    other = ModelEvaluation(encrypted, RNG.bytes(32)).block(0, columns).sealed
    assert first == again != other


def test_a_block_is_flooded_once(encrypted: EncryptedModel) -> None:
    evaluation = ModelEvaluation(encrypted, EPOCH)
    columns = [column(codes) for codes in CODES]
    evaluation.block(0, columns)
    with pytest.raises(ReuseRefused, match="once"):
        evaluation.block(0, columns)
    evaluation.block(1, columns)


def test_columns_are_kept_in_a_file_and_a_spoilt_one_is_told(encrypted: EncryptedModel, tmp_path: Path) -> None:
    columns = [column(codes) for codes in CODES]
    for place, made in enumerate(columns):
        if made is not None:
            save_column(made, tmp_path / str(place))
            columns[place] = load_column(tmp_path / str(place))
    direct = ModelEvaluation(encrypted, EPOCH).block(0, [column(codes) for codes in CODES])
    assert ModelEvaluation(encrypted, EPOCH).block(0, columns).sealed == direct.sealed
    with pytest.raises(FileNotFoundError):
        load_column(tmp_path / "none")
    for spoilt in (b"", (tmp_path / "0").read_bytes()[:-100]):
        (tmp_path / "spoilt").write_bytes(spoilt)
        with pytest.raises(MalformedData):
            load_column(tmp_path / "spoilt")


# ------------------------------------------------------------------ noise


def test_the_noise_of_a_sum_stays_below_the_proven_bound_and_the_flooding_above_it(encrypted: EncryptedModel) -> None:
    p = PRIVATE_MODEL
    worst = np.full((len(WEIGHTS), ROWS), LARGEST_CODE, np.uint8)
    noise = {
        build: max(map(abs, read_noise(build(encrypted, EPOCH), ModelKey(WEIGHTS, SEED, PUBLIC), worst)))
        for build in (ModelEvaluation, Unflooded)
    }
    assert noise[Unflooded] < 1 << p.noise_bits
    assert 1 << (p.flood_bits - 1) < noise[ModelEvaluation] < (1 << p.flood_bits) + (1 << p.noise_bits)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"plain": 1 << 19}, "2\\^20"),
        ({"noise_bits": 28}, "may exceed"),
        ({"noise_bits": 34}, "reach the scores"),
        ({"primes": (70368743669761, 1152921504606748673, 1 << 120)}, "not secure"),
        ({"degree": 4096}, "not secure"),
    ],
)
def test_a_set_that_cannot_be_proven_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        replace(PRIVATE_MODEL, **change).check()  # type: ignore[arg-type]


# ------------------------------------------------------------------ what is refused


def test_the_office_makes_the_encryption_again_and_finds_any_other(encrypted: EncryptedModel) -> None:
    verify_opening(WEIGHTS, SEED, PUBLIC, encrypted.digest())
    spoilt = bytearray(encrypted.body)
    spoilt[ROWS * 16 + 5] ^= 1  # one bit of the first weight's noise
    for digest in (EncryptedModel(PUBLIC, bytes(spoilt)).digest(), EncryptedModel(SEED, encrypted.body).digest()):
        with pytest.raises(InvalidProof):
            verify_opening(WEIGHTS, SEED, PUBLIC, digest)
    for weights, seed in (([*WEIGHTS[:-1], 6], SEED), (WEIGHTS, PUBLIC)):
        with pytest.raises(InvalidProof):
            verify_opening(weights, seed, PUBLIC, encrypted.digest())


@pytest.mark.parametrize("weights", [[], [LARGEST_WEIGHT + 1], [1] * (MOST_COLUMNS + 1), [1.0], [True]])
def test_weights_that_are_no_small_integers_are_refused(weights: list[int]) -> None:
    with pytest.raises(ParameterError):
        ModelKey(weights, SEED, PUBLIC)


def test_residues_that_are_not_reduced_and_other_sizes_are_refused(encrypted: EncryptedModel) -> None:
    words = np.frombuffer(encrypted.body, "<u8").copy()
    words[-1] = PRIVATE_MODEL.primes[1]
    for body in (words.tobytes(), encrypted.body[:-8], b""):
        with pytest.raises(InvalidCiphertext):
            ModelEvaluation(EncryptedModel(PUBLIC, body), EPOCH)


def test_codes_beyond_the_bound_and_blocks_of_another_size_are_refused(key: ModelKey) -> None:
    for codes in (np.full(ROWS, LARGEST_CODE + 1, np.uint8), np.zeros(ROWS - 1, np.uint8)):
        with pytest.raises(ParameterError):
            column(codes)
    for block in (b"", bytes(10 * ROWS - 1), b"\xff" * (10 * ROWS)):
        with pytest.raises(InvalidCiphertext):
            unpack_block(block)


def test_masks_are_each_its_own_and_secrets_are_not_shown(key: ModelKey, encrypted: EncryptedModel) -> None:
    first, second = mask(PRIVATE_MODEL, PUBLIC, 0), mask(PRIVATE_MODEL, PUBLIC, 1)
    assert not np.array_equal(first, second)
    assert all(int(first[place].max()) < prime for place, prime in enumerate(PRIVATE_MODEL.primes[:2]))
    assert "redacted" in repr(key)
    assert "redacted" in repr(ModelEvaluation(encrypted, EPOCH))
