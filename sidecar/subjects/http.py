"""A service that is asked over HTTP whether a user exists: its status is the answer."""

import re
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import aiohttp
from yarl import URL

from sidecar.config.http_access import PLACEHOLDER
from sidecar.config.subjects import HttpDirectory
from sidecar.keys.answer import DownloadFailed
from sidecar.keys.connecting import cause, session, trusted
from sidecar.keys.resolver import Resolver
from sidecar.keys.trust import Trust
from sidecar.subjects.directory import AT_ONCE, Found, NoAnswer
from sidecar.token.subject import Standing

_MOST_BODY: Final = 64 * 1024
"""Bytes of an answer that are read, so that its connection serves again; they say nothing."""
_OF_THE_SUBJECT: Final = frozenset({400, 404, 414})
"""Nobody is called that, or can be. As an outage, one user with an odd name would be one for all:
after a few such answers in a row a directory is spared."""
_DOTS: Final = frozenset({".", ".."})


class HttpSource:
    """Asks with connections that stay open. Redirects are an outage: they are never followed."""

    def __init__(self, settings: HttpDirectory) -> None:
        headers = settings.headers.items()
        self._url = settings.url
        self._in_path = PLACEHOLDER in urlsplit(settings.url).path
        self._headers = {name: secret.material.decode("ascii") for name, secret in headers}
        self._ca_file = Path(settings.ca_file.path) if settings.ca_file else None
        self._proxy_url = settings.proxy_url
        self._trust = Trust()
        self._session = session(Resolver(), "application/json, */*", AT_ONCE)

    async def look_up(self, subject: str) -> Found:
        """What its status says; raises NoAnswer for any but 2xx, 400, 403, 404, 410 and 414."""
        if self._in_path and not _DOTS.isdisjoint(re.split(r"[/\\]", subject)):
            # Servers resolve %2E and %2F before they look: it would be another user's path.
            return Found(Standing.UNKNOWN)
        url = self._url.replace(PLACEHOLDER, quote(subject, safe=""))
        try:
            async with self._session.get(
                URL(url, encoded=True),
                ssl=trusted(self._trust, url, self._ca_file),
                proxy=self._proxy_url,
                headers=self._headers,
                allow_redirects=False,
            ) as response:
                await _drain(response)
                return _found(response.status)
        except DownloadFailed as error:
            raise NoAnswer("no TLS connection", str(error)) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NoAnswer("it can't be reached", cause(error)[1]) from error

    async def close(self) -> None:
        """Closes its connections."""
        await self._session.close()


async def _drain(response: aiohttp.ClientResponse) -> None:
    read = 0
    async for chunk in response.content.iter_chunked(_MOST_BODY):
        read += len(chunk)
        if read > _MOST_BODY:
            return


def _found(status: int) -> Found:
    if 200 <= status < 300:
        return Found(Standing.EXISTS)
    if status in _OF_THE_SUBJECT:
        return Found(Standing.UNKNOWN)
    if status in {403, 410}:
        return Found(Standing.DISABLED, f"it answers {status}")
    redirect = ", a redirect, which is not followed" if 300 <= status < 400 else ""
    raise NoAnswer(f"it answers {status}{redirect}")
