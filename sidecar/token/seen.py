"""Tokens that were seen before: which key verified them, or did not, and what was answered.

Nothing here is a verdict. What is kept of a token follows from its bytes and from keys alone, and
counts only where the keys that would be tried are the very ones that were. Every check is still
made on every call; `sidecar.token.again` says how that is where an answer is given again.
"""

import hashlib
import struct
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sidecar.token.again import Grounds, Kept, KeptAnswers
from sidecar.token.jws import Jws
from sidecar.token.key import Key

MOST_BYTES: Final = 144 * 1024 * 1024
"""Of all that is remembered of verified tokens, roughly."""
_OF_A_TOKEN: Final = 260
"""Bytes in memory, whatever its length."""
_MOST_SHARED: Final = 1000
"""Headers, and ways of verification, that many tokens have in common."""
_MOST_PARSED: Final = 1000
"""Tokens whose claims stay parsed, for those whose answers can't be given again."""
_LONGEST_PARSED: Final = 2048
"""Bytes of the claims of one of these: parsed, they may take thirty times as many."""
_MAX_HEADER_BYTES: Final = 1024
"""Of a header, as the token has it, that stays parsed. A consumer writes its own headers."""
_END_AND_WAY: Final = struct.Struct("<dQ")
"""When a token is forgotten, and the number of the way in which it was verified."""

