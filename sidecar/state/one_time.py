"""Tokens that pass once: which ones have."""

import asyncio
from typing import Final

from sidecar.state.store import ABSENT, Store, StoreFailed
from sidecar.token.checks.one_time import OneTimeUse, Use

KIND: Final = "used_token"


class OneTimeUses:
    """Uses each token up in the store, where of several sidecars one is the first."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def known(self, question: OneTimeUse, now: float) -> None:
        """Nothing is known without asking: another sidecar may be using it at this moment."""

    async def find(self, question: OneTimeUse, at_most: float) -> Use:
        """Whether it is the first use, found out within so many seconds."""
        try:
            async with asyncio.timeout(at_most):
                first = await self._is_first(question)
        except (StoreFailed, TimeoutError):
            return Use.UNKNOWN
        return Use.FIRST if first else Use.AGAIN

    async def _is_first(self, question: OneTimeUse) -> bool:
        if not question.uses_up:
            return await self._store.get(KIND, question.name) is None
        return await self._store.put(KIND, question.name, b"", ABSENT, question.expire_time)
