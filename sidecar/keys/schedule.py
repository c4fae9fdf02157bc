"""When an issuer's keys are fetched: pure functions of what was set, said and thrown.

Many sidecars start in the same second, and an outage or a rotation brings them into step again.
So whatever many may do in the same second is followed by a pause of widely differing length, and
from then on each keeps its own time.
"""

from dataclasses import dataclass
from typing import Final

from sidecar.config.issuers import IssuerKeys

FIRST_RETRY: Final = 1.0
"""Seconds until the first retry after a failed fetch; each further one waits twice as long."""
LONGEST_RETRY: Final = 60.0
"""Seconds between retries, before they are spread: keys that are back are soon in use."""
_LEAST: Final = 10.0
"""Seconds between refreshes that a provider can ask for, whatever `refresh` is."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When keys are fetched, in seconds. `random` is a number from 0 to 1 everywhere."""

    refresh: float
    unknown_key_interval: float
    max_stale: float

    @property
    def shortest(self) -> float:
        """The least time between two refreshes, however short a life a provider gives its keys."""
        return min(self.refresh, max(self.refresh / 10, _LEAST))

    def interval(self, lifetime: float | None, random: float) -> float:
        """The time from one good refresh to the next.

        `refresh`, spread by 10 % to either side, or less where the provider says that its keys
        are fresh for less: then within the last fifth of that `lifetime`, but never less than
        `shortest`.
        """
        regular = self.refresh * (0.9 + 0.2 * random)
        if lifetime is None:
            return regular
        asked = max(lifetime * (0.8 + 0.2 * random), self.shortest * (1 + 0.25 * random))
        return min(regular, asked)

    def first_interval(self, lifetime: float | None, random: float) -> float:
        """As `interval`, after a fetch that many sidecars may have made in the same second.

        Anywhere between a tenth and the whole of it, so that they never meet again.
        """
        return self.interval(lifetime, 0.5) * (0.1 + 0.9 * random)

    def retry(self, failures: int, random: float) -> float:
        """The time until the next try after so many failures in a row, spread by half."""
        backoff: float = min(FIRST_RETRY * 2 ** min(failures - 1, 30), LONGEST_RETRY)
        return min(backoff * (0.5 + random), self.refresh)

    def unknown_key_pause(self, random: float) -> float:
        """The time without a fetch for an unknown `kid`: the interval and up to 10 % more."""
        return self.unknown_key_interval * (1 + 0.1 * random)


def schedule_of(keys: IssuerKeys) -> Schedule:
    """The schedule that an issuer's settings ask for."""
    return Schedule(keys.refresh, keys.unknown_key_interval, keys.max_stale)
