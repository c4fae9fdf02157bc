"""Following the store: what other sidecars revoke is known here soon after."""

import asyncio
import logging
import math
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from sidecar.config.store import Store as Setting
from sidecar.state.revocations import KIND, Revocations, read
from sidecar.state.store import MOST_AT_ONCE, Named, Store, StoreFailed
from sidecar.token.revoked import Revoked
from sidecar.token.words import moment

_POLLS: Final = 4
"""How often the store is looked at within `max_staleness`: one look may be late, or fail."""
_ANCHORS: Final = 1000
"""Of the records that were read last, so many are known by their names."""
_MARGIN: Final = 5.0
"""Seconds by which a store's clock may differ that says what has expired, and by which a clock may
be set back without a reason to read all again."""

log = logging.getLogger(__name__)


@asynccontextmanager
async def remembering(
    store: Store,
    setting: Callable[[], Setting | None],
    revoked: Revoked,
    now: Callable[[], float],
    steady: Callable[[], float],
) -> AsyncIterator[Revocations]:
    """What makes revocations last; what others make is followed inside the block.

    `setting` gives what is configured at the time. What has ended by `steady`, which never runs
    ahead of monotonic time, is forgotten.
    """
    revocations = Revocations(store, revoked, steady)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(revocations.finish)
        first = setting()
        if store.is_durable and first is not None:
            follower = Follower(store, revoked, lambda: setting() or first, now, steady)
            await stack.enter_async_context(follower.following())
        yield revocations


class Follower:
    """Keeps `revoked` up to date with the store, from the version that was read last.

    `setting` gives what is configured of the store at the time. `now` is for what the log tells;
    what has ended by `steady` is forgotten.
    """

    def __init__(
        self,
        store: Store,
        revoked: Revoked,
        setting: Callable[[], Setting],
        now: Callable[[], float],
        steady: Callable[[], float],
    ) -> None:
        self._store = store
        self._revoked = revoked
        self._setting = setting
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._steady = steady
        self._forgotten = -math.inf
        """What had ended by this time of `steady` may be forgotten here."""
        self._anchors: deque[Named] = deque(maxlen=_ANCHORS)
        self._asked = 0.0
        self._failures = 0
        self._late: asyncio.TimerHandle | None = None
        self._warned_of_newer = False

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """All that is revoked so far is known before the block, and inside it what comes.

        Where the store does not answer at first, nothing passes until it does.
        """
        try:
            await self.catch_up()
        except StoreFailed as failure:
            self._failed(str(failure))
            self._revoked.set_unknown(
                "what is revoked is not known yet, as the store has not answered since the start; "
                "try again"
            )
        task = asyncio.create_task(self._run(), name="following revocations")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if self._late:
                self._late.cancel()

    async def catch_up(self) -> None:
        """Reads what was written since; raises StoreFailed."""
        steady = self._steady()
        if steady < self._forgotten - _MARGIN:
            # The clock was ahead since the start, or for long enough to be believed. The store may
            # still have what ended by it, as another sidecar's clock or Redis's was right.
            self._anchors.clear()
            self._forgotten = steady
        if not await self._read_from_anchor():
            log.warning("the store is not as it was: all revocations are read again")
            await self._read_behind(0)
        self._forgotten = max(self._forgotten, steady)
        self._revoked.forget(steady)
        self._is_up_to_date()

    async def _run(self) -> None:
        while True:
            try:
                await self._look()
            except StoreFailed as failure:
                self._failed(str(failure))
            except Exception:
                log.exception("the revocations of the store can't be followed")
                self._failures += 1

    async def _look(self) -> None:
        """Waits for a change, or while the store fails ever longer, and reads what there is."""
        longest = self._setting().max_staleness
        pause = longest / _POLLS
        if self._failures:
            await asyncio.sleep(min(pause * 2.0 ** min(self._failures, 30), longest))
        else:
            await self._store.wait(KIND, pause)
        await self.catch_up()

    async def _read_from_anchor(self) -> bool:
        """Whether what was read last is still there, so that nothing behind it is missed.

        A store that was emptied, or brought back from an older copy, counts its versions anew.
        """
        soon = self._now() + _MARGIN
        while self._anchors and _ends(self._anchors[-1]) <= soon:
            self._anchors.pop()
        if not self._anchors:
            await self._read_behind(0)
            return True
        anchor = self._anchors[-1]
        page = await self._read_page(anchor.record.version - 1)
        if all(one.name != anchor.name for one in page):
            return False
        if len(page) == MOST_AT_ONCE:
            await self._read_behind(page[-1].record.version)
        return True

    async def _read_behind(self, version: int) -> None:
        while len(page := await self._read_page(version)) == MOST_AT_ONCE:
            version = page[-1].record.version

    async def _read_page(self, after: int) -> tuple[Named, ...]:
        self._asked = self._loop.time()
        page = await self._store.changes(KIND, after, MOST_AT_ONCE)
        known = set()
        while self._anchors and self._anchors[-1].record.version > after:
            known.add(self._anchors.pop())
        for one in page:
            if one not in known:
                self._add(one)
        self._anchors.extend(page)
        return page

    def _add(self, one: Named) -> None:
        revocation = read(one)
        if revocation is not None:
            self._revoked.add(revocation)
        elif not self._warned_of_newer:
            self._warned_of_newer = True
            log.error(
                "the store has revocations of a kind that this version does not know, and does not "
                "hold to; run the newer version that wrote them"
            )

    def _failed(self, problem: str) -> None:
        self._failures += 1
        level = logging.WARNING if self._failures == 1 else logging.DEBUG
        log.log(level, "revocations made elsewhere can't be read: %s", problem)

    def _is_up_to_date(self) -> None:
        """As of when the store was asked last; what follows when that is too long ago is told."""
        if self._failures:
            log.info("revocations made elsewhere are read again")
        self._failures = 0
        self._revoked.set_unknown("")
        if self._late:
            self._late.cancel()
        since = moment(self._now() - (self._loop.time() - self._asked))
        late = self._asked + self._setting().max_staleness
        self._revoked.set_late(late if self._denies() else math.inf, _unknown(since))
        self._late = self._loop.call_at(late, self._is_late, since)

    def _denies(self) -> bool:
        return self._setting().on_outage == "deny"

    def _is_late(self, since: str) -> None:
        if self._denies():
            self._revoked.set_unknown(_unknown(since))
        log.warning(
            "revocations made elsewhere since %s are not known; by store.on_outage, %s meanwhile",
            since,
            "every token is refused" if self._denies() else "tokens are judged without them",
        )


def _unknown(since: str) -> str:
    return (
        f"what was revoked since {since} is not known, as the store has not answered since, and "
        "store.on_outage is deny; try again"
    )


def _ends(one: Named) -> float:
    return math.inf if one.record.expire_time is None else one.record.expire_time
