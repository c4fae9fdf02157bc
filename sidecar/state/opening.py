"""The store that the configuration names."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sidecar.config.store import Store as Setting
from sidecar.state.memory import MemoryStore
from sidecar.state.store import Store


@asynccontextmanager
async def opened(setting: Setting | None) -> AsyncIterator[Store]:
    """The store, closed after the block; in memory where none is configured.

    Raises StoreFailed where it can't be opened.
    """
    if setting is None or not setting.url.path:
        yield MemoryStore()
        return
    from sidecar.state.sqlite import SqliteStore

    async with SqliteStore.opened(setting.url.path) as store:
        yield store
