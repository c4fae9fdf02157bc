"""A store that several sidecars of one test share, and that fails and changes as the test says."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from sidecar.config.store import Store as Setting
from sidecar.config.store import StoreUrl
from sidecar.state.memory import MemoryStore
from sidecar.state.store import Named, Record, StoreFailed, Write
from sidecar.steady import SteadyClock

START: Final = 1_800_000_000.0
"""Seconds since the epoch when the simulated loop starts."""

LONGEST_CALL: Final = 5.0
"""Seconds after which a store that hangs gives up, as each must in bounded time."""


class Clock:
    """The clock of a machine whose time is the event loop's, until somebody sets it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return START + asyncio.get_running_loop().time() + self.ahead


def steady_clock(clock: Clock, hold: float = 86400.0) -> SteadyClock:
    """The steady clock of a sidecar on a machine with this clock."""
    return SteadyClock(clock, asyncio.get_running_loop().time, hold)


class Shared(MemoryStore):
    """Outlives the sidecars; fails, hangs or tells of changes late while it is told to."""

    is_durable = True

    def __init__(self, steady: Callable[[], float]) -> None:
        super().__init__(steady)
        self.works = True
        self.hangs = False
        self.tells = True
        self.reads = 0
        self._written = asyncio.Event()

    async def get(self, kind: str, name: str) -> Record | None:
        await self._check()
        return await super().get(kind, name)

    async def write(self, *writes: Write) -> bool:
        await self._check()
        written, self._written = self._written, asyncio.Event()
        written.set()
        return await super().write(*writes)

    async def changes(self, kind: str, after: int, limit: int) -> tuple[Named, ...]:
        await self._check()
        found = await super().changes(kind, after, limit)
        self.reads += len(found)
        return found

    async def wait(self, kind: str, at_most: float) -> None:
        await self._check()
        if not self.tells:
            await asyncio.sleep(at_most)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most):
                await self._written.wait()

    def empty(self) -> None:
        """Loses all, and counts versions anew, as a Redis without a disk that is restarted."""
        self.__dict__.update(MemoryStore(self._steady).__dict__)

    async def _check(self) -> None:
        if self.hangs:
            await asyncio.sleep(LONGEST_CALL)
        if self.hangs or not self.works:
            raise StoreFailed("redis:6379: it does not answer")


def setting(on_outage: str = "serve", max_staleness: float = 2.0) -> Setting:
    """The settings of a store."""
    return Setting.model_construct(
        url=StoreUrl("/state.db"), max_staleness=max_staleness, on_outage=on_outage
    )
