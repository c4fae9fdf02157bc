"""Sets of IP networks, and whether a client's address may come with a token.

An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`, RFC 4291, section 2.5.5.2) is the IPv4 address
that it holds, in an address and in a network alike.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from sidecar.token.words import quoted

_IPV4: Final = 1 << 128
"""Numbers of IPv4 addresses are behind those of IPv6: `::/0` has none of them in it."""
_MAPPED: Final = IPv6Network("::ffff:0:0/96")

Range = tuple[int, int]
"""The number of a first address, and the one behind the last."""


def address_number(text: str) -> int:
    """The number of an address, the same for all spellings of it.

    The zone of an IPv6 address (`%eth0`) does not count: it says where the address is reached
    from here, and no list can name it. Raises ValueError unless the text is an address.
    """
    address = ip_address(text)
    if isinstance(address, IPv4Address):
        return _IPV4 | int(address)
    mapped = address.ipv4_mapped
    return int(address) if mapped is None else _IPV4 | int(mapped)


def network_range(text: str) -> Range:
    """The addresses of a network in CIDR notation, or the one that the text is.

    Raises ValueError, saying what was expected, for anything else, for a network that is written
    with the address of a host, and for a zone.
    """
    host, slash, prefix = text.partition("/")
    # What `ipaddress` takes beside a length, such as 0.0.0.255, is read in two ways.
    if (slash and (not prefix.isdecimal() or str(int(prefix)) != prefix)) or "%" in host:
        raise ValueError(_expected())
    try:
        network = ip_network(text, strict=False)
        written = ip_address(host)
    except ValueError:
        raise ValueError(_expected()) from None
    if written != network.network_address:
        raise ValueError(
            f"must have no bits set behind the first {prefix}: write {network} for the network, or "
            f"{host} for the one address"
        )
    return _range(network)


def _range(network: IPv4Network | IPv6Network) -> Range:
    if isinstance(network, IPv4Network):
        first = _IPV4 | int(network.network_address)
    elif network.subnet_of(_MAPPED):
        first = _IPV4 | int(network.network_address) & 0xFFFFFFFF
    else:
        first = int(network.network_address)
    return first, first + network.num_addresses


def _expected() -> str:
    return (
        "must be an IP address or a network in CIDR notation, such as 10.0.0.0/8 or 2001:db8::/32"
    )


@dataclass(frozen=True, slots=True)
class Networks:
    """A set of addresses, in which a look-up costs the same for one network and for thousands."""

    bounds: tuple[int, ...] = ()
    """In order: where addresses of the set begin, where they end, where they begin again."""

    @classmethod
    def of(cls, ranges: Iterable[Range]) -> "Networks":
        """All addresses of these ranges, which may overlap."""
        bounds: list[int] = []
        for first, behind in sorted(ranges):
            if bounds and first <= bounds[-1]:
                bounds[-1] = max(bounds[-1], behind)
            else:
                bounds += (first, behind)
        return cls(tuple(bounds))

    def __contains__(self, number: int) -> bool:
        """Whether the address of this number is in the set."""
        return bisect_right(self.bounds, number) % 2 == 1


@dataclass(frozen=True, slots=True)
class AddressRules:
    """Which clients' addresses may come."""

    allow: Networks | None = None
    """No others; None: any."""
    deny: Networks = Networks()
    """Not these, whatever is allowed."""

    def problem(self, address: str) -> str | None:
        """Why a client of this address, empty where it is not known, may not come.

        None where it may. Where no address is known, or what came is none, nobody may.
        """
        if not address:
            return "the client's address is not known"
        try:
            number = address_number(address)
        except ValueError:
            return "what was given as the client's address is none"
        if number in self.deny:
            return f"client address {quoted(address)} is denied"
        if self.allow is not None and number not in self.allow:
            return f"client address {quoted(address)} is not among those allowed"
        return None
