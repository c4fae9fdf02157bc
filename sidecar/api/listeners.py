"""All gRPC listeners of a sidecar, and how they change while it runs."""

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sidecar.api.binding import ListenFailed
from sidecar.api.listener import Listener
from sidecar.config.addresses import Address
from sidecar.config.listeners import Listener as ListenerSettings

_RETRY: Final = 0.02
"""Seconds until an address is tried again that an old listener still holds."""
_LATER: Final = 1.0
"""Seconds until one is tried again that somebody else holds."""
_PATIENCE: Final = 1.0
"""Seconds that a change waits for listeners that are opened anew: usually they take a moment."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Open:
    settings: ListenerSettings
    listener: Listener


class Listeners:
    """Listeners that serve, by their settings. `bind` makes one and raises ListenFailed."""

    def __init__(self, bind: Callable[[ListenerSettings], Listener]) -> None:
        self._bind = bind
        self._wanted: tuple[ListenerSettings, ...] = ()
        self._open: tuple[_Open, ...] = ()
        self._bound: tuple[_Open, ...] = ()
        self._draining: dict[asyncio.Task[None], Address] = {}
        self._reopening: tuple[asyncio.Task[None], ...] = ()

    @property
    def all(self) -> tuple[Listener, ...]:
        """Those that serve, in the order of the configuration."""
        return tuple(one.listener for one in self._open)

    async def prepare(self, wanted: Sequence[ListenerSettings]) -> None:
        """Binds what is new; raises ListenFailed, and has then changed nothing.

        An address that a listener of ours has now, with other settings, waits for `change`.
        """
        taken = {*(one.settings.address for one in self._open), *self._draining.values()}
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

    async def retire(self, wanted: Sequence[ListenerSettings], grace: float) -> None:
        """Takes no more calls on those that are not wanted; running ones have so many seconds."""
        await self._end_reopening()
        self._wanted = tuple(wanted)
        gone = [one for one in self._open if one.settings not in wanted]
        self._open = tuple(one for one in self._open if one.settings in wanted)
        for one in gone:
            self._drain(one, grace)
        await asyncio.sleep(0)

    async def change(self, wanted: Sequence[ListenerSettings], grace: float) -> None:
        """Serves on exactly these. Calls on a listener that goes have `grace` seconds to end.

        Those that stay the same keep their connections; whoever connects from now on meets the
        certificates that are on disk. One whose settings changed is closed before its address is
        opened anew, which goes on in the background where it takes long: a call that asks for the
        change may be what holds the address.
        """
        await self.retire(wanted, grace)
        kept, opened, self._bound = self._open, self._bound, ()
        for one in opened:
            await one.listener.server.start()
        self._open = self._in_order((*kept, *opened))
        for one in kept:
            if one.listener.certificates:
                one.listener.certificates.look_again()
        serving = [one.settings for one in self._open]
        missing = [one for one in wanted if one not in serving]
        self._reopening = tuple(asyncio.create_task(self._reopen(one, grace)) for one in missing)
        if self._reopening:
            await asyncio.wait(self._reopening, timeout=_PATIENCE)

    async def stop(self, grace: float) -> None:
        """Ends all; running calls have so many seconds."""
        await self.change((), grace)
        await asyncio.gather(*self._draining, return_exceptions=True)

    def close(self) -> None:
        """Removes what Unix sockets leave behind."""
        for one in (*self._open, *self._bound):
            one.listener.close()

    def _drain(self, one: _Open, grace: float) -> None:
        address = one.settings.address

        async def drain() -> None:
            try:
                await one.listener.server.stop(grace)
            finally:
                if address not in {settings.address for settings in self._wanted}:
                    one.listener.close()

        task = asyncio.create_task(drain(), name=f"drain {one.listener.address}")
        self._draining[task] = address
        task.add_done_callback(self._draining.pop)

    async def _reopen(self, settings: ListenerSettings, grace: float) -> None:
        """Opens an address that another listener of ours is just giving up."""
        loop = asyncio.get_running_loop()
        until, pause = loop.time() + grace + 1.0, _RETRY
        while True:
            await asyncio.sleep(pause)
            if self._is_held(settings.address):
                continue
            try:
                listener = self._bind(settings)
            except ListenFailed as failed:
                if pause == _RETRY and loop.time() >= until:
                    log.error("%s; it is tried again until it can be", failed)
                    pause = _LATER
                continue
            self._open = self._in_order((*self._open, _Open(settings, listener)))
            await listener.server.start()
            return

    def _is_held(self, address: Address) -> bool:
        """Whether an old listener of ours has the file of a Unix socket, which it will remove."""
        held = address.is_unix and address in self._draining.values()
        return held and os.path.exists(address.path)

    async def _end_reopening(self) -> None:
        for task in self._reopening:
            task.cancel()
        await asyncio.gather(*self._reopening, return_exceptions=True)

    def _in_order(self, these: Iterable[_Open]) -> tuple[_Open, ...]:
        return tuple(sorted(these, key=lambda one: self._wanted.index(one.settings)))

    async def _abandon(self, bound: Iterable[_Open]) -> None:
        for one in bound:
            await one.listener.server.stop(0)
            one.listener.close()
