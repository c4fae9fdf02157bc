"""Checks of what a token says: audience, required claims, their values, and scopes."""

from sidecar.token.attempt import Attempt, Check
from sidecar.token.checks.grants import audience_remedy, claim_remedy, scope_remedy
from sidecar.token.claims import audiences_of, check_text, find, scopes_of
from sidecar.token.reason import Reason, Refused
from sidecar.token.words import listed, quoted


def _check_audience(attempt: Attempt) -> None:
    attempt.audiences = audiences_of(attempt.claims)
    accepted = _accepted_audiences(attempt)
    if accepted is None or not accepted.isdisjoint(attempt.audiences):
        return
    raise Refused(Reason.AUDIENCE_MISMATCH, f"{_audience(attempt)}{audience_remedy(attempt)}")


def _audience(attempt: Attempt) -> str:
    accepted = _accepted_audiences(attempt)
    audiences = audiences_of(attempt.jws.unverified_claims)
    found = f"aud is {listed(audiences)}" if audiences else "there is no aud"
    if accepted is None:
        return f"{found}; any is accepted here"
    return f"{found}; accepted here is any of {listed(sorted(accepted))}"


def _accepted_audiences(attempt: Attempt) -> frozenset[str] | None:
    return frozenset(attempt.request.audiences) or attempt.rules.audiences


def _check_required_claims(attempt: Attempt) -> None:
    claims = attempt.jws.unverified_claims
    for name in attempt.rules.texts:
        check_text(claims, name)
    for path in attempt.rules.required:
        if find(claims, path) is None:
            raise Refused(
                Reason.CLAIM_MISSING,
                f"claim {quoted(path)} is required and missing; the token has {listed(claims)}",
            )


def _required_claims(attempt: Attempt) -> str:
    required = attempt.rules.required
    return f"required are {listed(required)}: all there" if required else "no claim is required"


def _check_claim_values(attempt: Attempt) -> None:
    for required in attempt.rules.claims + attempt.request.claims:
        try:
            required.check(attempt.claims)
        except Refused as refused:
            raise Refused(refused.reason, f"{refused.message}{claim_remedy(attempt)}") from None


def _claim_values(attempt: Attempt) -> str:
    claims = attempt.claims
    paths = dict.fromkeys(one.path for one in attempt.rules.claims + attempt.request.claims)
    held = (f"claim {quoted(path)} is {quoted(find(claims, path))}" for path in paths)
    return "; ".join(held) or "no claim needs a certain value"


def _check_scopes(attempt: Attempt) -> None:
    attempt.scopes = scopes_of(attempt.claims, attempt.rules.scope_claims)
    granted = frozenset(attempt.scopes)
    missing = [scope for scope in attempt.request.scopes if scope not in granted]
    if missing:
        raise Refused(
            Reason.SCOPE_INSUFFICIENT,
            f"scope {listed(missing)} is not granted; the token has {listed(attempt.scopes)}"
            f"{scope_remedy(attempt)}",
        )


def _scopes(attempt: Attempt) -> str:
    needed = attempt.request.scopes
    wanted = f"needed is {listed(needed)}" if needed else "none is needed"
    return f"{wanted}; the token has {listed(attempt.scopes)}"


AUDIENCE_AND_CLAIMS = (
    Check("audience", _check_audience, _audience, ("jws", "party", "claims")),
    Check("required_claims", _check_required_claims, _required_claims, ("jws", "party")),
    Check("claim_values", _check_claim_values, _claim_values, ("jws", "party", "claims")),
)
SCOPES = (Check("scopes", _check_scopes, _scopes, ("jws", "party", "claims")),)
