"""A store that lasts as long as the process."""

import itertools
from collections.abc import Callable
from typing import Final

from sidecar.state.signals import Signals
from sidecar.state.store import ABSENT, Named, Record, Store, Write
from sidecar.steady import forget_nothing

_SWEEP: Final = 1000
"""Writes after which what has expired is removed."""


class MemoryStore(Store):
    """Records in memory. Never fails. `steady` says what has expired, as for every store."""

    is_durable = False

    def __init__(self, steady: Callable[[], float] = forget_nothing) -> None:
        self._steady = steady
        self._kinds: dict[str, dict[str, Record]] = {}
        self._versions = itertools.count(ABSENT + 1)
        self._signals = Signals()
        self._writes = 0

    async def get(self, kind: str, name: str) -> Record | None:
        """The record, None where there is none."""
        return self._kinds.get(kind, {}).get(name)

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
        records = self._kinds.get(kind, {})
        names = sorted(name for name in records if name > after)
        return tuple(Named(name, records[name]) for name in names[:limit])

    async def changes(self, kind: str, after: int, limit: int) -> tuple[Named, ...]:
        """The first records above this version, by version."""
        # A record that is written again moves to the end, so they are in order of their versions.
        records = self._kinds.get(kind, {}).items()
        found = (Named(name, record) for name, record in records if record.version > after)
        return tuple(itertools.islice(found, limit))

    async def wait(self, kind: str, at_most: float) -> None:
        """Returns after a write of the kind, or when the time is over."""
        await self._signals.wait(kind, at_most)

    def _version(self, kind: str, name: str) -> int:
        record = self._kinds.get(kind, {}).get(name)
        return record.version if record else ABSENT

    def _write(self, one: Write) -> None:
        records = self._kinds.setdefault(one.kind, {})
        records.pop(one.name, None)
        if one.data is not None:
            records[one.name] = Record(one.data, next(self._versions), one.expire_time)
        self._writes += 1
        now = self._steady()  # on every write: the clock is to see the wall clock often
        if self._writes % _SWEEP == 0:
            self._forget_expired(now)

    def _forget_expired(self, now: float) -> None:
        for records in self._kinds.values():
            for name in [name for name, one in records.items() if _has_expired(one, now)]:
                del records[name]


def _has_expired(record: Record, now: float) -> bool:
    return record.expire_time is not None and record.expire_time <= now
