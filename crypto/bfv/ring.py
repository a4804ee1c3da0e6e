"""Arithmetic modulo q and X^n + 1 through SEAL. The only module that imports `tenseal.sealapi`.

SEAL reads and writes its objects as files only; they go through anonymous memory, uncompressed, so that no key, weight or
row ever lies on a disk. Polynomials outside are uint64[primes, n], the residues of each coefficient.
"""

from __future__ import annotations

import contextlib
import os
import struct
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crypto.bfv.parameters import BfvParameters
from crypto.errors import CryptoError, InvalidCiphertext, ParameterError

try:
    import tenseal.sealapi as seal
except ModuleNotFoundError as error:  # pragma: no cover - the extra is installed wherever this is tested
    raise ModuleNotFoundError("private models need the extra: pip install 'xinqiao[private-model]'") from error

Words = NDArray[np.uint64]
Plain = Any
"""A SEAL plaintext in NTT form."""
Cipher = Any
"""A SEAL ciphertext."""

_MAGIC, _HEADER, _UNCOMPRESSED = 0xA15E, struct.Struct("<HBBBBHQ"), 0


class MalformedData(InvalidCiphertext):
    """Residues that are not reduced, or of another size."""


class Ring:
    """One parameter set, loaded. Objects of SEAL belong to the process that made them."""

    def __init__(self, parameters: BfvParameters) -> None:
        self.parameters = parameters
        asked = seal.EncryptionParameters(seal.SCHEME_TYPE.BFV)
        asked.set_poly_modulus_degree(parameters.degree)
        asked.set_coeff_modulus([seal.Modulus(prime) for prime in parameters.primes])
        asked.set_plain_modulus(parameters.plain)
        self._context = seal.SEALContext(asked, True, seal.SEC_LEVEL_TYPE.TC128)
        if not self._context.parameters_set():
            raise ParameterError(f"{parameters.name}: SEAL refuses the set: {self._context.parameters_error_message()}")
        self._evaluator = seal.Evaluator(self._context)
        self._levels = {
            3: self._context.key_parms_id(),
            2: self._context.first_parms_id(),
            1: self._context.last_parms_id(),
        }
        version = seal.Serialization.SEALHeader()
        self._version = (version.version_major, version.version_minor)

    # ---------------------------------------------------------------- in and out

    def ciphertext(self, c0: Words, c1: Words, *, ntt: bool = False) -> Cipher:
        """(c0, c1) uint64[k, n] each, at the level of k primes; raises `MalformedData`."""
        k, n = c0.shape[0], self.parameters.degree
        if c0.shape != c1.shape or c0.shape != (k, n) or k not in (1, 2):
            raise MalformedData("a ciphertext has two polynomials of 8,192 coefficients each")
        level = struct.pack("<4Q", *self._levels[k])
        facts = struct.pack("<?QQQdQ", ntt, 2, n, k, 1.0, 1)
        made = seal.Ciphertext()
        self._load(made, level + facts + self._array(np.concatenate([c0, c1])))
        return made

    def residues(self, ciphertext: Cipher) -> Words:
        """uint64[2, k, n] of a ciphertext, in whatever form it is."""
        k, n = ciphertext.coeff_modulus_size(), self.parameters.degree
        # SEAL saves with zstd alone, which Python does not read: element by element takes 4 ms.
        return np.fromiter(map(ciphertext.__getitem__, range(2 * k * n)), np.uint64, 2 * k * n).reshape(2, k, n)

    def plain(self, coefficients: NDArray[np.integer[Any]]) -> Plain:
        """Small integer coefficients [n], negative ones too, as a factor: in NTT form under both primes of q."""
        made = self._plain(coefficients)
        self._evaluator.transform_to_ntt_inplace(made, self._levels[2])
        return made

    def load_plain(self, path: Path) -> Plain:
        """A factor that was saved in NTT form; raises FileNotFoundError, or `MalformedData`."""
        made = seal.Plaintext()
        with path.open("rb"):
            pass  # SEAL has one error for everything
        try:
            made.load(self._context, str(path))
        except (RuntimeError, ValueError) as error:
            raise MalformedData("the file holds no column of this parameter set") from error
        if tuple(made.parms_id()) != tuple(self._levels[2]):
            raise MalformedData("the file holds a column of another form")
        return made

    def _plain(self, coefficients: NDArray[np.integer[Any]]) -> Plain:
        wide = coefficients.astype(np.int64)
        if wide.shape != (self.parameters.degree,):
            raise ParameterError("a factor has 8,192 coefficients")
        made = seal.Plaintext()
        facts = struct.pack("<4QQd", 0, 0, 0, 0, wide.size, 1.0)
        self._load(made, facts + self._array(np.mod(wide, self.parameters.plain).astype(np.uint64)))
        return made

    def decryptor(self, secret: NDArray[np.int64]) -> Decryptor:
        """Opens ciphertexts under a ternary secret [n]."""
        key = self._plain(secret)
        self._evaluator.transform_to_ntt_inplace(key, self._levels[3])
        with _memory() as path:
            key.save(path)
            made = seal.SecretKey()
            made.load(self._context, path)
        return Decryptor(self, seal.Decryptor(self._context, made))

    # ---------------------------------------------------------------- arithmetic

    def times(self, polynomial: Words, factor: Plain) -> Words:
        """uint64[2, n], a polynomial modulo q times a factor of small coefficients."""
        pair = self.ciphertext(polynomial, polynomial)
        self._evaluator.transform_to_ntt_inplace(pair)
        self._multiply(pair, factor, pair)
        self._evaluator.transform_from_ntt_inplace(pair)
        product: Words = self.residues(pair)[0]
        return product

    def to_ntt(self, ciphertext: Cipher) -> Cipher:
        """The same ciphertext, ready to be multiplied."""
        self._evaluator.transform_to_ntt_inplace(ciphertext)
        return ciphertext

    def combine(self, ciphertexts: list[Cipher], factors: list[Plain | None]) -> Cipher:
        """Σ factor · ciphertext, not in NTT form; a factor None is zero, and at least one is not."""
        total, product = None, seal.Ciphertext()
        for ciphertext, factor in zip(ciphertexts, factors, strict=True):
            if factor is None:
                continue
            if total is None:
                total = seal.Ciphertext()
                self._multiply(ciphertext, factor, total)
            else:
                self._multiply(ciphertext, factor, product)
                self._evaluator.add_inplace(total, product)
        if total is None:
            raise ParameterError("a sum needs a factor that is not zero")
        self._evaluator.transform_from_ntt_inplace(total)
        return total

    def add_and_switch(self, total: Cipher, more: Cipher) -> Words:
        """total + more, rounded to the last prime: uint64[2, n]."""
        self._evaluator.add_inplace(total, more)
        self._evaluator.mod_switch_to_next_inplace(total)
        switched: Words = self.residues(total)[:, 0]
        return switched

    def _multiply(self, ciphertext: Cipher, factor: Plain, product: Cipher) -> None:
        if product is ciphertext:
            self._evaluator.multiply_plain_inplace(ciphertext, factor)
        else:
            self._evaluator.multiply_plain(ciphertext, factor, product)

    # ---------------------------------------------------------------- SEAL's files

    def _array(self, words: Words) -> bytes:
        body = struct.pack("<Q", words.size) + words.astype("<u8", copy=False).tobytes()
        return self._headed(body)

    def _headed(self, body: bytes) -> bytes:
        return _HEADER.pack(_MAGIC, _HEADER.size, *self._version, _UNCOMPRESSED, 0, _HEADER.size + len(body)) + body

    def _load(self, into: Any, body: bytes) -> None:
        with _memory(self._headed(body)) as path:
            try:
                into.load(self._context, path)
            except (RuntimeError, ValueError) as error:
                raise MalformedData("the ciphertext is not one of this parameter set: its residues are not reduced") from error


