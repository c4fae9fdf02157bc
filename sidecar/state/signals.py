"""Waking those who follow what changes in a store."""

import asyncio
from collections import Counter


class Signals:
    """Tells who waits that records of a kind changed, also when that was just before the wait.

    One follower of a kind, which reads what changed after each wait, so misses nothing.
    """

    def __init__(self) -> None:
        self._told: Counter[str] = Counter()
        self._told_all = 0
        self._heard: dict[str, int] = {}
        self._next = asyncio.Event()

    def tell(self, kind: str) -> None:
        """Records of this kind may have changed."""
        self._told[kind] += 1
        self._wake()

    def tell_all(self) -> None:
        """Any record may have changed."""
        self._told_all += 1
        self._wake()

    async def wait(self, kind: str, at_most: float) -> None:
        """Returns when the kind was told of since the last wait for it, or the time is over."""
        try:
            async with asyncio.timeout(at_most):
                while self._heard.get(kind) == self._count(kind):
                    await self._next.wait()
        except TimeoutError:
            return
        self._heard[kind] = self._count(kind)

    def _count(self, kind: str) -> int:
        return self._told_all + self._told[kind]

    def _wake(self) -> None:
        self._next.set()
        self._next = asyncio.Event()
