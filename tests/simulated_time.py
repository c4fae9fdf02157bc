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
    """Starts at 0; while nothing is ready to run, the clock moves on to the next timer.

    With sockets there may be something on its way: the clock then waits for it so many real
    seconds before it moves.
    """

    def __init__(self, patience: float = 0.0) -> None:
        self._now = 0.0
        super().__init__(_Jumping(self, patience))

    def time(self) -> float:
        """Simulated seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Lets so much time pass at once."""
        self._now += seconds


class _Jumping(selectors.SelectSelector):
    """Waits for nothing: what the loop would have waited passes on its clock instead."""

    def __init__(self, loop: SimulatedTimeLoop, patience: float) -> None:
        super().__init__()
        self._loop = loop
        self._patience = patience

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        due = timeout is not None and timeout <= 0
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
