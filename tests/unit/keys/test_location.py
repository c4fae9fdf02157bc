import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.config.issuers import discovery_url
from sidecar.keys.download import DownloadFailed
from sidecar.keys.location import discover_jwks_url

ISSUER = "https://login.example.com"
DOCUMENT = f"{ISSUER}/.well-known/openid-configuration"
JWKS = "https://keys.example.com/jwks"


class Web:
    """One document, at whatever URL it is asked for."""

    def __init__(self, content: bytes | Exception) -> None:
        self._content = content
        self.asked: list[tuple[str, float, Path | None]] = []

    async def download(self, url: str, seconds: float, ca_file: Path | None) -> bytes:
        self.asked.append((url, seconds, ca_file))
        if isinstance(self._content, Exception):
            raise self._content
        return self._content


def document(**members: Any) -> Web:
    """A web with this discovery document."""
    return Web(json.dumps(members).encode())


async def failure(web: Web, issuer: str = ISSUER) -> str:
    """Why no location is found."""
    with pytest.raises(DownloadFailed) as failed:
        await discover_jwks_url(issuer, web.download, 5.0, None)
    return str(failed.value)


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        pytest.param(ISSUER, DOCUMENT, id="no slash at the end"),
        pytest.param(f"{ISSUER}/", DOCUMENT, id="slash at the end"),
        pytest.param(
            f"{ISSUER}/realms/shop",
            f"{ISSUER}/realms/shop/.well-known/openid-configuration",
            id="with a path",
        ),
        pytest.param(
            f"{ISSUER}/a//", f"{ISSUER}/a//.well-known/openid-configuration", id="one slash only"
        ),
    ],
)
def test_discovery_url(issuer: str, url: str) -> None:
    assert discovery_url(issuer) == url


async def test_the_document_is_fetched_as_configured() -> None:
    web = document(issuer=ISSUER, jwks_uri=JWKS)
    assert await discover_jwks_url(ISSUER, web.download, 2.5, Path("ca.pem")) == JWKS
    assert web.asked == [(DOCUMENT, 2.5, Path("ca.pem"))]


@pytest.mark.parametrize(
    ("issuer", "jwks_uri"),
    [
        pytest.param(ISSUER, JWKS, id="https to https on another host"),
        pytest.param("http://idp", "http://idp/jwks", id="http to http"),
        pytest.param("http://idp", JWKS, id="http to https"),
        pytest.param("HTTPS://idp", JWKS, id="scheme in upper case"),
    ],
)
async def test_schemes(issuer: str, jwks_uri: str) -> None:
    web = document(issuer=issuer, jwks_uri=jwks_uri)
    assert await discover_jwks_url(issuer, web.download, 5.0, None) == jwks_uri


@pytest.mark.parametrize(
    "jwks_uri",
    [
        pytest.param("http://keys.example.com/jwks", id="https to http"),
        pytest.param("file:///etc/passwd", id="a file"),
        pytest.param("/jwks", id="relative"),
        pytest.param("//keys.example.com/jwks", id="without a scheme"),
        pytest.param("", id="empty"),
        pytest.param("https://[", id="half an address"),
        pytest.param(7, id="a number"),
        pytest.param([JWKS], id="an array"),
        pytest.param(None, id="null"),
    ],
)
async def test_a_location_that_is_refused(jwks_uri: Any) -> None:
    assert await failure(document(issuer=ISSUER, jwks_uri=jwks_uri)) == (
        f"{DOCUMENT} has the jwks_uri {json.dumps(jwks_uri)}; it must be a URL with https"
    )


async def test_no_location_at_all() -> None:
    assert await failure(document(issuer=ISSUER)) == (
        f"{DOCUMENT} has the jwks_uri null; it must be a URL with https"
    )


async def test_both_schemes_are_named_where_both_would_do() -> None:
    assert await failure(document(issuer="http://idp", jwks_uri="ftp://idp"), "http://idp") == (
        'http://idp/.well-known/openid-configuration has the jwks_uri "ftp://idp"; it must be a '
        "URL with http, https"
    )


@pytest.mark.parametrize(
    "found",
    [
        pytest.param("https://evil.example.com", id="another"),
        pytest.param(f"{ISSUER}/", id="with a slash more"),
        pytest.param("https://LOGIN.example.com", id="in another case"),
        pytest.param(None, id="null"),
        pytest.param([ISSUER], id="an array"),
    ],
)
async def test_the_document_of_another_issuer(found: Any) -> None:
    assert await failure(document(issuer=found, jwks_uri=JWKS)) == (
        f'{DOCUMENT} is of issuer {json.dumps(found)}, and "{ISSUER}" is configured; '
        "they must be equal"
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(b"<html>", "it is not JSON: Expecting value at character 0", id="HTML"),
        pytest.param(b"[]", "it is an array, not a JSON object", id="an array"),
        pytest.param(
            b'{"issuer":"a","issuer":"b"}', "it has the same name twice", id="two issuers"
        ),
        pytest.param(b"\xff", "it is not UTF-8", id="not UTF-8"),
        pytest.param(
            b'{"a":' * 17 + b"1" + b"}" * 17, "it is nested deeper than 16 levels", id="too deep"
        ),
    ],
)
async def test_no_document(content: bytes, problem: str) -> None:
    assert await failure(Web(content)) == f"{DOCUMENT} is no discovery document: {problem}"


async def test_a_download_that_fails_keeps_its_message() -> None:
    assert await failure(Web(DownloadFailed("it answers 404"))) == "it answers 404"
