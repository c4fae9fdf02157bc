"""Calls that cost much take turns: in order, a few at a time, and never too many."""

import asyncio
from collections.abc import Iterable
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.token.reason import CallFailed, ErrorReason
from sidecar.turns import AT_A_TIME, QUIET, Turns
from tests.simulated_time import in_simulated_time


class Calls:
    """Calls that note in which turn of the loop they go on."""

    def __init__(self, most: int = 1000) -> None:
        self.turns = Turns(most)
        self.done: list[tuple[int, int]] = []
        """The number of each call, and the turn that it had."""
        self.turn = 0

    async def call(self, number: int) -> None:
        async with self.turns:
            self.done.append((number, self.turn))

    async def run(self, numbers: Iterable[int]) -> None:
        tasks = [asyncio.create_task(self.call(number)) for number in numbers]
        while not all(task.done() for task in tasks):
            self.turn += 1
            await asyncio.sleep(0)


async def test_the_first_wait_for_nothing() -> None:
    calls = Calls()
    await calls.run(range(AT_A_TIME))
    assert calls.done == [(number, 1) for number in range(AT_A_TIME)]


async def test_others_come_in_order_a_few_at_a_time() -> None:
    calls = Calls()
    await calls.run(range(AT_A_TIME * 5))
    assert [number for number, _ in calls.done] == list(range(AT_A_TIME * 5))
    turns = [turn for _, turn in calls.done]
    assert max(turns.count(turn) for turn in turns) == AT_A_TIME


async def test_who_comes_later_waits_behind_those_who_wait() -> None:
    calls = Calls()
    await asyncio.gather(calls.run(range(10)), calls.run(range(10, 12)))
    assert [number for number, _ in calls.done] == list(range(12))


async def turn_away(turns: Turns, calls: int) -> None:
    async with turns:
        for _ in range(calls):
            with pytest.raises(CallFailed):
                await turns.__aenter__()


@in_simulated_time
async def test_the_log_says_once_a_minute_that_calls_are_turned_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    turns = Turns(1)
    await turn_away(turns, 3)
    await asyncio.sleep(QUIET)
    await turn_away(turns, 1)
    assert caplog.messages == [
        f"calls are turned away, {count} by now: 1 calls are at work, as many as "
        "limits.concurrent_calls allows"
        for count in (1, 4)
    ]


async def test_more_than_may_be_are_refused_at_once() -> None:
    turns = Turns(2)
    async with turns, turns:
        with pytest.raises(CallFailed) as failed:
            async with turns:
                pass
        assert failed.value.reason is ErrorReason.LIMIT_EXCEEDED
        assert "limits.concurrent_calls" in failed.value.message
        assert (turns.at_work, turns.refused) == (2, 1)
    async with turns:
        assert turns.at_work == 1


async def test_who_waits_without_a_turn_has_a_place_all_the_same() -> None:
    turns = Turns(2)
    with turns.place():
        async with turns:
            with pytest.raises(CallFailed) as failed, turns.place():
                pass
            assert failed.value.reason is ErrorReason.LIMIT_EXCEEDED
            assert (turns.at_work, turns.refused) == (2, 1)
    assert turns.at_work == 0


def test_a_place_is_free_again_whatever_happens() -> None:
    turns = Turns(1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), turns.place(), turns.waiting_for("x"):
            raise ZeroDivisionError
    assert turns.at_work == 0


@pytest.mark.parametrize(("most", "may_wait"), [(7, 3), (2, 1), (1, 1)])
async def test_half_may_wait_for_the_same(most: int, may_wait: int) -> None:
    turns = Turns(most)
    with ExitStack() as stack:
        for _ in range(may_wait):
            stack.enter_context(turns.waiting_for("x"))
        with pytest.raises(CallFailed, match=f"{may_wait} calls wait for x, half as many as"):
            stack.enter_context(turns.waiting_for("x"))
        stack.enter_context(turns.waiting_for("y"))
        assert turns.refused == 1


async def test_a_call_that_is_given_up_takes_no_turn() -> None:
    calls = Calls()
    given_up = [asyncio.create_task(calls.call(number)) for number in range(20)]
    await asyncio.sleep(0)
    for task in given_up[AT_A_TIME:]:
        task.cancel()
    await asyncio.gather(*given_up, return_exceptions=True)
    assert calls.turns.at_work == 0
    await calls.run(range(100, 100 + AT_A_TIME))
    assert [number for number, _ in calls.done[AT_A_TIME:]] == list(range(100, 100 + AT_A_TIME))


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=20))
async def test_whatever_comes_and_goes_everyone_has_a_turn(waves: list[tuple[int, bool]]) -> None:
    calls, tasks = Calls(), []
    for size, given_up in waves:
        wave = [asyncio.create_task(calls.call(number)) for number in range(size)]
        await asyncio.sleep(0)
        for task in wave if given_up else []:
            task.cancel()
        tasks += wave
    await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
    assert calls.turns.at_work == 0
    assert len(calls.done) + sum(task.cancelled() for task in tasks) == len(tasks)
