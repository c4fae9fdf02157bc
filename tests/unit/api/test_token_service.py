import asyncio
import json
import logging
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from sidecar.api.token_service import (
    TokenService,
    decoding,
    not_served,
    order,
    validate_request,
    validate_response,
)
from sidecar.engine import Engine
from sidecar.token.claims import RequiredClaim
from sidecar.token.mint import Minted, Order
from sidecar.token.reason import CallFailed, ErrorReason, Reason
from sidecar.token.request import Refusal, Request
from sidecar.turns import AT_A_TIME
from sidecar.v1 import reason_pb2
from sidecar.v1 import token_service_pb2 as messages
from tests.unit.api.calls import Aborted, Call
from tests.unit.api.checks import engine
from tests.unit.parties import NOW, key_set, snapshot, token

ValidateTokenRequest = messages.ValidateTokenRequest


def service() -> TokenService:
    """The service on an engine with the issuer `corp`."""
    return TokenService(Engine(snapshot(key_set()), lambda: NOW, lambda: "id-1"))


async def called(method: Any, request: Message, call: Any) -> bytes:
    """What a method answers to a request, as gRPC hands it on."""
    return await decoding(method, type(request))(request.SerializeToString(), call)


@pytest.mark.parametrize(
    ("message", "request_"),
    [
        pytest.param(ValidateTokenRequest(), Request(""), id="empty"),
        pytest.param(
            ValidateTokenRequest(
                token="a.b.c",
                issuer_name="corp",
                audiences=["x", "y"],
                scopes=["s", "t"],
                required_claims_json='{"a.b": ["c", 1]}',
                client_address="2001:db8::1",
            ),
            Request(
                *("a.b.c", "corp", ("x", "y"), ("s", "t"), (RequiredClaim("a.b", ("c", 1)),)),
                client_address="2001:db8::1",
            ),
            id="every field",
        ),
    ],
)
def test_validate_request(message: ValidateTokenRequest, request_: Request) -> None:
    assert validate_request(message, 32, message.token) == request_


@pytest.mark.parametrize(
    ("message", "field"),
    [
        pytest.param(ValidateTokenRequest(audiences=["a", ""]), "audiences", id="empty audience"),
        pytest.param(ValidateTokenRequest(scopes=[""]), "scopes", id="empty scope"),
        pytest.param(
            ValidateTokenRequest(required_claims_json="[]"), "required_claims_json", id="array"
        ),
        pytest.param(
            ValidateTokenRequest(required_claims_json='{"a":{}}'),
            "required_claims_json",
            id="nested",
        ),
        pytest.param(
            ValidateTokenRequest(client_address="localhost"), "client_address", id="host name"
        ),
    ],
)
async def test_a_malformed_field_fails_the_call_and_is_named(
    message: ValidateTokenRequest, field: str
) -> None:
    call: Any = Call()
    with pytest.raises(Aborted) as ended:
        await called(service().validate_token, message, call)
    assert ended.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (ended.value.info.reason, ended.value.fields) == ("FIELD_INVALID", [field])


async def test_an_issuer_that_is_not_configured_fails_the_call() -> None:
    call: Any = Call()
    with pytest.raises(Aborted) as ended:
        await called(service().validate_token, ValidateTokenRequest(issuer_name="other"), call)
    assert ended.value.code is grpc.StatusCode.FAILED_PRECONDITION
    assert ended.value.info.reason == "NOT_CONFIGURED"


async def test_a_good_token_is_valid() -> None:
    call: Any = Call()
    data = await called(service().validate_token, ValidateTokenRequest(token=token()), call)
    answer = messages.ValidateTokenResponse.FromString(data)
    assert (answer.valid, answer.reason, answer.message) == (True, 0, "")
    assert answer.token.subject == "alice"


async def test_a_refused_token_is_an_answer_and_not_an_error() -> None:
    call: Any = Call()
    data = await called(service().validate_token, ValidateTokenRequest(), call)
    assert messages.ValidateTokenResponse.FromString(data) == messages.ValidateTokenResponse(
        reason=reason_pb2.REASON_TOKEN_MISSING, message="no token was presented"
    )


@pytest.mark.parametrize("reason", [pytest.param(one, id=one.name) for one in Reason if one])
def test_every_refusal(reason: Reason) -> None:
    answer = validate_response(Refusal(reason, "why", "corp", ("a",)))
    assert answer == messages.ValidateTokenResponse(
        reason=reason_pb2.Reason.Value(f"REASON_{reason.name}"), message="why"
    )
    assert not answer.HasField("token")


