"""Connections to servers over HTTP, and what went wrong with one."""

import os
import ssl
from pathlib import Path

import aiohttp

from sidecar.keys.answer import DownloadFailed, Outcome
from sidecar.keys.resolver import Resolver
from sidecar.keys.response import shown
from sidecar.keys.trust import Trust
from sidecar.tls_client import why_untrusted


def session(resolver: Resolver, accept: str, connections: int = 0) -> aiohttp.ClientSession:
    """One that keeps no cookies, and asks the environment nothing.

    It keeps so many connections open for the next request; 0: each request has one of its own,
    so that certificates are always checked.
    """
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"accept": accept},
        connector=aiohttp.TCPConnector(
            limit=connections, force_close=not connections, resolver=resolver
        ),
        timeout=aiohttp.ClientTimeout(total=None),
        trust_env=False,
    )


def trusted(trust: Trust, url: str, ca_file: Path | None) -> ssl.SSLContext | bool:
    """What the server of a URL is trusted by; raises DownloadFailed where that can't be read."""
    if not url.lower().startswith("https:"):
        return True
    try:
        return trust.context(ca_file)
    except DownloadFailed as error:
        raise DownloadFailed(f"{shown(url)} can't be fetched: {error}", error.outcome) from error


def cause(error: Exception) -> tuple[Outcome, str]:
    """What went wrong, without what the server sent, which messages of aiohttp quote."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return Outcome.TLS, f"its TLS certificate is not trusted ({_why_untrusted(error)})"
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


def _why_untrusted(error: aiohttp.ClientConnectorCertificateError) -> str:
    found = error.certificate_error
    # It is CertificateError of the ssl module, which has been another name for this since 3.7.
    return why_untrusted(found) if isinstance(found, ssl.SSLCertVerificationError) else str(found)


def _strerror(error: OSError) -> str:
    """The cause, of which asyncio's own text repeats the address."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
