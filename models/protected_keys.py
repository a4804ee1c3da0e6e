"""A signing key in a file that a passphrase opens: PKCS#8 (RFC 5958) encrypted under scrypt and AES-256-CBC (PBES2).

The usual writers derive the file's key with PBKDF2 at some ten thousand rounds, which a stolen file does not withstand for
long. PBES2 knows scrypt too (RFC 7914 §7), and common readers open it; so it is written here by hand, in DER::

    EncryptedPrivateKeyInfo ::= { PBES2 { scrypt { salt, N, r, p }, aes256-CBC { iv } }, ciphertext }
"""

from __future__ import annotations

import base64
import os
import textwrap
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from models.durable import write_new
from models.key_files import ConfigError, load_key

SHORTEST_PASSPHRASE = 12
SCRYPT_N, SCRYPT_R, SCRYPT_P = 1 << 14, 8, 5  # 16 MiB, the most that OpenSSL reads, five times over for each guess
SALT_BYTES = IV_BYTES = 16
_BEGIN, _END = "-----BEGIN ENCRYPTED PRIVATE KEY-----", "-----END ENCRYPTED PRIVATE KEY-----"
_PBES2 = bytes.fromhex("06092a864886f70d01050d")
_SCRYPT = bytes.fromhex("06092b06010401da47040b")
_AES_256_CBC = bytes.fromhex("060960864801650304012a")


class WrongPassphrase(Exception):
    """The passphrase does not open this key."""


def protect(key: Ed25519PrivateKey, path: Path, passphrase: str) -> None:
    """Write a key encrypted under a passphrase, mode 0600.

    Raises:
        ConfigError: the passphrase is too short.
        FileExistsError: there is such a file.
    """
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise ConfigError(f"the passphrase has fewer than {SHORTEST_PASSPHRASE} characters; take four or five words at random")
    text = textwrap.wrap(base64.b64encode(_encrypt(key, passphrase)).decode(), 64)
    write_new(path, "\n".join((_BEGIN, *text, _END, "")).encode())


def make_protected_key(path: Path, passphrase: str, of: Path | None = None) -> bytes:
    """Write a fresh key, or the one in the clear file `of`, under a passphrase; its public half, 32 bytes.

    `of` stays where it is: remove it when the new file was seen to work.
    """
    key = Ed25519PrivateKey.generate() if of is None else load_key(of)
    protect(key, path, passphrase)
    return key.public_key().public_bytes_raw()


def unlock(path: Path, passphrase: str) -> Ed25519PrivateKey:
    """The key in a protected file.

    Raises:
        WrongPassphrase: it does not open with this passphrase.
        ConfigError: the file is missing, open to others, or no protected signing key.
    """
    check_protected(path)
    try:
        key = load_pem_private_key(path.read_bytes(), passphrase.encode())
    except (ValueError, TypeError):
        raise WrongPassphrase("the passphrase does not open this key") from None
    except UnsupportedAlgorithm:
        raise ConfigError(f"{path.name} is encrypted in a way that this version does not read") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path.name} holds another kind of key than Ed25519")
    return key


def check_protected(path: Path) -> None:
    """Check what can be known of a key file without its passphrase; raises `ConfigError`."""
    try:
        mode, head = path.stat().st_mode, path.read_bytes()[: len(_BEGIN)]
    except FileNotFoundError:
        raise ConfigError(f"there is no key file {path}; make one with `keygen --protect`") from None
    if mode & 0o077:
        raise ConfigError(f"others may read {path}: set the file's mode to 0600")
    if head != _BEGIN.encode():
        raise ConfigError(f"{path.name} is not protected by a passphrase; convert it with `keygen --protect --of`")


def _encrypt(key: Ed25519PrivateKey, passphrase: str) -> bytes:
    salt, iv = os.urandom(SALT_BYTES), os.urandom(IV_BYTES)
    derived = Scrypt(salt=salt, length=32, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P).derive(passphrase.encode())
    padder = PKCS7(128).padder()
    plain = padder.update(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())) + padder.finalize()
    encryptor = Cipher(algorithms.AES(derived), modes.CBC(iv)).encryptor()
    ciphertext = encryptor.update(plain) + encryptor.finalize()
    kdf = _sequence(_SCRYPT, _sequence(_octets(salt), _integer(SCRYPT_N), _integer(SCRYPT_R), _integer(SCRYPT_P)))
    algorithm = _sequence(_PBES2, _sequence(kdf, _sequence(_AES_256_CBC, _octets(iv))))
    return _sequence(algorithm, _octets(ciphertext))


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([0x81, size])
    return bytes([tag]) + length + content


def _sequence(*parts: bytes) -> bytes:
    return _der(0x30, b"".join(parts))


def _octets(data: bytes) -> bytes:
    return _der(0x04, data)


def _integer(value: int) -> bytes:
    return _der(0x02, value.to_bytes(value.bit_length() // 8 + 1))
