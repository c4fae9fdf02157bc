"""One running sidecar's answer to the question whether a token may pass.

Holds the current `Snapshot` and swaps it whole. A request is judged by the one that it started
with; where that lacks a key which its issuer may have published since, once more by the next.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from sidecar.answering import Answers, WithFound
from sidecar.decision_log import About, DecisionLog
from sidecar.metrics import Metrics
from sidecar.steady import SteadyClock
from sidecar.token.again import Kept
from sidecar.token.mint import Minted, Order, mint
from sidecar.token.outside import Outside, Question, Unanswered
from sidecar.token.reason import CallFailed, ErrorReason, Reason, Refused
from sidecar.token.replay import ProofMemory, UsedProofs
from sidecar.token.request import Refusal, Request, Verdict, Verified
from sidecar.token.revocation import (
    Reference,
    Revocation,
    WholeRefreshToken,
    WholeToken,
    revoked,
)
from sidecar.token.revoked import Revoked
from sidecar.token.seen import SeenTokens, digest_of
from sidecar.token.signing import public_jwks
from sidecar.token.snapshot import Refreshing, Signer, Snapshot
from sidecar.token.validator import Explanation, explain, revocation_of, validate
from sidecar.turns import Turns

if TYPE_CHECKING:
    from sidecar.token.refresh_family import Family

R = TypeVar("R")
T = TypeVar("T")
Place = Callable[[], AbstractContextManager[None]]
"""What a call holds while it waits for others; raises CallFailed where it may not wait."""

MOST_WAITED: Final = 10.0
"""Seconds that a call waits for keys and answers at most."""
WAITED_SHARE: Final = 0.8
"""The part of a call's own time that it waits at most: the answer must be there before the caller
gives up, as to some callers a deadline that has passed is a yes."""

PROOF_HOLD: Final = 600.0
"""Seconds for which a wall clock must be ahead before used DPoP proofs are forgotten by it. Fewer
than of a store: after a pause of the machine, each proof takes up room for as long."""

CONCURRENT_CALLS: Final = 2000
"""Calls at work, where no setting says how many."""

_FOR_WANT_OF_KEYS: Final = frozenset({Reason.KEYS_UNAVAILABLE, Reason.KEY_NOT_FOUND})

FAILED: Final = Refusal(
    Reason.STATE_UNAVAILABLE, "the sidecar failed while deciding; the cause is in its log"
)
"""The verdict where there is an error of ours."""

log = logging.getLogger(__name__)


class KeySource(Protocol):
    """What the engine needs of an issuer's remote keys."""

    async def wait_for_keys(self, at_most: float) -> None:
        """Waits for the fetch that is under way, if one is."""

    async def fetch_unknown_key(self, key_id: str, at_most: float) -> bool:
        """Fetches for this `kid` where that is allowed; whether the keys may be others now."""


class Revocations(Protocol):
    """What makes revocations last."""

    @property
    def revoked(self) -> Revoked:
        """What is revoked, as far as this sidecar knows."""

    async def revoke(self, one: Revocation) -> None:
        """Returns once it is durable and in effect here; raises CallFailed."""


class RefreshTokens(Protocol):
    """What the engine needs of the refresh tokens in the store; each call may raise CallFailed."""

    async def begin(
        self, minted: Minted, order: Order, signer: Signer, rules: Refreshing
    ) -> Minted:
        """The same answer with the first refresh token of a family."""

    async def trade(
        self,
        text: str,
        scopes: tuple[str, ...],
        snapshot: Snapshot,
        new_token_id: Callable[[], str],
        revocations: Revocations,
    ) -> Minted:
        """New tokens for a refresh token; raises Refused."""

    async def revoke(self, text: str, revocations: Revocations) -> "Family | None":
        """Revokes its family and the latest access token; None where none works any more.

        Raises Refused for what is no refresh token.
        """


