"""What a proxy says in headers, and what it is told."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.authorization.admission import Admission
from sidecar.authorization.forwarded import (
    Undescribed,
    described,
    ensure_changeable,
    for_upstream,
)
from sidecar.authorization.http_request import HttpRequest
from sidecar.authorization.policy import (
    BEARER,
    CookieSource,
    Forward,
    ForwardedClaim,
    HeaderSource,
    Policy,
    QuerySource,
)

Headers = dict[str, tuple[str, ...]]

NGINX: Headers = {
    "x-original-method": ("PUT",),
    "x-original-uri": ("/a?b=c",),
    "x-forwarded-host": ("shop.example.com",),
}
INGRESS: Headers = {
    "x-original-method": ("PUT",),
    "x-original-url": ("https://shop.example.com/a?b=c",),
}
TRAEFIK: Headers = {
    "x-forwarded-method": ("PUT",),
    "x-forwarded-uri": ("/a?b=c",),
    "x-forwarded-host": ("shop.example.com",),
    "x-forwarded-proto": ("https",),
}


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(NGINX, id="nginx"),
        pytest.param(INGRESS, id="ingress-nginx"),
        pytest.param(TRAEFIK, id="Traefik, Caddy and APISIX"),
        pytest.param({**NGINX, **TRAEFIK}, id="said twice alike"),
        pytest.param({**NGINX, **TRAEFIK, **INGRESS}, id="said three times alike"),
        pytest.param({**NGINX, "host": ("127.0.0.1:9192",)}, id="the sidecar's own host"),
    ],
)
def test_the_request_is_the_one_that_the_proxy_describes(headers: Headers) -> None:
    request = described(headers)
    assert (request.method, request.host, request.target) == (
        "PUT",
        "shop.example.com",
        "/a?b=c",
    )


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        pytest.param(
            {**NGINX, "x-original-uri": None},
            "the URI of the request is missing; the proxy must set x-original-uri or "
            "x-forwarded-uri",
            id="no URI",
        ),
        pytest.param(
            {**NGINX, "x-original-method": None},
            "the method of the request is missing; the proxy must set x-original-method or "
            "x-forwarded-method",
            id="no method",
        ),
        pytest.param(
            {**NGINX, "x-forwarded-host": None, "host": ("shop.example.com",)},
            "the host of the request is missing; the proxy must set x-forwarded-host",
            id="no host but the sidecar's own",
        ),
        *(
            pytest.param(
                {**before, name: (value,)},
                f"{both} disagree on the {what} of the request; the proxy must set one and "
                "remove the other from what the client sent",
                id=f"{name} beside the proxy's",
            )
            for before, name, value, what, both in (
                (
                    *(NGINX, "x-forwarded-uri", "/public", "URI"),
                    "x-original-uri and x-forwarded-uri",
                ),
                (
                    *(TRAEFIK, "x-original-uri", "/a?b=C", "URI"),
                    "x-original-uri and x-forwarded-uri",
                ),
                (
                    *(NGINX, "x-forwarded-method", "put", "method"),
                    "x-original-method and x-forwarded-method",
                ),
                (
                    *(TRAEFIK, "x-original-method", "GET", "method"),
                    "x-original-method and x-forwarded-method",
                ),
                (
                    *(INGRESS, "x-forwarded-uri", "/public", "URI"),
                    "x-forwarded-uri and x-original-url",
                ),
                (
                    *(INGRESS, "x-forwarded-host", "other.example", "host"),
                    "x-forwarded-host and x-original-url",
                ),
            )
        ),
        *(
            pytest.param(
                {**NGINX, name: (value, value)},
                f"{name} is there more than once; the proxy must replace what the client sent",
                id=f"{name} twice",
            )
            for name, value in (
                ("x-original-uri", "/a?b=c"),
                ("x-original-method", "PUT"),
                ("x-forwarded-host", "shop.example.com"),
                ("x-original-url", "http://shop.example.com/a?b=c"),
            )
        ),
        *(
            pytest.param(
                {**NGINX, name: (value,)},
                f"{name} is no {what} of a request; the proxy must set it",
                id=f"{name}: {value}",
            )
            for name, what, value in (
                ("x-original-uri", "URI", ""),
                ("x-original-uri", "URI", "a"),
                ("x-original-uri", "URI", "http://shop.example.com/a"),
                ("x-original-uri", "URI", "/a b"),
                ("x-original-uri", "URI", "/a\n"),
                ("x-original-uri", "URI", "/\ufffd"),
                ("x-forwarded-uri", "URI", ""),
                ("x-original-method", "method", ""),
                ("x-original-method", "method", "GET, PUT"),
                ("x-forwarded-host", "host", ""),
                ("x-forwarded-host", "host", "a.example, b.example"),
                ("x-forwarded-host", "host", "user@a.example"),
                ("x-forwarded-host", "host", "a.example/b"),
                ("x-original-url", "URL", ""),
                ("x-original-url", "URL", "/a?b=c"),
                ("x-original-url", "URL", "ftp://shop.example.com/a"),
                ("x-original-url", "URL", "http://shop.example.com"),
                ("x-original-url", "URL", "http://shop.example.com?/a"),
                ("x-original-url", "URL", "http://user@shop.example.com/a"),
            )
        ),
    ],
)
def test_what_leaves_a_doubt_is_refused(
    headers: dict[str, tuple[str, ...] | None], message: str
) -> None:
    sent = {name: values for name, values in headers.items() if values is not None}
    with pytest.raises(Undescribed) as undescribed:
        described(sent)
    assert str(undescribed.value) == message


NAMES = st.sampled_from(
    [
        *("x-original-method", "x-original-uri", "x-original-url"),
        *("x-forwarded-method", "x-forwarded-uri", "x-forwarded-host"),
    ]
)
VALUES = st.sampled_from(["GET", "/a", "/b", "a.example", "http://a.example/a", "", "*", "x y"])


@given(st.dictionaries(NAMES, st.lists(st.text() | VALUES, min_size=1, max_size=2).map(tuple)))
def test_a_description_is_one_thing_or_refused(sent: Headers) -> None:
    try:
        request = described(sent)
    except Undescribed:
        return
    assert {sent.get(one, (request.method,)) for one in NAMES_OF_METHOD} == {(request.method,)}
    assert {sent.get(one, (request.target,)) for one in NAMES_OF_TARGET} == {(request.target,)}
    assert request.method
    assert request.host
    assert request.target[:1] in {"/", "*"}


NAMES_OF_METHOD = ("x-original-method", "x-forwarded-method")
NAMES_OF_TARGET = ("x-original-uri", "x-forwarded-uri")


@pytest.mark.parametrize(
    ("values", "address"),
    [
        pytest.param((), "", id="absent"),
        pytest.param(("192.0.2.1",), "192.0.2.1", id="one"),
        pytest.param(("10.0.0.1, 192.0.2.1",), "192.0.2.1", id="the client says another"),
        pytest.param(("10.0.0.1", "192.0.2.1"), "192.0.2.1", id="in two headers"),
        pytest.param(("10.0.0.1,",), "", id="nothing at the end"),
    ],
)
def test_the_source_is_what_the_proxy_added(values: tuple[str, ...], address: str) -> None:
    headers = {**NGINX, "x-forwarded-for": values} if values else NGINX
    assert described(headers).source_address == address


def test_a_certificate_that_no_envoy_vouches_for_is_not_there() -> None:
    request = described({**NGINX, "x-forwarded-client-cert": ("Hash=ab",)})
    assert request.values("x-forwarded-client-cert") == ()


def test_the_host_of_the_question_is_none_of_the_requests_headers() -> None:
    assert described({**NGINX, "host": ("sidecar:9192",)}).values("host") == ()


POLICY = Policy(
    (BEARER, HeaderSource("x-token"), QuerySource("access_token"), CookieSource("session")),
    forward=Forward({"x-jwt-subject": ForwardedClaim("sub")}),
)


def asked(target: str = "/a", **headers: str) -> HttpRequest:
    return HttpRequest(
        "GET", "a.example", target, {name.replace("_", "-"): (headers[name],) for name in headers}
    )


@pytest.mark.parametrize(
    ("admission", "request_", "headers"),
    [
        pytest.param(
            Admission({"x-jwt-subject": "alice"}, ("authorization",)),
            asked(authorization="Bearer t"),
            {"x-jwt-subject": "alice", "x-forwarded-uri": "/a"},
            id="the token goes",
        ),
        pytest.param(
            Admission({}, ("x-jwt-subject", "x-token")),
            asked(authorization="Basic u", x_token="t", x_jwt_subject="mallory", cookie="a=1"),
            {"authorization": "Basic u", "cookie": "a=1", "x-forwarded-uri": "/a"},
            id="where no token was stays what was there",
        ),
        pytest.param(
            Admission({"cookie": "a=1"}),
            asked(cookie="a=1; session=t"),
            {"cookie": "a=1", "x-forwarded-uri": "/a"},
            id="the one cookie goes",
        ),
        pytest.param(
            Admission({}, (), ("access%5Ftoken",)),
            asked("/a?x=1&access%5Ftoken=t&access_token2=u&y"),
            {"x-forwarded-uri": "/a?x=1&access_token2=u&y"},
            id="the one parameter goes",
        ),
        pytest.param(
            Admission({}, (), ("access_token",)),
            asked("/a?access_token=t"),
            {"x-forwarded-uri": "/a"},
            id="the only parameter goes with its mark",
        ),
        pytest.param(
            Admission({}, ("authorization", "dpop")),
            asked(authorization="DPoP t", dpop="p"),
            {"x-forwarded-uri": "/a"},
            id="the proof goes with the token",
        ),
        pytest.param(
            Admission(),
            asked(dpop="p"),
            {"dpop": "p", "x-forwarded-uri": "/a"},
            id="a proof without a token stays",
        ),
        pytest.param(Admission(), asked("/a?"), {"x-forwarded-uri": "/a?"}, id="an empty query"),
        pytest.param(Admission(), asked("*"), {}, id="a target that is no path"),
    ],
)
def test_the_upstream_gets_these_headers_and_no_other_of_their_names(
    admission: Admission, request_: HttpRequest, headers: dict[str, str]
) -> None:
    assert for_upstream(admission, request_, POLICY) == headers


@pytest.mark.parametrize(
    ("name", "values", "joined"),
    [
        pytest.param("cookie", ("a=1", "b=2"), "a=1; b=2", id="cookies"),
        pytest.param("authorization", ("Basic u", "Digest v"), "Basic u, Digest v", id="others"),
    ],
)
def test_headers_that_are_there_twice_are_sent_on_as_one(
    name: str, values: tuple[str, ...], joined: str
) -> None:
    request = HttpRequest("GET", "a.example", "/a", {name: values})
    assert for_upstream(Admission(), request, POLICY)[name] == joined


def test_a_token_that_stays_is_sent_on() -> None:
    policy = Policy(forward=Forward(remove_token=False))
    headers = for_upstream(Admission(), asked(authorization="Bearer t"), policy)
    assert headers == {"authorization": "Bearer t", "x-forwarded-uri": "/a"}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        pytest.param("x_jwt_subject", "x-jwt-subject", id="underscores"),
        pytest.param("x-jwt.subject", "x-jwt-subject", id="a dot"),
        pytest.param("x~token", "x-token", id="a header that a token may stand in"),
    ],
)
def test_another_spelling_that_the_proxy_can_not_remove_is_refused(name: str, meant: str) -> None:
    request = HttpRequest("GET", "a.example", "/a", {name: ("mallory",)})
    with pytest.raises(
        Undescribed, match=f"^a header was sent that upstreams may take for {meant}"
    ):
        ensure_changeable(request, POLICY)


def test_a_name_that_is_no_token_is_refused() -> None:
    request = HttpRequest("GET", "a.example", "/a", {"x-jwt-subject\0": ("mallory",)})
    with pytest.raises(Undescribed, match=r"a character that no name may have"):
        ensure_changeable(request, POLICY)


@pytest.mark.parametrize("remove_token", [True, False])
@pytest.mark.parametrize("name", ["authorization", "cookie", "dpop", "x-token"])
def test_what_can_not_be_sent_on_as_it_is_is_refused(name: str, remove_token: bool) -> None:
    request = HttpRequest("GET", "a.example", "/a", {name: ("a=b", "a=\ufffd")})
    policy = replace(POLICY, forward=Forward(remove_token=remove_token))
    with pytest.raises(Undescribed, match=f"^header {name} is not in UTF-8"):
        ensure_changeable(request, policy)


def test_what_the_proxy_leaves_as_it_is_may_be_anything() -> None:
    ensure_changeable(asked(x_other="\ufffd"), POLICY)
