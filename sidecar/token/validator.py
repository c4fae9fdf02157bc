"""The checks, in order, that every surface makes of a token.

`CHECKS` is the one list: what asks over gRPC, Envoy's ext_authz or HTTP runs all of it, and
the first check that fails gives the reason. Until the signature has been verified, nothing in
the claims is acted on but for choosing whose keys to try.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from sidecar.token import base64url, jws
from sidecar.token.again import Grounds
from sidecar.token.attempt import Attempt
from sidecar.token.checks import (
    address,
    claims,
    form,
    grants,
    one_time,
    party,
    proof,
    revocation,
    rule,
    signature,
    subject,
    times,
)
from sidecar.token.claims import time_of
from sidecar.token.outside import NOTHING, Outside
from sidecar.token.reason import Reason, Refused, not_configured
from sidecar.token.replay import ProofMemory, UsedProofs
from sidecar.token.request import NO_PROOF, Refusal, Request, Verdict, Verified
from sidecar.token.revocation import Revocation, revoked_token, token_name, token_title
from sidecar.token.revoked import Revoked
from sidecar.token.seen import SeenTokens
from sidecar.token.snapshot import Limits, Snapshot

CHECKS: Final = (
    *form.CHECKS,
    *party.CHECKS,
    *signature.CHECKS,
    *grants.CHECKS,
    *times.CHECKS,
    *claims.AUDIENCE_AND_CLAIMS,
    *revocation.CHECKS,
    *subject.CHECKS,
    *address.CHECKS,
    *claims.SCOPES,
    *proof.CHECKS,
    *rule.CHECKS,
    *proof.REPLAY,
    *one_time.CHECKS,
)
"""Every check in the order in which it is made. The last uses up what a refused token must not."""

_JSON: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)
_IDENTIFYING: Final = (*form.CHECKS, *party.CHECKS, *signature.CHECKS)
_RUNS: Final = tuple(check.run for check in CHECKS)
_LACKING: Final = {
    "text": "there is no token, or it is too long to be read",
    "jws": "the token could not be read",
    "party": "no issuer or consumer was found whose rules would hold",
    "candidates": "there is no key to verify it with",
    "key": "its signature was not verified",
    "claims": "aud or its scopes could not be read",
    "issue_time": "iat could not be read",
    "expire_time": "exp could not be read",
    "checked_proof": "no proof holds",
}


_NO_PROOFS: Final = ProofMemory(lambda: 0.0, most=0)
"""For checks that use none."""


class Outcome(Enum):
    """How a check went, in the contract's words."""

    PASSED = 1
    FAILED = 2
    SKIPPED = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One check of an explanation."""

    name: str
    outcome: Outcome
    detail: str
    """What was expected and what was found, in a sentence."""
    reason: Reason = Reason.UNSPECIFIED
    """Set where it failed."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The verdict, and every check in the order made."""

    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    unverified_header_json: str = ""
    """As decoded; empty where it does not decode, and where the token is too large."""
    unverified_claims_json: str = ""


def validate(
    request: Request,
    snapshot: Snapshot,
    now: float,
    used_proofs: UsedProofs,
    seen_tokens: SeenTokens | None = None,
    outside: Outside = NOTHING,
    revoked: Revoked | None = None,
) -> Verdict:
    """Whether this token may pass at this moment (seconds since the epoch).

    A DPoP proof is remembered in `used_proofs` where everything else holds. If these are shared,
    `outside` knows all that were used, and remembers this one when it is asked. In `seen_tokens` is
    remembered what the token says and whether its signature holds. Raises CallFailed with
    NOT_CONFIGURED where the request names an issuer that is not there, and Unanswered where
    `outside` lacks an answer.
    """
    attempt = _attempt(request, snapshot, now, used_proofs, seen_tokens, outside, revoked)
    try:
        for run in _RUNS:
            run(attempt)
    except Refused as refused:
        return _refusal(attempt, refused)
    if attempt.checked_proof is not None:
        used_proofs.add(attempt.checked_proof)
    return _verified(attempt)


def revocation_of(
    request: Request, snapshot: Snapshot, now: float, outside: Outside = NOTHING
) -> Revocation | Refusal:
    """What revokes this token by itself, or why it is nobody's whose tokens pass.

    It must verify; what else it says, and whether it has expired, makes no difference. Raises
    as `validate` does.
    """
    attempt = _attempt(request, snapshot, now, _NO_PROOFS, None, outside, None)
    try:
        for check in _IDENTIFYING:
            check.run(attempt)
        claims = attempt.jws.unverified_claims
        name = token_name(attempt.party, claims, attempt.text)
        title = token_title(attempt.party, claims)
        return revoked_token(name, title, time_of(claims, "exp"), now)
    except Refused as refused:
        return _refusal(attempt, refused)


