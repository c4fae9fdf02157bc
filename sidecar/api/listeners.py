"""All gRPC listeners of a sidecar, and how they change while it runs."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sidecar.api.listener import Listener, ListenFailed
from sidecar.config.listeners import Listener as ListenerSettings

_RETRY: Final = 0.02
"""Seconds until an address is tried again that an old listener still holds."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Open:
    settings: ListenerSettings
    listener: Listener


class Listeners:
    """Listeners that serve, by their settings. `bind` makes one and raises ListenFailed."""

    def __init__(self, bind: Callable[[ListenerSettings], Listener]) -> None:
        self._bind = bind
        self._open: tuple[_Open, ...] = ()
        self._bound: tuple[_Open, ...] = ()
        self._draining: set[asyncio.Task[None]] = set()

    @property
    def all(self) -> tuple[Listener, ...]:
        """Those that serve, in the order of the configuration."""
        return tuple(one.listener for one in self._open)

    async def prepare(self, wanted: Sequence[ListenerSettings]) -> None:
        """Binds what is new; raises ListenFailed, and has then changed nothing.

        An address that a listener serves now, with other settings, waits for `change`.
        """
        taken = {one.settings.address for one in self._open}
        serving = [one.settings for one in self._open]
        bound: list[_Open] = []
        try:
            for settings in wanted:
                if settings not in serving and settings.address not in taken:
                    bound.append(_Open(settings, self._bind(settings)))
        except ListenFailed:
            await self._abandon(bound)
            raise
        self._bound = tuple(bound)

    async def abandon(self) -> None:
        """Gives up what was prepared."""
        await self._abandon(self._bound)
        self._bound = ()

    async def change(self, wanted: Sequence[ListenerSettings], grace: float) -> None:
        """Serves on exactly these. Calls on a listener that goes have `grace` seconds to end.

        Those that stay the same keep their connections. One whose settings changed is closed
        before its address is opened anew. Raises ListenFailed where that fails.
        """
        kept = [one for one in self._open if one.settings in wanted]
        gone = [one for one in self._open if one.settings not in wanted]
        opened, self._bound = self._bound, ()
        for one in opened:
            await one.listener.server.start()
        self._open = _in_order((*kept, *opened), wanted)
        for one in gone:
            self._drain(one, grace, wanted)
        missing = [one for one in wanted if one not in [it.settings for it in self._open]]
        for settings in missing:
            listener = await self._rebound(settings, grace)
            await listener.server.start()
            self._open = _in_order((*self._open, _Open(settings, listener)), wanted)

    async def stop(self, grace: float) -> None:
        """Ends all; running calls have so many seconds."""
        await self.change((), grace)
        await asyncio.gather(*self._draining, return_exceptions=True)

    def close(self) -> None:
        """Removes what Unix sockets leave behind."""
        for one in (*self._open, *self._bound):
            one.listener.close()

    def _drain(self, one: _Open, grace: float, wanted: Iterable[ListenerSettings]) -> None:
        reused = one.settings.address in {settings.address for settings in wanted}

        async def drain() -> None:
            await one.listener.server.stop(grace)
            if not reused:
                one.listener.close()

        task = asyncio.create_task(drain(), name=f"drain {one.listener.address}")
        self._draining.add(task)
        task.add_done_callback(self._draining.discard)

    async def _rebound(self, settings: ListenerSettings, grace: float) -> Listener:
        """A listener where another one is just closing: native keeps the address until it has."""
        loop = asyncio.get_running_loop()
        until = loop.time() + grace + 1.0
        while True:
            await asyncio.sleep(_RETRY)
            try:
                return self._bind(settings)
            except ListenFailed:
                if loop.time() >= until:
                    raise

    async def _abandon(self, bound: Iterable[_Open]) -> None:
        for one in bound:
            await one.listener.server.stop(0)
            one.listener.close()


def _in_order(these: Iterable[_Open], wanted: Sequence[ListenerSettings]) -> tuple[_Open, ...]:
    return tuple(sorted(these, key=lambda one: wanted.index(one.settings)))
