"""Fetching a small JSON document over HTTP, with every bound that a hostile server needs."""

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urljoin, urlsplit

import aiohttp

from sidecar.keys.answer import Answer, DownloadFailed, Outcome, Validators
from sidecar.keys.resolver import Resolver
from sidecar.keys.response import read, shown
from sidecar.keys.trust import Trust

MOST_REDIRECTS: Final = 3


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


def downloader(max_bytes: int, resolver: Resolver | None = None) -> Download:
    """A `Download` of bodies of up to `max_bytes`.

    It raises DownloadFailed for anything but a 200 with a whole body of JSON within the time, or
    a 304 to validators that were sent. Redirects are followed only over HTTPS to the same host
    and port, since the configuration alone says where keys come from. Every document has a
    connection of its own, so certificates are always checked. Messages leave out the query of
    the URL, which may hold a secret.
    """
    trust = Trust()
    names = resolver or Resolver()

    async def download(url: str, access: Access, validators: Validators | None) -> Answer:
        name = shown(url)
        sent = validators if validators is not None and validators.url == url else None
        try:
            async with asyncio.timeout(access.seconds), _session(names) as session:
                return await _follow(session, trust, url, access, sent, max_bytes)
        except TimeoutError as error:
            problem = f"{name} did not answer within {access.seconds:g} s"
            raise DownloadFailed(problem, Outcome.TIMEOUT) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            outcome, cause = _cause(error)
            raise DownloadFailed(f"{name} can't be fetched: {cause}", outcome) from error

    return download


def _session(resolver: Resolver) -> aiohttp.ClientSession:
    """One for a single document, which so outlives a reload."""
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"accept": "application/jwk-set+json, application/json"},
        connector=aiohttp.TCPConnector(limit=0, force_close=True, resolver=resolver),
        timeout=aiohttp.ClientTimeout(total=None),
        trust_env=False,
    )


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
                return await read(response, asked, sent, max_bytes)
            url = _redirected(url, response, asked)
    raise DownloadFailed(
        f"{shown(asked)} leads through more than {MOST_REDIRECTS} redirects", Outcome.REDIRECT
    )


def _trusted(trust: Trust, url: str, access: Access) -> ssl.SSLContext | bool:
    if not url.lower().startswith("https:"):
        return True
    try:
        return trust.context(access.ca_file)
    except DownloadFailed as error:
        raise DownloadFailed(f"{shown(url)} can't be fetched: {error}", error.outcome) from error


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
            f"{shown(asked)} answers {response.status}, a redirect, which is followed only over "
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
