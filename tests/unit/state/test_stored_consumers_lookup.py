"""Finding consumers in a store: what a flood, a crowd and a wave cost it, and what it learns."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import replace

import pytest

from sidecar.config.consumers import ConsumerCache as CacheSetting
from sidecar.state.consumers.cache import SPREAD
from sidecar.state.consumers.follower import RETRY
from sidecar.state.consumers.lookup import MOST_LOOKUPS
from sidecar.state.consumers.record import KeptConsumer
from sidecar.state.consumers.stored import StoredConsumers
from sidecar.state.store import Named, Record
from sidecar.token.stored import ConsumerQuestion, Lookup
from tests.simulated_time import in_simulated_time
from tests.unit.state.shared import Clock, Shared, setting

SECRET = b"0123456789abcdef" * 2
STALENESS = 2.0
TTL, MISSING_TTL, ENTRIES = 300.0, 10.0, 50
CALL = 0.01


class Counting(Shared):
    """Takes a moment for each read, and counts reads, those at one time, and looks for changes."""

    def __init__(self) -> None:
        super().__init__(Clock())
        self.asked = self.at_once = self.most_at_once = self.looks = 0

    async def changes(self, kind: str, after: int, limit: int) -> tuple[Named, ...]:
        self.looks += 1
        return await super().changes(kind, after, limit)

    async def get(self, kind: str, name: str) -> Record | None:
        if kind == "consumer_key":
            self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(CALL)
            return await super().get(kind, name)
        finally:
            self.at_once -= 1


@asynccontextmanager
async def sidecar(store: Shared, on_outage: str = "serve") -> AsyncIterator[StoredConsumers]:
    kept = setting(on_outage, STALENESS).model_copy(
        update={"secrets_key": None, "previous_secrets_key": None, "plaintext_secrets": True}
    )
    cache = CacheSetting.model_construct(entries=ENTRIES, ttl=TTL, missing_ttl=MISSING_TTL)
    one = StoredConsumers(store, kept, cache, Clock(), asyncio.get_running_loop().time)
    one.start()
    await asyncio.sleep(1)
    try:
        yield one
    finally:
        await one.stop()


def consumer(one: StoredConsumers, name: str = "jack", disabled: bool = False) -> KeptConsumer:
    sealed = one.seal.close(name, SECRET)
    return KeptConsumer(
        name, f"{name}-key", "HS256", sealed, disabled=disabled, create_time=1.0, update_time=1.0
    )


async def ask(one: StoredConsumers, key: str, at_most: float = 5.0) -> Lookup:
    """What a check gets to know."""
    question = ConsumerQuestion(key)
    known = one.lookup.known(question, 0.0)
    return known if known is not None else await one.lookup.find(question, at_most)


async def name_of(one: StoredConsumers, key: str) -> str | None:
    found = (await ask(one, key)).consumer
    return found.name if found else None


async def make_jack_known(one: StoredConsumers) -> None:
    """He is in the store, and remembered."""
    await one.registry.create(consumer(one))
    await asyncio.sleep(STALENESS)
    assert await name_of(one, "jack-key") == "jack"


@in_simulated_time
async def test_cache_penetration_keys_that_nobody_has_are_looked_up_once() -> None:
    store = Counting()
    async with sidecar(store) as one:
        for _ in range(100):
            assert await name_of(one, "nobody") is None
        assert store.asked == 1
        await asyncio.sleep(MISSING_TTL + 1)
        assert await name_of(one, "nobody") is None
        assert store.asked == 2


@in_simulated_time
async def test_cache_penetration_a_flood_of_invented_keys_pushes_out_no_consumer() -> None:
    store = Counting()
    async with sidecar(store) as one:
        await make_jack_known(one)
        await asyncio.gather(*(ask(one, f"invented {n}", 60) for n in range(ENTRIES * 4)))
        assert store.most_at_once <= MOST_LOOKUPS + 1
        before = store.asked
        assert await name_of(one, "jack-key") == "jack"
        assert store.asked == before


@in_simulated_time
async def test_cache_breakdown_a_crowd_that_asks_for_one_key_shares_one_look_up() -> None:
    store = Counting()
    async with sidecar(store) as one:
        await one.registry.create(consumer(one))
        await asyncio.sleep(STALENESS)
        for _ in range(2):
            before = store.asked
            names = await asyncio.gather(*(name_of(one, "jack-key") for _ in range(1000)))
            assert set(names) == {"jack"}
            assert store.asked == before + 1
            await asyncio.sleep(TTL + 1)


@in_simulated_time
async def test_cache_avalanche_what_was_read_at_once_does_not_end_at_once() -> None:
    store = Counting()
    async with sidecar(store) as one:
        for number in range(ENTRIES):
            await one.registry.create(consumer(one, f"c{number}"))
        await asyncio.sleep(STALENESS)
        keys = [f"c{number}-key" for number in range(ENTRIES)]
        await asyncio.gather(*(ask(one, key) for key in keys))
        ends = sorted(one.lookup.cache._entries[key].ends for key in keys)
        assert ends[-1] - ends[0] > TTL * SPREAD / 2
        moment = asyncio.get_running_loop().time()
        assert moment + TTL * (1 - SPREAD) - 1 <= ends[0]
        assert ends[-1] <= moment + TTL


@pytest.mark.parametrize("tells", [True, False])
def test_a_change_elsewhere_is_known_within_max_staleness(tells: bool) -> None:
    @in_simulated_time
    async def check() -> None:
        store = Counting()
        store.tells = tells
        async with sidecar(store) as ours, sidecar(store) as theirs:
            assert await name_of(theirs, "jack-key") is None
            await ours.registry.create(consumer(ours))
            await asyncio.sleep(STALENESS)
            assert await name_of(theirs, "jack-key") == "jack"
            found = await ours.registry.get("jack")
            assert found is not None
            changed = consumer(ours, disabled=True)
            assert await ours.registry.replace(changed, *found)
            await asyncio.sleep(STALENESS)
            answer = await ask(theirs, "jack-key")
            assert answer.consumer is not None
            assert answer.consumer.disabled
            await ours.registry.delete("jack")
            await asyncio.sleep(STALENESS)
            assert await name_of(theirs, "jack-key") is None

    check()


@in_simulated_time
async def test_a_store_where_nothing_changes_is_looked_at_twice_within_max_staleness() -> None:
    store = Counting()
    store.tells = False
    async with sidecar(store):
        await asyncio.sleep(100 * STALENESS)
    assert 190 <= store.looks <= 202


def test_a_store_that_goes_away_and_comes_back_is_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    @in_simulated_time
    async def check() -> None:
        store = Counting()
        async with sidecar(store):
            store.works = False
            await asyncio.sleep(100)
            store.works = True
            await asyncio.sleep(100)

    check()
    assert [(one.levelname, one.exc_info) for one in caplog.records] == [
        ("WARNING", None),
        ("INFO", None),
    ]


@in_simulated_time
async def test_while_the_store_is_away_what_is_known_holds_and_the_rest_is_not_decided() -> None:
    store = Counting()
    async with sidecar(store) as one:
        await make_jack_known(one)
        store.works = False
        await asyncio.sleep(TTL * 2)
        assert await name_of(one, "jack-key") == "jack"
        answer = await ask(one, "jill-key")
        assert answer.consumer is None
        assert answer.problem == (
            "consumers can't be looked up in the store: redis:6379: it does not answer"
        )
        store.works = True
        await asyncio.sleep(STALENESS)
        assert (await ask(one, "jill-key")).problem == ""


@in_simulated_time
async def test_with_on_outage_deny_nothing_older_than_max_staleness_is_believed() -> None:
    store = Counting()
    async with sidecar(store, on_outage="deny") as one:
        await make_jack_known(one)
        store.works = False
        await asyncio.sleep(STALENESS * 2)
        answer = await ask(one, "jack-key")
        assert answer.consumer is None
        assert answer.problem


@in_simulated_time
async def test_with_on_outage_deny_what_is_known_costs_no_look_up_while_the_store_works() -> None:
    store = Counting()
    async with sidecar(store, on_outage="deny") as one:
        await make_jack_known(one)
        before = store.asked
        await asyncio.sleep(STALENESS * 2)
        assert await name_of(one, "jack-key") == "jack"
        assert store.asked == before


@in_simulated_time
async def test_what_is_known_waits_for_no_store_that_hangs() -> None:
    store = Counting()
    async with sidecar(store) as one:
        await make_jack_known(one)
        store.hangs = True
        await asyncio.sleep(STALENESS * 10)
        loop = asyncio.get_running_loop()
        begin = loop.time()
        assert await name_of(one, "jack-key") == "jack"
        assert loop.time() == begin


@in_simulated_time
async def test_a_store_that_failed_is_spared_for_a_moment() -> None:
    store = Counting()
    async with sidecar(store) as one:
        store.works = False
        for number in range(100):
            assert (await ask(one, f"c{number}-key")).problem
        assert store.asked == 1
        await asyncio.sleep(RETRY)
        await ask(one, "jack-key")
        assert store.asked == 2


class Late(Counting):
    """Answers what it had a moment ago."""

    late = CALL

    async def get(self, kind: str, name: str) -> Record | None:
        record = await Shared.get(self, kind, name)
        await asyncio.sleep(self.late)
        return record


@pytest.mark.parametrize("here", [True, False], ids=["here", "elsewhere"])
def test_what_is_changed_while_it_is_read_is_read_again(here: bool) -> None:
    @in_simulated_time
    async def check() -> None:
        store = Late()
        async with sidecar(store) as one:
            await one.registry.create(consumer(one))
            found = await one.registry.get("jack")
            assert found is not None
            await asyncio.sleep(STALENESS)
            store.tells = not here
            await asyncio.sleep(STALENESS)
            asking = asyncio.create_task(ask(one, "jack-key"))
            await asyncio.sleep(CALL * 1.5)
            store.late = 0.0
            await one.registry.replace(consumer(one, disabled=True), *found)
            if here:
                one.lookup.forget("jack", "jack-key")
            for answer in (await asking, await ask(one, "jack-key")):
                assert answer.consumer is not None
                assert answer.consumer.disabled

    check()


@in_simulated_time
async def test_a_consumer_that_changes_without_pause_is_found_all_the_same() -> None:
    async with sidecar(Late()) as one:
        await one.registry.create(consumer(one))
        await asyncio.sleep(STALENESS)
        asking = asyncio.create_task(name_of(one, "jack-key"))
        while not asking.done():
            one.lookup.forget("jack")
            await asyncio.sleep(CALL)
        assert await asking == "jack"


@in_simulated_time
async def test_a_key_that_is_given_up_while_it_is_looked_up_finds_nobody() -> None:
    store = Late()
    store.tells = False
    async with sidecar(store) as one:
        await one.registry.create(consumer(one))
        found = await one.registry.get("jack")
        assert found is not None
        await asyncio.sleep(STALENESS / 4)  # the next look for changes is yet to come
        asking = asyncio.create_task(name_of(one, "jack-key"))
        await asyncio.sleep(CALL / 2)
        await one.registry.replace(replace(consumer(one), key="new-key"), *found)
        assert await asking is None


@pytest.mark.parametrize("key", ["jack-key", "new-key"])
def test_what_is_changed_here_is_known_at_once(key: str) -> None:
    @in_simulated_time
    async def check() -> None:
        store = Counting()
        store.tells = False
        async with sidecar(store) as one:
            await make_jack_known(one)
            assert await name_of(one, "new-key") is None
            found = await one.registry.get("jack")
            assert found is not None
            await one.registry.replace(replace(consumer(one), key="new-key"), *found)
            one.lookup.forget("jack", "new-key")
            assert await name_of(one, key) == ("jack" if key == "new-key" else None)

    check()


@pytest.mark.parametrize("changed", [True, False])
def test_at_the_end_of_its_time_a_consumer_is_read_again_and_another_one_if_it_changed(
    changed: bool,
) -> None:
    @in_simulated_time
    async def check() -> None:
        store = Counting()
        async with sidecar(store) as one:
            await one.stop()  # notices nothing from now on
            await one.registry.create(consumer(one))
            before = (await ask(one, "jack-key")).consumer
            found = await one.registry.get("jack")
            assert found is not None
            if changed:
                await one.registry.replace(consumer(one, disabled=True), *found)
            await asyncio.sleep(TTL)
            after = (await ask(one, "jack-key")).consumer
            assert after is not None
            assert (after is not before, after.disabled) == (changed, changed)

    check()


@in_simulated_time
async def test_at_the_end_of_its_time_a_store_that_hangs_holds_up_one_call_and_not_each() -> None:
    store = Counting()
    async with sidecar(store) as one:
        await make_jack_known(one)
        store.hangs = True
        await asyncio.sleep(TTL)
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for _ in range(10):
            assert (await ask(one, "jack-key", at_most=0.5)).consumer is not None
        assert loop.time() - begin <= 0.51


def test_a_consumer_that_can_not_be_read_is_told_of_and_not_read_for_each_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @in_simulated_time
    async def check() -> None:
        store = Counting()
        async with sidecar(store) as one:
            await one.registry.create(replace(consumer(one), sealed_secret=b"\x01rubbish"))
            await asyncio.sleep(STALENESS)
            for _ in range(10):
                assert "can't be decrypted" in (await ask(one, "jack-key")).problem
            assert store.asked == 1

    check()
    assert [one.levelname for one in caplog.records] == ["WARNING"]


def test_a_deletion_elsewhere_is_no_damage(caplog: pytest.LogCaptureFixture) -> None:
    @in_simulated_time
    async def check() -> None:
        async with sidecar(Counting()) as one:
            await one.registry.create(consumer(one))
            await asyncio.sleep(STALENESS)
            await one.registry.delete("jack")
            await asyncio.sleep(STALENESS)

    check()
    assert caplog.messages == []


@in_simulated_time
async def test_a_store_that_hangs_holds_up_no_call_for_longer_than_it_waits() -> None:
    store = Counting()
    async with sidecar(store) as one:
        store.hangs = True
        loop = asyncio.get_running_loop()
        begin = loop.time()
        answer = await ask(one, "jack-key", at_most=0.5)
        assert loop.time() - begin <= 0.51
        assert answer.problem == (
            "consumers can't be looked up in the store: the store did not answer in time"
        )


@in_simulated_time
async def test_a_store_that_was_emptied_has_no_consumers_any_more() -> None:
    store = Counting()
    async with sidecar(store) as one:
        await make_jack_known(one)
        store.empty()
        await asyncio.sleep(STALENESS)
        assert await name_of(one, "jack-key") is None


@pytest.mark.parametrize("fault", ["emptied", "brought back from an older copy"])
def test_changes_are_known_in_a_store_that_counts_its_versions_anew(fault: str) -> None:
    @in_simulated_time
    async def check() -> None:
        store = Counting()
        async with sidecar(store) as ours, sidecar(store) as theirs:
            if fault != "emptied":
                await ours.registry.create(consumer(ours))
                await asyncio.sleep(STALENESS)
            older = {name: deepcopy(getattr(store, name)) for name in ("_kinds", "_versions")}
            for number in range(20):
                await ours.registry.create(consumer(ours, f"c{number}"))
            await asyncio.sleep(STALENESS)
            store.__dict__.update(older)
            if fault == "emptied":
                store.empty()
                await ours.registry.create(consumer(ours))
            await asyncio.sleep(STALENESS)
            assert await name_of(theirs, "c1-key") is None
            assert await name_of(theirs, "jack-key") == "jack"
            await ours.registry.delete("jack")
            await asyncio.sleep(STALENESS)
            assert await name_of(theirs, "jack-key") is None

    check()