def test_an_order_of_every_field() -> None:
    message = messages.IssueTokenRequest(
        signer="internal",
        consumer="jack",
        subject="alice",
        audiences=["a"],
        scopes=["s"],
        token_id="id",
        claims_json='{"a":1}',
        headers_json='{"h":1}',
        critical_headers=["h"],
        algorithm="ES256",
        with_refresh_token=True,
    )
    message.lifetime.FromMilliseconds(1500)
    message.not_before_delay.FromMilliseconds(250)
    assert order(message) == Order(
        signer="internal",
        consumer="jack",
        subject="alice",
        audiences=("a",),
        scopes=("s",),
        lifetime=1.5,
        not_before_delay=0.25,
        token_id="id",
        claims_json='{"a":1}',
        headers_json='{"h":1}',
        critical_headers=("h",),
        algorithm="ES256",
        with_refresh_token=True,
    )


def issue(**members: dict[str, int]) -> messages.IssueTokenRequest:
    """An order with times of these seconds and nanos."""
    message = messages.IssueTokenRequest()
    for name, parts in members.items():
        time = getattr(message, name)
        time.SetInParent()
        for part, value in parts.items():
            setattr(time, part, value)
    return message


@pytest.mark.parametrize(
    ("message", "ordered"),
    [
        pytest.param(issue(), Order(), id="none"),
        pytest.param(issue(lifetime={}), Order(lifetime=0.0), id="lifetime of zero is not unset"),
        pytest.param(issue(lifetime={"seconds": -1}), Order(lifetime=-1.0), id="negative"),
        pytest.param(
            issue(not_before_time={"seconds": 7, "nanos": 500_000_000}),
            Order(not_before_time=7.5),
            id="not before a time",
        ),
        pytest.param(
            issue(not_before_time={}), Order(not_before_time=0.0), id="not before the epoch"
        ),
        pytest.param(issue(not_before_delay={}), Order(not_before_delay=0.0), id="no delay"),
    ],
)
def test_ordered_times(message: messages.IssueTokenRequest, ordered: Order) -> None:
    assert order(message) == ordered


@pytest.mark.parametrize(
    ("message", "field"),
    [
        pytest.param(issue(lifetime={"seconds": 2**62}), "lifetime", id="lifetime"),
        pytest.param(issue(lifetime={"nanos": 10**9}), "lifetime", id="nanos of a lifetime"),
        pytest.param(issue(not_before_time={"seconds": 2**62}), "not_before_time", id="time"),
        pytest.param(issue(not_before_time={"nanos": -1}), "not_before_time", id="nanos"),
        pytest.param(issue(not_before_delay={"seconds": 2**62}), "not_before_delay", id="delay"),
        pytest.param(messages.IssueTokenRequest(audiences=[""]), "audiences", id="empty audience"),
        pytest.param(messages.IssueTokenRequest(scopes=[""]), "scopes", id="empty scope"),
        pytest.param(
            messages.IssueTokenRequest(critical_headers=[""]), "critical_headers", id="empty crit"
        ),
    ],
)
def test_an_order_that_is_malformed(message: messages.IssueTokenRequest, field: str) -> None:
    with pytest.raises(CallFailed) as failed:
        order(message)
    assert (failed.value.reason, failed.value.field) == (ErrorReason.FIELD_INVALID, field)


async def test_an_order_that_can_not_be_filled_fails_the_call() -> None:
    call: Any = Call()
    with pytest.raises(Aborted) as ended:
        await called(service().issue_token, messages.IssueTokenRequest(), call)
    assert ended.value.code is grpc.StatusCode.FAILED_PRECONDITION
    assert ended.value.info.reason == "NOT_CONFIGURED"


async def test_a_method_that_is_not_served_says_what_it_needs() -> None:
    call: Any = Call()
    with pytest.raises(Aborted) as ended:
        await not_served("IssueToken", ["issue", "admin"])(messages.IssueTokenRequest(), call)
    assert ended.value.code is grpc.StatusCode.PERMISSION_DENIED
    assert ended.value.info.reason == "NOT_SERVED_HERE"
    assert str(ended.value) == (
        "IssueToken is not served here; its listener's services must name admin or issue"
    )


