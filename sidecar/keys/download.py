"""Fetching a small JSON document over HTTP, with every bound that a hostile server needs."""

import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urljoin, urlsplit

import aiohttp

from sidecar.keys.answer import Answer, DownloadFailed, Outcome, Validators
from sidecar.keys.caching import lifetime
from sidecar.keys.resolver import Resolver
from sidecar.keys.trust import Trust
from sidecar.token.words import quoted

MOST_REDIRECTS: Final = 3
_LONGEST_VALIDATOR: Final = 1024
_CONTENT: Final = frozenset({"", "application/json", "text/plain", "application/octet-stream"})
"""Beside `+json`: servers of plain files know no better. What is refused is a page for people."""
_CHARSETS: Final = frozenset({"", "utf-8", "utf8", "us-ascii"})
_CACHING: Final = ("cache-control", "expires", "age", "date")


@dataclass(frozen=True, slots=True)
class Access:
    """How a server is reached: the whole time for one document, in seconds, and the rest."""

    seconds: float
    ca_file: Path | None = None
    """Certificates that it is trusted by, instead of the system's."""
    proxy_url: str | None = None
    """None: no proxy, whatever the environment says."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent along. They may be secrets."""


Download = Callable[[str, Access, Validators | None], Awaitable[Answer]]
"""The document at a URL, or word that it is the one of these validators."""


@asynccontextmanager
async def downloader(max_bytes: int, resolver: Resolver | None = None) -> AsyncIterator[Download]:
    """A `Download` of bodies of up to `max_bytes`.

    It raises DownloadFailed for anything but a 200 with a whole body of JSON within the time, or
    a 304 to validators that were sent. Redirects are followed only over HTTPS to the same host
    and port, since the configuration alone says where keys come from. Every document has a
    connection of its own, so certificates are always checked. Messages leave out the query of
    the URL, which may hold a secret.
    """
    trust = Trust()
    connector = aiohttp.TCPConnector(limit=0, force_close=True, resolver=resolver or Resolver())
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"accept": "application/jwk-set+json, application/json"},
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None),
        trust_env=False,
    ) as session:

        async def download(url: str, access: Access, validators: Validators | None) -> Answer:
            shown = _shown(url)
            sent = validators if validators is not None and validators.url == url else None
            try:
                async with asyncio.timeout(access.seconds):
                    return await _follow(session, trust, url, access, sent, max_bytes)
            except TimeoutError as error:
                problem = f"{shown} did not answer within {access.seconds:g} s"
                raise DownloadFailed(problem, Outcome.TIMEOUT) from error
            except (aiohttp.ClientError, OSError, ValueError) as error:
                outcome, cause = _cause(error)
                raise DownloadFailed(f"{shown} can't be fetched: {cause}", outcome) from error

        yield download


async def _follow(
    session: aiohttp.ClientSession,
    trust: Trust,
    url: str,
    access: Access,
    sent: Validators | None,
    max_bytes: int,
) -> Answer:
    asked = url
    for _ in range(1 + MOST_REDIRECTS):
        async with session.get(
            url,
            ssl=_trusted(trust, url, access),
            proxy=access.proxy_url,
            headers={**access.headers, **_conditional(sent)},
            allow_redirects=False,
        ) as response:
            if response.status not in {301, 302, 303, 307, 308}:
                return await _read(response, asked, sent, max_bytes)
            url = _redirected(url, response, asked)
    raise DownloadFailed(
        f"{_shown(asked)} leads through more than {MOST_REDIRECTS} redirects", Outcome.REDIRECT
    )


def _trusted(trust: Trust, url: str, access: Access) -> ssl.SSLContext | bool:
    if not url.lower().startswith("https:"):
        return True
    try:
        return trust.context(access.ca_file)
    except DownloadFailed as error:
        raise DownloadFailed(f"{_shown(url)} can't be fetched: {error}", error.outcome) from error


def _conditional(sent: Validators | None) -> dict[str, str]:
    named = {
        "if-none-match": sent.etag if sent else "",
        "if-modified-since": sent.last_modified if sent else "",
    }
    return {name: value for name, value in named.items() if value}


def _redirected(url: str, response: aiohttp.ClientResponse, asked: str) -> str:
    """Where a redirect leads, if it may be followed."""
    try:
        there = urljoin(url, response.headers.get("location", ""))
        allowed = _origin(there) == ("https", *_origin(url)[1:]) and "@" not in there
    except ValueError:
        allowed = False
    if not allowed:
        raise DownloadFailed(
            f"{_shown(asked)} answers {response.status}, a redirect, which is followed only over "
            "https to the same host and port: configure the URL that it leads to",
            Outcome.REDIRECT,
        )
    return there


