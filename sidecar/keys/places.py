"""Places for fetches, so that all are bounded and providers that hang hold up no others."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

T = TypeVar("T")
SHORT: Final = 1.0
"""Seconds after which a fetch counts as slow."""


class Places:
    """At most `total` fetches at a time, of which those that are slow hold half.

    A fetch that takes over a second becomes a slow one, or, where those hold their half already,
    is ended and waits to start anew as one of them: so within a second there are places again,
    whoever hangs. Who was slow the last time starts as a slow one.
    """

    def __init__(self, total: int) -> None:
        self._all = asyncio.Semaphore(total)
        self._slow = asyncio.Semaphore(max(1, total // 2))
        self._were_slow: set[str] = set()

    async def run(self, name: str, fetch: Callable[[], Awaitable[T]]) -> T:
        """What the fetch gives or raises; `name` is whose it is. Waits for a place first."""
        if name not in self._were_slow:
            async with self._all:
                task = asyncio.ensure_future(_started(fetch))
                if await _ends_soon(task):
                    return task.result()
                self._were_slow.add(name)
                if not self._slow.locked():
                    async with self._slow:
                        return await task
                await _ended(task)
        async with self._slow, self._all:
            return await self._timed(name, fetch)

    async def _timed(self, name: str, fetch: Callable[[], Awaitable[T]]) -> T:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            return await fetch()
        finally:
            if loop.time() - began <= SHORT:
                self._were_slow.discard(name)


async def _ends_soon(task: asyncio.Future[Any]) -> bool:
    """Whether it ends within a second; it ends with whoever waits for it."""
    try:
        done, _ = await asyncio.wait({task}, timeout=SHORT)
    except asyncio.CancelledError:
        await _ended(task)
        raise
    return bool(done)


async def _started(fetch: Callable[[], Awaitable[T]]) -> T:
    return await fetch()


async def _ended(task: asyncio.Future[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
