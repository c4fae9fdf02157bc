"""The check of whether a token was revoked: by itself, with its subject or with its consumer."""

from sidecar.token.attempt import Attempt, Check
from sidecar.token.reason import Reason, Refused
from sidecar.token.revocation import iss_of, subject_name, token_name, token_title
from sidecar.token.revoked import Marks
from sidecar.token.words import moment, quoted


def _check_revocation(attempt: Attempt) -> None:
    revoked = attempt.revoked
    if revoked is None or not revoked.matters:
        return
    if revoked.tokens:
        _check_token(attempt, revoked.tokens)
    if revoked.subjects:
        _check_subject(attempt, revoked.subjects)
    if revoked.consumers and attempt.consumer:
        time = revoked.consumers.get(attempt.consumer.name)
        if time is not None:
            _check_issued(attempt, time, attempt.consumer.title)
    if revoked.unknown:
        raise Refused(Reason.STATE_UNAVAILABLE, revoked.unknown)


def _check_token(attempt: Attempt, tokens: Marks) -> None:
    claims = attempt.jws.unverified_claims
    time = tokens.get(token_name(attempt.party, claims, attempt.text))
    if time is not None:
        raise _refused(f"{token_title(attempt.party, claims)} was revoked at {moment(time)}")


def _check_subject(attempt: Attempt, subjects: Marks) -> None:
    # A consumer's record may grant the iss and sub that services behind read.
    for claims in (attempt.jws.unverified_claims, attempt.claims):
        subject = claims.get("sub")
        if isinstance(subject, str):
            time = subjects.get(subject_name(iss_of(claims), subject))
            if time is not None:
                _check_issued(attempt, time, f"subject {quoted(subject)} of {attempt.party.title}")


def _check_issued(attempt: Attempt, time: int, whose: str) -> None:
    """Refuses a token that was issued before this time, or does not say when."""
    issued = attempt.issue_time
    if issued is None or issued < time:
        found = "has no iat" if issued is None else f"was issued at {moment(issued)}"
        raise _refused(
            f"the tokens of {whose} that were issued before {moment(time)} are revoked; this one "
            f"{found}"
        )


def _refused(message: str) -> Refused:
    return Refused(Reason.REVOKED, message)


def _revocation(attempt: Attempt) -> str:
    known = len(attempt.revoked) if attempt.revoked is not None else 0
    return f"not revoked; {known} {'revocation is' if known == 1 else 'revocations are'} known"


CHECKS = (
    Check(
        "revocation",
        _check_revocation,
        _revocation,
        ("jws", "party", "key", "claims", "issue_time"),
    ),
)
