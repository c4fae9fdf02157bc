"""How a server is reached over HTTP: its URL, a proxy, and the headers that it is sent."""

import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

from sidecar.config.headers import HeaderName, one_of_each
from sidecar.config.secrets import Secret
from sidecar.config.section import Fault, Text, fault, faults

PLACEHOLDER: Final = "{sub}"
"""Where the subject stands in a URL."""
_OWN_HEADERS: Final = frozenset(
    {"accept", "accept-encoding", "connection", "content-length", "cookie", "host"}
    | {"if-modified-since", "if-none-match", "proxy-authorization", "te", "transfer-encoding"}
    | {"upgrade"}
)


def wrong_with_url(text: str) -> str | None:
    """What is wrong with it, never quoting it: its password or query may be secret."""
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError:
        return "must be an http or https URL; this one is malformed"
    if url.scheme not in {"http", "https"} or not url.hostname or " " in text:
        return "must be an http or https URL with a host, such as https://example.com/jwks"
    if "@" in url.netloc:
        return "must be a URL without user name and password; headers can hold one"
    if "#" in text:
        return "must be a URL without a fragment (#…), which servers never see"
    return None


def _http_url(text: str) -> str:
    wrong = wrong_with_url(text)
    if wrong is not None:
        raise fault(wrong)
    return text


def _proxy_url(text: str) -> str:
    """As `_http_url`; a connection to the proxy itself is never TLS."""
    wrong = wrong_with_url(text)
    if wrong is not None or urlsplit(text).scheme != "http":
        raise fault(
            "must be the URL of an HTTP proxy without user name and password, such as "
            "http://proxy:3128"
        )
    return text


def _request_header(name: str) -> str:
    if name in _OWN_HEADERS:
        raise fault(f"sets {name}, which the sidecar sends itself; remove it")
    return name


def _sendable(headers: dict[str, Secret]) -> dict[str, Secret]:
    found: list[Fault] = [
        ((name,), "must be printable ASCII, without line ends or spaces around it")
        for name, secret in headers.items()
        if re.fullmatch(rb"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?", secret.material) is None
    ]
    if found:
        raise faults(found)
    return headers


def _masked(url: str) -> str:
    """The URL with `***` for each value in its query, where a secret may be, but for `{sub}`."""
    place, mark, query = url.partition("?")
    return place + mark + "&".join(_masked_pair(pair) for pair in query.split("&") if mark)


def _masked_pair(pair: str) -> str:
    name, sign, value = pair.partition("=") if "=" in pair else ("", "", pair)
    masked = ("***" if part else "" for part in value.split(PLACEHOLDER))
    return name + sign + PLACEHOLDER.join(masked)


HttpUrl = Annotated[
    Text, AfterValidator(_http_url), PlainSerializer(_masked, return_type=str, when_used="json")
]
"""An http or https URL without user name, password and fragment."""
ProxyUrl = Annotated[Text, AfterValidator(_proxy_url)]
"""The URL of an HTTP proxy."""
RequestHeaders = Annotated[
    dict[Annotated[HeaderName, AfterValidator(_request_header)], Secret],
    BeforeValidator(one_of_each),
    AfterValidator(_sendable),
]
"""Name of a header to where its value is."""