async def test_no_token_is_in_a_log_an_error_or_a_repr(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    call: Any = Call()
    token = "MARKER.MARKER.MARKER"
    message = ValidateTokenRequest(token=token, required_claims_json="MARKER")
    with pytest.raises(Aborted) as ended:
        await called(service().validate_token, message, call)
    message = ValidateTokenRequest(token=token)
    answer = await called(service().validate_token, message, call)
    minted = Minted("MARKER", "internal", "id", "k1", "ES256", 0, 1)
    request = validate_request(message, 32, token)
    seen = [ended.value.details, answer, request, minted, caplog.text]
    assert "MARKER" not in repr(seen)


async def test_decisions_are_counted() -> None:
    judge = Engine(snapshot(key_set()), lambda: NOW, lambda: "id-1")
    call: Any = Call()
    for text in (token(), "", ""):
        await TokenService(judge).validate_token(ValidateTokenRequest(token=text), call)
    assert judge.metrics.decisions == {
        ("grpc", "corp", "OK"): 1,
        ("grpc", "", "TOKEN_MISSING"): 2,
    }
    assert sum(judge.metrics.seconds["grpc"].counts) == 3


QUESTIONS = [
    pytest.param({}, id="plain"),
    pytest.param({"issuer_name": "corp"}, id="its issuer"),
    pytest.param({"audiences": ["billing"]}, id="another audience"),
    pytest.param({"scopes": ["admin"]}, id="a scope"),
    pytest.param({"required_claims_json": '{"sub": "alice"}'}, id="a claim that it has"),
    pytest.param({"required_claims_json": '{"sub": "bob"}'}, id="a claim that it has not"),
    pytest.param({"client_address": "192.0.2.1"}, id="an address"),
    pytest.param({"required_claims_json": '{"sub": ["%s", "alice"]}' % ("x" * 600)}, id="much"),
    pytest.param({"proof": {"client_certificate_sha256": bytes(32)}}, id="a proof"),
]


@pytest.mark.parametrize("first", QUESTIONS)
@pytest.mark.parametrize("then", QUESTIONS)
async def test_what_is_answered_again_is_the_answer_to_just_that_question(
    first: dict[str, Any], then: dict[str, Any]
) -> None:
    remembering, call, text = engine(), Call(), token()
    for fields in (first, then, first, then):
        answers = [
            await TokenService(judge).validate_token(
                ValidateTokenRequest(token=text, **fields),
                call,  # type: ignore[arg-type]
            )
            for judge in (remembering, engine())
        ]
        assert answers[0] == answers[1]


async def test_what_is_answered_again_is_counted_alike() -> None:
    judge, call = engine(), Call()
    for _ in range(3):
        message = ValidateTokenRequest(token=token())
        await TokenService(judge).validate_token(message, call)  # type: ignore[arg-type]
    assert judge.metrics.decisions == {("grpc", "corp", "OK"): 3}
    assert sum(judge.metrics.seconds["grpc"].counts) == 3


async def test_a_token_that_is_known_does_not_wait_for_those_that_are_not() -> None:
    judge, call, known = engine(), Call(), ValidateTokenRequest(token=token())
    ask: Any = TokenService(judge).validate_token
    await ask(ValidateTokenRequest(token=known.token), call)
    messages_of_new = [ValidateTokenRequest(token=token(jti=str(number))) for number in range(100)]
    new = [asyncio.create_task(ask(message, call)) for message in messages_of_new]
    again = asyncio.create_task(ask(known, call))
    await asyncio.sleep(0)
    assert again.done()
    assert [task.done() for task in new] == [True] * AT_A_TIME + [False] * (100 - AT_A_TIME)
    for answer in await asyncio.gather(*new):
        assert messages.ValidateTokenResponse.FromString(answer).valid


async def test_nobody_fills_the_memory_by_asking_for_much() -> None:
    judge, call, text = engine(), Call(), token()
    for number in range(20):
        claims = json.dumps({"sub": ["alice", f"{number}" * 1000]})
        message = ValidateTokenRequest(token=text, required_claims_json=claims)
        answer = await TokenService(judge).validate_token(message, call)  # type: ignore[arg-type]
        assert messages.ValidateTokenResponse.FromString(answer).valid
    assert judge.seen_tokens is not None
    verified = judge.seen_tokens.verified
    assert len(repr([vars(verified), vars(verified._answers)])) < 20_000
