"""What an encrypted private key is inside (PKCS#8, RFC 5958; PBES2, RFC 8018).

`cryptography` decrypts it too, but shows the key alone and not its OID. So this is only for
reading the OID, once the key itself was read with the same password.
"""

import hashlib
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from sidecar.token import der

_PBES2: Final = "1.2.840.113549.1.5.13"
_PBKDF2: Final = "1.2.840.113549.1.5.12"
_SCRYPT: Final = "1.3.6.1.4.1.11591.4.11"
_HMACS: Final = {
    "1.2.840.113549.2.7": "sha1",
    "1.2.840.113549.2.8": "sha224",
    "1.2.840.113549.2.9": "sha256",
    "1.2.840.113549.2.10": "sha384",
    "1.2.840.113549.2.11": "sha512",
}
_CIPHERS: Final[dict[str, tuple[int, Callable[[bytes], BlockCipherAlgorithm]]]] = {
    "1.2.840.113549.3.7": (24, TripleDES),
    "2.16.840.1.101.3.4.1.2": (16, AES),
    "2.16.840.1.101.3.4.1.22": (24, AES),
    "2.16.840.1.101.3.4.1.42": (32, AES),
}
"""Length of the key and cipher, all of them with CBC."""


class UnknownEncryption(Exception):
    """It is encrypted with something other than PBES2 with PBKDF2 or scrypt and AES or 3DES."""


def decrypt(encrypted_private_key_info: bytes, password: bytes) -> bytes:
    """Return the PrivateKeyInfo; raises UnknownEncryption, or ValueError if it is malformed."""
    scheme, data = der.elements(der.only(encrypted_private_key_info, der.SEQUENCE))
    oid, parameters = der.algorithm(scheme)
    if oid != _PBES2:
        raise UnknownEncryption
    [(_, content)] = parameters
    derivation, encryption = der.elements(content)
    cipher_oid, cipher_parameters = der.algorithm(encryption)
    if cipher_oid not in _CIPHERS:
        raise UnknownEncryption
    size, cipher = _CIPHERS[cipher_oid]
    [vector] = cipher_parameters
    algorithm = cipher(_derive(derivation, password, size))
    decryptor = Cipher(algorithm, CBC(der.octets(vector))).decryptor()
    unpadder = PKCS7(algorithm.block_size).unpadder()
    padded = decryptor.update(der.octets(data)) + decryptor.finalize()
    return unpadder.update(padded) + unpadder.finalize()


def _derive(element: der.Element, password: bytes, size: int) -> bytes:
    oid, parameters = der.algorithm(element)
    if oid not in {_PBKDF2, _SCRYPT}:
        raise UnknownEncryption
    [(_, content)] = parameters
    salt, *rest = der.elements(content)
    if oid == _SCRYPT:
        n, r, p = (der.integer(number) for number in rest[:3])
        memory = 128 * r * (n + p + 2)
        return hashlib.scrypt(
            password, salt=der.octets(salt), n=n, r=r, p=p, maxmem=memory, dklen=size
        )
    iterations, *rest = rest
    # The length of the key may stand before the function; it follows from the cipher.
    hmacs = [der.algorithm(one)[0] for one in rest if one[0] == der.SEQUENCE]
    name = _HMACS.get(hmacs[0]) if hmacs else "sha1"
    if name is None:
        raise UnknownEncryption
    return hashlib.pbkdf2_hmac(name, password, der.octets(salt), der.integer(iterations), size)
