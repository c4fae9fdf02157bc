"""Looking up names so that one that hangs holds up no other."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from threading import Thread
from typing import Any, Final

from aiohttp.abc import AbstractResolver, ResolveResult

MOST: Final = 64
"""Names that are looked up at a time; those that hang beyond their fetch's time count too."""

_Info = tuple[Any, Any, int, str, Any]
Lookup = Callable[[str, int, socket.AddressFamily], Sequence[_Info]]


def _getaddrinfo(host: str, port: int, family: socket.AddressFamily) -> Sequence[_Info]:
    return socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)


class Resolver(AbstractResolver):
    """Looks up each name in a thread of its own; whoever asks for one meanwhile shares it.

    The system's lookup can't be cancelled and may take half a minute. A common pool of threads
    would fill with names that hang; and threads that are waited for would hold up the exit.
    """

    def __init__(self, lookup: Lookup = _getaddrinfo) -> None:
        self._lookup = lookup
        self._running: dict[tuple[str, int, int], asyncio.Future[Sequence[_Info]]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a name; raises OSError where there are none."""
        key = (host, port, int(family))
        if key not in self._running:
            if len(self._running) >= MOST:
                raise OSError(f"{MOST} lookups of other names hang")
            self._running[key] = self._start(key, family)
        infos = await asyncio.shield(self._running[key])
        return [
            ResolveResult(
                hostname=host,
                host=address[0],
                port=port,
                family=family,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for family, _, proto, _, address in infos
        ]

    async def close(self) -> None:
        """Nothing to wait for: what still runs ends with the process."""

    def _start(
        self, key: tuple[str, int, int], family: socket.AddressFamily
    ) -> asyncio.Future[Sequence[_Info]]:
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Sequence[_Info]] = loop.create_future()
        found.add_done_callback(lambda _: self._running.pop(key, None))
        found.add_done_callback(_seen)

        def settle(infos: Sequence[_Info], error: OSError | None) -> None:
            if error is not None:
                found.set_exception(error)
            else:
                found.set_result(infos)

        def look_up() -> None:
            infos: Sequence[_Info] = ()
            error = None
            try:
                infos = self._lookup(key[0], key[1], family)
            except OSError as raised:
                error = raised
            except ValueError:
                error = OSError("it is no name of a host")
            try:
                loop.call_soon_threadsafe(settle, infos, error)
            except RuntimeError:
                return  # the loop is closed: nobody waits any more

        Thread(target=look_up, name="look up a name", daemon=True).start()
        return found


def _seen(found: asyncio.Future[Sequence[_Info]]) -> None:
    """Keeps asyncio from reporting an error that nobody waited for."""
    found.exception()
