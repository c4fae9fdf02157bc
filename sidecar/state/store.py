"""Versioned records by kind and name: what every store promises."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Final

ABSENT: Final = 0
"""The version of a record that is not there."""
MOST_AT_ONCE: Final = 1000
"""Records that `page` and `changes` give in one call at most."""


class StoreFailed(Exception):
    """A store can't be opened, read or written: where it is, why, and what helps.

    What was asked for is then either done in full or not at all.
    """


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept under one name."""

    data: bytes = field(repr=False)
    """May hold a private key, so it is in no repr."""
    version: int
    """Above 0. No two writes to one store ever give the same, and a later one gives a higher."""
    expire_time: float | None = None
    """Seconds since the epoch after which the store may remove it; None: it stays."""


@dataclass(frozen=True, slots=True)
class Named:
    """A record and its name."""

    name: str
    record: Record


@dataclass(frozen=True, slots=True)
class Write:
    """A record that is to be written, or removed."""

    kind: str
    name: str
    data: bytes | None = field(repr=False)
    """None removes the record."""
    expected_version: int | None = None
    """The version that it must have: ABSENT for one that must be new, None for whatever it is."""
    expire_time: float | None = None
    """As that of the record."""


class Store(ABC):
    """Records that several sidecars may share. Every method raises StoreFailed in bounded time.

    A change is durable, where the store is, before its method returns. What has expired is there
    until it is removed with a later write, by a clock that never runs ahead of monotonic time
    (`SteadyClock`): most of these records refuse something, and a wall clock that is wrong for a
    moment must not end that. A reader that wants less looks at the record's time itself.
    """

    is_durable: bool
    """Whether the records outlive the process."""

    @property
    def problem(self) -> str:
        """Why it could not be used since it was opened; empty once it could."""
        return ""

    async def wait_until_open(self) -> None:  # noqa: B027 most stores are open or are not there
        """Returns once it could be used."""

    @abstractmethod
    async def get(self, kind: str, name: str) -> Record | None:
        """The record, None where there is none."""

    @abstractmethod
    async def write(self, *writes: Write) -> bool:
        """Makes all of these changes, of distinct records, or none.

        False, and none is made, where one's `expected_version` is not the record's version any
        more: somebody else was faster.
        """

    @abstractmethod
    async def page(self, kind: str, after: str, limit: int) -> tuple[Named, ...]:
        """The first records of a kind whose names come behind `after`, in order of their names.

        At most `limit`, which is at most MOST_AT_ONCE. Names are ordered by their UTF-8.
        """

    @abstractmethod
    async def changes(self, kind: str, after: int, limit: int) -> tuple[Named, ...]:
        """The first records of a kind with versions above `after`, in order of their versions.

        At most `limit`, which is at most MOST_AT_ONCE. What was removed is not among them. No
        write that was answered before is missed, whoever made it.
        """

    @abstractmethod
    async def wait(self, kind: str, at_most: float) -> None:
        """Returns when records of the kind may have changed, after `at_most` seconds at the latest.

        Where the store tells of changes by itself, that is at once, also for a change since the
        last wait for this kind; else when the time is over.
        """

    async def put(
        self,
        kind: str,
        name: str,
        data: bytes,
        expected_version: int | None,
        expire_time: float | None = None,
    ) -> bool:
        """Writes one record."""
        return await self.write(Write(kind, name, data, expected_version, expire_time))

    async def delete(self, kind: str, name: str, expected_version: int) -> bool:
        """Removes one record, which must be there."""
        if expected_version == ABSENT:
            return False
        return await self.write(Write(kind, name, None, expected_version))
