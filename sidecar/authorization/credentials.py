"""Where the token of an HTTP request is, and how it is taken out of it.

A request that shows two tokens is refused and not chosen from: what checks and what uses the
token must never see different ones.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Final
from urllib.parse import unquote_plus

from sidecar.authorization.http_request import HttpRequest
from sidecar.authorization.policy import (
    PROOF_HEADER,
    CookieSource,
    HeaderSource,
    QuerySource,
    Source,
)
from sidecar.token.reason import Reason, Refused
from sidecar.token.request import Scheme

_NOT_ALPHANUMERIC: Final = re.compile(r"\A[^0-9A-Za-z]+")
MAX_FIELDS: Final = 64
"""Values of a header that are looked at for a token; a header with more holds none that counts."""
MAX_COOKIES: Final = 300
"""Browsers send 180."""
_MAX_COUNTED: Final = 100
"""Tokens in one place that are counted, for the message."""
_SCHEMES: Final = {one.value[0]: one for one in (Scheme.BEARER, Scheme.DPOP)}
"""By their first letter, once it is known that it is one of them."""


@dataclass(frozen=True, slots=True)
class Removal:
    """How the request is changed so that the upstream doesn't see the token."""

    headers: tuple[str, ...] = ()
    query_parameters: tuple[str, ...] = ()
    """Names as the query has them: Envoy compares them without decoding."""
    set_headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Credential:
    """The token of a request, empty where there is none."""

    token: str = field(default="", repr=False)
    removal: Removal = Removal()
    scheme: Scheme = Scheme.UNKNOWN


def find_credential(request: HttpRequest, sources: tuple[Source, ...]) -> Credential:
    """The token in these places, in whichever it is.

    Raises Refused with TOKEN_MALFORMED where a place holds two tokens or an empty one, or where
    two places hold different ones.
    """
    found: dict[Source, str] = {}
    for source in sources:
        token = _token_at(request, source)
        if token is not None:
            found[source] = token
    if not found:
        return Credential()
    if len(found) > 1 and len(set(found.values())) > 1:
        raise _refused(f"different tokens in {' and in '.join(_place(one) for one in found)}")
    return Credential(next(iter(found.values())), _removal(request, found), _scheme(request, found))


def removal(request: HttpRequest, sources: tuple[Source, ...]) -> Removal:
    """How everything is taken out that stands where a token is looked for, good or bad."""
    return _removal(request, tuple(one for one in sources if _tokens_at(request, one)))


def places(sources: tuple[Source, ...]) -> str:
    """Where a token is looked for, in words."""
    return ", ".join(
        _place(one)
        + (f' after "{one.prefix}"' if isinstance(one, HeaderSource) and one.prefix else "")
        for one in sources
    )


def _tokens_at(request: HttpRequest, source: Source) -> list[str]:
    if isinstance(source, HeaderSource):
        return _header_tokens(request.values(source.name), source.prefixes)
    if isinstance(source, QuerySource):
        found = islice(_pattern(source.name).finditer(request.query), _MAX_COUNTED)
        # Some upstreams take ";" for "&", but no proxy could remove such a token.
        return ["" if one[0][:1] == ";" else unquote_plus(one["value"] or "") for one in found]
    if _has_too_many_cookies(request):
        return [""]
    return [
        value if name == source.name else ""
        for name, value, text in _cookies(request)
        if name == source.name or _has_behind_comma(source.name, text)
    ]


def _token_at(request: HttpRequest, source: Source) -> str | None:
    if isinstance(source, CookieSource) and _has_too_many_cookies(request):
        raise _refused(f"there are more than {MAX_COOKIES} cookies; send fewer")
    tokens = _tokens_at(request, source)
    if not tokens:
        return None
    if len(tokens) > 1:
        raise _refused(f"{_place(source)} is there {len(tokens)} times; send one token")
    if not tokens[0]:
        raise _refused(f"{_place(source)} holds no token")
    return tokens[0]


def _header_tokens(values: tuple[str, ...], prefixes: tuple[str, ...]) -> list[str]:
    """The tokens of a header; a proxy may have joined repeated headers with commas."""
    fields = [one.strip() for value in values for one in value.split(",", MAX_FIELDS)]
    if len(fields) > MAX_FIELDS:
        return [""] * min(len(fields), _MAX_COUNTED)
    tokens = []
    for one in fields:
        for prefix in prefixes:
            size = len(prefix)
            if one[:size].lower() == prefix:
                tokens.append(one[size:].strip())
                break
            if _ends_scheme(_from_scheme_on(one)[:size].lower(), prefix.strip()):
                tokens.append("")
    return ["", *tokens] if len(tokens) == 1 and len(fields) > 1 else tokens


