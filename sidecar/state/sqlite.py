"""A store in one SQLite file, which several sidecars on one machine may share."""

import asyncio
import itertools
import os
import sqlite3
import stat
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Final, TypeVar

from sidecar.state.store import ABSENT, Named, Record, Store, StoreFailed, Write
from sidecar.steady import forget_nothing

T = TypeVar("T")
LONGEST_WAIT: Final = 5.0
"""Seconds that a call waits for another process's write at most."""
SCHEMA: Final = 2
"""Version of the tables that `_UPGRADES` makes (`user_version` of the file)."""
APPLICATION: Final = 0x4A575453
"""Marks the file as ours (`application_id`): "JWTS"."""
OWNER_ONLY: Final = 0o600
_COMPANIONS: Final = ("", "-wal", "-shm")
_RETRY: Final = 0.05

# FULL: a commit is on the disk before the call returns. secure_delete: a private key that is
# forgotten is overwritten. temp_store: nothing is written beside the file and its companions.
_PRAGMAS: Final = (
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA trusted_schema = OFF",
)
_UPGRADES: Final = (
    (
        "CREATE TABLE counter (version INTEGER NOT NULL)",
        "INSERT INTO counter VALUES (0)",
        "CREATE TABLE record (kind TEXT, name TEXT, version INTEGER NOT NULL, data BLOB NOT NULL, "
        "PRIMARY KEY (kind, name)) WITHOUT ROWID",
        f"PRAGMA application_id = {APPLICATION}",
    ),
    (
        "ALTER TABLE record ADD COLUMN expire_time REAL",
        "CREATE INDEX record_version ON record (kind, version)",
        "CREATE INDEX record_expire_time ON record (expire_time) WHERE expire_time IS NOT NULL",
    ),
)
"""What makes each version of the schema of the one before."""
_READ: Final = "SELECT name, data, version, expire_time FROM record WHERE kind = ? AND "
_GET: Final = f"{_READ} name = ? LIMIT ?"
_PAGE: Final = f"{_READ} name > ? ORDER BY name LIMIT ?"
_CHANGES: Final = f"{_READ} version > ? ORDER BY version LIMIT ?"
_SWEPT: Final = 100
"""Records that have expired and are removed with a write, at most."""
_REMEDIES: Final = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space",
    sqlite3.SQLITE_BUSY: "another process holds it locked; end that one, or try again",
    sqlite3.SQLITE_LOCKED: "another process holds it locked; end that one, or try again",
    sqlite3.SQLITE_READONLY: "it can't be written; let the sidecar's user write to the file and "
    "its directory, on a volume that is not read-only",
    sqlite3.SQLITE_PERM: "it can't be written; let the sidecar's user write to the file",
    sqlite3.SQLITE_CANTOPEN: "it can't be opened; let the sidecar's user write to the file and "
    "its directory, on a volume that is not read-only",
    sqlite3.SQLITE_NOTADB: "it is no SQLite file, or damaged; restore it, or move it away to "
    "begin with an empty store",
    sqlite3.SQLITE_CORRUPT: "it is damaged; restore it, or move it away to begin with an empty "
    "store",
    sqlite3.SQLITE_IOERR: "reading or writing failed; look at the disk and its free space",
}
_PRIMARY: Final = 0xFF
"""The part of an extended result code that is the code itself."""


class SqliteStore(Store):
    """Records in a SQLite file in WAL mode, mode 0600. All calls run in one thread of their own.

    `steady` says what has expired, as for every store.
    """

    is_durable = True

    def __init__(
        self,
        path: str,
        connection: sqlite3.Connection,
        executor: ThreadPoolExecutor,
        steady: Callable[[], float],
    ) -> None:
        self._path = path
        self._file = _identity(path)
        self._connection = connection
        self._executor = executor
        self._steady = steady

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, path: str, steady: Callable[[], float] = forget_nothing
    ) -> AsyncIterator["SqliteStore"]:
        """The store in the file at this absolute path, made where there is none.

        Raises StoreFailed, also for a file of another program and for one that a newer
        sidecar wrote.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="store") as executor:
            loop = asyncio.get_running_loop()
            connection = await loop.run_in_executor(executor, _connect, path)
            try:
                yield cls(path, connection, executor, steady)
            finally:
                await loop.run_in_executor(executor, connection.close)

    async def get(self, kind: str, name: str) -> Record | None:
        """The record, None where there is none."""
        found = await self._named(_GET, kind, name, 1)
        return found[0].record if found else None

    async def write(self, *writes: Write) -> bool:
        """Makes all of these changes, or none."""
        now = self._steady()  # here: the clock is not for the store's thread

        def write() -> bool:
            with _transaction(self._connection):
                if not all(map(self._is_as_expected, writes)):
                    return False
                for one in writes:
                    self._write(one)
                self._connection.execute(
                    "DELETE FROM record WHERE (kind, name) IN (SELECT kind, name FROM record "
                    "WHERE expire_time <= ? LIMIT ?)",
                    (now, _SWEPT),
                )
                return True

        return await self._run(write)

    async def page(self, kind: str, after: str, limit: int) -> tuple[Named, ...]:
        """The first records behind this name, by name."""
        return await self._named(_PAGE, kind, after, limit)

    async def changes(self, kind: str, after: int, limit: int) -> tuple[Named, ...]:
        """The first records above this version, by version."""
        return await self._named(_CHANGES, kind, after, limit)

    async def wait(self, kind: str, at_most: float) -> None:
        """Returns when the time is over: a file tells of nothing by itself."""
        await asyncio.sleep(at_most)

    async def _named(
        self, statement: str, kind: str, value: str | int, limit: int
    ) -> tuple[Named, ...]:
        def read() -> tuple[Named, ...]:
            rows = self._connection.execute(statement, (kind, value, limit))
            return tuple(Named(name, Record(*record)) for name, *record in rows)

        return await self._run(read)

    def _is_as_expected(self, one: Write) -> bool:
        if one.expected_version is None:
            return True
        row = self._connection.execute(_GET, (one.kind, one.name, 1)).fetchone()
        return one.expected_version == (row[2] if row else ABSENT)

    def _write(self, one: Write) -> None:
        if one.data is None:
            self._connection.execute(
                "DELETE FROM record WHERE kind = ? AND name = ?", (one.kind, one.name)
            )
            return
        self._connection.execute("UPDATE counter SET version = version + 1")
        self._connection.execute(
            "REPLACE INTO record (kind, name, version, data, expire_time) "
            "SELECT ?, ?, version, ?, ? FROM counter",
            (one.kind, one.name, one.data, one.expire_time),
        )

    async def _run(self, work: Callable[[], T]) -> T:
        def named() -> T:
            # SQLite goes on with a file that was moved away. Whoever opens the path then has
            # another one, and neither would know what the other has used or revoked.
            if _identity(self._path) != self._file:
                raise StoreFailed(
                    f"{self._path}: another file took its place, or it was removed; restart every "
                    "sidecar that uses it"
                )
            with _named(self._path):
                return work()

        return await asyncio.get_running_loop().run_in_executor(self._executor, named)


def _identity(path: str) -> tuple[int, int] | None:
    """Which file is at this path; None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _connect(path: str) -> sqlite3.Connection:
    with _named(path):
        _make_private(path)
        connection = sqlite3.connect(path, timeout=LONGEST_WAIT, isolation_level=None)
        try:
            _prepare(path, connection)
        except BaseException:
            connection.close()
            raise
        return connection


