"""TokenService over both transports and both kinds of socket."""

import asyncio
import json
import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from sidecar.v1 import reason_pb2
from sidecar.v1 import token_service_pb2 as messages
from tests.proofs import METHOD, TARGET, dpop, thumbprint
from tests.running import (
    CONSUMERS_AND_SIGNER,
    SECRET,
    TRANSPORTS,
    Running,
    assert_refused,
    assert_valid,
    fails,
    listener,
    running,
)

INVALID = grpc.StatusCode.INVALID_ARGUMENT
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION


@pytest.fixture(
    params=[
        pytest.param((transport, socket), id=f"{transport}-{socket}")
        for transport in TRANSPORTS
        for socket in ("unix", "tcp")
    ]
)
async def sidecar(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path, listener(*request.param) + CONSUMERS_AND_SIGNER) as one:
        yield one


async def test_an_issued_token_is_valid_and_says_what_was_asked(sidecar: Running) -> None:
    token = await sidecar.issue(
        subject="alice", scopes=["read"], claims_json='{"roles": ["admin", "ops"]}'
    )
    said = assert_valid(await sidecar.validate(token, scopes=["read"]))
    assert (said.issuer_name, said.issuer) == ("internal", "https://tokens.example")
    assert (said.subject, list(said.audiences), list(said.scopes)) == (
        "alice",
        ["orders"],
        ["read"],
    )
    assert (said.key_id, said.algorithm) == ("k1", "ES256")
    assert said.expire_time.seconds - said.issue_time.seconds == 900
    assert json.loads(said.claims_json)["roles"] == ["admin", "ops"]
    assert json.loads(said.claims_json)["env"] == "prod"


async def test_the_published_keys_verify_an_issued_token_elsewhere(sidecar: Running) -> None:
    token = await sidecar.issue(subject="alice")
    published = await sidecar.tokens.GetJwks(messages.GetJwksRequest())
    key = jwt.PyJWKSet.from_json(published.jwks_json)["k1"]
    assert jwt.decode(token, key, ["ES256"], audience="orders")["sub"] == "alice"


async def test_a_consumer_is_known_by_its_key(sidecar: Running) -> None:
    said = assert_valid(await sidecar.validate(await sidecar.issue(consumer="jack")))
    assert (said.consumer, said.issuer_name, said.algorithm) == ("jack", "", "HS256")


@pytest.mark.parametrize(
    ("claims", "reason", "words"),
    [
        pytest.param(
            {"sub": "alice", "exp": 4102444800},
            "CONSUMER_KEY_MISSING",
            ('"key"', '["sub", "exp"]', "consumers.key_claim"),
            id="no user key in the token",
        ),
        pytest.param({"key": "nobody"}, "CONSUMER_UNKNOWN", ('"nobody"',), id="unknown user key"),
        pytest.param(
            {"iss": "https://other.example"},
            "ISSUER_UNKNOWN",
            ('"https://other.example"', '"https://tokens.example"'),
            id="unknown issuer",
        ),
        pytest.param(
            {"key": "user-key", "exp": int(time.time()) - 7200},
            "EXPIRED",
            ("2 h", "clock skew allowed 30 s"),
            id="expired two hours ago",
        ),
        pytest.param({"key": "user-key"}, "CLAIM_MISSING", ('"exp"',), id="no exp"),
    ],
)
async def test_a_refusal_says_what_was_expected_and_what_came(
    sidecar: Running, claims: dict[str, object], reason: str, words: tuple[str, ...]
) -> None:
    answer = await sidecar.validate(jwt.encode(claims, SECRET, "HS256"))
    assert_refused(answer, reason, *words)


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        pytest.param("", "TOKEN_MISSING", id="empty"),
        pytest.param("a.b", "TOKEN_MALFORMED", id="two parts"),
        pytest.param("\N{SNOWMAN}.b.c", "TOKEN_MALFORMED", id="not ASCII"),
        pytest.param("x" * (16 * 1024 + 1), "TOKEN_TOO_LARGE", id="one byte over the limit"),
        pytest.param("." * 1_000_000, "TOKEN_TOO_LARGE", id="a million dots"),
    ],
)
async def test_what_is_no_token_is_refused(sidecar: Running, token: str, reason: str) -> None:
    assert_refused(await sidecar.validate(token), reason)


async def test_one_changed_character_is_an_invalid_signature(sidecar: Running) -> None:
    token = await sidecar.issue(subject="alice")
    at = len(token) - 20
    changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
    assert_refused(await sidecar.validate(changed), "SIGNATURE_INVALID", '"k1"')


