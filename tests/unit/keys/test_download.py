import asyncio
import gzip
import socket
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from deploy.demo.stage import free_port
from sidecar.keys.answer import Answer, DownloadFailed, Outcome, Validators
from sidecar.keys.download import Access, downloader
from sidecar.keys.resolver import Resolver
from tests.unit.keys.servers import Handler, http, raw

LIMIT = 1000


async def fetched(
    url: str, within: float = 5.0, validators: Validators | None = None, **access: Any
) -> Answer:
    """What is downloaded from a URL, of up to 1000 bytes."""
    download = downloader(LIMIT)
    return await download(url, Access(within, **access), validators)


async def body(url: str) -> bytes | None:
    return (await fetched(url)).body


async def failed(
    url: str, within: float = 5.0, validators: Validators | None = None, **access: Any
) -> tuple[Outcome, str]:
    """Why nothing is downloaded from a URL, with the URL left out."""
    with pytest.raises(DownloadFailed) as caught:
        await fetched(url, within, validators, **access)
    return caught.value.outcome, str(caught.value).replace(url, "URL")


async def failure(url: str, within: float = 5.0) -> str:
    return (await failed(url, within))[1]


def answering(
    status: int = 200, content: bytes = b"{}", location: str = "", encoding: str = "", **more: str
) -> Handler:
    """A handler that gives this answer."""
    named = {"location": location, "content-encoding": encoding, **more}
    headers = {name.replace("_", "-"): value for name, value in named.items() if value}

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status, body=content, headers=headers)

    return answer


def streaming(*chunks: bytes, pause: float = 0.0) -> Handler:
    """A handler that sends these chunks with pauses between them, and no Content-Length."""

    async def stream(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
            await asyncio.sleep(pause)
        return response

    return stream


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(answering(content=b"a" * LIMIT), id="with its length"),
        pytest.param(streaming(b"a" * 600, b"a" * 400), id="in chunks"),
        pytest.param(
            answering(content=gzip.compress(b"a" * LIMIT), encoding="gzip"),
            id="compressed",
        ),
    ],
)
async def test_a_body_of_just_the_limit(handler: Handler) -> None:
    async with http(handler) as url:
        assert await body(url) == b"a" * LIMIT


TOO_LONG = "URL answers with more than limits.keys_bytes, 1000 bytes"


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(answering(content=b"a" * (LIMIT + 1)), id="with its length"),
        pytest.param(streaming(b"a" * 600, b"a" * 401), id="in chunks"),
        pytest.param(streaming(b"a" * 1200, pause=60), id="of which more would come"),
        pytest.param(
            answering(content=gzip.compress(b"a" * 10**7), encoding="gzip"),
            id="compressed to little",
        ),
    ],
)
async def test_a_body_over_the_limit(handler: Handler) -> None:
    async with http(handler) as url:
        assert await failure(url, within=30) == TOO_LONG


@pytest.mark.parametrize(
    ("handler", "problem"),
    [
        pytest.param(answering(404), "URL answers 404", id="404"),
        pytest.param(answering(500, b"MARKER"), "URL answers 500", id="500"),
        pytest.param(answering(204), "URL answers 204", id="204"),
        *(
            pytest.param(
                answering(status, location="http://127.0.0.1:1/MARKER"),
                f"URL answers {status}, a redirect, which is followed only over https to the "
                "same host and port: configure the URL that it leads to",
                id=f"redirect {status}",
            )
            for status in (301, 302, 303, 307, 308)
        ),
    ],
)
async def test_any_status_but_200(handler: Handler, problem: str) -> None:
    async with http(handler) as url:
        assert await failure(url) == problem


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(streaming(b"a", pause=60), id="a body that does not end"),
        pytest.param(streaming(*[b"a"] * 900, pause=0.05), id="a slow drip"),
    ],
)
async def test_an_answer_that_takes_too_long(handler: Handler) -> None:
    async with http(handler) as url:
        assert await failure(url, within=0.2) == "URL did not answer within 0.2 s"


async def test_no_answer_at_all() -> None:
    async with raw(None) as url:
        assert await failure(url, within=0.2) == "URL did not answer within 0.2 s"


IMPROPER = "URL can't be fetched: its answer is not whole and proper HTTP"


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        pytest.param(b"", "URL can't be fetched: Server disconnected", id="nothing"),
        pytest.param(b"SSH-2.0-MARKER\r\n", IMPROPER, id="another protocol"),
        pytest.param(b"HTTP/1.1 MARKER\r\n\r\n", IMPROPER, id="no status"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nMAR\x01KER: a\r\n\r\n",
            IMPROPER,
            id="a header name that is none",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\na: " + b"MARKER" * 5000 + b"\r\n\r\n",
            IMPROPER,
            id="a long header",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nMARKER\r\n",
            IMPROPER,
            id="a chunk size that is none",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 6\r\n\r\nMARKER",
            IMPROPER,
            id="not gzip",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nMARKER",
            IMPROPER,
            id="shorter than it says",
        ),
    ],
)
async def test_no_proper_http(sent: bytes, problem: str) -> None:
    async with raw(sent) as url:
        assert await failure(url) == problem


