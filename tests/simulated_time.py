"""An event loop whose clock jumps to the next timer, so that hours pass in no time at all."""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

P = ParamSpec("P")


class Deadlock(Exception):
    """Everything waits, and no timer will ever end it."""


class SimulatedTimeLoop(asyncio.SelectorEventLoop):
    """Starts at 0; while nothing is ready to run, the clock moves on to the next timer."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        """Simulated seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Lets so much time pass at once."""
        self._now += seconds


class _Jumping(selectors.SelectSelector):
    """Waits for nothing: what the loop would have waited passes on its clock instead."""

    def __init__(self, loop: SimulatedTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise Deadlock
        self._loop.advance(timeout)
        return []


def in_simulated_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Runs an asynchronous test on a loop of its own with simulated time."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=SimulatedTimeLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
