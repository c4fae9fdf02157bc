"""Fetching ahead of time because a token names a key that the set does not have."""

import asyncio
from itertools import pairwise

import pytest

from sidecar.keys.remote import MOST_ASKED
from tests.simulated_time import in_simulated_time
from tests.unit.keys.provider import (
    ANSWERS_500,
    HANGS,
    K1,
    K2,
    Provider,
    Script,
    now,
    running,
    tagged,
    until,
)


@in_simulated_time
async def test_an_unknown_key_is_fetched_at_once() -> None:
    async with running(Provider(K1, K2), unknown_key_interval=10) as issuer:
        await until(10)
        assert await issuer.keys.fetch_unknown_key("k2", 10)
        assert issuer.key_ids() == ("k2",)


@pytest.mark.parametrize(
    ("moment", "fetched"),
    [
        pytest.param(9.9, False, id="within the interval of the first fetch"),
        pytest.param(10.0, True, id="after it"),
    ],
)
@in_simulated_time
async def test_one_fetch_in_an_interval(moment: float, fetched: bool) -> None:
    provider = Provider(K1)
    async with running(provider, unknown_key_interval=10) as issuer:
        await until(moment)
        assert await issuer.keys.fetch_unknown_key("k2", 10) is fetched
    assert len(provider.asked_at) == 1 + fetched


@in_simulated_time
async def test_a_flood_of_unknown_keys_costs_one_fetch_in_an_interval() -> None:
    provider = Provider(K1)
    async with running(provider, unknown_key_interval=10, refresh=3600) as issuer:
        for tenth in range(1, 1000):
            await until(tenth / 10)
            await issuer.keys.fetch_unknown_key(f"random-{tenth}", 10)
    assert len(provider.asked_at) == 10
    pauses = [after - before for before, after in pairwise(provider.asked_at)]
    assert min(pauses) >= 10


@in_simulated_time
async def test_a_failed_fetch_counts_in_the_interval_too() -> None:
    provider = Provider(K1, ANSWERS_500)
    async with running(provider, unknown_key_interval=10, refresh=3600) as issuer:
        await until(20)
        await issuer.keys.fetch_unknown_key("k2", 10)
        assert issuer.key_ids() == ("k1",)
        assert not await issuer.keys.fetch_unknown_key("k2", 10)


@in_simulated_time
async def test_two_hundred_callers_share_one_fetch() -> None:
    provider = Provider(K1, K2, delay=2)
    async with running(provider) as issuer:
        await until(20)
        answers = await asyncio.gather(
            *(issuer.keys.fetch_unknown_key("k2", 10) for _ in range(200))
        )
        assert now() == pytest.approx(22, abs=0.01)
    assert all(answers)
    assert (len(provider.asked_at), provider.most_at_once) == (2, 1)


@in_simulated_time
async def test_callers_during_a_refresh_share_it() -> None:
    provider = Provider(K1, K2, delay=2)
    async with running(provider, refresh=100) as issuer:
        await until(103)
        assert await issuer.keys.fetch_unknown_key("k2", 10)
        assert issuer.key_ids() == ("k2",)
    assert provider.asked_at == pytest.approx([0, 102])


@in_simulated_time
async def test_a_caller_waits_no_longer_than_its_timeout() -> None:
    async with running(Provider(K1, HANGS)) as issuer:
        await until(20)
        began = now()
        await issuer.keys.fetch_unknown_key("k2", 0.25)
        assert now() - began == pytest.approx(0.25)


@in_simulated_time
async def test_a_caller_that_gives_up_does_not_stop_the_fetch() -> None:
    async with running(Provider(K1, K2, delay=2)) as issuer:
        await until(20)
        caller = asyncio.create_task(issuer.keys.fetch_unknown_key("k2", 10))
        await until(21)
        caller.cancel()
        await until(23)
        assert issuer.key_ids() == ("k2",)


@in_simulated_time
async def test_an_early_fetch_leaves_the_time_of_the_next_refresh() -> None:
    provider = Provider(K1)
    async with running(provider, refresh=100) as issuer:
        await until(50)
        await issuer.keys.fetch_unknown_key("k2", 10)
        await until(201)
    assert provider.asked_at == pytest.approx([0, 50, 100, 200], abs=0.01)


@in_simulated_time
async def test_an_early_fetch_that_says_how_long_it_lives_brings_the_refresh_forward() -> None:
    provider = Provider(K1, tagged(K2, '"2"', lifetime=100))
    async with running(provider, refresh=600) as issuer:
        await until(50)
        await issuer.keys.fetch_unknown_key("k2", 10)
        await until(141)
    assert provider.asked_at == pytest.approx([0, 50, 140], abs=0.01)


@in_simulated_time
async def test_an_early_fetch_that_fails_is_retried_soon() -> None:
    provider = Provider(K1, ANSWERS_500, K2)
    async with running(provider, refresh=600) as issuer:
        await until(50)
        await issuer.keys.fetch_unknown_key("k2", 10)
        assert issuer.problem
        await until(52)
        assert issuer.key_ids() == ("k2",)
        await until(652)
    assert provider.asked_at == pytest.approx([0, 50, 51, 651], abs=0.01)


@in_simulated_time
async def test_a_max_stale_under_the_interval_holds_after_an_early_fetch_that_fails() -> None:
    async with running(Provider(K1, ANSWERS_500), refresh=600, max_stale=300) as issuer:
        await until(200)
        await issuer.keys.fetch_unknown_key("k2", 10)
        await until(299)
        assert issuer.key_ids() == ("k1",)
        await until(301)
        assert issuer.key_ids() is None