class Decryptor:
    """Opens what `add_and_switch` returned; holds a secret."""

    def __init__(self, ring: Ring, decryptor: Any) -> None:
        self._ring, self._decryptor = ring, decryptor

    def __repr__(self) -> str:
        return "Decryptor(secret redacted)"

    def open(self, c0: Words, c1: Words) -> NDArray[np.int64]:
        """Coefficients modulo t, int64[n], of (c0, c1) uint64[k, n] each."""
        opened = seal.Plaintext()
        self._decryptor.decrypt(self._ring.ciphertext(c0, c1), opened)
        found = np.zeros(self._ring.parameters.degree, np.int64)
        count = opened.coeff_count()
        found[:count] = np.fromiter(map(opened.__getitem__, range(count)), np.int64, count)
        return found


@cache
def ring(parameters: BfvParameters) -> Ring:
    """The ring of a parameter set, made once a process."""
    return Ring(parameters)


@contextlib.contextmanager
def _memory(content: bytes = b"") -> Iterator[str]:
    """The path of a file in memory, or of a private temporary one where the system has no such thing."""
    if hasattr(os, "memfd_create"):
        number = os.memfd_create("xinqiao")
        path = f"/proc/self/fd/{number}"
    else:  # pragma: no cover
        number, path = tempfile.mkstemp()
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(number, view) :]
        yield path
    finally:
        os.close(number)
        if not path.startswith("/proc/"):  # pragma: no cover
            os.unlink(path)


__all__ = ["Cipher", "CryptoError", "Decryptor", "MalformedData", "Plain", "Ring", "Words", "ring"]
