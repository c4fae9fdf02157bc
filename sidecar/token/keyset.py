"""The keys of one issuer, and which of them a token may be verified with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sidecar.token.jwk import from_jwk
from sidecar.token.key import Key, UnusableKey
from sidecar.token.reason import Reason, Refused
from sidecar.token.strict_json import parse_object
from sidecar.token.words import kind, listed, quoted

MOST_TRIED: Final = 8
"""How many keys are tried for a token that names none (RFC 7515, appendix D)."""
_MOST_KEYS: Final = 1000
_JWKS_DEPTH: Final = 16


@dataclass(frozen=True, slots=True)
class UnusableMember:
    """A key of a set that serves nothing: where it stands, its `kid`, and why."""

    place: str
    key_id: str | None
    problem: UnusableKey

    def __str__(self) -> str:
        named = f" (kid {quoted(self.key_id)})" if self.key_id is not None else ""
        return f"{self.place}{named}: {self.problem.message}"


@dataclass(frozen=True, slots=True, eq=False)
class KeySet:
    """An issuer's keys. Immutable; a rotation makes a new one."""

    keys: tuple[Key, ...]
    unusable: tuple[UnusableMember, ...] = ()
    algorithms: frozenset[str] = field(init=False)
    """Every `alg` that some key may verify."""
    _by_id: Mapping[str | None, tuple[Key, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        by_id: dict[str | None, tuple[Key, ...]] = {}
        for key in self.keys:
            by_id[key.key_id] = (*by_id.get(key.key_id, ()), key)
        object.__setattr__(self, "_by_id", by_id)
        object.__setattr__(
            self, "algorithms", frozenset().union(*(key.algorithms for key in self.keys))
        )

    def candidates(self, algorithm: str, key_id: str | None) -> tuple[Key, ...]:
        """The keys to try for a token with this `alg` and `kid`, at least one.

        A `kid` that the set has selects its key alone. Keys that carry no `kid` stand in for
        one that the set does not have. Raises Refused with KEY_NOT_FOUND, KEY_MISMATCH,
        KEY_TOO_WEAK or KEY_ID_MISSING where there is nothing to try.
        """
        if key_id is None:
            return self._fitting(self.keys, algorithm, "the token names no key (kid)")
        named = self._by_id.get(key_id)
        if named:
            return self._fitting(named, algorithm, "more than one key has the token's kid")
        for member in self.unusable:
            if member.key_id == key_id:
                raise Refused(
                    member.problem.reason,
                    f"key {quoted(key_id)} can't be used: {member.problem.message}",
                )
        unnamed = self._by_id.get(None)
        if unnamed:
            return self._fitting(unnamed, algorithm, "no key has the token's kid")
        raise Refused(
            Reason.KEY_NOT_FOUND,
            f"key {quoted(key_id)} is not among the issuer's keys: "
            f"{listed(key.key_id for key in self.keys)}",
        )

    def _fitting(self, keys: tuple[Key, ...], algorithm: str, choice: str) -> tuple[Key, ...]:
        if len(keys) == 1 and algorithm in keys[0].algorithms:
            return keys
        fitting = tuple(key for key in keys if algorithm in key.algorithms)
        if not fitting:
            has = "; ".join(key.describe() for key in keys[:MOST_TRIED]) or "no usable key"
            raise Refused(Reason.KEY_MISMATCH, f"the token is signed with {algorithm}; here: {has}")
        if len(fitting) > MOST_TRIED:
            raise Refused(
                Reason.KEY_ID_MISSING,
                f"{choice}, and {len(fitting)} keys fit {algorithm}; "
                f"at most {MOST_TRIED} are tried",
            )
        return fitting


def parse_jwks(data: bytes) -> KeySet:
    """The keys of a JWK Set (RFC 7517, section 5).

    A member that is broken, unknown, symmetric, too weak or doubled is set aside in
    `unusable`; the others serve. Raises ValueError where the bytes are no JWK Set.
    """
    return from_jwks(parse_object(data, _JWKS_DEPTH))


def from_jwks(jwks: Mapping[str, object]) -> KeySet:
    """As `parse_jwks`, of a JWK Set that is parsed already."""
    members = jwks.get("keys")
    if not isinstance(members, list):
        found = "absent" if members is None else kind(members)
        raise ValueError(f'it is no JWK Set: "keys" must be an array and is {found}')
    if len(members) > _MOST_KEYS:
        raise ValueError(f"it has {len(members)} keys; at most {_MOST_KEYS} are taken")
    keys: list[Key] = []
    unusable: list[UnusableMember] = []
    for index, member in enumerate(members):
        try:
            key = from_jwk(member)
            _check_not_doubled(key, keys)
            keys.append(key)
        except UnusableKey as problem:
            unusable.append(UnusableMember(f"keys[{index}]", _claimed_key_id(member), problem))
    return KeySet(tuple(keys), tuple(unusable))


def _check_not_doubled(key: Key, keys: Iterable[Key]) -> None:
    if key.key_id is None:
        return
    for other in keys:
        if other.key_id == key.key_id and other.algorithms & key.algorithms:
            raise UnusableKey("another key of the set has the same kid and kty; the first counts")


def _claimed_key_id(member: object) -> str | None:
    key_id = member.get("kid") if isinstance(member, dict) else None
    return key_id if isinstance(key_id, str) else None
