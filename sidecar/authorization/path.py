"""The path of a request in the one form in which rules are compared with it.

What a proxy, the sidecar and an upstream take for different paths is how rules are got around. So
every spelling that some upstream reads as a path is read as that path here (RFC 3986, section
6.2.2, and what Envoy, Servlet containers and Windows add), and what has no one meaning is refused.
"""

import re
from dataclasses import dataclass
from typing import Final

from sidecar.token.reason import Reason, Refused
from sidecar.token.words import quoted

_PLAIN: Final = re.compile(r"(?:/[A-Za-z0-9_~!$&'()*+,=:@-][A-Za-z0-9._~!$&'()*+,=:@-]*)*/?")
"""Paths that are their own normal form; most are."""
_ENCODED: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_BROKEN: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_TWICE: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_PARAMETERS: Final = re.compile(r";[^/]*")
_BEHIND: Final = re.compile(r"[?#]|%(?:25)*(?:3[Ff]|23)")
"""Where a path ends, also where its mark was encoded, and however often."""
_CONTROL: Final = re.compile(r"[\x00-\x20\x7f]")
ASTERISK: Final = "*"
"""The target of `OPTIONS *`, which asks about the server (RFC 9112, section 3.2.4)."""


@dataclass(frozen=True, slots=True)
class Path:
    """A path in its normal form."""

    text: str
    climbs: bool = False
    """Whether it was written with `..`: who does not resolve that sees another path."""


def normalized(target: str) -> Path:
    """The path of a request target: decoded, without parameters, dots and empty segments.

    Raises Refused with RULE_DENIED where it is no path, or can be read in two ways.
    """
    path = target.partition("?")[0]
    if path and _PLAIN.fullmatch(path):
        return Path(path)
    if target == ASTERISK:
        return Path(target)
    if not path.startswith("/"):
        raise _refused(target, "does not begin with a slash")
    if "#" in path:
        raise _refused(path, "has a fragment (#), which no client sends")
    if _BROKEN.search(path):
        raise _refused(path, "has a percent sign that encodes nothing")
    return _resolved(_decoded(path), path)


def shown(target: str) -> str:
    """The path of a request target as messages and the log have it.

    Without query, fragment and parameters: a token may stand in each, also where a client or a
    proxy encoded what sets them apart.
    """
    return _PARAMETERS.sub(";", _BEHIND.split(target, maxsplit=1)[0])


def _decoded(path: str) -> str:
    """The path decoded once; what an upstream might decode again is refused."""
    try:
        data = path.encode("utf-8")
        text = _ENCODED.sub(lambda found: bytes([int(found[1], 16)]), data).decode("utf-8")
    except ValueError:
        raise _refused(path, "is not UTF-8 once it is decoded") from None
    if _CONTROL.search(text.replace(" ", "")):
        raise _refused(path, "has control characters")
    if _TWICE.search(text):
        raise _refused(path, "is encoded twice")
    return text.replace("\\", "/")


def _resolved(text: str, path: str) -> Path:
    """The path without parameters (`;` and what follows), `.`, `..` and empty segments."""
    names = [segment.partition(";")[0] for segment in text.split("/")]
    resolved: list[str] = []
    for name in names:
        if name == "..":
            if not resolved:
                raise _refused(path, "leads above the root")
            resolved.pop()
        elif name not in {"", "."}:
            resolved.append(name)
    ends = "/" if resolved and names[-1] in {"", ".", ".."} else ""
    return Path("/" + "/".join(resolved) + ends, ".." in names)


def _refused(path: str, problem: str) -> Refused:
    return Refused(
        Reason.RULE_DENIED, f"no rule can be found for the path {quoted(shown(path))}: it {problem}"
    )
