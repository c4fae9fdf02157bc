"""Whether the sidecar can decide: the store was opened, each issuer that it needs has its keys."""

from dataclasses import dataclass

from sidecar.engine import Engine


@dataclass(frozen=True, slots=True)
class Missing:
    """An issuer without keys: where they should come from, and why they are not there."""

    issuer: str
    source: str
    problem: str

    def __str__(self) -> str:
        return f"issuer {self.issuer} has no keys: {self.problem} (from {self.source})"


@dataclass(frozen=True, slots=True)
class MissingStore:
    """A store that could not be used since the start, and why."""

    store: str
    problem: str

    def __str__(self) -> str:
        return f"the store is away: {self.problem}"


@dataclass(frozen=True, slots=True)
class Ending:
    """The end: calls are still answered, and new callers go elsewhere."""

    problem: str = "the sidecar is about to end"

    def __str__(self) -> str:
        return self.problem


Lack = Missing | MissingStore | Ending
"""What keeps the sidecar from being ready."""


def missing(engine: Engine, optional: frozenset[str]) -> tuple[Missing, ...]:
    """What keeps the sidecar from being ready; issuers that are `optional` don't."""
    return tuple(
        Missing(issuer.name, issuer.source, issuer.problem)
        for issuer in engine.snapshot.issuers.values()
        if issuer.keys is None and issuer.name not in optional
    )
