"""What others revoke is known within max_staleness, whatever happens to the store."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from sidecar.config.store import Store as Setting
from sidecar.state import following
from sidecar.state.following import remembering
from sidecar.state.memory import MemoryStore
from sidecar.state.revocations import KIND, Revocations
from sidecar.state.store import MOST_AT_ONCE
from sidecar.token.revocation import Kind, Revocation
from sidecar.token.revoked import Revoked
from tests.simulated_time import SimulatedTimeLoop, in_simulated_time
from tests.unit.state.shared import LONGEST_CALL, START, Clock, Shared, setting, steady_clock

STALENESS = 2.0


class Sidecar:
    """One that follows the store."""

    def __init__(self, revoked: Revoked, revocations: Revocations) -> None:
        self.revoked = revoked
        self.revocations = revocations

    async def revoke(self, name: str, end: float | None = START + 1e6) -> None:
        await self.revocations.revoke(Revocation(Kind.TOKEN, name, START, end))

    def unknown(self) -> str:
        return self.revoked.unknown

    def knows(self, *names: str) -> bool:
        return all(self.revoked.tokens.get(name) is not None for name in names)


@asynccontextmanager
async def sidecar(
    store: MemoryStore, clock: Clock, settings: Setting | None = None
) -> AsyncIterator[Sidecar]:
    revoked = Revoked("secret")
    steady = steady_clock(clock)
    async with remembering(
        store, lambda: settings or setting(), revoked, clock, steady
    ) as revocations:
        yield Sidecar(revoked, revocations)


@asynccontextmanager
async def two(store: Shared, clock: Clock) -> AsyncIterator[tuple[Sidecar, Sidecar]]:
    async with AsyncExitStack() as stack:
        one, other = [await stack.enter_async_context(sidecar(store, clock)) for _ in range(2)]
        yield one, other


@in_simulated_time
async def test_what_is_revoked_before_the_start_is_known_at_once() -> None:
    clock = Clock()
    store = Shared(clock)
    names = [str(number) for number in range(2 * MOST_AT_ONCE + 5)]
    async with sidecar(store, clock) as one:
        for name in names:
            await one.revoke(name)
    async with sidecar(store, clock) as other:
        assert other.knows(*names)
        assert len(other.revoked) == len(names)


@pytest.mark.parametrize("tells", [True, False])
def test_what_another_revokes_is_known_within_max_staleness(tells: bool) -> None:
    @in_simulated_time
    async def check() -> None:
        clock = Clock()
        store = Shared(clock)
        store.tells = tells
        async with two(store, clock) as (one, other):
            await asyncio.sleep(0.3)
            await one.revoke("a")
            assert one.knows("a")
            assert tells or not other.knows("a")
            await asyncio.sleep(0.0001 if tells else STALENESS / 2)
            assert other.knows("a")

    check()


@in_simulated_time
async def test_however_many_there_are_one_look_finds_all() -> None:
    clock = Clock()
    store = Shared(clock)
    store.tells = False
    async with two(store, clock) as (one, other):
        await one.revoke("first")
        await asyncio.sleep(STALENESS)
        names = [str(number) for number in range(2 * MOST_AT_ONCE + 5)]
        for name in names:
            await one.revoke(name)
        await asyncio.sleep(STALENESS / 4 + 0.01)
        assert other.knows(*names)


@in_simulated_time
async def test_what_is_known_is_not_read_again() -> None:
    clock = Clock()
    store = Shared(clock)
    async with two(store, clock) as (one, _):
        for number in range(100):
            await one.revoke(str(number))
        await asyncio.sleep(STALENESS)
        before = store.reads
        await asyncio.sleep(50 * STALENESS)
        assert store.reads - before <= 2 * 50 * 5


@in_simulated_time
async def test_until_a_store_that_is_away_at_the_start_answers_nothing_passes() -> None:
    clock = Clock()
    store = Shared(clock)
    async with sidecar(store, clock) as one:
        await one.revoke("a")
    store.works = False
    async with sidecar(store, clock) as one:
        await asyncio.sleep(3600)
        assert "has not answered since the start" in one.unknown()
        store.works = True
        await asyncio.sleep(STALENESS)
        assert one.unknown() == ""
        assert one.knows("a")


@pytest.mark.parametrize("hangs", [False, True])
def test_after_an_outage_all_is_caught_up(hangs: bool) -> None:
    @in_simulated_time
    async def check() -> None:
        clock = Clock()
        store = Shared(clock)
        async with two(store, clock) as (one, other):
            await one.revoke("a")
            await asyncio.sleep(STALENESS)
            store.hangs, store.works = hangs, hangs
            await asyncio.sleep(3600)
            store.hangs, store.works = False, True
            await one.revoke("b")
            await asyncio.sleep(STALENESS + LONGEST_CALL)
            assert other.knows("a", "b")

    check()


@pytest.mark.parametrize(
    ("on_outage", "denied"),
    [pytest.param("serve", False, id="serve"), pytest.param("deny", True, id="deny")],
)
@pytest.mark.parametrize("hangs", [False, True])
def test_in_an_outage(
    on_outage: str, denied: bool, hangs: bool, caplog: pytest.LogCaptureFixture
) -> None:
    @in_simulated_time
    async def check() -> None:
        clock = Clock()
        store = Shared(clock)
        async with sidecar(store, clock, setting(on_outage)) as one:
            await one.revoke("a")
            await asyncio.sleep(60)
            store.hangs, store.works = hangs, hangs
            await asyncio.sleep(STALENESS / 2)
            assert one.unknown() == ""
            await asyncio.sleep(STALENESS * 2)
            told = one.unknown()
            assert ("since 2027-01-15T08:00:59Z" in told or "08:01:00Z" in told) is denied
            assert ("store.on_outage is deny" in told) is denied
            await asyncio.sleep(3600)
            assert one.unknown() == told
            assert one.knows("a")
            store.hangs, store.works = False, True
            await asyncio.sleep(STALENESS + LONGEST_CALL)
            assert one.unknown() == ""

    check()
    assert "an't be followed" not in caplog.text


@in_simulated_time
async def test_while_the_store_works_nothing_is_denied() -> None:
    clock = Clock()
    store = Shared(clock)
    store.tells = False
    async with sidecar(store, clock, setting("deny")) as one:
        for _ in range(200):
            await asyncio.sleep(0.37)
            assert one.unknown() == ""


@pytest.mark.parametrize(("on_outage", "denied"), [("serve", False), ("deny", True)])
def test_where_the_process_stood_still_the_first_call_is_judged_as_in_an_outage(
    on_outage: str, denied: bool
) -> None:
    """Frozen or stopped, it hears of the call before any timer goes off."""

    @in_simulated_time
    async def check() -> None:
        clock, loop = Clock(), asyncio.get_running_loop()
        assert isinstance(loop, SimulatedTimeLoop)
        async with sidecar(Shared(clock), clock, setting(on_outage)) as one:
            loop.advance(STALENESS - 0.001)
            one.revoked.look(loop.time())
            assert one.unknown() == ""
            loop.advance(0.001)
            one.revoked.look(loop.time())
            assert ("store.on_outage is deny" in one.unknown()) is denied
            await asyncio.sleep(STALENESS)
            one.revoked.look(loop.time())
            assert one.unknown() == ""

    check()


def test_an_outage_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    @in_simulated_time
    async def check() -> None:
        clock = Clock()
        store = Shared(clock)
        async with sidecar(store, clock, setting("deny")):
            store.works = False
            await asyncio.sleep(3600)
            store.works = True
            await asyncio.sleep(STALENESS)

    caplog.set_level(logging.INFO, "sidecar")
    check()
    assert [record.getMessage() for record in caplog.records] == [
        "revocations made elsewhere can't be read: redis:6379: it does not answer",
        "revocations made elsewhere since 2027-01-15T08:00:00Z are not known; by store.on_outage, "
        "every token is refused meanwhile",
        "revocations made elsewhere are read again",
    ]


def test_an_error_of_ours_does_not_end_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    @in_simulated_time
    async def check() -> None:
        clock = Clock()
        store = Shared(clock)
        async with two(store, clock) as (one, other):
            monkeypatch.setattr(following, "read", None)
            await one.revoke("a")
            await asyncio.sleep(60)
            monkeypatch.undo()
            await one.revoke("b")
            await asyncio.sleep(STALENESS)
            assert other.knows("a", "b")

    check()
    assert "can't be followed" in caplog.text


@pytest.mark.parametrize("writes", [1, 20])
def test_a_store_that_was_emptied_is_read_from_its_beginning(writes: int) -> None:
    """Its versions begin again, and may have grown beyond those that were read."""

    @in_simulated_time
    async def check() -> None:
        clock = Clock()
        store = Shared(clock)
        async with two(store, clock) as (one, other):
            for number in range(10):
                await one.revoke(f"before {number}")
            await asyncio.sleep(STALENESS)
            store.empty()
            for number in range(writes):
                await one.revoke(f"after {number}")
            await asyncio.sleep(STALENESS)
            assert other.knows(*(f"after {number}" for number in range(writes)))
            assert other.knows(*(f"before {number}" for number in range(10)))

    check()


@pytest.mark.parametrize("late", [1.0, 10.0, 600.0])
def test_what_was_read_last_may_expire(late: float, caplog: pytest.LogCaptureFixture) -> None:
    @in_simulated_time
    async def check() -> None:
        clock = Clock()
        store = Shared(clock)
        async with two(store, clock) as (one, other):
            await one.revoke("long")
            await one.revoke("short", clock() + 5)
            await asyncio.sleep(STALENESS)
            await asyncio.sleep(late)
            await one.revoke("next")
            await asyncio.sleep(STALENESS)
            assert other.knows("long", "next")

    check()
    assert "not as it was" not in caplog.text


@in_simulated_time
async def test_what_was_read_last_may_be_written_again() -> None:
    clock = Clock()
    store = Shared(clock)
    async with two(store, clock) as (one, other):
        await one.revoke("a", START + 1000)
        await asyncio.sleep(STALENESS)
        await one.revoke("a", START + 2000)
        await one.revoke("b")
        await asyncio.sleep(STALENESS)
        assert other.knows("a", "b")


@pytest.mark.parametrize("jump", [1e5, -1e5])
def test_a_clock_that_jumps_and_comes_back_loses_nothing(jump: float) -> None:
    @in_simulated_time
    async def check() -> None:
        clock = Clock()
        store = Shared(clock)
        async with two(store, clock) as (one, other):
            await one.revoke("before", START + 5e4)
            await asyncio.sleep(STALENESS)
            clock.ahead = jump
            await one.revoke("meanwhile", START + 5e4)
            await one.revoke("and after it", START + 1e6)
            await asyncio.sleep(3600)
            clock.ahead = 0.0
            await asyncio.sleep(STALENESS)
            assert one.knows("before", "meanwhile", "and after it")
            assert other.knows("before", "meanwhile", "and after it")

    check()


@in_simulated_time
async def test_what_a_clock_forgot_that_was_ahead_since_its_start_is_known_again() -> None:
    right, wrong = Clock(), Clock()
    wrong.ahead = 2 * 86400.0
    store = Shared(right)
    async with sidecar(store, right) as one, sidecar(store, wrong) as other:
        await one.revoke("a", START + 5000)
        await asyncio.sleep(STALENESS)
        assert not other.knows("a")
        wrong.ahead = 0.0
        await asyncio.sleep(STALENESS)
        assert other.knows("a")
        await one.revoke("b", START + 5000)
        await asyncio.sleep(STALENESS)
        assert other.knows("a", "b")


@in_simulated_time
async def test_what_has_ended_is_forgotten() -> None:
    clock = Clock()
    async with sidecar(Shared(clock), clock) as one:
        await one.revoke("a", START + 60)
        await asyncio.sleep(1500)
        assert len(one.revoked) == 0


@in_simulated_time
async def test_it_ends_at_once_also_while_the_store_hangs() -> None:
    clock = Clock()
    store = Shared(clock)
    async with sidecar(store, clock):
        store.hangs = True
        await asyncio.sleep(5)
        ended = clock()
    assert clock() == ended


@in_simulated_time
async def test_a_store_of_this_process_alone_is_not_followed() -> None:
    clock = Clock()
    async with sidecar(MemoryStore(clock), clock) as one:
        await one.revoke("a")
        assert one.knows("a")
        assert [task.get_name() for task in asyncio.all_tasks()] == [
            asyncio.current_task().get_name()  # type: ignore[union-attr]
        ]


def test_of_a_damaged_record_the_log_tells_once(caplog: pytest.LogCaptureFixture) -> None:
    @in_simulated_time
    async def check() -> None:
        clock = Clock()
        store = Shared(clock)
        await store.put(KIND, "token a", b"", None)
        async with sidecar(store, clock) as one:
            await asyncio.sleep(60)
            assert one.knows("a")

    check()
    assert caplog.text.count("is damaged") == 1


def test_of_a_kind_that_a_newer_sidecar_knows_the_log_tells_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @in_simulated_time
    async def check() -> None:
        clock = Clock()
        store = Shared(clock)
        for name in ("family a", "family b"):
            await store.put(KIND, name, b"", None)
        async with sidecar(store, clock):
            await asyncio.sleep(60)

    check()
    assert caplog.text.count("of a kind that this version does not know") == 1
