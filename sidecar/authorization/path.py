"""Parse the path of a request into every reading that a server could have of it.

Clients get around rules with paths that a proxy, the sidecar and an upstream read differently.
Specifications and servers differ on dot segments, empty segments, parameters (`;`) and
percent-encoding: RFC 3986, the WHATWG URL standard, Envoy, nginx, servlet containers, Go, Node,
Python and .NET each read some of them in their own way. `parse_path` refuses a path that nobody
needs and servers disagree on. For the rest it lists the readings, and the caller makes sure that
they all fall under the same rule.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final
from urllib.parse import unquote_to_bytes

from sidecar.token.reason import Reason, Refused
from sidecar.token.words import quoted

_PLAIN: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~!$&'()*+,=:@-]+)*/?")
"""Paths that every server reads in the same way; most paths are plain."""
_INCOMPLETE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_DECODES: Final = re.compile(r"%(2[Ff]|5[Cc]|3[Bb]|3[Ff]|23|25|00)")
"""Encoded `/`, `\\`, `;`, `?`, `#`, `%` and NUL: some servers split or decode the path again."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffd]")
_UNUSABLE: Final = re.compile(r"[^\x21-\x5b\x5d-\x7e]")
"""What must be encoded (RFC 3986, section 2): a backslash, a space, bytes beyond ASCII."""
_NEEDLESS: Final = re.compile(r"%(?:2[DdEe]|5[Ff]|7[Ee]|3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa])")
"""Encoded letters, digits, `-`, `.`, `_` and `~`: Envoy and Node don't decode them to find a route,
other servers do (RFC 3986, section 2.3)."""
_RESERVED: Final = re.compile(r"%(?:2[146789AaBbCc]|3[AaDd]|40)")
"""Encoded `!`, `$`, `&`, `'`, `(`, `)`, `*`, `+`, `,`, `:`, `=` and `@`: many clients send them."""
_KEPT_ENCODED: Final = re.compile(f"%(?=(?:{_NEEDLESS.pattern[1:]}|{_RESERVED.pattern[1:]}))")
_PARAMETERS: Final = re.compile(r";[^/]*")
_DOT_SEGMENT: Final = re.compile(r"/(\.\.?)(?=/|\Z)")
_PARAMETERS_OF_DOTS: Final = re.compile(r"/(\.\.?;)")
_ENCODED_DOTS: Final = re.compile(r"/((?:\.|%2[Ee]){1,2})(?=/|\Z)")
_TARGET_END: Final = re.compile(r"[?#]|%(?:25)*(?:3[Ff]|23)")
"""The mark that ends a path, also if it is encoded, however often."""
MAX_PATH_LENGTH: Final = 4096
"""Characters of a path; longer ones take too much time to read in every way."""
_DOTS: Final = frozenset({".", ".."})
_MAX_QUOTED: Final = 200
"""Characters of a path that is refused that are looked at for the message."""
ASTERISK: Final = "*"
"""The target of `OPTIONS *`, which asks about the server (RFC 9112, section 3.2.4)."""


class Parameters(Enum):
    """What `;` in a path means to the upstream (setting `authorization.paths.parameters`)."""

    REFUSE = "refuse"
    """Unknown: refuse the path if it makes a difference to the rules."""
    STRIP = "strip"
    """What follows `;` in a segment is no part of its name, as in servlet containers."""
    KEEP = "keep"
    """`;` is a character like any other."""


@dataclass(frozen=True, slots=True)
class Path:
    """A path as the rules see it, and the other readings of it."""

    text: str
    """Decoded, without parameters, dot segments and empty segments."""
    other_readings: tuple[str, ...] = ()
    """What other servers take it for; a request passes only if all fall under the same rule."""
    ambiguity: str = ""
    """The characters that servers disagree on; empty if they only disagree on encoded characters
    that are reserved, such as `%40`."""


def parse_path(target: str, parameters: Parameters = Parameters.REFUSE) -> Path:
    """Return the path of a request target (RFC 9112, section 3.2) with all its readings.

    Raises Refused with RULE_DENIED, naming the offending characters, if it is no path, or if
    servers disagree on it in a way that no client needs.
    """
    path = target.partition("?")[0]
    if len(path) > MAX_PATH_LENGTH:
        raise _refused(
            path, f"has more than {MAX_PATH_LENGTH} characters; send the rest in the query or body"
        )
    if path and _PLAIN.fullmatch(path):
        return Path(path)
    if target == ASTERISK:
        return Path(target)
    _check_characters(path, target)
    text = _decode(path, path)
    _check_segments(text, path)
    return _readings(path, text, parameters)


def shown(target: str) -> str:
    """Return the path of a request target for messages and the log.

    Only the beginning, without query, fragment and parameters: a token may stand in each, also if a
    client or a proxy encoded the mark before it.
    """
    return _PARAMETERS.sub(";", _TARGET_END.split(target[:MAX_PATH_LENGTH], maxsplit=1)[0])


