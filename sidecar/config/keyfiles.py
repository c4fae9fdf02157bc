"""Keys in local files: JWK Sets, PEM public keys and certificates."""

import re
from dataclasses import dataclass, field
from typing import Any, Final, Self

from cryptography import x509

from sidecar.config.section import Written, fault
from sidecar.config.surroundings import Surroundings, Unreadable
from sidecar.token.key import Key, UnusableKey, from_pem
from sidecar.token.keyset import KeySet, UnusableMember, from_jwks, parse_jwks

_MOST_BYTES: Final = 1024 * 1024
_MOST_BLOCKS: Final = 1000
_MOST_LISTED: Final = 10
# A block ends where the next dashes are: looking on to the end of the file costs quadratic time.
_BLOCK: Final = re.compile(
    rb"-----BEGIN ([A-Z0-9 ]+)-----(?:(?!-----).)*+-----END \1-----", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class KeyFile(Written):
    """A file of public keys, and the keys that were in it."""

    path: str
    keys: KeySet = field(repr=False)

    @classmethod
    def read(cls, text: str, surroundings: Surroundings) -> Self:
        """Raises a fault where the file can't be read or has no usable key."""
        path = surroundings.absolute(text)
        try:
            keys = parse_keys(surroundings.read(path, _MOST_BYTES))
            return cls(path, usable(keys))
        except Unreadable as error:
            raise fault(str(error)) from None
        except ValueError as error:
            raise fault(f"{path}: {error}") from None

    def __str__(self) -> str:
        """Its absolute path."""
        return self.path


@dataclass(frozen=True, slots=True)
class CertificateFile(Written):
    """A file of PEM certificates that servers are trusted by."""

    path: str

    @classmethod
    def read(cls, text: str, surroundings: Surroundings) -> Self:
        """Raises a fault where the file can't be read or has no certificate."""
        path = surroundings.absolute(text)
        try:
            x509.load_pem_x509_certificates(surroundings.read(path, _MOST_BYTES))
        except Unreadable as error:
            raise fault(str(error)) from None
        except (ValueError, x509.InvalidVersion):
            raise fault(f"{path}: it has no PEM certificates, or one that is broken") from None
        return cls(path)

    def __str__(self) -> str:
        """Its absolute path."""
        return self.path


def parse_keys(data: bytes) -> KeySet:
    """The keys of a JWK Set, or of one or several PEM public keys and certificates.

    A key that can't be used is set aside in `unusable`. Raises ValueError where the bytes are
    neither.
    """
    if data.lstrip().startswith(b"{"):
        return parse_jwks(data)
    blocks = list(_BLOCK.finditer(data))
    if not blocks:
        raise ValueError("it is neither a JWK Set nor PEM public keys or certificates")
    if len(blocks) > _MOST_BLOCKS:
        raise ValueError(f"it has {len(blocks)} PEM blocks; at most {_MOST_BLOCKS} are taken")
    keys: list[Key] = []
    unusable: list[UnusableMember] = []
    for block in blocks:
        try:
            keys.append(from_pem(block[0]))
        except UnusableKey as problem:
            line = data.count(b"\n", 0, block.start()) + 1
            unusable.append(UnusableMember(f"line {line}", None, problem))
    return KeySet(tuple(keys), tuple(unusable))


def inline_keys(jwks: dict[str, Any]) -> KeySet:
    """The keys of a JWK Set that stands in the configuration; raises ValueError as `usable`."""
    return usable(from_jwks(jwks))


def usable(keys: KeySet) -> KeySet:
    """The same keys; raises ValueError, with each key's problem, where none can be used."""
    if keys.keys:
        return keys
    if not keys.unusable:
        raise ValueError("it has no key")
    listed = "; ".join(str(one) for one in keys.unusable[:_MOST_LISTED])
    rest = len(keys.unusable) - _MOST_LISTED
    raise ValueError(f"it has no usable key: {listed}" + (f"; and {rest} more" if rest > 0 else ""))
