"""What is asked and answered, without a sidecar."""

import dataclasses
import pickle
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from jwt_sidecar_client import (
    CallRejected,
    Client,
    Proof,
    SidecarError,
    SidecarUnavailable,
    Token,
    TokenReference,
    TokenRefused,
    answer,
    request,
)
from jwt_sidecar_client.v1 import reason_pb2
from jwt_sidecar_client.v1 import token_service_pb2 as messages
from tests.sidecars import PYTHON
from tests.table import CASES, TOP

ASKED = messages.ValidateTokenRequest(token="a.b.c")


def test_everything_that_can_be_asked_is_asked() -> None:
    asked = request.validation(
        "a.b.c",
        issuer_name="corp",
        audiences=["orders"],
        scopes=("read", "write"),
        required_claims={"realm.roles": ["admin"]},
        client_address="192.0.2.1",
        proof=Proof("d.e.f", "GET", "https://shop.example/", bytes(32)),
    )
    assert {field.name for field, _ in asked.ListFields()} == set(asked.DESCRIPTOR.fields_by_name)
    assert {field.name for field, _ in asked.proof.ListFields()} == set(
        asked.proof.DESCRIPTOR.fields_by_name
    )
    assert asked.required_claims_json == '{"realm.roles": ["admin"]}'


def test_everything_that_can_be_wished_is_wished() -> None:
    wished = request.issue(
        signer="internal",
        consumer="jack",
        subject="alice",
        audiences=["orders"],
        scopes=["read"],
        lifetime=timedelta(milliseconds=1500),
        not_before=timedelta(seconds=1),
        token_id="t-1",
        claims={"a": 1},
        headers={"b": 2},
        critical_headers=["b"],
        algorithm="ES256",
        with_refresh_token=True,
    )
    names = {field.name for field, _ in wished.ListFields()}
    assert set(wished.DESCRIPTOR.fields_by_name) - names == {"not_before_time"}
    assert wished.lifetime.ToTimedelta() == timedelta(milliseconds=1500)
    later = request.issue(not_before=datetime(2030, 1, 1, tzinfo=timezone(timedelta(hours=1))))
    assert later.not_before_time.ToJsonString() == "2029-12-31T23:00:00Z"


def test_a_demand_that_is_spelled_wrong_is_none_that_nobody_made(client: Client) -> None:
    with pytest.raises(TypeError, match="scope"):
        client.validate("valid", scope=["orders:write"])  # type: ignore[call-arg]


@pytest.mark.parametrize("name", ["audiences", "scopes"])
def test_one_text_is_no_list_of_letters(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} must be several texts"):
        request.validation("a.b.c", **{name: "orders"})  # type: ignore[arg-type]


def test_an_issuer_that_is_not_configured_is_not_any_issuer(client: Client) -> None:
    with pytest.raises(TypeError, match="issuer_name"):
        client.validate("valid", issuer_name=None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="issuer_name"):
        request.standing(issuer_name=None)  # type: ignore[arg-type]


def test_a_token_that_is_no_string_is_no_question(client: Client) -> None:
    for token in (None, b"valid"):
        with pytest.raises(TypeError):
            client.validate(token)  # type: ignore[arg-type]


def test_claims_that_are_no_json_are_not_demanded() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        request.validation("a.b.c", required_claims={"n": float("nan")})


def test_a_time_needs_a_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        request.revocation(token_reference=TokenReference("a", "b", datetime(2030, 1, 1)))


def test_nobody_changes_a_token() -> None:
    token = Token(claims_json='{"roles":[{"name":"admin"}],"realm":{"a":{}}}')
    with pytest.raises(dataclasses.FrozenInstanceError):
        token.subject = "mallory"  # type: ignore[misc]
    assert token.claims == {"roles": ({"name": "admin"},), "realm": {"a": {}}}
    for place in (token.claims, token.claims["realm"]["a"], token.claims["roles"][0]):
        with pytest.raises(TypeError):
            place["name"] = "owner"  # type: ignore[index]
    assert hash(token) == hash(dataclasses.replace(token))
    assert token == dataclasses.replace(token)
    assert dataclasses.asdict(token)["claims_json"] == token.claims_json


def test_a_token_can_go_to_another_process() -> None:
    token = Token(subject="alice", claims_json='{"roles":["admin"]}')
    assert token.claims["roles"] == ("admin",)
    other = pickle.loads(pickle.dumps(token))  # noqa: S301 # our own token
    assert other == token
    assert other.claims == token.claims


