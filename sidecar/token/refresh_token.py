"""A refresh token: its text, what is kept of it, and how an answer is sealed with it.

`jsr_` and 64 characters of base64url: 16 bytes that name a family of tokens, which follow each
other, and the 32 bytes that are this token's secret. Of both only hashes are kept, so neither the
store nor a log helps to make a token, or even to name its family.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sidecar.token import base64url
from sidecar.token.reason import Reason, Refused

PREFIX: Final = "jsr_"
"""By which people, and scanners for secrets in source code, recognise one."""
HANDLE_BYTES: Final = 16
SECRET_BYTES: Final = 32
"""256 bits of randomness, as many as the hashes have."""
NONCE_BYTES: Final = 12
_CHARACTERS: Final = 68
"""Of the whole text: 48 bytes need no padding."""


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token."""

    handle: bytes = field(repr=False)
    """Shared by the tokens of a family."""
    secret: bytes = field(repr=False)
    """Random."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """The token with exactly this text; raises Refused, and quotes nothing of it."""
        if not text:
            raise Refused(Reason.TOKEN_MISSING, "no refresh token was presented")
        if not text.startswith(PREFIX):
            raise _malformed(f"it does not begin with {PREFIX}")
        if len(text) != _CHARACTERS:
            raise _malformed(f"it has {len(text)} characters and not {_CHARACTERS}")
        try:
            data = base64url.decode(text.removeprefix(PREFIX).encode("ascii"))
        except ValueError:
            raise _malformed("it has other characters than those of base64url") from None
        return cls(data[:HANDLE_BYTES], data[HANDLE_BYTES:])

    @property
    def text(self) -> str:
        """What the client gets."""
        return PREFIX + base64url.encode(self.handle + self.secret).decode("ascii")

    @property
    def family(self) -> str:
        """Names the family in the store and in logs."""
        return hashlib.sha256(b"jwt-sidecar refresh family" + self.handle).hexdigest()[:32]

    @property
    def digest(self) -> bytes:
        """What is kept, to know the token again."""
        return self._derived(b"jwt-sidecar refresh token")

    def followed_by(self, secret: bytes) -> "RefreshToken":
        """The next token of the family, with this secret."""
        return RefreshToken(self.handle, secret)

    def seal(self, answer: bytes, nonce: bytes) -> bytes:
        """The answer to this token, which nobody reads without the token."""
        return nonce + AESGCM(self._key()).encrypt(nonce, answer, self.family.encode())

    def unseal(self, sealed: bytes) -> bytes:
        """The answer that was sealed with this token; raises ValueError for anything else."""
        nonce, encrypted = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return AESGCM(self._key()).decrypt(nonce, encrypted, self.family.encode())
        except (InvalidTag, ValueError):
            raise ValueError("the sealed answer is damaged") from None

    def _key(self) -> bytes:
        return self._derived(b"jwt-sidecar refresh answer")

    def _derived(self, purpose: bytes) -> bytes:
        """A secret of 256 random bits needs no slow hash."""
        return hmac.digest(self.secret, purpose + self.handle, "sha256")


def _malformed(problem: str) -> Refused:
    return Refused(Reason.TOKEN_MALFORMED, f"this is no refresh token of a sidecar: {problem}")
