"""Proofs that were used, so that none is used twice (RFC 9449, section 11.1)."""

from collections import deque
from typing import Final, Protocol

MOST_PROOFS: Final = 200_000
"""Remembered at the same time. Full is full: forgetting one early would let it pass again."""


class UsedProofs(Protocol):
    """The proofs that were used within the time in which they could be used again."""

    def __contains__(self, proof_id: object) -> bool:
        """Whether this proof was used."""

    def full(self, now: float) -> bool:
        """Whether there is no room for another one."""

    def add(self, proof_id: bytes, now: float) -> None:
        """Remembers a proof as used; there must be room."""


class ProofMemory:
    """Remembers each proof for `lifetime` seconds. At most `most` at once."""

    def __init__(self, lifetime: float, most: int = MOST_PROOFS) -> None:
        self._lifetime = lifetime
        self._most = most
        self._used: set[object] = set()
        self._queue: deque[tuple[float, bytes]] = deque()

    def __contains__(self, proof_id: object) -> bool:
        """Whether this proof was used; one past its lifetime may still count as used."""
        return proof_id in self._used

    def full(self, now: float) -> bool:
        """Whether there is no room, once what is past its lifetime is forgotten."""
        while self._queue and self._queue[0][0] <= now:
            self._used.discard(self._queue.popleft()[1])
        return len(self._queue) >= self._most

    def add(self, proof_id: bytes, now: float) -> None:
        """Remembers a proof as used at `now`, in seconds."""
        self._queue.append((now + self._lifetime, proof_id))
        self._used.add(proof_id)
