"""A clock for forgetting: it never runs ahead of monotonic time, however the wall clock jumps.

What refuses (a revocation, a used token, a used proof) is forgotten by this clock alone. It follows
three rules:

1. It advances with monotonic time and is never later than the wall clock.
2. If the wall clock is later, this clock waits. It moves on by the smallest lead that it has seen
   in a whole period of `hold` seconds. One look at a right clock makes the period's lead 0.
3. A restart does not end a period: its state can be saved, and only running time counts.

So a wall clock that is ahead for less than `hold` seconds of running time makes nothing be
forgotten early. After downtime or a suspension the clock is late, and things are remembered longer
by as much, until it has caught up after at most two periods.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MAX_GAP: Final = 60.0
"""Seconds between two looks at the wall clock that count at most: nobody saw what it said then."""


@dataclass(frozen=True, slots=True)
class ClockState:
    """What a steady clock goes on with after a restart."""

    time: float
    """Seconds since the epoch."""
    lead: float = math.inf
    """Smallest lead of the wall clock that was seen in this period, in seconds."""
    observed: float = 0.0
    """Seconds of this period that have passed."""


UNKNOWN: Final = ClockState(0.0)
"""Forgets nothing until the wall clock was observed for a whole period."""


def forget_nothing() -> float:
    """Be the clock of a store that never removes what has expired."""
    return 0.0


class SteadyClock:
    """Seconds since the epoch that never outrun monotonic time; not for several threads.

    It starts at `state`, or at the wall clock if there is nothing yet that could be forgotten.
    """

    def __init__(
        self,
        now: Callable[[], float],
        monotonic: Callable[[], float],
        hold: float,
        state: ClockState | None = None,
    ) -> None:
        self._now = now
        self._monotonic = monotonic
        self._hold = hold
        self._moment: float
        self._offset: float
        self._lead: float
        self._observed: float
        self.latest: float
        """Latest time that was returned. What expired before it may be forgotten, also after the
        wall clock was set back."""
        self.resume(ClockState(now()) if state is None else state)

    def __call__(self) -> float:
        """Return the time, after a look at the wall clock."""
        moment, wall = self._monotonic(), self._now()
        steady = min(self._offset + moment, wall)
        self._lead = min(self._lead, wall - steady)
        self._observed += min(moment - self._moment, MAX_GAP)
        if self._observed >= self._hold:
            steady += self._lead
            self._lead, self._observed = math.inf, 0.0
        self._moment, self._offset = moment, steady - moment
        if steady > self.latest:
            self.latest = steady
        return steady

    def resume(self, state: ClockState) -> None:
        """Go on from this state."""
        self._moment = self._monotonic()
        self._offset = state.time - self._moment
        self._lead = state.lead
        self._observed = state.observed
        self.latest = -math.inf

    def begin_now(self) -> None:
        """Start at the wall clock: nothing is stored that could be forgotten early."""
        self.resume(ClockState(self._now()))

    @property
    def state(self) -> ClockState:
        """The state at the last look."""
        return ClockState(self._offset + self._moment, self._lead, self._observed)
