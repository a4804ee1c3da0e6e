"""Paillier encryption for low-volume sums: keys, ciphertexts that were looked at, and two proofs. Needs the extra `paillier`.

::

    arithmetic    the one module that imports `phe` and `gmpy2`: keys, encryption, decryption, sums
    powers        many powers multiplied at once, for products of thousands of ciphertexts
    key_proof     gcd(n, phi(n)) = 1, proven without showing a factor
    bounded       an encrypted amount lies within its bound, proven exactly
"""

from crypto.paillier.arithmetic import CIPHERTEXT_BYTES, KEY_BITS, Ciphertext, PrivateKey, PublicKey, generate_key

__all__ = ["CIPHERTEXT_BYTES", "KEY_BITS", "Ciphertext", "PrivateKey", "PublicKey", "generate_key"]
