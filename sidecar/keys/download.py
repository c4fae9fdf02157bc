"""Fetching a small JSON document over HTTP, with every bound that a hostile server needs."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urljoin, urlsplit

import aiohttp

from sidecar.keys.answer import Answer, DownloadFailed, Outcome, Validators
from sidecar.keys.connecting import cause, session, trusted
from sidecar.keys.resolver import Resolver
from sidecar.keys.response import read, shown
from sidecar.keys.trust import Trust

MOST_REDIRECTS: Final = 3
_ACCEPTED: Final = "application/jwk-set+json, application/json"


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
            async with asyncio.timeout(access.seconds), session(names, _ACCEPTED) as opened:
                return await _follow(opened, trust, url, access, sent, max_bytes)
        except TimeoutError as error:
            problem = f"{name} did not answer within {access.seconds:g} s"
            raise DownloadFailed(problem, Outcome.TIMEOUT) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            outcome, problem = cause(error)
            raise DownloadFailed(f"{name} can't be fetched: {problem}", outcome) from error

    return download


async def _follow(
    opened: aiohttp.ClientSession,
    trust: Trust,
    url: str,
    access: Access,
    sent: Validators | None,
    max_bytes: int,
) -> Answer:
    asked = url
    for _ in range(1 + MOST_REDIRECTS):
        async with opened.get(
            url,
            ssl=trusted(trust, url, access.ca_file),
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