Keys = tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a token that was verified."""

    tried: Keys
    """The keys that were tried for it."""
    key: Key
    """The one of them that verified it."""
    ends: float
    """When it is forgotten, in seconds since the epoch."""
    jws: Jws | None
    """Its parsed parts, without the bytes; None where they are to be parsed again."""


_Way = tuple[Keys, Key, int]
"""The keys that were tried, the one that verified, and the depth that was parsed with."""


class VerifiedTokens:
    """Tokens that were verified, by their digest; the one that was not seen longest goes first.

    Times are in seconds since the epoch, as everywhere here. As there may be very many, what is
    kept of each are bytes, which the collector of garbage does not look at.
    """

    def __init__(self, capacity: int, ttl: float, most_bytes: int = MOST_BYTES) -> None:
        self.capacity = capacity
        self.hits = 0
        self.misses = 0
        self._ttl = ttl
        self._most_bytes = most_bytes
        self._tokens: OrderedDict[bytes, bytes] = OrderedDict()
        self._answers = KeptAnswers()
        self._ways: dict[int, _Way] = {}
        self._way_numbers: dict[_Way, int] = {}
        self._last_way = 0
        self._headers: dict[int, dict[bytes, Mapping[str, Any]]] = {}
        self._parsed: OrderedDict[bytes, Jws] = OrderedDict()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._tokens)

    def get(self, digest: bytes, max_depth: int, now: float) -> Seen | None:
        """What is known of a token, where it may still be nested so deep."""
        entry = self._tokens.get(digest)
        if entry is None:
            self.misses += 1
            return None
        ends, number = _END_AND_WAY.unpack(entry)
        way = self._ways.get(number)
        if now >= ends or way is None or way[2] != max_depth:
            self.misses += 1
            self.forget(digest)
            return None
        self.hits += 1
        self._tokens.move_to_end(digest)
        return Seen(way[0], way[1], ends, self._parsed.get(digest))

    def has(self, digest: bytes) -> bool:
        """Whether it is there; nothing is counted."""
        return digest in self._tokens

    def again(
        self, digest: bytes, asked: object, snapshot: object, revocations: int, now: float
    ) -> Kept | None:
        """The answer that the same question had, where every check would pass as it did.

        What is not found here has missed nothing: the checks then look for the token.
        """
        kept = self._answers.get(digest, asked, snapshot, revocations, now)
        if kept is not None:
            self.hits += 1
        return kept

    def keep(
        self, digest: bytes, asked: object, grounds: Grounds, issuer_name: str, answer: bytes
    ) -> None:
        """Has this answer given again to the same question, as long as its grounds hold.

        `asked` must tell apart all that was asked with this token, and all that the answer depends
        on beside it. It need not hold the client's address, nor what a condition reads: where
        these count, there are no grounds.
        """
        self._answers.add(digest, asked, grounds, issuer_name, answer)
        self._make_room()

    def headers(self, max_depth: int) -> dict[bytes, Mapping[str, Any]]:
        """The headers of verified tokens that are nested no deeper."""
        return self._headers.setdefault(max_depth, {})

    def add(
        self, digest: bytes, token: Jws, tried: Keys, key: Key, max_depth: int, now: float
    ) -> Seen | None:
        """Remembers a token; None where it is not worth it, as it has expired."""
        ends = _end(token, now + self._ttl)
        if ends <= now or not self.capacity:
            return None
        self._share_header(token, max_depth)
        self._tokens[digest] = _END_AND_WAY.pack(ends, self._way((tried, key, max_depth)))
        self._tokens.move_to_end(digest)
        self._make_room()
        return Seen(tried, key, ends, token)

    def parsed(self, digest: bytes, token: Jws) -> None:
        """Keeps the parts of a token that was seen and had to be parsed again, if it is short."""
        if len(token.payload) > _LONGEST_PARSED or len(_header_part(token)) > _MAX_HEADER_BYTES:
            return
        self._parsed[digest] = Jws(token.unverified_header, token.unverified_claims, b"", b"", b"")
        if len(self._parsed) > _MOST_PARSED:
            self._parsed.popitem(last=False)

    def forget(self, digest: bytes) -> None:
        """Forgets how a token was verified, if it is there."""
        self._tokens.pop(digest, None)
        self._parsed.pop(digest, None)

    def _share_header(self, token: Jws, max_depth: int) -> None:
        part = _header_part(token)
        if len(part) > _MAX_HEADER_BYTES:
            return
        headers = self.headers(max_depth)
        if len(headers) >= _MOST_SHARED:
            headers.clear()
        headers.setdefault(part, token.unverified_header)

    def _way(self, way: _Way) -> int:
        """The number of a way; tokens of one that was forgotten are verified anew."""
        number = self._way_numbers.get(way)
        if number is None:
            if len(self._ways) >= _MOST_SHARED:
                self._ways.clear()
                self._way_numbers.clear()
            self._last_way += 1
            number = self._way_numbers[way] = self._last_way
            self._ways[number] = way
        return number

    def _make_room(self) -> None:
        while len(self._tokens) > self.capacity:
            self._tokens.popitem(last=False)
        while len(self._answers) > self.capacity or self._bytes() > self._most_bytes:
            if self._answers:
                self._answers.forget_oldest()
            else:
                self._tokens.popitem(last=False)

    def _bytes(self) -> int:
        return self._answers.bytes + len(self._tokens) * _OF_A_TOKEN


class RefusedTokens:
    """Tokens whose signature did not hold, by their digest; the oldest goes first."""

    def __init__(self, capacity: int, ttl: float) -> None:
        self.capacity = capacity
        self.hits = 0
        self.misses = 0
        self._ttl = ttl
        self._tried: OrderedDict[bytes, tuple[Keys, float]] = OrderedDict()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._tried)

    def knows(self, digest: bytes, keys: Keys, now: float) -> bool:
        """Whether the signature is known to hold with none of just these keys."""
        found = self._tried.get(digest)
        if found is None or found[0] != keys or now >= found[1]:
            self.misses += 1
            return False
        self.hits += 1
        return True

    def add(self, digest: bytes, keys: Keys, now: float) -> None:
        """Remembers that the signature holds with none of these keys."""
        self._tried.pop(digest, None)
        self._tried[digest] = (keys, now + self._ttl)
        while len(self._tried) > self.capacity:
            self._tried.popitem(last=False)


@dataclass(frozen=True, slots=True)
class SeenTokens:
    """Both, apart: a flood of bad tokens pushes out no good one."""

    verified: VerifiedTokens
    refused: RefusedTokens


def _header_part(token: Jws) -> bytes:
    return token.signing_input.partition(b".")[0]


def _end(token: Jws, latest: float) -> float:
    exp = token.unverified_claims.get("exp")
    return min(exp, latest) if isinstance(exp, int | float) else latest


def digest_of(token: str) -> bytes:
    """What a token is remembered by."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
