"""A database that is asked by one query whether a user exists, and is enabled."""

from time import monotonic
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import text
from sqlalchemy.exc import DataError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from sidecar.config.sql import PARAMETER
from sidecar.config.subjects import SqlDirectory
from sidecar.subjects.directory import AT_ONCE, Found, NoAnswer
from sidecar.token.subject import Standing

RECYCLE: Final = 300
"""Seconds after which a connection is replaced: those that idle are often cut off unseen."""
_LONGEST_CAUSE: Final = 300
_STEPS: Final = 10_000
"""Instructions of SQLite's, about a tenth of a millisecond, between two looks at the time."""
_YES: Final = frozenset({"true", "t", "yes", "y", "1"})


class SqlSource:
    """Asks with a pool of connections.

    A SQLite file is opened for each question, so that one that was replaced is seen. It is opened
    for reading only, and PostgreSQL's transactions are read-only.
    """

    def __init__(self, settings: SqlDirectory) -> None:
        self._query = text(settings.query.text)
        opened = _file_engine if settings.url.path else _server_engine
        self._engine = opened(settings)

    async def look_up(self, subject: str) -> Found:
        """What its first row says; raises NoAnswer where the query fails.

        A value that the column can't hold, such as text for a UUID, is unknown and no failure.
        """
        try:
            return _found(await self._rows(subject))
        except DBAPIError as error:
            if _is_of_the_value(error):
                return Found(Standing.UNKNOWN)
            raise NoAnswer("its query fails; the log has the cause", _cause(error.orig)) from error
        except (SQLAlchemyError, OSError) as error:
            raise NoAnswer("there is no connection to it", _cause(error)) from error
        except Exception as error:  # each driver has errors of its own when it connects
            raise NoAnswer("there is no connection to it", _cause(error)) from error

    async def close(self) -> None:
        """Closes its connections."""
        await self._engine.dispose()

    async def _rows(self, subject: str) -> list[Any]:
        """Asked again on a new connection where the old one turns out to be gone."""
        try:
            return await self._asked(subject)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
        return await self._asked(subject)

    async def _asked(self, subject: str) -> list[Any]:
        async with self._engine.connect() as connection:
            result = await connection.execute(self._query, {PARAMETER: subject})
            return list(result.fetchmany(2))


def _file_engine(settings: SqlDirectory) -> AsyncEngine:
    import aiosqlite

    async def opened() -> aiosqlite.Connection:
        uri = f"file:{quote(settings.url.path)}?mode=ro"
        connection = await aiosqlite.connect(uri, uri=True, timeout=settings.timeout)
        ends = monotonic() + settings.timeout
        # SQLite works on in its thread, whoever stopped waiting, until it is told to end.
        await connection.set_progress_handler(lambda: monotonic() > ends, _STEPS)
        return connection

    return create_async_engine(
        "sqlite+aiosqlite://", async_creator=opened, poolclass=NullPool, hide_parameters=True
    )


def _server_engine(settings: SqlDirectory) -> AsyncEngine:
    url = settings.url.url
    arguments: dict[str, Any] = {}
    if settings.password is not None:
        url = url.set(password=settings.password.material.decode("utf-8", "surrogateescape"))
    if url.drivername == "postgresql+asyncpg":
        milliseconds = str(max(1, round(settings.timeout * 1000)))
        arguments = {
            "timeout": settings.timeout,
            "server_settings": {
                "application_name": "jwt-sidecar",
                "default_transaction_read_only": "on",
                "statement_timeout": milliseconds,
            },
        }
    return create_async_engine(
        url,
        connect_args=arguments,
        hide_parameters=True,
        isolation_level="AUTOCOMMIT",
        max_overflow=0,
        pool_recycle=RECYCLE,
        pool_size=AT_ONCE,
    )


def _found(rows: list[Any]) -> Found:
    if not rows:
        return Found(Standing.UNKNOWN)
    if len(rows) > 1:
        return Found(Standing.DISABLED, "its query gives several rows, and must give one")
    value = rows[0][0]
    if _is_true(value):
        return Found(Standing.EXISTS)
    if isinstance(value, str) and value.lower() not in {"false", "f", "no", "n", "0"}:
        return Found(Standing.DISABLED, "the first column is text, and neither true nor false")
    return Found(Standing.DISABLED, "the first column is null" if value is None else "")


def _is_true(value: Any) -> bool:
    if isinstance(value, str):
        return value.lower() in _YES
    return value == b"\x01" if isinstance(value, bytes) else bool(value == 1)


def _is_of_the_value(error: DBAPIError) -> bool:
    """Whether it is the subject that the database can't take: SQLSTATE class 22."""
    state = getattr(error.orig, "sqlstate", None) or ""
    return isinstance(error, DataError) or state.startswith("22")


def _cause(error: BaseException | None) -> str:
    words = " ".join(str(error).split()) or type(error).__name__
    return words[:_LONGEST_CAUSE]
