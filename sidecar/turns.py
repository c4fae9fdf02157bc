"""Calls that cost much, one after another, so that those that cost little come in between."""

import asyncio
import logging
import math
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sidecar.token.reason import CallFailed, ErrorReason

AT_A_TIME: Final = 4
"""Calls that go on within one turn of the event loop: half a millisecond's work or so."""
QUIET: Final = 60.0
"""Seconds until it is said again that calls are turned away."""

log = logging.getLogger(__name__)


class Turns:
    """A call that verifies or signs waits for a turn; one that is answered from memory does not.

    `async with turns:` is the work of a call that needs a turn, `with turns.place():` the wait for
    keys, a store or a directory of one that needs none. Together they are `most` calls at most,
    those that wait included.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.at_work = 0
        self.refused = 0
        """How many were turned away."""
        self._quiet_until = -math.inf
        self._left = AT_A_TIME
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._waiting_for: Counter[str] = Counter()

    async def __aenter__(self) -> None:
        """Waits for a turn.

        Raises CallFailed with LIMIT_EXCEEDED at once where there are as many as may be.
        """
        self._come()
        if not self._waiting and self._left:
            self._take()
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except BaseException:
            self.at_work -= 1
            raise

    async def __aexit__(self, *_: object) -> None:
        """The call is at its end."""
        self.at_work -= 1

    @contextmanager
    def place(self) -> Iterator[None]:
        """A call's wait for others, without a turn; raises CallFailed as one with a turn."""
        self._come()
        try:
            yield
        finally:
            self.at_work -= 1

    @contextmanager
    def waiting_for(self, what: str) -> Iterator[None]:
        """The wait of a call at work; raises CallFailed where half of them wait for the same.

        The other half is for those who need nothing of what is slow.
        """
        waiting = self._waiting_for[what]
        if waiting >= max(1, self.most // 2):
            raise self._refusal(
                f"{waiting} calls wait for {what}, half as many as limits.concurrent_calls allows"
            )
        self._waiting_for[what] += 1
        try:
            yield
        finally:
            self._waiting_for[what] -= 1

    def _come(self) -> None:
        if self.at_work >= self.most:
            raise self._refusal(
                f"{self.at_work} calls are at work, as many as limits.concurrent_calls allows"
            )
        self.at_work += 1

    def _refusal(self, problem: str) -> CallFailed:
        self.refused += 1
        self._tell(problem)
        return CallFailed(ErrorReason.LIMIT_EXCEEDED, f"{problem}; try again")

    def _tell(self, problem: str) -> None:
        """One line a minute: a call by gRPC that is turned away is no decision, and has none."""
        now = asyncio.get_running_loop().time()
        if now >= self._quiet_until:
            self._quiet_until = now + QUIET
            log.warning("calls are turned away, %d by now: %s", self.refused, problem)

    def _take(self) -> None:
        """The first call of a turn has the event loop begin the next one."""
        if self._left == AT_A_TIME:
            asyncio.get_running_loop().call_soon(self._next)
        self._left -= 1

    def _next(self) -> None:
        self._left = AT_A_TIME
        while self._waiting and self._left:
            turn = self._waiting.popleft()
            if not turn.done():
                self._take()
                turn.set_result(None)
