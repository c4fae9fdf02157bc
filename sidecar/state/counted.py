"""A store whose failures are counted, and told in the log when they begin and end."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sidecar.state.store import Named, Record, Store, StoreFailed, Write

CALM: Final = 5.0
"""Seconds without a failure after which an operation counts as working again: one that fails now
and then fills no log."""
_TOLD: Final = frozenset({"get", "write"})
"""What decisions and calls ask; those who follow changes tell of their failures themselves."""

log = logging.getLogger(__name__)


class CountedStore(Store):
    """Another store, by whose operations it counts those that raise StoreFailed.

    The log has the first failure of several, and the first success after CALM seconds.
    """

    def __init__(self, store: Store, failures: Counter[str]) -> None:
        self._store = store
        self._failures = failures
        self._failed_at: dict[str, float] = {}
        self.is_durable = store.is_durable

    @property
    def problem(self) -> str:
        """That of the other."""
        return self._store.problem

    async def wait_until_open(self) -> None:
        """Returns once the other could be used."""
        await self._store.wait_until_open()

    async def get(self, kind: str, name: str) -> Record | None:
        """As the other."""
        with self._counting("get"):
            return await self._store.get(kind, name)

    async def write(self, *writes: Write) -> bool:
        """As the other."""
        with self._counting("write"):
            return await self._store.write(*writes)

    async def page(self, kind: str, after: str, limit: int) -> tuple[Named, ...]:
        """As the other."""
        with self._counting("page"):
            return await self._store.page(kind, after, limit)

    async def changes(self, kind: str, after: int, limit: int) -> tuple[Named, ...]:
        """As the other."""
        with self._counting("changes"):
            return await self._store.changes(kind, after, limit)

    async def wait(self, kind: str, at_most: float) -> None:
        """As the other."""
        with self._counting("wait"):
            await self._store.wait(kind, at_most)

    @contextmanager
    def _counting(self, operation: str) -> Iterator[None]:
        try:
            yield
        except StoreFailed as failure:
            self._failures[operation] += 1
            self._tell_of(operation, failure)
            raise
        if self._failed_at:
            self._is_well(operation)

    def _tell_of(self, operation: str, failure: StoreFailed) -> None:
        if operation in _TOLD and operation not in self._failed_at:
            log.warning("store: %s fails: %s", operation, failure)
        self._failed_at[operation] = _time()

    def _is_well(self, operation: str) -> None:
        failed_at = self._failed_at.get(operation)
        if failed_at is not None and _time() - failed_at >= CALM:
            del self._failed_at[operation]
            if operation in _TOLD:
                log.info("store: %s works again", operation)


def _time() -> float:
    return asyncio.get_running_loop().time()
