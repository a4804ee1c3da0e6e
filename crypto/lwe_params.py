"""Parameter sets of the LWE schemes: data in ``lwe_params.toml``, checked when loaded.

``PIR`` serves the private query (SimplePIR), ``PRODUCT`` the masked product. Wrap-around integer arithmetic on words of
``modulus_bits`` is the arithmetic of Z_q.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.resources import files

from crypto.errors import ParameterError

SECRET_KINDS = ("uniform", "ternary")

# (secret, dimension, log2 q) -> least sigma, bits that the lattice estimator gives for it. A larger sigma is safer, a
# set that is not listed was never estimated.
_ESTIMATES = {
    ("uniform", 1024, 32): (11, 128),
    ("ternary", 2048, 64): (1 << 16, 138),
}
_LEAST_SECURITY = 128
_MOST_SAMPLES = 1 << 20


@dataclass(frozen=True)
class LweParameters:
    """One parameter set.

    ``dimension``: n, length of the secret. ``sigma``: standard deviation of the noise, an integer. ``max_samples``:
    most rows (product) or columns (PIR) under one secret. ``security_bits``, ``source``: what is claimed and by whom.
    """

    name: str
    dimension: int
    modulus_bits: int
    sigma: int
    secret: str
    security_bits: int
    max_samples: int
    source: str

    def check(self) -> None:
        """Raise ``ParameterError`` unless the set lies within what was estimated."""
        if self.secret not in SECRET_KINDS:
            raise ParameterError(f"set {self.name}: secret must be one of {', '.join(SECRET_KINDS)}")
        estimate = _ESTIMATES.get((self.secret, self.dimension, self.modulus_bits))
        if estimate is None:
            raise ParameterError(
                f"set {self.name}: no estimate for a {self.secret} secret of dimension {self.dimension} "
                f"modulo 2^{self.modulus_bits}; estimate it and add it to the table first"
            )
        least_sigma, bits = estimate
        if self.sigma < least_sigma:
            raise ParameterError(f"set {self.name}: sigma {self.sigma} is below the estimated {least_sigma}")
        if not _LEAST_SECURITY <= self.security_bits <= bits:
            raise ParameterError(
                f"set {self.name}: claims {self.security_bits} bits; between {_LEAST_SECURITY} and {bits} can be shown"
            )
        if not 0 < self.max_samples <= _MOST_SAMPLES:
            raise ParameterError(f"set {self.name}: max_samples must be between 1 and {_MOST_SAMPLES}")
        if not self.source:
            raise ParameterError(f"set {self.name}: name the source of the security claim")

    def check_samples(self, count: int) -> None:
        """Raise ``ParameterError`` when ``count`` rows or columns are outside 1 ... ``max_samples``."""
        if not 1 <= count <= self.max_samples:
            raise ParameterError(
                f"{count} samples under one secret; the set '{self.name}' is proven for 1 to {self.max_samples}: "
                "split the table or the cohort"
            )


def load(table: Mapping[str, Mapping[str, object]]) -> dict[str, LweParameters]:
    """Parameter sets by name from the parsed file; unknown, missing or mistyped keys raise ``ParameterError``."""
    types = {field.name: (int if field.type == "int" else str) for field in fields(LweParameters)}
    sets: dict[str, LweParameters] = {}
    for name, entry in table.items():
        values: dict[str, object] = {"name": name, **entry}
        if values.keys() != types.keys():
            odd = ", ".join(sorted(values.keys() ^ types.keys()))
            raise ParameterError(f"set {name}: unknown or missing keys: {odd}")
        for key, value in values.items():
            if type(value) is not types[key]:
                raise ParameterError(f"set {name}: {key} must be of type {types[key].__name__}")
        parameters = LweParameters(**values)  # type: ignore[arg-type]  # checked against the fields just above
        parameters.check()
        sets[name] = parameters
    return sets


_SETS = load(tomllib.loads(files("crypto").joinpath("lwe_params.toml").read_text("utf-8")))
PIR = _SETS["pir"]
PRODUCT = _SETS["product"]
