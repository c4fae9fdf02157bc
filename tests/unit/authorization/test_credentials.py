import pytest

from sidecar.authorization.credentials import Credential
from sidecar.authorization.http_request import HttpRequest
from sidecar.authorization.policy import BEARER, HeaderSource, Source
from sidecar.token.request import Scheme
from tests.unit.authorization.places import (
    COOKIE,
    QUERY,
    X_TOKEN,
    assert_malformed,
    bearer,
    cookies,
    found,
    request,
)


@pytest.mark.parametrize(
    ("asked", "token"),
    [
        pytest.param(bearer("Bearer a.b.c"), "a.b.c", id="header"),
        pytest.param(bearer("bearer a.b.c"), "a.b.c", id="scheme in lower case"),
        pytest.param(bearer("BEARER a.b.c"), "a.b.c", id="scheme in upper case"),
        pytest.param(bearer("Bearer    a.b.c"), "a.b.c", id="several spaces"),
        pytest.param(bearer("  Bearer a.b.c  "), "a.b.c", id="space around the header"),
        pytest.param(bearer("Bearer A.b.C"), "A.b.C", id="the token's case stays"),
        pytest.param(request(("x-token", "a.b.c")), "a.b.c", id="header without prefix"),
        pytest.param(request(target="/?access_token=a.b.c"), "a.b.c", id="query"),
        pytest.param(
            request(target="/?x=1&access_token=a.b.c&y"), "a.b.c", id="query among others"
        ),
        pytest.param(
            request(target="/?access%5Ftoken=a.b.c"), "a.b.c", id="encoded parameter name"
        ),
        pytest.param(
            request(target="/?access_token=a%2Eb.c"), "a.b.c", id="encoded parameter value"
        ),
        pytest.param(request(target="/?access_token=a=b"), "a=b", id="equals sign in a parameter"),
        pytest.param(cookies("session=a.b.c"), "a.b.c", id="cookie"),
        pytest.param(cookies("x=1; session=a.b.c; y=2"), "a.b.c", id="cookie among others"),
        pytest.param(cookies("x=1", "session=a.b.c"), "a.b.c", id="second Cookie header"),
        pytest.param(cookies('session="a.b.c"'), "a.b.c", id="quoted cookie"),
        pytest.param(cookies('session="a.b.c'), '"a.b.c', id="a cookie with one quote"),
        pytest.param(cookies('session="'), '"', id="a cookie of one quote"),
        pytest.param(cookies("x=1;session=a.b.c"), "a.b.c", id="cookies without a space"),
        pytest.param(cookies(" session = a.b.c "), "a.b.c", id="space in a cookie"),
        pytest.param(cookies("session=a=b"), "a=b", id="equals sign in a cookie"),
    ],
)
def test_found(asked: HttpRequest, token: str) -> None:
    assert found(asked).token == token


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(request(), id="nothing"),
        pytest.param(bearer("Basic YTpi"), id="Basic"),
        pytest.param(bearer('Digest username="a", realm="b"'), id="Digest with commas"),
        pytest.param(bearer("Basic YTpi", "Digest a"), id="two headers and no Bearer"),
        pytest.param(bearer("Bearertoken"), id="no space after the scheme"),
        pytest.param(bearer("Bearer-x a.b.c"), id="another scheme that begins alike"),
        pytest.param(bearer("Bearer_x a.b.c"), id="and another"),
        pytest.param(bearer(""), id="empty header"),
        pytest.param(request(("x-other", "Bearer a.b.c")), id="another header"),
        pytest.param(request(target="/?Access_Token=a.b.c"), id="parameter in another case"),
        pytest.param(request(target="/access_token=a.b.c"), id="in the path"),
        pytest.param(request(target="/#?access_token=a.b.c"), id="in the fragment"),
        pytest.param(cookies("Session=a.b.c"), id="cookie in another case"),
        pytest.param(cookies("xsession=a.b.c"), id="end of another cookie's name"),
        pytest.param(cookies("x=session=a.b.c"), id="in another cookie's value"),
        pytest.param(cookies("x%3Bsession=a"), id="cookie names are not encoded"),
    ],
)
def test_absent(asked: HttpRequest) -> None:
    assert found(asked) == Credential()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        pytest.param(bearer("Bearer"), "header authorization holds no token", id="scheme alone"),
        pytest.param(bearer("Bearer  "), "header authorization holds no token", id="only spaces"),
        pytest.param(bearer("Bearer\ta"), "header authorization holds no token", id="a tab"),
        pytest.param(bearer("Bearer\xa0a"), "header authorization holds no token", id="U+00A0"),
        pytest.param(
            bearer("\ufffdBearer a"),
            "header authorization holds no token",
            id="no UTF-8 before the scheme, which some upstreams leave out",
        ),
        pytest.param(
            bearer("!Bearer a"),
            "header authorization holds no token",
            id="the same, as Envoy says",
        ),
        pytest.param(bearer('"Bearer a"'), "header authorization holds no token", id="quotes"),
        pytest.param(
            cookies("session=a" + "; b=c" * 300),
            "there are more than 300 cookies; send fewer",
            id="more cookies than any browser sends",
        ),
        pytest.param(
            cookies("a=b,session=x"),
            "cookie session holds no token",
            id="a cookie in a second header, which Envoy has joined",
        ),
        pytest.param(
            cookies("a=b,session=x; session=y"),
            "cookie session is there 2 times; send one token",
            id="the same with another token",
        ),
        pytest.param(
            request(target="/?a=1;access_token=x"),
            "query parameter access_token holds no token",
            id="behind a semicolon, where some upstreams find it",
        ),
        pytest.param(
            bearer("Bearer a" + "," * 64),
            "header authorization is there 65 times; send one token",
            id="many fields",
        ),
        pytest.param(bearer("DPoP\ufffda"), "header authorization holds no token", id="no UTF-8"),
        pytest.param(
            bearer("Bearer!a"), "header authorization holds no token", id="no UTF-8, as Envoy says"
        ),
        pytest.param(request(("x-token", "")), "header x-token holds no token", id="empty header"),
        pytest.param(
            request(target="/?access_token="),
            "query parameter access_token holds no token",
            id="empty parameter",
        ),
        pytest.param(
            request(target="/?access_token"),
            "query parameter access_token holds no token",
            id="parameter without value",
        ),
        pytest.param(cookies("session="), "cookie session holds no token", id="empty cookie"),
        pytest.param(
            cookies("session"), "cookie session holds no token", id="cookie without value"
        ),
        pytest.param(cookies('session=""'), "cookie session holds no token", id="empty quotes"),
    ],
)
def test_present_and_empty(asked: HttpRequest, message: str) -> None:
    assert_malformed(asked, message)


