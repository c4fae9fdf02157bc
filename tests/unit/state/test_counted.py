"""What the log says of a store that fails, whoever asked it."""

import asyncio
from collections import Counter

import pytest

from sidecar.state.counted import CALM, CountedStore
from sidecar.state.memory import MemoryStore
from sidecar.state.store import Record, StoreFailed
from tests.simulated_time import in_simulated_time

FULL = "state.db: the disk is full; free some space"
FAILS = f"store: get fails: {FULL}"
WORKS = "store: get works again"


class Disk(MemoryStore):
    """A store that fails while its disk is full."""

    is_full = False

    async def get(self, kind: str, name: str) -> Record | None:
        if self.is_full:
            raise StoreFailed(FULL)
        return await super().get(kind, name)


class Asked:
    """Such a store, asked through the one that counts."""

    def __init__(self) -> None:
        self.disk = Disk()
        self.failures: Counter[str] = Counter()
        self._store = CountedStore(self.disk, self.failures)

    async def fails(self) -> None:
        self.disk.is_full = True
        with pytest.raises(StoreFailed):
            await self._store.get("kind", "name")

    async def works(self) -> None:
        self.disk.is_full = False
        assert await self._store.get("kind", "name") is None


@in_simulated_time
async def test_the_first_failure_is_told_and_all_are_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = Asked()
    for _ in range(3):
        await asked.fails()
    assert caplog.messages == [FAILS]
    assert asked.failures == {"get": 3}


@in_simulated_time
async def test_the_end_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    asked = Asked()
    await asked.fails()
    await asyncio.sleep(CALM)
    await asked.works()
    await asked.works()
    assert caplog.messages == [FAILS, WORKS]


@in_simulated_time
async def test_what_fails_every_other_time_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    asked = Asked()
    for _ in range(100):
        await asked.fails()
        await asyncio.sleep(CALM / 2)
        await asked.works()
    assert caplog.messages == [FAILS]


@in_simulated_time
async def test_the_next_outage_is_told_again(caplog: pytest.LogCaptureFixture) -> None:
    asked = Asked()
    await asked.fails()
    await asyncio.sleep(CALM)
    await asked.works()
    await asked.fails()
    assert caplog.messages == [FAILS, FAILS]
