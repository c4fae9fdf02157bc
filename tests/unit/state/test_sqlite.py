"""The SQLite file: who may read it, whose it is, and what is said when it can't be had."""

import asyncio
import os
import signal
import sqlite3
import stat
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from sidecar.state.sqlite import APPLICATION, SCHEMA, SqliteStore
from sidecar.state.store import ABSENT, Named, Record, StoreFailed


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def failure(path: Path) -> str:
    """What is said of a file that is no store."""
    with pytest.raises(StoreFailed) as caught:
        async with SqliteStore.opened(str(path)):
            pass
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


async def test_the_file_and_its_companions_are_the_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with SqliteStore.opened(str(tmp_path / "state.db")) as store:
            await store.put("keys", "a", b"1", ABSENT)
            found = {path.name: mode(path) for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert found == {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}


async def test_a_file_that_others_may_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    async with SqliteStore.opened(str(path)):
        pass
    path.chmod(0o664)
    async with SqliteStore.opened(str(path)):
        assert mode(path) == 0o600


async def test_what_was_put_is_there_after_opening_again(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    async with SqliteStore.opened(str(path)) as store:
        await store.put("keys", "a", b"1", ABSENT)
        record = await store.get("keys", "a")
    assert [one.name for one in tmp_path.iterdir()] == ["state.db"]
    async with SqliteStore.opened(str(path)) as store:
        assert await store.get("keys", "a") == record


async def test_many_open_a_new_file_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "state.db")

    async def write(name: str) -> bool:
        async with SqliteStore.opened(path) as store:
            return await store.put("keys", name, b"1", ABSENT)

    assert await asyncio.gather(*(write(str(number)) for number in range(8))) == [True] * 8


async def test_a_forgotten_record_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    async with SqliteStore.opened(str(path)) as store:
        await store.put("keys", "a", b"MARKER" * 1000, ABSENT)
        record = await store.get("keys", "a")
        assert record is not None
        await store.delete("keys", "a", record.version)
    assert b"MARKER" not in path.read_bytes()


async def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    said = await failure(tmp_path / "none" / "state.db")
    assert said.endswith(f"the directory {tmp_path}/none is not there; create it")


async def test_a_directory_in_its_place_is_named(tmp_path: Path) -> None:
    assert (await failure(tmp_path)).endswith("it is no file; name another one")


async def test_a_link_to_nothing_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "state.db").symlink_to(tmp_path / "elsewhere.db")
    assert (await failure(tmp_path / "state.db")).endswith("it is no file; name another one")
    assert not (tmp_path / "elsewhere.db").exists()


async def test_a_directory_that_is_not_writable_is_named() -> None:
    """Nobody makes a file there, not even root."""
    assert "write to /sys, on a volume" in await failure(Path("/sys/state.db"))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"no database at all, but text of some length" * 10, id="text"),
        pytest.param(b"SQLite format 3\0" + b"\xff" * 4000, id="a damaged head"),
    ],
)
async def test_a_file_that_is_no_database_is_refused_as_it_is(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(content)
    assert "move it away" in await failure(path)
    assert path.read_bytes() == content


async def test_a_damaged_page_is_said_and_ends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    async with SqliteStore.opened(str(path)) as store:
        await store.put("keys", "a", b"1" * 9000, ABSENT)
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(StoreFailed, match="damaged"):
        async with SqliteStore.opened(str(path)) as store:
            await store.get("keys", "a")


@pytest.mark.parametrize("replaced", [True, False], ids=["replaced", "removed"])
async def test_a_file_that_is_not_the_one_at_its_path_is_used_no_more(
    tmp_path: Path, replaced: bool
) -> None:
    path = tmp_path / "state.db"
    async with SqliteStore.opened(str(path)) as store:
        await store.put("used_token", "a", b"", ABSENT)
        path.rename(tmp_path / "moved.db")
        if replaced:
            async with SqliteStore.opened(str(path)) as other:
                assert await other.put("used_token", "b", b"", ABSENT)
        with pytest.raises(StoreFailed, match="restart every sidecar"):
            await store.put("used_token", "b", b"", ABSENT)
        with pytest.raises(StoreFailed, match="restart every sidecar"):
            await store.changes("revocation", 0, 1)


async def test_another_programs_database_is_refused_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE users (id)")
    other.close()
    content = path.read_bytes()
    assert "a database of another program; name another file" in await failure(path)
    assert path.read_bytes() == content


async def test_a_newer_sidecars_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    async with SqliteStore.opened(str(path)):
        pass
    with sqlite3.connect(path) as newer:
        newer.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    newer.close()
    said = await failure(path)
    assert f"a newer jwt-sidecar wrote it (schema {SCHEMA + 1}; this one knows {SCHEMA})" in said


async def test_the_file_says_whose_it_is_and_of_which_version(tmp_path: Path) -> None:
    async with SqliteStore.opened(str(tmp_path / "state.db")):
        pass
    with sqlite3.connect(tmp_path / "state.db") as file:
        assert file.execute("PRAGMA application_id").fetchone() == (APPLICATION,)
        assert file.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
    file.close()


WRITES_UNTIL_IT_FAILS: Final = """
import asyncio, resource, signal, sys
from sidecar.state.sqlite import SqliteStore
from sidecar.state.store import StoreFailed

async def main():
    async with SqliteStore.opened(sys.argv[1]) as store:
        await store.put("keys", "a", b"before", 0)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
        record = await store.get("keys", "a")
        try:
            await store.put("keys", "a", b"x" * 1000000, record.version)
        except StoreFailed as failure:
            print(failure)
        print(await store.get("keys", "a") == record)

asyncio.run(main())
"""


async def test_a_write_that_finds_no_room_leaves_the_old_state(tmp_path: Path) -> None:
    path = str(tmp_path / "state.db")
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WRITES_UNTIL_IT_FAILS, path), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await child.communicate()
    failed, same = out.decode().splitlines()
    assert failed.startswith(f"{path}: ")
    assert "space" in failed
    assert same == "True"


