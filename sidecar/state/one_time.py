"""Tokens and proofs that pass once: which ones have."""

import asyncio
from typing import Final

from sidecar.state.store import ABSENT, Store, StoreFailed
from sidecar.steady import SteadyClock
from sidecar.token.use import FirstUse, Use

TOKENS: Final = "used_token"
PROOFS: Final = "used_proof"


class OneTimeUses:
    """Uses each thing of a kind up in the store, where of several sidecars one is the first.

    What has expired by `steady`, the clock of the store, may have been forgotten there.
    """

    def __init__(self, store: Store, kind: str, steady: SteadyClock) -> None:
        self._store = store
        self._kind = kind
        self._steady = steady

    def known(self, question: FirstUse, now: float) -> None:
        """Nothing is known without asking: another sidecar may be using it at this moment."""

    async def find(self, question: FirstUse, at_most: float) -> Use:
        """Whether it is the first use, found out within so many seconds."""
        if question.expire_time <= self._steady.latest:
            return Use.FORGOTTEN
        try:
            async with asyncio.timeout(at_most):
                first = await self._is_first(question)
        except (StoreFailed, TimeoutError):
            return Use.UNKNOWN
        return Use.FIRST if first else Use.AGAIN

    async def _is_first(self, question: FirstUse) -> bool:
        if not question.uses_up:
            return await self._store.get(self._kind, question.name) is None
        return await self._store.put(self._kind, question.name, b"", ABSENT, question.expire_time)
