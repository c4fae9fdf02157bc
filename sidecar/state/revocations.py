"""Revocations as records of the store: how one is made to last, and how it is read back."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Final

from sidecar.state.store import ABSENT, Named, Store, StoreFailed
from sidecar.token.claims import LAST_SECOND
from sidecar.token.reason import CallFailed, ErrorReason
from sidecar.token.revocation import Kind, Revocation
from sidecar.token.revoked import MOST, Revoked
from sidecar.token.words import quoted

KIND: Final = "revocation"
FORMAT: Final = 1
"""Of a record. A change that an older sidecar would read wrongly adds 1."""
_ROUNDS: Final = 10
"""How often another sidecar may be faster with the same revocation."""
_KINDS: Final = {kind.value: kind for kind in Kind}

log = logging.getLogger(__name__)


class Revocations:
    """What is revoked is written to the store, and only then counts here.

    `now` gives seconds since the epoch that never run ahead of the time that really passes.
    """

    def __init__(self, store: Store, revoked: Revoked, now: Callable[[], float]) -> None:
        self._store = store
        self.revoked: Final = revoked
        """What is known of them here."""
        self._now = now
        self._running: set[asyncio.Task[None]] = set()
        self._warned = False

    async def revoke(self, one: Revocation) -> None:
        """Returns once it is durable and in effect here.

        Goes on to its end also where the caller does not wait for it. Raises CallFailed with
        LIMIT_EXCEEDED where no more can be remembered, and with STORE_UNAVAILABLE.
        """
        self.revoked.forget(self._now())
        if len(self.revoked) >= MOST and not self.revoked.knows(one):
            raise CallFailed(
                ErrorReason.LIMIT_EXCEEDED,
                f"{MOST} revocations are remembered, and no more can be until some of these tokens "
                "have expired; let tokens live shorter, and set max_lifetime, so that revocations "
                "of subjects end",
            )
        task = asyncio.create_task(self._revoke(one))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await asyncio.shield(task)

    async def finish(self) -> None:
        """Waits for what is being written."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _revoke(self, one: Revocation) -> None:
        if not self._store.is_durable:
            self._warn_of_loss()
        else:
            try:
                one = await self._written(one)
            except StoreFailed as failure:
                raise CallFailed(
                    ErrorReason.STORE_UNAVAILABLE,
                    f"whether it is revoked is not known; try again: {failure}",
                ) from failure
        self.revoked.add(one)

    def _warn_of_loss(self) -> None:
        if not self._warned:
            log.warning("without a store (setting store) revocations end with this process")
        self._warned = True

    async def _written(self, one: Revocation) -> Revocation:
        """What the store has of it then: what was there before is not shortened."""
        name, version = record_name(one), ABSENT
        look = self.revoked.knows(one)
        for _ in range(_ROUNDS):
            record = await self._store.get(KIND, name) if look else None
            if record is not None:
                there = read(Named(name, record))
                if there is not None and there.covers(one):
                    return there
                one = one.with_all_of(there) if there else one
            version = record.version if record else ABSENT
            if await self._store.put(KIND, name, dump(one), version, one.expire_time):
                return one
            look = True
        raise StoreFailed("other sidecars on the same store revoke the same without pause")


def read(named: Named) -> Revocation | None:
    """The revocation in a record, None where it is of a kind that a newer sidecar knows.

    One that can't be read counts for all tokens, since less would let some pass.
    """
    kind, _, name = named.name.partition(" ")
    if kind not in _KINDS:
        return None
    try:
        members = json.loads(named.record.data)
        time = float(members["time"])
        if members["format"] != FORMAT or not abs(time) <= LAST_SECOND:
            raise ValueError
    except (KeyError, TypeError, ValueError, OverflowError):
        time = LAST_SECOND
        log.error(
            "the record of the revocation of %s is damaged, or of a newer version: it counts for "
            "all tokens",
            quoted(named.name),
        )
    return Revocation(_KINDS[kind], name, time, named.record.expire_time)


def record_name(one: Revocation) -> str:
    """The name of its record."""
    return f"{one.kind.value} {one.name}"


def dump(one: Revocation) -> bytes:
    """The data of its record."""
    return json.dumps({"format": FORMAT, "time": one.time}).encode()
