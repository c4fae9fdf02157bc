"""Which addresses clients may come from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Self

from sidecar.config.section import Fault, Many, Maybe, NotEmpty, Section, Written, fault
from sidecar.config.surroundings import Surroundings
from sidecar.token.addresses import AddressRules, Networks, Range, network_range
from sidecar.token.words import quoted


@dataclass(frozen=True, slots=True)
class Network(Written):
    """An IP address, or a network in CIDR notation."""

    text: str
    range: Range

    @classmethod
    def read(cls, text: str, surroundings: Surroundings) -> Self:
        """The network in this text; raises a fault."""
        try:
            return cls(text, network_range(text))
        except ValueError as error:
            raise fault(f"{error}; it is the text {quoted(text)}") from None

    def __str__(self) -> str:
        """As it is written in the file."""
        return self.text


class Addresses(Section):
    """Clients' addresses that may come, and those that may not."""

    allow: Maybe[Annotated[Many[Network], NotEmpty]] = None
    """Addresses and networks that may come, and no others; absent: all."""
    deny: Maybe[Annotated[Many[Network], NotEmpty]] = None
    """Those that may not come, whatever is allowed."""

    @property
    def rules(self) -> AddressRules:
        """What they say, as the checks read it."""
        return AddressRules(
            None if self.allow is None else _networks(self.allow), _networks(self.deny or ())
        )

    def contradictions(self) -> Iterator[Fault]:
        """Without either they would say nothing, and yet ask for an address."""
        if self.allow is None and self.deny is None:
            yield (), "has no addresses: add some to allow or to deny, or remove it"


def _networks(networks: tuple[Network, ...]) -> Networks:
    return Networks.of(one.range for one in networks)
