"""What a revocation of a subject does to a family, and how its latest access token is revoked."""

from dataclasses import replace

import pytest

from sidecar.token.family_revocation import check_subject, latest_token
from sidecar.token.mint import Order
from sidecar.token.reason import Reason, Refused
from sidecar.token.refresh_family import Family
from sidecar.token.revocation import KEPT_LONGER, Kind, Revocation, SubjectReference
from sidecar.token.revoked import Revoked
from tests.tokens import (
    ISSUER,
    NOW,
    assert_passes,
    assert_refused,
    issuer,
    judge,
    mint,
    revoking,
)

ANY = issuer("any", None)
FAMILY = Family(
    grant=Order(signer="internal", subject="alice"),
    issuer=ISSUER,
    issue_time=NOW,
    end_time=NOW + 86400,
    digest=b"",
    use_time=NOW,
    token_id="id-1",
    token_expire_time=NOW + 600,
)


def revoked(before: float, subject: str = "alice", iss: str = ISSUER) -> Revoked:
    return revoking(SubjectReference(iss, subject, before), among=(issuer(), ANY))


@pytest.mark.parametrize(
    "memory",
    [
        pytest.param(Revoked("secret"), id="nothing"),
        pytest.param(revoked(NOW), id="what was issued before the family began"),
        pytest.param(revoked(NOW + 1, "bob"), id="another subject"),
        pytest.param(revoked(NOW + 1, iss="https://other.example"), id="another issuer's subject"),
    ],
)
def test_a_family_outlives_the_revocation_of(memory: Revoked) -> None:
    check_subject(FAMILY, memory, NOW)


def test_a_family_that_began_before_its_subject_was_revoked_is_refused() -> None:
    with pytest.raises(Refused, match='subject "alice"') as refused:
        check_subject(FAMILY, revoked(NOW + 1), NOW + 2)
    assert refused.value.reason is Reason.REVOKED


@pytest.mark.parametrize(
    ("ahead", "refused"),
    [
        pytest.param(60, False, id="as clocks may differ"),
        pytest.param(61, True, id="by a clock that was ahead"),
    ],
)
def test_a_family_that_began_in_the_future_may_be_older_than_the_revocation(
    ahead: float, refused: bool
) -> None:
    family, memory = replace(FAMILY, issue_time=NOW + ahead), revoked(NOW)
    if refused:
        with pytest.raises(Refused, match="sign in again"):
            check_subject(family, memory, NOW)
    else:
        check_subject(family, memory, NOW)
    check_subject(family, Revoked("secret"), NOW)


def test_where_it_is_not_known_what_is_revoked_a_family_is_refused() -> None:
    memory = Revoked("secret")
    memory.set_unknown("the store does not answer")
    with pytest.raises(Refused, match="the store does not answer") as refused:
        check_subject(FAMILY, memory, NOW)
    assert refused.value.reason is Reason.STATE_UNAVAILABLE


def test_the_latest_access_token_is_revoked_by_its_iss_and_jti() -> None:
    memory = Revoked("secret")
    revocation = latest_token(FAMILY, NOW, NOW)
    assert isinstance(revocation, Revocation)
    memory.add(revocation)
    assert_refused(judge(mint(jti="id-1"), revoked=memory), Reason.REVOKED)
    assert_passes(judge(mint(jti="id-2"), revoked=memory))


def test_its_revocation_is_kept_until_it_has_expired_everywhere() -> None:
    end = FAMILY.token_expire_time + KEPT_LONGER
    last = latest_token(FAMILY, end - 1, end - 1)
    assert last is not None
    assert (last.kind, last.time, last.expire_time) == (Kind.TOKEN, end - 1, end)
    assert latest_token(FAMILY, end, end) is None


def test_a_clock_that_is_ahead_for_a_moment_spares_no_access_token() -> None:
    ahead = NOW + 2 * 86400
    last = latest_token(FAMILY, ahead, NOW)
    assert last is not None
    assert last.expire_time == FAMILY.token_expire_time + KEPT_LONGER


def test_the_tokens_of_another_family_are_others() -> None:
    other = replace(FAMILY, token_id="2")
    assert latest_token(FAMILY, NOW, NOW) != latest_token(other, NOW, NOW)
