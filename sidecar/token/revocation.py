"""What can be revoked, what it is called, and how long it must be remembered.

A token is known by its `iss` and `jti`; one without `jti` by a digest of what is signed in it. The
signature is left out of that: anyone can change the one of an ES256 token so that it still holds.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final

from sidecar.token.outside import NOTHING, Outside
from sidecar.token.reason import CallFailed, ErrorReason, not_configured
from sidecar.token.snapshot import ClaimRules, Consumer, Consumers, Issuer, Snapshot
from sidecar.token.stored import consumer_named
from sidecar.token.words import duration, listed, moment, quoted

LONGEST_ID: Final = 1024
"""Characters of a `jti` or `sub` that it is known by. A token with a longer `jti` counts as one
without."""
KEPT_LONGER: Final = 660.0
"""Seconds that what expires is remembered beyond: the largest clock skew that can be configured,
and a minute for clocks of sidecars that differ."""


class Kind(Enum):
    """What is revoked at once."""

    TOKEN = "token"
    """One token."""
    SUBJECT = "subject"
    """All tokens of a subject that were issued before a time."""
    CONSUMER = "consumer"
    """All tokens of a consumer that were issued before a time."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """What is remembered. Times are in seconds since the epoch."""

    kind: Kind
    name: str
    """Unique among those of the kind."""
    time: float
    """Of a token: when it was revoked. Else: tokens that were issued before it are."""
    expire_time: float | None
    """When it may be forgotten, as no such token passes any more; None: never."""
    title: str = field(default="", compare=False)
    """What is revoked, in a sentence."""

    def covers(self, other: "Revocation") -> bool:
        """Whether nothing is added by another one of the same name."""
        later = self.time >= other.time or self.kind is Kind.TOKEN
        return later and _latest(self, other) == self.expire_time

    def with_all_of(self, other: "Revocation") -> "Revocation":
        """Both in one: the later of their times."""
        time = max(self.time, other.time)
        return replace(self, time=time, expire_time=_latest(self, other))


@dataclass(frozen=True, slots=True)
class WholeToken:
    """A token, to be revoked by itself."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class WholeRefreshToken:
    """A refresh token, to be revoked with its family and the latest access token of that."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenReference:
    """A token by its `iss` and `jti`."""

    issuer: str
    token_id: str
    expire_time: float
    """Its `exp`."""


@dataclass(frozen=True, slots=True)
class SubjectReference:
    """All tokens with this `iss` and `sub` that were issued before a time."""

    issuer: str
    subject: str
    issued_before: float | None
    """None: now."""


@dataclass(frozen=True, slots=True)
class ConsumerReference:
    """All tokens of a consumer that were issued so far."""

    name: str


Reference = TokenReference | SubjectReference | ConsumerReference


def token_name(party: Issuer | Consumer, claims: Mapping[str, Any], text: str) -> str:
    """What this party's token is called; `text` is all of it."""
    token_id = claims.get("jti")
    if not isinstance(token_id, str) or not 0 < len(token_id) <= LONGEST_ID:
        signed = text.rpartition(".")[0]
        return f"digest {hashlib.sha256(signed.encode()).hexdigest()}"
    if isinstance(party, Consumer):
        return f"of {party.name} {token_id}"
    return _named(iss_of(claims), token_id)


def subject_name(issuer: str, subject: str) -> str:
    """What a subject of this `iss` is called."""
    return _named(issuer, subject)


def iss_of(claims: Mapping[str, Any]) -> str:
    """`iss`, empty where there is none."""
    iss = claims.get("iss")
    return iss if isinstance(iss, str) else ""


def _named(issuer: str, identifier: str) -> str:
    # With its length, as both may hold any character.
    return f"{len(issuer)} {issuer} {identifier}"


def token_title(party: Issuer | Consumer, claims: Mapping[str, Any]) -> str:
    """This party's token in a sentence."""
    token_id = claims.get("jti")
    if isinstance(token_id, str) and token_id:
        return f"the token with the jti {quoted(token_id)} of {party.title}"
    return f"this token of {party.title}"


def revoked_token(name: str, title: str, expire_time: float | None, now: float) -> Revocation:
    """The revocation of one token, whose `exp` this is."""
    end = None if expire_time is None else expire_time + KEPT_LONGER
    return Revocation(Kind.TOKEN, name, now, end, title)


