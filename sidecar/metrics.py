"""What is counted while the sidecar runs, cheaply enough for every call.

Numbers only: `sidecar.api.openmetrics` gives them names and writes them down.
"""

from bisect import bisect_left
from collections import Counter
from typing import Final

from sidecar.token.request import Refusal, Verdict

SURFACES: Final = ("grpc", "ext_authz", "http")
BOUNDS: Final = (
    *(0.00005, 0.0001, 0.00025, 0.0005),
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0),
)
"""Seconds up to which decisions are counted together: most take less than a millisecond."""
RELOADS: Final = ("changed", "unchanged", "failed")
STORE_OPERATIONS: Final = ("get", "write", "page", "changes", "wait")
PASSED: Final = "OK"
"""Stands where a refusal has its reason."""


class Histogram:
    """How long things took."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        """How many took longer than the bound before and not longer than this one."""
        self.sum = 0.0
        """Seconds."""

    def add(self, seconds: float) -> None:
        """Counts one."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.sum += seconds


class Metrics:
    """Counts since the process began. No key of them is anything that a token chooses."""

    def __init__(self) -> None:
        self.decisions: dict[tuple[str, str, str], int] = {}
        """By surface, issuer and reason."""
        self.seconds = {surface: Histogram() for surface in SURFACES}
        """Of decisions, by surface."""
        self.issued: Counter[str] = Counter()
        """Tokens, by signer; those of consumers have none."""
        self.revocations: Counter[str] = Counter()
        """By kind: what was revoked."""
        # From 0: a scraper that never saw the 0 does not see the first failure as an increase.
        self.reloads: Counter[str] = Counter(dict.fromkeys(RELOADS, 0))
        """Of the configuration, by outcome."""
        self.store_errors: Counter[str] = Counter(dict.fromkeys(STORE_OPERATIONS, 0))
        """By what the store was asked for."""
        self.left_out: Counter[str] = Counter()
        """Headers that were not set, as their value can't be sent, by name."""

    def decided(self, surface: str, verdict: Verdict | None, seconds: float) -> None:
        """Counts a decision; None: it passed without a token."""
        if isinstance(verdict, Refusal):
            self._count(surface, verdict.issuer_name, verdict.reason.name, seconds)
        else:
            self.passed(surface, verdict.issuer_name if verdict else "", seconds)

    def passed(self, surface: str, issuer: str, seconds: float) -> None:
        """Counts a token of this issuer that passed; empty: of a consumer, or no token at all."""
        self._count(surface, issuer, PASSED, seconds)

    def _count(self, surface: str, issuer: str, reason: str, seconds: float) -> None:
        key = (surface, issuer, reason)
        self.decisions[key] = self.decisions.get(key, 0) + 1
        self.seconds[surface].add(seconds)
