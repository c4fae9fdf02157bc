"""What RemoteKeys tells of itself, and hands on to the next one of the same source."""

import asyncio

import pytest

from sidecar.keys.answer import Outcome, Validators
from sidecar.keys.schedule import Schedule
from tests.simulated_time import in_simulated_time
from tests.unit.keys.provider import (
    ANSWERS_500,
    HANGS,
    K1,
    K2,
    NOT_MODIFIED,
    NOW,
    SYMMETRIC,
    URL,
    Provider,
    now,
    running,
    tagged,
    until,
)

TAG = Validators(URL, '"1"')


@in_simulated_time
async def test_the_next_request_is_conditional_by_the_last_answer() -> None:
    provider = Provider(tagged(K1, '"1"'), tagged(None, '"1"'), tagged(K2, '"2"'), K2)
    async with running(provider, refresh=100) as issuer:
        await until(301)
        assert issuer.key_ids() == ("k2",)
    assert provider.asked_with == [
        (None, False),
        (TAG, False),
        (TAG, False),
        (Validators(URL, '"2"'), False),
    ]


@in_simulated_time
async def test_keys_that_are_not_modified_are_published_again_with_the_time_of_it() -> None:
    provider = Provider(tagged(K1, '"1"'), tagged(None, '"1"'), K1)
    async with running(provider, refresh=100) as issuer:
        await until(201)
        assert issuer.published == [(time, ("k1",), "") for time in (0, 100, 200)]
        assert issuer.keys.fetch_time == NOW + 200


@in_simulated_time
async def test_keys_that_are_not_modified_are_fresh_again() -> None:
    provider = Provider(tagged(K1, '"1"'), tagged(None, '"1"'), ANSWERS_500)
    async with running(provider, refresh=100, max_stale=1000) as issuer:
        await until(1099)
        assert issuer.key_ids() == ("k1",)
        await until(1101)
        assert issuer.key_ids() is None


@in_simulated_time
async def test_after_a_failure_nothing_is_relied_on() -> None:
    provider = Provider(tagged(K1, '"1"'), ANSWERS_500, tagged(K1, '"1"'), K1)
    async with running(provider, refresh=100):
        await until(203)
    assert provider.asked_with == [(None, False), (TAG, False), (None, True), (TAG, False)]


@in_simulated_time
async def test_not_modified_without_keys_is_a_failure() -> None:
    async with running(Provider(NOT_MODIFIED)) as issuer:
        assert (issuer.key_ids(), issuer.problem) == (None, "not modified, and there were no keys")


@in_simulated_time
async def test_a_lifetime_brings_the_refresh_forward() -> None:
    provider = Provider(tagged(K1, '"1"', lifetime=200))
    async with running(provider, refresh=600):
        await until(361)
    assert provider.asked_at == pytest.approx([0, 180, 360])


@in_simulated_time
async def test_fetches_are_counted_by_how_they_ended() -> None:
    provider = Provider(
        tagged(K1, '"1"'), NOT_MODIFIED, ANSWERS_500, HANGS, SYMMETRIC, b"<html>", ValueError(), K1
    )
    async with running(provider, refresh=100) as issuer:
        await until(300)
        assert issuer.keys.fetches == {
            Outcome.FETCHED: 2,
            Outcome.NOT_MODIFIED: 1,
            Outcome.STATUS: 1,
            Outcome.TIMEOUT: 1,
            Outcome.NO_KEYS: 1,
            Outcome.MALFORMED: 1,
            Outcome.INTERNAL: 1,
        }


@in_simulated_time
async def test_times_and_problem_are_told() -> None:
    async with running(Provider(K1, ANSWERS_500), refresh=100) as issuer:
        keys = issuer.keys
        assert (keys.fetch_time, keys.next_fetch_time, keys.problem) == (NOW, NOW + 100, "")
        was_stale = keys.stale
        await until(150)
        assert (was_stale, keys.stale) == (False, True)
        assert (keys.fetch_time, keys.problem) == (NOW, f"{URL} answers 500")
        assert keys.next_fetch_time == pytest.approx(NOW + 163)


@in_simulated_time
async def test_without_keys_there_is_nothing_stale() -> None:
    async with running(Provider(ANSWERS_500)) as issuer:
        await until(1000)
        assert (issuer.keys.fetch_time, issuer.keys.stale) == (None, False)


@in_simulated_time
async def test_a_fetch_for_an_unknown_key_that_fails_makes_no_keys_stale() -> None:
    async with running(Provider(K1, ANSWERS_500), refresh=600) as issuer:
        await until(20)
        await issuer.keys.fetch_unknown_key("k2", 10)
        assert issuer.problem
        assert not issuer.keys.stale


@in_simulated_time
async def test_a_refresh_that_is_asked_for_keeps_to_the_limit() -> None:
    provider = Provider(K1, K2)
    async with running(provider, unknown_key_interval=10) as issuer:
        await until(9)
        assert not await issuer.keys.refresh(10)
        await until(11)
        assert await issuer.keys.refresh(10)
        assert issuer.key_ids() == ("k2",)


