"""Fetching a small JSON document over HTTP, with every bound that a hostile server needs."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

Download = Callable[[str, float, Path | None], Awaitable[bytes]]
"""The body at a URL, within so many seconds, trusting this CA file instead of the system's."""


class DownloadFailed(Exception):
    """A document could not be had. The message says why and never holds its content."""


@asynccontextmanager
async def downloader(max_bytes: int, concurrent: int) -> AsyncIterator[Download]:
    """A `Download` of bodies of up to `max_bytes`, at most `concurrent` at a time.

    It raises DownloadFailed for anything but a 200 with a whole body within the time: redirects
    are not followed, since the configuration alone says where keys come from. Waiting for one
    of the places takes nothing of a download's time. Messages leave out the query of the URL,
    which may hold a secret.
    """
    places = asyncio.Semaphore(concurrent)
    contexts: dict[Path | None, ssl.SSLContext] = {}

    def trust(url: str, ca_file: Path | None) -> ssl.SSLContext | bool:
        """What TLS is checked with: it takes megabytes, so it is loaded where it is needed."""
        if not url.lower().startswith("https:"):
            return True
        if ca_file not in contexts:
            contexts[ca_file] = _context(url, ca_file)
        return contexts[ca_file]

    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"accept": "application/jwk-set+json, application/json"},
        connector=aiohttp.TCPConnector(limit=concurrent),
    ) as session:

        async def download(url: str, seconds: float, ca_file: Path | None) -> bytes:
            shown = _shown(url)
            try:
                async with places, asyncio.timeout(seconds):
                    return await _get(session, url, trust(url, ca_file), max_bytes)
            except TimeoutError as error:
                raise DownloadFailed(f"{shown} did not answer within {seconds:g} s") from error
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise DownloadFailed(f"{shown} can't be fetched: {_cause(error)}") from error

        yield download


async def _get(
    session: aiohttp.ClientSession, url: str, trusted: ssl.SSLContext | bool, max_bytes: int
) -> bytes:
    shown = _shown(url)
    async with session.get(url, ssl=trusted, allow_redirects=False) as response:
        if response.status in range(300, 400):
            raise DownloadFailed(
                f"{shown} answers {response.status}, a redirect, which is not followed: "
                "configure the URL that it leads to"
            )
        if response.status != 200:
            raise DownloadFailed(f"{shown} answers {response.status}")
        body = bytearray()
        async for chunk in response.content.iter_chunked(65536):
            body += chunk
            if len(body) > max_bytes:
                raise DownloadFailed(
                    f"{shown} answers with more than limits.keys_bytes, {max_bytes} bytes"
                )
        return bytes(body)


def _context(url: str, ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError as error:
        problem = "holds no PEM certificate"
        raise DownloadFailed(f"{_shown(url)} can't be fetched: {ca_file} {problem}") from error
    except OSError as error:
        problem = f"can't be read ({_strerror(error)})"
        raise DownloadFailed(f"{_shown(url)} can't be fetched: {ca_file} {problem}") from error


def _shown(url: str) -> str:
    return url.partition("?")[0]


def _cause(error: Exception) -> str:
    """What went wrong, without what the server sent, which messages of aiohttp quote."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its TLS certificate is not trusted ({error.certificate_error})"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return f"no TLS connection ({error.os_error})"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection to {error.host}:{error.port}: {_strerror(error.os_error)}"
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.ClientPayloadError):
        return "its answer is not whole and proper HTTP"
    if isinstance(error, aiohttp.InvalidURL):
        return "it is no URL"
    return str(error) or type(error).__name__


def _strerror(error: OSError) -> str:
    """The cause, of which asyncio's own text repeats the address."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
