"""How much clients are told, through a real Envoy, a real nginx and each kind of listener."""

import json
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientSession, UnixConnector
from envoy.service.auth.v3 import external_auth_pb2

from deploy.demo.stage import envoy, free_port, nginx, sidecar, upstream
from sidecar.authorization.generic import GENERIC
from sidecar.token.reason import Reason
from tests.integration.test_envoy import CONFIGURATION, ENVOY, mint, unverifiable
from tests.running import running

NGINX = Path("deploy/nginx/jwt-sidecar.conf").read_text()
RULES = """
  rules:
    - name: blue-rule
      match: {path_prefix: /condition/}
      require: {condition: claims.tenant == "blue-tenant"}
    - name: large-rule
      match: {path_prefix: /issuer/}
      require: {issuers: [large]}
    - name: web-rule
      match: {path_prefix: /audience/}
      require: {audiences: [web-audience]}
    - name: role-rule
      match: {path_prefix: /claim/}
      require: {claims: {roles: [boss-role]}}
    - name: scope-rule
      match: {path_prefix: /scope/}
      require: {scopes: [protocol-scope]}
    - name: near-rule
      match: {path_prefix: /near/}
      addresses: {allow: [192.0.2.0/24]}
"""
CONFIGURED = (
    "blue-tenant",
    "-rule",
    "corp",
    "login.example",
    "large",
    "away.example",
    "jack",
    "web-audience",
    "boss-role",
    "shop]",
    "access_token",
    "192.0.2",
    "claims.",
)
"""What is in the configuration and not for strangers; the realm is `shop`."""
OF_THE_TOKEN = ("mallory-sub", "red-tenant", "evil.example", "key-of-mallory", "odd-audience")
ALG_NONE = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUvIn0.AAAA"
DENIALS: Mapping[str, tuple[str, str | None, int, Reason]] = {
    "no token": ("/", None, 401, Reason.TOKEN_MISSING),
    "no JWT": ("/", "a.b", 401, Reason.TOKEN_MALFORMED),
    "unknown issuer": ("/", mint(iss="https://evil.example"), 401, Reason.ISSUER_UNKNOWN),
    "unsigned": ("/", ALG_NONE, 401, Reason.ALGORITHM_NOT_ALLOWED),
    "forged": ("/", mint()[:-6] + "AAAAAA", 401, Reason.SIGNATURE_INVALID),
    "expired": ("/", mint(exp=1_700_000_000), 401, Reason.EXPIRED),
    "audience": ("/", mint(aud="odd-audience"), 401, Reason.AUDIENCE_MISMATCH),
    "no exp": ("/", mint(exp=None), 401, Reason.CLAIM_MISSING),
    "no consumer": ("/", mint(iss=None, key="key-of-mallory"), 401, Reason.CONSUMER_UNKNOWN),
    "bound": ("/", mint(cnf={"jkt": "x"}), 401, Reason.PROOF_INVALID),
    "keys away": ("/", unverifiable(), 503, Reason.KEYS_UNAVAILABLE),
    "condition": ("/condition/", mint(tenant="red-tenant"), 403, Reason.RULE_DENIED),
    "issuer of the rule": ("/issuer/", mint(sub="mallory-sub"), 403, Reason.RULE_DENIED),
    "audience of the rule": ("/audience/", mint(), 403, Reason.RULE_DENIED),
    "claim of the rule": ("/claim/", mint(roles=["mallory-sub"]), 403, Reason.RULE_DENIED),
    "scope of the rule": ("/scope/", mint(scope="mallory-sub"), 403, Reason.SCOPE_INSUFFICIENT),
    "address of the rule": ("/near/", mint(), 403, Reason.ADDRESS_DENIED),
}
SETTINGS = {
    "full": "details: full",
    "reason": "details: reason",
    "none": "details: none",
    "reason-without-body": "details: reason, body: none",
}


def configuration(denied: str = "") -> str:
    text = CONFIGURATION % ("auto", "http://127.0.0.1:9/jwks.json")
    assert "\n  denied: {realm: shop}" in text
    return text.replace(
        "\n  denied: {realm: shop}", f"{RULES}  denied: {{realm: shop{denied and ', '}{denied}}}"
    )


@dataclass(frozen=True)
class Told:
    """All that a client gets to see."""

    status: int
    challenge: str
    body: str
    everything: str


async def told(client: ClientSession, url: str, headers: Mapping[str, str]) -> Told:
    async with client.get(url, headers=headers) as answer:
        body = await answer.text()
        everything = f"{answer.reason} {dict(answer.headers)} {body}"
        return Told(answer.status, answer.headers.get("www-authenticate", ""), body, everything)


def assert_told(told: Told, setting: str, status: int, reason: Reason, has_body: bool) -> None:
    assert told.status == status
    everything = told.everything
    if setting != "full":
        assert not [one for one in (*CONFIGURED, *OF_THE_TOKEN) if one in everything]
    if setting == "none":
        assert re.fullmatch(r'((Bearer|DPoP) realm="shop"(, algs="[^"]*")?)?', told.challenge)
        assert bool(told.challenge) == (status == 401)
        assert reason.name not in everything.upper()
        assert not has_body or told.body == ""
        return
    if reason is Reason.SCOPE_INSUFFICIENT:
        assert 'scope="protocol-scope"' in told.challenge
    if setting == "reason" and has_body:
        assert json.loads(told.body) == {
            "error": reason.name.lower(),
            "reason": f"REASON_{reason.name}",
            "message": GENERIC[reason],
        }
    if status == 401 and reason is not Reason.TOKEN_MISSING:
        assert (f'error_description="{GENERIC[reason]}"' in told.challenge) == (setting != "full")


