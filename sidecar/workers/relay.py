"""A Unix socket that several processes serve: each connection is handed on to one of them.

No gRPC library takes a socket that another process listens on. So bytes are carried to and fro,
never more of them than a transport holds: who writes faster than the other reads has to wait.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, cast

from sidecar.api.binding import binding, remove_socket
from sidecar.config.addresses import Address

_BACKLOG: Final = 1024


@asynccontextmanager
async def relaying(address: Address, mode: str, targets: Sequence[Address]) -> AsyncIterator[None]:
    """Listens on a Unix socket and hands connections on to these inside the block.

    Raises ListenFailed.
    """
    relay = _Relay(targets)
    listening = socket.socket(socket.AF_UNIX)
    with listening:
        with binding(address, mode):
            listening.bind(address.path)
            listening.listen(_BACKLOG)
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(
            lambda: _Client(relay), sock=listening, backlog=_BACKLOG
        )
        try:
            yield
        finally:
            server.close()
            relay.close()
            remove_socket(address)


class _Target:
    """A worker's own socket."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.connections = 0


class _Relay:
    """Joins each connection with the target that has the fewest."""

    def __init__(self, targets: Sequence[Address]) -> None:
        self._targets = [_Target(one.path) for one in targets]
        self._joining: set[asyncio.Task[None]] = set()
        self.clients: set[_Client] = set()

    def accepted(self, client: "_Client") -> None:
        """Looks for a target that takes it; where none does, it ends at once."""
        self.clients.add(client)
        task = asyncio.create_task(self._join(client))
        self._joining.add(task)
        task.add_done_callback(self._joining.discard)

    def close(self) -> None:
        """Ends all."""
        for task in self._joining:
            task.cancel()
        for client in self.clients:
            client.transport.abort()

    async def _join(self, client: "_Client") -> None:
        loop = asyncio.get_running_loop()
        for target in sorted(self._targets, key=lambda one: one.connections):
            try:
                joined = _connected(target.path)
            except OSError:
                continue
            target.connections += 1
            await loop.create_unix_connection(partial(_Server, client, target), sock=joined)
            self._targets.remove(target)
            self._targets.append(target)  # of those with as many, it is the last one now
            return
        client.transport.close()


def _connected(path: str) -> socket.socket:
    """A connection to a Unix socket, which is there at once or not at all; raises OSError.

    asyncio takes one for made that a listener whose queue is full has not taken.
    """
    connecting = socket.socket(socket.AF_UNIX)
    try:
        connecting.setblocking(False)
        connecting.connect(path)
    except OSError:
        connecting.close()
        raise
    return connecting


class _End(asyncio.Protocol):
    """One end of a connection: what comes in here goes out at the other."""

    transport: asyncio.Transport
    other: "_End"

    def data_received(self, data: bytes) -> None:
        self.other.transport.write(data)

    def pause_writing(self) -> None:
        self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        self.other.transport.resume_reading()


class _Client(_End):
    """The end of who connected; it is read once a worker is there."""

    def __init__(self, relay: _Relay) -> None:
        self._relay = relay

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.pause_reading()
        self._relay.accepted(self)

    def eof_received(self) -> bool:
        """It may wait for an answer all the same."""
        self.other.transport.write_eof()
        return True

    def connection_lost(self, _: Exception | None) -> None:
        self._relay.clients.discard(self)
        if hasattr(self, "other"):
            self.other.transport.close()


class _Server(_End):
    """The end of a worker, which is through when it writes no more."""

    def __init__(self, client: _Client, target: _Target) -> None:
        self.other = client
        self._target = target

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self.other.transport.is_closing():
            self.transport.close()
            return
        self.other.other = self
        self.other.transport.resume_reading()

    def connection_lost(self, _: Exception | None) -> None:
        self._target.connections -= 1
        self.other.transport.close()
