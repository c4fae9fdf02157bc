"""The store that the configuration names."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sidecar.config.store import Store as Setting
from sidecar.state.memory import MemoryStore
from sidecar.state.store import Store, StoreFailed


@asynccontextmanager
async def opened(
    setting: Callable[[], Setting | None], steady: Callable[[], float]
) -> AsyncIterator[Store]:
    """The store, closed after the block; in memory where none is configured.

    `setting` gives what is configured at the time: what it says of passwords and certificates may
    change, where the store is may not. What has expired by `steady` may be removed. Raises
    StoreFailed where it can't be opened; but a Redis that is away is waited for inside the block.
    """
    first = setting()
    if first is None or not (first.url.path or first.url.redis):
        yield MemoryStore(steady)
    elif first.url.redis is not None:
        try:
            from sidecar.state.redis import RedisStore
        except ModuleNotFoundError as missing:
            raise StoreFailed(
                f"{first.url}: it needs the Python package redis; install jwt-sidecar with its "
                "extra redis: jwt-sidecar[redis]"
            ) from missing
        async with RedisStore.opened(first.url.redis, lambda: setting() or first, steady) as redis:
            yield redis
    else:
        from sidecar.state.sqlite import SqliteStore

        async with SqliteStore.opened(first.url.path, steady) as file:
            yield file
