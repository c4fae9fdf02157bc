import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.simulated_time import (
    Deadlock,
    SimulatedTimeLoop,
    in_simulated_time,
    in_simulated_time_with_sockets,
)

Simulated = Callable[[Callable[[], Any]], Callable[[], None]]


@in_simulated_time
async def test_a_day_passes_at_once() -> None:
    began, loop = time.monotonic(), asyncio.get_running_loop()
    await asyncio.sleep(86400)
    assert loop.time() == pytest.approx(86400)
    assert time.monotonic() - began < 60


@in_simulated_time
async def test_timers_end_in_the_order_of_their_times() -> None:
    ended: list[int] = []

    async def sleep(seconds: int) -> None:
        await asyncio.sleep(seconds)
        ended.append(seconds)

    await asyncio.gather(sleep(3), sleep(1), sleep(2))
    assert ended == [1, 2, 3]


def test_waiting_for_nothing_is_an_error_and_no_hang() -> None:
    loop = SimulatedTimeLoop()
    waiting = loop.create_future()
    with pytest.raises(Deadlock):
        loop.run_until_complete(waiting)
    loop.close()


@in_simulated_time_with_sockets
async def test_what_is_on_its_way_between_sockets_arrives_before_the_clock_moves() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, asyncio.timeout(1):
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"a line\n")
        assert await reader.readline() == b"a line\n"
        writer.close()
        assert asyncio.get_running_loop().time() == 0


@pytest.mark.parametrize("simulated", [in_simulated_time, in_simulated_time_with_sockets])
def test_a_thread_at_work_ends_before_the_clock_moves(simulated: Simulated) -> None:
    @simulated
    async def work() -> None:
        async with asyncio.timeout(1):
            await asyncio.to_thread(time.sleep, 0.1)
        assert asyncio.get_running_loop().time() == 0

    work()
