"""The request that a proxy describes in headers, and what the proxy is told of one that may pass.

nginx, Traefik, Caddy and APISIX ask with a request of their own. It has the client's headers, and
others in which the proxy says which request it is about. A client can send these too, and there is
nothing to tell whose they are: so what is missing, repeated or said in two ways is refused.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from sidecar.authorization.admission import Admission
from sidecar.authorization.client import address_in
from sidecar.authorization.header_names import folded
from sidecar.authorization.http_request import HttpRequest
from sidecar.authorization.policy import Policy
from sidecar.token.reason import Refused

Headers = Mapping[str, tuple[str, ...]]

TARGET_HEADER: Final = "x-forwarded-uri"
"""In the answer: path and query for the upstream, the token taken out. It begins with a slash, so
that behind a host it never becomes part of its name."""
_METHOD: Final = {
    name: re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
    for name in ("x-original-method", "x-forwarded-method")
}
_HOST: Final = {"x-forwarded-host": re.compile(r"[0-9A-Za-z._~%!$&'()*+;=:\[\]-]+")}
_TARGET: Final = {
    name: re.compile(r"/[^\s\x00-\x20\x7f\ufffd]*|\*") for name in ("x-original-uri", TARGET_HEADER)
}
_URL: Final = "x-original-url"
_ORIGINAL_URL: Final = re.compile(r"https?://([^/?#]+)(.*)")
_OF_THE_PROXY: Final = frozenset({"host", "x-forwarded-client-cert"})
"""Headers that are not the client's: the host of this sidecar, and what only Envoy keeps clean."""


class Undescribed(Exception):
    """It can't be told which request is asked about; the message says why, and the remedy."""


def described(headers: Headers) -> HttpRequest:
    """The request that is asked about; `headers` have lower-case names.

    Raises Undescribed unless method, host and URI are there, each said once or twice alike.
    """
    host, target = _original_url(headers)
    return HttpRequest(
        _agreed("method", headers, _METHOD),
        _agreed("host", headers, _HOST, host),
        _agreed("URI", headers, _TARGET, target),
        {name: values for name, values in headers.items() if name not in _OF_THE_PROXY},
        _source_address(headers),
    )


def _agreed(
    what: str, headers: Headers, forms: Mapping[str, re.Pattern[str]], in_url: str | None = None
) -> str:
    """What the headers of these names say, and the URL, if there is one."""
    said = {name: _single(name, headers) for name in forms if name in headers}
    for name, value in said.items():
        if not forms[name].fullmatch(value):
            raise Undescribed(f"{name} is no {what} of a request; the proxy must set it")
    if in_url is not None:
        said[_URL] = in_url
    if not said:
        raise Undescribed(f"the {what} of the request is missing; the proxy must set {_any(forms)}")
    if len(set(said.values())) > 1:
        raise Undescribed(
            f"{' and '.join(said)} disagree on the {what} of the request; the proxy must set one "
            "and remove the other from what the client sent"
        )
    return next(iter(said.values()))


def _original_url(headers: Headers) -> tuple[str | None, str | None]:
    """Host and URI of ingress-nginx's X-Original-URL, None where it is not there."""
    if _URL not in headers:
        return None, None
    url = _ORIGINAL_URL.fullmatch(_single(_URL, headers))
    host, target = url.groups() if url else ("", "")
    (host_form,), target_form = _HOST.values(), _TARGET[TARGET_HEADER]
    if not host_form.fullmatch(host) or not target_form.fullmatch(target):
        raise Undescribed(f"{_URL} is no URL of a request; the proxy must set it")
    return host, target


def _single(name: str, headers: Headers) -> str:
    values = headers[name]
    if len(values) > 1:
        raise Undescribed(
            f"{name} is there more than once; the proxy must replace what the client sent"
        )
    return values[0]


def _any(forms: Mapping[str, re.Pattern[str]]) -> str:
    return " or ".join(forms)


def _source_address(headers: Headers) -> str:
    """The proxy's peer: the last in X-Forwarded-For, to which each proxy adds its own."""
    values = headers.get("x-forwarded-for", ())
    return address_in(values[-1].rpartition(",")[2]) if values else ""


def ensure_changeable(request: HttpRequest, policy: Policy) -> None:
    """Raise Undescribed if the proxy can't be told of a change that a yes would need.

    To be called before anything is decided: a yes uses up a proof or a one-time token.
    """
    try:
        spellings = policy.protected_headers.other_spellings(request.headers)
    except Refused as refused:
        raise Undescribed(refused.message) from refused
    if spellings:
        # Only its hyphenated form is named: a client can make up any number of others, each of
        # which would be logged.
        raise Undescribed(
            f"a header was sent that upstreams may take for {folded(spellings[0])}, as its name "
            "differs only in punctuation, and the proxy can't be told to remove it; remove it there"
        )
    for name in sorted(policy.token_headers):
        if any("\ufffd" in value for value in request.values(name)):
            raise Undescribed(f"header {name} is not in UTF-8, so it can't be sent on; remove it")


def for_upstream(admission: Admission, request: HttpRequest, policy: Policy) -> dict[str, str]:
    """Return the headers of the answer, which the proxy gives the upstream for the client's.

    Of those that are forwarded and those that a token or proof may stand in, each that the upstream
    is to get; the proxy removes the rest of them. `ensure_changeable` holds for the request.
    """
    removed = frozenset(admission.remove_headers)
    headers = dict(admission.set_headers)
    for name in sorted(policy.token_headers - removed - headers.keys()):
        if request.values(name):
            headers[name] = ("; " if name == "cookie" else ", ").join(request.values(name))
    if request.target.startswith("/"):
        headers[TARGET_HEADER] = _without(admission.remove_query_parameters, request.target)
    return headers


def _without(parameters: tuple[str, ...], target: str) -> str:
    path, _, query = target.partition("?")
    if not parameters:
        return target
    rest = "&".join(_kept(parameters, query))
    return f"{path}?{rest}" if rest else path


def _kept(parameters: tuple[str, ...], query: str) -> Iterator[str]:
    # A set, as a client may send thousands of both.
    removed = frozenset(parameters)
    return (pair for pair in query.split("&") if pair.partition("=")[0] not in removed)
