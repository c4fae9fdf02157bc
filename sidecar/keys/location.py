"""The URL of an issuer's JWK Set, found by discovery: OpenID Connect Discovery 1.0, RFC 8414."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from sidecar.config.issuers import discovery_url
from sidecar.keys.answer import Answer, DownloadFailed, Outcome
from sidecar.keys.download import Access, Download
from sidecar.keys.response import shown
from sidecar.token.strict_json import parse_object
from sidecar.token.words import names, quoted

SHORTEST: Final = 60.0
LONGEST: Final = 3600.0
"""Seconds between two readings of the document; the latter also where it doesn't say."""
_DEPTH: Final = 16


class Location:
    """Where an issuer's JWK Set is, as its discovery document says.

    The document is read again after the time that it is fresh for, which counts as a minute at
    least and an hour at most, and after `forget`. Runs on the event loop's clock.
    """

    def __init__(self, issuer: str, download: Download, access: Access) -> None:
        self._issuer = issuer
        self._download = download
        self._access = access
        self._url: str | None = None
        self._known_until = 0.0

    async def url(self) -> str:
        """The `jwks_uri`; raises DownloadFailed as `jwks_url`, or where there is no document."""
        loop = asyncio.get_running_loop()
        if self._url is None or loop.time() >= self._known_until:
            url, answer = await self._document()
            self._url = jwks_url(self._issuer, url, answer.body or b"")
            fresh = LONGEST if answer.lifetime is None else answer.lifetime
            self._known_until = loop.time() + min(max(fresh, SHORTEST), LONGEST)
        return self._url

    def forget(self) -> None:
        """The document is read again before the next fetch: the location failed."""
        self._url = None

    async def _document(self) -> tuple[str, Answer]:
        url = discovery_url(self._issuer)
        try:
            return url, await self._download(url, self._access, None)
        except DownloadFailed as error:
            if error.status != 404:
                raise
        other = metadata_url(self._issuer)
        try:
            return other, await self._download(other, self._access, None)
        except DownloadFailed as error:
            raise DownloadFailed(
                f"{url} answers 404; {error}", error.outcome, error.status
            ) from error


def metadata_url(issuer: str) -> str:
    """Where an issuer's metadata is by RFC 8414, section 3.1: its path comes last."""
    parts = urlsplit(issuer)
    root = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server"
    return root + parts.path.removesuffix("/")


def jwks_url(issuer: str, url: str, document: bytes) -> str:
    """The `jwks_uri` of the issuer's document, which was found at `url`.

    Its host may be another than the issuer's. Raises DownloadFailed where the document is
    another issuer's (section 4.3), or where it leads from HTTPS to plain HTTP.
    """
    try:
        members: Mapping[str, Any] = parse_object(document, _DEPTH)
    except ValueError as error:
        problem = f"{url} is no discovery document: {error}"
        raise DownloadFailed(problem, Outcome.MALFORMED) from error
    if members.get("issuer") != issuer:
        raise DownloadFailed(
            f"{url} is of issuer {quoted(members.get('issuer'))}, and {quoted(issuer)} is "
            "configured; they must be equal",
            Outcome.WRONG_ISSUER,
        )
    jwks_uri = members.get("jwks_uri")
    schemes = {"https"} if urlsplit(issuer).scheme == "https" else {"http", "https"}
    if not isinstance(jwks_uri, str) or _scheme(jwks_uri) not in schemes:
        raise DownloadFailed(
            f"{url} has the jwks_uri {_shown(jwks_uri)}; it must be a URL with {names(schemes)}",
            Outcome.MALFORMED,
        )
    return jwks_uri


def _shown(jwks_uri: object) -> str:
    """Without user name, password and query, which may be secrets of the provider's."""
    if isinstance(jwks_uri, str):
        jwks_uri = re.sub(r"//.*@", "//***@", shown(jwks_uri), flags=re.DOTALL)
    return quoted(jwks_uri)


def _scheme(url: str) -> str:
    """The scheme of a URL in lower case, empty where it is none that has a host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    proper = url.isascii() and url.isprintable() and parts.hostname and "@" not in parts.netloc
    return parts.scheme if proper else ""
