"""Refresh tokens in the store: each is traded once, whoever asks and how often at the same time.

A family is one record. Whoever writes it says which version it has seen, so of several calls with
one token one wins, and the others read what it wrote. It is written before the answer leaves.
"""

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, Protocol

from sidecar.state.refresh_record import KIND, dump, dump_answer, parse, parse_answer
from sidecar.state.store import ABSENT, Record, Store, StoreFailed
from sidecar.token.family_revocation import check_subject, latest_token
from sidecar.token.mint import Minted, Order
from sidecar.token.reason import CallFailed, ErrorReason, Reason, Refused
from sidecar.token.refresh_family import (
    Family,
    Repeat,
    Replay,
    Trade,
    advanced,
    answered,
    begun,
    decide,
    mint_again,
    revoked,
)
from sidecar.token.refresh_token import HANDLE_BYTES, NONCE_BYTES, SECRET_BYTES, RefreshToken
from sidecar.token.revocation import Revocation
from sidecar.token.revoked import Revoked
from sidecar.token.snapshot import Refreshing, Signer, Snapshot
from sidecar.token.words import quoted

_ROUNDS: Final = 10
"""How often others may be faster. One that was leaves nothing to be won, but for a revocation."""

log = logging.getLogger(__name__)


class Revocations(Protocol):
    """What refresh tokens need of the revocations of other tokens."""

    @property
    def revoked(self) -> Revoked:
        """What is revoked, as far as this sidecar knows."""

    async def revoke(self, one: Revocation) -> None:
        """Returns once it is durable and in effect here; raises CallFailed."""


