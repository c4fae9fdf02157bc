"""Where the sidecar listens, and what it serves there."""

from collections.abc import Iterator
from typing import Annotated, Literal

from sidecar.config.addresses import Address
from sidecar.config.section import Fault, Matching, OneOrMore, Section

_Mode = Annotated[
    str, Matching(r"^0?[0-7]{3}$", 'the permissions in octal and in quotes, such as "0660"')
]


class Listener(Section):
    """A gRPC listener. Health checking is always on."""

    address: Address
    """`unix:PATH` or `HOST:PORT`."""
    mode: _Mode = "0660"
    """Permissions of a Unix socket, in octal."""
    services: OneOrMore[Literal["validate", "ext_authz", "issue"]]
    """What it serves: `validate`, `ext_authz`, `issue`."""
    unauthenticated: bool = False
    """Whoever reaches this loopback address may have tokens issued."""
    reflection: bool = True
    """gRPC server reflection."""
    transport: Literal["auto", "grpcio", "native"] = "auto"
    """The server behind it; `auto`: native where it can serve the listener."""

    def contradictions(self) -> Iterator[Fault]:
        """Issuing is for callers that the socket's permissions or the machine keep apart."""
        if "issue" in self.services and not self.address.is_unix:
            if not self.address.is_loopback:
                yield (
                    ("services",),
                    f"issue would let anyone who reaches {self.address} mint tokens; serve it on "
                    "a Unix socket, or on a loopback address with unauthenticated: true",
                )
            elif not self.unauthenticated:
                yield (
                    ("services",),
                    f"issue would let every process that reaches {self.address} mint tokens; "
                    "serve it on a Unix socket, or say unauthenticated: true",
                )

    def meaningless(self) -> Iterator[tuple[str, str]]:
        """A TCP address has no permissions."""
        if not self.address.is_unix:
            yield "mode", "a Unix socket"


class Http(Section):
    """The HTTP listener."""

    address: Address
    """`HOST:PORT` or `unix:PATH`."""
    serve: OneOrMore[Literal["health", "jwks"]] = ("health", "jwks")
    """What it serves: `health` is /livez and /readyz, `jwks` the signers' public keys."""