class Engine:
    """Decides and mints with one snapshot at a time.

    `now` gives seconds since the epoch, `new_token_id` an unused `jti`, `clock` the seconds that
    waits are measured with, and how old things are.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        now: Callable[[], float],
        new_token_id: Callable[[], str],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.snapshot = snapshot
        self.key_sources: Mapping[str, KeySource] = {}
        self.answers = Answers({})
        self.used_proofs: UsedProofs = ProofMemory(SteadyClock(now, clock, PROOF_HOLD))
        self.seen_tokens: SeenTokens | None = None
        """What is remembered of tokens; None: nothing."""
        self.refresh_tokens: RefreshTokens | None = None
        """None where no signer issues any."""
        self.metrics = Metrics()
        self.decisions = DecisionLog(clock)
        self.turns = Turns(CONCURRENT_CALLS)
        self.revoked: Revoked | None = None
        """What is revoked; None: nothing."""
        self.revocations: Revocations | None = None
        self._now = now
        self._new_token_id = new_token_id
        self._clock = clock

    def again(self, token: str, asked: object | None) -> Kept | None:
        """The answer that this question about a token had, where all it was judged by holds.

        That is what `decide` would come to, at a fraction of its cost. `asked` is what was given
        to `keep`.
        """
        if self.seen_tokens is None or asked is None or self.decisions.passed:
            return None
        if len(token) > self.snapshot.limits.token_bytes:
            return None
        known = self._all_revoked()
        return self.seen_tokens.verified.again(
            digest_of(token),
            asked,
            self.snapshot.mark,
            known.state if known is not None else 0,
            self._now(),
        )

    def keep(self, token: str, asked: object | None, verdict: Verdict, answer: bytes) -> None:
        """Has an answer given `again`, where the token passed and nothing speaks against it.

        `asked` is None where the same will hardly be asked again: then nothing is kept.
        """
        if asked is None or self.seen_tokens is None:
            return
        if isinstance(verdict, Verified) and verdict.grounds:
            verified = self.seen_tokens.verified
            verified.keep(digest_of(token), asked, verdict.grounds, verdict.issuer_name, answer)

    def decided(
        self, surface: str, verdict: Verdict | None, seconds: float, about: Callable[[], About]
    ) -> None:
        """Counts and logs a decision that took so long; None: it passed without a token.

        Never raises: to Envoy a call that fails may be one to let through.
        """
        self.metrics.decided(surface, verdict, seconds)
        try:
            self.decisions.decided(surface, verdict, seconds, about)
        except Exception:
            log.exception("a decision could not be logged")

    async def decide(self, request: Request, deadline: float | None = None) -> Verdict:
        """Whether the token may pass; `deadline` is how many seconds the caller waits.

        Raises CallFailed for a request that can't be answered, with LIMIT_EXCEEDED where there are
        too many, and nothing else: an error of ours is a refusal with STATE_UNAVAILABLE.
        """
        ends = self._end(deadline)
        if self._verifies_nothing(request):
            return await self._decided(request, ends, self.turns.place)
        async with self.turns:
            return await self._decided(request, ends)

    async def decide_or_refuse(self, request: Request, deadline: float | None = None) -> Verdict:
        """As `decide`, for those to whom a failed call may be one to let through.

        More calls than can be served are refusals too.
        """
        try:
            return await self.decide(request, deadline)
        except CallFailed as failure:
            if failure.reason is not ErrorReason.LIMIT_EXCEEDED:
                raise
            return Refusal(Reason.STATE_UNAVAILABLE, failure.message)

    def _verifies_nothing(self, request: Request) -> bool:
        """Whether the signature is known already, and no proof has one of its own."""
        token = request.token
        if self.seen_tokens is None or len(token) > self.snapshot.limits.token_bytes:
            return False
        return not request.proof.dpop and self.seen_tokens.verified.has(digest_of(token))

    async def _decided(self, request: Request, ends: float, place: Place = nullcontext) -> Verdict:
        try:
            return await self._judged(self._validate, request, ends, place)
        except CallFailed:
            raise
        except Exception:
            log.exception("a decision failed")
            return FAILED

    async def explain(self, request: Request, deadline: float | None = None) -> Explanation:
        """What `decide` answers and why, check by check; a proof is not used up by it.

        Raises CallFailed as `decide` does.
        """
        ends = self._end(deadline)
        async with self.turns:
            return await self._explained(request, ends)

    async def _explained(self, request: Request, ends: float) -> Explanation:
        try:
            return await self._judged(self._explain, request, ends)
        except CallFailed:
            raise
        except Exception:
            log.exception("an explanation failed")
            return Explanation(FAILED)

    async def revoke(
        self, target: WholeToken | Reference, deadline: float | None = None
    ) -> tuple[Revocation, float]:
        """Revokes what the target names; gives that, and when it took effect here.

        It is durable then. Raises CallFailed where it can't be.
        """
        async with self.turns:
            if isinstance(target, WholeToken):
                revocation = await self._of_token(target, self._end(deadline))
            else:
                revocation = await self._answered(self._of_reference, target, self._end(deadline))
            await self._durable_revocations().revoke(revocation)
        self.metrics.revocations[revocation.kind.value] += 1
        return revocation, self._now()

    async def revoke_family(self, target: WholeRefreshToken) -> "tuple[Family | None, float]":
        """Revokes a refresh token's family; gives that, and when it took effect here.

        None where none of its tokens worked in any case (RFC 7009, section 2.2). It is durable
        then. Raises CallFailed where it can't be.
        """
        if self.refresh_tokens is None:
            raise _no_refresh_tokens()
        try:
            async with self.turns:
                family = await self.refresh_tokens.revoke(target.token, self._durable_revocations())
        except Refused as refused:
            raise CallFailed(
                ErrorReason.FIELD_INVALID, f"refresh_token: {refused.message}", "refresh_token"
            ) from refused
        if family is not None:
            self.metrics.revocations["refresh_token"] += 1
        return family, self._now()

    def _all_revoked(self) -> Revoked | None:
        """What is revoked; told the time first, as it refuses all tokens once it is too old."""
        if self.revoked is not None:
            self.revoked.look(self._clock())
        return self.revoked

    def _of_reference(self, target: Reference, outside: Outside) -> Revocation:
        return revoked(target, self.snapshot, self._now(), outside)

    def _durable_revocations(self) -> Revocations:
        if self.revocations is None:
            raise CallFailed(ErrorReason.NOT_CONFIGURED, "nothing can be revoked here")
        return self.revocations

    async def _of_token(self, target: WholeToken, ends: float) -> Revocation:
        found = await self._judged(self._revocation_of, Request(target.token), ends)
        if isinstance(found, Revocation):
            return found
        again = found.reason in {Reason.KEYS_UNAVAILABLE, Reason.STATE_UNAVAILABLE}
        raise CallFailed(
            ErrorReason.STORE_UNAVAILABLE if again else ErrorReason.FIELD_INVALID,
            f"token: it does not verify: {found.reason.name}: {found.message}",
            "token",
        )

    def _validate(self, request: Request, outside: Outside) -> Verdict:
        return validate(
            request,
            self.snapshot,
            self._now(),
            self.used_proofs,
            self.seen_tokens,
            outside,
            self._all_revoked(),
        )

    def _explain(self, request: Request, outside: Outside) -> Explanation:
        known = self._all_revoked()
        return explain(request, self.snapshot, self._now(), self.used_proofs, outside, known)

    def _revocation_of(self, request: Request, outside: Outside) -> Revocation | Refusal:
        return revocation_of(request, self.snapshot, self._now(), outside)

    async def _judged(
        self,
        judge: Callable[[Request, Outside], T],
        request: Request,
        ends: float,
        place: Place = nullcontext,
    ) -> T:
        """What `judge` says of a token; asked once more where it lacks keys and others came."""
        judgement = await self._answered(judge, request, ends, place)
        verdict = judgement.verdict if isinstance(judgement, Explanation) else judgement
        if isinstance(verdict, Refusal) and await self._other_keys(verdict, ends, place):
            return await self._answered(judge, request, ends, place)
        return judgement

    async def _answered(
        self,
        judge: Callable[[R, Outside], T],
        request: R,
        ends: float,
        place: Place = nullcontext,
    ) -> T:
        """What `judge` says, once each question that it asks is answered."""
        try:
            return judge(request, self.answers)
        except Unanswered as unanswered:
            question = unanswered.question
        found: dict[Question[Any], Any] = {}
        while True:
            with place():
                found[question] = await self.answers.find(question, max(0.0, ends - self._clock()))
            try:
                return judge(request, WithFound(found, self.answers))
            except Unanswered as unanswered:
                if unanswered.question in found:
                    raise RuntimeError("a question is asked again that was answered") from None
                question = unanswered.question

    def _end(self, deadline: float | None) -> float:
        """When a call must have waited enough."""
        wait = MOST_WAITED if deadline is None else min(MOST_WAITED, deadline * WAITED_SHARE)
        return self._clock() + wait

    async def _other_keys(self, refusal: Refusal, ends: float, place: Place = nullcontext) -> bool:
        """Waits for other keys; where another source takes over meanwhile, for those of that."""
        if refusal.reason not in _FOR_WANT_OF_KEYS:
            return False
        source, found = self.key_sources.get(refusal.issuer_name), False
        while source is not None:
            with place(), self.turns.waiting_for(f"the keys of issuer {refusal.issuer_name}"):
                found |= await _waited(source, refusal, ends - self._clock())
            other = self.key_sources.get(refusal.issuer_name)
            source = None if other is source or self._clock() >= ends else other
        return found

    def note_left_out(self, headers: Iterable[str]) -> None:
        """Counts headers that were left out; of each the log tells once."""
        for name in headers:
            if not self.metrics.left_out[name]:
                log.warning(
                    "header %s is left out where its value has control characters, is longer than "
                    "8 KiB or is a list that commas can't part; more such are only counted",
                    name,
                )
            self.metrics.left_out[name] += 1

    async def mint(self, order: Order, deadline: float | None = None) -> Minted:
        """The token that was ordered; raises CallFailed where it can't be minted."""
        async with self.turns:
            minted = await self._minted(order, self._end(deadline))
        self.metrics.issued[minted.signer_name] += 1
        return minted

    async def _minted(self, order: Order, ends: float) -> Minted:
        refresh_tokens = self.refresh_tokens
        minted, snapshot = await self._answered(self._mint, order, ends)
        if order.with_refresh_token:
            signer = snapshot.signers[minted.signer_name]
            if refresh_tokens is None or signer.refresh is None:
                raise _no_refresh_tokens()
            minted = await refresh_tokens.begin(minted, order, signer, signer.refresh)
        return minted

    def _mint(self, order: Order, outside: Outside) -> tuple[Minted, Snapshot]:
        """The token, and the snapshot by which it was minted."""
        snapshot = self.snapshot
        return mint(order, snapshot, self._now(), self._new_token_id(), outside), snapshot

    async def refresh(self, refresh_token: str, scopes: tuple[str, ...]) -> Minted | Refusal:
        """New tokens for a refresh token, with these scopes or all that were granted first.

        Raises CallFailed where that can't be answered.
        """
        if self.refresh_tokens is None:
            raise _no_refresh_tokens()
        try:
            async with self.turns:
                self._all_revoked()
                minted = await self.refresh_tokens.trade(
                    refresh_token,
                    scopes,
                    self.snapshot,
                    self._new_token_id,
                    self._durable_revocations(),
                )
        except Refused as refused:
            return Refusal(refused.reason, refused.message)
        self.metrics.issued[minted.signer_name] += 1
        return minted

    def jwks(self) -> str:
        """The signers' public keys as a JWK Set."""
        return public_jwks(self.snapshot.signers.values())


def _no_refresh_tokens() -> CallFailed:
    return CallFailed(
        ErrorReason.NOT_CONFIGURED, "no signer issues refresh tokens (setting signers[].refresh)"
    )


async def _waited(source: KeySource, refusal: Refusal, at_most: float) -> bool:
    """Whether the keys that the refusal is for the want of may be there now."""
    if refusal.reason is Reason.KEYS_UNAVAILABLE:
        await source.wait_for_keys(at_most)
        return True
    if refusal.reason is Reason.KEY_NOT_FOUND and refusal.key_id is not None:
        return await source.fetch_unknown_key(refusal.key_id, at_most)
    return False
