"""How HTTP requests are authorized: where their tokens are, and what is sent on."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from sidecar.config.section import Fault, Many, Matching, Maybe, NotEmpty, Section, Text, fault

_TOKEN: Final = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
_NEVER_SET: Final = re.compile(
    r"authorization|host|content-length|transfer-encoding|connection|x-envoy-.*"
)


def _settable(name: str) -> str:
    if _NEVER_SET.fullmatch(name):
        raise fault(
            f"sets {name}, which steers the proxy or the connection and never comes from a "
            "token; choose another header"
        )
    return name


def one_of_each(headers: object) -> object:
    """Two names that differ in case only are one header."""
    if isinstance(headers, dict):
        for name, count in Counter(str(one).lower() for one in headers).items():
            if count > 1:
                raise fault(f"has header {name} twice: case makes no difference; remove one")
    return headers


HeaderName = Annotated[
    str,
    Matching(_TOKEN, "the name of a header (RFC 9110, section 5.1)"),
    AfterValidator(str.lower),
]
"""In lower case, whatever the file has."""
NewHeader = Annotated[HeaderName, AfterValidator(_settable)]
"""A header that may be set for the upstream."""
NewHeaders = Annotated[dict[NewHeader, Text], BeforeValidator(one_of_each)]


class TokenSource(Section):
    """One place where a request may have its token: a header, a query parameter or a cookie."""

    header: Maybe[HeaderName] = None
    """Name of a header."""
    prefix: Annotated[str, Matching(r"^[\x20-\x7e]*$", 'printable ASCII, such as "Bearer "')] = ""
    """What stands before the token in the header, compared without case."""
    query: Maybe[Text] = None
    """Name of a query parameter."""
    cookie: Maybe[Annotated[str, Matching(_TOKEN, "the name of a cookie (RFC 6265)")]] = None
    """Name of a cookie."""

    def contradictions(self) -> Iterator[Fault]:
        """A source is one place."""
        yield from self.not_exactly_one("header", "query", "cookie")

    def meaningless(self) -> Iterator[tuple[str, str]]:
        """Only headers have something before the token."""
        if self.header is None:
            yield "prefix", "header"


class Forward(Section):
    """What the upstream is told. A client can't set these headers: they are removed first."""

    headers: NewHeaders = Field(default_factory=dict)
    """Header to the path of the claim that it gets."""
    payload_header: Maybe[NewHeader] = None
    """Header that gets the claims set in base64url."""
    consumer_header: Maybe[NewHeader] = None
    """Header that gets the consumer's name."""
    label_headers: NewHeaders = Field(default_factory=dict)
    """Header to the consumer's label that it gets."""
    remove_token: bool = True
    """Whether the token is removed, so that the upstream doesn't see it."""

    def contradictions(self) -> Iterator[Fault]:
        """A header gets one thing."""
        taken: dict[str, str] = {}
        for place, name in self._places():
            if name in taken:
                yield place, f"sets {name}, which {taken[name]} sets already; choose another header"
            taken.setdefault(name, place[0])

    def _places(self) -> Iterator[tuple[tuple[str, ...], str]]:
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


class Authorization(Section):
    """The decision on HTTP requests, for Envoy's ext_authz."""

    token_from: Annotated[Many[TokenSource], NotEmpty] = (
        TokenSource(header="authorization", prefix="Bearer "),
    )
    """Where tokens are looked for."""
    forward: Forward = Forward()
    """What the upstream is told."""
    denied: Denied = Denied()
    """What the client is told."""
    dynamic_metadata: bool = True
    """Whether the claims are there for Envoy's other filters and its access log."""