def explain(
    request: Request,
    snapshot: Snapshot,
    now: float,
    used_proofs: UsedProofs,
    outside: Outside = NOTHING,
    revoked: Revoked | None = None,
) -> Explanation:
    """What `validate` says, and why: every check, the later ones too where they can be made.

    Remembers nothing, and uses nothing up. Raises CallFailed and Unanswered as `validate` does.
    """
    attempt = _attempt(request, snapshot, now, used_proofs, None, outside, revoked, uses_up=False)
    refusal = None
    findings = []
    for check in CHECKS:
        lacking = next((fact for fact in check.needs if not hasattr(attempt, fact)), None)
        if lacking:
            findings.append(Finding(check.name, Outcome.SKIPPED, _LACKING[lacking]))
            continue
        try:
            check.run(attempt)
        except Refused as refused:
            refusal = refusal or _refusal(attempt, refused)
            findings.append(Finding(check.name, Outcome.FAILED, refused.message, refused.reason))
        else:
            findings.append(Finding(check.name, Outcome.PASSED, check.passed(attempt)))
    verdict = refusal or _verified(attempt)
    return Explanation(verdict, tuple(findings), *_unverified_parts(request, snapshot.limits))


def _unverified_parts(request: Request, limits: Limits) -> tuple[str, str]:
    if len(request.token) > limits.token_bytes:
        return "", ""
    return jws.unverified_parts(request.token, limits.json_depth)


def _attempt(
    request: Request,
    snapshot: Snapshot,
    now: float,
    used_proofs: UsedProofs,
    seen_tokens: SeenTokens | None,
    outside: Outside,
    revoked: Revoked | None,
    uses_up: bool = True,
) -> Attempt:
    if request.issuer_name and request.issuer_name not in snapshot.issuers:
        raise not_configured("issuer", request.issuer_name, snapshot.issuers, "issuer_name")
    return Attempt(request, snapshot, now, used_proofs, seen_tokens, outside, revoked, uses_up)


def _verified(attempt: Attempt) -> Verified:
    return Verified(
        attempt.issuer.name if attempt.issuer else "",
        attempt.consumer,
        attempt.key.key_id or "",
        attempt.jws.algorithm,
        attempt.claims,
        _encoded(attempt.claims) if attempt.consumer else attempt.text.split(".")[1],
        attempt.audiences,
        attempt.scopes,
        attempt.rules.scope_claims,
        attempt.issue_time,
        attempt.not_before_time,
        attempt.expire_time,
        _grounds(attempt),
    )


def _claims_for_log(attempt: Attempt) -> Mapping[str, Any]:
    """What a refused token says; nothing that a consumer says which may not count."""
    if attempt.consumer or not hasattr(attempt, "jws"):
        return getattr(attempt, "claims", {})
    return attempt.jws.unverified_claims


def _encoded(claims: Mapping[str, Any]) -> str:
    return base64url.encode(_JSON.encode(claims).encode("utf-8")).decode("ascii")


def _grounds(attempt: Attempt) -> Grounds | None:
    """What would let the token pass again; None where a check depends on more than that."""
    request, rules, seen = attempt.request, attempt.rules, attempt.seen
    if seen is None or attempt.asks_outside or request.proof is not NO_PROOF:
        return None
    if rules.addresses is not None:
        return None
    if request.demand is not None and request.demand.condition is not None:
        return None
    until = seen.ends
    if rules.max_age is not None and attempt.issue_time is not None:
        until = min(until, attempt.issue_time + rules.max_age)
    revocations = attempt.revoked.state if attempt.revoked is not None else 0
    return Grounds(attempt.snapshot.mark, revocations, attempt.now, until)


def _refusal(attempt: Attempt, refused: Refused) -> Refusal:
    return Refusal(
        refused.reason,
        refused.message,
        attempt.issuer.name if attempt.issuer else "",
        claims.needed_scopes(attempt) if refused.reason is Reason.SCOPE_INSUFFICIENT else (),
        attempt.jws.key_id if refused.reason is Reason.KEY_NOT_FOUND else None,
        refused.dpop,
        refused.insufficient,
        getattr(attempt, "jws", None),
        hasattr(attempt, "key"),
        attempt.consumer.name if attempt.consumer else "",
        _claims_for_log(attempt),
    )