@in_simulated_time
async def test_the_next_one_takes_over_without_a_fetch() -> None:
    provider = Provider(K1)
    async with running(provider, refresh=600) as old:
        await until(5)
    async with running(provider, refresh=600, initial=old.keys.hand_over()) as issuer:
        assert issuer.key_ids() == ("k1",)
        assert not await issuer.keys.fetch_unknown_key("k2", 0)
        await until(599)
        assert provider.asked_at == [0]
        await until(601)
    assert provider.asked_at == pytest.approx([0, 600])
    assert issuer.keys.fetches == {Outcome.FETCHED: 2}


@in_simulated_time
async def test_the_next_one_may_fetch_for_an_unknown_key_when_the_one_before_might() -> None:
    provider = Provider(K1, K2)
    async with running(provider, unknown_key_interval=10) as old:
        await until(9)
    initial = old.keys.hand_over()
    async with running(provider, unknown_key_interval=10, initial=initial) as issuer:
        await until(10)
        assert await issuer.keys.fetch_unknown_key("k2", 10)


@in_simulated_time
async def test_a_thousand_reloads_fetch_nothing() -> None:
    provider = Provider(K1)
    async with running(provider, refresh=600) as first:
        state = first.keys.hand_over()
    for _ in range(1000):
        async with running(provider, refresh=600, initial=state) as issuer:
            state = issuer.keys.hand_over()
    assert provider.asked_at == [0]


@in_simulated_time
async def test_the_next_one_goes_on_waiting_after_failures() -> None:
    provider = Provider(K1, ANSWERS_500)
    async with running(provider, refresh=100, max_stale=1000) as old:
        await until(140)
    asked = len(provider.asked_at)
    async with running(
        provider, refresh=100, max_stale=1000, initial=old.keys.hand_over()
    ) as issuer:
        assert (issuer.key_ids(), issuer.problem) == (("k1",), f"{URL} answers 500")
        assert len(provider.asked_at) == asked
        await until(999)
        assert issuer.key_ids() == ("k1",)
        await until(1001)
        assert issuer.key_ids() is None


@in_simulated_time
async def test_a_fetch_that_is_overdue_at_a_handover_happens_at_once() -> None:
    provider = Provider(K1, K2)
    async with running(provider, refresh=100) as old:
        pass
    await until(500)
    async with running(provider, refresh=100, initial=old.keys.hand_over()) as issuer:
        assert issuer.key_ids() == ("k2",)
    assert provider.asked_at == pytest.approx([0, 500], abs=0.01)
    assert now() < 501


@in_simulated_time
async def test_a_handover_to_a_shorter_schedule_keeps_to_it() -> None:
    provider = Provider(K1, K1, K2)
    async with running(provider, refresh=86400, unknown_key_interval=3600) as old:
        pass
    initial = old.keys.hand_over()
    async with running(
        provider, refresh=100, unknown_key_interval=10, initial=initial, kind=Schedule
    ) as issuer:
        await until(12)
        assert await issuer.keys.fetch_unknown_key("k2", 10)
        await until(111)
        assert issuer.key_ids() == ("k2",)


@in_simulated_time
async def test_a_fetch_that_is_under_way_goes_on_over_many_handovers() -> None:
    provider = Provider(K1, delay=4)
    initial = None
    for _ in range(20):
        async with running(provider, initial=initial) as old:
            await asyncio.sleep(0.1)
            initial = old.keys.hand_over()
    async with running(provider, initial=initial) as issuer:
        await issuer.keys.wait_for_keys(10)
        assert issuer.key_ids() == ("k1",)
        assert now() < 5
    assert (provider.asked_at, provider.cancelled) == ([0], 0)


@in_simulated_time
async def test_a_fetch_for_an_unknown_key_goes_on_and_remembers_what_it_looked_for() -> None:
    provider = Provider(K1, K1, delay=2)
    async with running(provider, unknown_key_interval=10) as old:
        await until(20)
        caller = asyncio.create_task(old.keys.fetch_unknown_key("k9", 10))
        await until(21)
        initial = old.keys.hand_over()
    assert await caller
    async with running(provider, unknown_key_interval=10, initial=initial) as issuer:
        assert await issuer.keys.fetch_unknown_key("k8", 10)
        await until(50)
        assert not await issuer.keys.fetch_unknown_key("k9", 10)
    assert provider.asked_at == pytest.approx([0, 20], abs=0.01)


@in_simulated_time
async def test_failures_count_over_handovers_so_that_old_keys_end() -> None:
    """Reloads more often than the provider takes to fail."""
    provider = Provider(K1, HANGS)
    async with running(provider, refresh=100, max_stale=200) as old:
        initial = old.keys.hand_over()
    while now() < 210:
        async with running(provider, refresh=100, max_stale=200, initial=initial) as issuer:
            await asyncio.sleep(2)
            initial = issuer.keys.hand_over()
    assert issuer.key_ids() is None
    assert provider.cancelled == 0


@in_simulated_time
async def test_the_last_one_ends_the_fetch_that_it_took_over() -> None:
    provider = Provider(HANGS)
    async with running(provider) as old:
        initial = old.keys.hand_over()
    async with running(provider, initial=initial):
        pass
    assert (provider.at_once, provider.cancelled) == (0, 1)
