"""Memory of used DPoP proofs, so that none is used twice (RFC 9449, section 11.1).

It never forgets a proof that could pass again. So it can be full, and is shared fairly: a key may
add a proof only while it has fewer in the memory than there is room for. One key alone gets half of
the memory, n keys get 1/(n+1) each, and as much stays free for the next key. Which client has sent
too many is decided by that alone, without a setting and without looking at the others' proofs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

MAX_PROOFS: Final = 200_000
"""Remembered at the same time, in 25 MiB; in 60 MiB if each is of another key."""
_MAX_REMOVED: Final = 100
"""Proofs that are forgotten with one call at most, so that none waits for a crowd of them."""


@dataclass(frozen=True, slots=True)
class CheckedProof:
    """A proof that holds, if it was not used before."""

    proof_id: bytes
    """Tells it from every other proof."""
    key: str
    """Thumbprint of its key."""
    end: float
    """From which time on no clock skew lets it pass, in seconds since the epoch."""


class Room(Enum):
    """Whether a proof can be added to those that were used."""

    FREE = 1
    USED = 2
    """It was used before."""
    FORGOTTEN = 3
    """It may have been used before, and was forgotten: a clock was set back."""
    OVER_QUOTA = 4
    """Its key has its fair share already."""
    FULL = 5


class UsedProofs(Protocol):
    """The proofs that were used and could still pass again."""

    shared: bool
    """Whether other processes use proofs too, which only a question outside can tell of."""

    def room(self, proof: CheckedProof) -> Room:
        """Return whether it can be added."""

    def add(self, proof: CheckedProof) -> None:
        """Remember it as used; there must be room."""


class _Share:
    """A key, and how many of its proofs are remembered."""

    __slots__ = ("key", "proofs")

    def __init__(self, key: str) -> None:
        self.key = key
        self.proofs = 0


class ProofMemory:
    """Remembers each proof to its end by `steady`, which never runs ahead of monotonic time.

    The costs of a proof do not depend on how many are remembered.
    """

    def __init__(
        self, steady: Callable[[], float], most: int = MAX_PROOFS, shared: bool = False
    ) -> None:
        self.shared = shared
        self._steady = steady
        self._most = most
        self._used: dict[bytes, _Share] = {}
        self._shares: dict[str, _Share] = {}
        self._ends: dict[int, list[bytes]] = {}
        """Proofs by the second in which they may be forgotten."""
        self._next_end = 0
        """The first of these seconds."""
        self._forgotten = 0
        """Proofs that ended by this second may be forgotten."""

    def __len__(self) -> int:
        """Return how many proofs are remembered."""
        return len(self._used)

    def room(self, proof: CheckedProof) -> Room:
        """Return whether it can be added, once what has ended is forgotten."""
        self._forget(self._steady())
        if proof.proof_id in self._used:
            return Room.USED
        if proof.end <= self._forgotten:
            return Room.FORGOTTEN
        free = self._most - len(self._used)
        share = self._shares.get(proof.key)
        if free > (0 if share is None else share.proofs):
            return Room.FREE
        return Room.FULL if share is None else Room.OVER_QUOTA

    def add(self, proof: CheckedProof) -> None:
        """Remember it as used."""
        share = self._shares.get(proof.key)
        if share is None:
            share = self._shares[proof.key] = _Share(proof.key)
        share.proofs += 1
        self._used[proof.proof_id] = share
        end = int(proof.end) + 1
        ending = self._ends.get(end)
        if ending is None:
            ending = self._ends[end] = []
            self._next_end = min(self._next_end, end) if len(self._ends) > 1 else end
        ending.append(proof.proof_id)

    def _forget(self, now: float) -> None:
        left = _MAX_REMOVED
        while self._ends and self._next_end <= now and left:
            self._forgotten = max(self._forgotten, self._next_end)
            ending = self._ends[self._next_end]
            while ending and left:
                left -= 1
                self._remove(ending.pop())
            if not ending:
                del self._ends[self._next_end]
                self._next_end = min(self._ends, default=0)

    def _remove(self, proof_id: bytes) -> None:
        share = self._used.pop(proof_id)
        share.proofs -= 1
        if not share.proofs:
            del self._shares[share.key]
