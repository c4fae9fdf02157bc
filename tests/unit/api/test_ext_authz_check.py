import logging
from dataclasses import replace
from typing import Any

import pytest
from google.rpc import code_pb2
from hypothesis import given
from hypothesis import strategies as st

from sidecar.api.ext_authz import Authorization
from sidecar.authorization.policy import (
    BEARER,
    CookieSource,
    Forward,
    ForwardedClaim,
    HeaderSource,
    Policy,
    QuerySource,
)
from sidecar.authorization.rules import Match, Passage, Rule, Rules
from sidecar.engine import Engine
from sidecar.token.addresses import AddressRules, Networks, network_range
from sidecar.token.reason import CallFailed, ErrorReason, Reason
from sidecar.token.request import Demand, Refusal, Request, Verdict
from tests.unit.api.calls import Aborted, Call
from tests.unit.api.checks import (
    CheckRequest,
    asked,
    asked_raw,
    checked,
    engine,
    header_options,
)
from tests.unit.parties import (
    NOW,
    OTHER_KEY,
    consumer,
    key_set,
    snapshot,
    token,
    verified,
)

GOOD = token()
INSIDE = Networks.of([network_range("10.0.0.0/8")])
ADMIN = Rule("rule admin", "admin", demand=Demand("rule admin", scopes=("admin",)))
FORWARD = Policy(
    token_from=(BEARER, QuerySource("access_token"), CookieSource("session")),
    forward=Forward({"x-subject": ForwardedClaim("sub"), "x-tenant": ForwardedClaim("tenant")}),
)


class Judge(Engine):
    """An engine that decides always the same, or raises."""

    def __init__(self, verdict: Verdict | BaseException) -> None:
        super().__init__(snapshot(key_set()), lambda: NOW, lambda: "id-1")
        self._verdict = verdict
        self.deadlines: list[float | None] = []

    async def decide(self, _: Request, deadline: float | None = None) -> Verdict:
        self.deadlines.append(deadline)
        if isinstance(self._verdict, BaseException):
            raise self._verdict
        return self._verdict


class BrokenCall(Call):
    """A call that does not even know its deadline."""

    def time_remaining(self) -> float | None:
        raise ZeroDivisionError


def assert_denied(answer: Any, status: int, reason: str) -> None:
    """Asserts that the proxy itself answers, with this status and reason."""
    assert answer.WhichOneof("http_response") == "denied_response"
    assert answer.denied_response.status.code == status
    assert f'"reason": "REASON_{reason}"' in answer.denied_response.body


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(asked(authorization=f"Bearer {GOOD}"), id="headers"),
        pytest.param(asked_raw(("authorization", f"Bearer {GOOD}".encode())), id="raw headers"),
    ],
)
async def test_a_good_token_passes_and_its_claims_are_forwarded(message: Any) -> None:
    answer = await checked(message, FORWARD)
    assert answer.status.code == code_pb2.OK
    assert header_options(answer.ok_response.headers) == {"x-subject": "alice"}
    assert list(answer.ok_response.headers_to_remove) == ["authorization", "x-tenant"]
    assert answer.dynamic_metadata["subject"] == "alice"


async def test_a_token_in_the_query_is_taken_out_of_it() -> None:
    answer = await checked(asked(f"/a?access%5Ftoken={GOOD}&b=1"), FORWARD)
    assert answer.status.code == code_pb2.OK
    assert list(answer.ok_response.query_parameters_to_remove) == ["access%5Ftoken"]


async def test_a_token_in_a_cookie_is_taken_out_of_it() -> None:
    answer = await checked(asked(cookie=f"a=1; session={GOOD}"), FORWARD)
    assert header_options(answer.ok_response.headers) == {"cookie": "a=1", "x-subject": "alice"}
    assert list(answer.ok_response.headers_to_remove) == ["x-tenant"]