TWICE = "header authorization is there 2 times; send one token"


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(bearer("Bearer a, Bearer b"), id="joined"),
        pytest.param(bearer("Bearer a,Bearer b"), id="joined without a space"),
        pytest.param(bearer("Bearer a", "Bearer b"), id="two headers"),
        pytest.param(bearer("Bearer a", "Bearer a"), id="two equal ones"),
        pytest.param(bearer("Bearer a, bearer a"), id="two equal ones joined, in another case"),
        pytest.param(bearer("Basic x, Bearer a"), id="Basic, then Bearer, joined"),
        pytest.param(bearer("Bearer a, Basic x"), id="Bearer, then Basic, joined"),
        pytest.param(bearer("Basic x", "Bearer a"), id="Basic, then Bearer"),
        pytest.param(bearer("Bearer a", "Basic x"), id="Bearer, then Basic"),
        pytest.param(bearer("Bearer a,"), id="a comma at the end"),
        pytest.param(bearer(",Bearer a"), id="a comma at the start"),
        pytest.param(bearer("Bearer, Bearer a"), id="an empty one, then a token"),
        pytest.param(bearer("Bearer a", ""), id="a token, then an empty header"),
    ],
)
def test_a_second_value_beside_the_token_is_refused(asked: HttpRequest) -> None:
    assert_malformed(asked, TWICE)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        pytest.param(
            request(("x-token", "a"), ("x-token", "a"), ("x-token", "b")),
            "header x-token is there 3 times; send one token",
            id="header without prefix",
        ),
        pytest.param(
            request(target="/?access_token=a&access_token=a"),
            "query parameter access_token is there 2 times; send one token",
            id="parameter",
        ),
        pytest.param(
            request(target="/?access_token=a&access%5ftoken="),
            "query parameter access_token is there 2 times; send one token",
            id="parameter, once encoded and empty",
        ),
        pytest.param(
            cookies("session=a; session=a"),
            "cookie session is there 2 times; send one token",
            id="cookie",
        ),
        pytest.param(
            cookies("session=a", "x=1; session=b"),
            "cookie session is there 2 times; send one token",
            id="cookie in two headers",
        ),
    ],
)
def test_twice_in_one_place_is_refused(asked: HttpRequest, message: str) -> None:
    assert_malformed(asked, message)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        pytest.param(
            request(("authorization", "Bearer a"), target="/?access_token=b"),
            "different tokens in header authorization and in query parameter access_token",
            id="header and query",
        ),
        pytest.param(
            request(("cookie", "session=b"), target="/?access_token=a"),
            "different tokens in query parameter access_token and in cookie session",
            id="query and cookie",
        ),
        pytest.param(
            request(("authorization", "Bearer a"), ("x-token", "a"), ("cookie", "session=A")),
            "different tokens in header authorization and in header x-token and in cookie session",
            id="two equal and one in another case",
        ),
    ],
)
def test_different_tokens_in_two_places_are_refused(asked: HttpRequest, message: str) -> None:
    assert_malformed(asked, message)


