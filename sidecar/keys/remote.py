"""Keeping one issuer's keys fresh while its JWK Set can be fetched, and in use while it can't."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sidecar.config.issuers import Issuer, IssuerKeys
from sidecar.keys.download import Download, DownloadFailed
from sidecar.keys.location import discover_jwks_url
from sidecar.token.keyset import KeySet, parse_jwks
from sidecar.token.words import duration

FIRST_RETRY: Final = 1.0
"""Seconds until the first retry after a failed fetch; each further one waits twice as long."""
LONGEST_RETRY: Final = 60.0
"""Seconds between retries at most: keys that are back are soon in use."""
JITTER: Final = 0.1
"""Fetches are spread by this share of their interval to either side."""

Fetch = Callable[[], Awaitable[bytes]]
Publish = Callable[[str, KeySet | None, str], None]
"""Issuer, its keys or None, and what is wrong, empty where nothing is."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When keys are fetched, in seconds."""

    refresh: float
    unknown_key_interval: float
    max_stale: float


def schedule_of(keys: IssuerKeys) -> Schedule:
    """The schedule that an issuer's settings ask for."""
    return Schedule(keys.refresh, keys.unknown_key_interval, keys.max_stale)


def fetcher(issuer: Issuer, download: Download) -> Fetch:
    """What fetches an issuer's JWK Set from its configured or discovered URL."""
    keys = issuer.keys
    ca_file = Path(keys.ca_file.path) if keys.ca_file else None

    async def fetch() -> bytes:
        url = keys.url or await discover_jwks_url(issuer.issuer, download, keys.timeout, ca_file)
        return await download(url, keys.timeout, ca_file)

    return fetch


class RemoteKeys:
    """The keys of one issuer, fetched by one request at a time and shared by all who wait.

    A failed fetch leaves the old keys in use for `max_stale` from the last good one. Runs on the
    event loop's clock; `random` gives numbers from 0 to 1.
    """

    def __init__(
        self,
        issuer_name: str,
        schedule: Schedule,
        fetch: Fetch,
        publish: Publish,
        random: Callable[[], float],
    ) -> None:
        self._issuer_name = issuer_name
        self._schedule = schedule
        self._fetch = fetch
        self._publish = publish
        self._random = random
        self._running: asyncio.Task[None] | None = None
        self._keys: KeySet | None = None
        self._fetched_at = 0.0
        self._due = 0.0
        self._failures = 0
        self._unknown_allowed_at = 0.0
        self._rescheduled = asyncio.Event()

    async def run(self) -> None:
        """Fetches now and then whenever it is due, until cancelled."""
        try:
            while True:
                await asyncio.shield(self._shared_fetch())
                await self._until_due()
        finally:
            if self._running:
                self._running.cancel()

    async def wait_for_keys(self, at_most: float) -> None:
        """Waits for the fetch that is under way, if one is, for at most so many seconds."""
        if self._running:
            await asyncio.wait({self._running}, timeout=at_most)

    async def fetch_unknown_key(self, at_most: float) -> bool:
        """Fetches for a `kid` that the set does not have; whether the keys may be others now.

        At most one fetch in `unknown_key_interval`: between those the answer is False at once.
        """
        if self._running is None and _time() < self._unknown_allowed_at:
            return False
        await asyncio.wait({self._shared_fetch()}, timeout=at_most)
        return True

    async def _until_due(self) -> None:
        while (wait := self._due - _time()) > 0:
            self._rescheduled.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._rescheduled.wait()

    def _shared_fetch(self) -> asyncio.Task[None]:
        if self._running is None:
            self._running = asyncio.create_task(self._fetch_once(), name="fetch keys")
        return self._running

    async def _fetch_once(self) -> None:
        self._unknown_allowed_at = _time() + self._schedule.unknown_key_interval
        try:
            self._accept(_parse(await self._fetch()))
        except DownloadFailed as error:
            self._fail(str(error))
        except Exception:
            log.exception("fetching the keys of issuer %s", self._issuer_name)
            self._fail("an internal error; see the log")
        finally:
            self._running = None
            self._rescheduled.set()

    def _accept(self, keys: KeySet) -> None:
        news = [str(one) for one in keys.unusable]
        if self._keys is None or news != [str(one) for one in self._keys.unusable]:
            for one in news:
                log.warning("issuer %s: unusable key %s", self._issuer_name, one)
        if self._failures:
            log.info("issuer %s: keys fetched again", self._issuer_name)
        self._keys, self._fetched_at, self._failures = keys, _time(), 0
        self._due = _time() + self._schedule.refresh * self._spread()
        self._publish(self._issuer_name, keys, "")

    def _fail(self, problem: str) -> None:
        self._failures += 1
        backoff = FIRST_RETRY * 2 ** min(self._failures - 1, 30)
        self._due = _time() + min(backoff, LONGEST_RETRY, self._schedule.refresh) * self._spread()
        stale = "no keys are there yet"
        if self._keys is not None:
            left = self._fetched_at + self._schedule.max_stale - _time()
            stale = f"the old keys serve for another {duration(left)}"
            if left <= 0:
                self._keys = None
                stale = "the old keys are past max_stale and serve no longer"
            else:
                self._due = min(self._due, _time() + left)
        log.warning("issuer %s: %s; %s", self._issuer_name, problem, stale)
        self._publish(self._issuer_name, self._keys, problem)

    def _spread(self) -> float:
        return 1 + JITTER * (2 * self._random() - 1)


def _parse(body: bytes) -> KeySet:
    try:
        keys = parse_jwks(body)
    except ValueError as error:
        raise DownloadFailed(f"the answer is no JWK Set: {error}") from error
    if not keys.keys:
        problems = "; ".join(str(one) for one in keys.unusable[:5]) or "it is empty"
        raise DownloadFailed(f"the JWK Set has no usable key: {problems}")
    return keys


def _time() -> float:
    return asyncio.get_running_loop().time()
