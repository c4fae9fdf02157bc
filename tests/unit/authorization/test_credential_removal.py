import pytest

from sidecar.authorization.credentials import Removal
from sidecar.authorization.http_request import HttpRequest
from tests.unit.authorization.places import bearer, cookies, found, request


@pytest.mark.parametrize(
    ("asked", "removal"),
    [
        pytest.param(request(), Removal(), id="no token"),
        pytest.param(bearer("Basic x"), Removal(), id="Basic stays"),
        pytest.param(bearer("Bearer a"), Removal(("authorization",)), id="header"),
        pytest.param(request(("x-token", "a")), Removal(("x-token",)), id="header without prefix"),
        pytest.param(
            request(target="/?x=1&access_token=a"), Removal((), ("access_token",)), id="query"
        ),
        pytest.param(
            request(target="/?access%5ftoken=a"),
            Removal((), ("access%5ftoken",)),
            id="parameter as it is written, since proxies compare undecoded names",
        ),
        pytest.param(cookies("session=a"), Removal(("cookie",)), id="the only cookie"),
        pytest.param(cookies("session=a;"), Removal(("cookie",)), id="the only cookie, semicolon"),
        pytest.param(
            request(("authorization", "Basic x"), ("cookie", "session=a")),
            Removal(("cookie",)),
            id="cookie; Basic stays",
        ),
        pytest.param(
            request(
                ("authorization", "Bearer a"), ("cookie", "session=a"), target="/?access_token=a"
            ),
            Removal(("authorization", "cookie"), ("access_token",)),
            id="every place",
        ),
        pytest.param(
            request(("authorization", "Bearer a"), ("cookie", "x=1; session=a")),
            Removal(("authorization",), (), {"cookie": "x=1"}),
            id="header and a cookie among others",
        ),
        pytest.param(
            request(("authorization", "Bearer a"), ("cookie", "x=1"), target="/?x=1"),
            Removal(("authorization",)),
            id="other cookies and parameters are not touched",
        ),
    ],
)
def test_removal(asked: HttpRequest, removal: Removal) -> None:
    assert found(asked).removal == removal


@pytest.mark.parametrize(
    ("asked", "rest"),
    [
        pytest.param(cookies("session=a; x=1; y=2"), "x=1; y=2", id="first"),
        pytest.param(cookies("x=1; session=a; y=2"), "x=1; y=2", id="between"),
        pytest.param(cookies("x=1; y=2; session=a"), "x=1; y=2", id="last"),
        pytest.param(cookies("x=1", "session=a; y=2"), "x=1; y=2", id="in the second header"),
        pytest.param(cookies('x="q q"; session=a'), 'x="q q"', id="quotes stay"),
        pytest.param(cookies("x=a=b%3B; session=a"), "x=a=b%3B", id="values stay as they are"),
        pytest.param(cookies("x; session=a"), "x", id="a cookie without value"),
        pytest.param(cookies("x=1; x=2; session=a"), "x=1; x=2", id="other cookies may be doubled"),
        pytest.param(cookies("Session=1; session=a"), "Session=1", id="names have case"),
        pytest.param(cookies("x=a; session=a"), "x=a", id="another cookie with the same value"),
    ],
)
def test_the_other_cookies_stay(asked: HttpRequest, rest: str) -> None:
    assert found(asked).removal == Removal((), (), {"cookie": rest})
