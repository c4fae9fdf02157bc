"""Keeping one issuer's keys fresh while its JWK Set can be fetched, and in use while it can't."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from sidecar.keys.answer import Answer, DownloadFailed, Outcome
from sidecar.keys.held import Held, State, parse
from sidecar.keys.saved import Snapshots, Vault
from sidecar.keys.schedule import Schedule
from sidecar.keys.source import Fetch
from sidecar.token.keyset import KeySet
from sidecar.token.words import duration

MOST_RESTORING: Final = 1.0
"""Seconds that the first fetch waits for the saved keys: a store that hangs holds up nothing."""
MOST_ASKED: Final = 100
"""Key ids that are noted while one fetch looks for them, each as long as a token may be."""
PAST: Final = "the old keys are past max_stale and serve no longer"

Publish = Callable[[str, KeySet | None, str], None]
"""Issuer, its keys or None, and what is wrong, empty where nothing is."""

log = logging.getLogger(__name__)


class RemoteKeys:
    """The keys of one issuer, fetched by one request at a time and shared by all who wait.

    A failed fetch leaves the old keys in use for `max_stale` from the last good one. Runs on the
    event loop's clock; `random` gives numbers from 0 to 1, `now` seconds since the epoch.
    `initial` is the state of another one of the same source: its keys serve, and are fetched
    when they would have been; a fetch that is under way goes on. From `snapshots`, where
    `source` must be the same, come the keys to start with.
    """

    def __init__(
        self,
        issuer_name: str,
        schedule: Schedule,
        fetch: Fetch,
        publish: Publish,
        random: Callable[[], float],
        *,
        now: Callable[[], float] = time.time,
        initial: State | None = None,
        snapshots: Snapshots | None = None,
        source: str = "",
    ) -> None:
        initial = initial or State()
        self.fetches = initial.fetches
        """How many fetches ended how."""
        self.problem = initial.problem
        """What was wrong with the latest fetch, empty where nothing was."""
        self._issuer_name = issuer_name
        self._schedule = schedule
        self._fetch = fetch
        self._publish = publish
        self._random = random
        self._now = now
        self._vault = Vault(issuer_name, source, snapshots, now) if snapshots else None
        self._held = initial.held
        self._due = initial.due
        self._failures = initial.failures
        self._unknown_allowed_at = initial.unknown_allowed_at
        self._absent = initial.absent
        self._asked = set(initial.asked)
        self._answer = initial.answer
        self._goes_on = initial.is_fetching
        self._running: asyncio.Task[None] | None = None
        self._saving: asyncio.Task[None] | None = None
        self._news: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._end: asyncio.TimerHandle | None = None
        self._stopped = False

    def hand_over(self) -> State:
        """What `initial` of the next one takes; to be stopped then, which ends no fetch."""
        state = State(
            self._held,
            self.problem,
            self._due,
            self._failures,
            self._unknown_allowed_at,
            self.fetches,
            self._absent,
            self._running is not None,
            self._answer,
            frozenset(self._asked),
        )
        self._answer = None
        self._end_timers()
        return state

    @property
    def fetch_time(self) -> float | None:
        """When the keys in use were fetched or confirmed, in seconds since the epoch."""
        return None if self._held is None else self._wall(self._held.fetched_at)

    @property
    def next_fetch_time(self) -> float | None:
        """When they are fetched again, in seconds since the epoch; None while they are."""
        return None if self._due is None or self._running else self._wall(self._due)

    @property
    def stale(self) -> bool:
        """Whether the keys in use are past their refresh time, as fetches fail."""
        return self._held is not None and self._failures > 0 and _time() > self._held.fresh_until

    def start(self) -> None:
        """Fetches now and then whenever it is due, until `stop`."""
        if self._held is not None or self.problem:
            self._tell()
        self._watch_staleness()
        self._keep_to_schedule()
        if self._due is not None and self._due > _time() and not self._goes_on:
            self._plan(self._due)
        elif self._held is None and self._vault is not None and self._answer is None:
            self._running = asyncio.create_task(self._restore_and_fetch(self._vault))
        else:
            self._begin()

    async def stop(self) -> None:
        """Ends the fetch that is under way; from now on nothing is fetched or published."""
        self._stopped = True
        self._end_timers()
        tasks = (self._running, self._answer, self._saving)
        running = [one for one in tasks if one is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._wake()

    async def wait_for_keys(self, at_most: float) -> None:
        """Waits for news from the fetch that is under way, if one is, for so many seconds."""
        if self._running is not None:
            if self._news is None:
                self._news = asyncio.get_running_loop().create_future()
            await asyncio.wait({self._news}, timeout=at_most)

    async def fetch_unknown_key(self, key_id: str, at_most: float) -> bool:
        """Fetches for a `kid` that the set does not have; whether the keys may be others now.

        At most one fetch in `unknown_key_interval`, and none for a `kid` that was looked for
        within the last minute: then the answer is False at once.
        """
        if self._absent.has(key_id, _time()):
            return False
        may_fetch = self._running is not None or _time() >= self._unknown_allowed_at
        if may_fetch and len(self._asked) < MOST_ASKED:
            self._asked.add(key_id)
        return await self.refresh(at_most)

    async def refresh(self, at_most: float) -> bool:
        """Fetches now, within the limit for unknown keys; whether the keys may be others now."""
        if self._stopped or (self._running is None and _time() < self._unknown_allowed_at):
            return False
        await asyncio.wait({self._begin()}, timeout=at_most)
        return True

    def _end_timers(self) -> None:
        for timer in (self._timer, self._end):
            if timer is not None:
                timer.cancel()
        self._timer = self._end = None

    def _keep_to_schedule(self) -> None:
        """What was taken over may be from a schedule with longer intervals."""
        longest, now = self._schedule.interval(None, 1.0), _time()
        if self._due is not None:
            self._due = min(self._due, now + longest)
        pause = self._schedule.unknown_key_pause(1.0)
        self._unknown_allowed_at = min(self._unknown_allowed_at, now + pause)

    def _begin(self) -> asyncio.Task[None]:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._running is None:
            self._running = asyncio.create_task(self._fetch_once(), name="fetch keys")
        return self._running

    def _plan(self, due: float) -> None:
        self._timer = asyncio.get_running_loop().call_at(due, self._begin)

    async def _restore_and_fetch(self, vault: Vault) -> None:
        try:
            async with asyncio.timeout(MOST_RESTORING):
                await self._restore(vault)
        except TimeoutError:
            log.warning("issuer %s: reading the saved keys takes too long", self._issuer_name)
        await self._fetch_once()

    async def _restore(self, vault: Vault) -> None:
        found = await vault.load(self._schedule.max_stale)
        if found is None:
            return
        saved, age = found
        try:
            keys = parse(saved.body, "the saved JWK Set")
        except DownloadFailed as error:
            log.warning("issuer %s: %s", self._issuer_name, error)
            return
        self._held = Held(keys, saved.body, saved.validators, _time() - age, _time())
        self._watch_staleness()
        self._tell()

    async def _fetch_once(self) -> None:
        try:
            self._accept(await self._answered())
        except DownloadFailed as error:
            self._fail(str(error), error.outcome)
        except Exception:
            log.exception("fetching the keys of issuer %s", self._issuer_name)
            self._fail("an internal error; see the log", Outcome.INTERNAL)
        finally:
            self._running = None
            self._asked.clear()
        if self._due is not None:
            self._plan(self._due)

    async def _answered(self) -> Answer:
        """The answer to a request of its own, or to the one that was taken over."""
        if self._answer is None:
            pause = self._schedule.unknown_key_pause(self._random())
            self._unknown_allowed_at = _time() + pause
            anew = self._failures > 0
            validators = None if self._held is None or anew else self._held.validators
            self._answer = asyncio.ensure_future(self._fetch(validators, anew))
        answer = self._answer
        try:
            return await asyncio.shield(answer)
        finally:
            if answer.done():
                self._answer = None

    def _accept(self, answer: Answer) -> None:
        """Takes a set that was fetched; raises DownloadFailed where it has no usable key."""
        keys, body = self._newest(answer)
        outcome = Outcome.NOT_MODIFIED if answer.body is None else Outcome.FETCHED
        self.fetches[outcome] += 1
        if self._failures:
            log.info("issuer %s: keys fetched again", self._issuer_name)
        self._due = self._next_due(answer.lifetime)
        self._failures, self.problem = 0, ""
        same = self._held is not None and self._held.keys is keys
        self._held = Held(keys, body, answer.validators, _time(), self._due)
        self._watch_staleness()
        self._remember_absent(keys, same)
        self._save(self._held)
        self._tell()

    def _newest(self, answer: Answer) -> tuple[KeySet, bytes]:
        """The keys of an answer, the very same ones where the set did not change."""
        held = self._held
        if held is not None and answer.body in (None, held.body):
            return held.keys, held.body
        if answer.body is None:
            raise DownloadFailed("not modified, and there were no keys", Outcome.STATUS)
        keys = parse(answer.body, f"the JWK Set at {answer.url}")
        news = [str(one) for one in keys.unusable]
        if held is None or news != [str(one) for one in held.keys.unusable]:
            for one in news:
                log.warning("issuer %s: unusable key %s", self._issuer_name, one)
        return keys, answer.body

    def _next_due(self, lifetime: float | None) -> float:
        """A fetch for an unknown `kid` leaves the time of the refresh: many made it at once."""
        now, random = _time(), self._random()
        if self._due is None or self._failures:
            return now + self._schedule.first_interval(lifetime, random)
        due = now + self._schedule.interval(lifetime, random)
        return min(self._due, due) if self._due > now else due

    def _remember_absent(self, keys: KeySet, same: bool) -> None:
        if not same:
            self._absent.forget()
        self._absent.remember(self._asked - {key.key_id for key in keys.keys}, _time())

    def _fail(self, problem: str, outcome: Outcome) -> None:
        self.fetches[outcome] += 1
        self._failures += 1
        self.problem = problem
        self._due = _time() + self._schedule.retry(self._failures, self._random())
        stale = "no keys are there yet"
        if self._held is not None:
            left = self._held.fetched_at + self._schedule.max_stale - _time()
            stale = f"the old keys serve for another {duration(left)}"
            if left <= 0:
                self._held = None
                stale = PAST
        log.warning("issuer %s: %s; %s", self._issuer_name, problem, stale)
        self._watch_staleness()
        self._tell()

    def _watch_staleness(self) -> None:
        """While fetches fail, the keys end at a moment, whether or not a fetch is due then.

        So do those that were saved, until one works.
        """
        if self._end is not None:
            self._end.cancel()
            self._end = None
        if self._held is not None and (self._failures or self._held.fresh_until <= _time()):
            end = self._held.fetched_at + self._schedule.max_stale
            self._end = asyncio.get_running_loop().call_at(end, self._drop)

    def _drop(self) -> None:
        self._held = None
        problem = self.problem or "the first fetch takes long"
        log.warning("issuer %s: %s; %s", self._issuer_name, problem, PAST)
        self._tell()

    def _save(self, held: Held) -> None:
        if self._vault is not None and self._saving is None:
            save = self._vault.save(held.body, held.validators)
            self._saving = asyncio.create_task(save, name="save keys")
            self._saving.add_done_callback(self._saved)

    def _saved(self, _: asyncio.Task[None]) -> None:
        self._saving = None

    def _tell(self) -> None:
        keys = None if self._held is None else self._held.keys
        self._publish(self._issuer_name, keys, self.problem)
        self._wake()

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)
        self._news = None

    def _wall(self, moment: float) -> float:
        return self._now() + moment - _time()


def _time() -> float:
    return asyncio.get_running_loop().time()