@pytest.mark.parametrize(
    ("message", "status", "reason"),
    [
        pytest.param(CheckRequest(), 401, "TOKEN_MISSING", id="empty request"),
        pytest.param(b"", 401, "TOKEN_MISSING", id="no bytes"),
        pytest.param(asked(), 401, "TOKEN_MISSING", id="no token"),
        pytest.param(asked(authorization="Basic x"), 401, "TOKEN_MISSING", id="Basic"),
        pytest.param(asked(authorization="Bearer x"), 401, "TOKEN_MALFORMED", id="no JWT"),
        pytest.param(asked(authorization="Bearer !"), 401, "TOKEN_MALFORMED", id="not UTF-8"),
        pytest.param(
            asked(authorization=f"Bearer {GOOD},Bearer {GOOD}"), 401, "TOKEN_MALFORMED", id="twice"
        ),
        pytest.param(
            asked_raw(("authorization", f"Bearer {GOOD}".encode()), ("authorization", b"Basic x")),
            401,
            "TOKEN_MALFORMED",
            id="Bearer and Basic",
        ),
        pytest.param(
            asked(f"/?access_token={GOOD}", authorization=f"Bearer {token(jti='other')}"),
            401,
            "TOKEN_MALFORMED",
            id="two tokens",
        ),
        pytest.param(
            asked(authorization=f"Bearer {token(exp=NOW - 60)}"), 401, "EXPIRED", id="expired"
        ),
        pytest.param(
            asked(authorization=f"Bearer {token(key=OTHER_KEY)}"),
            401,
            "SIGNATURE_INVALID",
            id="forged",
        ),
        pytest.param(b"\xff\xff\xff", 503, "STATE_UNAVAILABLE", id="bytes that do not parse"),
        pytest.param(
            asked().SerializeToString()[:-1], 503, "STATE_UNAVAILABLE", id="a message cut off"
        ),
    ],
)
async def test_denied(message: Any, status: int, reason: str) -> None:
    assert_denied(await checked(message, FORWARD), status, reason)


