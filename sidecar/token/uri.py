"""Comparing http URIs (RFC 3986, section 6.2; RFC 9110, section 4.2.3)."""

import re
import string
from typing import Final
from urllib.parse import urlsplit

LONGEST_URI: Final = 8192
"""Characters, without query and fragment."""
_CHARACTERS: Final = re.compile(r"(?:[!$&'()*+,/:;=@\[\]A-Za-z0-9._~-]++|%[0-9A-Fa-f]{2})++")
# urlsplit takes only what the brackets hold for the host of http://other[::1]other/.
_AUTHORITY: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\[\]@:]+)(?::[0-9]*)?")
_UNRESERVED: Final = frozenset(string.ascii_letters + string.digits + "._~-")
_ESCAPES: Final = {
    digits: character
    if (character := chr(int(digits, 16))) in _UNRESERVED
    else f"%{digits.upper()}"
    for digits in (first + last for first in string.hexdigits for last in string.hexdigits)
}
"""What two hexadecimal digits after a percent sign are in the one form."""
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_OF_HANDSHAKE: Final = {"ws": "http", "wss": "https"}
"""The schemes of WebSockets, and those that their handshakes use (RFC 6455, section 3)."""


def normalized_uri(uri: str) -> str:
    """An absolute http or https URI in one form for equal ones, without its query and fragment.

    Scheme and host are in lower case, the default port is left out, an empty path is `/`, dot
    segments are resolved, percent-encoding is in upper case and only where it is needed. Raises
    ValueError, saying what is wrong and quoting nothing, for anything else and for a user name or
    password.
    """
    uri = uri.partition("#")[0].partition("?")[0]
    if len(uri) > LONGEST_URI:
        raise ValueError(f"it has more than {LONGEST_URI} characters")
    if not _CHARACTERS.fullmatch(uri):
        raise ValueError("it is empty or has a character that no URI has")
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        raise ValueError("it has a malformed host or port") from None
    if parts.scheme in _OF_HANDSHAKE:
        raise ValueError("it is a WebSocket's; write the http or https URI of its handshake")
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError("it is no absolute http or https URI")
    if "@" in parts.netloc:
        raise ValueError("it has a user name")
    if not _AUTHORITY.fullmatch(parts.netloc):
        raise ValueError("it has a malformed host or port")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    standard = port in {None, _DEFAULT_PORTS[parts.scheme]}
    return f"{parts.scheme}://{host}{'' if standard else f':{port}'}{_path(parts.path)}"


def handshake_uri(uri: str) -> str:
    """Return the http or https URI that a WebSocket's handshake asks for; other URIs unchanged."""
    scheme, separator, rest = uri.partition("://")
    return f"{_OF_HANDSHAKE.get(scheme.lower(), scheme)}{separator}{rest}"


def _path(path: str) -> str:
    kept: list[str] = []
    segments = _unescaped(path).split("/")[1:] or [""]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    directory = "/" if segments[-1] in {".", ".."} and kept else ""
    return "/" + "/".join(kept) + directory


def _unescaped(path: str) -> str:
    # A client may send thousands of escapes: a function called for each would take milliseconds.
    start, *rest = path.split("%")
    return start + "".join([_ESCAPES[one[:2]] + one[2:] for one in rest])