@pytest.mark.parametrize(
    "error",
    [
        TokenRefused("SCOPE_INSUFFICIENT", "why", scopes=("a", "b")),
        TokenRefused("PROOF_INVALID", "why", dpop=True),
        CallRejected(grpc.StatusCode.NOT_FOUND, "", "why"),
        SidecarUnavailable("why"),
    ],
)
def test_an_error_comes_whole_out_of_another_process(error: SidecarError) -> None:
    other = pickle.loads(pickle.dumps(error))  # noqa: S301 # our own error
    assert type(other) is type(error)
    assert (str(other), vars(other)) == (str(error), vars(error))


@pytest.mark.parametrize(
    "claims_json",
    [
        "",
        "null",
        '"{}"',
        "{}{}",
        '{"n":NaN}',
        '{"n":-Infinity}',
        "[" * 100_000,
        '{"a":' * 100_000,
        "1" * 5_000,
    ],
    ids=lambda text: text[:12],
)
def test_claims_that_are_no_json_object_let_nothing_through(claims_json: str) -> None:
    answered = messages.ValidateTokenResponse(valid=True)
    answered.token.claims_json = claims_json
    with pytest.raises(SidecarUnavailable, match="makes no sense"):
        answer.token_of(answered, ASKED)


@pytest.mark.parametrize("seconds", [253402300800, -62135596801, 2**63 - 1])
def test_a_time_that_is_none_lets_nothing_through(seconds: int) -> None:
    answered = messages.ValidateTokenResponse(valid=True)
    answered.token.claims_json = "{}"
    answered.token.expire_time.CopyFrom(Timestamp(seconds=seconds))
    with pytest.raises(SidecarUnavailable, match="makes no sense"):
        answer.token_of(answered, ASKED)


@pytest.mark.parametrize(
    "answered",
    [
        messages.RefreshTokenResponse(),
        messages.RefreshTokenResponse(valid=True),
        messages.RefreshTokenResponse(valid=True, issued=messages.IssueTokenResponse()),
        messages.RefreshTokenResponse(
            valid=True,
            reason=reason_pb2.REASON_REVOKED,
            issued=messages.IssueTokenResponse(token="a.b.c"),
        ),
        None,
    ],
)
def test_a_refreshing_that_makes_no_sense_gives_no_token(
    answered: messages.RefreshTokenResponse | None,
) -> None:
    with pytest.raises(SidecarUnavailable, match="makes no sense"):
        answer.refreshed_by(answered)


def test_other_answers_that_make_no_sense() -> None:
    for read in (
        lambda: answer.issued_by(messages.IssueTokenResponse()),
        lambda: answer.issued_by(None),
        lambda: answer.revoked_by(messages.RevokeTokenResponse()),
        lambda: answer.revoked_by(None),
        lambda: answer.jwks_of(messages.GetJwksResponse()),
        lambda: answer.jwks_of(None),
        lambda: answer.explanation_of(messages.ExplainTokenResponse(), ASKED),
        lambda: answer.token_of(None, ASKED),
    ):
        with pytest.raises(SidecarUnavailable, match="makes no sense"):
            read()


def test_the_table_has_every_reason_of_these_stubs() -> None:
    told = {one["client"].get("reason") for one in CASES}
    names = {name.removeprefix("REASON_") for name in reason_pb2.Reason.DESCRIPTOR.values_by_name}
    assert names - told == {"UNSPECIFIED"}


def test_a_number_that_no_reason_has_yet() -> None:
    for number, status in {79: 401, 84: 403, 99: 403, 100: 401, -1: 401}.items():
        answered = messages.ValidateTokenResponse(reason=number)  # type: ignore[arg-type]
        with pytest.raises(TokenRefused) as caught:
            answer.token_of(answered, ASKED)
        assert caught.value.http_status == status


@pytest.mark.parametrize(
    "modules",
    ["jwt_sidecar_client.v1, sidecar.v1", "sidecar.v1, jwt_sidecar_client.v1"],
    ids=["client first", "sidecar first"],
)
def test_one_process_can_load_the_sidecar_too(modules: str) -> None:
    first, second = modules.split(", ")
    program = f"""
import sys
sys.path.append({str(TOP / "clients/python")!r})
from {first} import token_service_pb2 as first, token_service_pb2_grpc, reason_pb2
from {second} import token_service_pb2 as second, token_service_pb2_grpc, reason_pb2
assert first.DESCRIPTOR.name == second.DESCRIPTOR.name == "sidecar/v1/token_service.proto"
request = first.ValidateTokenRequest(token="a.b.c")
assert second.ValidateTokenRequest.FromString(request.SerializeToString()).token == "a.b.c"
import jwt_sidecar_client
"""
    subprocess.run([PYTHON, "-c", program], check=True)


def test_the_client_needs_no_sidecar_package() -> None:
    program = "import sys, jwt_sidecar_client; assert 'sidecar' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
