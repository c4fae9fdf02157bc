"""What becomes of the questions under way when a directory is closed."""

import asyncio

from sidecar.subjects.directory import Directory, Found, Times
from sidecar.subjects.remembered import Remembered
from sidecar.token.subject import Standing
from tests.simulated_time import in_simulated_time


class Slow:
    """Answers after five seconds."""

    async def look_up(self, subject: str) -> Found:
        await asyncio.sleep(5)
        return Found(Standing.EXISTS)

    async def close(self) -> None:
        """Holds nothing."""


def slow() -> Directory:
    return Directory("users", Slow(), Times(60, 10, 30), Remembered(9), lambda: 0.5, lambda: 1e9)


@in_simulated_time
async def test_a_stop_does_not_wait_for_a_slow_directory() -> None:
    directory = slow()
    call = asyncio.create_task(directory.find("alice", 30))
    await asyncio.sleep(1)
    directory.try_out()  # its task has not begun yet
    directory.abandon()
    await directory.close()
    assert asyncio.get_running_loop().time() == 1
    assert (await call).standing is Standing.NO_ANSWER


@in_simulated_time
async def test_a_reload_lets_calls_under_way_have_their_answers() -> None:
    directory = slow()
    call = asyncio.create_task(directory.find("alice", 30))
    await asyncio.sleep(1)
    await directory.close()
    assert asyncio.get_running_loop().time() == 5
    assert (await call).standing is Standing.EXISTS