class RefreshTokens:
    """The refresh tokens in one store.

    `now` gives seconds since the epoch, `steady` such that never run ahead of monotonic time, and
    `random` so many bytes that nobody can guess. Every method
    raises CallFailed with STORE_UNAVAILABLE where the store fails: then a token that was to be
    traded either was, and is given its answer again, or still is to be.
    """

    def __init__(
        self,
        store: Store,
        now: Callable[[], float],
        steady: Callable[[], float],
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._now = now
        self._steady = steady
        self._random = random

    async def begin(
        self, minted: Minted, order: Order, signer: Signer, rules: Refreshing
    ) -> Minted:
        """The same answer with the first refresh token of a new family."""
        token = RefreshToken(self._random(HANDLE_BYTES), self._random(SECRET_BYTES))
        family = begun(token, order, signer, rules, minted, self._now())
        with _reported():
            await self._put(token, family, ABSENT, family.expire_time(rules))
        return _with_refresh_token(minted, token, family, rules)

    async def trade(
        self,
        text: str,
        scopes: tuple[str, ...],
        snapshot: Snapshot,
        new_token_id: Callable[[], str],
        revocations: Revocations,
    ) -> Minted:
        """New tokens for a refresh token, with these scopes, or with all that were granted first.

        Raises Refused for a token that can't be traded. Used again, it revokes its family and
        the latest access token of that: both last before the refusal that says so.
        """
        token = RefreshToken.parse(text)
        with _reported():
            for _ in range(_ROUNDS):
                answer = await self._traded(token, scopes, snapshot, new_token_id, revocations)
                if answer is not None:
                    return answer
            raise _never_done()

    async def revoke(self, text: str, revocations: Revocations) -> Family | None:
        """Revokes the family of a refresh token, whether it was used or not; what it was.

        With it goes the latest access token. Both last then.

        None where none of its tokens works any more in any case. Raises Refused for what is no
        refresh token.
        """
        token = RefreshToken.parse(text)
        with _reported():
            for _ in range(_ROUNDS):
                try:
                    record, family = await self._family(token)
                except Refused:
                    return None
                if family.revoke_time is not None or await self._revoke(token, record, family):
                    await self._revoke_latest(family, revocations)
                    return family
            raise _never_done()

    async def _family(self, token: RefreshToken) -> tuple[Record, Family]:
        record = await self._store.get(KIND, token.family)
        if record is None:
            raise Refused(
                Reason.EXPIRED,
                "this refresh token is not known: it has expired, or it is from another store",
            )
        return record, parse(token.family, record.data)

    async def _traded(
        self,
        token: RefreshToken,
        scopes: tuple[str, ...],
        snapshot: Snapshot,
        new_token_id: Callable[[], str],
        revocations: Revocations,
    ) -> Minted | None:
        """What follows from the token and its family as it is now; None: somebody was faster."""
        record, family = await self._family(token)
        if family.revoke_time is not None:
            await self._revoke_latest(family, revocations)
        decision = decide(family, token, scopes, snapshot.signers, self._now())
        if isinstance(decision, Replay):
            if not await self._revoke(token, record, family):
                return None
            _warn(token, family)
            await self._revoke_latest(family, revocations)
            message = f"{decision.message}; its family is revoked: sign in again"
            raise Refused(Reason.REPLAYED, message)
        check_subject(family, revocations.revoked, self._now())
        if isinstance(decision, Repeat):
            return _unsealed(token, decision)
        minted = mint_again(decision.order, snapshot, self._now(), new_token_id())
        answer = await self._advance(token, record, family, minted, decision)
        if answer is not None:
            # Its subject may have been revoked while it was written.
            check_subject(family, revocations.revoked, self._now())
        return answer

    async def _advance(
        self, token: RefreshToken, record: Record, family: Family, minted: Minted, trade: Trade
    ) -> Minted | None:
        """The answer to the current token, once it is kept; None where somebody was faster."""
        successor = token.followed_by(self._random(SECRET_BYTES))
        after = advanced(family, token, successor, minted, self._now())
        answer = _with_refresh_token(minted, successor, after, trade.rules)
        after = answered(after, token.seal(dump_answer(answer), self._random(NONCE_BYTES)))
        expire_time = after.expire_time(trade.rules)
        return answer if await self._put(token, after, record.version, expire_time) else None

    async def _revoke(self, token: RefreshToken, record: Record, family: Family) -> bool:
        return await self._put(
            token, revoked(family, self._now()), record.version, record.expire_time
        )

    async def _revoke_latest(self, family: Family, revocations: Revocations) -> None:
        """The access token of a family that is revoked: no later one can come.

        Again for each call that finds the family so, as the first may have failed in between.
        """
        revocation = latest_token(family, self._now(), self._steady())
        if revocation is not None:
            await revocations.revoke(revocation)

    async def _put(
        self, token: RefreshToken, family: Family, version: int, expire_time: float | None
    ) -> bool:
        return await self._store.put(KIND, token.family, dump(family), version, expire_time)


def _with_refresh_token(
    minted: Minted, token: RefreshToken, family: Family, rules: Refreshing
) -> Minted:
    expire_time = int(family.expire_time(rules))
    return replace(minted, refresh_token=token.text, refresh_expire_time=expire_time)


def _unsealed(token: RefreshToken, repeat: Repeat) -> Minted:
    try:
        return parse_answer(token.unseal(repeat.sealed))
    except ValueError as error:
        raise StoreFailed(f"refresh token family {token.family}: {error}") from error


def _warn(token: RefreshToken, family: Family) -> None:
    log.warning(
        "signer %s: a refresh token of subject %s was used again, by its client or by a thief: its "
        "family %s is revoked",
        family.grant.signer,
        quoted(family.grant.subject),
        token.family,
    )


def _never_done() -> StoreFailed:
    return StoreFailed("other calls with the same refresh token change its family without pause")


@contextmanager
def _reported() -> Iterator[None]:
    """Fails the call where the store does; the cause, which may name places, is for the log."""
    try:
        yield
    except StoreFailed as failure:
        log.warning("refresh tokens: %s", failure)
        raise CallFailed(
            ErrorReason.STORE_UNAVAILABLE,
            "the sidecar's store fails, and its log says why; try again",
        ) from failure
