"""What the setting `authorization` says, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sidecar.config import authorization as settings


@dataclass(frozen=True, slots=True)
class HeaderSource:
    """A token in a header, after a prefix that is compared without case."""

    name: str
    """In lower case."""
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class QuerySource:
    """A token in a query parameter."""

    name: str


@dataclass(frozen=True, slots=True)
class CookieSource:
    """A token in a cookie."""

    name: str


Source = HeaderSource | QuerySource | CookieSource
BEARER = HeaderSource("authorization", "Bearer ")


@dataclass(frozen=True, slots=True)
class Forward:
    """What the upstream is told; header names in lower case."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """Header to the path of a claim."""
    payload_header: str = ""
    consumer_header: str = ""
    label_headers: Mapping[str, str] = field(default_factory=dict)
    """Header to the name of a consumer's label."""
    remove_token: bool = True

    @property
    def names(self) -> frozenset[str]:
        """Every header that is set or removed, so that a client can't set it."""
        single = {self.payload_header, self.consumer_header} - {""}
        return frozenset(self.headers) | frozenset(self.label_headers) | single


@dataclass(frozen=True, slots=True)
class Policy:
    """How requests are authorized."""

    token_from: tuple[Source, ...] = (BEARER,)
    forward: Forward = Forward()
    realm: str = "jwt-sidecar"
    json_body: bool = True
    """Whether a denial has a JSON body."""
    dynamic_metadata: bool = True


def policy_of(configured: settings.Authorization | None) -> Policy:
    """The policy that the configuration asks for."""
    if configured is None:
        return Policy()
    forward = configured.forward
    return Policy(
        tuple(_source(one) for one in configured.token_from),
        Forward(
            forward.headers,
            forward.payload_header or "",
            forward.consumer_header or "",
            forward.label_headers,
            forward.remove_token,
        ),
        configured.denied.realm,
        configured.denied.body == "json",
        configured.dynamic_metadata,
    )


def _source(configured: settings.TokenSource) -> Source:
    if configured.header:
        return HeaderSource(configured.header, configured.prefix)
    if configured.query:
        return QuerySource(configured.query)
    return CookieSource(configured.cookie or "")
