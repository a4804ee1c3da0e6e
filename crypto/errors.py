"""What can go wrong in `crypto`, drawn as a tree.

    CryptoError (ValueError)
    ├── InvalidElement      bytes that are no usable group element
    ├── InvalidScalar       bytes that are no usable scalar
    ├── InvalidProof        a proof that does not hold for its statement
    ├── InvalidCiphertext   a cell or ciphertext that is damaged or was made under another key
    ├── ParameterError      sizes, bounds or parameter sets that must not be used
    ├── ReuseRefused        a second use of a secret that serves one message only
    ├── InvalidHint         a PIR hint that does not belong to its table
    ├── InvalidShare        shares that give no secret
    └── AggregationRefused  a message of a secure aggregation that nobody honest acts on

Messages name the kind of fault and the step to take next; they never carry a secret, an identifier or a value.
"""

from __future__ import annotations


class CryptoError(ValueError):
    """Root of every error raised on purpose by `crypto`."""


class InvalidElement(CryptoError):
    """Bytes offered as a group element have the wrong length, are not canonical, or are the identity."""


class InvalidScalar(CryptoError):
    """Bytes offered as a scalar have the wrong length, are not reduced, or are zero where that is forbidden."""


class InvalidProof(CryptoError):
    """A zero-knowledge proof does not verify for the statement it was offered for."""


class InvalidCiphertext(CryptoError):
    """A ciphertext fails authentication or has an impossible shape."""


class ParameterError(CryptoError):
    """An argument, size or parameter set is outside what the primitive is defined or safe for."""


class ReuseRefused(CryptoError):
    """A single-use secret, mask or answer was asked for again with other input: start a new session."""


class InvalidHint(CryptoError):
    """A PIR hint is not the product of its table and the epoch's matrix."""


class InvalidShare(CryptoError):
    """Shares of a secret are too few, out of range, or do not belong together."""


class AggregationRefused(CryptoError):
    """A message of a secure aggregation that cannot be what it says, or that it would be unsafe to act on."""
