"""A token is used up in the store, once among all sidecars, or not at all."""

import asyncio
import time
from pathlib import Path

import pytest

from sidecar.state.clock_record import HOLD
from sidecar.state.memory import MemoryStore
from sidecar.state.one_time import PROOFS, TOKENS, OneTimeUses
from sidecar.state.sqlite import SqliteStore
from sidecar.steady import SteadyClock
from sidecar.token.checks.one_time import OneTimeUse
from sidecar.token.use import Use
from tests.simulated_time import in_simulated_time
from tests.unit.state.shared import START, Clock, Shared, steady_clock

FIRST_USE = OneTimeUse("a", START + 60, uses_up=True)
LOOK = OneTimeUse("a", START + 60, uses_up=False)


@in_simulated_time
async def test_the_first_use_is_the_only_one() -> None:
    steady = steady_clock(Clock())
    uses = OneTimeUses(MemoryStore(steady), TOKENS, steady)
    asked = (LOOK, FIRST_USE, FIRST_USE, LOOK)
    found = [await uses.find(one, 1.0) for one in asked]
    assert found == [Use.FIRST, Use.FIRST, Use.AGAIN, Use.AGAIN]


@in_simulated_time
async def test_nothing_is_known_without_asking() -> None:
    steady = steady_clock(Clock())
    uses = OneTimeUses(MemoryStore(steady), TOKENS, steady)
    await uses.find(FIRST_USE, 1.0)
    known: object = uses.known(FIRST_USE, START)  # type: ignore[func-returns-value]
    assert known is None


@in_simulated_time
async def test_kinds_of_things_are_apart() -> None:
    steady = steady_clock(Clock())
    store = MemoryStore(steady)
    kinds = (TOKENS, PROOFS)
    found = [await OneTimeUses(store, kind, steady).find(FIRST_USE, 1.0) for kind in kinds]
    assert found == [Use.FIRST, Use.FIRST]


@pytest.mark.parametrize("question", [FIRST_USE, LOOK])
def test_what_may_be_forgotten_is_never_the_first_use(question: OneTimeUse) -> None:
    """A clock that is set back makes a token pass that expired long ago."""

    @in_simulated_time
    async def check() -> None:
        clock = Clock()
        steady = steady_clock(clock)
        uses = OneTimeUses(MemoryStore(steady), TOKENS, steady)
        await asyncio.sleep(59)
        steady()
        assert await uses.find(LOOK, 1.0) is Use.FIRST
        await asyncio.sleep(1)
        steady()
        clock.ahead = -3600
        steady()
        assert await uses.find(question, 1.0) is Use.FORGOTTEN

    check()


@pytest.mark.parametrize("question", [FIRST_USE, LOOK])
@pytest.mark.parametrize("hangs", [False, True])
def test_without_the_store_it_is_not_known(question: OneTimeUse, hangs: bool) -> None:
    @in_simulated_time
    async def check() -> None:
        steady = steady_clock(Clock())
        store = Shared(steady)
        store.hangs, store.works = hangs, hangs
        began = asyncio.get_running_loop().time()
        assert await OneTimeUses(store, TOKENS, steady).find(question, 3.0) is Use.UNKNOWN
        assert asyncio.get_running_loop().time() - began <= 3.0

    check()


async def test_of_two_sidecars_at_once_one_is_the_first(tmp_path: Path) -> None:
    path = str(tmp_path / "state.db")
    steady = SteadyClock(time.time, time.monotonic, HOLD)
    async with SqliteStore.opened(path) as one, SqliteStore.opened(path) as other:
        for number in range(20):
            question = OneTimeUse(str(number), 1e11, uses_up=True)
            uses = [OneTimeUses(store, TOKENS, steady) for store in (one, other)] * 3
            found = await asyncio.gather(*(each.find(question, 5.0) for each in uses))
            assert sorted(use.name for use in found) == ["AGAIN"] * 5 + ["FIRST"]
