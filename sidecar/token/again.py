"""Answers that are given again, where every check would find again what it found.

The checks read the token, what is asked of it, the snapshot, what is revoked, and the time; some
ask outside as well, and what those say is never given again. So a pass is kept with all of this,
and counts only where it is the same: by comparing it, each check is made on each call. The first
difference, and whatever a check could say only anew, has all of them run.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a token passed by, beside what was asked; times in seconds since the epoch."""

    snapshot: object
    """The mark of the snapshot."""
    revocations: int
    """Which state of what is revoked."""
    since: float
    """When it passed: from then on it is neither too early nor issued in the future."""
    until: float
    """When time could refuse it."""


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """The answer to one question about a token that passed."""

    asked: object
    """The whole question but for the token, and what else its answer depends on."""
    issuer_name: str
    answer: bytes = field(repr=False)
    snapshot: object
    """This and the rest are the grounds, each by itself: there is one of these for each token."""
    revocations: int
    since: float
    until: float

    def holds(self, snapshot: object, revocations: int, now: float) -> bool:
        """Whether the checks, made now, would let the token pass as they did."""
        return (
            self.snapshot is snapshot
            and self.revocations == revocations
            and self.since <= now < self.until
        )


def kept(asked: object, issuer_name: str, answer: bytes, grounds: Grounds) -> Kept:
    """An answer, with what it stands on."""
    return Kept(
        asked,
        issuer_name,
        answer,
        grounds.snapshot,
        grounds.revocations,
        grounds.since,
        grounds.until,
    )
