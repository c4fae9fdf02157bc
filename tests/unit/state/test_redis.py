"""What is said and done when Redis is gone, frozen, emptied, full, closed to us, or too new."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.stage import free_port
from sidecar.state.redis import RedisStore
from sidecar.state.redis_primary import LONGEST_CALL, MOST_CONNECTIONS
from sidecar.state.redis_scripts import FORMAT, FORMAT_KEY, PREFIX, SWEPT, VERSION_KEY
from sidecar.state.store import ABSENT, StoreFailed, Write
from tests.identities import HERE, Ca
from tests.redis_servers import RedisServer, redis_server, redis_store, wait_until

PERSISTENT = ("--appendonly", "yes", "--appendfsync", "always")
PATIENCE = 20.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path / "redis") as running:
        yield running


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[RedisStore]:
    async with redis_store(server.url) as opened:
        yield opened


async def failure(store: RedisStore, name: str = "a") -> str:
    """What is said of a write that fails, in bounded time."""
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(StoreFailed) as caught:
            await store.put("keys", name, b"MARKER", None)
    assert "MARKER" not in str(caught.value)
    return str(caught.value).partition(": ")[2]


async def again(store: RedisStore, name: str = "a") -> None:
    """Returns once it can be written to."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await store.put("keys", name, b"again", None)
            except StoreFailed:
                await store.wait("keys", 0.05)
            else:
                return


async def test_a_redis_that_is_gone_is_said_at_once_and_is_used_when_it_is_there_again(
    server: RedisServer, store: RedisStore
) -> None:
    server.kill()
    await failure(store)
    await store.wait("keys", 0.3)
    said = await failure(store)
    assert said == "Connection refused; see whether it runs, is overloaded or cut off from here"
    server.start()
    await again(store)


async def test_what_was_answered_survives_a_kill_of_redis(tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis", *PERSISTENT) as server:
        async with redis_store(server.url) as store:
            for number in range(200):
                assert await store.put("keys", f"{number:03}", b"1", ABSENT)
            server.kill()
            server.start()
            await again(store, "last")
            names = [one.name for one in await store.page("keys", "", 1000)]
            assert names == [*(f"{number:03}" for number in range(200)), "last"]


async def test_a_frozen_redis_holds_no_call_longer_than_it_may(
    server: RedisServer, store: RedisStore
) -> None:
    """Also where many more call than there are connections; it answers again when it is thawed."""
    await store.put("keys", "a", b"1", ABSENT)
    server.freeze()
    started = time.monotonic()
    calls = [store.get("keys", "a") for _ in range(5 * MOST_CONNECTIONS)]
    async with asyncio.timeout(PATIENCE):
        answers = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(one, StoreFailed) for one in answers)
    assert "no answer in time" in str(answers[0])
    assert time.monotonic() - started >= LONGEST_CALL * 0.9
    server.thaw()
    await again(store)
    record = await store.get("keys", "a")
    assert record is not None
    assert record.data == b"again"


async def test_answers_that_came_too_late_are_taken_for_no_other(
    server: RedisServer, store: RedisStore
) -> None:
    for name in ("a", "b"):
        await store.put("keys", name, name.encode(), ABSENT)
    server.freeze()
    calls = [asyncio.create_task(store.get("keys", "a")) for _ in range(4)]
    for call in calls:
        done, _ = await asyncio.wait({call}, timeout=0.05)
        assert not done
        call.cancel()
    server.thaw()
    await asyncio.gather(*calls, return_exceptions=True)
    for name in ("b", "a") * 4:
        record = await store.get("keys", name)
        assert record is not None
        assert record.data == name.encode()


async def test_a_redis_that_is_slow_is_waited_for_so_long(
    server: RedisServer, store: RedisStore
) -> None:
    server.freeze()
    asyncio.get_running_loop().call_later(0.4, server.thaw)
    async with asyncio.timeout(PATIENCE):
        for number in range(10):
            assert await store.put("keys", str(number), b"1", ABSENT)


async def test_versions_rise_where_redis_was_emptied(
    server: RedisServer, store: RedisStore
) -> None:
    """So a follower goes on from where it was and sees what is written then."""
    await store.put("keys", "a", b"1", ABSENT)
    (before,) = await store.changes("keys", 0, 10)
    server.call("FLUSHALL")
    assert await store.get("keys", "a") is None
    assert await store.put("keys", "b", b"2", ABSENT)
    (after,) = await store.changes("keys", before.record.version, 10)
    assert after.name == "b"
    assert server.call("GET", FORMAT_KEY) == str(FORMAT).encode()


