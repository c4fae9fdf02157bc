"""Fetches are bounded, and whoever hangs holds up no others."""

import asyncio

import pytest

from sidecar.keys.places import Places
from tests.simulated_time import in_simulated_time
from tests.unit.keys.provider import now


class Fetches:
    """Fetches through places, each of which takes its time; when each ended, and how many ran."""

    def __init__(self, total: int) -> None:
        self._places = Places(total)
        self.ended: dict[str, float] = {}
        self.at_once = 0
        self.most_at_once = 0

    async def fetch(self, name: str, seconds: float) -> None:
        async def take_time() -> None:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            try:
                async with asyncio.timeout(5):
                    await asyncio.sleep(seconds)
            finally:
                self.at_once -= 1

        try:
            await self._places.run(name, take_time)
        finally:
            self.ended[name] = now()

    async def all(self, *names: str, seconds: float) -> None:
        fetches = (self.fetch(name, seconds) for name in names)
        await asyncio.gather(*fetches, return_exceptions=True)


HANGING = tuple(f"hanging-{number}" for number in range(8))


@in_simulated_time
async def test_what_a_fetch_gives_and_raises_comes_through() -> None:
    async def give() -> str:
        return "keys"

    async def fail() -> str:
        raise ValueError("no keys")

    places = Places(8)
    assert await places.run("corp", give) == "keys"
    with pytest.raises(ValueError, match="no keys"):
        await places.run("corp", fail)


@pytest.mark.parametrize("total", [1, 2, 3, 8])
@pytest.mark.parametrize("seconds", [0.1, 3.0, 60.0])
def test_no_more_than_so_many_at_a_time(total: int, seconds: float) -> None:
    @in_simulated_time
    async def fetch() -> None:
        fetches = Fetches(total)
        for _ in range(2):
            await fetches.all(*(str(number) for number in range(20)), seconds=seconds)
        assert fetches.most_at_once <= total
        assert len(fetches.ended) == 20

    fetch()


@in_simulated_time
async def test_a_fetch_that_is_slow_but_alone_is_not_disturbed() -> None:
    fetches = Fetches(8)
    await fetches.fetch("slow", 3)
    assert fetches.ended == {"slow": pytest.approx(3)}


@in_simulated_time
async def test_eight_that_hang_from_the_start_hold_up_a_ninth_for_a_second_at_most() -> None:
    fetches = Fetches(8)
    hanging = asyncio.create_task(fetches.all(*HANGING, seconds=60))
    await asyncio.sleep(0)
    await fetches.fetch("corp", 0.1)
    assert fetches.ended["corp"] <= 1.2
    await hanging


@in_simulated_time
async def test_eight_that_are_known_to_hang_hold_up_nobody() -> None:
    fetches = Fetches(8)
    await fetches.all(*HANGING, seconds=60)
    began = now()
    hanging = asyncio.create_task(fetches.all(*HANGING, seconds=60))
    await asyncio.sleep(0)
    await fetches.fetch("corp", 0.1)
    assert fetches.ended["corp"] - began == pytest.approx(0.1)
    await hanging


@in_simulated_time
async def test_all_that_hang_get_their_whole_time() -> None:
    fetches = Fetches(2)
    await fetches.all("a", "b", seconds=4)
    assert fetches.ended == {"a": pytest.approx(4), "b": pytest.approx(8)}


@in_simulated_time
async def test_who_is_quick_again_is_held_up_by_none_that_hang() -> None:
    fetches = Fetches(2)
    await fetches.fetch("corp", 3)
    await fetches.fetch("corp", 0.1)
    hanging = asyncio.create_task(fetches.fetch("hanging", 60))
    await asyncio.sleep(2)
    began = now()
    await fetches.fetch("corp", 0.1)
    assert now() - began == pytest.approx(0.1)
    await asyncio.gather(hanging, return_exceptions=True)


@pytest.mark.parametrize("after", [0.5, 1.5])
def test_a_fetch_that_is_cancelled_leaves_its_place(after: float) -> None:
    @in_simulated_time
    async def cancel() -> None:
        fetches = Fetches(2)
        for _ in range(3):
            task = asyncio.create_task(fetches.fetch("corp", 60))
            await asyncio.sleep(after)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert fetches.at_once == 0
        began = now()
        await fetches.fetch("other", 0.1)
        assert now() - began == pytest.approx(0.1)

    cancel()
