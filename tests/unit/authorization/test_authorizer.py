from dataclasses import replace

import pytest

from sidecar.authorization.admission import Admission
from sidecar.authorization.authorizer import authorize, denied
from sidecar.authorization.denial import Denial, deny
from sidecar.authorization.policy import CookieSource, Forward, ForwardedClaim, Policy
from sidecar.token.reason import CallFailed, ErrorReason, Reason
from sidecar.token.request import Refusal, Request, Verdict
from tests.unit.authorization.places import bearer, cookies, request
from tests.unit.parties import verified


class Judge:
    """Decides always the same, and remembers what it was asked."""

    def __init__(self, verdict: Verdict | Exception) -> None:
        self._verdict = verdict
        self.asked: list[Request] = []

    async def decide(self, asked: Request) -> Verdict:
        self.asked.append(asked)
        if isinstance(self._verdict, Exception):
            raise self._verdict
        return self._verdict


MISSING = Refusal(Reason.TOKEN_MISSING, "no token was presented")
EXPIRED = Refusal(Reason.EXPIRED, "expired 1 s ago", "corp")


async def test_a_good_token_passes_and_is_taken_out() -> None:
    judge, good = Judge(verified({"sub": "alice"})), verified({"sub": "alice"})
    answer = await authorize(
        bearer("Bearer a.b.c"),
        Policy(forward=Forward({"x-subject": ForwardedClaim("sub")})),
        judge.decide,
    )
    assert answer.verdict == good
    assert answer.outcome == Admission({"x-subject": "alice"}, ("authorization",))
    assert judge.asked == [Request("a.b.c")]


async def test_the_token_is_looked_for_where_the_policy_says() -> None:
    judge = Judge(verified())
    await authorize(cookies("t=a.b.c"), Policy(token_from=(CookieSource("t"),)), judge.decide)
    assert judge.asked == [Request("a.b.c")]


async def test_no_token_is_judged_as_an_empty_one_and_told_where_it_belongs() -> None:
    judge = Judge(MISSING)
    policy = Policy(token_from=(*Policy().token_from, CookieSource("t")))
    answer = await authorize(request(), policy, judge.decide)
    assert judge.asked == [Request("")]
    assert answer.verdict == replace(
        MISSING,
        message=f"{MISSING.message}; it is looked for in "
        'header authorization after "Bearer ", cookie t',
    )


@pytest.mark.parametrize("json_body", [True, False])
async def test_a_refused_token_is_denied_in_the_policys_words(json_body: bool) -> None:
    policy = Policy(realm="shop", json_body=json_body)
    answer = await authorize(bearer("Bearer a.b.c"), policy, Judge(EXPIRED).decide)
    assert answer.verdict == EXPIRED
    assert answer.outcome == deny(EXPIRED, "shop", json_body)


async def test_two_tokens_are_denied_and_neither_is_judged() -> None:
    judge = Judge(verified())
    answer = await authorize(bearer("Bearer a, Bearer b"), Policy(), judge.decide)
    assert judge.asked == []
    assert isinstance(answer.outcome, Denial)
    assert answer.outcome.http_status == 401
    assert isinstance(answer.verdict, Refusal)
    assert answer.verdict.reason is Reason.TOKEN_MALFORMED


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(CallFailed(ErrorReason.NOT_CONFIGURED, "no issuer"), id="CallFailed"),
        pytest.param(ZeroDivisionError(), id="any other"),
    ],
)
async def test_what_the_judge_raises_is_never_an_answer(failure: Exception) -> None:
    with pytest.raises(type(failure)):
        await authorize(bearer("Bearer a.b.c"), Policy(), Judge(failure).decide)


def test_denied_keeps_the_refusal_as_the_verdict() -> None:
    answer = denied(EXPIRED, Policy(realm="shop"))
    assert answer.verdict == EXPIRED
    assert answer.outcome == deny(EXPIRED, "shop", json_body=True)


async def test_no_token_is_in_the_repr_of_what_is_asked_or_answered() -> None:
    judge = Judge(verified())
    asked = cookies("session=MARKER; other=1")
    answer = await authorize(asked, Policy(token_from=(CookieSource("session"),)), judge.decide)
    assert judge.asked[0].token == "MARKER"
    assert "MARKER" not in repr([asked, judge.asked, answer])
