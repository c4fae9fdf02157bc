"""A store that lasts as long as the process."""

import itertools
import time
from collections.abc import Callable
from typing import Final

from sidecar.state.signals import Signals
from sidecar.state.store import ABSENT, Named, Record, Store, Write

_SWEEP: Final = 1000
"""Writes after which what has expired is removed."""


class MemoryStore(Store):
    """Records in memory. Never fails. `now` gives seconds since the epoch."""

    is_durable = False

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._kinds: dict[str, dict[str, Record]] = {}
        self._versions = itertools.count(ABSENT + 1)
        self._signals = Signals()
        self._writes = 0

    async def get(self, kind: str, name: str) -> Record | None:
        """The record, None where there is none."""
        return self._get(kind, name)

    async def write(self, *writes: Write) -> bool:
        """Makes all of these changes, or none."""
        for one in writes:
            if one.expected_version not in {None, self._version(one.kind, one.name)}:
                return False
        for one in writes:
            self._write(one)
            self._signals.tell(one.kind)
        return True

    async def page(self, kind: str, after: str, limit: int) -> tuple[Named, ...]:
        """The first records behind this name, by name."""
        names = sorted(name for name in self._kinds.get(kind, {}) if name > after)
        found = (Named(name, record) for name in names if (record := self._get(kind, name)))
        return tuple(itertools.islice(found, limit))

    async def changes(self, kind: str, after: int, limit: int) -> tuple[Named, ...]:
        """The first records above this version, by version."""
        # A record that is written again moves to the end, so they are in order of their versions.
        names = [name for name, one in self._kinds.get(kind, {}).items() if one.version > after]
        found = (Named(name, record) for name in names if (record := self._get(kind, name)))
        return tuple(itertools.islice(found, limit))

    async def wait(self, kind: str, at_most: float) -> None:
        """Returns after a write of the kind, or when the time is over."""
        await self._signals.wait(kind, at_most)

    def _get(self, kind: str, name: str) -> Record | None:
        record = self._kinds.get(kind, {}).get(name)
        if record and record.expire_time is not None and record.expire_time <= self._now():
            return None
        return record

    def _version(self, kind: str, name: str) -> int:
        record = self._get(kind, name)
        return record.version if record else ABSENT

    def _write(self, one: Write) -> None:
        records = self._kinds.setdefault(one.kind, {})
        records.pop(one.name, None)
        if one.data is not None:
            records[one.name] = Record(one.data, next(self._versions), one.expire_time)
        self._writes += 1
        if self._writes % _SWEEP == 0:
            self._forget_expired()

    def _forget_expired(self) -> None:
        for kind, records in self._kinds.items():
            for name in [name for name in records if self._get(kind, name) is None]:
                del records[name]
