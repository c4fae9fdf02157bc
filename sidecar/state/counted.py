"""A store whose failures are counted."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from sidecar.state.store import Named, Record, Store, StoreFailed, Write


class CountedStore(Store):
    """Another store, by whose operations it counts those that raise StoreFailed."""

    def __init__(self, store: Store, failures: Counter[str]) -> None:
        self._store = store
        self._failures = failures
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
        except StoreFailed:
            self._failures[operation] += 1
            raise
