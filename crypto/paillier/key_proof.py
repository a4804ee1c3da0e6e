"""Proof that a Paillier key is well-formed: gcd(n, phi(n)) = 1, so that r ↦ r^n permutes the units modulo n; and of its h.

    owner(n = p·q, factors)                                       anyone(n, h, h_1 .. h_11)
    --------------------------------------------------------------------------------
    rho_i = Hash(n, h, i)  in Z_n                                 n odd, of 3072 bits,
    sigma_i = rho_i^(1/n) mod n                                   no prime factor below 5·10^6
    y = h^(1/n) mod n
                              sigma_1 .. sigma_6, y
                           ----------------------------->
                                                                  rho_i = Hash(n, h, i)
                                                                  sigma_i^n == rho_i mod n, for each i
                                                                  sigma_i != rho_i, for one i at least
                                                                  y^n == h mod n²
                                                                  h_i == h^(2^(37·i)) mod n², for each i

Goldberg, Reyzin, Sagga, Baldimtsi, "Efficient Noninteractive Certification of RSA Moduli and Beyond" (ASIACRYPT 2019), section
3: where n and phi(n) share a prime factor, it is at least 5·10^6, and at most one in so many residues has an n-th root; six
random ones all do with probability below 2^-133. If n were prime, each residue would be its own n-th power (Fermat), so that a
root unlike its power shows a composite. With gcd(n, phi(n)) = 1 a ciphertext stands for exactly one plaintext and one
residue. With h an n-th power, (1 + n)^m · h^a stands for m whatever a is: it is a commitment that nobody can open in two ways.
And steps that are not the powers of h would let their owner choose how many honest answers fail their proofs, and so thin the
crowd that a sum hides in.

Leakage statement. The n-th roots are of values that a hash chose, and y is the base that h was made of, which serves for
nothing else: whoever sees them learns that roots exist, nothing about the factors. The proof does not say that n has two
factors, or that they are hard to find: who makes a weak key shows what is encrypted under it to others, as they could by giving
the key away.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from crypto.errors import InvalidProof
from crypto.group import expand_message_xmd
from crypto.paillier.arithmetic import KEY_BYTES, PrivateKey, PublicKey, has_small_factor, power

SMALLEST_FACTOR: Final = 5_000_000
ROUNDS: Final = 6
PROOF_BYTES: Final = (ROUNDS + 1) * KEY_BYTES
_DST: Final = b"Xinqiao-PaillierKey-v3-expand_message_xmd-SHA512"
_EXTRA_BYTES: Final = 16  # beyond the size of n, so that the residue modulo n is uniform but for 2^-128


def prove_key(key: PrivateKey) -> bytes:
    """The proof for a key: 7 roots of 384 bytes, the last one that of h."""
    public = key.public
    return b"".join(key.root(value).to_bytes(KEY_BYTES) for value in (*_challenges(public), public.h % public.n))


def verify_key(key: PublicKey, proof: bytes) -> None:
    """Check the proof; about an eighth of a second.

    Raises:
        InvalidProof: n is prime or has a small factor, a root is missing, out of range or wrong, or steps are not those of h.
    """
    if len(proof) != PROOF_BYTES:
        raise InvalidProof(f"the proof of a Paillier key has {PROOF_BYTES} bytes, got {len(proof)}")
    if has_small_factor(key.n, SMALLEST_FACTOR):
        raise InvalidProof("this Paillier modulus has a small factor; make a key with a current client")
    composite = False
    *sigmas, y = (int.from_bytes(proof[start : start + KEY_BYTES]) for start in range(0, PROOF_BYTES, KEY_BYTES))
    for sigma, rho in zip(sigmas, _challenges(key), strict=True):
        if not 0 < sigma < key.n or power(sigma, key.n, key.n) != rho:
            raise InvalidProof("the proof of this Paillier key does not hold; make a key with a current client")
        composite |= sigma != rho
    if not composite:
        raise InvalidProof("this Paillier modulus is prime; make a key with a current client")
    if not 0 < y < key.n or power(y, key.n, key.n_squared) != key.h:
        raise InvalidProof("the base h of this Paillier key is no n-th power; make a key with a current client")
    if PublicKey(key.n, key.h).steps != key.steps:
        raise InvalidProof("the steps of this Paillier key are not the powers of its base; make a key with a current client")


def _challenges(key: PublicKey) -> Iterator[int]:
    for place in range(ROUNDS):
        stretched = expand_message_xmd(key.digest + place.to_bytes(1), _DST, KEY_BYTES + _EXTRA_BYTES)
        yield int.from_bytes(stretched) % key.n
