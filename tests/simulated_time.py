"""An event loop whose clock jumps to the next timer, so that hours pass in no time at all."""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, ParamSpec, TypeVar, TypeVarTuple

P = ParamSpec("P")
T = TypeVar("T")
Args = TypeVarTuple("Args")


class Deadlock(Exception):
    """Everything waits, and no timer will ever end it."""


class SimulatedTimeLoop(asyncio.SelectorEventLoop):
    """Starts at 0; while nothing is ready to run, the clock moves on to the next timer.

    With sockets there may be something on its way: the clock then waits for it so many real
    seconds before it moves. For a thread at work (`asyncio.to_thread`) it waits however long.
    """

    def __init__(self, patience: float = 0.0) -> None:
        self._now = 0.0
        self.threads = 0
        """Those that are at work."""
        super().__init__(_Jumping(self, patience))

    def time(self) -> float:
        """Simulated seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Lets so much time pass at once."""
        self._now += seconds

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Args], T], *args: *Args
    ) -> asyncio.Future[T]:
        """As of any loop; its thread counts until what it gave is there."""
        future = super().run_in_executor(executor, func, *args)
        self.threads += 1
        future.add_done_callback(self._ended)
        return future

    async def shutdown_default_executor(self, *args: Any) -> None:
        """As of any loop; it takes a thread to wait for the others."""
        self.threads += 1
        try:
            await super().shutdown_default_executor(*args)
        finally:
            self.threads -= 1

    def _ended(self, _: asyncio.Future[Any]) -> None:
        self.threads -= 1


class _Jumping(selectors.SelectSelector):
    """Waits for nothing: what the loop would have waited passes on its clock instead."""

    def __init__(self, loop: SimulatedTimeLoop, patience: float) -> None:
        super().__init__()
        self._loop = loop
        self._patience = patience

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        due = timeout is not None and timeout <= 0
        if self._loop.threads and not due:
            return super().select()
        ready = super().select(0 if due else self._patience)
        if ready:
            return ready
        if timeout is None:
            raise Deadlock
        self._loop.advance(timeout)
        return []


def in_simulated_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Runs an asynchronous test on a loop of its own with simulated time."""
    return _on(SimulatedTimeLoop, test)


def in_simulated_time_with_sockets(
    test: Callable[P, Coroutine[Any, Any, None]],
) -> Callable[P, None]:
    """As `in_simulated_time`, of a test whose sockets have both ends on the test's own loop."""
    return _on(lambda: SimulatedTimeLoop(patience=0.02), test)


def _on(
    loop: Callable[[], asyncio.AbstractEventLoop], test: Callable[P, Coroutine[Any, Any, None]]
) -> Callable[P, None]:
    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(test(*args, **kwargs))

    return run
