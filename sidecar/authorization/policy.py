"""What the setting `authorization` says, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from sidecar.authorization.denial import Details
from sidecar.authorization.header_names import ProtectedHeaders
from sidecar.authorization.path import Parameters
from sidecar.authorization.rules import Rules

_SCHEMES: Final = ("bearer ", "dpop ")


@dataclass(frozen=True)
class HeaderSource:
    """A token in a header, after a prefix that is compared without case."""

    name: str
    """In lower case."""
    prefix: str = ""

    @cached_property
    def prefixes(self) -> tuple[str, ...]:
        """All that a token may stand behind, in lower case: where it may be Bearer, also DPoP."""
        prefix = self.prefix.lower()
        if (self.name, prefix) == ("authorization", "bearer "):
            return _SCHEMES
        return (prefix,)


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
PROOF_HEADER: Final = "dpop"
"""Has the DPoP proof that comes with a token (RFC 9449, section 4.1)."""


@dataclass(frozen=True, slots=True)
class ForwardedClaim:
    """What a header gets."""

    path: str
    """Of a claim."""
    keys: bool = False
    """Of an object, its names alone."""


@dataclass(frozen=True)
class Forward:
    """What the upstream is told; header names in lower case."""

    headers: Mapping[str, ForwardedClaim] = field(default_factory=dict)
    payload_header: str = ""
    consumer_header: str = ""
    label_headers: Mapping[str, str] = field(default_factory=dict)
    """Header to the name of a consumer's label."""
    remove_token: bool = True

    @cached_property
    def names(self) -> frozenset[str]:
        """Every header that is set or removed, so that a client can't set it."""
        single = {self.payload_header, self.consumer_header} - {""}
        return frozenset(self.headers) | frozenset(self.label_headers) | single


@dataclass(frozen=True, slots=True)
class Policy:
    """How requests are authorized."""

    token_from: tuple[Source, ...] = (BEARER,)
    rules: Rules = field(default_factory=Rules)
    forward: Forward = Forward()
    realm: str = "jwt-sidecar"
    json_body: bool = True
    """Whether a denial has a JSON body."""
    details: Details = Details.FULL
    """How much a denial says."""
    dynamic_metadata: bool = True
    fails_on_outage: bool = False
    """Whether an outage fails the call, so that the proxy decides, and is no denial."""
    trusted_hops: int = 0
    """How many entries of `x-forwarded-for`, from the right, trusted proxies have added."""
    certificate_header_trusted: bool = False
    """Whether `x-forwarded-client-cert` is the proxy's own word."""
    path_parameters: Parameters = Parameters.REFUSE
    """What `;` in a path means to the upstream."""
    mark: object = field(default_factory=object, init=False, repr=False, compare=False)
    """Its own: what was answered by this policy is known by it."""
    token_headers: frozenset[str] = field(init=False, repr=False, compare=False)
    """The headers that a token or its proof may stand in, in lower case."""
    protected_headers: ProtectedHeaders = field(init=False, repr=False, compare=False)
    """The headers that the upstream may trust or take a token from."""

    def __post_init__(self) -> None:
        token_headers = _token_headers(self.token_from)
        object.__setattr__(self, "token_headers", token_headers)
        protected = ProtectedHeaders(self.forward.names | token_headers)
        object.__setattr__(self, "protected_headers", protected)


@dataclass(frozen=True, slots=True)
class Policies:
    """One policy, as it holds for requests through two kinds of listeners."""

    local: Policy
    """For loopback addresses and Unix sockets."""
    network: Policy
    """For every other address."""

    def at(self, is_local: bool) -> Policy:
        """Return the policy of a listener."""
        return self.local if is_local else self.network


def _token_headers(sources: tuple[Source, ...]) -> frozenset[str]:
    names = {one.name for one in sources if isinstance(one, HeaderSource)}
    if any(isinstance(one, CookieSource) for one in sources):
        names.add("cookie")
    return frozenset(names | {PROOF_HEADER})
