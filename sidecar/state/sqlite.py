"""A store in one SQLite file, which several sidecars on one machine may share."""

import asyncio
import os
import sqlite3
import stat
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Final, TypeVar

from sidecar.state.store import ABSENT, Record, StoreFailed

T = TypeVar("T")
LONGEST_WAIT: Final = 5.0
"""Seconds that a call waits for another process's write at most."""
SCHEMA: Final = 1
"""Version of the tables below (`user_version` of the file); a change of them adds 1."""
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
_TABLES: Final = (
    "CREATE TABLE counter (version INTEGER NOT NULL)",
    "INSERT INTO counter VALUES (0)",
    "CREATE TABLE record (kind TEXT, name TEXT, version INTEGER NOT NULL, data BLOB NOT NULL, "
    "PRIMARY KEY (kind, name)) WITHOUT ROWID",
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {SCHEMA}",
)
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


class SqliteStore:
    """Records in a SQLite file in WAL mode, mode 0600. All calls run in one thread of their own."""

    is_durable = True

    def __init__(
        self, path: str, connection: sqlite3.Connection, executor: ThreadPoolExecutor
    ) -> None:
        self._path = path
        self._connection = connection
        self._executor = executor

    @classmethod
    @asynccontextmanager
    async def opened(cls, path: str) -> AsyncIterator["SqliteStore"]:
        """The store in the file at this absolute path, made where there is none.

        Raises StoreFailed, also for a file of another program and for one that a newer
        sidecar wrote.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="store") as executor:
            loop = asyncio.get_running_loop()
            connection = await loop.run_in_executor(executor, _connect, path)
            try:
                yield cls(path, connection, executor)
            finally:
                await loop.run_in_executor(executor, connection.close)

    async def get(self, kind: str, name: str) -> Record | None:
        """The record, None where there is none."""

        def read() -> Record | None:
            row = self._connection.execute(
                "SELECT data, version FROM record WHERE kind = ? AND name = ?", (kind, name)
            ).fetchone()
            return Record(*row) if row else None

        return await self._run(read)

    async def put(self, kind: str, name: str, data: bytes, expected_version: int) -> bool:
        """Writes the record, unless its version is another."""

        def write() -> bool:
            with _transaction(self._connection):
                if self._version(kind, name) != expected_version:
                    return False
                self._connection.execute("UPDATE counter SET version = version + 1")
                self._connection.execute(
                    "REPLACE INTO record (kind, name, version, data) "
                    "SELECT ?, ?, version, ? FROM counter",
                    (kind, name, data),
                )
                return True

        return await self._run(write)

    async def delete(self, kind: str, name: str, expected_version: int) -> bool:
        """Removes the record, unless its version is another."""

        def remove() -> bool:
            with _transaction(self._connection):
                gone = self._connection.execute(
                    "DELETE FROM record WHERE kind = ? AND name = ? AND version = ?",
                    (kind, name, expected_version),
                )
                return gone.rowcount == 1

        return await self._run(remove)

    def _version(self, kind: str, name: str) -> int:
        row = self._connection.execute(
            "SELECT version FROM record WHERE kind = ? AND name = ?", (kind, name)
        ).fetchone()
        return int(row[0]) if row else ABSENT

    async def _run(self, work: Callable[[], T]) -> T:
        def named() -> T:
            with _named(self._path):
                return work()

        return await asyncio.get_running_loop().run_in_executor(self._executor, named)


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
        if _check_ours(path, connection) == 0:
            for statement in _TABLES:
                connection.execute(statement)


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