def _from_scheme_on(text: str) -> str:
    """Return the text without what some upstreams leave out before a scheme, such as bytes A0."""
    return text if text[:1].isalnum() else _NOT_ALPHANUMERIC.sub("", text, count=1)


def _ends_scheme(text: str, scheme: str) -> bool:
    """Whether a scheme is there without a token that all see: alone, or before what is no space.

    After a tab, and what a proxy has put in place of bytes that are no UTF-8, some upstreams find
    a token.
    """
    after = text[len(scheme) : len(scheme) + 1]
    return text.startswith(scheme) and not (after.isalnum() or after in {"-", "_"})


def _scheme(request: HttpRequest, found: Mapping[Source, str]) -> Scheme:
    """That of the token in an Authorization header, which there is one of."""
    if not any(isinstance(one, HeaderSource) and len(one.prefixes) > 1 for one in found):
        return Scheme.UNKNOWN
    return _SCHEMES[request.values("authorization")[0].lstrip()[:1].lower()]


@lru_cache(64)
def _pattern(name: str) -> re.Pattern[str]:
    """Return what finds a parameter in a query, however its name is written, in linear time."""
    written = "".join(_spellings(one) for one in name)
    return re.compile(rf"(?:\A|[&;])(?P<written>{written})(?:=(?P<value>[^&]*))?(?=&|\Z)")


def _spellings(character: str) -> str:
    """Return a regular expression for a character of a query, encoded or not."""
    encoded = "".join(f"%(?i:{byte:02x})" for byte in character.encode())
    if character == " ":
        return rf"(?:\+|{encoded})"
    return encoded if character in "&=+" else f"(?:{re.escape(character)}|{encoded})"


def _has_too_many_cookies(request: HttpRequest) -> bool:
    values = request.values("cookie")
    return len(values) + sum(value.count(";") for value in values) > MAX_COOKIES


def _cookies(request: HttpRequest) -> list[tuple[str, str, str]]:
    """Name, value and original text of every cookie (RFC 6265, section 4.2.1)."""
    cookies = []
    for value in request.values("cookie"):
        for text in value.split(";"):
            name, _, cookie = text.partition("=")
            cookie = cookie.strip()
            if len(cookie) > 1 and cookie[0] == cookie[-1] == '"':
                cookie = cookie[1:-1]
            cookies.append((name.strip(), cookie, text.strip()))
    return cookies


def _has_behind_comma(name: str, text: str) -> bool:
    """Tell if a cookie of this name may stand in what looks like another one.

    Envoy joins repeated headers with commas, unless `encode_raw_headers` is set; and some servers
    split cookies at commas.
    """
    return "," in text and _behind_comma(name).search(text) is not None


@lru_cache(64)
def _behind_comma(name: str) -> re.Pattern[str]:
    return re.compile(rf",[ \t]*{re.escape(name)}[ \t]*(?:[=,]|\Z)")


def _removal(request: HttpRequest, found: Collection[Source]) -> Removal:
    headers = tuple([one.name for one in found if isinstance(one, HeaderSource)])
    if PROOF_HEADER in request.headers:
        headers = (*headers, PROOF_HEADER)
    parameters = _written(request, {one.name for one in found if isinstance(one, QuerySource)})
    cookies = {one.name for one in found if isinstance(one, CookieSource)}
    if not cookies:
        return Removal(headers, parameters) if parameters else _of_headers(headers)
    kept = [] if _has_too_many_cookies(request) else _cookies(request)
    rest = "; ".join(
        text
        for name, _, text in kept
        if text and not any(one == name or _has_behind_comma(one, text) for one in cookies)
    )
    if rest:
        return Removal(headers, parameters, {"cookie": rest})
    return Removal((*headers, "cookie"), parameters)


@lru_cache(16)
def _of_headers(names: tuple[str, ...]) -> Removal:
    """The one for nearly all requests."""
    return Removal(names)


def _written(request: HttpRequest, names: Collection[str]) -> tuple[str, ...]:
    """The parameters of these names, as the query has them."""
    found = (one for name in names for one in _pattern(name).finditer(request.query))
    return tuple(dict.fromkeys(one["written"] for one in found if one[0][:1] != ";"))


def _place(source: Source) -> str:
    if isinstance(source, HeaderSource):
        return f"header {source.name}"
    if isinstance(source, QuerySource):
        return f"query parameter {source.name}"
    return f"cookie {source.name}"


def _refused(message: str) -> Refused:
    return Refused(Reason.TOKEN_MALFORMED, message)
