"""Noticing what other sidecars do to the consumers in the store."""

import asyncio
import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from typing import Final

from sidecar.state.consumers.record import KIND
from sidecar.state.consumers.registry import TOLD_FOR
from sidecar.state.store import ABSENT, MOST_AT_ONCE, Named, Store, StoreFailed

RETRY: Final = 1.0
"""Seconds until a store that failed is asked again."""
LONGEST_GAP: Final = TOLD_FOR / 2
"""Seconds after which the store may have forgotten a deletion before it was noticed here."""
_POSITION: Final = "position"
"""A record whose version is the latest, just after it was written. What is in it was drawn when
there was none: it is another one in a store that was emptied meanwhile."""

_ID_BYTES: Final = 16

log = logging.getLogger(__name__)


class Follower:
    """Looks for changes twice within `max_staleness` seconds, or when the store tells of one.

    `changed` is called with those that were made, and `lost` where some may have been missed.
    `now` gives seconds since the epoch, `clock` the seconds that are waited.
    """

    def __init__(
        self,
        store: Store,
        max_staleness: float,
        changed: Callable[[Sequence[Named]], None],
        lost: Callable[[], None],
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.synced = -math.inf
        """The moment of `clock` up to which every change was noticed."""
        self._store = store
        self._pause = max_staleness / 2
        self._changed = changed
        self._lost = lost
        self._now = now
        self._clock = clock
        self._synced_time = -math.inf
        self._position = 0
        self._store_id = b""
        self._anchor: Named | None = None
        """The change that was noticed last: a store without it is an older copy."""

    async def run(self) -> None:
        """Follows until cancelled; a store that fails is told of once, and asked again."""
        failing = False
        while True:
            try:
                await self.catch_up()
                await self._store.wait(KIND, self._pause)
            except Exception as failure:
                if not isinstance(failure, StoreFailed):
                    log.exception("changes of consumers in the store can't be followed")
                elif not failing:
                    log.warning("changes of consumers in the store are not noticed: %s", failure)
                failing = True
                await asyncio.sleep(RETRY)
            else:
                if failing:
                    log.info("changes of consumers in the store are noticed again")
                failing = False

    async def catch_up(self) -> None:
        """Notices every change that was made before this call; raises StoreFailed."""
        synced, synced_time = self._clock(), self._now()
        gap = max(synced - self.synced, synced_time - self._synced_time)
        if gap > LONGEST_GAP or not await self._is_the_same_store():
            await self._begin()
            self._lost()
        while True:
            changes = await self._store.changes(KIND, self._position, MOST_AT_ONCE)
            if changes:
                self._changed(changes)
                self._anchor = changes[-1]
                self._position = self._anchor.record.version
            if len(changes) < MOST_AT_ONCE:
                break
        self.synced, self._synced_time = synced, synced_time

    async def _is_the_same_store(self) -> bool:
        """Whether it was neither emptied nor brought back from an older copy.

        It would count its versions anew then, and changes would be missed.
        """
        position = await self._store.get(_POSITION, KIND)
        if position is None or position.data != self._store_id:
            return False
        if self._anchor is None:
            return position.version >= self._position
        record = await self._store.get(KIND, self._anchor.name)
        return record is not None and record.version >= self._anchor.record.version

    async def _begin(self) -> None:
        """From a version that no change had yet which is made from now on; reads none of them."""
        before = await self._store.get(_POSITION, KIND)
        store_id = before.data if before else os.urandom(_ID_BYTES)
        await self._store.put(_POSITION, KIND, store_id, before.version if before else ABSENT)
        record = await self._store.get(_POSITION, KIND)
        if record is None:
            raise StoreFailed("the store forgot at once what was written")
        self._position, self._store_id, self._anchor = record.version, record.data, None