async def test_versions_rise_where_the_clock_of_redis_goes_back(
    server: RedisServer, store: RedisStore
) -> None:
    later = int((time.time() + 3600) * 1_000_000)
    server.call("SET", VERSION_KEY, later)
    await store.write(Write("keys", "a", b"1"), Write("keys", "b", b"1"))
    found = await store.changes("keys", later, 10)
    assert [one.record.version for one in found] == [later + 1, later + 2]


@pytest.mark.parametrize("outage", ["killed", "frozen", "cut off"])
async def test_who_follows_misses_nothing_over_an_outage(tmp_path: Path, outage: str) -> None:
    seen: list[str] = []
    with redis_server(tmp_path / "redis", *PERSISTENT) as server:
        async with redis_store(server.url) as store, redis_store(server.url) as other:
            following = asyncio.create_task(follow(store, seen))
            await other.put("keys", "before", b"1", ABSENT)
            if outage == "killed":
                server.kill()
                server.start()
            elif outage == "frozen":
                server.freeze()
                await failure(store)
                server.thaw()
            else:
                server.call("CLIENT", "KILL", "TYPE", "pubsub")
                server.call("CLIENT", "KILL", "TYPE", "normal")
            await again(other, "after")
            async with asyncio.timeout(PATIENCE):
                await following
    assert seen[-1] == "after"
    assert {"before", "after"} <= set(seen)


async def follow(store: RedisStore, seen: list[str]) -> None:
    """Until "after" is seen; waits so long that only word of a change makes it go on."""
    position = 0
    while True:
        try:
            for one in await store.changes("keys", position, 10):
                position = one.record.version
                seen.append(one.name)
        except StoreFailed:
            await store.wait("keys", 0.05)
            continue
        if "after" in seen:
            return
        await store.wait("keys", 60.0)


async def test_a_lost_connection_that_is_there_again_ends_a_wait(
    server: RedisServer, store: RedisStore
) -> None:
    await store.wait("keys", 0.0)
    waiting = asyncio.create_task(store.wait("keys", 60.0))
    await asyncio.sleep(0)
    server.call("CLIENT", "KILL", "TYPE", "pubsub")
    async with asyncio.timeout(PATIENCE):
        await waiting


async def test_a_store_is_opened_while_redis_is_away_and_goes_on_when_it_comes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = RedisServer(tmp_path / "redis")
    try:
        async with redis_store(server.url) as store:
            assert store.problem.startswith(f"{server.url}: Connection refused; ")
            await failure(store)
            server.start()
            async with asyncio.timeout(PATIENCE):
                await store.wait_until_open()
            assert store.problem == ""
            await store.put("keys", "a", b"1", ABSENT)
    finally:
        server.kill()
    assert caplog.text.count("Connection refused") == 1


async def test_what_has_expired_is_swept_in_bounded_numbers(
    server: RedisServer, store: RedisStore
) -> None:
    over = time.time() - 1
    await store.write(
        *(Write("keys", str(number), b"1", ABSENT, over) for number in range(SWEPT + 10))
    )
    async with redis_store(server.url, time.time) as sweeping:
        for left in (11, 2, 3):
            await sweeping.put("keys", f"new {left}", b"1", None)
            for part in ("names", "versions"):
                assert server.call("ZCARD", f"{PREFIX}{part}:keys") == left
            assert server.call("HLEN", f"{PREFIX}records:keys") == left
    assert server.call("ZCARD", f"{PREFIX}expiries:keys") == 0


async def test_every_key_is_in_one_slot_and_bears_our_name(
    server: RedisServer, store: RedisStore
) -> None:
    await store.put("keys", "a", b"1", None, time.time() + 60)
    found = server.call("KEYS", "*")
    assert len(found) == 6
    assert all(key.startswith(PREFIX.encode()) for key in found)
    assert PREFIX.startswith("{")


async def test_a_script_that_redis_forgot_is_sent_again(
    server: RedisServer, store: RedisStore
) -> None:
    await store.put("keys", "a", b"1", None)
    server.call("SCRIPT", "FLUSH")
    assert await store.put("keys", "a", b"2", None)


