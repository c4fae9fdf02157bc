"""One running sidecar's answer to the question whether a token may pass.

Holds the current `Snapshot` and swaps it whole. A request is judged by the one that it started
with; where that lacks a key which its issuer may have published since, once more by the next.
"""

import logging
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Final, Protocol

from sidecar.token.dpop import REUSABLE
from sidecar.token.mint import Minted, Order, mint
from sidecar.token.reason import CallFailed, Reason
from sidecar.token.replay import ProofMemory
from sidecar.token.request import Refusal, Request, Verdict
from sidecar.token.seen import SeenTokens
from sidecar.token.signing import public_jwks
from sidecar.token.snapshot import Snapshot
from sidecar.token.validator import Explanation, explain, validate

MOST_WAITED: Final = 10.0
"""Seconds that a call waits for keys at most."""
WAITED_SHARE: Final = 0.8
"""Of a call's own time: the answer must be there before the caller gives up, since some take a
deadline that passed for a yes."""

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


class Engine:
    """Decides and mints with one snapshot at a time.

    `now` gives seconds since the epoch, `new_token_id` an unused `jti`.
    """

    def __init__(
        self, snapshot: Snapshot, now: Callable[[], float], new_token_id: Callable[[], str]
    ) -> None:
        self.snapshot = snapshot
        self.key_sources: Mapping[str, KeySource] = {}
        self._used_proofs = ProofMemory(REUSABLE)
        self.seen_tokens: SeenTokens | None = None
        """What is remembered of tokens; None: nothing."""
        self._now = now
        self._new_token_id = new_token_id

    async def decide(self, request: Request, deadline: float | None = None) -> Verdict:
        """Whether the token may pass; `deadline` is how many seconds the caller waits.

        Raises CallFailed for a request that can't be answered, and nothing else: an error of
        ours is a refusal with STATE_UNAVAILABLE.
        """
        try:
            verdict = self._validate(request)
            if isinstance(verdict, Refusal) and await self._other_keys(verdict, deadline):
                verdict = self._validate(request)
            return verdict
        except CallFailed:
            raise
        except Exception:
            log.exception("a decision failed")
            return FAILED

    async def explain(self, request: Request, deadline: float | None = None) -> Explanation:
        """What `decide` answers and why, check by check; a proof is not used up by it.

        Raises CallFailed as `decide` does.
        """
        try:
            explanation = self._explain(request)
            verdict = explanation.verdict
            if isinstance(verdict, Refusal) and await self._other_keys(verdict, deadline):
                explanation = self._explain(request)
            return explanation
        except CallFailed:
            raise
        except Exception:
            log.exception("an explanation failed")
            return Explanation(FAILED)

    def _validate(self, request: Request) -> Verdict:
        return validate(request, self.snapshot, self._now(), self._used_proofs, self.seen_tokens)

    def _explain(self, request: Request) -> Explanation:
        return explain(request, self.snapshot, self._now(), self._used_proofs)

    async def _other_keys(self, refusal: Refusal, deadline: float | None) -> bool:
        """Waits for other keys; where another source takes over meanwhile, for those of that."""
        left = MOST_WAITED if deadline is None else min(MOST_WAITED, deadline * WAITED_SHARE)
        source, found = self.key_sources.get(refusal.issuer_name), False
        while source is not None:
            began = monotonic()
            found |= await _waited(source, refusal, left)
            left -= monotonic() - began
            other = self.key_sources.get(refusal.issuer_name)
            source = None if other is source or left <= 0 else other
        return found

    def mint(self, order: Order) -> Minted:
        """The token that was ordered; raises CallFailed where it can't be minted."""
        return mint(order, self.snapshot, self._now(), self._new_token_id())

    def jwks(self) -> str:
        """The signers' public keys as a JWK Set."""
        return public_jwks(self.snapshot.signers.values())


async def _waited(source: KeySource, refusal: Refusal, at_most: float) -> bool:
    """Whether the keys that the refusal is for the want of may be there now."""
    if refusal.reason is Reason.KEYS_UNAVAILABLE:
        await source.wait_for_keys(at_most)
        return True
    if refusal.reason is Reason.KEY_NOT_FOUND and refusal.key_id is not None:
        return await source.fetch_unknown_key(refusal.key_id, at_most)
    return False