def _origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port; raises ValueError where it has none that are proper."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, port


def same_origin(one: str, other: str) -> bool:
    """Whether two URLs have scheme, host and port in common."""
    try:
        return _origin(one) == _origin(other)
    except ValueError:
        return False


async def _read(
    response: aiohttp.ClientResponse, url: str, sent: Validators | None, max_bytes: int
) -> Answer:
    shown = _shown(url)
    headers = {
        name: ", ".join(response.headers.getall(name))
        for name in _CACHING
        if name in response.headers
    }
    fresh = lifetime(headers, time.time())
    if response.status == 304:
        return Answer(None, fresh, _still_valid(response, shown, sent))
    if response.status != 200:
        raise DownloadFailed(f"{shown} answers {response.status}", Outcome.STATUS, response.status)
    _check_content(response, shown)
    body = bytearray()
    async for chunk in response.content.iter_chunked(65536):
        body += chunk
        if len(body) > max_bytes:
            raise DownloadFailed(
                f"{shown} answers with more than limits.keys_bytes, {max_bytes} bytes",
                Outcome.TOO_LARGE,
            )
    return Answer(bytes(body), fresh, _validators(response, url))


def _check_content(response: aiohttp.ClientResponse, shown: str) -> None:
    """JSON is UTF-8 (RFC 8259, section 8.1): read as something else it might say other things."""
    kind, _, parameters = response.headers.get("content-type", "").partition(";")
    kind = kind.strip().lower()
    if kind not in _CONTENT and not kind.endswith("+json"):
        raise DownloadFailed(
            f"{shown} answers with {quoted(kind)} and not with JSON: it may be a page for people",
            Outcome.MALFORMED,
        )
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        charset = value.strip().strip('"').lower()
        if name.strip().lower() == "charset" and charset not in _CHARSETS:
            raise DownloadFailed(
                f"{shown} answers in the charset {quoted(charset)}; JSON is in UTF-8",
                Outcome.MALFORMED,
            )


def _validators(response: aiohttp.ClientResponse, url: str) -> Validators | None:
    found = Validators(
        url,
        _sendable(response.headers.get("etag", "")),
        _sendable(response.headers.get("last-modified", "")),
    )
    return found if found.etag or found.last_modified else None


def _sendable(value: str) -> str:
    proper = len(value) <= _LONGEST_VALIDATOR and value.isascii() and value.isprintable()
    return value if proper else ""


def _still_valid(
    response: aiohttp.ClientResponse, shown: str, sent: Validators | None
) -> Validators:
    """The validators that a 304 confirms: those that were sent."""
    if sent is None:
        raise DownloadFailed(
            f"{shown} answers 304 (not modified) to a request without condition",
            Outcome.STATUS,
            304,
        )
    etag = response.headers.get("etag", "")
    if sent.etag and etag and etag.removeprefix("W/") != sent.etag.removeprefix("W/"):
        raise DownloadFailed(
            f"{shown} answers 304 (not modified) for another version than was asked about",
            Outcome.STATUS,
            304,
        )
    return sent


def _shown(url: str) -> str:
    return url.partition("?")[0]


def _cause(error: Exception) -> tuple[Outcome, str]:
    """What went wrong, without what the server sent, which messages of aiohttp quote."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return Outcome.TLS, f"its TLS certificate is not trusted ({error.certificate_error})"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return Outcome.TLS, f"no TLS connection ({error.os_error})"
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return Outcome.UNREACHABLE, f"no connection to the proxy: {_strerror(error.os_error)}"
    if isinstance(error, aiohttp.ClientConnectorError):
        address = f"{error.host}:{error.port}"
        return Outcome.UNREACHABLE, f"no connection to {address}: {_strerror(error.os_error)}"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return Outcome.UNREACHABLE, f"the proxy answers {error.status}"
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.ClientPayloadError):
        return Outcome.MALFORMED, "its answer is not whole and proper HTTP"
    if isinstance(error, aiohttp.InvalidURL):
        return Outcome.UNREACHABLE, "it is no URL"
    return Outcome.UNREACHABLE, str(error) or type(error).__name__


def _strerror(error: OSError) -> str:
    """The cause, of which asyncio's own text repeats the address."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
