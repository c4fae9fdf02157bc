"""The address of the client behind an HTTP request."""

import re
from ipaddress import ip_address
from typing import Final

from sidecar.authorization.http_request import HttpRequest

_WITH_PORT: Final = re.compile(
    r"\[(?P<six>[^\[\]]*)\](?::[0-9]{1,5})?|(?P<four>[0-9.]+):[0-9]{1,5}"
)


def client_address(request: HttpRequest, trusted_hops: int) -> str:
    """The client's address, empty where it can't be told.

    With 0 hops it is that of the proxy's peer, and no header counts. With N it is the Nth entry of
    `x-forwarded-for` from the right: each of N trusted proxies has added one, so what stands before
    it is the client's own word. Fewer entries are none, and so is an entry of a trusted proxy that
    is no address.
    """
    if not trusted_hops:
        return request.source_address
    entries = ",".join(request.values("x-forwarded-for")).rsplit(",", trusted_hops)
    if len(entries) < trusted_hops:
        return ""
    trusted = [address_in(one) for one in entries[-trusted_hops:]]
    return trusted[0] if all(trusted) else ""


def address_in(entry: str) -> str:
    """The address in an entry, which may have a port or brackets; empty where it has none."""
    entry = entry.strip(" \t")
    with_port = _WITH_PORT.fullmatch(entry)
    text = (with_port["six"] or with_port["four"] or "") if with_port else entry
    try:
        address = ip_address(text)
    except ValueError:
        return ""
    if with_port and with_port["six"] and address.version != 6:
        return ""
    return text
