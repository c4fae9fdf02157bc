"""Secrets that can be told apart, and where one of them came to light."""

import base64
import json
import secrets
import string
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple
from urllib.parse import quote

WINDOW: Final = 16
"""Bytes of a written secret that give it away; in hexadecimal, 8 of its own."""
STRIDE: Final = 8
"""A piece of WINDOW + STRIDE - 1 bytes or more is always found."""
_BEFORE: Final = 48
"""Bytes before a secret that a report shows, so that its place is known and it is not."""
_SAFE: Final = string.ascii_letters + string.digits
_ODD: Final = _SAFE + "/+&%=\"'<"


class Leak(NamedTuple):
    """A secret that came to light."""

    secret: str
    """Its name, and the form in which it was seen."""
    place: str
    before: bytes
    """What stands before it, to find it by."""

    def __str__(self) -> str:
        return f"{self.secret} in {self.place}, behind {self.before!r}"


class Markers:
    """All that may never be seen, by name."""

    def __init__(self) -> None:
        self._windows: dict[bytes, str] = {}
        self._names: set[str] = set()

    def make(self, name: str, characters: int = 32, odd: bool = False) -> str:
        """A new secret; an odd one has characters that URLs, JSON and shells write otherwise."""
        alphabet = _ODD if odd else _SAFE
        text = "".join(secrets.choice(alphabet) for _ in range(characters - 1))
        self.know(name, text := f"{text}z")
        return text

    def know(self, name: str, secret: str | bytes) -> None:
        """A secret that was made elsewhere; of a lasting form, such as a name in it, say less."""
        data = secret.encode() if isinstance(secret, str) else secret
        assert len(data) >= WINDOW + STRIDE - 1, f"{name} is too short to be told from chance"
        self._names.add(name)
        for form, written in _written(data):
            for start in range(len(written) - WINDOW + 1):
                self._windows.setdefault(written[start : start + WINDOW], f"{name} ({form})")

    def know_token(self, name: str, token: str) -> None:
        """A token: its signature, as text and as bytes, and its claims as they are encoded."""
        _, payload, signature = token.split(".")
        self.know(f"signature of {name}", signature)
        self.know(f"signature of {name}", base64.urlsafe_b64decode(signature + "=="))
        # The beginning is alike in many; a nonce stands in the last claim.
        self.know(f"payload of {name}", payload[-40:])

    def leaks(self, seen: Mapping[str, bytes]) -> list[Leak]:
        """What was seen where, each once."""
        found: dict[tuple[str, str], Leak] = {}
        for place, data in seen.items():
            for start in range(0, len(data) - WINDOW + 1, STRIDE):
                name = self._windows.get(data[start : start + WINDOW])
                if name is not None:
                    before = data[max(0, start - WINDOW - _BEFORE) : max(0, start - WINDOW)]
                    found.setdefault((name, place), Leak(name, place, before))
        return list(found.values())

    def __len__(self) -> int:
        return len(self._names)


def _written(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The ways in which a secret may be written."""
    yield "as it is", data
    yield "in hexadecimal", data.hex().encode()
    yield "in hexadecimal", data.hex().upper().encode()
    yield "in a URL", quote(data, safe="").encode()
    yield "in a URL", quote(data, safe="").lower().encode()
    yield "in JSON", json.dumps(data.decode("latin-1"))[1:-1].encode()
    yield "in Python", repr(data)[2:-1].encode()
    for ahead in range(3):
        # Within longer data it begins at any of three places; its ends mix with what is around.
        for encoded in (base64.b64encode, base64.urlsafe_b64encode):
            text = encoded(b"\0" * ahead + data).rstrip(b"=")
            yield "in base64", text[4 if ahead else 0 : -1]