Server = Callable[[RedisServer], Any]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(
            lambda server: server.call("CONFIG", "SET", "maxmemory", "1"),
            "its memory is full (OOM); raise maxmemory, or remove what else is in it",
            id="no memory is left",
        ),
        pytest.param(
            lambda server: server.call("REPLICAOF", "127.0.0.1", free_port()),
            "it is a read-only replica; name the primary, or the Sentinels that know it",
            id="it became a replica",
        ),
        pytest.param(
            lambda server: server.call("SET", FORMAT_KEY, FORMAT + 1),
            f"a newer jwt-sidecar wrote it (format {FORMAT + 1}; this one knows {FORMAT}); run "
            "that one, or name another database",
            id="a newer sidecar wrote it",
        ),
        pytest.param(
            lambda server: server.call("SET", f"{PREFIX}records:keys", "x"),
            f"another program has keys that begin with {PREFIX}; name another database",
            id="another program uses our keys",
        ),
        pytest.param(
            lambda server: server.call("CONFIG", "SET", "min-replicas-to-write", "1"),
            "it has fewer replicas than min-replicas-to-write; start them",
            id="too few replicas",
        ),
        pytest.param(
            lambda server: server.call("ACL", "SETUSER", "default", "-zadd"),
            "its user may not do what the store does (NOPERM); give it "
            f"~{PREFIX}* &{PREFIX}* and the commands of docs/configuration.md (ACL SETUSER)",
            id="a right is taken away",
        ),
        pytest.param(
            lambda server: server.call("ACL", "SETUSER", "default", "-evalsha"),
            "its user may not do what the store does (NOPERM); give it "
            f"~{PREFIX}* &{PREFIX}* and the commands of docs/configuration.md (ACL SETUSER)",
            id="no scripts",
        ),
    ],
)
async def test_what_redis_refuses_is_said_with_the_remedy(
    server: RedisServer, store: RedisStore, change: Server, said: str
) -> None:
    await store.put("keys", "b", b"1", ABSENT)
    server.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
    if "another program" in said:
        server.call("DEL", f"{PREFIX}records:keys")
    change(server)
    assert await failure(store) == said
    assert await failure(store) == said


async def test_records_that_were_evicted_are_said(server: RedisServer, store: RedisStore) -> None:
    await store.put("keys", "a", b"1", ABSENT)
    server.call("DEL", f"{PREFIX}records:keys")
    for read in (store.page("keys", "", 10), store.changes("keys", 0, 10)):
        with pytest.raises(StoreFailed, match="records are gone"):
            await read


async def test_what_was_evicted_does_not_count_as_new(
    server: RedisServer, store: RedisStore
) -> None:
    await store.put("used_token", "a", b"", ABSENT)
    server.call("DEL", f"{PREFIX}records:used_token")
    with pytest.raises(StoreFailed, match="records are gone"):
        await store.put("used_token", "a", b"", ABSENT)
    assert await store.put("used_token", "b", b"", ABSENT)
    assert not await store.put("used_token", "b", b"", ABSENT)


@pytest.mark.parametrize(("policy", "warned"), [("allkeys-lru", True), ("volatile-lru", False)])
async def test_a_redis_that_evicts_is_warned_of(
    server: RedisServer, caplog: pytest.LogCaptureFixture, policy: str, warned: bool
) -> None:
    server.call("CONFIG", "SET", "maxmemory-policy", policy)
    async with redis_store(server.url):
        pass
    assert (f"(maxmemory-policy {policy}): set it to noeviction" in caplog.text) == warned


