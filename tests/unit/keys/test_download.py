import asyncio
import gzip

import pytest
from aiohttp import web

from sidecar.keys.download import DownloadFailed, downloader
from tests.unit.keys.servers import Handler, http, raw, unused_port

LIMIT = 1000


async def body(url: str, within: float = 5.0) -> bytes:
    """What is downloaded from a URL, of up to 1000 bytes."""
    async with downloader(LIMIT, concurrent=2) as download:
        return await download(url, within, None)


async def failure(url: str, within: float = 5.0) -> str:
    """Why nothing is downloaded from a URL, with the URL left out."""
    with pytest.raises(DownloadFailed) as failed:
        await body(url, within)
    return str(failed.value).replace(url, "URL")


def answering(
    status: int = 200, content: bytes = b"{}", location: str = "", encoding: str = ""
) -> Handler:
    """A handler that gives this answer."""
    named = {"location": location, "content-encoding": encoding}
    headers = {name: value for name, value in named.items() if value}

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
                f"URL answers {status}, a redirect, which is not followed: "
                "configure the URL that it leads to",
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
    port = unused_port()
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


async def test_no_more_than_so_many_at_a_time() -> None:
    at_once, most = 0, 0

    async def count(_: web.BaseRequest) -> web.StreamResponse:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        at_once -= 1
        return web.Response(body=b"{}")

    async with http(count) as url, downloader(LIMIT, concurrent=2) as download:
        await asyncio.gather(*(download(url, 5.0, None) for _ in range(6)))
    assert most == 2


async def test_waiting_for_a_turn_takes_nothing_of_the_time() -> None:
    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=b"{}")

    async with (
        raw(None) as hanging,
        http(answer) as url,
        downloader(LIMIT, concurrent=1) as download,
    ):
        first = asyncio.ensure_future(download(hanging, 0.3, None))
        await asyncio.sleep(0)
        assert await download(url, 0.2, None) == b"{}"
        with pytest.raises(DownloadFailed):
            await first
