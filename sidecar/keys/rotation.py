"""The keys that the sidecar makes for its signers: kept in the store, and rotated.

What is to be done and when is `sidecar.token.ring`'s to say.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from sidecar.config.signers import Signer
from sidecar.keys.generated import generate_private_key
from sidecar.keys.record import KIND, UnreadableRing, dump, parse
from sidecar.state.store import ABSENT, Store, StoreFailed
from sidecar.token.algorithms import ALGORITHMS
from sidecar.token.key import UnusableKey
from sidecar.token.kinds import RSA
from sidecar.token.ring import (
    Ring,
    RingKey,
    Slot,
    Wanted,
    lacking,
    next_event,
    settled,
    signing,
    with_key,
)
from sidecar.token.signing import from_private_key
from sidecar.token.snapshot import GeneratedKeys, SigningKey
from sidecar.token.words import moment, quoted

LONGEST_SLEEP: Final = 60.0
"""Seconds after which the store is looked at again: another sidecar may have made a key."""
LEAST_SLEEP: Final = 1.0
FIRST_RETRY: Final = 1.0
"""Seconds until a failed store is tried again; each further time twice as long."""
LONGEST_RETRY: Final = 60.0
_ROUNDS: Final = 10
"""How often another sidecar may be faster: each time it has done what there was to do."""

Generate = Callable[[str], Awaitable[Any]]
"""Makes a private key of `cryptography` for an algorithm."""
Publish = Callable[[Signer, GeneratedKeys], None]

log = logging.getLogger(__name__)


async def generate_aside(algorithm: str) -> Any:
    """A new private key; an RSA key takes a tenth of a second, in which the event loop goes on."""
    if RSA in ALGORITHMS[algorithm].kinds:
        return await asyncio.to_thread(generate_private_key, algorithm)
    return generate_private_key(algorithm)


def wanted_of(signer: Signer) -> Wanted:
    """What a signer's settings ask of its ring."""
    slots = tuple(
        Slot(key.generate, key.key_id or "", key.rotate) for key in signer.keys if key.generate
    )
    return Wanted(slots, signer.max_lifetime)


