"""The steady clock of a store: saved in it, so that a restart forgets nothing early either."""

import asyncio
import json
import logging
import math
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Final

from sidecar.state.consumers.record import KIND as CONSUMER
from sidecar.state.one_time import PROOFS, TOKENS
from sidecar.state.refresh_record import KIND as FAMILY
from sidecar.state.revocations import KIND as REVOCATION
from sidecar.state.store import Store, StoreFailed
from sidecar.steady import UNKNOWN, ClockState, SteadyClock
from sidecar.token.claims import LAST_SECOND

KIND: Final = "clock"
NAME: Final = "steady"
EXPIRING: Final = (CONSUMER, FAMILY, PROOFS, REVOCATION, TOKENS)
"""Kinds with records that expire."""
HOLD: Final = 86400.0
"""Seconds of running time for which a wall clock must be ahead before it is believed: long enough
for somebody to notice a clock by which every short-lived token has expired."""
PACE: Final = 30.0
"""Seconds between two looks at the wall clock, each saved: a crash loses so much progress."""

log = logging.getLogger(__name__)


@asynccontextmanager
async def kept(store: Store, clock: SteadyClock) -> AsyncIterator[None]:
    """Resume the clock from the store, and save it there inside the block.

    While the store can't be read, nothing is forgotten.
    """
    if not store.is_durable:
        clock.begin_now()
        yield
        return
    loaded = await _try(_load(store, clock))
    task = asyncio.create_task(_keep(store, clock, loaded), name="saving the steady clock")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _keep(store: Store, clock: SteadyClock, loaded: bool) -> None:
    while True:
        await asyncio.sleep(PACE)
        if not loaded:
            loaded = await _try(_load(store, clock))
        clock()
        if loaded:
            await _try(_save(store, clock.state))


async def _try(work: Coroutine[None, None, None]) -> bool:
    """Return whether it was done; whoever else uses the store tells of its failures."""
    try:
        await work
    except StoreFailed as failure:
        log.debug("the steady clock: %s", failure)
        return False
    return True


async def _load(store: Store, clock: SteadyClock) -> None:
    record = await store.get(KIND, NAME)
    if record is not None:
        clock.resume(_parse(record.data))
        return
    if await _is_empty(store):
        clock.begin_now()
    await _save(store, clock.state)


async def _is_empty(store: Store) -> bool:
    for kind in EXPIRING:
        if await store.page(kind, "", 1):
            return False
    return True


async def _save(store: Store, state: ClockState) -> None:
    lead = None if state.lead == math.inf else state.lead
    members = {"time": state.time, "lead": lead, "observed": state.observed}
    await store.put(KIND, NAME, json.dumps(members).encode(), None)


def _parse(data: bytes) -> ClockState:
    """Return the state; forget nothing for a while if it can't be read."""
    try:
        members = json.loads(data)
        time, observed = float(members["time"]), float(members["observed"])
        lead = math.inf if members["lead"] is None else float(members["lead"])
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return UNKNOWN
    sound = 0 <= time <= LAST_SECOND and lead >= 0 and 0 <= observed <= HOLD
    return ClockState(time, lead, observed) if sound else UNKNOWN
