"""An HTTP request as a proxy describes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

MOST_HEADER_BYTES: Final = 64 * 1024
"""Of all headers of a request together; Envoy takes 60 KiB."""
_NONE: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """The request line and headers of a request whose passage is asked for."""

    method: str = ""
    host: str = ""
    target: str = field(default="", repr=False)
    """Path and query as the client sent them."""
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    """By lower-case name: the values in order, of which a proxy may have joined some."""
    source_address: str = ""
    """IP address of the proxy's peer, without a port; empty where it is not known or has none."""
    scheme: str = ""
    """Of the request itself, such as `https`; empty where it is not known."""
    source_certificate: str = field(default="", repr=False)
    """The peer's certificate in PEM, encoded for a URL; empty where it has shown none."""
    source_principal: str = ""
    """The first name of the peer's certificate; empty where it has shown none."""
    client_certificate_names: tuple[str, ...] = ()
    """The subject alternative names of the peer's certificate."""
    rule: str = ""
    """Name of the rule that the proxy's route names; empty: the one that matches."""

    def values(self, name: str) -> tuple[str, ...]:
        """All values of a header, by its lower-case name."""
        return self.headers.get(name, _NONE)

    @property
    def query(self) -> str:
        """The query of the target, empty where it has none."""
        return self.target.partition("#")[0].partition("?")[2]
