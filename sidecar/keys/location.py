"""The URL of an issuer's JWK Set: configured, or found by OpenID Connect Discovery 1.0."""

from pathlib import Path
from urllib.parse import urlsplit

from sidecar.config.issuers import discovery_url
from sidecar.keys.download import Download, DownloadFailed
from sidecar.token.strict_json import parse_object
from sidecar.token.words import names, quoted

_DEPTH = 16


async def discover_jwks_url(
    issuer: str, download: Download, seconds: float, ca_file: Path | None
) -> str:
    """The `jwks_uri` of the issuer's discovery document.

    Raises DownloadFailed where there is none, where the document is another issuer's
    (section 4.3), or where it leads from HTTPS to plain HTTP.
    """
    url = discovery_url(issuer)
    try:
        document = parse_object(await download(url, seconds, ca_file), _DEPTH)
    except ValueError as error:
        raise DownloadFailed(f"{url} is no discovery document: {error}") from error
    if document.get("issuer") != issuer:
        raise DownloadFailed(
            f"{url} is of issuer {quoted(document.get('issuer'))}, and {quoted(issuer)} is "
            "configured; they must be equal"
        )
    jwks_uri = document.get("jwks_uri")
    schemes = {"https"} if _scheme(issuer) == "https" else {"http", "https"}
    if not isinstance(jwks_uri, str) or _scheme(jwks_uri) not in schemes:
        raise DownloadFailed(
            f"{url} has the jwks_uri {quoted(jwks_uri)}; it must be a URL with {names(schemes)}"
        )
    return jwks_uri


def _scheme(url: str) -> str:
    """The scheme of a URL in lower case, empty where it is none or no part of one line."""
    try:
        return urlsplit(url).scheme if url.isascii() and url.isprintable() else ""
    except ValueError:
        return ""
