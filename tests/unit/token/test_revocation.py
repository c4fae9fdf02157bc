"""What is revoked is refused, and nothing else."""

from dataclasses import replace
from typing import Any

import pytest

from sidecar.steady import forget_nothing
from sidecar.token.reason import CallFailed, ErrorReason, Reason
from sidecar.token.replay import ProofMemory
from sidecar.token.request import Refusal, Request
from sidecar.token.revocation import (
    KEPT_LONGER,
    LONGEST_ID,
    ConsumerReference,
    Kind,
    Revocation,
    SubjectReference,
    TokenReference,
    revoked,
)
from sidecar.token.revoked import Revoked
from sidecar.token.snapshot import Consumers, Grants, Issuer, Refreshing, Signer
from sidecar.token.validator import Outcome, explain, revocation_of
from tests.authors import STRANGER, key_set
from tests.tokens import (
    ABSENT,
    ISSUER,
    JACK,
    JACK_KEY,
    NOW,
    assert_passes,
    assert_refused,
    consumer,
    consumers,
    decode,
    encode,
    issuer,
    judge,
    mint,
    revoking,
    world,
)

OTHER = issuer("other", "https://other.example", key_set(STRANGER))
ANY = issuer("any", None)
JILL = consumer("jill", JACK, "jill-key")
CONSUMERS = consumers(consumer("jack", JACK), JILL, required=())
TOKEN = mint(jti="1")
LONG = "x" * (LONGEST_ID + 1)
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def of_jack(key: str = JACK_KEY, **claims: Any) -> str:
    return mint(JACK, iss=claims.pop("iss", ABSENT), key=key, **claims)


def subject(before: float | None = None, iss: str = ISSUER, sub: str = "alice") -> SubjectReference:
    return SubjectReference(iss, sub, before)


@pytest.mark.parametrize(
    ("target", "token", "words"),
    [
        pytest.param(
            TOKEN, TOKEN, 'jti "1" of issuer corp was revoked at 2027-01-15T08:00', id="a token"
        ),
        pytest.param(
            TOKEN, mint(jti="1", sub="bob"), 'jti "1"', id="another token of the same iss and jti"
        ),
        pytest.param(
            TokenReference(ISSUER, "1", NOW + 600), TOKEN, 'jti "1" of issuer corp', id="by its jti"
        ),
        pytest.param(mint(), mint(), "this token of issuer corp was revoked", id="without a jti"),
        pytest.param(mint(jti=""), mint(jti=""), "this token of", id="with an empty jti"),
        pytest.param(mint(jti=LONG), mint(jti=LONG), 'jti "xxx', id="with a jti of 1025"),
        pytest.param(
            mint(jti=LONG[1:]), mint(jti=LONG[1:], a=1), 'jti "xxx', id="with a jti of 1024"
        ),
        pytest.param(of_jack(jti="1"), of_jack(jti="1"), "of consumer jack", id="a consumer's"),
        pytest.param(of_jack(), of_jack(), "of consumer jack", id="a consumer's without a jti"),
        pytest.param(
            subject(),
            mint(),
            'tokens of subject "alice" of issuer corp that were issued before '
            "2027-01-15T08:00:00Z are revoked; this one was issued at 2027-01-15T07:59:00Z",
            id="a subject's",
        ),
        pytest.param(subject(), mint(iat=ABSENT), "this one has no iat", id="a subject's, no iat"),
        pytest.param(subject(), mint(iat=NOW - 1), "07:59:59Z", id="a second before"),
        pytest.param(
            subject(NOW + 0.5), mint(iat=NOW), "08:00:01Z are", id="within the same second"
        ),
        pytest.param(
            ConsumerReference("jack"),
            of_jack(),
            "tokens of consumer jack that were issued before 2027-01-15T08:00:00Z",
            id="all of a consumer's",
        ),
        pytest.param(
            ConsumerReference("jack"), of_jack(iat=ABSENT), "has no iat", id="a consumer's, no iat"
        ),
    ],
)
def test_what_is_revoked_is_refused(target: Any, token: str, words: str) -> None:
    parties = (issuer(), CONSUMERS)
    assert_passes(judge(token, *parties, revoked=revoking()))
    verdict = judge(token, *parties, revoked=revoking(target, among=parties))
    assert_refused(verdict, Reason.REVOKED, words)


def test_a_subjects_revocation_covers_consumers_tokens_that_name_it_with_its_iss() -> None:
    """Where an issuer of any `iss` is there, nobody knows whose that one is."""
    parties, iss = (ANY, CONSUMERS), "https://nobody.example"
    verdict = judge(of_jack(iss=iss), *parties, revoked=revoking(subject(iss=iss), among=parties))
    assert_refused(verdict, Reason.REVOKED, 'tokens of subject "alice" of consumer jack')


