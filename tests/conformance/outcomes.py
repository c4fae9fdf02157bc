"""What the validator says of a case, and how that compares."""

from dataclasses import dataclass
from enum import Enum

from sidecar.steady import forget_nothing
from sidecar.token.keyset import KeySet
from sidecar.token.reason import Reason, Refused
from sidecar.token.replay import ProofMemory
from sidecar.token.request import Refusal, Request
from sidecar.token.snapshot import ClaimRules, Issuer, Snapshot
from sidecar.token.validator import validate
from tests.conformance.cases import Case
from tests.signatures import verified_payload


class Standing(Enum):
    """How a verdict of ours compares with the one of the case."""

    RIGHT = "right"
    STRICTER = "stricter"
    """Refused, where the case would let it pass and the RFCs leave it open."""
    LAXER = "laxer"
    """Passed, where the case would refuse it and the RFCs leave it open."""
    WRONG = "wrong"


@dataclass(frozen=True)
class Outcome:
    """What came of a case."""

    case: Case
    refusal: Reason | None
    """The validator's; None where the token passed."""
    signature_refusal: Reason | None
    """Where the payload is no claims set: why the signature does not hold, None where it does."""

    @property
    def passed(self) -> bool:
        return self.refusal is None

    @property
    def signature_holds(self) -> bool:
        """Of a token without a claims set, which the sidecar refuses in any case."""
        return not self.case.claims and self.signature_refusal is None

    @property
    def standing(self) -> Standing:
        if self.passed and not self.case.claims:
            return Standing.WRONG
        if self.case.must:
            fits = (self.passed or self.signature_holds) is self.case.valid
            return Standing.RIGHT if fits else Standing.WRONG
        if self.passed is self.case.valid:
            return Standing.RIGHT
        return Standing.LAXER if self.passed else Standing.STRICTER

    @property
    def reason(self) -> Reason | None:
        """Why it was refused, by the validator or, without a claims set, for its signature."""
        return self.refusal if self.case.claims else self.signature_refusal

    def __str__(self) -> str:
        found = "passed" if self.reason is None else f"refused with {self.reason.name}"
        return f"{self.case.id}: {found}, should be {'valid' if self.case.valid else 'invalid'}"


def judged(case: Case) -> Outcome:
    """What the validator says with nothing configured but what the case configures."""
    rules = ClaimRules(
        audiences=None if case.audience is None else frozenset({case.audience}),
        types=None,
        required=(),
        clock_skew=0.0,
    )
    issuer = Issuer("case", case.issuer, rules, case.keys, case.algorithms)
    request = Request(case.token, issuer_name="case")
    verdict = validate(request, Snapshot.of((issuer,)), case.now, ProofMemory(forget_nothing))
    return Outcome(
        case,
        stated(verdict.reason, case.keys) if isinstance(verdict, Refusal) else None,
        None if case.claims else signature_refusal(case),
    )


def signature_refusal(case: Case) -> Reason | None:
    try:
        verified_payload(case.token, case.keys, case.algorithms)
    except Refused as refused:
        return stated(refused.reason, case.keys)
    return None


def stated(reason: Reason, keys: KeySet) -> Reason:
    """The reason, or why the only key is unfit: with that one configured, nothing starts."""
    if reason in {Reason.KEY_MISMATCH, Reason.KEY_NOT_FOUND} and keys.unusable and not keys.keys:
        return keys.unusable[0].problem.reason
    return reason
