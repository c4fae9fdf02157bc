"""A consumer that writes scopes, roles and `sub` into its own token, through every surface."""

import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import ClientSession, UnixConnector

from deploy.demo.stage import envoy, upstream
from sidecar.v1 import admin_service_pb2
from sidecar.v1 import token_service_pb2 as messages
from sidecar.v1.admin_service_pb2_grpc import AdminServiceStub
from tests.integration.test_envoy import ENVOY, METADATA_HEADER
from tests.running import SECRET, Running, assert_refused, assert_valid, running

GRANTED = (
    'scopes: ["read"], audiences: [shop], '
    "claims: {sub: billing, realm_access: {roles: [reader]}}, claims_from_token: [team]"
)
CONFIGURATION = f"""
listeners:
  - {{address: 'unix:s.sock', services: [validate, ext_authz, issue, admin]}}
http: {{address: 'unix:http.sock', serve: [check, introspect]}}
consumers:
  list:
    - {{name: jack, key: user-key, algorithm: HS256, secret: {{value: {SECRET}}}, $GRANTS}}
authorization:
  rules:
    - {{match: {{path_prefix: /read/}}, require: {{scopes: [read]}}}}
    - {{match: {{path_prefix: /admin/}}, require: {{scopes: ["admin:write"]}}}}
    - {{match: {{path_prefix: /shop/}}, require: {{audiences: [shop]}}}}
    - {{match: {{path_prefix: /billing/}}, require: {{audiences: [billing]}}}}
    - {{match: {{path_prefix: /readers/}}, require: {{claims: {{realm_access.roles: reader}}}}}}
    - {{match: {{path_prefix: /admins/}}, require: {{claims: {{realm_access.roles: admin}}}}}}
    - {{match: {{path_prefix: /root/}}, require: {{condition: "claims.sub == 'root'"}}}}
    - {{match: {{path_prefix: /kid/}}, require: {{condition: "header.kid == 'trusted'"}}}}
    - {{match: {{path_prefix: /blue/}}, require: {{condition: "claims.team == 'blue'"}}}}
  forward:
    headers: {{x-jwt-subject: sub, x-jwt-roles: realm_access.roles, x-jwt-issuer: iss}}
    payload_header: x-jwt-payload
    consumer_header: x-consumer
shutdown: {{drain: 0s, grace: 1s}}
"""
TEMPLATE = ENVOY.replace("route_config:\n", f"route_config:{METADATA_HEADER}")


def boast() -> str:
    """A token of jack's that claims to be everything."""
    claims = {
        "iss": "https://login.example/",
        "key": "user-key",
        "exp": int(time.time()) + 600,
        "jti": "t-1",
        "sub": "root",
        "aud": ["shop", "billing"],
        "scope": "read admin:write",
        "realm_access": {"roles": ["admin"]},
        "team": "blue",
    }
    return jwt.encode(claims, SECRET, "HS256", headers={"kid": "trusted"})


@dataclass(frozen=True)
class Surfaces:
    """A sidecar as it is asked by Envoy, over HTTP and over gRPC."""

    envoy: str
    client: ClientSession
    http: ClientSession
    sidecar: Running

    async def by_envoy(self, path: str) -> tuple[int, Mapping[str, str]]:
        headers = {"authorization": f"Bearer {boast()}"}
        async with self.client.get(self.envoy + path, headers=headers) as answer:
            body = await answer.json()
            return answer.status, dict(body["headers"]) if answer.status == 200 else {}

    async def by_check(self, path: str) -> tuple[int, Mapping[str, str]]:
        headers = {
            "x-forwarded-method": "GET",
            "x-forwarded-uri": path,
            "x-forwarded-host": "shop.example.com",
            "authorization": f"Bearer {boast()}",
        }
        async with self.http.get("/check", headers=headers) as answer:
            return answer.status, {name.lower(): one for name, one in answer.headers.items()}

    async def introspect(self) -> Mapping[str, Any]:
        async with self.http.post("/introspect", data={"token": boast()}) as answer:
            said: Mapping[str, Any] = await answer.json()
            return said

    async def reload(self, configuration: str) -> None:
        path = Path(self.sidecar.address.removeprefix("unix:")).parent / "jwt-sidecar.yaml"
        path.write_text(configuration)
        request = admin_service_pb2.ReloadConfigRequest()
        assert (await AdminServiceStub(self.sidecar.channel).ReloadConfig(request)).changed


@pytest.fixture
async def surfaces(tmp_path: Path) -> AsyncIterator[Surfaces]:
    async with AsyncExitStack() as stack:
        text = CONFIGURATION.replace("$GRANTS", GRANTED)
        one = await stack.enter_async_context(running(tmp_path, text))
        port = await stack.enter_async_context(upstream())
        values = {"UPSTREAM_PORT": port, "SIDECAR_SOCKET": tmp_path / "s.sock"}
        url = await stack.enter_async_context(envoy(TEMPLATE, values))
        connector = UnixConnector(str(tmp_path / "http.sock"))
        http = ClientSession("http://sidecar", connector=connector)
        client = await stack.enter_async_context(ClientSession())
        yield Surfaces(url, client, await stack.enter_async_context(http), one)