@pytest.mark.parametrize(
    ("grants", "claims"),
    [
        pytest.param(Grants(claims={"iss": ISSUER, "sub": "alice"}), {}, id="both from its record"),
        pytest.param(
            Grants(claims={"iss": ISSUER}, from_token=("sub",)),
            {"sub": "alice"},
            id="iss from its record, sub from the token",
        ),
    ],
)
def test_a_subjects_revocation_covers_tokens_that_have_its_iss_from_a_consumers_record(
    grants: Grants, claims: dict[str, Any]
) -> None:
    """Services behind take both for tokens of this subject."""
    strict = issuer(max_lifetime=600.0)
    parties = (strict, consumers(replace(consumer("jack", JACK), grants=grants), required=()))
    token = of_jack(**{"sub": "bob", **claims})
    assert_passes(judge(token, *parties, revoked=revoking(subject(sub="bob"), among=parties)))
    verdict = judge(token, *parties, revoked=revoking(subject(), among=parties))
    assert_refused(verdict, Reason.REVOKED, 'tokens of subject "alice" of consumer jack')
    # The issuer's tokens live no longer than ten minutes, and the consumer's as long as it likes.
    assert revoked(subject(), world(*parties), NOW).expire_time is None


@pytest.mark.parametrize(
    ("target", "token"),
    [
        pytest.param(TOKEN, mint(jti="2"), id="another jti"),
        pytest.param(TOKEN, mint(), id="no jti"),
        pytest.param(mint(), mint(a=1), id="another one without a jti"),
        pytest.param(mint(jti=""), mint(jti="", a=1), id="another one with an empty jti"),
        pytest.param(mint(jti=LONG), mint(jti=LONG, a=1), id="another one with a jti of 1025"),
        pytest.param(
            TOKEN, mint(STRANGER, iss="https://other.example", jti="1"), id="another issuer's"
        ),
        pytest.param(
            of_jack(jti="1", iss="https://nobody.example"),
            of_jack("jill-key", jti="1", iss="https://nobody.example"),
            id="another consumer's of the same iss and jti",
        ),
        pytest.param(subject(), mint(sub="bob"), id="another subject"),
        pytest.param(subject(), mint(sub=ABSENT), id="no subject"),
        pytest.param(subject(), mint(iat=NOW), id="issued when its subject's were revoked"),
        pytest.param(
            subject(iss="https://other.example"), mint(), id="a subject of the same name elsewhere"
        ),
        pytest.param(subject(), of_jack(sub="alice"), id="a consumer's with the same subject"),
        pytest.param(ConsumerReference("jack"), of_jack("jill-key"), id="another consumer's"),
        pytest.param(
            ConsumerReference("jack"), of_jack(iat=NOW), id="issued when its consumer's were"
        ),
        pytest.param(ConsumerReference("jack"), mint(sub="jack"), id="a subject of that name"),
    ],
)
def test_nothing_else_is_refused(target: Any, token: str) -> None:
    parties = (issuer(), OTHER, CONSUMERS)
    assert_passes(judge(token, *parties, revoked=revoking(target, among=parties)))


def test_a_signature_that_is_changed_and_still_holds_helps_nobody() -> None:
    """Of an ECDSA signature (r, s), (r, ORDER - s) holds as well."""
    token = mint()
    signed, _, signature = token.rpartition(".")
    r, s = decode(signature)[:32], int.from_bytes(decode(signature)[32:], "big")
    twin = f"{signed}.{encode(r + (ORDER - s).to_bytes(32, 'big'))}"
    assert twin != token
    assert_passes(judge(twin, revoked=revoking()))
    assert_refused(judge(twin, revoked=revoking(token)), Reason.REVOKED)


def test_iss_and_identifier_are_told_apart() -> None:
    """Of an issuer that takes any iss, both may hold anything."""
    target = TokenReference("a 1", "b", NOW + 600)
    known = revoking(target, among=(ANY,))
    shifted = mint(iss="a", jti="1 b")
    assert_passes(judge(shifted, ANY, issuer_name="any", revoked=known))
    token = mint(iss="a 1", jti="b")
    assert_refused(judge(token, ANY, issuer_name="any", revoked=known), Reason.REVOKED)


def test_where_revocations_are_not_known_nothing_passes() -> None:
    memory = Revoked("secret")
    memory.set_unknown("the store does not answer")
    assert_refused(judge(mint(), revoked=memory), Reason.STATE_UNAVAILABLE, "does not answer")
    memory.forget(NOW)
    assert_refused(judge(mint(), revoked=memory), Reason.STATE_UNAVAILABLE)
    memory.set_unknown("")
    assert_passes(judge(mint(), revoked=memory))


