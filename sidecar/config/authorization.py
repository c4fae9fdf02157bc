"""How HTTP requests are authorized: where their tokens are, and what is sent on."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from sidecar.authorization.header_names import folded
from sidecar.authorization.reachability import find_unreachable
from sidecar.config.headers import TAKEN_FOR_ONE, TOKEN, HeaderName, NewHeader, one_of_each
from sidecar.config.rules import Rule
from sidecar.config.section import Fault, Many, Matching, Maybe, NotEmpty, Section, Text


class TokenSource(Section):
    """One place where a request may have its token: a header, a query parameter or a cookie."""

    header: Maybe[HeaderName] = None
    """Name of a header."""
    prefix: Annotated[str, Matching(r"^[\x20-\x7e]*$", 'printable ASCII, such as "Bearer "')] = ""
    """What stands before the token in the header, compared without case."""
    query: Maybe[Text] = None
    """Name of a query parameter."""
    cookie: Maybe[Annotated[str, Matching(TOKEN, "the name of a cookie (RFC 6265)")]] = None
    """Name of a cookie."""

    def contradictions(self) -> Iterator[Fault]:
        """A source is one place."""
        yield from self.not_exactly_one("header", "query", "cookie")

    def meaningless(self) -> Iterator[tuple[str, str]]:
        """Only headers have something before the token."""
        if self.header is None:
            yield "prefix", "header"


class ForwardedClaim(Section):
    """What a header gets."""

    claim: Text
    """Dotted path of a claim."""
    keys: bool = False
    """Of an object, its names alone: for roles that are kept as an object."""


def _as_forwarded(value: Any) -> Any:
    return {"claim": value} if isinstance(value, str) else value


_Claims = Annotated[
    dict[NewHeader, Annotated[ForwardedClaim, BeforeValidator(_as_forwarded)]],
    BeforeValidator(one_of_each),
]
_Labels = Annotated[dict[NewHeader, Text], BeforeValidator(one_of_each)]


class Forward(Section):
    """What the upstream is told. A client can't set these headers: they are removed first."""

    headers: _Claims = Field(default_factory=dict)
    """Header to the path of the claim that it gets, or to `claim` and `keys`."""
    payload_header: Maybe[NewHeader] = None
    """Header that gets the claims set in base64url."""
    consumer_header: Maybe[NewHeader] = None
    """Header that gets the consumer's name."""
    label_headers: _Labels = Field(default_factory=dict)
    """Header to the consumer's label that it gets."""
    remove_token: bool = True
    """Whether the token is removed, so that the upstream doesn't see it."""

    def contradictions(self) -> Iterator[Fault]:
        """A header gets one thing."""
        taken: dict[str, tuple[str, str]] = {}
        for place, name in self.places():
            setting, other = taken.setdefault(folded(name), (place[0], name))
            if setting == place[0]:
                continue
            if name == other:
                yield place, f"sets {name}, which {setting} sets already; choose another header"
            else:
                yield (
                    place,
                    f"sets {name} and {setting} sets {other}, {TAKEN_FOR_ONE}; choose another "
                    "header",
                )

    def places(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Where each header is named, and its name."""
        for name in self.headers:
            yield ("headers", name), name
        for place, header in (
            ("payload_header", self.payload_header),
            ("consumer_header", self.consumer_header),
        ):
            if header is not None:
                yield (place,), header
        for name in self.label_headers:
            yield ("label_headers", name), name


class Denied(Section):
    """What a client is told when its request may not pass."""

    realm: Annotated[
        str,
        Matching(
            r"^[\x20\x21\x23-\x5b\x5d-\x7e]+$",
            "printable ASCII without quotes and backslashes",
        ),
    ] = "jwt-sidecar"
    """`realm` in `WWW-Authenticate`."""
    body: Literal["json", "none"] = "json"
    """Whether the answer has a body that says why."""
    details: Maybe[Literal["full", "reason", "none"]] = None
    """How much it says about why. Absent: `full` to clients of a listener on a loopback address or
    a Unix socket, `reason` to all others."""


class ClientAddress(Section):
    """Where the client's address is taken from."""

    trusted_hops: Annotated[int, Field(ge=0, le=100)] = 0
    """Which entry of `x-forwarded-for`, from the right; 0: none, but the address of the peer."""


class Paths(Section):
    """How paths are read that servers read differently."""

    parameters: Literal["refuse", "strip", "keep"] = "refuse"
    """What `;` in a segment means to the upstream: `strip`, nothing from it on is part of the name;
    `keep`, it is a character; `refuse`, unknown, so a path is refused if it makes a difference."""


class Authorization(Section):
    """The decision on HTTP requests, for Envoy's ext_authz and every other proxy."""

    token_from: Annotated[Many[TokenSource], NotEmpty] = (
        TokenSource(header="authorization", prefix="Bearer "),
    )
    """Where tokens are looked for."""
    rules: Many[Rule] = ()
    """What requests need; the first that matches decides. None matches: any good token."""
    paths: Paths = Paths()
    """How paths are read that servers read differently."""
    forward: Forward = Forward()
    """What the upstream is told."""
    denied: Denied = Denied()
    """What the client is told."""
    dynamic_metadata: bool = True
    """Whether the claims are there for Envoy's other filters and its access log."""
    on_outage: Literal["deny", "error"] = "deny"
    """Where keys or state can't be had that a decision needs: `deny` answers 503; `error` fails the
    call, so that Envoy's `failure_mode_allow` decides."""
    client_address: ClientAddress = ClientAddress()
    """Where the client's address is taken from."""
    client_certificate: Literal["source", "x-forwarded-client-cert"] = "source"
    """Where the client's certificate is taken from; the header also, where the proxy sets it."""

    def contradictions(self) -> Iterator[Fault]:
        """Find rules that are never reached, and headers that are set and may hold a token."""
        yield from self._unreachable_rules()
        yield from self._ambiguous_headers()

    def _unreachable_rules(self) -> Iterator[Fault]:
        for found in find_unreachable(rule.match.to_match() for rule in self.rules):
            rule, earlier = self.rules[found.rule], self.rules[found.hidden_by]
            if rule.name and "match" not in rule.model_fields_set:
                continue  # a route of the proxy names it
            place: tuple[str | int, ...] = ("rules", found.rule, "match")
            if found.path is not None:
                kind = "path" if rule.match.path else "path_prefix"
                place = (*place, kind, found.path)
            called = f" ({earlier.name})" if earlier.name else ""
            yield (
                place,
                f"is never reached: authorization.rules[{found.hidden_by}]{called} and the rules "
                "before it match every request that it does; put it before them or remove it",
            )

    def _ambiguous_headers(self) -> Iterator[Fault]:
        sources = [one.header for one in self.token_from if one.header]
        for place, name in self.forward.places():
            for source in sources:
                if source != name and folded(source) == folded(name):
                    yield (
                        ("forward", *place),
                        f"sets {name} and token_from has {source}, {TAKEN_FOR_ONE}; choose "
                        "another header",
                    )
