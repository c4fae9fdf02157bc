"""Key ids that an issuer does not have, remembered so that they cost it no request again."""

from collections.abc import Iterable
from typing import Final

MOST: Final = 1000
"""Key ids that are remembered for an issuer; a flood pushes out the oldest."""
SECONDS: Final = 60.0
"""How long one is remembered: a provider may publish a key late, after the first token."""


class AbsentKeys:
    """The `kid`s that were looked for and not found. Bounded, whatever tokens name.

    `seconds` is how long each is remembered, `now` any clock in seconds. Keeps a hash of each,
    which only this process can compute, as a `kid` may be as long as a token.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._until: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def has(self, key_id: str, now: float) -> bool:
        """Whether this one was looked for lately and not found."""
        return self._until.get(hash(key_id), now) > now

    def remember(self, key_ids: Iterable[str], now: float) -> None:
        """Remembers these from now on."""
        for one in key_ids:
            key = hash(one)
            self._until.pop(key, None)
            self._until[key] = now + self._seconds
            if len(self._until) > MOST:
                del self._until[next(iter(self._until))]

    def forget(self) -> None:
        """Remembers none of them: the issuer's keys are others now."""
        self._until.clear()