async def test_connection_refused() -> None:
    port = free_port()
    assert await failure(f"http://127.0.0.1:{port}/") == (
        f"URL can't be fetched: no connection to 127.0.0.1:{port}: Connection refused"
    )


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://[", id="half an address"),
        pytest.param("https:", id="no host"),
        pytest.param("", id="empty"),
        pytest.param("ftp://127.0.0.1/", id="another scheme"),
        pytest.param("http://127.0.0.1:99999/", id="no port"),
        pytest.param("http://\ud800/", id="half a surrogate pair"),
    ],
)
async def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(DownloadFailed):
        await body(url)


@pytest.mark.parametrize(
    "content_type",
    [
        pytest.param("application/json", id="JSON"),
        pytest.param("application/jwk-set+json; charset=UTF-8", id="a JWK Set"),
        pytest.param('Application/JSON;charset="utf-8"', id="in capitals and quotes"),
        pytest.param("text/plain; charset=us-ascii", id="a plain file"),
        pytest.param("application/octet-stream", id="a file of no known type"),
    ],
)
async def test_a_content_that_may_be_json(content_type: str) -> None:
    async with http(answering(content_type=content_type)) as url:
        assert await body(url) == b"{}"


@pytest.mark.parametrize(
    ("content_type", "problem"),
    [
        pytest.param(
            "text/html; charset=utf-8",
            'URL answers with "text/html" and not with JSON: it may be a page for people',
            id="HTML",
        ),
        pytest.param(
            "application/xml",
            'URL answers with "application/xml" and not with JSON: it may be a page for people',
            id="XML",
        ),
        pytest.param(
            "application/json; charset=utf-16",
            'URL answers in the charset "utf-16"; JSON is in UTF-8',
            id="UTF-16",
        ),
        pytest.param(
            "application/json; a=b; CHARSET=ISO-8859-1",
            'URL answers in the charset "iso-8859-1"; JSON is in UTF-8',
            id="Latin-1",
        ),
        pytest.param(
            "text/marker",
            "URL answers with another content type and not with JSON: it may be a page for people",
            id="a type that may be what was sent",
        ),
        pytest.param(
            "application/json; charset=marker",
            "URL answers in a charset that is not known; JSON is in UTF-8",
            id="a charset that may be",
        ),
    ],
)
async def test_another_content(content_type: str, problem: str) -> None:
    async with http(answering(content_type=content_type)) as url:
        assert await failed(url) == (Outcome.MALFORMED, problem)


async def test_an_answer_says_how_long_it_lives_and_what_it_is() -> None:
    handler = answering(
        cache_control="public, max-age=300", age="100", etag='"1"', last_modified="yesterday"
    )
    async with http(handler) as url:
        validators = Validators(url, '"1"', "yesterday")
        assert await fetched(url) == Answer(b"{}", 200.0, validators, url)


@pytest.mark.parametrize(
    ("etag", "last_modified"),
    [
        pytest.param('"1"', "", id="a tag alone"),
        pytest.param("", "yesterday", id="a time alone"),
    ],
)
async def test_either_validator_makes_the_next_request_conditional(
    etag: str, last_modified: str
) -> None:
    async with http(answering(etag=etag, last_modified=last_modified)) as url:
        assert (await fetched(url)).validators == Validators(url, etag, last_modified)


@pytest.mark.parametrize(
    "etag", [pytest.param('"é"', id="not ASCII"), pytest.param('"' + "a" * 2000, id="long")]
)
async def test_a_tag_that_could_not_be_sent_back_is_none(etag: str) -> None:
    async with http(answering(etag=etag)) as url:
        assert (await fetched(url)).validators is None


async def headers_sent(validators: Validators | None, path: str = "", **access: Any) -> Any:
    """The headers of a request that is answered with a 304."""
    seen: list[Any] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(request.headers)
        return web.Response(status=304)

    async with http(answer) as url:
        if validators is not None:
            validators = replace(validators, url=url + path)
        try:
            await fetched(url, validators=validators, **access)
        except DownloadFailed:
            assert validators is None or path
    return seen[0]


async def test_a_request_is_conditional_by_both_validators() -> None:
    sent = await headers_sent(Validators("", '"1"', "yesterday"))
    assert (sent["if-none-match"], sent["if-modified-since"]) == ('"1"', "yesterday")