@pytest.fixture(scope="module", params=list(SETTINGS))
def setting(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def urls(
    setting: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Mapping[str, str]]:
    directory = tmp_path_factory.mktemp("details")
    path = directory / "jwt-sidecar.yaml"
    path.write_text(
        configuration(SETTINGS[setting]) + "http: {address: 'unix:http.sock', serve: [check]}\n"
    )
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(upstream())
        await stack.enter_async_context(sidecar(path))
        values = {"UPSTREAM_PORT": port, "SIDECAR_SOCKET": directory / "sidecar.sock"}
        urls = {"envoy": await stack.enter_async_context(envoy(ENVOY, values))}
        if shutil.which("nginx"):
            site = NGINX.replace(
                "unix:/run/jwt-sidecar/http.sock", f"unix:{directory}/http.sock"
            ).replace("127.0.0.1:8080", f"127.0.0.1:{port}")
            urls["nginx"] = await stack.enter_async_context(nginx(directory, site))
        yield urls


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("proxy", ["envoy", "nginx"])
@pytest.mark.parametrize("denial", DENIALS)
async def test_a_client_is_told_no_more_than_the_setting_allows(
    urls: Mapping[str, str], setting: str, denial: str, proxy: str
) -> None:
    if proxy not in urls:
        pytest.skip("needs nginx (Debian and Ubuntu: apt install nginx)")
    target, token, status, reason = DENIALS[denial]
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with ClientSession() as client:
        found = await told(client, urls[proxy] + target, headers)
    # nginx answers with a page of its own.
    assert_told(found, setting, status, reason, has_body=proxy == "envoy")


def described(target: str, token: str | None) -> dict[str, str]:
    headers = {
        "x-forwarded-method": "GET",
        "x-forwarded-uri": target,
        "x-forwarded-host": "shop.example.com",
    }
    return {**headers, "authorization": f"Bearer {token}"} if token else headers


@pytest.mark.parametrize(
    ("address", "setting"),
    [
        pytest.param("unix:http.sock", "full", id="Unix socket"),
        pytest.param("127.0.0.1:{port}", "full", id="loopback"),
        pytest.param("0.0.0.0:{port}", "reason", id="network"),
    ],
)
async def test_the_default_of_check_is_that_of_its_listener(
    tmp_path: Path, address: str, setting: str
) -> None:
    port = free_port()
    http = f"http: {{address: '{address.format(port=port)}', serve: [check]}}\n"
    async with running(tmp_path, configuration() + http), AsyncExitStack() as stack:
        unix = address.startswith("unix:")
        connector = UnixConnector(str(tmp_path / "http.sock")) if unix else None
        client = await stack.enter_async_context(ClientSession(connector=connector))
        url = f"http://127.0.0.1:{port}/check"
        for target, token, status, reason in DENIALS.values():
            found = await told(client, url, described(target, token))
            assert_told(found, setting, status, reason, has_body=True)
        found = await told(client, url, {})
        assert found.status == 400
        assert ("x-forwarded-method" in found.body) == (setting == "full")


def asked(target: str, token: str | None) -> external_auth_pb2.CheckRequest:
    message = external_auth_pb2.CheckRequest()
    http = message.attributes.request.http
    http.method, http.host, http.path = "GET", "shop.example.com", target
    if token:
        http.headers["authorization"] = f"Bearer {token}"
    return message


@pytest.mark.parametrize(
    ("address", "setting"),
    [
        pytest.param("unix:sidecar.sock", "full", id="Unix socket"),
        pytest.param("127.0.0.1:{port}", "full", id="loopback"),
        pytest.param("0.0.0.0:{port}", "reason", id="network"),
    ],
)
async def test_the_default_of_ext_authz_is_that_of_its_listener(
    tmp_path: Path, address: str, setting: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Dynamic metadata is Envoy's, and the log is the operator's: neither changes."""
    port = free_port()
    text = configuration().replace("unix:sidecar.sock", address.format(port=port))
    caplog.set_level("INFO", "sidecar.decisions")
    async with running(tmp_path, text) as one:
        check = one.channel.unary_unary(
            "/envoy.service.auth.v3.Authorization/Check",
            request_serializer=external_auth_pb2.CheckRequest.SerializeToString,
            response_deserializer=external_auth_pb2.CheckResponse.FromString,
        )
        for target, token, status, reason in DENIALS.values():
            answer = await check(asked(target, token))
            denied = answer.denied_response
            headers = {option.header.key: option.header.value for option in denied.headers}
            found = Told(
                denied.status.code,
                headers.get("www-authenticate", ""),
                denied.body,
                str(denied),
            )
            assert_told(found, setting, status, reason, has_body=True)
            assert answer.dynamic_metadata["reason"] == f"REASON_{reason.name}"
    assert "blue-tenant" in caplog.text
