"""A JWS in compact form (RFC 7515, section 7.1), parsed strictly and not verified."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from sidecar.token import base64url
from sidecar.token.jwk import MAX_KEY_ID_CHARACTERS
from sidecar.token.reason import Reason, Refused
from sidecar.token.strict_json import parse_object
from sidecar.token.words import kind

_PARTS: Final = 3
_JWE_PARTS: Final = 5
_SPACE: Final = re.compile(r"\s")


@dataclass(frozen=True, slots=True)
class Jws:
    """What a token says about itself. Nothing in it is verified."""

    unverified_header: Mapping[str, Any]
    unverified_claims: Mapping[str, Any]
    payload: bytes = field(repr=False)
    """The claims set exactly as signed, in UTF-8."""
    signing_input: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    @property
    def algorithm(self) -> str:
        """`alg` (RFC 7515, section 4.1.1), empty where absent."""
        return self.unverified_header.get("alg", "")  # type: ignore[no-any-return]

    @property
    def key_id(self) -> str | None:
        """`kid` (RFC 7515, section 4.1.4): an opaque name, never a path or a URL."""
        return self.unverified_header.get("kid")

    @property
    def type(self) -> str | None:
        """`typ` (RFC 7515, section 4.1.9)."""
        return self.unverified_header.get("typ")

    @property
    def critical(self) -> tuple[str, ...]:
        """`crit` (RFC 7515, section 4.1.11)."""
        return tuple(self.unverified_header.get("crit", ()))


Headers = Mapping[bytes, Mapping[str, Any]]
"""Headers that were parsed before, by their part of a token."""


def parse(token: str, max_depth: int, known: Headers = MappingProxyType({})) -> Jws:
    """The parts of a token; a header that is `known` for this depth is not parsed again.

    Raises Refused with TOKEN_MALFORMED for anything but three parts of strict base64url,
    the first two of which are strict JSON objects no deeper than `max_depth`, with header
    parameters of the right types.
    """
    try:
        return _parsed(token, max_depth, known)
    except Refused as refused:
        raise _malformed(refused.message + _hint(token)) from None


def unverified_parts(token: str, max_depth: int) -> tuple[str, str]:
    """Header and claims set as JSON text, for a person to look at; empty where one is none.

    Each by itself: where the one is malformed, the other is still given.
    """
    header, _, rest = token.encode("utf-8", "replace").partition(b".")
    return _shown(header, max_depth), _shown(rest.partition(b".")[0], max_depth)


def _shown(part: bytes, max_depth: int) -> str:
    try:
        data = base64url.decode(part)
        parse_object(data, max_depth)
    except ValueError:
        return ""
    return data.decode("utf-8")


def _parsed(token: str, max_depth: int, known: Headers) -> Jws:
    parts = _split(token)
    header = known.get(parts[0])
    if header is None:
        header = _object(parts[0], "header", max_depth)
        _check_header(header)
    payload = _octets(parts[1], "payload")
    claims = _parse(payload, "payload", max_depth)
    signature = _octets(parts[2], "signature")
    if not signature:
        raise _malformed("the signature is empty: the token is not signed")
    return Jws(header, claims, payload, parts[0] + b"." + parts[1], signature)


def _hint(token: str) -> str:
    """What usually is behind it."""
    if token[:7].lower() == "bearer ":
        return '; it begins with "Bearer ": pass only what stands behind it'
    if token[:1] in {'"', "'"}:
        return "; it stands in quotes: pass only what stands between them"
    if space := _SPACE.search(token):
        return f"; it has white space at character {space.start() + 1}"
    if "." not in token:
        return ": is it an opaque token, which only its issuer can read, or was it cut off?"
    return ": was it cut off?" if token.count(".") < _PARTS - 1 else ""


def _split(token: str) -> list[bytes]:
    dots = token.count(".")
    if dots != _PARTS - 1:
        hint = ": this looks like an encrypted token (JWE)" if dots == _JWE_PARTS - 1 else ""
        count = f"{dots + 1} parts" if dots else "1 part"
        raise _malformed(f"the token has {count} and not 3{hint}")
    if not token.isascii():
        raise _malformed("the token has characters outside base64url")
    return token.encode("ascii").split(b".")


def _octets(part: bytes, name: str) -> bytes:
    try:
        return base64url.decode(part)
    except ValueError as error:
        raise _malformed(
            f"the {name} is not base64url (RFC 7515, section 2): "
            "no padding, white space or stray bits"
        ) from error


def _object(part: bytes, name: str, max_depth: int) -> dict[str, Any]:
    return _parse(_octets(part, name), name, max_depth)


def _parse(data: bytes, name: str, max_depth: int) -> dict[str, Any]:
    try:
        return parse_object(data, max_depth)
    except ValueError as error:
        raise _malformed(f"the {name} is not the JSON object it must be: {error}") from error


def _check_header(header: Mapping[str, Any]) -> None:
    for name in ("alg", "typ", "kid", "cty"):
        value = header.get(name, "")
        if not isinstance(value, str):
            raise _malformed(f"the header's {name} is {kind(value)} and not a string")
    if len(header.get("kid", "")) > MAX_KEY_ID_CHARACTERS:
        raise _malformed(f"the header's kid is longer than {MAX_KEY_ID_CHARACTERS} characters")
    if "crit" in header:
        _check_critical(header["crit"])
    if header.get("b64", True) is not True:
        raise _malformed(
            "the header's b64 is not true, as it must be in a JWT (RFC 7797, section 7)"
        )


def _check_critical(names: object) -> None:
    if not isinstance(names, list) or not names:
        raise _malformed("the header's crit is not an array of at least one name")
    if not all(isinstance(name, str) for name in names):
        raise _malformed("the header's crit holds something other than names")
    if len(set(names)) != len(names):
        raise _malformed("the header's crit has a name twice")


def _malformed(message: str) -> Refused:
    return Refused(Reason.TOKEN_MALFORMED, message)
