"""An event loop without sockets and without waiting: a day of ten thousand tasks in a minute."""

import asyncio
import heapq
import itertools
from asyncio import Future, Handle, Task, TimerHandle
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any, cast


class EventLoop:
    """Starts at 0 and jumps from timer to timer. Has what tasks, futures and timers need.

    Of `asyncio.AbstractEventLoop` it is no more than that, so to asyncio it is one by a cast.
    """

    def __init__(self) -> None:
        self._loop = cast(asyncio.AbstractEventLoop, self)
        self._now = 0.0
        self._ready: deque[Handle] = deque()
        self._timers: list[tuple[float, int, TimerHandle]] = []
        self._order = itertools.count()
        self.failures: list[dict[str, Any]] = []
        """What would have been reported: exceptions that nobody caught."""

    def run_until(self, moment: float) -> None:
        """Runs all that happens up to this moment."""
        asyncio.events._set_running_loop(self._loop)
        try:
            self._run_ready()
            while self._timers and self._timers[0][0] <= moment:
                when, _, handle = heapq.heappop(self._timers)
                if not handle.cancelled():
                    self._now = when
                    handle._run()
                    self._run_ready()
            self._now = moment
        finally:
            asyncio.events._set_running_loop(None)

    def _run_ready(self) -> None:
        ready = self._ready
        while ready:
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()

    def time(self) -> float:
        return self._now

    def get_debug(self) -> bool:
        return False

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        handle = Handle(callback, args, self._loop, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> TimerHandle:
        handle = TimerHandle(when, callback, args, self._loop, context)
        heapq.heappush(self._timers, (when, next(self._order), handle))
        return handle

    def create_future(self) -> Future[Any]:
        return Future(loop=self._loop)

    def create_task(self, coro: Any, *, name: str | None = None, context: Any = None) -> Task[Any]:
        return Task(coro, loop=self._loop, name=name or "", context=context)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.failures.append(context)

    def _timer_handle_cancelled(self, handle: TimerHandle) -> None:
        """Cancelled timers are passed over when their time comes."""