PASSWORD = {"value": "marker-of-redis"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param({"password": PASSWORD}, "", id="the right one"),
        pytest.param(
            {},
            "it asks for a password (NOAUTH); set store.password, or store.sentinel_password",
            id="none",
        ),
        pytest.param(
            {"password": {"value": "marker"}},
            "it refuses the password or the user (WRONGPASS); mend store.password and "
            "store.username",
            id="a wrong one",
        ),
        pytest.param(
            {"username": "me", "password": PASSWORD},
            "it refuses the password or the user (WRONGPASS); mend store.password and "
            "store.username",
            id="a user that is not there",
        ),
    ],
)
async def test_a_password(
    tmp_path: Path, settings: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with redis_server(tmp_path / "redis", "--requirepass", "marker-of-redis") as server:
        async with redis_store(server.url, **settings) as store:
            assert store.problem.partition(": ")[2] == said
    assert "marker" not in caplog.text


async def test_a_password_that_is_not_asked_for(server: RedisServer) -> None:
    async with redis_store(server.url, password=PASSWORD) as store:
        assert "it asks for no password, and store has one" in store.problem


CONFIGURATION = Path(__file__).parents[3] / "docs" / "configuration.md"
RIGHTS = re.compile(r"^ACL SETUSER sidecar on >PASSWORD (.*?)```", re.MULTILINE | re.DOTALL)


async def test_a_user_with_just_the_rights_that_are_documented(server: RedisServer) -> None:
    documented = RIGHTS.search(CONFIGURATION.read_text())
    assert documented
    server.call("ACL", "SETUSER", "sidecar", "on", ">secret", *documented[1].split())
    settings = {"username": "sidecar", "password": {"value": "secret"}}
    async with redis_store(server.url, **settings) as store:
        assert store.problem == ""
        await store.put("keys", "a", b"1", ABSENT, time.time() + 60)
        assert await store.page("keys", "", 10) == await store.changes("keys", 0, 10)
        await store.write(Write("keys", "a", None))


def certify(directory: Path, *names: str) -> None:
    """A CA's certificate, and what it certifies: Redis's, with these names, and ours."""
    ca = Ca()
    (directory / "ca.pem").write_bytes(ca.certificate)
    redis = ca.certify(*names, common_name="localhost")
    for name, certified in (("redis", redis), ("own", ca.certify("sidecar"))):
        certified.write(directory / f"{name}.pem", directory / f"{name}.key")


@contextmanager
def tls_server(directory: Path, *names: str) -> Iterator[RedisServer]:
    """A Redis that asks for a certificate; its CA's and ours are beside it."""
    certify(directory, *(names or HERE))
    files = {"cert": "redis.pem", "key": "redis.key", "ca-cert": "ca.pem"}
    options = [part for name, file in files.items() for part in (f"--tls-{name}-file", file)]
    with redis_server(directory, *options, tls=True) as server:
        yield server


TRUST = {"ca_file": "ca.pem"}
OURS = {"certificate_file": "own.pem", "private_key_file": "own.key"}


@pytest.mark.parametrize(
    ("scheme", "settings", "said"),
    [
        pytest.param("rediss", TRUST | OURS, "", id="whom we trust, and who we are"),
        pytest.param(
            "rediss",
            OURS,
            "its TLS certificate is not trusted (self-signed certificate in certificate chain); "
            "see store.ca_file",
            id="a CA that the system does not know",
        ),
        pytest.param(
            "rediss", TRUST, "a certificate (store.certificate_file)", id="not who we are"
        ),
        pytest.param("redis", {}, "want TLS (rediss://)", id="no TLS"),
    ],
)
async def test_redis_over_tls(
    tmp_path: Path, scheme: str, settings: dict[str, str], said: str
) -> None:
    paths = {name: str(tmp_path / file) for name, file in settings.items()}
    with tls_server(tmp_path) as server:
        async with redis_store(f"{scheme}://127.0.0.1:{server.port}", **paths) as store:
            assert said in store.problem
            assert bool(said) == bool(store.problem)
            if not said:
                assert await store.put("keys", "a", b"1" * 100_000, ABSENT)


async def test_the_common_name_of_redis_does_not_count(tmp_path: Path) -> None:
    paths = {name: str(tmp_path / file) for name, file in (TRUST | OURS).items()}
    with tls_server(tmp_path, "spiffe://shop/redis") as server:
        async with redis_store(f"rediss://localhost:{server.port}", **paths) as store:
            assert "no subjectAltName in it has this name" in store.problem


async def test_certificates_that_were_replaced_are_read_again(tmp_path: Path) -> None:
    paths = {name: str(tmp_path / file) for name, file in (TRUST | OURS).items()}
    with tls_server(tmp_path) as server:
        async with redis_store(server.url, **paths) as store:
            server.kill()
            certify(tmp_path, *HERE)
            server.start()
            await again(store)


async def test_tls_where_redis_has_none(server: RedisServer) -> None:
    async with redis_store(server.url.replace("redis:", "rediss:")) as store:
        assert "speaks TLS where the URL does not, or the reverse" in store.problem


SENTINEL = """
sentinel monitor main 127.0.0.1 {port} 1
sentinel down-after-milliseconds main 300
sentinel failover-timeout main 1000
requirepass of-sentinels
"""


async def test_the_master_that_a_sentinel_knows_also_after_a_failover(tmp_path: Path) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(redis_server(tmp_path / "first"))
        replica = ("--replicaof", "127.0.0.1", str(first.port))
        second = stack.enter_context(redis_server(tmp_path / "second", *replica))
        wait_until(lambda: b"master_link_status:up" in second.call("INFO", "replication"))
        configuration = SENTINEL.format(port=first.port)
        sentinel = redis_server(tmp_path / "sentinel", configuration=configuration)
        watching = stack.enter_context(sentinel)
        replicas = ("SENTINEL REPLICAS", "main")
        wait_until(lambda: bool(watching.call(*replicas, password="of-sentinels")))
        url = f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{watching.port}/main"
        async with redis_store(url, sentinel_password={"value": "of-sentinels"}) as store:
            assert store.problem == ""
            assert await store.put("keys", "a", b"1", ABSENT)
            wait_until(lambda: second.call("HLEN", f"{PREFIX}records:keys") == 1)
            first.kill()
            await again(store, "b")
            assert [one.name for one in await store.page("keys", "", 10)] == ["a", "b"]
        assert second.call("HLEN", f"{PREFIX}records:keys") == 2


@pytest.mark.parametrize(
    ("settings", "master", "said"),
    [
        pytest.param(
            {},
            "main",
            "127.0.0.1:{port}: it asks for a password (NOAUTH); set store.password, or "
            "store.sentinel_password",
            id="no password for the Sentinel",
        ),
        pytest.param(
            {"sentinel_password": {"value": "of-sentinels"}},
            "other",
            "no Sentinel knows a master named other; mend store.url, or have it monitored",
            id="another master",
        ),
    ],
)
async def test_what_sentinels_refuse(
    tmp_path: Path, settings: dict[str, Any], master: str, said: str
) -> None:
    configuration = SENTINEL.format(port=free_port())
    with redis_server(tmp_path, configuration=configuration) as sentinel:
        url = f"redis+sentinel://127.0.0.1:{sentinel.port}/{master}"
        async with redis_store(url, **settings) as store:
            assert store.problem == f"{url}: {said.format(port=sentinel.port)}"


async def test_a_cluster_is_followed_to_the_node_that_has_the_records(tmp_path: Path) -> None:
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(
                redis_server(
                    tmp_path / name,
                    *("--cluster-enabled", "yes", "--cluster-port", str(free_port())),
                )
            )
            for name in ("one", "two")
        ]
        one, two = nodes
        one.call("CLUSTER", "ADDSLOTS", *range(16384))
        bus = one.call("CLUSTER NODES").split(b"@")[1].split(b" ")[0]
        two.call("CLUSTER", "MEET", "127.0.0.1", one.port, int(bus))
        wait_until(lambda: all(b"state:ok" in node.call("CLUSTER INFO") for node in nodes))
        url = f"redis+cluster://127.0.0.1:{free_port()},127.0.0.1:{two.port}"
        async with redis_store(url) as store:
            assert store.problem == ""
            await store.wait("keys", 0.0)
            both = (Write("keys", "a", b"1"), Write("other", "a", b"1"))
            assert await store.write(*both)
            async with asyncio.timeout(PATIENCE):
                await store.wait("keys", 60.0)
            assert [found.name for found in await store.changes("keys", 0, 10)] == ["a"]
        assert one.call("HLEN", f"{PREFIX}records:keys") == 1


