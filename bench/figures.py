"""What was measured: one figure of each kind in every round, and what follows from them."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from bench.work import Budget, Work

TRANSPORTS: Final = ("native", "grpcio")


@dataclass(frozen=True, slots=True)
class Cost:
    """One kind of call in one round."""

    cpu: float
    """Microseconds of the server's CPU time for a call."""
    rate: float
    """Calls in a second."""
    busy: float
    """Share of the time in which the server's core worked for it."""
    empty: float
    """Microseconds of CPU time for an empty call, measured right before."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The values of all rounds."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The value in the middle."""
        return median(self.values)

    def over(self, most: float) -> "Spread":
        """Every value as a share of this one."""
        return Spread(tuple(value / most for value in self.values))

    def __str__(self) -> str:
        low, high = min(self.values), max(self.values)
        return f"{_written(self.median)} ({_written(low)}..{_written(high)})"


@dataclass(frozen=True, slots=True)
class Figures:
    """Lists with one element for each round; calls by transport and name of the work."""

    calls: dict[tuple[str, str], list[Cost]] = field(default_factory=lambda: defaultdict(list))
    bare: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Microseconds of CPU time by what was done in this process."""
    starts: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Seconds from start to ready."""
    resident: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """MiB."""
    proportional: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """MiB, shared pages counted in parts."""
    kept: list[float] = field(default_factory=list)
    """MiB that 100,000 verified tokens take; measured once."""

    def costs(self, transport: str, work: Work, value: Callable[[Cost], float]) -> Spread:
        """One value of each round's cost."""
        return Spread(tuple(value(one) for one in self.calls[transport, work.name]))

    def in_empty_calls(self, transport: str, work: Work) -> Spread:
        """The cost as a multiple of the empty call's."""
        return self.costs(transport, work, lambda one: one.cpu / one.empty)

    def beyond_empty(self, transport: str, work: Work) -> Spread:
        """What a call costs more than an empty one, in bare verifications."""
        rounds = self._beside_bare(transport, work)
        return Spread(tuple((one.cpu - one.empty) / bare for one, bare in rounds))

    def of_budget(self, transport: str, work: Work, budget: Budget) -> Spread:
        """The cost as a share of what it may be."""
        rounds = self._beside_bare(transport, work)
        return Spread(tuple(one.cpu / budget.allows(one.empty, bare) for one, bare in rounds))

    def _beside_bare(self, transport: str, work: Work) -> Iterable[tuple[Cost, float]]:
        """Each round's cost, and that of the bare verification where the work has one."""
        costs = self.calls[transport, work.name]
        bare = self.bare[verification(work.verified)] if work.verified else [0.0] * len(costs)
        return zip(costs, bare, strict=True)


def verification(algorithm: str) -> str:
    """The name under which the bare verification of an algorithm stands."""
    return f"bare verification, {algorithm} (V)"


def _written(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
