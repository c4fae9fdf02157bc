"""What is revoked, in memory: to ask costs a look-up, and a million take about 130 MiB.

A name is kept as 60 bits of Python's own hash of it, SipHash with a key of this process, so nobody
can make two names that are taken for one.
"""

import math
from array import array
from typing import Final

from sidecar.token.revocation import Kind, Revocation

MOST: Final = 1_000_000
"""Revocations that are taken. Full is full: forgetting one early would let its tokens pass."""
_HASH: Final = (1 << 60) - 1
"""So large a number Python keeps in 32 bytes; one bit more would take 48."""
_END_BITS: Final = 38
"""The end of the year 9999 in seconds since the epoch is below this power of 2."""
_NEVER: Final = (1 << _END_BITS) - 1
_SPAN: Final = 600
"""Seconds whose ends are forgotten together."""
_AT_ONCE: Final = 20_000
"""Forgotten in one go, within a few milliseconds."""


class Marks:
    """Names that are marked with a time, each until its end; `secret` makes hashes unforeseeable.

    Times are in whole seconds since the epoch.
    """

    __slots__ = ("_due", "_ends", "_marks", "_secret")

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._marks: dict[int, int] = {}
        """By the hash of the name: its time, and in the lowest bits its end."""
        self._ends: dict[int, array[int]] = {}
        """The hashes of what ends within the same span."""
        self._due = 0.0

    def __len__(self) -> int:
        """How many there are."""
        return len(self._marks)

    def get(self, name: str) -> int | None:
        """The time that this name is marked with, None where it is not."""
        mark = self._marks.get(hash(self._secret + name) & _HASH)
        return None if mark is None else mark >> _END_BITS

    def add(self, name: str, time: int, end: int | None) -> None:
        """Marks a name; of two times, and of two ends, the later one counts. None: for ever."""
        key = hash(self._secret + name) & _HASH
        end = _NEVER if end is None else min(end, _NEVER)
        old = self._marks.get(key)
        if old is not None:
            time = max(time, old >> _END_BITS)
            end = max(end, old & _NEVER)
        self._marks[key] = time << _END_BITS | end
        if end != _NEVER and (old is None or old & _NEVER != end):
            span = end // _SPAN
            self._ends.setdefault(span, array("q")).append(key)
            self._due = min(self._due, (span + 1.0) * _SPAN)

    def forget(self, now: float) -> None:
        """Forgets what has ended, a part of it at a time."""
        if now < self._due:
            return
        left = _AT_ONCE
        for span in [one for one in self._ends if (one + 1) * _SPAN <= now]:
            keys = self._ends[span]
            while keys and left:
                left -= 1
                self._forget(keys.pop(), now)
            if keys:
                return
            del self._ends[span]
        self._due = min(((span + 1.0) * _SPAN for span in self._ends), default=math.inf)

    def _forget(self, key: int, now: float) -> None:
        """What was marked again for longer stays, and is found again at its new end."""
        mark = self._marks.get(key)
        if mark is not None and mark & _NEVER <= now:
            del self._marks[key]


class Revoked:
    """All that is revoked, as far as this sidecar knows."""

    __slots__ = ("_late", "consumers", "matters", "state", "subjects", "tokens", "unknown")

    def __init__(self, secret: str) -> None:
        self.tokens = Marks(secret)
        """Marked with the time of their revocation."""
        self.subjects = Marks(secret)
        """Marked with the time before which tokens must be issued to be revoked."""
        self.consumers = Marks(secret)
        """As subjects."""
        self.unknown = ""
        """Why nothing may pass, as it is not known what is revoked; empty where it is."""
        self.matters = False
        """Whether any token could be refused because of this: else a check looks no further."""
        self._late = (math.inf, "")
        self.state = 0
        """Another number whenever a token may be refused that was not before."""

    def __len__(self) -> int:
        """How many revocations are remembered."""
        return len(self.tokens) + len(self.subjects) + len(self.consumers)

    def of(self, kind: Kind) -> Marks:
        """Those of a kind."""
        if kind is Kind.TOKEN:
            return self.tokens
        return self.subjects if kind is Kind.SUBJECT else self.consumers

    def add(self, one: Revocation) -> None:
        """Remembers one; what it says already is not shortened by it."""
        end = None if one.expire_time is None else math.ceil(one.expire_time)
        # A token that was issued within the same second counts as issued before.
        time = int(one.time) if one.kind is Kind.TOKEN else math.ceil(one.time)
        self.of(one.kind).add(one.name, time, end)
        self.matters = True
        self.state += 1

    def knows(self, one: Revocation) -> bool:
        """Whether something of this name is revoked."""
        return self.of(one.kind).get(one.name) is not None

    def forget(self, now: float) -> None:
        """Forgets what no token can be refused for any more."""
        for marks in (self.tokens, self.subjects, self.consumers):
            marks.forget(now)
        self.set_unknown(self.unknown)

    def set_unknown(self, why: str) -> None:
        """Says in a sentence why nothing may pass; empty: it is known again what is revoked."""
        if why and not self.unknown:
            self.state += 1
        self.unknown = why
        self.matters = bool(why) or len(self) > 0

    def set_late(self, moment: float, why: str) -> None:
        """Says from which moment on nothing may pass, unless it is known again before."""
        self._late = (moment, why)

    def look(self, moment: float) -> None:
        """To be called with the time before anything is judged by this.

        A timer that says `set_unknown` is not enough: where the whole process stood still, calls
        come before it.
        """
        late, why = self._late
        if moment >= late and not self.unknown:
            self.set_unknown(why)