PASSES = ("/", "/read/x", "/shop/x", "/readers/x", "/blue/x")
IS_DENIED = ("/admin/x", "/billing/x", "/admins/x", "/root/x", "/kid/x")


async def test_rules_and_forwarded_headers_go_by_the_record(surfaces: Surfaces) -> None:
    for ask in (surfaces.by_envoy, surfaces.by_check):
        for path in PASSES:
            for _ in range(2):  # the second answer is one that is given again
                status, seen = await ask(path)
                assert status == 200, path
                assert (seen["x-consumer"], seen["x-jwt-subject"]) == ("jack", "billing")
                assert seen["x-jwt-roles"] == "reader"
                assert "x-jwt-issuer" not in seen
                payload = json.loads(jwt.utils.base64url_decode(seen["x-jwt-payload"]))
                assert payload.keys() == {
                    *("key", "exp", "jti", "sub", "aud", "scope", "realm_access", "team")
                }
                assert (payload["aud"], payload["scope"]) == ("shop", "read")
        for path in IS_DENIED:
            assert (await ask(path))[0] in {401, 403}, path


async def test_envoys_metadata_goes_by_the_record(surfaces: Surfaces) -> None:
    _, seen = await surfaces.by_envoy("/")
    metadata = json.loads(seen["x-metadata"])
    assert (metadata["consumer"], metadata["subject"]) == ("jack", "billing")
    assert metadata["scopes"] == ["read"]
    assert metadata["claims"]["realm_access"] == {"roles": ["reader"]}
    assert "iss" not in metadata["claims"]


async def test_introspection_goes_by_the_record(surfaces: Surfaces) -> None:
    said = dict(await surfaces.introspect())
    assert said.pop("exp")
    assert said == {
        "active": True,
        "token_type": "Bearer",
        "client_id": "jack",
        "key": "user-key",
        "jti": "t-1",
        "sub": "billing",
        "aud": "shop",
        "scope": "read",
        "realm_access": {"roles": ["reader"]},
        "team": "blue",
    }


async def test_what_services_are_told_goes_by_the_record(surfaces: Surfaces) -> None:
    """It is all that the middleware of the clients goes by."""
    one = surfaces.sidecar
    for demands in (
        {},
        {"scopes": ["read"]},
        {"audiences": ["shop"]},
        {"required_claims_json": '{"realm_access.roles":"reader","team":"blue"}'},
    ):
        said = assert_valid(await one.validate(boast(), **demands))
        assert (said.issuer, said.subject, said.consumer) == ("", "billing", "jack")
        assert (list(said.audiences), list(said.scopes)) == (["shop"], ["read"])
        assert json.loads(said.claims_json)["realm_access"] == {"roles": ["reader"]}
    for demands, reason in (
        ({"scopes": ["admin:write"]}, "SCOPE_INSUFFICIENT"),
        ({"audiences": ["billing"]}, "AUDIENCE_MISMATCH"),
        ({"required_claims_json": '{"realm_access.roles":"admin"}'}, "CLAIM_MISMATCH"),
        ({"required_claims_json": '{"iss":"https://login.example/"}'}, "CLAIM_MISSING"),
    ):
        assert_refused(await one.validate(boast(), **demands), reason, "consumer jack")


async def test_an_explanation_tells_record_and_token_apart(surfaces: Surfaces) -> None:
    request = messages.ExplainTokenRequest(request=messages.ValidateTokenRequest(token=boast()))
    explained = await surfaces.sidecar.tokens.ExplainToken(request)
    (found,) = [one.detail for one in explained.checks if one.name == "grants"]
    assert 'from its record come ["sub", "realm_access", "scope"]' in found
    assert '"team"' in found
    assert '["iss"] of the token count for nothing' in found


async def test_answers_end_with_the_record_that_they_were_given_by(surfaces: Surfaces) -> None:
    """Answers that were kept, too: a reload that takes back a grant holds at once."""

    async def answers() -> tuple[int, int, str, bool]:
        by_envoy, _ = await surfaces.by_envoy("/read/x")
        by_check, seen = await surfaces.by_check("/")
        said = await surfaces.sidecar.validate(boast(), scopes=["read"])
        return by_envoy, by_check, seen.get("x-jwt-subject", ""), said.valid

    for _ in range(2):
        assert await answers() == (200, 200, "billing", True)
    await surfaces.reload(CONFIGURATION.replace("$GRANTS", "claims: {sub: other}"))
    assert await answers() == (403, 200, "other", False)
    await surfaces.reload(CONFIGURATION.replace("$GRANTS", GRANTED))
    assert await answers() == (200, 200, "billing", True)
