"""Versioned records by kind and name: what every store promises."""

from dataclasses import dataclass, field
from typing import Final, Protocol

ABSENT: Final = 0
"""The version of a record that is not there."""


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
    """Above 0. No two writes to one store ever give the same."""


class Store(Protocol):
    """Records that several sidecars may share. Every method raises StoreFailed.

    A change is durable, where the store is, before its method returns. Where `expected_version`
    is not the record's version any more, somebody else was faster: nothing changes, and the
    answer is False.
    """

    @property
    def is_durable(self) -> bool:
        """Whether the records outlive the process."""

    async def get(self, kind: str, name: str) -> Record | None:
        """The record, None where there is none."""

    async def put(self, kind: str, name: str, data: bytes, expected_version: int) -> bool:
        """Writes the record; `expected_version` ABSENT makes a new one."""

    async def delete(self, kind: str, name: str, expected_version: int) -> bool:
        """Removes the record."""
