"""Where a Redis is: one server, those that Sentinels watch, or a cluster."""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from pydantic_core import PydanticCustomError

from sidecar.config.addresses import Address
from sidecar.config.section import fault
from sidecar.config.surroundings import Surroundings

SCHEMES: Final = ("redis", "rediss")
FORMS: Final = (
    "redis://HOST:PORT/DB, redis+sentinel://HOST:PORT,HOST:PORT/MASTER/DB or "
    "redis+cluster://HOST:PORT,HOST:PORT, each with rediss for TLS"
)
_DATABASES: Final = 65536
_MASTER: Final = r"[A-Za-z0-9._-]{1,100}"


class Layout(Enum):
    """How it is found."""

    SINGLE = ""
    SENTINEL = "+sentinel"
    CLUSTER = "+cluster"


_PORTS: Final = {Layout.SINGLE: 6379, Layout.SENTINEL: 26379, Layout.CLUSTER: 6379}


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """A Redis, or a Valkey, without what it asks for at the door."""

    layout: Layout
    tls: bool
    nodes: tuple[Address, ...]
    """The server, the Sentinels, or some of the cluster's nodes."""
    master: str = ""
    """What the Sentinels call it; empty without them."""
    database: int = 0

    def __str__(self) -> str:
        """As it is written in the file."""
        nodes = ",".join(str(one) for one in self.nodes)
        scheme = f"{'rediss' if self.tls else 'redis'}{self.layout.value}://"
        path = [part for part in (self.master, str(self.database or "")) if part]
        return "/".join((f"{scheme}{nodes}", *path))


def is_redis(text: str) -> bool:
    """Whether the text is meant to be such a URL."""
    return text.split(":", 1)[0].split("+", 1)[0] in SCHEMES


def parse(text: str, surroundings: Surroundings) -> RedisUrl:
    """The Redis at a URL; raises a fault without its words, a password being among them maybe."""
    if "@" in text:
        raise fault(
            "must hold no user name and no password; remove what stands before the @ and set "
            "username and password beside it"
        )
    found = re.fullmatch(r"(rediss?)(\+sentinel|\+cluster)?://([^/?#]+)(?:/([^?#]*))?", text)
    if found is None:
        raise fault(f"must be {FORMS}; it has another form")
    layout = Layout(found[2] or "")
    nodes = tuple(_node(one, _PORTS[layout], surroundings) for one in found[3].split(","))
    if layout is Layout.SINGLE and len(nodes) > 1:
        raise fault(
            "must name one server; write redis+sentinel:// for servers that Sentinels watch, "
            "redis+cluster:// for a cluster"
        )
    master, database = _path(layout, found[4] or "")
    return RedisUrl(layout, found[1] == "rediss", nodes, master, database)


def _node(text: str, port: int, surroundings: Surroundings) -> Address:
    bare = text.endswith("]") or ":" not in text
    try:
        address = Address.read(f"{text}:{port}" if bare else text, surroundings)
    except PydanticCustomError:
        address = Address()
    if not address.port:
        raise fault(
            "must have host names or IP addresses, IPv6 ones in brackets, each with a port of 1 "
            "to 65535 or none"
        )
    return address


def _path(layout: Layout, path: str) -> tuple[str, int]:
    """Master and database."""
    parts = path.split("/") if path else []
    master = ""
    if layout is Layout.SENTINEL:
        master = parts.pop(0) if parts else ""
        if re.fullmatch(_MASTER, master) is None:
            raise fault(
                "must name the master that the Sentinels watch, as in "
                "redis+sentinel://sentinel-1:26379,sentinel-2:26379/mymaster"
            )
    if layout is Layout.CLUSTER and parts:
        raise fault("must end after the hosts: a cluster has one database and no master's name")
    if not parts:
        return master, 0
    database = parts[0]
    if len(parts) > 1 or not re.fullmatch(r"[0-9]{1,5}", database) or int(database) >= _DATABASES:
        raise fault(f"must end with the number of a database, 0 to {_DATABASES - 1}, or none")
    return master, int(database)