def problem_of_rule_path(path: str) -> str:
    """Return why no request has this path once it is decoded, and the remedy; empty if one may."""
    if path == ASTERISK:
        return ""
    if not path.startswith("/"):
        return "must begin with a slash"
    if found := re.search(r"[*\[\]{}<>]", path):
        return (
            f"has {found[0]}, which stands for itself here; use path_prefix for everything below a "
            "path, or path_regex for a pattern"
        )
    for mark, remedy in (
        ("?", "leave out the query"),
        ("#", "leave out the fragment"),
        (";", "leave out parameters; see authorization.paths.parameters"),
        ("%", "write the path decoded"),
        ("\\", "use /"),
        ("//", "write one slash"),
    ):
        if mark in path:
            return f"has {mark}, so that no request that is let through has it; {remedy}"
    if not _DOTS.isdisjoint(path.split("/")):
        return "has a dot segment; write the path that it leads to"
    if _CONTROL.search(path):
        return "has a control character; remove it"
    return ""


def _check_characters(path: str, target: str) -> None:
    if not path.startswith("/"):
        raise _refused(target, "does not begin with a slash")
    if "#" in path:
        raise _refused(path, "has a fragment (#), which no client sends")
    if unusable := _UNUSABLE.search(path):
        raise _refused(path, f"has {quoted(unusable[0])}, which must be encoded in a path")
    if _INCOMPLETE.search(path):
        raise _refused(path, "has a percent sign that encodes nothing")
    if encoded := _DECODES.search(path):
        raise _refused(
            path,
            f"has {encoded[0]}, which some servers decode before they split a path and others "
            "after; send it in the query or the body",
        )


def _decode(encoded: str, path: str) -> str:
    try:
        text = unquote_to_bytes(encoded).decode("utf-8")
    except ValueError:
        raise _refused(path, "has an encoded byte that is not UTF-8") from None
    if control := _CONTROL.search(text):
        raise _refused(path, f"has {quoted(control[0])}, an encoded control character")
    return text


def _check_segments(text: str, path: str) -> None:
    """Refuse dot segments that are disguised or beside empty segments, and the like.

    Servlet containers read `..;x` as `..`, others do not. Some servers merge slashes before they
    resolve `..`, others keep an empty segment for `..` to remove (RFC 3986, section 5.2.4).
    """
    if "/;" in text:
        raise _refused(path, 'has ";" at the beginning of a segment')
    if found := _PARAMETERS_OF_DOTS.search(text):
        raise _refused(path, f"has {quoted(found[1])}, a dot segment that is disguised")
    if " /" in text or text.endswith(" "):
        raise _refused(path, "has %20 at the end of a segment, which some servers leave out")
    dots = _DOT_SEGMENT.findall(text)
    # Encoded slashes are refused, so the segments of the path and of the text are the same.
    if len(dots) != len(_DOT_SEGMENT.findall(path)):
        found = _ENCODED_DOTS.search(path)
        disguised = found[1] if found else "%2e"
        raise _refused(path, f"has {quoted(disguised)}, a dot segment that is disguised")
    if dots and "//" in text:
        raise _refused(path, "has // and a dot segment; servers resolve these in different orders")


def _readings(path: str, text: str, parameters: Parameters) -> Path:
    """Return the path with what every server could take it for, its own reading first.

    The own reading is decoded, with slashes merged, dot segments resolved and, unless parameters
    are to be kept, without these. `text` is the path decoded.
    """
    forms, ambiguity = [text], ""
    if _KEPT_ENCODED.search(path):
        forms.append(_decode(_KEPT_ENCODED.sub("%25", path), path))
        needless = _NEEDLESS.search(path)
        ambiguity = needless[0] if needless else ""
    if ";" in path and parameters is not Parameters.KEEP:
        stripped = [_PARAMETERS.sub("", form) for form in forms]
        forms = stripped if parameters is Parameters.STRIP else [*stripped, *forms]
        ambiguity = ambiguity if parameters is Parameters.STRIP else ";"
    if "//" in path:
        forms = [*(other for form in forms for other in _merged(form)), *forms]
        ambiguity = "//"
    elif dots := _DOT_SEGMENT.findall(path):
        forms = [*(_resolved(form, path) for form in forms), *forms]
        ambiguity = max(dots)
    own, *others = dict.fromkeys(forms)
    return Path(own, tuple(others), ambiguity)


def _merged(path: str) -> tuple[str, ...]:
    """Return the path with single slashes; and what follows `//host`, as a URL parser reads it."""
    single = re.sub("//+", "/", path)
    if not path.startswith("//"):
        return (single,)
    return single, "/" + single[1:].partition("/")[2]


def _resolved(form: str, path: str) -> str:
    """Return the path without dot segments (RFC 3986, section 5.2.4)."""
    names = form.split("/")[1:]
    resolved: list[str] = []
    for name in names:
        if name == "..":
            if not resolved:
                raise _refused(path, "leads above the root")
            resolved.pop()
        elif name != ".":
            resolved.append(name)
    if names[-1] in _DOTS:
        resolved.append("")
    return "/" + "/".join(resolved)


def _refused(path: str, problem: str) -> Refused:
    beginning = shown(path[:_MAX_QUOTED])
    return Refused(
        Reason.RULE_DENIED, f"no rule can be found for the path {quoted(beginning)}: it {problem}"
    )