def test_of_a_forged_token_is_not_told_whether_it_is_revoked() -> None:
    forged = mint(STRANGER, jti="1")
    said = explain(
        Request(forged), world(issuer()), NOW, ProofMemory(forget_nothing), revoked=revoking(TOKEN)
    )
    (finding,) = [one for one in said.findings if one.name == "revocation"]
    assert finding.outcome is Outcome.SKIPPED


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(mint(exp=NOW - 1), id="expired"),
        pytest.param(mint(nbf=NOW + 60), id="not yet valid"),
        pytest.param(mint(aud="billing"), id="for another audience"),
    ],
)
def test_a_token_need_not_pass_to_be_revoked(token: str) -> None:
    assert isinstance(revocation_of(Request(token), world(issuer()), NOW), Revocation)


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        pytest.param(mint(STRANGER), Reason.SIGNATURE_INVALID, id="signed by somebody else"),
        pytest.param(mint(iss="https://x.example"), Reason.ISSUER_UNKNOWN, id="of nobody"),
        pytest.param("x", Reason.TOKEN_MALFORMED, id="no token"),
        pytest.param("", Reason.TOKEN_MISSING, id="nothing"),
        pytest.param(mint(exp="x"), Reason.CLAIM_MISMATCH, id="with an exp that is none"),
    ],
)
def test_a_token_that_does_not_verify_is_nobodys_to_revoke(token: str, reason: Reason) -> None:
    found = revocation_of(Request(token), world(issuer()), NOW)
    assert isinstance(found, Refusal)
    assert found.reason is reason


@pytest.mark.parametrize(
    ("token", "end"),
    [
        pytest.param(mint(jti="1", exp=NOW + 5), NOW + 5 + KEPT_LONGER, id="exp"),
        pytest.param(mint(jti="1", exp=ABSENT), None, id="no exp"),
    ],
)
def test_a_token_is_remembered_until_it_has_expired_everywhere(
    token: str, end: float | None
) -> None:
    found = revocation_of(Request(token), world(issuer(required=())), NOW)
    assert isinstance(found, Revocation)
    assert found.expire_time == end
    assert found.time == NOW


@pytest.mark.parametrize(
    ("parties", "end"),
    [
        pytest.param((issuer(),), None, id="no limit"),
        pytest.param((issuer(max_age=60.0),), NOW + 60 + KEPT_LONGER, id="max_age"),
        pytest.param((issuer(max_lifetime=90.0),), NOW + 90 + KEPT_LONGER, id="max_lifetime"),
        pytest.param(
            (issuer(max_age=60.0, max_lifetime=90.0),), NOW + 60 + KEPT_LONGER, id="the shorter"
        ),
        pytest.param((issuer(max_age=60.0), OTHER), NOW + 60 + KEPT_LONGER, id="beside another"),
        pytest.param((issuer(max_age=60.0), ANY), None, id="beside one that takes any iss"),
        pytest.param(
            (issuer(max_age=60.0), issuer("any", None, max_age=70.0)),
            NOW + 70 + KEPT_LONGER,
            id="beside one that takes any iss, and as long as there",
        ),
    ],
)
def test_a_subject_is_remembered_while_one_of_its_tokens_could_pass(
    parties: tuple[Issuer | Consumers, ...], end: float | None
) -> None:
    assert revoked(subject(), world(*parties), NOW + 5000).expire_time == (end and end + 5000)
    assert revoked(subject(NOW), world(*parties), NOW + 5000).expire_time == end


DAY = 86400.0


def refreshing(lifetime: float, iss: str = ISSUER, max_lifetime: float = 3600.0) -> Signer:
    return Signer("own", iss, (), max_lifetime=max_lifetime, refresh=Refreshing(lifetime))


@pytest.mark.parametrize(
    ("parties", "end"),
    [
        pytest.param((issuer(max_age=60.0), refreshing(30 * DAY)), 30 * DAY, id="longer than both"),
        pytest.param(
            (issuer(max_age=60.0), refreshing(59.0, max_lifetime=1.0)), 60.0, id="shorter"
        ),
        pytest.param(
            (issuer(max_age=60.0), refreshing(30 * DAY, "https://other.example")),
            60.0,
            id="of another iss",
        ),
        pytest.param((issuer(max_age=60.0), Signer("own", ISSUER, ())), 60.0, id="none issued"),
        pytest.param((issuer(), refreshing(30 * DAY)), None, id="beside an issuer without limit"),
        pytest.param(
            (refreshing(30 * DAY),), 30 * DAY, id="of a signer whose tokens pass elsewhere"
        ),
        pytest.param((refreshing(60.0),), 3600.0, id="shorter than the tokens beside it"),
    ],
)
def test_a_subject_is_remembered_while_one_of_its_refresh_tokens_could_be_traded(
    parties: tuple[Issuer | Signer, ...], end: float | None
) -> None:
    found = revoked(subject(NOW), world(*parties), NOW + 5000)
    assert found.expire_time == (None if end is None else NOW + end + KEPT_LONGER)