def referred_token(issuer: str, token_id: str, expire_time: float, now: float) -> Revocation:
    """The revocation of the token with this `iss`, `jti` and `exp`."""
    title = f"the token with the jti {quoted(token_id)} of {quoted(issuer)}"
    return revoked_token(_named(issuer, token_id), title, expire_time, now)


def revoked(
    reference: Reference, snapshot: Snapshot, now: float, outside: Outside = NOTHING
) -> Revocation:
    """The revocation of what is referred to.

    Raises CallFailed with NOT_CONFIGURED for an `iss` that no issuer has and a consumer that is not
    there, and with FIELD_INVALID for a token that has expired long ago; and Unanswered where
    `outside` lacks an answer.
    """
    if isinstance(reference, ConsumerReference):
        return _revoked_consumer(reference.name, snapshot, now, outside)
    if isinstance(reference, SubjectReference):
        return _revoked_subject(reference, snapshot, now)
    if not _accepting(reference.issuer, snapshot):
        raise _no_issuer(reference.issuer, snapshot)
    revocation = referred_token(reference.issuer, reference.token_id, reference.expire_time, now)
    if revocation.expire_time is not None and revocation.expire_time <= now:
        raise CallFailed(
            ErrorReason.FIELD_INVALID,
            f"token_reference.expire_time: {moment(reference.expire_time)} was "
            f"{duration(now - reference.expire_time)} ago, and the token has expired; name its exp",
            "token_reference.expire_time",
        )
    return revocation


def _revoked_subject(reference: SubjectReference, snapshot: Snapshot, now: float) -> Revocation:
    iss, subject = reference.issuer, reference.subject
    before = now if reference.issued_before is None else reference.issued_before
    accepting, refreshed = _accepting(iss, snapshot), _refreshed(iss, snapshot)
    if not accepting and not refreshed:
        raise _no_issuer(iss, snapshot)
    end = _oldest_end(before, (*accepting, *_granted(iss, snapshot.consumers)), refreshed)
    title = _issued_before(before, f"subject {quoted(subject)} of {quoted(iss)}")
    return Revocation(Kind.SUBJECT, subject_name(iss, subject), before, end, title)


def _revoked_consumer(name: str, snapshot: Snapshot, now: float, outside: Outside) -> Revocation:
    consumers = snapshot.consumers
    if consumers is None:
        raise not_configured("consumer", name, (), "consumer")
    rules = consumer_named(name, consumers, now, outside).rules or consumers.rules
    title = _issued_before(now, f"consumer {name}")
    return Revocation(Kind.CONSUMER, name, now, _oldest_end(now, (rules,)), title)


def _issued_before(time: float, whose: str) -> str:
    return f"the tokens of {whose} that were issued before {moment(time)}"


def _accepting(iss: str, snapshot: Snapshot) -> tuple[ClaimRules, ...]:
    """The rules by which tokens with this `iss` may pass."""
    return tuple(one.rules for one in snapshot.issuers.values() if one.issuer in {iss, None})


def _granted(iss: str, consumers: Consumers | None) -> tuple[ClaimRules, ...]:
    """The rules of configured consumers whose tokens have this `iss` from their record."""
    if consumers is None:
        return ()
    return tuple(
        one.rules or consumers.rules
        for one in consumers.by_name.values()
        if one.grants.claims.get("iss") == iss
    )


def _refreshed(iss: str, snapshot: Snapshot) -> tuple[float, ...]:
    """For how many seconds a refresh token of this `iss`, or a token beside it, works at most."""
    return tuple(
        max(one.refresh.lifetime, one.max_lifetime)
        for one in snapshot.signers.values()
        if one.refresh and one.issuer == iss
    )


def _no_issuer(iss: str, snapshot: Snapshot) -> CallFailed:
    return CallFailed(
        ErrorReason.NOT_CONFIGURED,
        f"no issuer with the iss {quoted(iss)} is configured, so none of its tokens passes; "
        f"there are {listed(snapshot.issuers_by_iss)}",
    )


def _oldest_end(
    before: float, accepting: Iterable[ClaimRules], refreshed: Iterable[float] = ()
) -> float | None:
    """From when on nothing that was issued before this time passes, nor is traded, any more."""
    limits = [min(one.max_age or math.inf, one.max_lifetime or math.inf) for one in accepting]
    longest = max(*limits, *refreshed, 0.0)
    return None if longest == math.inf else before + longest + KEPT_LONGER


def _latest(one: Revocation, other: Revocation) -> float | None:
    if one.expire_time is None or other.expire_time is None:
        return None
    return max(one.expire_time, other.expire_time)
