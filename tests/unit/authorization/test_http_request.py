import pytest

from sidecar.authorization.http_request import HttpRequest


@pytest.mark.parametrize(
    ("target", "query"),
    [
        pytest.param("", "", id="no target"),
        pytest.param("/orders", "", id="no query"),
        pytest.param("/orders?", "", id="empty query"),
        pytest.param("/orders?a=1&b=2", "a=1&b=2", id="query"),
        pytest.param("/orders?a=1?b=2", "a=1?b=2", id="a question mark in the query"),
        pytest.param("/orders?a=1#b", "a=1", id="fragment after the query"),
        pytest.param("/orders#?a=1", "", id="question mark in the fragment"),
        pytest.param("https://shop.example.com/?a=1", "a=1", id="absolute form"),
        pytest.param("*", "", id="asterisk form"),
        pytest.param("?a=1", "a=1", id="query alone"),
    ],
)
def test_query(target: str, query: str) -> None:
    assert HttpRequest(target=target).query == query


def test_values_are_all_of_a_header_in_order() -> None:
    request = HttpRequest(headers={"accept": ("a", "b")})
    assert request.values("accept") == ("a", "b")


def test_a_header_that_is_absent_has_no_values() -> None:
    assert HttpRequest().values("accept") == ()


@pytest.mark.parametrize(
    "request_with_token",
    [
        pytest.param(HttpRequest(headers={"authorization": ("Bearer MARKER",)}), id="header"),
        pytest.param(HttpRequest(headers={"cookie": ("session=MARKER",)}), id="cookie"),
        pytest.param(HttpRequest(target="/?access_token=MARKER"), id="query"),
    ],
)
def test_no_token_is_in_the_repr(request_with_token: HttpRequest) -> None:
    assert "MARKER" not in repr(request_with_token)
