"""API Gateway is told to allow what the sidecar allows, and nothing else."""

from typing import Any

import pytest

from jwt_sidecar_client import CallRejected, Client, SidecarError, Token, TokenRefused
from jwt_sidecar_client.lambda_authorizer import decide, http_answer, rest_answer
from tests import sidecars
from tests.table import CASES, HEADERS, seconds_for
from tests.test_table import demands

ARN = "arn:aws:execute-api:eu-central-1:123456789012:abcdef123/test/GET/orders"


def policy(effect: str) -> dict[str, Any]:
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": ARN}
    return {"Version": "2012-10-17", "Statement": [statement]}


@pytest.mark.parametrize("case", [pytest.param(one, id=one["name"]) for one in CASES])
def test_an_answer_is_as_the_table_says(scripted: str, case: dict[str, Any]) -> None:
    expected = case["client"]
    event = {"type": "TOKEN", "authorizationToken": f"Bearer {case['name']}~lambda"}
    with Client(scripted, timeout=seconds_for(case)) as client:
        decision = decide(client, event, **demands(case))
    if expected["outcome"] == "token":
        rest = rest_answer(decision, ARN)
        assert rest["policyDocument"] == policy("Allow")
        token = expected["token"]
        assert rest["principalId"] == (token["subject"] or token["consumer"])
        assert http_answer(decision) == {"isAuthorized": True, "context": rest["context"]}
        assert rest["context"]["claims_json"] == token["claims_json"]
        assert all(type(one) in (str, int, float, bool) for one in rest["context"].values())
        return
    if expected["http_status"] == 401:
        with pytest.raises(Exception, match=r"\AUnauthorized\Z") as caught:
            rest_answer(decision, ARN)
        assert type(caught.value) is Exception
    elif expected["http_status"] == 403:
        answer = rest_answer(decision, ARN)
        assert answer["policyDocument"] == policy("Deny")
        assert answer["context"]["reason"] == expected["reason"]
    if expected["http_status"] in (401, 403):
        context = {"reason": expected["reason"], "message": expected["message"]}
        assert http_answer(decision) == {"isAuthorized": False, "context": context}
    else:
        assert_nothing_is_said(decision)


@pytest.mark.parametrize("decision", [None, True, "Allow", {"isAuthorized": True}])
def test_no_decision_is_no_answer(decision: Any) -> None:
    with pytest.raises(TypeError, match="no decision"):
        rest_answer(decision, ARN)
    with pytest.raises(TypeError, match="no decision"):
        http_answer(decision)


def test_without_a_sidecar_nothing_is_said() -> None:
    with Client(sidecars.free_address()) as client:
        assert_nothing_is_said(decide(client, {"authorizationToken": "Bearer valid"}))
        assert_refused(decide(client, {"authorizationToken": "valid"}), "TOKEN_MISSING")


@pytest.mark.parametrize("row", [pytest.param(one, id=one["name"]) for one in HEADERS])
def test_the_header_is_read_as_the_table_says(client: Client, row: dict[str, Any]) -> None:
    shown = row["authorization"]
    events: list[dict[str, Any]] = [
        {
            "multiValueHeaders": {"Authorization": shown},
            "headers": {"Authorization": "Bearer valid"},
        },
        {"multiValueHeaders": {"AUTHORIZATION": shown}},
    ]
    if len(shown) < 2:
        events += [{"headers": {"authorization": one}} for one in shown]
        events += [{"authorizationToken": one} for one in shown]
    else:  # as HTTP APIs join them
        events += [{"headers": {"authorization": ",".join(shown)}}]
    for event in events:
        decision = decide(client, event)
        if not row["reason"]:
            assert isinstance(decision, Token)
        elif not (row["name"] == "twice, of two schemes" and "multiValueHeaders" not in event):
            assert_refused(decision, row["reason"])
        else:  # the first scheme is what stands there then
            assert_refused(decision, "TOKEN_MISSING")


@pytest.mark.parametrize("event", [{}, {"headers": None}, {"headers": {}}, {"headers": {"a": "b"}}])
def test_an_event_without_the_header_has_no_token(client: Client, event: dict[str, Any]) -> None:
    assert_refused(decide(client, event), "TOKEN_MISSING")


@pytest.mark.parametrize("path", ["*", "or?ers", "${aws:username}"])
def test_a_path_that_is_a_pattern_gets_no_policy(path: str) -> None:
    for decision in (Token(subject="alice"), TokenRefused("RULE_DENIED", "why")):
        with pytest.raises(ValueError, match="pattern"):
            rest_answer(decision, f"{ARN}/{path}")


def test_a_token_says_no_more_than_it_has() -> None:
    answer = rest_answer(Token(), ARN)
    assert answer["principalId"] == "unknown"
    assert answer["context"] == {"claims_json": "{}"}


def assert_refused(decision: Token | SidecarError, reason: str) -> None:
    assert isinstance(decision, TokenRefused)
    assert decision.reason == reason


def assert_nothing_is_said(decision: Token | SidecarError) -> None:
    assert isinstance(decision, SidecarError)
    assert isinstance(decision, CallRejected) or decision.http_status == 503
    assert str(decision) != "Unauthorized"
    with pytest.raises(type(decision)) as told_to_rest:
        rest_answer(decision, ARN)
    with pytest.raises(type(decision)) as told_to_http:
        http_answer(decision)
    assert told_to_rest.value is told_to_http.value is decision
