"""All that one sidecar has to do with the consumers in its store, from its start to its end."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from sidecar.config.consumers import ConsumerCache as CacheSetting
from sidecar.config.store import Store as StoreSetting
from sidecar.state.consumers.cache import ConsumerCache
from sidecar.state.consumers.lookup import ConsumerLookup, NamedConsumerLookup
from sidecar.state.consumers.registry import Registry
from sidecar.state.consumers.seal import Seal
from sidecar.state.store import Store
from sidecar.token.outside import Question
from sidecar.token.stored import ConsumerQuestion, NamedConsumerQuestion

_ALONE: Final = 2.0
"""Seconds between looks for the changes of others, where there are no others."""

log = logging.getLogger(__name__)


class StoredConsumers:
    """The consumers in the store: read and written by `registry`, found for the checks.

    `now` gives seconds since the epoch, `clock` seconds that never go back.
    """

    def __init__(
        self,
        store: Store,
        setting: StoreSetting | None,
        cache: CacheSetting,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.registry = Registry(store, now)
        self.seal = seal_of(setting)
        self.lookup = ConsumerLookup(
            store,
            self.registry,
            self.seal,
            ConsumerCache(cache.entries, cache.ttl, cache.missing_ttl, random.random),
            setting.max_staleness if setting else _ALONE,
            serves=setting is None or setting.on_outage == "serve",
            now=now,
            clock=clock,
        )
        self._named = NamedConsumerLookup(self.registry, self.seal)
        self._is_durable = store.is_durable
        self._task: asyncio.Task[None] | None = None

    @property
    def answerers(self) -> Mapping[type[Question[Any]], Any]:
        """What answers the checks' questions about them."""
        return {ConsumerQuestion: self.lookup, NamedConsumerQuestion: self._named}

    def start(self) -> None:
        """Begins to notice changes; waits for no store that is away."""
        if not self._is_durable:
            log.warning(
                "consumers.store: without a store (setting store) the consumers that are created "
                "end with this process"
            )
        self._task = asyncio.create_task(self.lookup.follower.run(), name="consumers")

    async def stop(self) -> None:
        """Ends all that it does."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.lookup.stop()


def seal_of(setting: StoreSetting | None) -> Seal:
    """What the settings keep secrets with."""
    if setting is None:
        return Seal((), allows_plaintext=False)
    keys = (setting.secrets_key, setting.previous_secrets_key)
    return Seal([key.material for key in keys if key], setting.plaintext_secrets)