@pytest.mark.parametrize(("layout", "many"), [("sentinel", 1), ("cluster", 3)])
async def test_nodes_that_are_frozen_are_passed_over(
    tmp_path: Path, layout: str, many: int
) -> None:
    """Three take more time than one call has: the next begins with others."""
    with ExitStack() as stack:
        frozen = stack.enter_context(redis_server(tmp_path / "frozen"))
        before = f"127.0.0.1:{frozen.port}," * many
        if layout == "cluster":
            one = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
            node = stack.enter_context(redis_server(tmp_path / "one", *one))
            node.call("CLUSTER", "ADDSLOTS", *range(16384))
            wait_until(lambda: b"state:ok" in node.call("CLUSTER INFO"))
            url = f"redis+cluster://{before}127.0.0.1:{node.port}"
        else:
            watched = stack.enter_context(redis_server(tmp_path / "one"))
            text = SENTINEL.format(port=watched.port)
            node = stack.enter_context(redis_server(tmp_path / "two", configuration=text))
            url = f"redis+sentinel://{before}127.0.0.1:{node.port}/main"
        frozen.freeze()
        async with redis_store(url, **of_sentinels(layout)) as store:
            await again(store)


def of_sentinels(layout: str) -> dict[str, Any]:
    return {"sentinel_password": {"value": "of-sentinels"}} if layout == "sentinel" else {}