def test_equal_tokens_in_two_places_are_one() -> None:
    asked = request(
        ("authorization", "Bearer a"), ("cookie", "session=a"), target="/?access_token=a"
    )
    assert found(asked).token == "a"


@pytest.mark.parametrize(
    ("asked", "scheme"),
    [
        pytest.param(bearer("Bearer a"), Scheme.BEARER, id="Bearer"),
        pytest.param(bearer("dpop a"), Scheme.DPOP, id="DPoP"),
        pytest.param(
            request(("authorization", "DPoP a"), ("cookie", "session=a")),
            Scheme.DPOP,
            id="DPoP, and in a cookie too",
        ),
        pytest.param(request(("x-token", "a")), Scheme.UNKNOWN, id="another header"),
        pytest.param(cookies("session=a"), Scheme.UNKNOWN, id="a cookie"),
    ],
)
def test_the_scheme_is_that_of_the_authorization_header(asked: HttpRequest, scheme: Scheme) -> None:
    assert found(asked).scheme is scheme


@pytest.mark.parametrize(
    ("sources", "token"),
    [
        pytest.param((BEARER,), "a", id="header"),
        pytest.param((QUERY,), "b", id="query"),
        pytest.param((COOKIE,), "c", id="cookie"),
        pytest.param((X_TOKEN,), "", id="where there is none"),
    ],
)
def test_places_that_are_not_configured_do_not_count(
    sources: tuple[Source, ...], token: str
) -> None:
    asked = request(
        ("authorization", "Bearer a"), ("cookie", "session=c"), target="/?access_token=b"
    )
    assert found(asked, *sources).token == token


@pytest.mark.parametrize(
    ("value", "token"),
    [
        pytest.param("Token a", "a", id="with a space"),
        pytest.param("Tokena", "a", id="without"),
        pytest.param("Basic a", "", id="another scheme"),
    ],
)
def test_a_prefix_without_a_space_at_its_end(value: str, token: str) -> None:
    assert found(bearer(value), HeaderSource("authorization", "Token")).token == token


def test_a_prefix_without_a_space_alone_holds_no_token() -> None:
    source = HeaderSource("authorization", "Token")
    assert_malformed(bearer("Token"), "header authorization holds no token", source)


def test_no_token_is_in_the_repr() -> None:
    asked = request(("authorization", "Bearer MARKER"), ("cookie", "session=MARKER; b=MARKER"))
    assert "MARKER" not in repr(found(asked))
