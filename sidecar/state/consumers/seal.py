"""Secrets of consumers at rest: encrypted with AES-GCM, or plain where that was asked for."""

import os
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sidecar.state.consumers.record import UnreadableConsumer

_PLAIN: Final = b"\x00"
_ENCRYPTED: Final = b"\x01"
_NONCE_BYTES: Final = 12
"""Random for each secret: one key is good for 2^32 of them (NIST SP 800-38D, section 8.3)."""


class Unsealable(Exception):
    """There is nothing to encrypt secrets with; the message says what to set."""


class Seal:
    """Encrypts with the first of the keys, decrypts with any; each is of 32 bytes.

    A sealed secret belongs to the consumer whose it is: under another's name it can't be opened.
    """

    def __init__(self, keys: Sequence[bytes], allows_plaintext: bool) -> None:
        self._ciphers = tuple(AESGCM(key) for key in keys)
        self._allows_plaintext = allows_plaintext

    def close(self, name: str, secret: bytes) -> bytes:
        """The secret as it is kept; raises Unsealable."""
        if self._ciphers:
            nonce = os.urandom(_NONCE_BYTES)
            return _ENCRYPTED + nonce + self._ciphers[0].encrypt(nonce, secret, name.encode())
        if self._allows_plaintext:
            return _PLAIN + secret
        raise Unsealable(
            "secrets are kept encrypted only: set store.secrets_key to a key of 32 bytes, or "
            "store.plaintext_secrets: true to keep them as they are"
        )

    def open(self, name: str, sealed: bytes) -> bytes:
        """The secret of this consumer; raises UnreadableConsumer."""
        form, nonce = sealed[:1], sealed[1 : 1 + _NONCE_BYTES]
        if form == _PLAIN and self._allows_plaintext:
            return sealed[1:]
        if form == _PLAIN:
            raise UnreadableConsumer(
                f"the secret of consumer {name} is in the store as it is; set "
                "store.plaintext_secrets: true, or give the consumer a new secret"
            )
        for cipher in self._ciphers if form == _ENCRYPTED else ():
            try:
                return cipher.decrypt(nonce, sealed[1 + _NONCE_BYTES :], name.encode())
            except (InvalidTag, ValueError):
                continue
        raise UnreadableConsumer(
            f"the secret of consumer {name} can't be decrypted: it was encrypted with another key "
            "than store.secrets_key; set store.previous_secrets_key to that one, or give the "
            "consumer a new secret"
        )
