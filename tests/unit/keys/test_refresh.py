"""When a key set is fetched, and how long one serves that can't be."""

import asyncio

import pytest

from sidecar.keys.schedule import Schedule
from tests.simulated_time import in_simulated_time
from tests.unit.keys.provider import (
    ANSWERS_500,
    HANGS,
    HTML,
    K1,
    K2,
    Provider,
    now,
    running,
    until,
)

DAY = 86400.0


@in_simulated_time
async def test_keys_are_fetched_at_once_and_then_at_every_interval() -> None:
    provider = Provider(K1)
    async with running(provider, refresh=600) as issuer:
        assert issuer.published == [(0, ("k1",), "")]
        await until(1800)
    assert provider.asked_at == pytest.approx([0, 600, 1200, 1800])


@in_simulated_time
async def test_the_interval_runs_from_the_end_of_a_slow_fetch() -> None:
    provider = Provider(K1, delay=4)
    async with running(provider, refresh=600):
        await until(604)
    assert provider.asked_at == pytest.approx([0, 604])


@in_simulated_time
async def test_a_rotation_is_seen_at_the_next_fetch() -> None:
    async with running(Provider(K1, K2), refresh=600) as issuer:
        await until(599)
        assert issuer.key_ids() == ("k1",)
        await until(600)
        assert issuer.key_ids() == ("k2",)


@in_simulated_time
async def test_retries_wait_twice_as_long_each_up_to_a_minute() -> None:
    provider = Provider(ANSWERS_500)
    async with running(provider, refresh=600):
        await until(243)
    assert provider.asked_at == pytest.approx([0, 1, 3, 7, 15, 31, 63, 123, 183, 243])


@in_simulated_time
async def test_retries_are_not_rarer_than_the_refresh() -> None:
    provider = Provider(ANSWERS_500)
    async with running(provider, refresh=5):
        await until(17)
    assert provider.asked_at == pytest.approx([0, 1, 3, 7, 12, 17])


@in_simulated_time
async def test_backoff_starts_anew_after_a_good_fetch() -> None:
    provider = Provider(ANSWERS_500, ANSWERS_500, K1, ANSWERS_500, K1)
    async with running(provider, refresh=100) as issuer:
        await until(104)
        assert issuer.problem == ""
    assert provider.asked_at == pytest.approx([0, 1, 3, 103, 104])


@in_simulated_time
async def test_after_an_outage_the_next_interval_is_spread_as_the_first_is() -> None:
    provider = Provider(K1, ANSWERS_500, K1)
    async with running(provider, refresh=600, kind=Schedule, random=0.0):
        await until(121)
    assert provider.asked_at == pytest.approx([0, 60, 60.5, 120.5], abs=0.01)


@in_simulated_time
async def test_old_keys_serve_until_max_stale_and_no_longer() -> None:
    provider = Provider(K1, ANSWERS_500)
    async with running(provider, refresh=600, max_stale=DAY) as issuer:
        await until(DAY - 1)
        assert issuer.key_ids() == ("k1",)
        await until(DAY)
        assert issuer.key_ids() is None
        assert issuer.problem == "https://login.example.com/jwks answers 500"


@in_simulated_time
async def test_a_provider_that_hangs_keeps_old_keys_no_longer() -> None:
    async with running(Provider(K1, HANGS), refresh=600, max_stale=1000) as issuer:
        await until(999)
        assert issuer.key_ids() == ("k1",)
        await until(1000)
        assert issuer.key_ids() is None


@in_simulated_time
async def test_keys_whose_refresh_is_later_than_max_stale_serve_while_fetches_work() -> None:
    async with running(Provider(K1, K2), refresh=600, max_stale=60) as issuer:
        await until(599)
        assert issuer.key_ids() == ("k1",)
        await until(601)
        assert issuer.key_ids() == ("k2",)


@in_simulated_time
async def test_max_stale_runs_from_the_last_good_fetch() -> None:
    provider = Provider(K1, ANSWERS_500, K1, ANSWERS_500)
    async with running(provider, refresh=600, max_stale=1000) as issuer:
        assert provider.asked_at == [0]
        await until(1600)
        assert issuer.key_ids() == ("k1",)
        await until(1601)
        assert issuer.key_ids() is None


@in_simulated_time
async def test_keys_that_are_past_max_stale_come_back_with_the_provider() -> None:
    provider = Provider(K1, ANSWERS_500)
    async with running(provider, refresh=600, max_stale=1000) as issuer:
        await until(1000)
        assert issuer.key_ids() is None
        provider.answers(K1)
        await until(1060)
        assert (issuer.key_ids(), issuer.problem) == (("k1",), "")


@in_simulated_time
async def test_a_hanging_issuer_delays_no_other() -> None:
    hanging, other = Provider(HANGS), Provider(ANSWERS_500, K2)
    async with running(hanging) as slow, running(other) as quick:
        await until(1.1)
        assert slow.published == []  # it hangs still
        assert quick.key_ids() == ("k2",)


@in_simulated_time
async def test_stopping_ends_the_fetch_that_is_under_way() -> None:
    provider = Provider(HANGS)
    async with running(provider):
        assert provider.at_once == 1
    assert (provider.at_once, provider.cancelled) == (0, 1)


@in_simulated_time
async def test_nothing_is_fetched_or_published_after_stopping() -> None:
    provider = Provider(K1, K2)
    async with running(provider, refresh=600, unknown_key_interval=10) as issuer:
        await until(11)
    assert not await issuer.keys.fetch_unknown_key("k2", 10)
    assert not await issuer.keys.refresh(10)
    await until(DAY)
    assert len(provider.asked_at) == 1
    assert len(issuer.published) == 1


@in_simulated_time
async def test_old_keys_do_not_end_after_stopping() -> None:
    async with running(Provider(K1, ANSWERS_500), refresh=600, max_stale=1000) as issuer:
        await until(700)
    await until(2000)
    assert issuer.key_ids() == ("k1",)


@in_simulated_time
async def test_stopping_ends_all_waiting() -> None:
    async with running(Provider(HANGS)) as issuer:
        waiting = [
            asyncio.create_task(issuer.keys.wait_for_keys(10)),
            asyncio.create_task(issuer.keys.fetch_unknown_key("k2", 10)),
        ]
        await asyncio.sleep(0)
        began = now()
    await asyncio.gather(*waiting)
    assert now() == began


@in_simulated_time
async def test_fetching_ends_only_by_stopping() -> None:
    provider = Provider(ANSWERS_500, ZeroDivisionError(), HTML, K1)
    async with running(provider, refresh=600) as issuer:
        await until(DAY)
        assert issuer.key_ids() == ("k1",)
    assert len(provider.asked_at) == pytest.approx(DAY / 600, abs=5)
