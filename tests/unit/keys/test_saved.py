"""A restart in the middle of an outage: the last good set is in a store."""

import asyncio
from collections.abc import Callable

import pytest

from sidecar.keys.answer import Validators
from sidecar.keys.saved import Saved
from sidecar.state.store import StoreFailed
from tests.simulated_time import in_simulated_time
from tests.unit.keys.provider import (
    ANSWERS_500,
    HANGS,
    K1,
    K2,
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
DAY = 86400.0


class Store:
    """Keeps what is saved; `broken` is raised instead, and `delay` passes before either."""

    def __init__(
        self, saved: Saved | None = None, broken: Exception | None = None, delay: float = 0.0
    ) -> None:
        self.saved = saved
        self.saves: list[float] = []
        self._broken = broken
        self._delay = delay

    async def load(self) -> Saved | None:
        await asyncio.sleep(self._delay)
        if self._broken:
            raise self._broken
        return self.saved

    async def save(self, saved: Saved) -> None:
        await asyncio.sleep(self._delay)
        if self._broken:
            raise self._broken
        self.saved = saved
        self.saves.append(saved.fetched_at)


def saved(body: bytes = K1, age: float = 3600.0, source: str = URL) -> Saved:
    return Saved(source, body, NOW - age, TAG)


@in_simulated_time
async def test_saved_keys_serve_at_once_during_an_outage() -> None:
    async with running(Provider(HANGS), snapshots=Store(saved())) as issuer:
        assert issuer.published == [(0, ("k1",), "")]
        assert issuer.keys.fetch_time == NOW - 3600


@in_simulated_time
async def test_a_call_waits_for_saved_keys_and_not_for_a_fetch_that_hangs() -> None:
    store = Store(saved(), delay=0.2)
    async with running(Provider(HANGS), snapshots=store) as issuer:
        await issuer.keys.wait_for_keys(10)
        assert now() == pytest.approx(0.2)
        assert issuer.key_ids() == ("k1",)


@in_simulated_time
async def test_saved_keys_are_fetched_again_at_once_under_their_condition() -> None:
    provider = Provider(tagged(K2, '"2"'))
    async with running(provider, snapshots=Store(saved())) as issuer:
        assert issuer.key_ids() == ("k2",)
    assert provider.asked_at == [0]
    assert provider.asked_with == [(TAG, False)]


@in_simulated_time
async def test_saved_keys_serve_until_max_stale_from_when_they_were_fetched() -> None:
    store = Store(saved(age=DAY - 100))
    async with running(Provider(ANSWERS_500), max_stale=DAY, snapshots=store) as issuer:
        await until(99)
        assert issuer.key_ids() == ("k1",)
        await until(100)
        assert issuer.key_ids() is None


@in_simulated_time
async def test_saved_keys_end_with_max_stale_also_where_the_first_fetch_has_no_end() -> None:
    """As behind those of many other issuers whose providers hang."""
    store = Store(saved(age=DAY - 100))
    async with running(Provider(K1, delay=900), max_stale=DAY, snapshots=store) as issuer:
        await until(99)
        assert issuer.key_ids() == ("k1",)
        await until(100)
        assert issuer.key_ids() is None
        await until(901)
        assert issuer.key_ids() == ("k1",)


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(None, id="nothing was saved"),
        pytest.param(saved(age=DAY + 1), id="past max_stale"),
        pytest.param(saved(age=-301), id="from the future"),
        pytest.param(saved(age=float("nan")), id="from no time at all"),
        pytest.param(saved(source="https://elsewhere.example.com/"), id="from another source"),
        pytest.param(saved(SYMMETRIC), id="without a usable key"),
        pytest.param(saved(b"\x00"), id="broken"),
    ],
)
@in_simulated_time
async def test_saved_keys_that_are_not_used(kept: Saved | None) -> None:
    async with running(Provider(ANSWERS_500), max_stale=DAY, snapshots=Store(kept)) as issuer:
        assert issuer.key_ids() is None
        assert issuer.problem == f"{URL} answers 500"


@pytest.mark.parametrize(
    ("age", "words"),
    [
        pytest.param(DAY + 1, "past max_stale", id="old"),
        pytest.param(-301, "from the future", id="from the future"),
    ],
)
def test_why_saved_keys_are_not_used_is_told(
    age: float, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    @in_simulated_time
    async def start() -> None:
        async with running(Provider(K1), max_stale=DAY, snapshots=Store(saved(age=age))):
            await until(1)

    start()
    assert words in caplog.text


@pytest.mark.parametrize(
    "age",
    [
        pytest.param(DAY - 1, id="just of max_stale"),
        pytest.param(-300, id="little from the future"),
    ],
)
@in_simulated_time
async def test_saved_keys_that_are_used(age: float) -> None:
    store = Store(saved(age=age))
    async with running(Provider(HANGS), max_stale=DAY, snapshots=store) as issuer:
        assert issuer.key_ids() == ("k1",)


@in_simulated_time
async def test_keys_from_the_future_serve_no_longer_than_those_of_now() -> None:
    store = Store(saved(age=-300))
    async with running(Provider(ANSWERS_500), max_stale=DAY, snapshots=store) as issuer:
        await until(DAY)
        assert issuer.key_ids() is None


@in_simulated_time
async def test_each_good_fetch_is_saved() -> None:
    store = Store()
    provider = Provider(tagged(K1, '"1"'), tagged(None, '"1"'), ANSWERS_500)
    async with running(provider, refresh=100, snapshots=store):
        await until(250)
    assert store.saved == Saved(URL, K1, NOW + 100, TAG)
    assert store.saves == [NOW, NOW + 100]


@in_simulated_time
async def test_a_set_without_a_usable_key_is_not_saved() -> None:
    store = Store()
    async with running(Provider(K1, SYMMETRIC), refresh=100, snapshots=store):
        await until(500)
    assert store.saved == Saved(URL, K1, NOW)


@pytest.mark.parametrize(
    "store",
    [
        pytest.param(lambda: Store(broken=OSError("disk full")), id="fails"),
        pytest.param(lambda: Store(saved(K2), delay=1e9), id="hangs"),
    ],
)
@in_simulated_time
async def test_a_store_that_is_broken_holds_up_keys_for_a_second_at_most(
    store: Callable[[], Store],
) -> None:
    async with running(Provider(K1), snapshots=store()) as issuer:
        await until(1)
        assert issuer.key_ids() == ("k1",)


@in_simulated_time
async def test_a_handover_reads_nothing_from_the_store() -> None:
    async with running(Provider(K1), refresh=600) as old:
        pass
    store = Store(saved(K2))
    initial = old.keys.hand_over()
    async with running(Provider(K1), initial=initial, snapshots=store) as issuer:
        assert issuer.key_ids() == ("k1",)


@in_simulated_time
async def test_a_store_that_is_away_is_told_of_in_a_sentence_and_not_as_a_fault_of_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Store(broken=StoreFailed("redis://redis: Connection refused"))
    async with running(Provider(K1), snapshots=store):
        await until(1)
    assert [(one.getMessage(), one.exc_info) for one in caplog.records] == [
        ("issuer corp: the saved keys can't be read: redis://redis: Connection refused", None),
        ("issuer corp: the keys can't be saved: redis://redis: Connection refused", None),
    ]
