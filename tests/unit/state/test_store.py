"""What every store promises; each test runs on all of them."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import pytest

from sidecar.state.memory import MemoryStore
from sidecar.state.sqlite import SqliteStore
from sidecar.state.store import ABSENT, MOST_AT_ONCE, Store, Write
from tests.redis_servers import RedisServer, redis_server, redis_store

Open = Callable[[], Awaitable[Store]]
"""Opens the one store of a test; each call is another sidecar's view of it."""


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


class Clock:
    """A steady clock that the test sets: by it nothing has expired at first."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def open_store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Clock
) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:
        memory = MemoryStore(clock)
        server = None
        if request.param == "redis":
            server = request.getfixturevalue("redis")
            server.call("FLUSHALL")

        async def opened() -> Store:
            if request.param == "memory":
                return memory
            if server is not None:
                return await stack.enter_async_context(redis_store(server.url, clock))
            path = str(tmp_path / "state.db")
            return await stack.enter_async_context(SqliteStore.opened(path, clock))

        yield opened


@pytest.fixture
async def store(open_store: Open) -> Store:
    return await open_store()


async def test_nothing_is_there_at_first(store: Store) -> None:
    assert await store.get("keys", "a") is None


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"text", id="text"),
        pytest.param(b"", id="nothing"),
        pytest.param(bytes(range(256)) * 4096, id="a megabyte of any bytes"),
    ],
)
async def test_what_is_put_is_got(store: Store, data: bytes) -> None:
    assert await store.put("keys", "a", data, ABSENT)
    record = await store.get("keys", "a")
    assert record is not None
    assert record.data == data


@pytest.mark.parametrize("name", ["", "a/b", "käse", "' OR 1=1 --", "a\0b"])
async def test_a_name_is_any_text(store: Store, name: str) -> None:
    assert await store.put("keys", name, b"1", ABSENT)
    assert await store.put("keys", name + "x", b"2", ABSENT)
    record = await store.get("keys", name)
    assert record is not None
    assert record.data == b"1"


async def test_kinds_are_apart(store: Store) -> None:
    assert await store.put("keys", "a", b"1", ABSENT)
    assert await store.get("other", "a") is None
    assert await store.put("other", "a", b"2", ABSENT)
    assert await store.delete("keys", "a", (await version(store, "keys")))
    assert await store.get("other", "a") is not None


async def version(store: Store, kind: str = "keys") -> int:
    record = await store.get(kind, "a")
    assert record is not None
    return record.version


async def test_a_record_is_made_once(store: Store) -> None:
    assert await store.put("keys", "a", b"first", ABSENT)
    assert not await store.put("keys", "a", b"second", ABSENT)
    record = await store.get("keys", "a")
    assert record is not None
    assert record.data == b"first"


async def test_a_record_is_changed_by_who_has_seen_it_last(store: Store) -> None:
    await store.put("keys", "a", b"1", ABSENT)
    seen = await version(store)
    assert await store.put("keys", "a", b"2", seen)
    assert not await store.put("keys", "a", b"3", seen)
    assert await version(store) > seen


async def test_a_record_that_is_not_there_is_not_changed(store: Store) -> None:
    assert not await store.put("keys", "a", b"1", 1)
    assert await store.get("keys", "a") is None


async def test_a_record_is_removed_by_who_has_seen_it_last(store: Store) -> None:
    await store.put("keys", "a", b"1", ABSENT)
    seen = await version(store)
    await store.put("keys", "a", b"2", seen)
    assert not await store.delete("keys", "a", seen)
    assert await store.delete("keys", "a", await version(store))
    assert await store.get("keys", "a") is None
    assert not await store.delete("keys", "a", ABSENT)


async def test_a_record_that_is_made_anew_is_another(store: Store) -> None:
    await store.put("keys", "a", b"1", ABSENT)
    seen = await version(store)
    await store.delete("keys", "a", seen)
    await store.put("keys", "a", b"2", ABSENT)
    assert await version(store) != seen
    assert not await store.put("keys", "a", b"3", seen)


async def test_of_two_sidecars_at_once_one_wins(open_store: Open) -> None:
    stores = [await open_store() for _ in range(4)]
    for _ in range(20):
        record = await stores[0].get("keys", "a")
        seen = record.version if record else ABSENT
        won = await asyncio.gather(
            *(one.put("keys", "a", str(n).encode(), seen) for n, one in enumerate(stores))
        )
        assert won.count(True) == 1
        record = await stores[-1].get("keys", "a")
        assert record is not None
        assert record.data == str(won.index(True)).encode()


async def test_what_is_kept_is_in_no_repr(store: Store) -> None:
    await store.put("keys", "a", b"MARKER", ABSENT)
    assert "MARKER" not in repr(await store.get("keys", "a"))


async def test_several_records_are_written_as_one(store: Store) -> None:
    both = (Write("keys", "a", b"1", ABSENT), Write("other", "a", b"2", ABSENT))
    assert await store.write(*both)
    assert not await store.write(Write("keys", "b", b"3", ABSENT), *both)
    assert await store.get("keys", "b") is None
    assert await store.write(Write("keys", "a", None), Write("other", "a", None))
    assert await store.get("keys", "a") is None
    assert await store.get("other", "a") is None


async def test_a_record_of_any_version_is_written_over(store: Store) -> None:
    for data in (b"1", b"2"):
        assert await store.put("keys", "a", data, None)
        record = await store.get("keys", "a")
        assert record is not None
        assert record.data == data


SWEEP: Final = 1000
"""Writes after which every store has removed what has expired."""


async def sweep(store: Store) -> None:
    for number in range(SWEEP):
        await store.put("keys", f"other {number % 10}", b"", None)


async def there(store: Store) -> list[str]:
    """What the store gives, in each way that it gives something."""
    page = [one.name for one in await store.page("keys", "", 20) if "other" not in one.name]
    changes = [one.name for one in await store.changes("keys", 0, 20) if "other" not in one.name]
    got = [name for name in "abc" if await store.get("keys", name)]
    assert page == sorted(changes) == got
    return got


async def test_what_has_expired_by_the_steady_clock_is_removed(store: Store, clock: Clock) -> None:
    now = time.time()
    await store.put("keys", "a", b"1", ABSENT, now - 10)
    await store.put("keys", "b", b"1", ABSENT, now - 5)
    await store.put("keys", "c", b"1", ABSENT)
    clock.now = now - 10.001
    await sweep(store)
    assert await there(store) == ["a", "b", "c"]
    clock.now = now - 7
    await sweep(store)
    assert await there(store) == ["b", "c"]


async def test_until_it_is_removed_what_has_expired_is_there(store: Store) -> None:
    """A clock that is ahead for a moment hides nothing either."""
    over = time.time() - 1
    assert await store.put("keys", "a", b"1", ABSENT, over)
    assert await there(store) == ["a"]
    assert not await store.put("keys", "a", b"2", ABSENT, over)
    record = await store.get("keys", "a")
    assert record is not None
    assert (record.data, record.expire_time) == (b"1", over)
    assert await store.put("keys", "a", b"2", record.version)


async def test_a_record_that_is_to_expire_may_be_made_to_stay(store: Store, clock: Clock) -> None:
    clock.now = time.time() - 5
    await store.put("keys", "a", b"1", ABSENT, clock.now + 1)
    await store.put("keys", "a", b"2", None)
    clock.now += 2
    await sweep(store)
    assert await there(store) == ["a"]


async def test_redis_removes_nothing_that_has_not_expired_by_its_own_clock(
    redis: RedisServer, clock: Clock
) -> None:
    """One of several sidecars, with a wrong clock, removes nothing that the others need."""
    redis.call("FLUSHALL")
    async with redis_store(redis.url, clock) as store:
        await store.put("keys", "a", b"1", ABSENT, time.time() + 3600)
        clock.now = time.time() + 2 * 86400
        await sweep(store)
        assert await there(store) == ["a"]


async def test_pages_are_in_order_of_the_names(store: Store) -> None:
    for name in ("b", "ä", "a", "c", "B"):
        await store.put("keys", name, name.encode(), ABSENT)
    await store.put("other", "aa", b"", ABSENT)
    first = await store.page("keys", "", 2)
    assert [one.name for one in first] == ["B", "a"]
    rest = await store.page("keys", first[-1].name, 10)
    assert [(one.name, one.record.data.decode()) for one in rest] == [
        ("b", "b"),
        ("c", "c"),
        ("ä", "ä"),
    ]


async def test_changes_are_in_order_of_the_versions(open_store: Open) -> None:
    ours, theirs = await open_store(), await open_store()
    for name in ("b", "a", "c"):
        await ours.put("keys", name, b"1", ABSENT)
    seen = await theirs.changes("keys", 0, 2)
    assert [one.name for one in seen] == ["b", "a"]
    await ours.put("keys", "b", b"2", None)
    await ours.delete("keys", "a", seen[1].record.version)
    await ours.put("other", "d", b"2", None)
    later = await theirs.changes("keys", seen[-1].record.version, 10)
    assert [(one.name, one.record.data) for one in later] == [("c", b"1"), ("b", b"2")]
    assert await theirs.changes("keys", later[-1].record.version, 10) == ()


async def test_as_many_records_as_may_be_asked_for_are_given(store: Store) -> None:
    names = [f"{number:04}" for number in range(MOST_AT_ONCE + 1)]
    for name in names:
        await store.put("keys", name, b"1", ABSENT)
    assert [one.name for one in await store.page("keys", "", MOST_AT_ONCE)] == names[:-1]
    assert [one.name for one in await store.changes("keys", 0, MOST_AT_ONCE)] == names[:-1]


async def test_a_write_of_what_is_not_expected_makes_nothing_of_all_kinds(store: Store) -> None:
    await store.put("keys", "a", b"1", ABSENT)
    before = await store.changes("keys", 0, 10)
    assert not await store.write(
        Write("keys", "a", None), Write("other", "b", b"1"), Write("keys", "c", b"1", 7)
    )
    assert await store.changes("keys", 0, 10) == before
    assert await store.changes("other", 0, 10) == ()


async def test_who_follows_misses_nothing(open_store: Open) -> None:
    """Four write what a fifth, which reads what changed and waits, has all of in the end."""
    stores = [await open_store() for _ in range(4)]
    follower = await open_store()

    async def write(store: Store, writer: int) -> None:
        for number in range(25):
            await store.put("keys", f"{writer}/{number}", b"1", ABSENT)

    seen: list[str] = []
    position = 0
    async with asyncio.TaskGroup() as group:
        for writer, store in enumerate(stores):
            group.create_task(write(store, writer))
        while len(seen) < 100:
            for one in await follower.changes("keys", position, 7):
                position = one.record.version
                seen.append(one.name)
            await follower.wait("keys", 0.01)
    assert len(set(seen)) == 100


async def test_a_wait_ends(store: Store) -> None:
    await store.wait("keys", 0.0)
    await store.wait("keys", 0.0)


BY_ITSELF = pytest.mark.parametrize("open_store", ["memory", "redis"], indirect=True)
"""The stores that tell of changes: a file does not."""


@BY_ITSELF
async def test_a_wait_ends_with_the_write(open_store: Open) -> None:
    ours, theirs = await open_store(), await open_store()
    await theirs.wait("keys", 0.0)
    waiting = asyncio.create_task(theirs.wait("keys", 30.0))
    await ours.put("other", "a", b"1", None)
    assert not waiting.done()
    await ours.put("keys", "a", b"1", None)
    async with asyncio.timeout(10.0):
        await waiting


@BY_ITSELF
async def test_no_word_between_two_waits_is_lost(store: Store) -> None:
    await store.wait("keys", 0.0)
    await store.put("keys", "a", b"1", None)
    async with asyncio.timeout(10.0):
        await store.wait("keys", 30.0)
