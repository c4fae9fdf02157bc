"""Tokens that were seen before: what they say, and which key verified them, or did not.

Nothing here is a verdict. What is kept follows from a token's bytes and from keys alone: its parsed
parts, and whether a signature holds. Every check is still made on every call, and what is kept
counts only where the keys that would be tried are the very ones that were.
"""

import hashlib
import sys
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sidecar.token.again import Kept
from sidecar.token.jws import Jws
from sidecar.token.key import Key

MOST_BYTES: Final = 144 * 1024 * 1024
"""Of the tokens that are remembered as verified, roughly."""
_OF_AN_ENTRY: Final = 800
"""Bytes, beside those that grow with the token."""
_MOST_SHARED: Final = 1000
_ALIKE: Final = frozenset({"iss", "aud", "scope", "client_id", "azp", "typ"})
"""Claims that many tokens have with the same value."""

Keys = tuple[Key, ...]


@dataclass(slots=True, eq=False)
class Seen:
    """A token that was verified."""

    jws: Jws
    """Without its bytes: they come with each call."""
    tried: Keys
    """The keys that were tried for it."""
    key: Key
    """The one of them that verified it."""
    max_depth: int
    """Of the nesting that it was parsed with."""
    ends: float
    """When it is forgotten, in seconds since the epoch."""
    size: int
    kept: Kept | None = None
    """The answer to what was asked last."""
    kept_before: Kept | None = None
    """That to another question: a proxy and the service behind it may take turns."""

    def keep(self, kept: Kept) -> None:
        """Keeps an answer, and the last one to another question."""
        if self.kept is not None and self.kept.asked != kept.asked:
            self.kept_before = self.kept
        self.kept = kept


class VerifiedTokens:
    """Tokens that were verified, by their digest; the one that was not seen longest goes first.

    Times are in seconds since the epoch, as everywhere here.
    """

    def __init__(self, capacity: int, ttl: float, most_bytes: int = MOST_BYTES) -> None:
        self.capacity = capacity
        self.hits = 0
        self.misses = 0
        self._ttl = ttl
        self._most_bytes = most_bytes
        self._bytes = 0
        self._seen: OrderedDict[bytes, Seen] = OrderedDict()
        self._headers: dict[int, dict[bytes, Mapping[str, Any]]] = {}
        self._texts: dict[str, str] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._seen)

    def get(self, digest: bytes, max_depth: int, now: float) -> Seen | None:
        """What is known of a token, where it may still be nested so deep."""
        seen = self._seen.get(digest)
        if seen is None:
            self.misses += 1
            return None
        if now >= seen.ends or seen.max_depth != max_depth:
            self.misses += 1
            self.forget(digest)
            return None
        self.hits += 1
        self._seen.move_to_end(digest)
        return seen

    def has(self, digest: bytes) -> bool:
        """Whether it is there; nothing is counted."""
        return digest in self._seen

    def again(
        self, digest: bytes, asked: object, snapshot: object, revocations: int, now: float
    ) -> Kept | None:
        """The answer that the same question had, where every check would pass as it did.

        What is not found here has missed nothing: the checks then look for the token.
        """
        seen = self._seen.get(digest)
        if seen is None or now >= seen.ends:
            return None
        kept = seen.kept
        if kept is None or kept.asked != asked:
            kept = seen.kept_before
            if kept is None or kept.asked != asked:
                return None
        if not kept.holds(snapshot, revocations, now):
            return None
        self.hits += 1
        self._seen.move_to_end(digest)
        return kept

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
        size = _OF_AN_ENTRY + 3 * len(token.payload)
        seen = Seen(self._lean(token, max_depth), tried, key, max_depth, ends, size)
        self.forget(digest)
        self._seen[digest] = seen
        self._bytes += size
        while len(self._seen) > self.capacity or self._bytes > self._most_bytes:
            self._bytes -= self._seen.popitem(last=False)[1].size
        return seen

    def forget(self, digest: bytes) -> None:
        """Forgets a token, if it is there."""
        seen = self._seen.pop(digest, None)
        if seen is not None:
            self._bytes -= seen.size

    def _lean(self, token: Jws, max_depth: int) -> Jws:
        """The same token in less memory: many share a header, and what their claims are called."""
        headers = self.headers(max_depth)
        for shared in (headers, self._texts):
            if len(shared) >= _MOST_SHARED:
                shared.clear()
        claims = {sys.intern(name): value for name, value in token.unverified_claims.items()}
        for name in _ALIKE & claims.keys():
            if isinstance(value := claims[name], str):
                claims[name] = self._texts.setdefault(value, value)
        segment = token.signing_input.partition(b".")[0]
        header = headers.setdefault(segment, token.unverified_header)
        return Jws(header, claims, b"", b"", b"")


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


def _end(token: Jws, latest: float) -> float:
    exp = token.unverified_claims.get("exp")
    return min(exp, latest) if isinstance(exp, int | float) else latest


def digest_of(token: str) -> bytes:
    """What a token is remembered by."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