async def test_validators_of_another_url_are_not_sent() -> None:
    sent = await headers_sent(Validators("", '"1"', "yesterday"), path="/elsewhere")
    assert "if-none-match" not in sent
    assert "if-modified-since" not in sent


async def test_configured_headers_are_sent() -> None:
    sent = await headers_sent(None, headers={"x-api-key": "MARKER"})
    assert sent["x-api-key"] == "MARKER"


@pytest.mark.parametrize(
    ("sent", "etag"),
    [
        pytest.param('"1"', "", id="without its tag"),
        pytest.param('"1"', '"1"', id="with its tag"),
        pytest.param('"1"', 'W/"1"', id="with its tag, weak"),
        pytest.param('W/"1"', '"1"', id="with its weak tag, strong"),
        pytest.param("", '"1"', id="with a tag, where there was none"),
    ],
)
async def test_what_is_not_modified_keeps_its_validators_and_lives_longer(
    sent: str, etag: str
) -> None:
    async with http(answering(304, b"", etag=etag, cache_control="max-age=60")) as url:
        validators = Validators(url, sent, "yesterday")
        assert await fetched(url, validators=validators) == Answer(None, 60.0, validators)


async def test_a_304_that_nobody_asked_for() -> None:
    async with http(answering(304, b"")) as url:
        problem = "URL answers 304 (not modified) to a request without condition"
        assert await failed(url) == (Outcome.STATUS, problem)


async def test_a_304_for_another_version() -> None:
    async with http(answering(304, b"", etag='"2"')) as url:
        problem = "URL answers 304 (not modified) for another version than was asked about"
        assert await failed(url, validators=Validators(url, '"1"')) == (Outcome.STATUS, problem)


OUTCOMES: list[Any] = [
    pytest.param(answering(503), Outcome.STATUS, id="a status"),
    pytest.param(answering(302, location="https://a.example/"), Outcome.REDIRECT, id="a redirect"),
    pytest.param(answering(content=b"a" * 2000), Outcome.TOO_LARGE, id="a large body"),
]


@pytest.mark.parametrize(("handler", "outcome"), OUTCOMES)
async def test_outcomes(handler: Handler, outcome: Outcome) -> None:
    async with http(handler) as url:
        assert (await failed(url))[0] is outcome


async def test_the_outcome_of_a_body_that_does_not_end() -> None:
    async with http(streaming(b"a", pause=60)) as url:
        assert (await failed(url, within=0.2))[0] is Outcome.TIMEOUT


async def test_the_query_of_a_url_is_never_told() -> None:
    async with http(answering(500)) as url:
        _, problem = await failed(f"{url}?key=MARKER")
    assert "MARKER" not in problem


async def test_a_proxy_is_asked_for_the_whole_url() -> None:
    seen: list[str] = []

    async def proxy(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(str(request.url))
        return web.Response(body=b"{}")

    async with http(proxy) as url:
        proxied = await fetched("http://keys.example.com/jwks", proxy_url=url)
    assert (proxied.body, seen) == (b"{}", ["http://keys.example.com/jwks"])


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    async with http(answering()) as url:
        assert await body(url) == b"{}"


async def test_a_proxy_that_is_not_there() -> None:
    proxy_url = f"http://127.0.0.1:{free_port()}"
    assert await failed("https://keys.example.com/", proxy_url=proxy_url) == (
        Outcome.UNREACHABLE,
        "URL can't be fetched: no connection to the proxy: Connection refused",
    )


async def test_names_that_hang_in_dns_delay_no_download() -> None:
    ended = threading.Event()

    def look_up(host: str, port: int, family: int) -> Sequence[Any]:
        if host.startswith("hang"):
            ended.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async with http(answering()) as url:
        download = downloader(LIMIT, Resolver(look_up))
        hanging = [
            asyncio.ensure_future(download(f"http://hang-{number}.example/", Access(30), None))
            for number in range(40)
        ]
        await asyncio.sleep(0)
        named = url.replace("127.0.0.1", "keys.example.com")
        assert (await download(named, Access(5), None)).body == b"{}"
        assert not any(one.done() for one in hanging)
        for one in hanging:
            one.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        ended.set()


async def test_a_name_that_hangs_takes_no_more_than_the_time() -> None:
    ended = threading.Event()

    def look_up(*_: object) -> Sequence[Any]:
        ended.wait()
        return []

    download = downloader(LIMIT, Resolver(look_up))
    with pytest.raises(DownloadFailed) as caught:
        await download("http://hang.example/", Access(0.2), None)
    ended.set()
    assert caught.value.outcome is Outcome.TIMEOUT


async def test_a_proxy_that_refuses_the_connection_is_named() -> None:
    async with raw(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as url:
        assert await failed("https://keys.example.com/", proxy_url=url) == (
            Outcome.UNREACHABLE,
            "URL can't be fetched: the proxy answers 407",
        )
