"""A family of refresh tokens, each of which works once (RFC 9700, section 4.14).

Pure: what follows from the family as it is kept, a token that is presented, and the time. Of the
tokens only the current one is traded. The one before gets its own answer again for a moment, for
a client that lost it. Any other was used before: then the client or a thief has an old copy, and
nobody can tell who, so that the whole family is revoked.

Times are seconds since the epoch.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from sidecar.token.mint import Minted, Order, mint
from sidecar.token.reason import CallFailed, ErrorReason, Reason, Refused
from sidecar.token.refresh_token import RefreshToken
from sidecar.token.snapshot import Refreshing, Signer, Snapshot
from sidecar.token.words import duration, listed, moment, quoted

_CLOCKS_APART: Final = 60.0
"""Seconds by which the clocks of sidecars that share a store may differ."""


@dataclass(frozen=True, slots=True)
class Used:
    """The token before the current one."""

    digest: bytes = field(repr=False)
    use_time: float
    """When it was traded."""
    sealed: bytes = field(repr=False)
    """The answer that it got, which it alone opens."""


@dataclass(frozen=True, slots=True)
class Family:
    """What is kept of a family of refresh tokens."""

    grant: Order
    """The first access token, as it was ordered. The later ones get no more."""
    issuer: str
    """`iss` of the first access token."""
    issue_time: float
    """Of the first token."""
    end_time: float
    """From which on no token of it works."""
    digest: bytes = field(repr=False)
    """Of the current token."""
    use_time: float
    """When the current token was issued: the family was used last."""
    token_id: str
    """`jti` of the latest access token."""
    token_expire_time: int
    """`exp` of the latest access token."""
    before: Used | None = None
    revoke_time: float | None = None
    """When it was revoked; None: it was not."""

    def expire_time(self, rules: Refreshing) -> float:
        """From which on the current token does not work. Later rules can only bring it nearer."""
        end = min(self.end_time, self.issue_time + rules.lifetime)
        return end if rules.idle_lifetime is None else min(end, self.use_time + rules.idle_lifetime)


@dataclass(frozen=True, slots=True)
class Trade:
    """The token is the current one: what is to be minted for it."""

    order: Order
    rules: Refreshing


@dataclass(frozen=True, slots=True)
class Repeat:
    """The token was traded a moment ago: it gets the answer again that it got then."""

    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Replay:
    """The token was used before: the family is to be revoked."""

    message: str


Decision = Trade | Repeat | Replay


def begun(
    token: RefreshToken, order: Order, signer: Signer, rules: Refreshing, minted: Minted, now: float
) -> Family:
    """The family whose first token this is, issued now beside an access token."""
    return Family(
        _granted(order, signer, now),
        signer.issuer,
        now,
        now + rules.lifetime,
        token.digest,
        now,
        minted.token_id,
        minted.expire_time,
    )


def decide(
    family: Family,
    token: RefreshToken,
    scopes: tuple[str, ...],
    signers: Mapping[str, Signer],
    now: float,
) -> Decision:
    """What follows from a token of this family, with which these scopes are asked for.

    Raises Refused where nothing follows from it.
    """
    if family.revoke_time is not None:
        raise Refused(
            Reason.REVOKED,
            f"the family of this refresh token was revoked at {moment(family.revoke_time)}; "
            "sign in again",
        )
    signer, rules = _signer(family, signers)
    used = family.before
    is_current = hmac.compare_digest(token.digest, family.digest)
    if not is_current:
        if used is None or not hmac.compare_digest(token.digest, used.digest):
            return Replay("this refresh token was used before")
        # A use that lies far in the future was made by a clock that was wrong then, or is now.
        if not -_CLOCKS_APART <= now - used.use_time < rules.grace:
            when = "ago" if now >= used.use_time else "in the future, as a clock is or was wrong"
            return Replay(
                f"this refresh token was used {duration(now - used.use_time)} {when}; its answer "
                f"is given again for {duration(rules.grace)}"
            )
    _check_not_expired(family, rules, now)
    order = _ordered(family.grant, signer, scopes, now)
    return Trade(order, rules) if is_current or used is None else Repeat(used.sealed)


def mint_again(order: Order, snapshot: Snapshot, now: float, new_token_id: str) -> Minted:
    """The access token that a trade orders.

    Raises Refused where the signer, as it is configured now, may not give it, and CallFailed
    where it would be too large.
    """
    try:
        return mint(order, snapshot, now, new_token_id)
    except CallFailed as failure:
        if failure.reason is ErrorReason.LIMIT_EXCEEDED:
            raise
        raise Refused(
            Reason.CLAIM_MISMATCH,
            f"signer {order.signer} does not issue any more what this refresh token is for: "
            f"{failure.message}",
        ) from failure


def advanced(
    family: Family, token: RefreshToken, successor: RefreshToken, minted: Minted, now: float
) -> Family:
    """The family once its current token was traded for this successor and access token."""
    return replace(
        family,
        digest=successor.digest,
        use_time=now,
        token_id=minted.token_id,
        token_expire_time=minted.expire_time,
        before=Used(token.digest, now, b""),
    )


def answered(family: Family, sealed: bytes) -> Family:
    """The same family with the answer to the token that was traded last."""
    return replace(family, before=family.before and replace(family.before, sealed=sealed))


def revoked(family: Family, now: float) -> Family:
    """The family of which no token works any more. Once is enough: the first time counts."""
    if family.revoke_time is not None:
        return family
    return replace(family, revoke_time=now, before=None)


def _granted(order: Order, signer: Signer, now: float) -> Order:
    """What every token of the family may have: no `jti`, and a time in place of a delay."""
    start = order.not_before_time
    if start is None and order.not_before_delay is not None:
        start = now + order.not_before_delay
    return replace(
        order,
        signer=signer.name,
        token_id="",
        not_before_time=start,
        not_before_delay=None,
        with_refresh_token=False,
    )


def _signer(family: Family, signers: Mapping[str, Signer]) -> tuple[Signer, Refreshing]:
    name = family.grant.signer
    signer = signers.get(name)
    if signer is None or signer.refresh is None:
        lacks = "is not configured" if signer is None else "issues no refresh tokens"
        raise Refused(
            Reason.ISSUER_UNKNOWN,
            f"signer {name}, which this refresh token is from, {lacks} any more",
        )
    if signer.issuer != family.issuer:
        raise Refused(
            Reason.ISSUER_MISMATCH,
            f"this refresh token is for tokens of {quoted(family.issuer)}, and signer {name} is "
            f"{quoted(signer.issuer)} by now",
        )
    return signer, signer.refresh


def _check_not_expired(family: Family, rules: Refreshing, now: float) -> None:
    ends = family.expire_time(rules)
    if now < ends:
        return
    unused = rules.idle_lifetime is not None and ends == family.use_time + rules.idle_lifetime
    cause = "was not used for the signer's idle_lifetime" if unused else "has had its lifetime"
    raise Refused(
        Reason.EXPIRED,
        f"this refresh token expired {duration(now - ends)} ago, at {moment(ends)}, as its family "
        f"{cause}; sign in again",
    )


def _ordered(grant: Order, signer: Signer, scopes: tuple[str, ...], now: float) -> Order:
    """What is to be minted: no more than was granted first, and than the signer grants now."""
    algorithms = {key.algorithm for key in signer.keys}
    start = grant.not_before_time
    return replace(
        grant,
        scopes=_scopes(grant, signer, scopes),
        lifetime=None if grant.lifetime is None else min(grant.lifetime, signer.max_lifetime),
        not_before_time=start if start is not None and start > now else None,
        algorithm=grant.algorithm if grant.algorithm in algorithms else "",
    )


def _scopes(grant: Order, signer: Signer, asked: tuple[str, ...]) -> tuple[str, ...]:
    """Those that are asked for, which must be granted; none asked for: all that are."""
    granted = tuple(one for one in grant.scopes if signer.scopes is None or one in signer.scopes)
    for scope in asked:
        if scope not in granted:
            raise Refused(
                Reason.SCOPE_INSUFFICIENT,
                f"scope {quoted(scope)} is not granted; the refresh token has {listed(granted)}",
            )
    if grant.scopes and not granted:
        raise Refused(
            Reason.SCOPE_INSUFFICIENT,
            f"the refresh token has the scopes {listed(grant.scopes)}, and signer {signer.name} "
            "grants none of them any more",
        )
    return asked or granted
