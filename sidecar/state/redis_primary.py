"""Connections to the one Redis that takes writes, wherever it is at the time."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from redis.asyncio.connection import Connection
from redis.exceptions import MovedError, ReadOnlyError, RedisError

from sidecar.config.addresses import Address
from sidecar.config.redis import Layout, RedisUrl
from sidecar.config.store import Store as Setting
from sidecar.state.redis_access import Access, close, evaluate, is_fresh
from sidecar.state.redis_failures import FAILURES, NoMaster, Unreached, is_away, sentence
from sidecar.state.redis_scripts import CHANNEL, FORMAT_KEY, OPEN, PREFIX, Script
from sidecar.state.store import StoreFailed

LONGEST_CALL: Final = 2.0
"""Seconds for a call, connecting included: as long as a check may wait, and as long as others are
kept waiting by default until they see a change (`max_staleness`)."""
LONGEST_TRY: Final = 0.8
"""Seconds for one of several nodes to answer, so that within a call another one is tried."""
MOST_CONNECTIONS: Final = 16
"""Redis works on one call at a time; more of them would wait there instead of here."""
FIRST_PAUSE: Final = 0.1
"""Seconds after a failure in which calls fail at once; each further time twice as long."""
LONGEST_PAUSE: Final = 2.0

_PROBES: Final = (FORMAT_KEY, f"{PREFIX}probe:record", f"{PREFIX}probe:name")


class Primary:
    """Runs scripts there. `setting` gives the settings of the time, whose place never changes."""

    def __init__(self, url: RedisUrl, setting: Callable[[], Setting]) -> None:
        self._url = url
        self._setting = setting
        self._nodes = list(url.nodes)
        self._found: Address | None = None
        self._idle: list[Connection] = []
        self._places = asyncio.Semaphore(MOST_CONNECTIONS)
        self._access: Access | None = None
        self._pause = 0.0
        self._rests_until = 0.0
        self._problem = ""

    async def run(self, script: Script, keys: Sequence[str], *arguments: str | bytes | int) -> Any:
        """What the script answers; raises StoreFailed, after LONGEST_CALL at the latest.

        Nothing is asked twice that may have been done.
        """
        if time.monotonic() < self._rests_until:
            raise StoreFailed(self._problem)
        try:
            async with asyncio.timeout(LONGEST_CALL), self._places:
                answer = await self._run(script, keys, arguments)
        except FAILURES as error:
            raise self._failed(error) from error
        self._pause = 0.0
        return answer

    def told(self, error: Exception) -> StoreFailed:
        """What to say of one of FAILURES."""
        if isinstance(error, Unreached) and self._url.layout is Layout.SINGLE:
            error = error.cause  # the URL names the one address
        return StoreFailed(f"{self._url}: {sentence(error)}")

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Connection]:
        """A connection of its own; raises StoreFailed, after LONGEST_CALL at the latest.

        That it can be had ends the pause after a failure.
        """
        try:
            async with asyncio.timeout(LONGEST_CALL):
                connection = await self._connect()
        except FAILURES as error:
            raise self._failed(error) from error
        self._pause = self._rests_until = 0.0
        try:
            yield connection
        finally:
            await close(connection)

    async def close(self) -> None:
        """Closes all connections."""
        idle, self._idle = self._idle, []
        for connection in idle:
            with contextlib.suppress(RedisError, OSError):
                await connection.disconnect()

    def _failed(self, error: Exception) -> StoreFailed:
        """Where Redis is away, there is a pause, and all connections are made anew."""
        failure = self.told(error)
        now = time.monotonic()
        if is_away(error) and now >= self._rests_until:
            self._pause = min(max(FIRST_PAUSE, self._pause * 2), LONGEST_PAUSE)
            self._rests_until = now + self._pause
            self._problem = str(failure)
            self._forget()
        return failure

    async def _run(self, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        connection = await self._take()
        try:
            return await evaluate(connection, script, keys, arguments)
        except (MovedError, ReadOnlyError):
            connection.mark_for_reconnect()
            self._forget()  # another one is the primary now, and nothing was done here
        finally:
            self._give_back(connection)
        connection = await self._connect()
        try:
            return await evaluate(connection, script, keys, arguments)
        finally:
            self._give_back(connection)

    async def _take(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if await is_fresh(connection):
                return connection
            await close(connection)
        return await self._connect()

    def _give_back(self, connection: Connection) -> None:
        """Keeps it, unless it was closed since a call on it did not come to its end."""
        if connection.is_connected:
            self._idle.append(connection)

    def _forget(self) -> None:
        """What comes next begins with the settings: password, certificates, addresses."""
        self._found = self._access = None
        for connection in self._idle:
            connection.mark_for_reconnect()

    async def _connect(self) -> Connection:
        """A connection that was tried: the primary's, with all rights that are needed."""
        access = self._access or await Access.of(self._url, self._setting())
        self._access = access
        if self._url.layout is Layout.SENTINEL:
            return await self._try(access, await self._master(access))
        for node in [*([self._found] if self._found else []), *self._nodes]:
            try:
                return await self._try(access, node)
            except MovedError as moved:
                self._found = found = Address(host=moved.host or node.host, port=int(moved.port))
                return await self._try(access, found)
            except Unreached as unreached:
                failure = unreached
                self._put_last(node)
        raise failure

    async def _master(self, access: Access) -> Address:
        """Where the Sentinels say that the master is."""
        failure: Exception = NoMaster(
            f"no Sentinel knows a master named {self._url.master}; mend store.url, or have it "
            "monitored"
        )
        for node in tuple(self._nodes):
            try:
                found = await self._ask(access.to_sentinel(node), node)
            except Unreached as unreached:
                failure = unreached
                self._put_last(node)
                continue
            if found is not None:
                return found
        raise failure

    async def _ask(self, connection: Connection, sentinel: Address) -> Address | None:
        command = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._url.master)
        async with _at(sentinel, LONGEST_TRY):
            try:
                await connection.connect()
                await connection.send_command(*command)
                found = await connection.read_response()
            finally:
                await close(connection)
        return Address(host=found[0].decode(), port=int(found[1])) if found else None

    async def _try(self, access: Access, address: Address) -> Connection:
        connection = access.to_redis(address)
        several = len(self._nodes) > 1 or self._url.layout is Layout.SENTINEL
        try:
            async with _at(address, LONGEST_TRY if several else LONGEST_CALL):
                await connection.connect()
                await evaluate(connection, OPEN, _PROBES, (CHANNEL,))
        except BaseException:
            await close(connection)
            raise
        return connection

    def _put_last(self, node: Address) -> None:
        """The next call begins with another one."""
        if node in self._nodes:
            self._nodes.remove(node)
            self._nodes.append(node)


@asynccontextmanager
async def _at(address: Address, at_most: float) -> AsyncIterator[None]:
    """Adds the address to what goes wrong inside, but for word of another one."""
    try:
        async with asyncio.timeout(at_most):
            yield
    except MovedError:
        raise
    except (RedisError, OSError) as error:
        raise Unreached(str(address), error) from error
