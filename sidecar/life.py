"""The life of the process: from its start to SIGTERM, and how it ends."""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeAlias

from sidecar.serve import Sidecar, first
from sidecar.token.words import duration

_SWITCH: Final = 0.0005
"""Seconds after which a thread that runs gives way to one that waits. Calls come in by threads of
the gRPC library: with Python's default, 5 ms, one about a known token would wait so long to be let
in while the event loop verifies others."""

log = logging.getLogger(__name__)

Handlers: TypeAlias = Mapping[signal.Signals, Callable[[], None]]


class _Signals:
    """What signals have asked for so far; SIGHUP has the configuration read again."""

    def __init__(self, sidecar: Sidecar) -> None:
        self.stop = asyncio.Event()
        """The sidecar is to end."""
        self.at_once = False
        """Without `shutdown.drain`: whoever presses Ctrl-C waits."""
        self.hurry = asyncio.Event()
        """A second one came: running calls end too."""
        self._sidecar = sidecar
        self._reloads: set[asyncio.Task[None]] = set()

    @property
    def handlers(self) -> Handlers:
        """What each signal calls."""
        stops = {one: partial(self._stop, one) for one in (signal.SIGTERM, signal.SIGINT)}
        return {signal.SIGHUP: self._reload, **stops}

    def _stop(self, by: signal.Signals) -> None:
        if self.stop.is_set():
            self.hurry.set()
        if by is signal.SIGINT:
            self.at_once = True
        self.stop.set()

    def _reload(self) -> None:
        if self.stop.is_set():
            return  # it would open listeners anew
        log.info("SIGHUP: reading the configuration again")
        task = asyncio.create_task(self._sidecar.try_reload())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)


def _by_signals(handlers: Handlers) -> None:
    loop = asyncio.get_running_loop()
    for one, handler in handlers.items():
        loop.add_signal_handler(one, handler)


async def run(
    sidecar: Sidecar,
    announce: Callable[[str], None],
    obey: Callable[[Handlers], None] = _by_signals,
) -> None:
    """Serves until SIGTERM or SIGINT; announces once, in one line, that the sidecar is ready.

    SIGHUP reloads the configuration. Health says NOT_SERVING from the end's signal on; after
    `shutdown.drain`, which Ctrl-C skips, running calls have `shutdown.grace` to finish. A second
    signal ends both. `obey` has the handlers called. Raises ListenFailed where an address can't be
    had, StoreFailed where the store can't.
    """
    signals = _Signals(sidecar)
    obey(signals.handlers)
    async with sidecar.serving(signals.hurry):
        gc.freeze()
        gc.enable()
        sys.setswitchinterval(_SWITCH)
        announcing = asyncio.create_task(_announce(sidecar, announce))
        await signals.stop.wait()
        announcing.cancel()
        shutdown = sidecar.configuration.settings.shutdown
        drain = 0.0 if signals.at_once else shutdown.drain
        log.info(
            "stopping: calls are taken for another %s, and those that run then have %s; a second "
            "signal ends them",
            duration(drain),
            duration(shutdown.grace),
        )
        await sidecar.health.stopping()
        if not signals.at_once:
            await first(asyncio.sleep(shutdown.drain), signals.hurry.wait())


async def _announce(sidecar: Sidecar, announce: Callable[[str], None]) -> None:
    await sidecar.wait_until_ready()
    announce(sidecar.describe())