def _prepare(path: str, connection: sqlite3.Connection) -> None:
    for pragma in _PRAGMAS:
        connection.execute(pragma)
    with _transaction(connection, "DEFERRED"):
        _check_ours(path, connection)
    if _patiently(connection, "PRAGMA journal_mode = WAL") != "wal":
        raise StoreFailed(
            f"{path}: its file system has no write-ahead log for SQLite, as network file systems "
            "have none; put the store on a local disk"
        )
    with _transaction(connection):
        schema = _check_ours(path, connection)
        for statement in itertools.chain.from_iterable(_UPGRADES[schema:]):
            connection.execute(statement)
        if schema < SCHEMA:
            connection.execute(f"PRAGMA user_version = {SCHEMA}")


def _check_ours(path: str, connection: sqlite3.Connection) -> int:
    """The version of the schema, 0 for an empty file.

    In a transaction: another process may just be making the tables.
    """
    schema = int(_patiently(connection, "PRAGMA user_version"))
    application = int(_patiently(connection, "PRAGMA application_id"))
    if application == APPLICATION and schema <= SCHEMA:
        return schema
    if application == APPLICATION:
        raise StoreFailed(
            f"{path}: a newer jwt-sidecar wrote it (schema {schema}; this one knows {SCHEMA}); "
            "run that one, or name another file"
        )
    if schema or application or _patiently(connection, "SELECT count(*) FROM sqlite_schema"):
        raise StoreFailed(f"{path}: it is a database of another program; name another file")
    return 0


def _patiently(connection: sqlite3.Connection, statement: str) -> int | str:
    """The one value of a statement; waits for others also where SQLite itself does not."""
    end = time.monotonic() + LONGEST_WAIT
    while True:
        try:
            value: int | str = connection.execute(statement).fetchone()[0]
            return value
        except sqlite3.OperationalError as error:
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(_RETRY)


@contextmanager
def _transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """Makes what is written inside take effect as one, or not at all; DEFERRED: for reading."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has ended it already
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _named(path: str) -> Iterator[None]:
    """Turns SQLite's errors into StoreFailed, with the path and what helps."""
    try:
        yield
    except sqlite3.Error as error:
        remedy = _REMEDIES.get(_code(error), "look at the file and its disk")
        raise StoreFailed(f"{path}: {error}: {remedy}") from error


def _code(error: sqlite3.Error) -> int:
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & _PRIMARY


def _make_private(path: str) -> None:
    """Makes the file where there is none, and keeps others from reading it and its companions.

    SQLite gives the companions that it makes the permissions of the file. One that is there is
    never opened here: closing it would drop the locks that SQLite holds on it.
    """
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        raise StoreFailed(f"{path}: the directory {directory} is not there; create it")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, OWNER_ONLY))
    except FileExistsError:
        if not os.path.isfile(path):
            raise StoreFailed(f"{path}: it is no file; name another one") from None
    except OSError as error:
        raise StoreFailed(
            f"{path}: it can't be made: {error.strerror}; let the sidecar's user write to "
            f"{directory}, on a volume that is not read-only"
        ) from error
    for companion in _COMPANIONS:
        _restrict(path + companion)


def _restrict(path: str) -> None:
    try:
        if stat.S_IMODE(os.stat(path).st_mode) & ~OWNER_ONLY:
            os.chmod(path, OWNER_ONLY)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreFailed(
            f"{path}: others may read it, and it holds private keys: {error.strerror}; make it "
            "the sidecar's user's own, with mode 0600"
        ) from error