@pytest.mark.parametrize(
    ("fields", "code", "reason", "field"),
    [
        pytest.param(
            {"issuer_name": "nobody"}, PRECONDITION, "NOT_CONFIGURED", "", id="unknown issuer name"
        ),
        pytest.param({"audiences": [""]}, INVALID, "FIELD_INVALID", "audiences", id="audience"),
        pytest.param({"scopes": [""]}, INVALID, "FIELD_INVALID", "scopes", id="scope"),
        pytest.param(
            {"required_claims_json": "[1]"},
            INVALID,
            "FIELD_INVALID",
            "required_claims_json",
            id="claims that are no object",
        ),
        pytest.param(
            {"client_address": "10.0.0"}, INVALID, "FIELD_INVALID", "client_address", id="address"
        ),
    ],
)
async def test_a_malformed_question_is_an_error_that_names_the_field(
    sidecar: Running, fields: dict[str, object], code: grpc.StatusCode, reason: str, field: str
) -> None:
    with fails(code, reason, field):
        await sidecar.validate("a.b.c", **fields)


@pytest.mark.parametrize(
    ("fields", "code", "reason", "field"),
    [
        pytest.param({"signer": "nobody"}, PRECONDITION, "NOT_CONFIGURED", "", id="unknown signer"),
        pytest.param({"scopes": ["admin"]}, INVALID, "NOT_GRANTABLE", "scopes", id="scope"),
        pytest.param(
            {"claims_json": '{"iss": "me"}'}, INVALID, "NAME_RESERVED", "claims_json", id="iss"
        ),
        pytest.param(
            {"claims_json": '{"scope": "admin"}'},
            INVALID,
            "NAME_RESERVED",
            "claims_json",
            id="a scope smuggled in as a claim",
        ),
        pytest.param(
            {"headers_json": '{"jwk": {}}'}, INVALID, "NAME_RESERVED", "headers_json", id="jwk"
        ),
        pytest.param(
            {"with_refresh_token": True},
            INVALID,
            "NOT_GRANTABLE",
            "with_refresh_token",
            id="a refresh token",
        ),
        pytest.param(
            {"claims_json": json.dumps({"a": "x" * 20_000})},
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "LIMIT_EXCEEDED",
            "",
            id="more than limits.token_bytes",
        ),
    ],
)
async def test_what_may_not_be_minted_is_an_error_that_names_the_field(
    sidecar: Running, fields: dict[str, object], code: grpc.StatusCode, reason: str, field: str
) -> None:
    with fails(code, reason, field):
        await sidecar.issue(**fields)


async def test_a_lifetime_over_the_maximum_is_not_granted(sidecar: Running) -> None:
    request = messages.IssueTokenRequest(subject="alice")
    request.lifetime.FromSeconds(3601)
    with fails(INVALID, "NOT_GRANTABLE", "lifetime"):
        await sidecar.tokens.IssueToken(request)


async def test_bytes_that_are_no_message_disturb_nobody(
    sidecar: Running, caplog: pytest.LogCaptureFixture
) -> None:
    call: Any = sidecar.channel.unary_unary("/sidecar.v1.TokenService/ValidateToken")
    with fails(INVALID, "FIELD_INVALID"):
        await call(b"\xff\xff\xff")
    assert not caplog.records
    assert_valid(await sidecar.validate(await sidecar.issue(subject="alice")))


@pytest.mark.parametrize(
    ("size", "metadata"),
    [
        pytest.param(4 * 1024 * 1024, 0, id="the message"),
        pytest.param(0, 100 * 1024, id="the metadata"),
    ],
)
async def test_a_call_over_the_limits_fails_and_disturbs_nobody(
    sidecar: Running, size: int, metadata: int
) -> None:
    request = messages.ValidateTokenRequest(token="x" * size)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await sidecar.tokens.ValidateToken(request, metadata=[("x-large", "x" * metadata)])
    if size:
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert_valid(await sidecar.validate(await sidecar.issue(subject="alice")))


