"""What is remembered of the consumers in a store.

No input or output, and no clock: times are arguments, in seconds of one that never goes back.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sidecar.state.consumers.record import digest_of
from sidecar.token.snapshot import Consumer
from sidecar.token.stored import UNKNOWN, Lookup

SPREAD: Final = 0.2
"""Of its time to live, by which an entry may end earlier: what was read in one moment, after a
start, is not read again in one moment."""
_NOTHING: Final = (UNKNOWN, -math.inf)


@dataclass(slots=True, eq=False)
class _Entry:
    answer: Lookup
    consumer: Consumer
    version: int
    ends: float


class ConsumerCache:
    """Consumers by their keys, and apart from them keys without one: at most `capacity` of each.

    Of the consumers the one that was not asked for longest goes first, of the keys the oldest.
    So a flood of invented keys pushes out no consumer. `random` gives numbers from 0 to 1.
    """

    def __init__(
        self, capacity: int, ttl: float, missing_ttl: float, random: Callable[[], float]
    ) -> None:
        self.capacity = capacity
        self.hits = 0
        self.misses = 0
        self._ttl = ttl
        self._missing_ttl = missing_ttl
        self._random = random
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._keys: dict[str, str] = {}
        self._missing: OrderedDict[str, tuple[Lookup, float]] = OrderedDict()

    def __len__(self) -> int:
        """How many consumers there are."""
        return len(self._entries)

    def get(self, key: str, now: float) -> Lookup | None:
        """What is known of a key at this moment."""
        entry = self._entries.get(key)
        if entry is not None:
            if now < entry.ends:
                self.hits += 1
                self._entries.move_to_end(key)
                return entry.answer
        elif self._missing:
            answer, ends = self._missing.get(digest_of(key), _NOTHING)
            if now < ends:
                self.hits += 1
                return answer
        self.misses += 1
        return None

    def last(self, key: str) -> tuple[Consumer, int] | None:
        """The consumer that had this key, and its version, however long ago it was read."""
        entry = self._entries.get(key)
        return (entry.consumer, entry.version) if entry else None

    def keep(self, key: str, consumer: Consumer, version: int, now: float) -> Lookup:
        """Remembers a consumer, in place of what is known of its name and of the key."""
        self.forget(consumer.name)
        self.forget_key(key)
        answer = Lookup(consumer)
        ends = now + self._ttl * (1 - SPREAD * self._random())
        self._entries[key] = _Entry(answer, consumer, version, ends)
        self._keys[consumer.name] = key
        if len(self._entries) > self.capacity:
            self.forget_key(next(iter(self._entries)))
        return answer

    def keep_missing(self, key: str, answer: Lookup, now: float) -> None:
        """Remembers that no consumer of this key can be had."""
        self.forget_key(key)
        self._missing[digest_of(key)] = (answer, now + self._missing_ttl)
        if len(self._missing) > self.capacity:
            self._missing.popitem(last=False)

    def prolong(self, key: str, until: float) -> None:
        """Lets what is remembered of a consumer hold until then at least."""
        if entry := self._entries.get(key):
            entry.ends = max(entry.ends, until)

    def version(self, name: str) -> int | None:
        """That of the record which is remembered of a consumer."""
        key = self._keys.get(name)
        return None if key is None else self._entries[key].version

    def forget(self, name: str) -> None:
        """Forgets a consumer, if it is there."""
        if (key := self._keys.pop(name, None)) is not None:
            del self._entries[key]

    def forget_key(self, key: str) -> None:
        """Forgets what is known of a key."""
        self._missing.pop(digest_of(key), None)
        if entry := self._entries.pop(key, None):
            del self._keys[entry.consumer.name]

    def clear(self) -> None:
        """Forgets all."""
        self._entries.clear()
        self._keys.clear()
        self._missing.clear()
