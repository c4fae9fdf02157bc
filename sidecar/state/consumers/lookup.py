"""Finding consumers in the store for the checks: from memory, or by one look-up at a time."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from sidecar.config.consumers import credential
from sidecar.state.consumers.cache import ConsumerCache
from sidecar.state.consumers.follower import RETRY, Follower
from sidecar.state.consumers.record import (
    KeptConsumer,
    UnreadableConsumer,
    parse,
)
from sidecar.state.consumers.registry import Registry
from sidecar.state.consumers.seal import Seal
from sidecar.state.store import Named, Store, StoreFailed
from sidecar.token.key import UnusableKey
from sidecar.token.snapshot import Consumer
from sidecar.token.stored import UNKNOWN, ConsumerQuestion, Lookup, NamedConsumerQuestion

MOST_LOOKUPS: Final = 16
"""At the same time; the others wait. A flood of invented keys is no flood for the store."""
_ROUNDS: Final = 3
"""How often a consumer is read that changes while it is read."""

log = logging.getLogger(__name__)


class ConsumerLookup:
    """Answers ConsumerQuestion from a cache that knows of every change.

    With `serves`, what is remembered of a consumer holds on while the store is away; without it,
    nothing that is older than `max_staleness` seconds does. `clock` gives seconds that never go
    back.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        seal: Seal,
        cache: ConsumerCache,
        max_staleness: float,
        serves: bool,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.cache = cache
        self.follower = Follower(store, max_staleness, self._notice, self._forget_all, now, clock)
        self._registry = registry
        self._seal = seal
        self._max_staleness = max_staleness
        self._serves = serves
        self._clock = clock
        self._lookups: dict[str, asyncio.Task[Lookup]] = {}
        self._places = asyncio.Semaphore(MOST_LOOKUPS)
        self._changes = 0
        self._outage = ""
        self._asked_again = 0.0

    def known(self, question: ConsumerQuestion, now: float) -> Lookup | None:
        """What is remembered, None where that does not hold any more; waits for nothing."""
        moment = self._clock()
        if not self._serves and moment - self.follower.synced > self._max_staleness:
            return None
        return self.cache.get(question.key, moment)

    async def find(self, question: ConsumerQuestion, at_most: float) -> Lookup:
        """Looks in the store, within so many seconds; calls for the same key share a look-up."""
        key = question.key
        if self._clock() < self._asked_again:
            return self._in_outage(key, self._outage)
        task = self._lookups.get(key)
        if task is None:
            task = self._lookups[key] = asyncio.create_task(self._look_up(key))
            task.add_done_callback(lambda _: self._lookups.pop(key))
        try:
            async with asyncio.timeout(at_most):
                return await asyncio.shield(task)
        except TimeoutError:
            return self._in_outage(key, "the store did not answer in time")

    def forget(self, name: str, *keys: str) -> None:
        """Has a consumer and these keys looked up again: they were changed here."""
        self._changes += 1
        self.cache.forget(name)
        for key in keys:
            self.cache.forget_key(key)

    async def stop(self) -> None:
        """Ends the look-ups that are under way."""
        tasks = tuple(self._lookups.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_up(self, key: str) -> Lookup:
        try:
            async with self._places:
                return await self._read(key)
        except StoreFailed as failure:
            self._outage = str(failure)
            self._asked_again = self._clock() + RETRY
            log.debug("a consumer can't be looked up: %s", failure)
            return self._in_outage(key, self._outage)
        except UnreadableConsumer as problem:
            log.warning("%s", problem)
            answer = Lookup(None, str(problem))
            self.cache.keep_missing(key, answer, self._clock())
            return answer

    async def _read(self, key: str) -> Lookup:
        """What the store has; remembered, unless it may have changed meanwhile."""
        for _ in range(_ROUNDS):
            changes, moment = self._changes, self._clock()
            found = await self._found(key)
            if changes == self._changes:
                break
        else:
            return Lookup(found[0]) if found else UNKNOWN
        if found is None:
            self.cache.keep_missing(key, UNKNOWN, moment)
            return UNKNOWN
        return self.cache.keep(key, *found, moment)

    async def _found(self, key: str) -> tuple[Consumer, int] | None:
        """The consumer with this key and its version; the same object as long as it is the same."""
        name = await self._registry.owner(key)
        found = None if name is None else await self._registry.get(name)
        if found is None or found[0].key != key:
            return None
        kept, version = found
        last = self.cache.last(key)
        if last and last[1] == version:
            return last
        return consumer_of(kept, self._seal), version

    def _in_outage(self, key: str, problem: str) -> Lookup:
        last = self.cache.last(key) if self._serves else None
        if last is None:
            return _unanswered(problem)
        self.cache.prolong(key, self._clock() + RETRY)
        return Lookup(last[0])

    def _notice(self, changes: Sequence[Named]) -> None:
        """What other sidecars changed, and this one."""
        self._changes += 1
        for one in changes:
            if self.cache.version(one.name) == one.record.version:
                continue
            self.cache.forget(one.name)
            if one.record.data:
                try:
                    self.cache.forget_key(parse(one.name, one.record.data).key)
                except UnreadableConsumer as problem:
                    log.warning("%s", problem)

    def _forget_all(self) -> None:
        self._changes += 1
        self.cache.clear()


class NamedConsumerLookup:
    """Answers NamedConsumerQuestion, for who signs in a consumer's name: from the store, always."""

    def __init__(self, registry: Registry, seal: Seal) -> None:
        self._registry = registry
        self._seal = seal

    def known(self, question: NamedConsumerQuestion, now: float) -> Lookup | None:
        """None: nothing is remembered."""
        return None

    async def find(self, question: NamedConsumerQuestion, at_most: float) -> Lookup:
        """Reads the consumer, within so many seconds."""
        try:
            async with asyncio.timeout(at_most):
                found = await self._registry.get(question.name)
            return UNKNOWN if found is None else Lookup(consumer_of(found[0], self._seal))
        except TimeoutError:
            return _unanswered("the store did not answer in time")
        except StoreFailed as failure:
            return _unanswered(str(failure))
        except UnreadableConsumer as problem:
            return Lookup(None, str(problem))


def consumer_of(kept: KeptConsumer, seal: Seal) -> Consumer:
    """What the checks need of a consumer; raises UnreadableConsumer."""
    material = kept.public_key.encode()
    if kept.sealed_secret:
        material = seal.open(kept.name, kept.sealed_secret)
    try:
        key = credential(kept.algorithm, material)
    except (KeyError, UnusableKey) as problem:
        raise UnreadableConsumer(
            f"the credential of consumer {kept.name} does not fit {kept.algorithm}: {problem}"
        ) from None
    return Consumer(
        kept.name,
        kept.key,
        kept.algorithm,
        key,
        kept.labels,
        disabled=kept.disabled,
        grants=kept.grants,
    )


def _unanswered(problem: str) -> Lookup:
    return Lookup(None, f"consumers can't be looked up in the store: {problem}")
