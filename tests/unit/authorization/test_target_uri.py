"""The URI that a DPoP proof must be made for, out of what a proxy says of a request."""

from typing import Any

import pytest

from sidecar.authorization.http_request import HttpRequest
from sidecar.authorization.proof import target_uri


def asked(target: str = "/a", host: str = "h", scheme: str = "https", *proto: str) -> HttpRequest:
    """A request with these headers X-Forwarded-Proto."""
    headers = {"x-forwarded-proto": proto} if proto else {}
    return HttpRequest("GET", host, target, headers, scheme=scheme)


@pytest.mark.parametrize(
    ("request_", "uri"),
    [
        pytest.param(asked(), "https://h/a", id="as it is"),
        pytest.param(asked("/a?b=/c?d#e"), "https://h/a", id="without the query"),
        pytest.param(asked(host="h:8443"), "https://h:8443/a", id="with its port"),
        pytest.param(asked(host="[::1]:80"), "https://[::1]:80/a", id="of an address"),
        pytest.param(asked(scheme="HTTP"), "http://h/a", id="a scheme in capitals"),
        pytest.param(
            asked("/a", "h", "http", "https"), "https://h/a", id="where the proxy ends TLS"
        ),
        pytest.param(asked("/a", "h", "https", "http"), "http://h/a", id="where it adds TLS"),
        pytest.param(asked("/a", "h", "http", "wss"), "wss://h/a", id="a WebSocket's handshake"),
        pytest.param(asked("/a", "h", "ws"), "ws://h/a", id="the same, without TLS"),
        pytest.param(asked("/a", "h", "", "https"), "https://h/a", id="where only a header says"),
    ],
)
def test_the_uri_that_was_asked_for(request_: HttpRequest, uri: str) -> None:
    assert target_uri(request_) == uri


UNKNOWN: list[Any] = [
    pytest.param(asked(scheme=""), id="no scheme"),
    pytest.param(asked(scheme="ftp"), id="another scheme"),
    pytest.param(asked("/a", "h", "https", "https", "https"), id="two X-Forwarded-Proto"),
    pytest.param(asked("/a", "h", "https", "https,http"), id="two in one"),
    pytest.param(asked("/a", "h", "https", ""), id="an empty one"),
    pytest.param(asked("*"), id="no path"),
    pytest.param(asked("a"), id="a path without its slash"),
    pytest.param(asked("/a#b"), id="a fragment"),
    pytest.param(asked(host=""), id="no host"),
    pytest.param(asked(host="h/b"), id="a host with a path"),
    pytest.param(asked(host="u@h"), id="a host with a user"),
]


@pytest.mark.parametrize("request_", UNKNOWN)
def test_what_can_not_be_told_is_no_uri(request_: HttpRequest) -> None:
    assert target_uri(request_) == ""