@in_simulated_time
async def test_waiting_for_keys_ends_with_the_fetch_that_is_under_way() -> None:
    provider = Provider(K1, delay=2)
    async with running(provider) as issuer:
        await issuer.keys.wait_for_keys(10)
        assert now() == pytest.approx(2, abs=0.01)
        assert issuer.key_ids() == ("k1",)
    assert len(provider.asked_at) == 1


@in_simulated_time
async def test_waiting_for_keys_ends_with_its_timeout() -> None:
    async with running(Provider(HANGS)) as issuer:
        began = now()
        await issuer.keys.wait_for_keys(0.25)
        assert now() - began == pytest.approx(0.25)


@in_simulated_time
async def test_waiting_for_keys_starts_no_fetch() -> None:
    provider = Provider(ANSWERS_500)
    async with running(provider) as issuer:
        began = now()
        await issuer.keys.wait_for_keys(10)
        assert now() == began
    assert len(provider.asked_at) == 1


@in_simulated_time
async def test_a_key_that_was_looked_for_costs_no_request_for_a_minute() -> None:
    provider = Provider(K1)
    async with running(provider, unknown_key_interval=10, refresh=3600) as issuer:
        await until(20)
        assert await issuer.keys.fetch_unknown_key("k2", 10)
        await until(79)
        assert not await issuer.keys.fetch_unknown_key("k2", 10)
        await until(81)
        assert await issuer.keys.fetch_unknown_key("k2", 10)
    assert len(provider.asked_at) == 3


@in_simulated_time
async def test_a_key_that_is_asked_for_during_a_fetch_was_looked_for_by_it() -> None:
    provider = Provider(K1, delay=2)
    async with running(provider, unknown_key_interval=10, refresh=3600) as issuer:
        await until(20)
        first = asyncio.create_task(issuer.keys.fetch_unknown_key("k2", 10))
        await until(21)
        assert await issuer.keys.fetch_unknown_key("k3", 10)
        await first
        await until(40)
        assert not await issuer.keys.fetch_unknown_key("k3", 10)
    assert provider.asked_at == pytest.approx([0, 20], abs=0.01)


@pytest.mark.parametrize("between", [K1, ANSWERS_500], ids=["the same set", "an outage"])
def test_a_key_that_was_looked_for_stays_known_while_the_set_is_the_same(between: Script) -> None:
    @in_simulated_time
    async def check() -> None:
        provider = Provider(K1, K1, between, K1)
        async with running(provider, unknown_key_interval=10, refresh=3600) as issuer:
            await until(20)
            await issuer.keys.fetch_unknown_key("k2", 10)
            await until(35)
            await issuer.keys.fetch_unknown_key("k3", 10)
            await until(50)
            assert not await issuer.keys.fetch_unknown_key("k2", 10)

    check()


@in_simulated_time
async def test_a_key_that_was_looked_for_is_forgotten_when_the_set_changes() -> None:
    provider = Provider(K1, K1, K2)
    async with running(provider, unknown_key_interval=10, refresh=3600) as issuer:
        await until(20)
        await issuer.keys.fetch_unknown_key("k3", 10)
        await until(40)
        await issuer.keys.fetch_unknown_key("k2", 10)
        await until(51)
        assert await issuer.keys.fetch_unknown_key("k3", 10)


@in_simulated_time
async def test_a_fetch_that_fails_makes_no_key_known_as_absent() -> None:
    provider = Provider(K1, ANSWERS_500, ANSWERS_500, K2)
    async with running(provider, unknown_key_interval=2, refresh=3600) as issuer:
        await until(20)
        await issuer.keys.fetch_unknown_key("k2", 10)
        await until(24.5)
        assert issuer.key_ids() == ("k2",)


@in_simulated_time
async def test_a_flood_of_random_keys_does_not_hide_a_rotation() -> None:
    provider = Provider(K1)
    async with running(provider, unknown_key_interval=10, refresh=3600) as issuer:
        for second in range(100):
            await until(second)
            if second == 42:
                provider.answers(K2)
            await issuer.keys.fetch_unknown_key(f"random-{second}", 10)
        (seen, *_) = (when for when, ids, _ in issuer.published if ids == ("k2",))
    assert 42 <= seen <= 53
    assert len(provider.asked_at) <= 10


@in_simulated_time
async def test_a_key_that_is_there_by_now_is_not_taken_for_absent() -> None:
    async with running(Provider(K1, K2, K1), unknown_key_interval=10, refresh=100) as issuer:
        await until(20)
        await issuer.keys.fetch_unknown_key("k2", 10)
        await until(101)
        assert issuer.key_ids() == ("k1",)
        await until(120)
        assert await issuer.keys.fetch_unknown_key("k2", 10)


@in_simulated_time
async def test_a_flood_during_a_fetch_is_not_remembered_without_bound() -> None:
    provider = Provider(K1, K1, delay=2)
    async with running(provider, unknown_key_interval=10, refresh=3600) as issuer:
        await until(20)
        kids = [f"random-{number}" for number in range(10 * MOST_ASKED)]
        await asyncio.gather(*(issuer.keys.fetch_unknown_key(kid, 10) for kid in kids))
        assert len(issuer.keys.hand_over().absent) == MOST_ASKED
    assert len(provider.asked_at) == 2
