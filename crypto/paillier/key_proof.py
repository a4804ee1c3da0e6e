"""Proof that a Paillier modulus is well-formed: gcd(n, phi(n)) = 1, so that r ↦ r^n permutes the units modulo n.

    owner(n = p·q, factors)                                       anyone(n, h)
    --------------------------------------------------------------------------------
    rho_i = Hash(n, h, i)  in Z_n                                 n odd, of 3072 bits,
    sigma_i = rho_i^(1/n) mod n                                   no prime factor below 5·10^6
                              n, h, sigma_1 .. sigma_6
                           ----------------------------->
                                                                  rho_i = Hash(n, h, i)
                                                                  sigma_i^n == rho_i mod n, for each i
                                                                  sigma_i != rho_i, for one i at least

Goldberg, Reyzin, Sagga, Baldimtsi, "Efficient Noninteractive Certification of RSA Moduli and Beyond" (ASIACRYPT 2019), section
3: where n and phi(n) share a prime factor, it is at least 5·10^6, and at most one in so many residues has an n-th root; six
random ones all do with probability below 2^-133. If n were prime, each residue would be its own n-th power (Fermat), so that a
root unlike its power shows a composite. With gcd(n, phi(n)) = 1 a ciphertext stands for exactly one plaintext and one
residue: it is a commitment that nobody can open in two ways.

Leakage statement. The n-th roots are of values that a hash chose: whoever sees them learns that roots exist, nothing about the
factors. The proof does not say that n has two factors, or that they are hard to find: who makes a weak key shows what is
encrypted under it to others, as they could by giving the key away.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from crypto.errors import InvalidProof
from crypto.group import expand_message_xmd
from crypto.paillier.arithmetic import KEY_BYTES, PrivateKey, PublicKey, has_small_factor, power

SMALLEST_FACTOR: Final = 5_000_000
ROUNDS: Final = 6
PROOF_BYTES: Final = ROUNDS * KEY_BYTES
_DST: Final = b"Xinqiao-PaillierKey-v2-expand_message_xmd-SHA512"
_EXTRA_BYTES: Final = 16  # beyond the size of n, so that the residue modulo n is uniform but for 2^-128


def prove_key(key: PrivateKey) -> bytes:
    """The proof for a key: 6 roots of 384 bytes."""
    return b"".join(key.root(rho).to_bytes(KEY_BYTES) for rho in _challenges(key.public))


def verify_key(key: PublicKey, proof: bytes) -> None:
    """Check the proof; about a tenth of a second.

    Raises:
        InvalidProof: n is prime or has a small factor, or a root is missing, out of range or wrong.
    """
    if len(proof) != PROOF_BYTES:
        raise InvalidProof(f"the proof of a Paillier key has {PROOF_BYTES} bytes, got {len(proof)}")
    if has_small_factor(key.n, SMALLEST_FACTOR):
        raise InvalidProof("this Paillier modulus has a small factor; make a key with a current client")
    composite = False
    for place, rho in enumerate(_challenges(key)):
        sigma = int.from_bytes(proof[place * KEY_BYTES : (place + 1) * KEY_BYTES])
        if not 0 < sigma < key.n or power(sigma, key.n, key.n) != rho:
            raise InvalidProof("the proof of this Paillier key does not hold; make a key with a current client")
        composite |= sigma != rho
    if not composite:
        raise InvalidProof("this Paillier modulus is prime; make a key with a current client")


def _challenges(key: PublicKey) -> Iterator[int]:
    for place in range(ROUNDS):
        stretched = expand_message_xmd(key.digest + place.to_bytes(1), _DST, KEY_BYTES + _EXTRA_BYTES)
        yield int.from_bytes(stretched) % key.n
