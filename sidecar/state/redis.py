"""A store in Redis or Valkey, which sidecars on several machines share."""

import asyncio
import logging
import random
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from redis.asyncio.connection import Connection
from redis.exceptions import ResponseError

from sidecar.config.redis import RedisUrl
from sidecar.config.store import Store as Setting
from sidecar.state.redis_failures import FAILURES, RECORDS_ARE_GONE, Damaged
from sidecar.state.redis_primary import LONGEST_CALL, LONGEST_PAUSE, Primary
from sidecar.state.redis_scripts import (
    CHANGES,
    CHANNEL,
    FORMAT_KEY,
    GET,
    PAGE,
    VERSION_KEY,
    WRITE,
    Script,
    kind_keys,
)
from sidecar.state.signals import Signals
from sidecar.state.store import Named, Record, Store, StoreFailed, Write
from sidecar.steady import forget_nothing

QUIET: Final = 5.0
"""Seconds without word of a change after which the connection is tried: one that was cut off is
silent, too."""
FIRST_RETRY: Final = 0.1
"""Seconds until the connection that tells of changes is made anew; each further time twice as
long, up to LONGEST_PAUSE, and spread by half, so that a fleet does not come in step."""
_STAYS: Final = b"-"

log = logging.getLogger(__name__)


class RedisStore(Store):
    """Records in Redis. Each call is one script there, and ends within LONGEST_CALL.

    `steady` says what has expired, as for every store, and Redis's clock must agree: so neither a
    Redis nor one of several sidecars with a wrong clock removes anything early.
    """

    is_durable = True

    def __init__(self, url: RedisUrl, primary: Primary, steady: Callable[[], float]) -> None:
        self._url = url
        self._primary = primary
        self._steady = steady
        self._signals = Signals()
        self._tried = asyncio.Event()
        self._open = asyncio.Event()
        self._problem = f"{url}: it was not reached yet"
        self._away = ""

    @classmethod
    @asynccontextmanager
    async def opened(
        cls,
        url: RedisUrl,
        setting: Callable[[], Setting],
        steady: Callable[[], float] = forget_nothing,
    ) -> AsyncIterator["RedisStore"]:
        """The store at this URL, after one try to reach it, which goes on inside the block.

        `setting` gives what the settings are at the time: passwords and certificates may change.
        """
        store = cls(url, Primary(url, setting), steady)
        listening = asyncio.create_task(store._listen())
        try:
            await store._tried.wait()
            yield store
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await store._primary.close()

    @property
    def problem(self) -> str:
        """Why it can't be used yet; empty once it could."""
        return self._problem

    async def wait_until_open(self) -> None:
        """Returns once it could be used."""
        await self._open.wait()

    async def get(self, kind: str, name: str) -> Record | None:
        """The record, None where there is none."""
        keys = (FORMAT_KEY, kind_keys(kind)[0])
        _, (value,) = await self._primary.run(GET, keys, name)
        return None if value is None else _named(b"", value).record

    async def write(self, *writes: Write) -> bool:
        """Makes all of these changes, or none."""
        kinds = sorted({one.kind for one in writes})
        keys = [key for kind in kinds for key in kind_keys(kind)]
        arguments = [part for one in writes for part in _written(one, kinds.index(one.kind) + 1)]
        made = await self._primary.run(
            WRITE,
            (FORMAT_KEY, VERSION_KEY, *keys),
            *(CHANNEL, repr(self._steady()), len(kinds), *kinds, *arguments),
        )
        return bool(made)

    async def page(self, kind: str, after: str, limit: int) -> tuple[Named, ...]:
        """The first records behind this name, by name."""
        records, names, *_ = kind_keys(kind)
        return await self._some(PAGE, (FORMAT_KEY, records, names), after, limit)

    async def changes(self, kind: str, after: int, limit: int) -> tuple[Named, ...]:
        """The first records above this version, by version."""
        records, _, versions, _ = kind_keys(kind)
        return await self._some(CHANGES, (FORMAT_KEY, records, versions), after, limit)

    async def wait(self, kind: str, at_most: float) -> None:
        """Returns after a write of the kind, whoever made it, or when the time is over.

        Also after a connection was lost and is there again: what was told meanwhile is not known.
        """
        await self._signals.wait(kind, at_most)

    async def _some(
        self, script: Script, keys: Sequence[str], after: str | int, limit: int
    ) -> tuple[Named, ...]:
        names, values = await self._primary.run(script, keys, after, limit)
        there = [value for value in values if value is not None]
        if len(there) < len(names):
            raise self._primary.told(Damaged(RECORDS_ARE_GONE))
        return tuple(_named(*one) for one in zip(names, there, strict=True))

    async def _listen(self) -> None:
        """Hears what changes, for as long as the store is open, whatever happens to Redis."""
        failures = 0
        while True:
            try:
                async with self._primary.connected() as connection:
                    await self._begin(connection)
                    failures = 0
                    await self._hear(connection)
            except StoreFailed as failure:
                self._is_away(failure)
            except FAILURES as error:
                self._is_away(self._primary.told(error))
            except Exception:
                log.exception("store: its changes can't be listened to")
            self._tried.set()
            pause = min(FIRST_RETRY * 2.0 ** min(failures, 30), LONGEST_PAUSE)
            failures += 1
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 no secret

    async def _begin(self, connection: Connection) -> None:
        """From here on nothing is missed; what was missed before is for the followers to read."""
        if not self._open.is_set():
            await self._warn_of_eviction(connection)
        async with asyncio.timeout(LONGEST_CALL):
            await connection.send_command("SUBSCRIBE", CHANNEL)
            await connection.read_response()
        if self._away:
            log.info("store: %s is there again", self._url)
        self._away = self._problem = ""
        self._open.set()
        self._tried.set()
        self._signals.tell_all()

    async def _hear(self, connection: Connection) -> None:
        while True:
            message = await connection.read_response(timeout=QUIET)
            if message is None:
                async with asyncio.timeout(LONGEST_CALL):
                    await connection.send_command("PING")
                    message = await connection.read_response()
            if message[0] == b"message":
                self._signals.tell(message[2].decode())

    async def _warn_of_eviction(self, connection: Connection) -> None:
        """Says so where Redis would give up records for room; where it does not tell, nothing."""
        try:
            async with asyncio.timeout(LONGEST_CALL):
                await connection.send_command("INFO", "memory")
                told = await connection.read_response()
        except ResponseError:
            return
        policy = re.search(rb"maxmemory_policy:(allkeys-[a-z]+)", told)
        if policy:
            log.warning(
                "store: %s forgets records when its memory is full (maxmemory-policy %s): set it "
                "to noeviction",
                self._url,
                policy[1].decode(),
            )

    def _is_away(self, failure: StoreFailed) -> None:
        """Says so once."""
        if str(failure) != self._away:
            log.warning("store: %s", failure)
        self._away = str(failure)
        if not self._open.is_set():
            self._problem = str(failure)


def _named(name: bytes, value: bytes) -> Named:
    head, _, data = value.partition(b"\n")
    version, expiry = head.split(b" ")
    expire_time = None if expiry == _STAYS else float(expiry)
    return Named(name.decode(), Record(data, int(version), expire_time))


def _written(one: Write, kind: int) -> tuple[str | bytes | int, ...]:
    """As the script takes it."""
    return (
        kind,
        one.name,
        "" if one.expected_version is None else one.expected_version,
        "" if one.data is None else "1",
        _STAYS if one.expire_time is None else repr(one.expire_time),
        one.data or b"",
    )
