"""A store that lasts as long as the process."""

import itertools

from sidecar.state.store import ABSENT, Record


class MemoryStore:
    """Records in memory. Never fails."""

    is_durable = False

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], Record] = {}
        self._versions = itertools.count(ABSENT + 1)

    async def get(self, kind: str, name: str) -> Record | None:
        """The record, None where there is none."""
        return self._records.get((kind, name))

    async def put(self, kind: str, name: str, data: bytes, expected_version: int) -> bool:
        """Writes the record, unless its version is another."""
        if self._version(kind, name) != expected_version:
            return False
        self._records[kind, name] = Record(data, next(self._versions))
        return True

    async def delete(self, kind: str, name: str, expected_version: int) -> bool:
        """Removes the record, unless its version is another."""
        if expected_version == ABSENT or self._version(kind, name) != expected_version:
            return False
        del self._records[kind, name]
        return True

    def _version(self, kind: str, name: str) -> int:
        record = self._records.get((kind, name))
        return record.version if record else ABSENT