@pytest.mark.parametrize(
    ("parties", "reference", "reason", "words"),
    [
        pytest.param(
            (issuer(),),
            subject(iss="https://x.example"),
            ErrorReason.NOT_CONFIGURED,
            ('"https://x.example"', f'["{ISSUER}"]'),
            id="the subject of an iss that no issuer has",
        ),
        pytest.param(
            (issuer(),),
            TokenReference("corp", "1", NOW),
            ErrorReason.NOT_CONFIGURED,
            ('iss "corp"', f'["{ISSUER}"]'),
            id="the name of an issuer in place of its iss",
        ),
        pytest.param(
            (CONSUMERS,),
            ConsumerReference("jim"),
            ErrorReason.NOT_CONFIGURED,
            ('"jim"', '["jack", "jill"]'),
            id="a consumer that is not there",
        ),
        pytest.param(
            (issuer(),),
            ConsumerReference("jack"),
            ErrorReason.NOT_CONFIGURED,
            ('"jack"', "[]"),
            id="a consumer where there are none",
        ),
        pytest.param(
            (issuer(),),
            TokenReference(ISSUER, "1", NOW - KEPT_LONGER),
            ErrorReason.FIELD_INVALID,
            ("token_reference.expire_time", "11 min ago", "has expired", "name its exp"),
            id="a token that has expired everywhere",
        ),
    ],
)
def test_what_can_not_be_revoked(
    parties: Any, reference: Any, reason: ErrorReason, words: tuple[str, ...]
) -> None:
    with pytest.raises(CallFailed) as failed:
        revoked(reference, world(*parties), NOW)
    assert failed.value.reason is reason
    for word in words:
        assert word in failed.value.message


def test_what_expired_just_now_can_be_revoked_still() -> None:
    reference = TokenReference(ISSUER, "1", NOW - KEPT_LONGER + 1)
    assert revoked(reference, world(issuer()), NOW).expire_time == NOW + 1


def test_where_an_issuer_takes_any_iss_any_can_be_revoked() -> None:
    name = revoked(subject(iss="https://x.example"), world(issuer(), ANY), NOW).name
    assert name == "17 https://x.example alice"


def remembered(kind: Kind, time: float, expire_time: float | None) -> Revocation:
    return Revocation(kind, "name", time, expire_time)


@pytest.mark.parametrize(
    ("kind", "one", "other", "covers"),
    [
        pytest.param(Kind.SUBJECT, (5, 9), (5, 9), True, id="the same"),
        pytest.param(Kind.SUBJECT, (5, 9), (4, 8), True, id="an earlier one"),
        pytest.param(Kind.SUBJECT, (5, 9), (6, 9), False, id="a later one"),
        pytest.param(Kind.CONSUMER, (5, 9), (6, 9), False, id="a later one of a consumer"),
        pytest.param(Kind.TOKEN, (5, 9), (6, 9), True, id="a later one of a token"),
        pytest.param(Kind.TOKEN, (5, 9), (5, 10), False, id="one that is remembered longer"),
        pytest.param(Kind.TOKEN, (5, 9), (5, None), False, id="one that is never forgotten"),
        pytest.param(Kind.TOKEN, (5, None), (5, 9), True, id="one that is forgotten some time"),
        pytest.param(Kind.TOKEN, (5, None), (5, None), True, id="none is forgotten"),
    ],
)
def test_what_one_revocation_covers(
    kind: Kind, one: tuple[float, float | None], other: tuple[float, float | None], covers: bool
) -> None:
    assert remembered(kind, *one).covers(remembered(kind, *other)) is covers


@pytest.mark.parametrize("end", [9.0, None])
def test_two_revocations_in_one_have_the_later_of_their_times(end: float | None) -> None:
    one, other = remembered(Kind.SUBJECT, 5, 8), remembered(Kind.SUBJECT, 4, end)
    both = remembered(Kind.SUBJECT, 5, end)
    assert one.with_all_of(other) == other.with_all_of(one) == both


def test_a_token_is_in_no_repr() -> None:
    found = revocation_of(Request(TOKEN), world(issuer()), NOW)
    assert all(part not in repr(found) for part in TOKEN.split("."))