@asynccontextmanager
async def generated_keys(
    signers: Sequence[Signer],
    store: Store,
    publish: Publish,
    now: Callable[[], float],
    generate: Generate = generate_aside,
    *,
    may_wait: bool = False,
) -> AsyncIterator[None]:
    """Publishes the generated keys of these signers, and inside the block each change of them.

    `now` gives seconds since the epoch. Raises StoreFailed where keys can't be had at first, but
    where they `may_wait` for the store; later the old ones sign on while it fails.
    """
    rings = [
        SignerRing(one, store, publish, now, generate) for one in signers if wanted_of(one).slots
    ]
    for ring in rings:
        await ring.begin(may_wait)
        ring.warn_of_loss()
    tasks = [asyncio.create_task(ring.run()) for ring in rings if ring.can_change]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class SignerRing:
    """The ring of one signer: what the store has of it, and what was published last."""

    def __init__(
        self,
        signer: Signer,
        store: Store,
        publish: Publish,
        now: Callable[[], float],
        generate: Generate,
    ) -> None:
        self._signer = signer
        self._wanted = wanted_of(signer)
        self._store = store
        self._publish = publish
        self._now = now
        self._generate = generate
        self._ring: Ring = ()
        self._keys: dict[bytes, SigningKey] = {}
        self._signing: tuple[SigningKey, ...] = ()
        self._others: tuple[SigningKey, ...] = ()

    @property
    def can_change(self) -> bool:
        """Whether time or another sidecar may change it."""
        return self._store.is_durable or self._rotates

    @property
    def _rotates(self) -> bool:
        return any(slot.rotate is not None for slot in self._wanted.slots)

    def warn_of_loss(self) -> None:
        """Says so where keys that are meant to last do not."""
        if self._rotates and not self._store.is_durable:
            log.warning(
                "signer %s: without a store (setting store) the keys that rotate makes end with "
                "this process, and with them the tokens that they signed",
                self._signer.name,
            )

    async def begin(self, may_wait: bool) -> None:
        """Publishes the first keys; raises StoreFailed, but where they may wait for the store."""
        try:
            await self.refresh()
        except StoreFailed as failure:
            if not may_wait:
                raise
            log.warning(
                "signer %s: %s; it has no keys until the store works", self._signer.name, failure
            )

    async def run(self) -> None:
        """Does what is due whenever it is, until cancelled."""
        await self._store.wait_until_open()
        failures = 0
        while True:
            await asyncio.sleep(self._pause(failures))
            try:
                self._use(settled(self._ring, self._wanted, self._now()))
                await self.refresh()
            except StoreFailed as failure:
                failures += 1
                log.warning(
                    "signer %s: %s; its keys serve on as they are", self._signer.name, failure
                )
            except Exception:
                failures += 1
                log.exception("signer %s: its keys can't be looked after", self._signer.name)
            else:
                if failures:
                    log.info("signer %s: the store works again", self._signer.name)
                failures = 0

    def _pause(self, failures: int) -> float:
        if failures:
            return min(FIRST_RETRY * 2.0 ** min(failures - 1, 30), LONGEST_RETRY)
        now = self._now()
        return min(max(next_event(self._ring, self._wanted, now) - now, LEAST_SLEEP), LONGEST_SLEEP)

    async def refresh(self) -> None:
        """Reads the ring, does what is due, keeps and publishes that; raises StoreFailed.

        A store that was emptied gets the keys that are in use, since others trust them.
        """
        name = self._signer.name
        for _ in range(_ROUNDS):
            record = await self._store.get(KIND, name)
            stored = self._parsed(record.data) if record else self._ring
            ring = await self._advanced(stored)
            keys = {key.private_key: self._signing_key(key) for key in ring}
            kept = record is not None and ring == stored
            version = record.version if record else ABSENT
            if kept or await self._store.put(KIND, name, dump(ring), version):
                self._ring, self._keys = ring, keys
                self._log_made(stored)
                self._use(ring)
                return
        raise StoreFailed("other sidecars on the same store change its keys without pause")

    async def _advanced(self, stored: Ring) -> Ring:
        ring = settled(stored, self._wanted, self._now())
        for slot in lacking(ring, self._wanted, self._now()):
            private_key = await self._generate(slot.algorithm)
            made = from_private_key(private_key, slot.algorithm, slot.name or None)
            der = private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
            ring = with_key(ring, slot, made.key_id, der, self._wanted, self._now())
        return ring

    def _parsed(self, data: bytes) -> Ring:
        try:
            return parse(data)
        except UnreadableRing as problem:
            raise self._unreadable(str(problem)) from None

    def _signing_key(self, key: RingKey) -> SigningKey:
        known = self._keys.get(key.private_key)
        if known is not None:
            return known
        try:
            private_key = load_der_private_key(key.private_key, None)
            return from_private_key(private_key, key.algorithm, key.key_id)
        except (TypeError, ValueError, UnsupportedAlgorithm, UnusableKey):
            raise self._unreadable(f"key {quoted(key.key_id)} is damaged") from None

    def _unreadable(self, problem: str) -> StoreFailed:
        return StoreFailed(
            f"the keys of signer {self._signer.name} in the store can't be read: {problem}"
        )

    def _use(self, ring: Ring) -> None:
        """Publishes the keys of this ring, unless they are what was published last."""
        now = self._now()
        found = (signing(ring, slot, now) for slot in self._wanted.slots)
        sign = tuple(self._keys[key.private_key] for key in found if key)
        keys = (self._keys[key.private_key] for key in ring)
        others = tuple(key for key in keys if key not in sign)
        if (sign, others) != (self._signing, self._others):
            self._log_use(sign, others)
            self._signing, self._others = sign, others
            self._publish(self._signer, GeneratedKeys({key.algorithm: key for key in sign}, others))

    def _log_made(self, stored: Ring) -> None:
        before = {key.private_key for key in stored}
        for key in self._ring:
            if key.private_key not in before:
                since = moment(key.signs_from)
                self._log("was made; it signs from %s", key.key_id, key.algorithm, since)

    def _log_use(self, sign: tuple[SigningKey, ...], others: tuple[SigningKey, ...]) -> None:
        """What is another now; with a start or a reload nothing has changed yet."""
        for key in sign if self._signing else ():
            if key not in self._signing:
                self._log("signs", key.key_id, key.algorithm)
        for key in (*self._signing, *self._others):
            if key not in (*sign, *others):
                self._log("is gone", key.key_id, key.algorithm)

    def _log(self, what: str, key_id: str, algorithm: str, *more: str) -> None:
        log.info(
            f"signer %s: key %s (%s) {what}", self._signer.name, quoted(key_id), algorithm, *more
        )