async def test_a_method_that_is_not_there_is_unimplemented(sidecar: Running) -> None:
    method: Any = sidecar.channel.unary_unary("/sidecar.v1.TokenService/ForgetToken")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await method(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("service", ["", "sidecar.v1.TokenService"])
async def test_health_is_serving(sidecar: Running, service: str) -> None:
    health: Any = health_pb2_grpc.HealthStub(sidecar.channel)
    answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_reflection_lists_the_services(sidecar: Running) -> None:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub
    reflection = stub(sidecar.channel)
    call = reflection.ServerReflectionInfo(
        iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    )
    answer = await anext(aiter(call))
    names = {one.name for one in answer.list_services_response.service}
    assert {"sidecar.v1.TokenService", "grpc.health.v1.Health"} <= names


async def test_two_hundred_calls_at_once_are_all_answered(sidecar: Running) -> None:
    token = await sidecar.issue(subject="alice")
    answers = await asyncio.gather(*(sidecar.validate(token) for _ in range(200)))
    assert all(answer.valid for answer in answers)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_listener_refuses_what_it_does_not_serve(tmp_path: Path, transport: str) -> None:
    configuration = listener(transport, services="validate") + CONSUMERS_AND_SIGNER
    async with running(tmp_path, configuration) as one:
        with fails(grpc.StatusCode.PERMISSION_DENIED, "NOT_SERVED_HERE"):
            await one.issue(subject="alice")
        assert_refused(await one.validate("a.b"), "TOKEN_MALFORMED")


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_socket_has_the_mode_that_was_asked_for(tmp_path: Path, transport: str) -> None:
    configuration = listener(transport).replace("transport:", "mode: '0600', transport:")
    async with running(tmp_path, configuration + CONSUMERS_AND_SIGNER):
        assert stat.S_IMODE((tmp_path / "s.sock").stat().st_mode) == 0o600
    assert not (tmp_path / "s.sock").exists()


async def test_an_explanation_has_the_answer_and_every_check(sidecar: Running) -> None:
    token = await sidecar.issue(subject="alice", scopes=["read"])
    asked = messages.ValidateTokenRequest(token=token, scopes=["write"], audiences=["billing"])
    said = await sidecar.tokens.ExplainToken(messages.ExplainTokenRequest(request=asked))
    assert said.result == await sidecar.tokens.ValidateToken(asked)
    assert_refused(said.result, "AUDIENCE_MISMATCH")
    outcomes = {one.name: messages.Check.Outcome.Name(one.outcome) for one in said.checks}
    assert outcomes["signature"] == "OUTCOME_PASSED"
    assert outcomes["audience"] == outcomes["scopes"] == "OUTCOME_FAILED"
    reasons = [one.reason for one in said.checks if one.reason]
    assert reasons == [reason_pb2.REASON_AUDIENCE_MISMATCH, reason_pb2.REASON_SCOPE_INSUFFICIENT]
    assert json.loads(said.unverified_header_json)["alg"] == "ES256"
    assert json.loads(said.unverified_claims_json)["sub"] == "alice"


async def test_an_explanation_of_a_valid_token_says_so(sidecar: Running) -> None:
    asked = messages.ValidateTokenRequest(token=await sidecar.issue(subject="alice"))
    said = await sidecar.tokens.ExplainToken(messages.ExplainTokenRequest(request=asked))
    assert_valid(said.result)
    assert {one.outcome for one in said.checks} == {messages.Check.OUTCOME_PASSED}


async def test_what_cant_be_asked_cant_be_explained(sidecar: Running) -> None:
    asked = messages.ValidateTokenRequest(token="x", issuer_name="nobody")
    with fails(PRECONDITION, "NOT_CONFIGURED"):
        await sidecar.tokens.ExplainToken(messages.ExplainTokenRequest(request=asked))


@pytest.mark.parametrize(
    ("proof", "field"),
    [
        ({"client_certificate_sha256": b"x" * 31}, "proof.client_certificate_sha256"),
        ({"dpop": "x", "http_uri": "https://a.example/"}, "proof.http_method"),
        ({"dpop": "x", "http_method": "GET"}, "proof.http_uri"),
        ({"dpop": "x", "http_method": "GET", "http_uri": "/orders"}, "proof.http_uri"),
    ],
)
async def test_a_proof_that_no_request_can_have_is_the_callers_fault(
    sidecar: Running, proof: dict[str, Any], field: str
) -> None:
    with fails(INVALID, "FIELD_INVALID", field):
        await sidecar.validate("x", proof=messages.ProofOfPossession(**proof))


async def test_a_bound_token_passes_with_its_proof_once(sidecar: Running) -> None:
    claims = json.dumps({"cnf": {"jkt": thumbprint()}})
    token = await sidecar.issue(subject="alice", claims_json=claims)
    proof = messages.ProofOfPossession(
        dpop=dpop(token, iat=int(time.time())), http_method=METHOD, http_uri=TARGET
    )
    assert_refused(await sidecar.validate(token), "PROOF_INVALID", "no DPoP proof")
    asked = messages.ValidateTokenRequest(token=token, proof=proof)
    said = await sidecar.tokens.ExplainToken(messages.ExplainTokenRequest(request=asked))
    assert_valid(said.result)
    assert_valid(await sidecar.validate(token, proof=proof))
    assert_refused(await sidecar.validate(token, proof=proof), "REPLAYED")
