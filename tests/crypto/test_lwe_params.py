"""The parameter sets: what is claimed, and that nothing outside the estimates loads."""

from __future__ import annotations

from typing import Any

import pytest

from crypto.errors import ParameterError
from crypto.lwe_params import PIR, PRODUCT, load

GOOD: dict[str, Any] = {
    "dimension": 2048,
    "modulus_bits": 64,
    "sigma": 65_536,
    "secret": "ternary",
    "security_bits": 138,
    "max_samples": 1_048_576,
    "source": "estimator",
}


def test_the_shipped_sets() -> None:
    assert (PIR.dimension, PIR.modulus_bits, PIR.sigma, PIR.secret) == (1024, 32, 11, "uniform")
    assert (PRODUCT.dimension, PRODUCT.modulus_bits, PRODUCT.sigma, PRODUCT.secret) == (2048, 64, 2**16, "ternary")
    assert PIR.security_bits == 128
    assert PRODUCT.security_bits == 138


def test_pir_decodes_at_ten_sigma_with_the_most_columns() -> None:
    uniform_byte = ((256**2 - 1) / 12) ** 0.5
    assert 2**23 / (PIR.sigma * PIR.max_samples**0.5 * uniform_byte) > 10


def test_a_good_set_loads() -> None:
    assert load({"x": GOOD})["x"].name == "x"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"sigma": 65_535}, "below the estimated"),
        ({"dimension": 1024}, "no estimate"),
        ({"modulus_bits": 32}, "no estimate"),
        ({"secret": "binary"}, "secret must be one of"),
        ({"secret": "uniform"}, "no estimate"),
        ({"security_bits": 139}, "claims 139 bits"),
        ({"security_bits": 112}, "claims 112 bits"),
        ({"max_samples": 2**20 + 1}, "max_samples"),
        ({"max_samples": 0}, "max_samples"),
        ({"source": ""}, "name the source"),
        ({"sigma": 65_536.0}, "must be of type int"),
        ({"security_bits": True}, "must be of type int"),
        ({"colour": 1}, "unknown or missing keys: colour"),
    ],
)
def test_a_set_outside_what_was_estimated_is_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(ParameterError, match=why):
        load({"x": GOOD | change})


def test_a_missing_key_is_refused() -> None:
    with pytest.raises(ParameterError, match="unknown or missing keys: source"):
        load({"x": {key: value for key, value in GOOD.items() if key != "source"}})


@pytest.mark.parametrize("count", [0, -1, 2**20 + 1])
def test_more_samples_than_proven_are_refused(count: int) -> None:
    PIR.check_samples(2**20)
    with pytest.raises(ParameterError, match="split the table or the cohort"):
        PIR.check_samples(count)
