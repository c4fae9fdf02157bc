"""Where the sidecar listens, and what it serves there."""

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import AfterValidator

from sidecar.config.addresses import Address
from sidecar.config.section import (
    Fault,
    Many,
    Matching,
    Maybe,
    Name,
    OneOrMore,
    Section,
    distinct,
)
from sidecar.config.signers import Scope
from sidecar.config.tls import Tls

_Mode = Annotated[
    str, Matching(r"^0?[0-7]{3}$", 'the permissions in octal and in quotes, such as "0660"')
]


_GUARDED: Final = {"issue": "mint tokens", "admin": "operate the sidecar"}
"""Services that are not for everybody on a network, and what they let callers do."""


class CallerToken(Section):
    """The token that callers of a listener show, each with every call."""

    issuer: Name
    """Name of the issuer that it must be from."""
    scopes: Many[Scope] = ()
    """What it must grant, all of it."""


class Listener(Section):
    """A gRPC listener. Health checking is always on."""

    address: Address
    """`unix:PATH` or `HOST:PORT`."""
    mode: _Mode = "0660"
    """Permissions of a Unix socket, in octal."""
    services: Annotated[
        Many[Literal["validate", "ext_authz", "issue", "admin"]], AfterValidator(distinct)
    ]
    """What it serves: `validate`, `ext_authz`, `issue`, `admin`. An empty list: health alone."""
    tls: Maybe[Tls] = None
    """TLS; absent: plain text."""
    caller_token: Maybe[CallerToken] = None
    """The token that callers show; absent: none."""
    unauthenticated: bool = False
    """Whoever reaches this loopback address may have tokens issued."""
    reflection: bool = True
    """gRPC server reflection."""
    transport: Literal["auto", "grpcio", "native"] = "auto"
    """The server behind it; `auto`: native where it is installed, but grpcio for ext_authz."""

    @property
    def knows_callers(self) -> bool:
        """Whether callers show who they are, by a certificate or a token."""
        return self.caller_token is not None or bool(self.tls and self.tls.client_ca_file)

    def contradictions(self) -> Iterator[Fault]:
        """Some services are for callers that are known, or kept apart by the machine."""
        if self.tls and self.transport == "native":
            yield ("transport",), "native serves no TLS; write grpcio or auto, or remove tls"
        if self.unauthenticated and self.knows_callers:
            shown = "caller_token" if self.caller_token else "tls.client_ca_file"
            yield ("unauthenticated",), f"contradicts {shown}; remove one of the two"
        elif not self.address.is_unix and not self.knows_callers:
            for service, what in _GUARDED.items():
                if service in self.services:
                    yield from self._for_everybody(service, what)

    def _for_everybody(self, service: str, what: str) -> Iterator[Fault]:
        if not self.address.is_loopback:
            yield (
                ("services",),
                f"{service} would let anyone who reaches {self.address} {what}; add "
                "tls.client_ca_file or caller_token, or serve it on a Unix socket",
            )
        elif not self.unauthenticated:
            yield (
                ("services",),
                f"{service} would let every process that reaches {self.address} {what}; add "
                "tls.client_ca_file or caller_token, serve it on a Unix socket, or say "
                "unauthenticated: true",
            )

    def meaningless(self) -> Iterator[tuple[str, str]]:
        """A TCP address has no permissions, and a Unix socket no name that TLS could check."""
        if self.address.is_unix:
            yield "tls", "a TCP address"
        else:
            yield "mode", "a Unix socket"


class Http(Section):
    """The HTTP listener."""

    address: Address
    """`HOST:PORT` or `unix:PATH`."""
    serve: OneOrMore[Literal["health", "metrics", "jwks", "check", "introspect"]] = (
        "health",
        "metrics",
        "jwks",
    )
    """What it serves: `health` is /livez and /readyz, `jwks` the signers' public keys, `check` the
    decision on HTTP requests, `introspect` what a token says (RFC 7662)."""

    def contradictions(self) -> Iterator[Fault]:
        """RFC 7662, section 2.1: not everybody may ask what a token says."""
        if "introspect" in self.serve and not (self.address.is_unix or self.address.is_loopback):
            yield (
                ("serve",),
                f"introspect would tell anyone who reaches {self.address} what tokens say; serve "
                "it on a loopback address or a Unix socket",
            )
