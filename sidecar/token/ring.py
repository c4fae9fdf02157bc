"""The keys that the sidecar makes for a signer: which one signs, which are published, and when.

A ring holds the keys of one signer in the order in which they were made; those of one algorithm
and name are a chain. The newest key of a chain whose time has come signs. Nothing is written to
take a key out of use: its time ends where that of the next one begins. So sidecars that share a
ring agree without talking, and go on by it while they can't reach it.

Times are seconds since the epoch.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

CLOCK_SKEW: Final = 600.0
"""Seconds by which clocks may differ: as far as `clock_skew` of an issuer goes."""
LONGEST_LEAD: Final = 86400.0
LEAST_LEAD: Final = 360.0
"""A JWK Set may be cached for 5 minutes, and a sidecar looks at the ring once a minute."""
UNUSED: Final = 86400.0
"""Seconds for which a chain that no configuration asks for is kept beside its last token."""
MOST_KEYS: Final = 64
"""Keys in a chain; only clocks that are years off come near it."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A chain that the configuration asks for."""

    algorithm: str
    name: str = ""
    """The `kid` that is configured; empty: each key has its thumbprint."""
    rotate: float | None = None
    """Seconds for which a key signs; None: for ever."""

    @property
    def lead(self) -> float:
        """Seconds for which a key is published before it signs: a quarter of `rotate`.

        At most 24 hours, at least as long as a JWK Set may be cached.
        """
        return max(LEAST_LEAD, min((self.rotate or 0.0) / 4, LONGEST_LEAD))


@dataclass(frozen=True, slots=True)
class RingKey:
    """A key that was made, as it is stored."""

    key_id: str
    algorithm: str
    name: str
    """As that of its slot."""
    private_key: bytes = field(repr=False)
    """PKCS#8, DER."""
    created: float
    signs_from: float
    token_lifetime: float
    """The longest that a token may live which it signs."""
    unused_since: float | None = None
    """When a sidecar saw that its configuration asks for no such chain."""

    def of(self, slot: Slot) -> bool:
        """Whether it is a key of the slot's chain."""
        return (self.algorithm, self.name) == (slot.algorithm, slot.name)


Ring = tuple[RingKey, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a signer's configuration asks of its ring."""

    slots: tuple[Slot, ...]
    token_lifetime: float
    """The longest that a token may live."""


def settled(ring: Ring, wanted: Wanted, now: float) -> Ring:
    """The ring as it is to be now, but for keys that are yet to be made.

    Keys whose last token has expired are gone.
    """
    dated = _dated(ring, now)
    marked = tuple(_marked(key, dated, wanted, now) for key in dated)
    return tuple(key for key in marked if _published_until(key, marked) > now)


def lacking(ring: Ring, wanted: Wanted, now: float) -> tuple[Slot, ...]:
    """The slots for which a key must be made now; the ring is settled."""
    return tuple(slot for slot in wanted.slots if _next_due(ring, slot) <= now)


def with_key(
    ring: Ring, slot: Slot, key_id: str, private_key: bytes, wanted: Wanted, now: float
) -> Ring:
    """The ring with another key for this slot.

    It signs at once where it is the first, else when the last one's time is over, and never
    before it was published for the slot's `lead`.
    """
    last = _last(ring, slot)
    signs_from = now
    if last is not None:
        signs_from = max(last.signs_from + (slot.rotate or 0.0), now + slot.lead)
    made = RingKey(
        key_id, slot.algorithm, slot.name, private_key, now, signs_from, wanted.token_lifetime
    )
    return (*ring, made)


def signing(ring: Ring, slot: Slot, now: float) -> RingKey | None:
    """The key that signs now: the newest whose time has come, else the oldest; None: no key."""
    chain = _chain(ring, slot)
    begun = [key for key in chain if key.signs_from <= now]
    return begun[-1] if begun else next(iter(chain), None)


def next_event(ring: Ring, wanted: Wanted, now: float) -> float:
    """When a key is to be made, begins to sign or is forgotten next; infinity: never."""
    moments = [key.signs_from for key in ring if key.signs_from > now]
    moments += [_published_until(key, ring) for key in ring]
    moments += [_next_due(ring, slot) for slot in wanted.slots]
    return min(moments, default=math.inf)


def _chain(ring: Ring, slot: Slot) -> Ring:
    return tuple(key for key in ring if key.of(slot))


def _last(ring: Ring, slot: Slot) -> RingKey | None:
    return next((key for key in reversed(ring) if key.of(slot)), None)


def _next_due(ring: Ring, slot: Slot) -> float:
    last = _last(ring, slot)
    if last is None:
        return -math.inf
    if slot.rotate is None or len(_chain(ring, slot)) >= MOST_KEYS:
        return math.inf
    return last.signs_from + slot.rotate - slot.lead


def _slot_of(key: RingKey) -> Slot:
    return Slot(key.algorithm, key.name)


def _published_until(key: RingKey, ring: Ring) -> float:
    """When the last token of this key has expired everywhere."""
    chain = _chain(ring, _slot_of(key))
    place = next(index for index, one in enumerate(chain) if one.key_id == key.key_id)
    if place + 1 < len(chain):
        stops = chain[place + 1].signs_from
    elif key.unused_since is not None:
        stops = key.unused_since + UNUSED
    else:
        return math.inf
    return stops + key.token_lifetime + CLOCK_SKEW


def _dated(ring: Ring, now: float) -> Ring:
    """The ring with keys that a clock in the future made moved to now, in their order.

    Without this a key from 2040 would sign until 2040.
    """
    newest = max((key.created for key in ring), default=now)
    return tuple(
        replace(
            key,
            created=key.created - (newest - now),
            signs_from=max(key.signs_from - (newest - now), now),
        )
        if key.created > now + CLOCK_SKEW
        else key
        for key in ring
    )


def _marked(key: RingKey, ring: Ring, wanted: Wanted, now: float) -> RingKey:
    """The key with what a change of the configuration means for it."""
    slot = next((one for one in wanted.slots if key.of(one)), None)
    if slot is None:
        is_last = _last(ring, _slot_of(key)) is key
        seen = key.unused_since is not None and key.unused_since <= now + CLOCK_SKEW
        return replace(key, unused_since=now) if is_last and not seen else key
    if not _may_still_sign(key, _chain(ring, slot), now):
        return key
    lifetime = max(key.token_lifetime, wanted.token_lifetime)
    return replace(key, token_lifetime=lifetime, unused_since=_rescued(key.unused_since, now))


def _may_still_sign(key: RingKey, chain: Iterable[RingKey], now: float) -> bool:
    begun = [one for one in chain if one.signs_from <= now]
    return key.signs_from > now or begun[-1] is key


def _rescued(unused_since: float | None, now: float) -> float | None:
    """Forgets the mark of others late: two configurations on one store would write for ever."""
    if unused_since is None or abs(now - unused_since) < UNUSED / 2:
        return unused_since
    return None
