"""How the revocations of subjects and tokens meet a family of refresh tokens."""

from typing import TYPE_CHECKING, Final

from sidecar.token.reason import Reason, Refused
from sidecar.token.revocation import Revocation, referred_token, subject_name
from sidecar.token.revoked import Revoked
from sidecar.token.words import moment, quoted

if TYPE_CHECKING:
    from sidecar.token.refresh_family import Family

_CLOCKS_APART: Final = 60.0
"""Seconds by which the clocks of sidecars that share a store may differ."""


def latest_token(family: "Family", now: float, steady: float) -> Revocation | None:
    """What revokes the latest access token of a family; None where it has expired everywhere.

    That is said by `steady`, since `now` may be ahead for a moment. It counts whether or not the
    signer's tokens pass here: others on the same store may take them.
    """
    revocation = referred_token(family.issuer, family.token_id, family.token_expire_time, now)
    end = revocation.expire_time
    return None if end is not None and end <= steady else revocation


def check_subject(family: "Family", revoked: Revoked, now: float) -> None:
    """Raises Refused where the tokens of the family's subject were revoked after it began.

    Also where that is not known, as what is revoked is not, or as the family began in the future:
    a clock was ahead then, or is behind now.
    """
    if revoked.unknown:
        raise Refused(Reason.STATE_UNAVAILABLE, revoked.unknown)
    subject = family.grant.subject
    time = revoked.subjects.get(subject_name(family.issuer, subject))
    if time is not None and not time <= family.issue_time <= now + _CLOCKS_APART:
        raise Refused(
            Reason.REVOKED,
            f"the tokens of subject {quoted(subject)} of {quoted(family.issuer)} that were issued "
            f"before {moment(time)} are revoked; this refresh token's family began at "
            f"{moment(family.issue_time)}; sign in again",
        )


def family_title(family: "Family") -> str:
    """A family in a sentence."""
    return (
        f"the refresh tokens of a family of subject {quoted(family.grant.subject)} of signer "
        f"{family.grant.signer}, and its access token with the jti {quoted(family.token_id)}"
    )
