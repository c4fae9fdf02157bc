"""One block of PEM in a text (RFC 7468)."""

import re
from base64 import b64decode
from dataclasses import dataclass, field
from typing import Final

PUBLIC_KEYS: Final = (b"PUBLIC KEY", b"RSA PUBLIC KEY")
ENCRYPTED_PRIVATE_KEY: Final = b"ENCRYPTED PRIVATE KEY"
PRIVATE_KEYS: Final = (b"PRIVATE KEY", ENCRYPTED_PRIVATE_KEY)


@dataclass(frozen=True, slots=True)
class Block:
    """A block, from its first dashes to its last."""

    label: bytes
    text: bytes = field(repr=False)
    body: bytes = field(repr=False)
    """What is between its two lines."""

    def der(self) -> bytes:
        """Return what is encoded in it; raises ValueError."""
        return b64decode(b"".join(self.body.split()), validate=True)


def first(data: bytes, labels: tuple[bytes, ...]) -> Block:
    """Return the first block with one of these labels; raises ValueError without one."""
    any_of = b"|".join(map(re.escape, labels))
    # A block ends at the next dashes. Looking further costs quadratic time.
    found = re.search(
        rb"-----BEGIN (%s)-----((?:(?!-----).)*+)-----END \1-----" % any_of, data, re.DOTALL
    )
    if found is None:
        raise ValueError("it has no such PEM block")
    return Block(found[1], found[0], found[2])
