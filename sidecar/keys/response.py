"""What is taken of an HTTP answer: JSON of a bounded length, or that nothing was modified."""

import codecs
import time
from typing import Final

import aiohttp

from sidecar.keys.answer import Answer, DownloadFailed, Outcome, Validators
from sidecar.keys.caching import lifetime
from sidecar.token.words import quoted

_LONGEST_VALIDATOR: Final = 1024
_CONTENT: Final = frozenset({"", "application/json", "text/plain", "application/octet-stream"})
"""Beside `+json`: servers of plain files know no better. What is refused is a page for people."""
_PAGES: Final = frozenset({"text/html", "application/xhtml+xml", "text/xml", "application/xml"})
_CHARSETS: Final = frozenset({"", "utf-8", "utf8", "us-ascii"})
_CACHING: Final = ("cache-control", "expires", "age", "date")


def shown(url: str) -> str:
    """The URL as messages have it: its query may hold a secret."""
    return url.partition("?")[0]


async def read(
    response: aiohttp.ClientResponse, url: str, sent: Validators | None, max_bytes: int
) -> Answer:
    """The document, or word that it is the one of the validators that were `sent` to this URL.

    Raises DownloadFailed for any other answer.
    """
    name = shown(url)
    headers = {
        one: ", ".join(response.headers.getall(one)) for one in _CACHING if one in response.headers
    }
    fresh = lifetime(headers, time.time())
    if response.status == 304:
        return Answer(None, fresh, _still_valid(response, name, sent))
    if response.status != 200:
        raise DownloadFailed(f"{name} answers {response.status}", Outcome.STATUS, response.status)
    _check_content(response, name)
    body = bytearray()
    async for chunk in response.content.iter_chunked(65536):
        body += chunk
        if len(body) > max_bytes:
            raise DownloadFailed(
                f"{name} answers with more than limits.keys_bytes, {max_bytes} bytes",
                Outcome.TOO_LARGE,
            )
    return Answer(bytes(body), fresh, _validators(response, url), name)


def _check_content(response: aiohttp.ClientResponse, name: str) -> None:
    """JSON is UTF-8 (RFC 8259, section 8.1): read as something else it might say other things.

    Of the answer only names that are known are quoted: some servers repeat what they were sent.
    """
    kind, _, parameters = response.headers.get("content-type", "").partition(";")
    kind = kind.strip().lower()
    if kind not in _CONTENT and not kind.endswith("+json"):
        came = quoted(kind) if kind in _PAGES else "another content type"
        raise DownloadFailed(
            f"{name} answers with {came} and not with JSON: it may be a page for people",
            Outcome.MALFORMED,
        )
    for parameter in parameters.split(";"):
        attribute, _, value = parameter.partition("=")
        charset = value.strip().strip('"').lower()
        if attribute.strip().lower() == "charset" and charset not in _CHARSETS:
            raise DownloadFailed(
                f"{name} answers in {_charset(charset)}; JSON is in UTF-8", Outcome.MALFORMED
            )


def _charset(name: str) -> str:
    try:
        codecs.lookup(name)
    except (LookupError, ValueError):
        return "a charset that is not known"
    return f"the charset {quoted(name)}"


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
    response: aiohttp.ClientResponse, name: str, sent: Validators | None
) -> Validators:
    """The validators that a 304 confirms: those that were sent."""
    if sent is None:
        raise DownloadFailed(
            f"{name} answers 304 (not modified) to a request without condition",
            Outcome.STATUS,
            304,
        )
    etag = response.headers.get("etag", "")
    if sent.etag and etag and etag.removeprefix("W/") != sent.etag.removeprefix("W/"):
        raise DownloadFailed(
            f"{name} answers 304 (not modified) for another version than was asked about",
            Outcome.STATUS,
            304,
        )
    return sent
