"""Addresses that the sidecar listens on."""

import ipaddress
import os
import re
from dataclasses import dataclass
from typing import Final, Self

from sidecar.config.section import Written, came, fault
from sidecar.config.surroundings import Surroundings

MOST_PATH_BYTES: Final = 107
"""The path of a Unix socket and its closing zero byte must fit into 108 (unix(7))."""
_LABEL: Final = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
_FORMS: Final = "unix:PATH or HOST:PORT"


@dataclass(frozen=True, slots=True)
class Address(Written):
    """`unix:PATH`, or `HOST:PORT` with a name, an IPv4 or a bracketed IPv6 address."""

    path: str = ""
    """Absolute path of a Unix socket; empty for TCP."""
    host: str = ""
    """Without brackets; empty for a Unix socket."""
    port: int = 0
    """0 lets the system choose one."""

    @classmethod
    def read(cls, text: str, surroundings: Surroundings) -> Self:
        """The address in this text; raises a fault."""
        if text.startswith("unix:"):
            return cls(path=_socket_path(text.removeprefix("unix:"), surroundings))
        host, colon, port = text.rpartition(":")
        if not colon or re.fullmatch(r"[0-9]{1,5}", port) is None or int(port) > 65535:
            raise fault(f"must be {_FORMS}, with a port of 0 to 65535; it is {came(text)}")
        return cls(host=_host(host, text), port=int(port))

    @property
    def is_unix(self) -> bool:
        """Whether it is a Unix socket."""
        return bool(self.path)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it over TCP: 127.0.0.0/8, ::1 and localhost."""
        if self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        return self.is_unix or self.is_loopback

    def __str__(self) -> str:
        """As it is written in the file, and as gRPC takes it."""
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _socket_path(path: str, surroundings: Surroundings) -> str:
    if not path or path.endswith("/") or "\0" in path:
        raise fault("must name a file after unix:, such as unix:/run/jwt-sidecar.sock")
    if path.startswith("//") and not path.startswith("///"):
        raise fault(
            f"must be unix:{path[2:]}, which is beside this file, or unix:{path[1:]}; gRPC's "
            "libraries read two slashes in different ways"
        )
    if path.startswith("///"):
        path = path[2:]
    absolute = os.path.normpath(surroundings.absolute(path))
    size = len(os.fsencode(absolute))
    if size > MOST_PATH_BYTES:
        raise fault(
            f"the path of a Unix socket may have {MOST_PATH_BYTES} bytes; "
            f"{absolute} has {size}: choose a shorter one"
        )
    return absolute


def _host(host: str, text: str) -> str:
    try:
        if host.startswith("[") and host.endswith("]"):
            return str(ipaddress.IPv6Address(host[1:-1]))
        if re.fullmatch(r"[0-9.]+", host):
            return str(ipaddress.IPv4Address(host))
    except ValueError:
        raise fault(f"has no valid IP address before the port; it is {came(text)}") from None
    if ":" in host:
        raise fault(f"must have an IPv6 address in brackets, as [::1]:9191; it is {came(text)}")
    if len(host) > 253 or _HOST_NAME.fullmatch(host) is None:
        remedy = "for every interface write 0.0.0.0 or [::]"
        raise fault(f"must have a host name or IP address before the port; {remedy}")
    return host
