"""The steady clock goes on after a restart: nothing that refuses is forgotten early, ever."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.state import memory
from sidecar.state.clock_record import EXPIRING, HOLD, KIND, NAME, PACE, kept
from sidecar.state.memory import MemoryStore
from sidecar.state.one_time import TOKENS, OneTimeUses
from sidecar.steady import UNKNOWN, SteadyClock
from sidecar.token.checks.one_time import OneTimeUse
from sidecar.token.use import Use
from tests.simulated_time import in_simulated_time
from tests.unit.state.shared import START, Clock, Shared

DAY = 86400.0


class Disk:
    """A store that outlives the sidecars; whichever runs has its clock remove what has expired."""

    def __init__(self) -> None:
        self.steady: SteadyClock
        self.store = Shared(lambda: self.steady())

    @asynccontextmanager
    async def running(self, clock: Clock) -> AsyncIterator[SteadyClock]:
        self.steady = SteadyClock(clock, asyncio.get_running_loop().time, HOLD, UNKNOWN)
        async with kept(self.store, self.steady):
            yield self.steady


@in_simulated_time
async def test_in_an_empty_store_it_is_the_wall_clock() -> None:
    clock = Clock()
    async with Disk().running(clock) as steady:
        assert steady() == clock()


@in_simulated_time
async def test_in_memory_it_is_the_wall_clock_and_nothing_is_written() -> None:
    clock = Clock()
    steady = SteadyClock(clock, asyncio.get_running_loop().time, HOLD, UNKNOWN)
    store = MemoryStore(steady)
    async with kept(store, steady):
        await asyncio.sleep(10 * PACE)
        assert steady() == clock()
        assert await store.get(KIND, NAME) is None


@pytest.mark.parametrize("kind", EXPIRING)
def test_in_a_store_of_an_older_version_nothing_is_forgotten_for_a_period(kind: str) -> None:
    @in_simulated_time
    async def check() -> None:
        clock, disk = Clock(), Disk()
        disk.steady = SteadyClock(clock, asyncio.get_running_loop().time, HOLD)
        await disk.store.put(kind, "a", b"", None, START + 60)
        async with disk.running(clock) as steady:
            assert steady() == 0.0
            await asyncio.sleep(HOLD + 2 * PACE)
            assert steady() == clock()

    check()


@in_simulated_time
async def test_after_a_restart_it_is_late_by_the_downtime() -> None:
    clock, disk = Clock(), Disk()
    async with disk.running(clock):
        await asyncio.sleep(3600.0 + 1)
    await asyncio.sleep(500.0)
    clock.ahead = 2 * DAY
    async with disk.running(clock) as steady:
        late = clock() - 2 * DAY - steady()
        assert 500.0 <= late <= 500.0 + 2 * PACE


@in_simulated_time
async def test_while_the_store_is_away_at_the_start_nothing_is_forgotten() -> None:
    clock, disk = Clock(), Disk()
    async with disk.running(clock):
        await asyncio.sleep(3600.0)
    disk.store.works = False
    async with disk.running(clock) as steady:
        await asyncio.sleep(1000.0)
        assert steady() < DAY
        disk.store.works = True
        await asyncio.sleep(2 * PACE)
        assert clock() - 1100.0 < steady() < clock()


@in_simulated_time
async def test_an_outage_later_changes_nothing() -> None:
    clock, disk = Clock(), Disk()
    async with disk.running(clock) as steady:
        disk.store.works = False
        await asyncio.sleep(3600.0)
        assert steady() == clock()
        disk.store.works = True
        await asyncio.sleep(2 * PACE)
        assert await disk.store.get(KIND, NAME) is not None


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="an array"),
        pytest.param(b"[" * 100_000, id="nested too deep"),
        pytest.param(b'{"time": 1}', id="a part is missing"),
        pytest.param(b'{"time": 1e300, "lead": 0, "observed": 0}', id="too late a time"),
        pytest.param(b'{"time": NaN, "lead": 0, "observed": 0}', id="no number"),
        pytest.param(b'{"time": 1.7e9, "lead": -5, "observed": 0}', id="a lead below zero"),
        pytest.param(b'{"time": 1.7e9, "lead": NaN, "observed": 0}', id="a lead that is none"),
        pytest.param(b'{"time": 1.7e9, "lead": 0, "observed": -1e9}', id="observed below zero"),
    ],
)
def test_a_damaged_record_forgets_nothing(data: bytes) -> None:
    @in_simulated_time
    async def check() -> None:
        clock, disk = Clock(), Disk()
        disk.steady = SteadyClock(clock, asyncio.get_running_loop().time, HOLD)
        await disk.store.put(KIND, NAME, data, None)
        async with disk.running(clock) as steady:
            assert steady() == 0.0
            assert steady.latest < math.inf

    check()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["use", "wait", "jump", "restart"]),
        st.floats(0.0, HOLD / 3),
        st.floats(-3 * DAY, 3 * DAY),
    ),
    max_size=25,
)


@settings(max_examples=30, deadline=None)
@given(STEPS)
def test_a_used_token_never_passes_again(steps: list[tuple[str, float, float]]) -> None:
    """Whatever the clock does, as long as it is right once a day while the sidecar runs.

    Tokens live for an hour by the clock of the moment. Each that was used is tried after each step.
    """

    @in_simulated_time
    async def check() -> None:
        clock, disk, used = Clock(), Disk(), list[OneTimeUse]()
        while steps:
            async with disk.running(clock) as steady:
                uses = OneTimeUses(disk.store, TOKENS, steady)
                await run(clock, disk, uses, used, steps)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "_SWEEP", 1)
        check()


async def run(
    clock: Clock,
    disk: Disk,
    uses: OneTimeUses,
    used: list[OneTimeUse],
    steps: list[tuple[str, float, float]],
) -> None:
    """Take steps until the next restart."""
    while steps:
        kind, seconds, ahead = steps.pop()
        if kind == "use":
            one = OneTimeUse(f"{len(used)}", clock() + 3600 + 660, uses_up=True)
            if await uses.find(one, 1.0) is Use.FIRST:
                used.append(one)
        elif kind == "restart":
            await asyncio.sleep(2 * PACE)
            return
        else:
            clock.ahead = ahead if kind == "jump" else 0.0
            await asyncio.sleep(seconds)
            clock.ahead = 0.0
            await asyncio.sleep(2 * PACE)
        await disk.store.put("other", "a", b"", None)  # what has expired is removed
        for one in used:
            if one.expire_time > clock():  # else it has expired, and is refused for that
                assert await uses.find(one, 1.0) is not Use.FIRST
