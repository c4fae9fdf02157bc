"""Tokens that pass once: the last check of all, which uses up nothing that is refused."""

from typing import Any

import pytest

from sidecar.steady import forget_nothing
from sidecar.token.checks.one_time import OneTimeUse
from sidecar.token.outside import Unanswered
from sidecar.token.reason import Reason
from sidecar.token.replay import ProofMemory
from sidecar.token.request import Request
from sidecar.token.revocation import KEPT_LONGER
from sidecar.token.use import Use
from sidecar.token.validator import explain, validate
from tests.authors import STRANGER, key_set
from tests.proofs import bound, proof
from tests.refusals import Used
from tests.tokens import (
    ABSENT,
    NOW,
    assert_passes,
    assert_refused,
    issuer,
    judge,
    mint,
    world,
)

ONCE = issuer(one_time=True)
TOKEN = mint(jti="1")


class Uses:
    """Answers as a store does, and says what was asked."""

    def __init__(self) -> None:
        self.used: set[str] = set()
        self.asked: list[OneTimeUse] = []

    def answer(self, question: Any, now: float) -> Any:
        self.asked.append(question)
        if question.name in self.used:
            return Use.AGAIN
        if question.uses_up:
            self.used.add(question.name)
        return Use.FIRST


def question(token: str, *parties: Any, **request: Any) -> OneTimeUse:
    """What the checks ask of this token."""
    with pytest.raises(Unanswered) as unanswered:
        validate(Request(token, **request), world(*parties), NOW, ProofMemory(forget_nothing))
    asked = unanswered.value.question
    assert isinstance(asked, OneTimeUse)
    return asked


def test_it_passes_once() -> None:
    uses = Uses()
    assert_passes(judge(TOKEN, ONCE, outside=uses))
    words = ('jti "1"', "was used before", "issuer corp has one_time: true")
    assert_refused(judge(TOKEN, ONCE, outside=uses), Reason.REPLAYED, *words)
    assert_passes(judge(mint(jti="2"), ONCE, outside=uses))


def test_another_token_of_the_same_jti_is_the_same() -> None:
    uses = Uses()
    assert_passes(judge(TOKEN, ONCE, outside=uses))
    assert_refused(judge(mint(jti="1", sub="bob"), ONCE, outside=uses), Reason.REPLAYED)


def test_without_the_setting_nothing_is_asked() -> None:
    uses = Uses()
    for _ in range(2):
        assert_passes(judge(TOKEN, outside=uses))
    assert uses.asked == []


@pytest.mark.parametrize(
    ("token", "request_", "reason"),
    [
        pytest.param(mint(jti="1", exp=NOW), {}, Reason.EXPIRED, id="expired"),
        pytest.param(TOKEN, {"scopes": ("x",)}, Reason.SCOPE_INSUFFICIENT, id="scope"),
        pytest.param(bound(jti="1"), {}, Reason.PROOF_INVALID, id="no proof"),
    ],
)
def test_a_token_that_is_refused_is_not_used_up(
    token: str, request_: dict[str, Any], reason: Reason
) -> None:
    uses = Uses()
    assert_refused(judge(token, ONCE, outside=uses, **request_), reason)
    assert uses.used == set()


def test_an_explanation_uses_nothing_up() -> None:
    uses = Uses()
    for _ in range(2):
        said = explain(Request(TOKEN), world(ONCE), NOW, ProofMemory(forget_nothing), uses)
        assert said.findings[-1].detail == "the token was not used before"
    assert uses.used == set()
    assert_passes(
        validate(Request(TOKEN), world(ONCE), NOW, ProofMemory(forget_nothing), None, uses)
    )
    said = explain(Request(TOKEN), world(ONCE), NOW, ProofMemory(forget_nothing), uses)
    assert said.findings[-1].reason is Reason.REPLAYED


def test_a_proof_is_not_used_up_while_an_answer_is_waited_for() -> None:
    """The checks are run again with the answer: the proof must pass once more."""
    token, used = bound(jti="1"), ProofMemory(forget_nothing)
    asked = Request(token, proof=proof(token))
    with pytest.raises(Unanswered):
        validate(asked, world(ONCE), NOW, used)
    assert_passes(validate(asked, world(ONCE), NOW, used, None, Used(Use.FIRST)))
    verdict = validate(asked, world(ONCE), NOW, used, None, Used(Use.FIRST))
    assert_refused(verdict, Reason.REPLAYED, "DPoP proof")


@pytest.mark.parametrize("jti", [ABSENT, ""])
def test_a_token_without_a_jti_is_not_known_again(jti: Any) -> None:
    verdict = judge(mint(jti=jti), ONCE, outside=Uses())
    assert_refused(verdict, Reason.CLAIM_MISSING, "claim jti is missing; one_time needs it")


def test_a_token_without_an_end_would_have_to_be_remembered_for_ever() -> None:
    once = issuer(one_time=True, required=())
    verdict = judge(mint(jti="1", exp=ABSENT), once, outside=Uses())
    assert_refused(verdict, Reason.CLAIM_MISSING, "claim exp is missing; one_time needs it")


def test_without_the_store_nothing_passes() -> None:
    verdict = judge(TOKEN, ONCE, outside=Used(Use.UNKNOWN))
    assert_refused(verdict, Reason.STATE_UNAVAILABLE, "try again")


def test_a_use_is_remembered_until_the_token_has_expired_everywhere() -> None:
    asked = question(TOKEN, issuer(one_time=True, clock_skew=600.0))
    assert asked.expire_time == NOW + 600 + KEPT_LONGER
    assert asked.expire_time > NOW + 600 + 600


def test_issuers_are_apart() -> None:
    other = issuer("other", "https://other.example", key_set(STRANGER), one_time=True)
    theirs = mint(STRANGER, iss="https://other.example", jti="1")
    assert question(TOKEN, ONCE).name != question(theirs, other).name


def test_an_issuer_has_another_name_elsewhere_and_its_tokens_are_the_same() -> None:
    assert question(TOKEN, ONCE) == question(TOKEN, issuer("company", one_time=True))


def test_issuers_that_take_any_iss_are_apart() -> None:
    """Else the one could use up the other's tokens."""
    one, other = issuer("one", None, one_time=True), issuer("other", None, one_time=True)
    names = {
        question(TOKEN, one, issuer_name="one").name,
        question(TOKEN, other, issuer_name="other").name,
        question(TOKEN, ONCE).name,
    }
    assert len(names) == 3