WRITES_FOR_EVER: Final = """
import asyncio, sys
from sidecar.state.sqlite import SqliteStore

async def main():
    async with SqliteStore.opened(sys.argv[1]) as store:
        for number in range(1000000):
            assert await store.put("number", str(number), b"x" * 5000, 0)
            print(number, flush=True)

asyncio.run(main())
"""


async def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    path = str(tmp_path / "state.db")
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WRITES_FOR_EVER, path), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout
    last = -1
    while last < 50:
        last = int(await child.stdout.readline())
    child.send_signal(signal.SIGKILL)
    rest = (await child.stdout.read()).decode().split()
    await child.wait()
    last = int(rest[-1]) if rest else last
    async with SqliteStore.opened(path) as store:
        for number in range(last + 1):
            record = await store.get("number", str(number))
            assert record is not None
            assert record.data == b"x" * 5000


async def test_a_lock_that_stays_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.state.sqlite.LONGEST_WAIT", 0.1)
    path = tmp_path / "state.db"
    async with SqliteStore.opened(str(path)) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreFailed, match="another process holds it locked"):
            await store.put("keys", "a", b"1", ABSENT)
        other.execute("ROLLBACK")
        other.close()
        assert await store.put("keys", "a", b"1", ABSENT)


async def test_the_event_loop_goes_on_while_a_call_waits(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    async with SqliteStore.opened(str(path)) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        put = asyncio.create_task(store.put("keys", "a", b"1", ABSENT))
        await asyncio.sleep(0)
        assert not put.done()
        other.execute("ROLLBACK")
        assert await put
        other.close()


SCHEMA_1: Final = (
    "PRAGMA journal_mode = WAL",
    "CREATE TABLE counter (version INTEGER NOT NULL)",
    "INSERT INTO counter VALUES (7)",
    "CREATE TABLE record (kind TEXT, name TEXT, version INTEGER NOT NULL, data BLOB NOT NULL, "
    "PRIMARY KEY (kind, name)) WITHOUT ROWID",
    "PRAGMA application_id = 0x4A575453",
    "PRAGMA user_version = 1",
    "INSERT INTO record VALUES ('keys', 'a', 3, x'31'), ('keys', 'b', 7, x'32')",
)
"""What the first version of the sidecar with a store did to a file."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file of schema 1 with two records."""
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        for statement in SCHEMA_1:
            file.execute(statement)
    return path


async def test_an_older_sidecars_store_is_read_and_goes_on(old: Path) -> None:
    async with SqliteStore.opened(str(old)) as store:
        assert await store.changes("keys", 0, 10) == (
            Named("a", Record(b"1", 3)),
            Named("b", Record(b"2", 7)),
        )
        assert await store.put("keys", "a", b"3", 3)
        assert await store.put("keys", "c", b"4", ABSENT, time.time() + 3600)
        later = await store.changes("keys", 7, 10)
        assert [(one.name, one.record.version) for one in later] == [("a", 8), ("c", 9)]
    with closing(sqlite3.connect(old)) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
        made = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name"
        upgraded = file.execute(made).fetchall()
    async with SqliteStore.opened(str(old.with_name("new.db"))):
        pass
    with closing(sqlite3.connect(old.with_name("new.db"))) as file:
        assert file.execute(made).fetchall() == upgraded


async def test_an_older_sidecars_store_is_upgraded_once_by_many(old: Path) -> None:
    async def read() -> Record | None:
        async with SqliteStore.opened(str(old)) as store:
            return await store.get("keys", "b")

    assert await asyncio.gather(*(read() for _ in range(8))) == [Record(b"2", 7)] * 8


COUNTS_UP: Final = """
import asyncio, sys
from sidecar.state.sqlite import SqliteStore

async def main():
    async with SqliteStore.opened(sys.argv[1]) as store:
        made = 0
        while made < 100:
            record = await store.get("number", "one")
            value, version = (int(record.data), record.version) if record else (0, 0)
            if await store.put("number", "one", str(value + 1).encode(), version):
                made += 1
                await store.put("log", f"{sys.argv[2]}/{made}", b"", None)

asyncio.run(main())
"""


async def test_processes_that_share_a_file_lose_no_write(tmp_path: Path) -> None:
    """Two count one number up; a third follows all that both write."""
    path = str(tmp_path / "state.db")
    children = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", COUNTS_UP, path, name)
        for name in ("one", "two")
    ]
    ended = asyncio.gather(*(child.wait() for child in children))
    seen: set[str] = set()
    async with SqliteStore.opened(path) as store:
        position, at_the_end = 0, False
        while not at_the_end:
            at_the_end = ended.done()
            for one in await store.changes("log", position, 1000):
                position = one.record.version
                seen.add(one.name)
            await store.wait("log", 0.01)
        record = await store.get("number", "one")
    assert await ended == [0, 0]
    assert record is not None
    assert record.data == b"200"
    assert seen == {f"{name}/{number}" for name in ("one", "two") for number in range(1, 101)}
