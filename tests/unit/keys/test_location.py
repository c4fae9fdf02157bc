import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.config.issuers import discovery_url
from sidecar.keys.answer import Answer, DownloadFailed, Outcome, Validators
from sidecar.keys.download import Access
from sidecar.keys.location import Location, metadata_url
from tests.simulated_time import in_simulated_time
from tests.unit.keys.provider import until

ISSUER = "https://login.example.com"
DOCUMENT = f"{ISSUER}/.well-known/openid-configuration"
ACCESS = Access(2.5, Path("ca.pem"))
JWKS = "https://keys.example.com/jwks"


class Web:
    """Documents by URL, or one at whatever URL is asked for."""

    def __init__(
        self, content: bytes | Exception | dict[str, bytes], lifetime: float | None = None
    ) -> None:
        self.content = content
        self._lifetime = lifetime
        self.asked: list[tuple[str, Access]] = []

    async def download(self, url: str, access: Access, _: Validators | None) -> Answer:
        self.asked.append((url, access))
        if isinstance(self.content, Exception):
            raise self.content
        if isinstance(self.content, bytes):
            return Answer(self.content, self._lifetime)
        if url not in self.content:
            raise DownloadFailed(f"{url} answers 404", Outcome.STATUS, 404)
        return Answer(self.content[url], self._lifetime)

    def location(self, issuer: str = ISSUER) -> Location:
        return Location(issuer, self.download, ACCESS)


def document(**members: Any) -> Web:
    """A web with this discovery document."""
    return Web(json.dumps(members).encode())


async def failure(web: Web, issuer: str = ISSUER) -> str:
    """Why no location is found."""
    with pytest.raises(DownloadFailed) as failed:
        await web.location(issuer).url()
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
    assert await web.location().url() == JWKS
    assert web.asked == [(DOCUMENT, ACCESS)]


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
    assert await web.location(issuer).url() == jwks_uri


@pytest.mark.parametrize(
    "jwks_uri",
    [
        pytest.param("http://keys.example.com/jwks", id="https to http"),
        pytest.param("file:///etc/passwd", id="a file"),
        pytest.param("/jwks", id="relative"),
        pytest.param("//keys.example.com/jwks", id="without a scheme"),
        pytest.param("", id="empty"),
        pytest.param("https:///jwks", id="without a host"),
        pytest.param("https://[", id="half an address"),
        pytest.param("https://keys.example.com/cl\u00e9s", id="beyond ASCII"),
        pytest.param("https://keys.example.com/jwks\n", id="a line break"),
        pytest.param(7, id="a number"),
        pytest.param([JWKS], id="an array"),
        pytest.param(None, id="null"),
    ],
)
async def test_a_location_that_is_refused(jwks_uri: Any) -> None:
    assert await failure(document(issuer=ISSUER, jwks_uri=jwks_uri)) == (
        f"{DOCUMENT} has the jwks_uri {json.dumps(jwks_uri)}; it must be a URL with https"
    )


@pytest.mark.parametrize(
    ("jwks_uri", "shown"),
    [
        pytest.param("https://a:marker@b.example/jwks", "https://***@b.example/jwks", id="user"),
        pytest.param("ftp://b.example/jwks?key=marker", "ftp://b.example/jwks", id="query"),
    ],
)
async def test_a_location_is_told_without_its_secrets(jwks_uri: str, shown: str) -> None:
    assert await failure(document(issuer=ISSUER, jwks_uri=jwks_uri)) == (
        f'{DOCUMENT} has the jwks_uri "{shown}"; it must be a URL with https'
    )


async def test_no_location_at_all() -> None:
    assert await failure(document(issuer=ISSUER)) == (
        f"{DOCUMENT} has the jwks_uri null; it must be a URL with https"
    )


async def test_a_document_without_a_location_is_malformed_and_nobody_elses() -> None:
    with pytest.raises(DownloadFailed) as failed:
        await document(issuer=ISSUER).location().url()
    assert failed.value.outcome is Outcome.MALFORMED


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
    assert await failure(Web(DownloadFailed("it hangs", Outcome.TIMEOUT))) == "it hangs"


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        pytest.param(
            "https://idp", "https://idp/.well-known/oauth-authorization-server", id="no path"
        ),
        pytest.param(
            "https://idp/", "https://idp/.well-known/oauth-authorization-server", id="a slash"
        ),
        pytest.param(
            "https://idp:8443/tenant/7",
            "https://idp:8443/.well-known/oauth-authorization-server/tenant/7",
            id="a path comes last",
        ),
        pytest.param(
            "https://idp/tenant/",
            "https://idp/.well-known/oauth-authorization-server/tenant",
            id="a slash at its end goes",
        ),
    ],
)
def test_metadata_url(issuer: str, url: str) -> None:
    assert metadata_url(issuer) == url


def metadata(issuer: str, jwks_uri: str = JWKS) -> bytes:
    return json.dumps({"issuer": issuer, "jwks_uri": jwks_uri}).encode()


async def test_an_authorization_server_without_openid_connect() -> None:
    issuer = "https://idp/tenant"
    web = Web({metadata_url(issuer): metadata(issuer)})
    assert await web.location(issuer).url() == JWKS


async def test_no_document_of_either_kind() -> None:
    assert await failure(Web({})) == (f"{DOCUMENT} answers 404; {metadata_url(ISSUER)} answers 404")


async def test_metadata_of_another_issuer() -> None:
    web = Web({metadata_url(ISSUER): metadata("https://evil.example.com")})
    assert (await failure(web)).startswith(f"{metadata_url(ISSUER)} is of issuer ")


async def test_nothing_but_a_404_leads_to_the_metadata() -> None:
    web = Web(DownloadFailed("it answers 500", Outcome.STATUS, 500))
    await failure(web)
    assert [url for url, _ in web.asked] == [DOCUMENT]


@pytest.mark.parametrize(
    ("lifetime", "read_again"),
    [
        pytest.param(None, 3600, id="not said"),
        pytest.param(600.0, 600, id="said"),
        pytest.param(0.0, 60, id="too short"),
        pytest.param(86400.0, 3600, id="too long"),
    ],
)
def test_the_document_is_read_again_after_its_lifetime(
    lifetime: float | None, read_again: float
) -> None:
    @in_simulated_time
    async def ask() -> None:
        web = Web(metadata(ISSUER), lifetime)
        location = web.location()
        await location.url()
        await until(read_again - 1)
        await location.url()
        assert len(web.asked) == 1
        web.content = metadata(ISSUER, "https://new.example.com/")
        await until(read_again)
        assert await location.url() == "https://new.example.com/"

    ask()


async def test_a_location_that_failed_is_read_again() -> None:
    web = Web(metadata(ISSUER))
    location = web.location()
    await location.url()
    location.forget()
    web.content = metadata(ISSUER, "https://new.example.com/")
    assert await location.url() == "https://new.example.com/"


@in_simulated_time
async def test_a_document_that_turns_bad_leaves_no_location() -> None:
    web = Web(metadata(ISSUER), 60)
    location = web.location()
    await location.url()
    await until(60)
    web.content = metadata("https://evil.example.com")
    for _ in range(2):
        with pytest.raises(DownloadFailed, match="must be equal"):
            await location.url()
