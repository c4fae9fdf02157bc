"""The URL of an issuer's JWK Set: configured, or found by OpenID Connect Discovery 1.0."""

from collections.abc import Collection
from pathlib import Path
from urllib.parse import urlsplit

from sidecar.keys.download import Download, DownloadFailed
from sidecar.token.strict_json import parse_object
from sidecar.token.words import names, quoted

_DEPTH = 16


def discovery_url(issuer: str) -> str:
    """Where an issuer's discovery document is (OpenID Connect Discovery 1.0, section 4)."""
    return f"{issuer.removesuffix('/')}/.well-known/openid-configuration"


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
    schemes = {"https"} if urlsplit(issuer).scheme == "https" else {"http", "https"}
    if not isinstance(jwks_uri, str) or not _is_url(jwks_uri, schemes):
        raise DownloadFailed(
            f"{url} has the jwks_uri {quoted(jwks_uri)}; it must be a URL with {names(schemes)}"
        )
    return jwks_uri


def _is_url(text: str, schemes: Collection[str]) -> bool:
    """Whether it is a URL with one of these schemes that can stand in a line of the log."""
    try:
        return urlsplit(text).scheme in schemes and text.isascii() and text.isprintable()
    except ValueError:
        return False
