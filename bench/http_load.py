"""The load on a proxy: keep-alive connections with one request of HTTP/1.1 at a time on each.

As in `load.py`, a request is bytes that are there before, so that the client is never what there is
to wait for.
"""

import select
import socket
from pathlib import Path
from typing import Final, Self

BODY: Final = b"the upstream's answer"
"""What every answer must end with, which shows that it is whole."""


class Clients:
    """Connections to an HTTP server on a Unix socket."""

    def __init__(self, path: Path, connections: int) -> None:
        self._epoll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        for _ in range(connections):
            one = socket.socket(socket.AF_UNIX)
            one.connect(str(path))
            self._sockets[one.fileno()] = one
            self._epoll.register(one, select.EPOLLIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._epoll.close()
        for one in self._sockets.values():
            one.close()

    def call(self, request: bytes, number: int) -> None:
        """Sends a request so many times; raises RuntimeError where one is not answered by 200."""
        received = dict.fromkeys(self._sockets, b"")
        begun = ended = 0
        for one in list(self._sockets.values())[:number]:
            one.sendall(request)
            begun += 1
        while ended < number:
            for descriptor, _ in self._epoll.poll():
                one = self._sockets[descriptor]
                received[descriptor] += _received(one)
                if not received[descriptor].startswith(b"HTTP/1.1 200 "):
                    raise RuntimeError(f"answered by {received[descriptor][:15]!r}")
                if not received[descriptor].endswith(BODY):
                    continue
                received[descriptor] = b""
                ended += 1
                if begun < number:
                    one.sendall(request)
                    begun += 1


def _received(one: socket.socket) -> bytes:
    data = one.recv(1 << 16)
    if not data:
        raise RuntimeError("the server closed a connection")
    return data