async def test_bytes_that_do_not_parse_are_a_line_in_the_log_and_no_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await checked(b"\xff\xff\xff", FORWARD)
    (record,) = caplog.records
    assert "is no CheckRequest" in record.message
    assert record.exc_info is None


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(ZeroDivisionError("MARKER"), id="an error of ours"),
        pytest.param(CallFailed(ErrorReason.NOT_CONFIGURED, "no issuer"), id="CallFailed"),
        pytest.param(TimeoutError(), id="TimeoutError"),
        pytest.param(RecursionError(), id="RecursionError"),
        pytest.param(MemoryError(), id="MemoryError"),
    ],
)
async def test_an_engine_that_raises_is_a_denial_and_logged(
    failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = await checked(asked(authorization=f"Bearer {GOOD}"), FORWARD, Judge(failure))
    assert_denied(answer, 503, "STATE_UNAVAILABLE")
    assert "MARKER" not in answer.denied_response.body
    assert type(failure).__name__ in caplog.text
    assert not any(part in caplog.text for part in GOOD.split("."))


async def test_a_call_that_raises_is_a_denial() -> None:
    answer = await checked(asked(authorization=f"Bearer {GOOD}"), FORWARD, call=BrokenCall())
    assert_denied(answer, 503, "STATE_UNAVAILABLE")


async def test_an_answer_that_can_not_be_written_is_a_denial() -> None:
    policy = Policy(forward=Forward(consumer_header="x-consumer"))
    judge = Judge(verified({}, by=consumer("half a surrogate pair: \ud800")))
    answer = await checked(asked(authorization="Bearer a"), policy, judge)
    assert_denied(answer, 503, "STATE_UNAVAILABLE")


LEFT_TO_ENVOY = Policy(fails_on_outage=True)


@pytest.mark.parametrize("reason", [Reason.KEYS_UNAVAILABLE, Reason.STATE_UNAVAILABLE])
async def test_an_outage_that_is_left_to_envoy_fails_the_call(reason: Reason) -> None:
    judge = Judge(Refusal(reason, "why"))
    with pytest.raises(Aborted, match="why") as aborted:
        await checked(asked(authorization="Bearer a"), LEFT_TO_ENVOY, judge)
    assert aborted.value.info.reason == "STORE_UNAVAILABLE"


@pytest.mark.parametrize(
    "reason",
    [
        pytest.param(one, id=one.name)
        for one in Reason
        if one not in {Reason.KEYS_UNAVAILABLE, Reason.STATE_UNAVAILABLE}
    ],
)
async def test_what_is_no_outage_is_never_left_to_envoy(reason: Reason) -> None:
    answer = await checked(
        asked(authorization="Bearer a"), LEFT_TO_ENVOY, Judge(Refusal(reason, "why"))
    )
    assert answer.WhichOneof("http_response") == "denied_response"


@pytest.mark.parametrize("seconds", [None, 0.25])
async def test_the_engine_is_told_the_calls_deadline(seconds: float | None) -> None:
    judge = Judge(Refusal(Reason.EXPIRED, "why"))
    await checked(asked(authorization="Bearer a"), Policy(), judge, Call(seconds))
    assert judge.deadlines == [seconds]


@given(st.binary(max_size=64))
async def test_whatever_is_sent_is_answered_and_never_with_a_pass(data: bytes) -> None:
    assert (await checked(data)).WhichOneof("http_response") == "denied_response"


HEADERS = st.dictionaries(
    st.sampled_from(["authorization", "cookie", "x"]), st.text(max_size=20), max_size=3
)


@given(st.text(max_size=20), HEADERS)
async def test_whatever_a_client_sends_is_answered(path: str, headers: dict[str, str]) -> None:
    answer = await checked(asked(f"/?access_token={path}", **headers), FORWARD)
    assert answer.WhichOneof("http_response") == "denied_response"


async def test_decisions_are_counted() -> None:
    judge = engine()
    await checked(asked(authorization=f"Bearer {GOOD}"), judge=judge)
    await checked(asked(), judge=judge)
    assert judge.metrics.decisions == {
        ("ext_authz", "corp", "OK"): 1,
        ("ext_authz", "", "TOKEN_MISSING"): 1,
    }
    assert sum(judge.metrics.seconds["ext_authz"].counts) == 2


async def test_headers_that_are_left_out_are_counted_and_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    judge = engine()
    broken = token(tenant="a\n")
    message = asked(authorization=f"Bearer {broken}")
    for _ in range(3):
        answer = await checked(message, FORWARD, judge)
        assert "x-tenant" in answer.ok_response.headers_to_remove
    assert judge.metrics.left_out == {"x-tenant": 3}
    assert [one.levelname for one in caplog.records] == ["WARNING"]
    assert "x-tenant" in caplog.text


@pytest.mark.parametrize(
    ("rule", "status"),
    [
        pytest.param("admin", 403, id="a rule that demands more"),
        pytest.param("open", 0, id="a rule that demands less"),
        pytest.param("amdin", 403, id="a rule that is not there"),
        pytest.param("", 0, id="no rule: that which matches"),
    ],
)
async def test_a_route_names_the_rule(rule: str, status: int) -> None:
    rules = Rules(
        [
            (Match(), Rule("rule open", "open")),
            (Match(), ADMIN),
        ]
    )
    message = asked(authorization=f"Bearer {GOOD}")
    message.attributes.context_extensions["rule"] = rule
    answer = await checked(message, Policy(rules=rules))
    assert answer.denied_response.status.code == status


def asked_of(path: str, underscored: str = "", **headers: str) -> bytes:
    message = asked(path, **{"authorization": f"Bearer {GOOD}", **headers})
    if underscored:
        message.attributes.request.http.headers[underscored] = "mallory"
    data: bytes = message.SerializeToString()
    return data


POLICY_WITH_RULES = replace(
    FORWARD,
    rules=Rules(
        [
            (Match(paths=("/admin",)), ADMIN),
            (Match(paths=("/inside",)), Rule("rule inside", addresses=AddressRules(None, INSIDE))),
            (Match(paths=("/named",)), Rule("rule named", "named")),
        ]
    ),
)
ASKED = [
    pytest.param(asked_of("/"), id="plain"),
    pytest.param(asked_of("/admin"), id="under a rule that demands a scope"),
    pytest.param(asked_of("/inside"), id="under a rule that denies the address"),
    pytest.param(asked_of("/named"), id="under a rule with a name"),
    pytest.param(asked_of("/", x_subject="mallory"), id="with a header that is forwarded"),
    pytest.param(asked_of("/", underscored="x_subject"), id="with another spelling of it"),
    pytest.param(asked_of("/", underscored="x.subject"), id="with yet another"),
    pytest.param(asked_of(f"/?access_token={GOOD}"), id="also in the query"),
    pytest.param(asked_of("/", cookie=f"session={GOOD}"), id="also in the one cookie"),
    pytest.param(asked_of("/", cookie=f"session={GOOD}; a=1"), id="also in a cookie"),
    pytest.param(asked_of("/", cookie=f"session={GOOD}; a=2"), id="with another cookie beside it"),
    pytest.param(asked_of("/", dpop="x"), id="with a proof"),
    pytest.param(asked_of("/", authorization=f"DPoP {GOOD}"), id="under the scheme of a proof"),
]


@pytest.mark.parametrize("first", ASKED)
@pytest.mark.parametrize("then", ASKED)
async def test_what_is_answered_again_is_the_answer_to_just_that_request(
    first: bytes, then: bytes
) -> None:
    remembering = Authorization(engine(), lambda: POLICY_WITH_RULES)
    for message in (first, then, first, then):
        fresh = Authorization(engine(), lambda: POLICY_WITH_RULES)
        assert await remembering.check(message, Call()) == await fresh.check(message, Call())


@pytest.mark.parametrize("remove_token", [True, False])
@pytest.mark.parametrize(
    ("passage", "authorization"),
    [
        pytest.param(Passage.TOKEN, f"Bearer {GOOD}", id="a token is needed"),
        pytest.param(Passage.OPTIONAL, f"Bearer {GOOD}", id="a good token where any will do"),
        pytest.param(Passage.OPTIONAL, "Bearer a.b.c", id="a bad token where any will do"),
        pytest.param(Passage.OPTIONAL, "Bearer", id="an empty one"),
        pytest.param(Passage.ANONYMOUS, "Basic dTpw", id="no token where none is needed"),
    ],
)
async def test_other_spellings_are_removed_on_every_rule(
    passage: Passage, authorization: str, remove_token: bool
) -> None:
    policy = Policy(
        (BEARER, HeaderSource("x-token")),
        Rules([(Match(), Rule("rule 0", passage=passage))]),
        replace(FORWARD.forward, remove_token=remove_token),
    )
    message = asked_raw(
        ("authorization", authorization),
        *((name, "mallory") for name in ("X.Subject", "x~subject", "x.Token", "x_other")),
    )
    http = message.attributes.request.http
    http.method, http.host, http.path = "GET", "shop.example.com", "/"
    answer = await checked(message, policy)
    assert answer.WhichOneof("http_response") == "ok_response", answer
    removed = set(answer.ok_response.headers_to_remove) - {"authorization", *policy.forward.names}
    assert removed == {"x.subject", "x~subject", "x.token"}


async def test_more_other_spellings_than_are_removed_are_refused() -> None:
    marks = "!#$%&'*+.^_`|~"
    names = [f"x{one}y{two}subject" for one in marks for two in marks]
    policy = Policy(forward=Forward({"x-y-subject": ForwardedClaim("sub")}))
    headers = [("authorization", f"Bearer {GOOD}"), *((name, "mallory") for name in names)]
    answer = await checked(asked_raw(*headers), policy)
    assert answer.denied_response.status.code == 403
    assert "196 headers are other spellings" in answer.denied_response.body


async def test_what_is_answered_again_is_not_decided_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judge = engine()
    first = await checked(asked_of("/"), FORWARD, judge)
    monkeypatch.delattr(Engine, "decide_or_refuse")
    assert await checked(asked_of("/"), FORWARD, judge) == first


async def test_another_policy_answers_anew() -> None:
    policies = [FORWARD, replace(FORWARD), replace(FORWARD, forward=Forward()), FORWARD]
    judge = engine()
    for policy in policies:
        answer = await checked(asked_of("/"), policy, judge)
        names = {"x-subject"} if policy.forward.headers else set()
        assert set(header_options(answer.ok_response.headers)) == names


async def test_what_is_answered_again_is_counted_alike() -> None:
    judge = engine()
    for _ in range(3):
        await checked(asked_of("/"), FORWARD, judge)
    assert judge.metrics.decisions == {("ext_authz", "corp", "OK"): 3}
    assert sum(judge.metrics.seconds["ext_authz"].counts) == 3
    assert judge.seen_tokens is not None
    assert (judge.seen_tokens.verified.hits, judge.seen_tokens.verified.misses) == (2, 1)
