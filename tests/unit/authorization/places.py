"""Requests that show tokens in one place or another, and what is found in them."""

import pytest

from sidecar.authorization.credentials import Credential, find_credential
from sidecar.authorization.http_request import HttpRequest
from sidecar.authorization.policy import BEARER, CookieSource, HeaderSource, QuerySource, Source
from sidecar.token.reason import Reason, Refused

X_TOKEN = HeaderSource("x-token")
QUERY = QuerySource("access_token")
COOKIE = CookieSource("session")
EVERYWHERE: tuple[Source, ...] = (BEARER, X_TOKEN, QUERY, COOKIE)


def request(*headers: tuple[str, str], target: str = "/") -> HttpRequest:
    """A request with these header fields, of which names may be repeated."""
    by_name: dict[str, tuple[str, ...]] = {}
    for name, value in headers:
        by_name[name] = (*by_name.get(name, ()), value)
    return HttpRequest("GET", "shop.example.com", target, by_name)


def bearer(*values: str) -> HttpRequest:
    """A request with these Authorization headers."""
    return request(*(("authorization", value) for value in values))


def cookies(*values: str) -> HttpRequest:
    """A request with these Cookie headers."""
    return request(*(("cookie", value) for value in values))


def found(asked: HttpRequest, *sources: Source) -> Credential:
    """What is found in these places, or else in all that the tests know."""
    return find_credential(asked, sources or EVERYWHERE)


def assert_malformed(asked: HttpRequest, message: str, *sources: Source) -> None:
    """Asserts that the request is refused with exactly this message."""
    with pytest.raises(Refused) as refused:
        found(asked, *sources)
    assert (refused.value.reason, refused.value.message) == (Reason.TOKEN_MALFORMED, message)
