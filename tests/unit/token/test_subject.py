"""The user that a token names must exist in the subject directory, as that says or last said."""

from typing import Any

import pytest

from sidecar.steady import forget_nothing
from sidecar.token.outside import Question
from sidecar.token.reason import Reason
from sidecar.token.replay import ProofMemory
from sidecar.token.request import Request
from sidecar.token.subject import Standing, SubjectAnswer, SubjectQuestion, SubjectRule
from sidecar.token.validator import validate
from tests.authors import STRANGER
from tests.tokens import ABSENT, NOW, assert_passes, assert_refused, issuer, judge, mint, world

USERS = issuer(subjects=SubjectRule("users"))
LENIENT = issuer(subjects=SubjectRule("users", outage_passes=True))
NO_ANSWER = Standing.NO_ANSWER


class Directory:
    """Gives this one answer, and says what it was asked."""

    def __init__(self, standing: Standing, last: Standing | None = None) -> None:
        before = None if last is None else SubjectAnswer(last, NOW - 3600)
        self._answer = SubjectAnswer(standing, NOW - 4, "why", before)
        self.asked: list[Question[Any]] = []

    def answer(self, question: Question[Any], now: float) -> Any:
        self.asked.append(question)
        return self._answer


def test_a_token_of_a_subject_that_exists_passes() -> None:
    assert_passes(judge(mint(), USERS, outside=Directory(Standing.EXISTS)))


@pytest.mark.parametrize(
    ("standing", "reason"),
    [
        (Standing.UNKNOWN, Reason.SUBJECT_UNKNOWN),
        (Standing.DISABLED, Reason.SUBJECT_DISABLED),
        (Standing.NO_ANSWER, Reason.STATE_UNAVAILABLE),
    ],
)
def test_any_other_subject_is_refused(standing: Standing, reason: Reason) -> None:
    assert_refused(judge(mint(), USERS, outside=Directory(standing)), reason, "users")


def test_in_an_outage_the_last_answer_does_not_count_unless_it_may() -> None:
    directory = Directory(NO_ANSWER, Standing.EXISTS)
    assert_refused(judge(mint(), USERS, outside=directory), Reason.STATE_UNAVAILABLE, "why")


def test_an_outage_may_pass_a_subject_that_nothing_is_known_of() -> None:
    assert_passes(judge(mint(), LENIENT, outside=Directory(NO_ANSWER)))


def test_an_outage_may_pass_a_subject_that_existed() -> None:
    assert_passes(judge(mint(), LENIENT, outside=Directory(NO_ANSWER, Standing.EXISTS)))


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        (Standing.UNKNOWN, Reason.SUBJECT_UNKNOWN),
        (Standing.DISABLED, Reason.SUBJECT_DISABLED),
    ],
)
def test_an_outage_passes_no_subject_that_did_not(last: Standing, reason: Reason) -> None:
    verdict = judge(mint(), LENIENT, outside=Directory(NO_ANSWER, last))
    assert_refused(verdict, reason, "answered 1 h ago")


@pytest.mark.parametrize(
    ("claim", "changed"),
    [
        pytest.param("sub", {}, id="sub"),
        pytest.param("user.name", {"user": {"name": "alice"}, "sub": "1"}, id="a path"),
    ],
)
def test_the_directory_is_asked_about_the_value_of_its_claim(
    claim: str, changed: dict[str, Any]
) -> None:
    directory = Directory(Standing.EXISTS)
    party = issuer(subjects=SubjectRule("users", claim))
    asked = Request(mint(**changed))
    validate(asked, world(party), NOW, ProofMemory(forget_nothing), outside=directory)
    assert directory.asked == [SubjectQuestion("users", "alice")]


@pytest.mark.parametrize("subject", ["a", "a" * 1024])
def test_a_subject_has_from_1_to_1024_characters(subject: str) -> None:
    assert_passes(judge(mint(sub=subject), USERS, outside=Directory(Standing.EXISTS)))


@pytest.mark.parametrize(
    ("subject", "reason", "words"),
    [
        pytest.param(ABSENT, Reason.CLAIM_MISSING, 'claim "sub"', id="absent"),
        pytest.param("", Reason.CLAIM_MISMATCH, "is empty", id="empty"),
        pytest.param("a" * 1025, Reason.CLAIM_MISMATCH, "1025 characters", id="too long"),
    ],
)
def test_the_directory_is_not_asked_about_what_can_be_no_subject(
    subject: object, reason: Reason, words: str
) -> None:
    directory = Directory(Standing.EXISTS)
    assert_refused(judge(mint(sub=subject), USERS, outside=directory), reason, words)
    assert directory.asked == []


@pytest.mark.parametrize("value", [7, True, ["alice"], {"name": "alice"}])
def test_a_claim_of_another_type_names_nobody(value: object) -> None:
    directory = Directory(Standing.EXISTS)
    party = issuer(subjects=SubjectRule("users", "user"))
    assert_refused(judge(mint(user=value), party, outside=directory), Reason.CLAIM_MISMATCH, "user")
    assert directory.asked == []


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        pytest.param(mint(STRANGER), Reason.SIGNATURE_INVALID, id="forged"),
        pytest.param(mint(exp=NOW), Reason.EXPIRED, id="expired"),
        pytest.param(mint(aud="billing"), Reason.AUDIENCE_MISMATCH, id="for others"),
    ],
)
def test_the_directory_is_not_asked_about_a_token_that_fails_before(
    token: str, reason: Reason
) -> None:
    directory = Directory(Standing.EXISTS)
    verdict = validate(
        Request(token), world(USERS), NOW, ProofMemory(forget_nothing), outside=directory
    )
    assert_refused(verdict, reason)
    assert directory.asked == []
