"""Answers that are given again, where every check would find again what it found.

The checks read a token, what is asked of it, the snapshot, what is revoked, and the time. A pass is
kept together with all of these, and is given again only where each is as it was: then every check
would find what it found, and comparing is as good as running them. Where anything differs, all of
them run. What a check asked outside can't be compared, so such a pass is not kept at all.

There may be a hundred thousand answers, so each is a few bytes and no object that the collector
of garbage would have to look at.
"""

import struct
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, NamedTuple

_TIMES_AND_ISSUER: Final = struct.Struct("<ddI")
"""From when and until when an answer holds, and the number of the issuer's name."""
_NUMBER: Final = struct.Struct("<Q")
_MOST_CONTEXTS: Final = 4096
OF_AN_ANSWER: Final = 320
"""Bytes in memory, beside those of the answer."""


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a token passed by, beside what was asked; times in seconds since the epoch."""

    snapshot: object
    """The mark of the snapshot."""
    revocations: int
    """Which state of what is revoked."""
    since: float
    """When it passed: from then on it is neither too early nor issued in the future."""
    until: float
    """When time could refuse it."""


class Kept(NamedTuple):
    """The answer to a question about a token that passed."""

    issuer_name: str
    answer: bytes


class KeptAnswers:
    """Answers by the digest of the token and by the context: what else they depend on."""

    def __init__(self) -> None:
        self.bytes = 0
        """That they take, roughly."""
        self._answers: OrderedDict[bytes, bytes] = OrderedDict()
        self._contexts: dict[object, bytes] = {}
        self._last_context = 0
        self._issuers: list[str] = []
        self._issuer_numbers: dict[str, int] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._answers)

    def get(
        self, digest: bytes, asked: object, snapshot: object, revocations: int, now: float
    ) -> Kept | None:
        """The answer that the same question had, where every check would pass as it did."""
        context = self._contexts.get((asked, snapshot, revocations))
        if context is None:
            return None
        name = digest + context
        entry = self._answers.get(name)
        if entry is None:
            return None
        since, until, issuer = _TIMES_AND_ISSUER.unpack_from(entry)
        if not since <= now < until:
            return None
        self._answers.move_to_end(name)
        return Kept(self._issuers[issuer], entry[_TIMES_AND_ISSUER.size :])

    def add(
        self, digest: bytes, asked: object, grounds: Grounds, issuer_name: str, answer: bytes
    ) -> None:
        """Keeps the answer to this question, in place of the last one to the same."""
        name = digest + self._context((asked, grounds.snapshot, grounds.revocations))
        self._drop(self._answers.pop(name, None))
        issuer = self._issuer(issuer_name)
        entry = _TIMES_AND_ISSUER.pack(grounds.since, grounds.until, issuer) + answer
        self._answers[name] = entry
        self.bytes += OF_AN_ANSWER + len(entry)

    def forget_oldest(self) -> None:
        """Forgets the one that was not given for longest."""
        self._drop(self._answers.popitem(last=False)[1])

    def _drop(self, entry: bytes | None) -> None:
        if entry is not None:
            self.bytes -= OF_AN_ANSWER + len(entry)

    def _context(self, context: object) -> bytes:
        """A number for a context, given to no other: what was kept by a forgotten one is lost."""
        number = self._contexts.get(context)
        if number is None:
            if len(self._contexts) >= _MOST_CONTEXTS:
                self._contexts.clear()
            self._last_context += 1
            number = self._contexts[context] = _NUMBER.pack(self._last_context)
        return number

    def _issuer(self, name: str) -> int:
        """The names of configured issuers are few, also over many reloads."""
        number = self._issuer_numbers.get(name)
        if number is None:
            number = self._issuer_numbers[name] = len(self._issuers)
            self._issuers.append(name)
        return number
