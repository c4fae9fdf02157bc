"""Checks of what a token says: audience, required claims, their values, and scopes."""

from sidecar.token.attempt import Attempt, Check
from sidecar.token.checks.grants import audience_remedy, claim_remedy, scope_remedy
from sidecar.token.claims import RequiredClaim, audiences_of, check_text, find, scopes_of
from sidecar.token.reason import Reason, Refused
from sidecar.token.request import Demand
from sidecar.token.words import listed, quoted


def _check_audience(attempt: Attempt) -> None:
    attempt.audiences = audiences_of(attempt.claims)
    accepted = _accepted_audiences(attempt)
    if accepted is None or not accepted.isdisjoint(attempt.audiences):
        return
    request, demand = attempt.request, attempt.request.demand
    if demand and demand.audiences and not request.audiences:
        raise demand.unmet(
            f"{_found_audiences(attempt)}; the rule needs any of {listed(sorted(accepted))}"
            f"{audience_remedy(attempt)}; have the client request a token for that audience"
        )
    raise Refused(
        Reason.AUDIENCE_MISMATCH,
        f"{_audience(attempt)}{audience_remedy(attempt)}",
        insufficient=bool(request.audiences),
    )


def _audience(attempt: Attempt) -> str:
    accepted, found = _accepted_audiences(attempt), _found_audiences(attempt)
    if accepted is None:
        return f"{found}; any is accepted here"
    return f"{found}; accepted here is any of {listed(sorted(accepted))}"


def _found_audiences(attempt: Attempt) -> str:
    audiences = audiences_of(attempt.jws.unverified_claims)
    return f"aud is {listed(audiences)}" if audiences else "there is no aud"


def _accepted_audiences(attempt: Attempt) -> frozenset[str] | None:
    """Return the audiences of the caller or the rule, which replace those of the issuer."""
    request = attempt.request
    asked = request.audiences or (request.demand.audiences if request.demand else ())
    return frozenset(asked) or attempt.rules.audiences


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
    for required in attempt.rules.claims:
        _check_value(required, attempt)
    for required in attempt.request.claims:
        try:
            _check_value(required, attempt)
        except Refused as refused:
            raise Refused(refused.reason, refused.message, insufficient=True) from None
    demand = attempt.request.demand
    if demand:
        _check_rule_claims(attempt, demand)


def _check_value(required: RequiredClaim, attempt: Attempt) -> None:
    try:
        required.check(attempt.claims)
    except Refused as refused:
        raise Refused(refused.reason, f"{refused.message}{claim_remedy(attempt)}") from None


def _check_rule_claims(attempt: Attempt, demand: Demand) -> None:
    for required in demand.claims:
        try:
            required.check(attempt.claims)
        except Refused as refused:
            remedy = claim_remedy(attempt) or (
                "; have the issuer grant it, or change require.claims of the rule"
            )
            raise demand.unmet(f"{refused.message}, as the rule requires{remedy}") from None


def _claim_values(attempt: Attempt) -> str:
    claims, demand = attempt.claims, attempt.request.demand
    required = attempt.rules.claims + attempt.request.claims + (demand.claims if demand else ())
    paths = dict.fromkeys(one.path for one in required)
    held = (f"claim {quoted(path)} is {quoted(find(claims, path))}" for path in paths)
    return "; ".join(held) or "no claim needs a certain value"


def _check_scopes(attempt: Attempt) -> None:
    attempt.scopes = scopes_of(attempt.claims, attempt.rules.scope_claims)
    granted, demand = frozenset(attempt.scopes), attempt.request.demand
    missing = [scope for scope in needed_scopes(attempt) if scope not in granted]
    if missing:
        rule = f"{demand.rule}: " if demand and demand.scopes else ""
        remedy = scope_remedy(attempt) or "; have the client request the scope"
        raise Refused(
            Reason.SCOPE_INSUFFICIENT,
            f"{rule}scope {listed(missing)} is not granted; the token has "
            f"{listed(attempt.scopes)}{remedy}",
            insufficient=True,
        )


def needed_scopes(attempt: Attempt) -> tuple[str, ...]:
    """Return the scopes that the caller and the rule require."""
    request = attempt.request
    return request.scopes + request.demand.scopes if request.demand else request.scopes


def _scopes(attempt: Attempt) -> str:
    needed = needed_scopes(attempt)
    wanted = f"needed is {listed(needed)}" if needed else "none is needed"
    return f"{wanted}; the token has {listed(attempt.scopes)}"


AUDIENCE_AND_CLAIMS = (
    Check("audience", _check_audience, _audience, ("jws", "party", "claims")),
    Check("required_claims", _check_required_claims, _required_claims, ("jws", "party")),
    Check("claim_values", _check_claim_values, _claim_values, ("jws", "party", "claims")),
)
SCOPES = (Check("scopes", _check_scopes, _scopes, ("jws", "party", "claims")),)
