"""One token on its way through the checks, and what a check is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sidecar.token.jws import Jws
from sidecar.token.key import Key
from sidecar.token.outside import NOTHING, Outside, Question
from sidecar.token.replay import CheckedProof, UsedProofs
from sidecar.token.request import Request
from sidecar.token.revoked import Revoked
from sidecar.token.seen import Seen, SeenTokens
from sidecar.token.snapshot import ClaimRules, Consumer, Issuer, Snapshot
from sidecar.token.subject import SubjectAnswer

T = TypeVar("T")

_NO_RULES: Final = ClaimRules(audiences=frozenset(), types=None)


class Attempt:
    """A token and what the checks have found out so far. A fact is unset until it is found."""

    __slots__ = (
        "asks_outside",
        "audiences",
        "candidates",
        "checked_proof",
        "claims",
        "consumer",
        "digest",
        "expire_time",
        "issue_time",
        "issuer",
        "jws",
        "key",
        "not_before_time",
        "now",
        "outage",
        "outside",
        "party",
        "request",
        "revoked",
        "rules",
        "scopes",
        "seen",
        "seen_tokens",
        "snapshot",
        "subject",
        "text",
        "used_proofs",
        "uses_up",
    )

    def __init__(
        self,
        request: Request,
        snapshot: Snapshot,
        now: float,
        used_proofs: UsedProofs,
        seen_tokens: SeenTokens | None = None,
        outside: Outside = NOTHING,
        revoked: Revoked | None = None,
        uses_up: bool = True,
    ) -> None:
        self.request = request
        self.snapshot = snapshot
        self.now = now
        self.used_proofs = used_proofs
        self.seen_tokens = seen_tokens
        self.outside = outside
        self.revoked = revoked
        self.uses_up = uses_up
        """Whether what may be used once is used up by passing."""
        self.asks_outside = False
        """Whether what a check found depends on more than what is at hand here."""
        self.rules = _NO_RULES
        self.issuer: Issuer | None = None
        self.consumer: Consumer | None = None
        self.outage = ""
        """Why it can't be said who it is from; empty where it can."""
        self.text: str
        """The token, once it is known to be short enough to be read."""
        self.digest = b""
        """Of the token, where it may be remembered."""
        self.seen: Seen | None = None
        """What is remembered of it as verified."""
        self.jws: Jws
        self.party: Issuer | Consumer
        """Who it is from; unset where that is nobody."""
        self.candidates: tuple[Key, ...]
        self.key: Key
        self.claims: Mapping[str, Any]
        """What counts of its claims: all that an issuer's token says, of a consumer's what the
        record grants or allows. What grants something reads these; what only refuses, `jws`."""
        self.expire_time: float | None
        self.not_before_time: float | None
        self.issue_time: float | None
        self.audiences: tuple[str, ...]
        self.subject: SubjectAnswer
        """What a directory said of its subject; unset where none was asked."""
        self.scopes: tuple[str, ...]
        self.checked_proof: CheckedProof | None
        """The DPoP proof that was checked, None where none is needed."""

    def answer(self, question: Question[T]) -> T:
        """What is known outside at this moment; raises Unanswered where it isn't."""
        self.asks_outside = True
        return self.outside.answer(question, self.now)


@dataclass(frozen=True, slots=True)
class Check:
    """One check, for all surfaces alike."""

    name: str
    """Stable."""
    run: Callable[[Attempt], None]
    """Raises Refused where the check fails."""
    passed: Callable[[Attempt], str]
    """What was expected and found, after `run` has passed, for ExplainToken."""
    needs: tuple[str, ...] = ()
    """Facts of the attempt without which the check can't be made."""
