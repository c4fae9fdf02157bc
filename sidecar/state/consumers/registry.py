"""The consumers in a store: by name, by key, in pages, and their changes.

Each is two records, which are written together: the consumer by its name, and its name by its
key. So two sidecars can't give one key to two consumers.
"""

import time
from collections.abc import Callable, Collection
from typing import Final

from sidecar.state.consumers.record import KEY_KIND, KIND, KeptConsumer, digest_of, dump, parse
from sidecar.state.store import ABSENT, MOST_AT_ONCE, Record, Store, StoreFailed, Write

TOLD_FOR: Final = 3600.0
"""Seconds that an empty record tells the other sidecars of a deletion: by then they have looked
often, and what they remember has come to its end or was read again."""
_ROUNDS: Final = 10
"""How often another sidecar may be faster."""


class Taken(Exception):
    """Another consumer has what must be unique: `field` is `name` or `key`."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


class Registry:
    """Consumers in a store; `now` gives seconds since the epoch.

    All methods raise StoreFailed, and those that read UnreadableConsumer.
    """

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now

    async def get(self, name: str) -> tuple[KeptConsumer, int] | None:
        """The consumer of this name and the version of its record."""
        record = await self._store.get(KIND, name)
        if record is None or not record.data:
            return None
        return parse(name, record.data), record.version

    async def owner(self, key: str) -> str | None:
        """The name of the consumer that has this key, or had it a moment ago."""
        record = await self._store.get(KEY_KIND, digest_of(key))
        return record.data.decode() if record else None

    async def create(self, consumer: KeptConsumer) -> None:
        """Keeps a new consumer; raises Taken."""
        owned = Write(KEY_KIND, digest_of(consumer.key), consumer.name.encode(), ABSENT)
        for _ in range(_ROUNDS):
            record = await self._store.get(KIND, consumer.name)
            if record and record.data:
                raise Taken("name")
            written = Write(KIND, consumer.name, dump(consumer), _version(record))
            if await self._store.write(written, owned):
                return
            if await self.owner(consumer.key):
                raise Taken("key")
        raise _contended(consumer.name)

    async def replace(self, consumer: KeptConsumer, before: KeptConsumer, version: int) -> bool:
        """Keeps it in place of the one that has this version; False where that is another now.

        Raises Taken where another consumer has the key.
        """
        writes = [Write(KIND, consumer.name, dump(consumer), version)]
        if consumer.key != before.key:
            name = consumer.name.encode()
            writes.append(Write(KEY_KIND, digest_of(consumer.key), name, ABSENT))
            writes.append(Write(KEY_KIND, digest_of(before.key), None))
        if await self._store.write(*writes):
            return True
        if consumer.key != before.key and await self.owner(consumer.key):
            raise Taken("key")
        return False

    async def delete(self, name: str) -> str | None:
        """Removes a consumer; gives the key that it had, None where there is none."""
        for _ in range(_ROUNDS):
            found = await self.get(name)
            if found is None:
                return None
            consumer, version = found
            if await self._store.write(
                Write(KIND, name, b"", version, self._now() + TOLD_FOR),
                Write(KEY_KIND, digest_of(consumer.key), None),
            ):
                return consumer.key
        raise _contended(name)

    async def page(
        self, after: str, limit: int, without: Collection[str]
    ) -> list[tuple[str, bytes]]:
        """Names and records of the first consumers behind a name, but for some, by name."""
        found: list[tuple[str, bytes]] = []
        asked = min(limit, MOST_AT_ONCE)
        while len(found) < limit:
            page = await self._store.page(KIND, after, asked)
            found += [
                (one.name, one.record.data)
                for one in page
                if one.record.data and one.name not in without
            ]
            if len(page) < asked:
                break
            after = page[-1].name
        return found[:limit]


def _version(record: Record | None) -> int:
    return record.version if record else ABSENT


def _contended(name: str) -> StoreFailed:
    return StoreFailed(f"others change consumer {name} without pause; try again")
