"""What a client learns about why its request may not pass."""

import json
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from aiohttp import ClientSession, UnixConnector
from envoy.service.auth.v3 import external_auth_pb2

from deploy.demo.stage import free_port
from sidecar.authorization.generic import GENERIC
from sidecar.token.reason import Reason
from tests.running import SECRET, assert_refused, running

CONFIGURATION = """
listeners:
  - {{address: "unix:s.sock", services: [validate, ext_authz], transport: {transport}}}
  - {{address: "0.0.0.0:{grpc}", services: [ext_authz], transport: {transport}}}
http: {{address: "{http}", serve: [check]}}
issuers:
  - name: corp
    issuer: https://login.example/
    keys: {{secret: {{value: {secret}}}}}
    algorithms: [HS256]
    audiences: [orders-api]
authorization:
  rules:
    - {{name: ops, match: {{path: /ops}}, require: {{claims: {{team: ops}}}}}}
    - {{name: own, match: {{path: /own}}, require: {{condition: claims.sub == "root"}}}}
  denied: {{realm: shop{denied}}}
log: {{decisions: none}}
shutdown: {{drain: 0s, grace: 1s}}
"""
CONFIGURED = ("corp", "login.example", "orders-api", "ops", "claims.sub")
"""What a stranger must not learn of the configuration."""


def mint(**claims: Any) -> str:
    good = {
        "iss": "https://login.example/",
        "aud": "orders-api",
        "sub": "alice",
        "exp": 4_000_000_000,
    }
    return jwt.encode({**good, **claims}, SECRET, "HS256")


CASES = [
    (mint(iss="https://evil.example"), "/", 401, "ISSUER_UNKNOWN"),
    (mint(aud="web"), "/", 401, "AUDIENCE_MISMATCH"),
    (mint(), "/ops", 403, "RULE_DENIED"),
    (mint(), "/own", 403, "RULE_DENIED"),
]
DETAILS = [
    pytest.param("", False, "full", id="a Unix socket: everything"),
    pytest.param("", True, "reason", id="the network: the reason"),
    pytest.param(", details: full", True, "full", id="as it is set: everything"),
    pytest.param(", details: reason", False, "reason", id="as it is set: the reason"),
    pytest.param(", details: none", False, "none", id="as it is set: nothing"),
    pytest.param(", body: none, details: reason", False, "reason", id="the reason without a body"),
]


def assert_told(told: str, challenge: str, body: str, status: int, reason: str) -> None:
    """The client learns as much as it may, and no more."""
    everything = f"{challenge} {body}"
    if told != "full":
        assert not [word for word in CONFIGURED if word in everything]
    else:
        assert any(word in everything for word in CONFIGURED)
    sentence = GENERIC[Reason[reason]]
    assert (sentence in everything) is (told == "reason" and (bool(body) or status == 401))
    assert bool(challenge) is (status == 401)
    if told == "none":
        assert (challenge, body) == ('Bearer realm="shop"' if status == 401 else "", "")
    elif body:
        assert json.loads(body)["reason"] == f"REASON_{reason}"


@pytest.mark.parametrize("transport", ["grpcio", "native"])
@pytest.mark.parametrize(("denied", "network", "told"), DETAILS)
async def test_envoy_gives_the_client_what_its_listener_may_say(
    tmp_path: Path, transport: str, denied: str, network: bool, told: str
) -> None:
    port = free_port()
    text = CONFIGURATION.format(
        transport=transport, grpc=port, http="unix:h.sock", secret=SECRET, denied=denied
    )
    address = f"127.0.0.1:{port}" if network else f"unix:{tmp_path}/s.sock"
    async with running(tmp_path, text), grpc.aio.insecure_channel(address) as channel:
        check: Any = channel.unary_unary("/envoy.service.auth.v3.Authorization/Check")
        for token, path, status, reason in CASES:
            request = external_auth_pb2.CheckRequest()
            http = request.attributes.request.http
            http.method, http.host, http.path = "GET", "shop.example", path
            http.headers["authorization"] = f"Bearer {token}"
            answer = external_auth_pb2.CheckResponse.FromString(
                await check(request.SerializeToString())
            )
            denial = answer.denied_response
            headers = {one.header.key: one.header.value for one in denial.headers}
            assert denial.status.code == status
            assert_told(told, headers.get("www-authenticate", ""), denial.body, status, reason)
            # Metadata is for Envoy's filters and log, and no client sees it.
            assert answer.dynamic_metadata.fields["reason"].string_value == f"REASON_{reason}"


@pytest.mark.parametrize(("denied", "network", "told"), DETAILS)
async def test_check_gives_the_client_what_its_listener_may_say(
    tmp_path: Path, denied: str, network: bool, told: str
) -> None:
    port = free_port()
    http = f"0.0.0.0:{port}" if network else "unix:h.sock"
    text = CONFIGURATION.format(
        transport="auto", grpc=free_port(), http=http, secret=SECRET, denied=denied
    )
    connector = None if network else UnixConnector(str(tmp_path / "h.sock"))
    async with running(tmp_path, text), ClientSession(connector=connector) as client:
        for token, path, status, reason in CASES:
            headers = {
                "authorization": f"Bearer {token}",
                "x-original-method": "GET",
                "x-original-uri": path,
                "x-forwarded-host": "shop.example",
            }
            async with client.get(f"http://127.0.0.1:{port}/check", headers=headers) as answer:
                challenge = answer.headers.get("www-authenticate", "")
                assert answer.status == status
                assert_told(told, challenge, await answer.text(), status, reason)


@pytest.mark.parametrize(
    ("claims", "fields", "reason", "insufficient"),
    [
        pytest.param({"aud": "web"}, {}, "AUDIENCE_MISMATCH", False, id="the issuer's audience"),
        pytest.param({}, {"audiences": ["web"]}, "AUDIENCE_MISMATCH", True, id="the call's"),
        pytest.param({}, {"scopes": ["read"]}, "SCOPE_INSUFFICIENT", True, id="a scope"),
        pytest.param(
            {}, {"required_claims_json": '{"team": "ops"}'}, "CLAIM_MISSING", True, id="a claim"
        ),
        pytest.param(
            {"team": "web"},
            {"required_claims_json": '{"team": "ops"}'},
            "CLAIM_MISMATCH",
            True,
            id="another value",
        ),
        pytest.param({"exp": 1}, {"scopes": ["read"]}, "EXPIRED", False, id="a bad token"),
        pytest.param({"exp": None}, {}, "CLAIM_MISMATCH", False, id="a malformed claim"),
    ],
)
async def test_a_caller_learns_if_its_own_requirement_failed(
    tmp_path: Path, claims: dict[str, Any], fields: Any, reason: str, insufficient: bool
) -> None:
    text = CONFIGURATION.format(
        transport="auto", grpc=free_port(), http="unix:h.sock", secret=SECRET, denied=""
    )
    async with running(tmp_path, text) as one:
        answer = await one.validate(mint(**claims), **fields)
    assert_refused(answer, reason)
    assert answer.insufficient is insufficient
