from typing import Any

import pytest

from sidecar.api.ext_authz import http_request
from sidecar.authorization.http_request import HttpRequest
from tests.unit.api.checks import CheckRequest, asked, asked_raw


def test_request_line() -> None:
    assert http_request(asked("/a?b=c")) == HttpRequest("GET", "shop.example.com", "/a?b=c", {})


def test_an_empty_request() -> None:
    assert http_request(CheckRequest()) == HttpRequest()


@pytest.mark.parametrize(
    ("message", "headers"),
    [
        pytest.param(asked(accept="a, b"), {"accept": ("a, b",)}, id="headers"),
        pytest.param(asked(Accept="a"), {"accept": ("a",)}, id="headers in another case"),
        pytest.param(asked_raw(("accept", b"a")), {"accept": ("a",)}, id="raw_value"),
        pytest.param(asked_raw(("accept", "a")), {"accept": ("a",)}, id="value"),
        pytest.param(asked_raw(("Accept", b"a")), {"accept": ("a",)}, id="another case, raw"),
        pytest.param(
            asked_raw(("accept", b"a"), ("x", b"y"), ("accept", "b")),
            {"accept": ("a", "b"), "x": ("y",)},
            id="the same header twice",
        ),
        pytest.param(
            asked_raw(("accept", b"a"), ("ACCEPT", b"b")),
            {"accept": ("a", "b")},
            id="the same header in two cases",
        ),
        pytest.param(asked_raw(("x", "Zoë".encode())), {"x": ("Zoë",)}, id="UTF-8"),
        pytest.param(asked_raw(("x", b"\xff")), {"x": ("\ufffd",)}, id="not UTF-8"),
        pytest.param(asked_raw(("x", b"")), {"x": ("",)}, id="empty"),
    ],
)
def test_headers(message: Any, headers: dict[str, tuple[str, ...]]) -> None:
    assert http_request(message).headers == headers


def test_a_header_under_two_cases_has_both_values() -> None:
    headers = http_request(asked(Authorization="a", authorization="b")).headers
    assert sorted(headers["authorization"]) == ["a", "b"]


def test_a_header_in_both_places_has_both_values() -> None:
    message = asked_raw(("authorization", b"b"))
    message.attributes.request.http.headers["authorization"] = "a"
    assert http_request(message).headers == {"authorization": ("a", "b")}
