"""What a real Envoy lets through, and what its upstream sees."""

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
import pytest_asyncio
from aiohttp import ClientSession
from multidict import CIMultiDict
from yarl import URL

from deploy.demo import demo
from deploy.demo.stage import envoy, sidecar, upstream
from tests.authors import author
from tests.running import SECRET, TRANSPORTS
from tests.tokens import sign

LARGE = author("ML-DSA-87")
"""Signs the largest of all tokens."""
CONFIGURATION = f"""
listeners: [{{address: 'unix:sidecar.sock', services: [ext_authz], transport: %s}}]
issuers:
  - name: corp
    issuer: https://login.example/
    keys: {{secret: {{value: {SECRET}}}}}
    algorithms: [HS256]
    audiences: [shop]
  - name: large
    issuer: https://large.example/
    keys: {{inline: {{keys: [{json.dumps(LARGE.jwk())}]}}}}
    audiences: [shop]
  - name: away
    issuer: https://away.example/
    keys: {{url: '%s', required: false, timeout: 30s}}
    audiences: [shop]
consumers:
  list:
    - {{name: jack, key: user-key, algorithm: HS256, secret: {{value: {SECRET}}},
       labels: {{plan: gold}}}}
authorization:
  token_from:
    - {{header: authorization, prefix: "Bearer "}}
    - {{query: access_token}}
    - {{cookie: session}}
  forward:
    headers: {{x-jwt-subject: sub, x-jwt-roles: realm_access.roles}}
    payload_header: x-jwt-payload
    consumer_header: x-consumer
    label_headers: {{x-plan: plan}}
  denied: {{realm: shop}}
shutdown: {{drain: 0s, grace: 1s}}
"""
METADATA_HEADER = """
                  request_headers_to_add:
                    - header:
                        key: x-metadata
                        value: "%DYNAMIC_METADATA(envoy.filters.http.ext_authz)%"
"""
ENVOY = demo.ENVOY.replace("timeout: 1s", "timeout: 10s")
"""The demo's, with more patience: what it decides on a busy machine is no outage."""
FORWARDED = ("x-jwt-subject", "x-jwt-roles", "x-jwt-payload", "x-consumer", "x-plan")


@dataclass(frozen=True)
class Answer:
    """What a client got, and what the upstream saw where the request came through."""

    status: int
    headers: CIMultiDict[str]
    body: Mapping[str, Any]

    @property
    def seen(self) -> CIMultiDict[str]:
        assert self.status == 200, self.body
        return CIMultiDict(self.body["headers"])

    def assert_denied(self, status: int, reason: str) -> None:
        assert (self.status, self.body.get("reason")) == (status, f"REASON_{reason}")


@dataclass(frozen=True)
class Stage:
    """A running Envoy before an upstream, with a sidecar beside it."""

    url: str
    client: ClientSession
    sidecar: asyncio.subprocess.Process

    async def get(self, target: str = "/", *headers: tuple[str, str]) -> Answer:
        url = URL(self.url + target, encoded=True)
        async with self.client.get(url, headers=CIMultiDict(headers)) as response:
            text = await response.text()
            body = json.loads(text) if text.startswith("{") else {"text": text}
            return Answer(response.status, CIMultiDict(response.headers), body)


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=[
        pytest.param(("native", True), id="native-raw_headers"),
        pytest.param(("grpcio", False), id="grpcio-headers"),
    ],
)
async def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    transport, raw = request.param
    async with AsyncExitStack() as stack:
        yield await set_up(stack, tmp_path_factory.mktemp("envoy"), transport, raw)


async def set_up(
    stack: AsyncExitStack,
    directory: Path,
    transport: str,
    raw: bool,
    *,
    allow: bool = False,
    keys_url: str = "http://127.0.0.1:9/jwks.json",
    template: str = ENVOY,
) -> Stage:
    """A stage in a directory; `allow` is Envoy's `failure_mode_allow`."""
    configuration = directory / "jwt-sidecar.yaml"
    configuration.write_text(CONFIGURATION % (transport, keys_url))
    for old, new in (
        ("encode_raw_headers: true", f"encode_raw_headers: {str(raw).lower()}"),
        ("failure_mode_allow: false", f"failure_mode_allow: {str(allow).lower()}"),
        ("route_config:\n", f"route_config:{METADATA_HEADER}"),
    ):
        template = template.replace(old, new)
    process = await stack.enter_async_context(sidecar(configuration))
    values = {
        "UPSTREAM_PORT": await stack.enter_async_context(upstream()),
        "SIDECAR_SOCKET": directory / "sidecar.sock",
    }
    url = await stack.enter_async_context(envoy(template, values))
    client = await stack.enter_async_context(ClientSession())
    return Stage(url, client, process)


def mint(**claims: object) -> str:
    """A token of issuer corp for alice, with these claims changed; None leaves one out."""
    usual = {"iss": "https://login.example/", "aud": "shop", "sub": "alice"}
    said = {**usual, "exp": int(time.time()) + 600, **claims}
    return jwt.encode({name: one for name, one in said.items() if one is not None}, SECRET, "HS256")


def unverifiable() -> str:
    """A token whose issuer's keys are not there."""
    header = jwt.utils.base64url_encode(b'{"alg":"RS256","kid":"k"}').decode()
    return ".".join([header, *mint(iss="https://away.example/").split(".")[1:]])


def bearer(token: str) -> tuple[str, str]:
    return ("authorization", f"Bearer {token}")


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_without_a_token_the_client_is_asked_for_one(stage: Stage) -> None:
    answer = await stage.get()
    answer.assert_denied(401, "TOKEN_MISSING")
    assert answer.headers["www-authenticate"] == 'Bearer realm="shop"'
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        pytest.param(mint(exp=1_700_000_000), "EXPIRED", id="expired"),
        pytest.param(mint()[:-6] + "AAAAAA", "SIGNATURE_INVALID", id="forged"),
        pytest.param(mint(aud="web"), "AUDIENCE_MISMATCH", id="for somebody else"),
        pytest.param(mint(iss="https://evil.example"), "ISSUER_UNKNOWN", id="from nobody we know"),
        pytest.param("x" * 20_000, "TOKEN_TOO_LARGE", id="too large"),
        pytest.param("", "TOKEN_MALFORMED", id="an empty bearer"),
    ],
)
async def test_a_refused_token_is_401_with_the_reason(
    stage: Stage, token: str, reason: str
) -> None:
    answer = await stage.get("/", bearer(token))
    answer.assert_denied(401, reason)
    assert answer.headers["www-authenticate"].startswith(
        'Bearer realm="shop", error="invalid_token", error_description="'
    )


async def test_keys_that_are_not_there_are_503_and_never_a_yes(stage: Stage) -> None:
    answer = await stage.get("/", bearer(mint(iss="https://away.example/")))
    # An HS256 token for an issuer with remote keys fails before its keys are asked for.
    answer.assert_denied(401, "ALGORITHM_NOT_ALLOWED")
    answer = await stage.get("/", bearer(unverifiable()))
    answer.assert_denied(503, "KEYS_UNAVAILABLE")
    assert "retry-after" in answer.headers


async def test_the_upstream_sees_the_claims_and_not_the_token(stage: Stage) -> None:
    token = mint(realm_access={"roles": ["admin", "ops"]})
    seen = (await stage.get("/a?b=c", bearer(token))).seen
    assert seen["x-jwt-subject"] == "alice"
    assert seen["x-jwt-roles"] == "admin,ops"
    payload = jwt.utils.base64url_decode(seen["x-jwt-payload"])
    assert payload == jwt.utils.base64url_decode(token.split(".")[1])
    assert "authorization" not in seen


async def test_a_consumer_is_named_to_the_upstream(stage: Stage) -> None:
    token = mint(iss=None, aud=None, key="user-key")
    seen = (await stage.get("/", bearer(token))).seen
    assert (seen["x-consumer"], seen["x-plan"]) == ("jack", "gold")


@pytest.mark.parametrize("name", FORWARDED)
@pytest.mark.parametrize("spelled", [str.lower, str.upper, str.title])
async def test_a_client_cannot_set_a_forwarded_header(
    stage: Stage, name: str, spelled: Any
) -> None:
    spoofed = [(spelled(name), "mallory"), (spelled(name), "eve")]
    seen = (await stage.get("/", bearer(mint()), *spoofed)).seen
    assert not {"mallory", "eve", "mallory,eve"} & set(seen.getall(name, []))
    assert len(seen.getall(name, [])) <= 1


async def test_a_claim_that_would_split_a_header_is_left_out(stage: Stage) -> None:
    seen = (await stage.get("/", bearer(mint(sub="alice\r\nx-consumer: admin")))).seen
    assert "x-jwt-subject" not in seen
    assert "x-consumer" not in seen


async def test_a_token_in_the_query_is_taken_out_of_it(stage: Stage) -> None:
    answer = await stage.get(f"/a?x=1&access_token={mint()}&y=2")
    assert answer.seen["x-jwt-subject"] == "alice"
    assert answer.body["target"] == "/a?x=1&y=2"


async def test_a_token_in_a_cookie_is_taken_out_of_it(stage: Stage) -> None:
    answer = await stage.get("/", ("cookie", f"theme=dark; session={mint()}; lang=en"))
    assert answer.seen["cookie"] == "theme=dark; lang=en"


async def test_the_only_cookie_goes_with_its_header(stage: Stage) -> None:
    assert "cookie" not in (await stage.get("/", ("cookie", f"session={mint()}"))).seen


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        pytest.param("/", [bearer(mint()), bearer(mint(sub="bob"))], id="two authorizations"),
        pytest.param("/", [bearer(mint()), bearer("x")], id="a good one and a bad one"),
        pytest.param(
            "/", [("authorization", "Basic eDp5"), bearer(mint())], id="basic and then bearer"
        ),
        pytest.param("/", [("authorization", f"Bearer {mint()}, Bearer x")], id="two in one"),
        pytest.param(f"/?access_token={mint(sub='bob')}", [bearer(mint())], id="query and header"),
        pytest.param(f"/?access_token={mint()}&access_token=x", [], id="the parameter twice"),
        pytest.param("/", [("cookie", f"session={mint()}; session=x")], id="the cookie twice"),
    ],
)
async def test_two_tokens_are_refused_and_not_chosen_from(
    stage: Stage, target: str, headers: list[tuple[str, str]]
) -> None:
    (await stage.get(target, *headers)).assert_denied(401, "TOKEN_MALFORMED")


@pytest.mark.parametrize("place", ["authorization", "cookie", "query"])
async def test_a_token_of_ml_dsa_87_fits_in_each_place(stage: Stage, place: str) -> None:
    claims = {"iss": "https://large.example/", "aud": "shop", "sub": "alice"}
    header = {"alg": "ML-DSA-87", "kid": LARGE.key_id}
    token = sign(header, {**claims, "exp": int(time.time()) + 600}, LARGE)
    headers = {"authorization": bearer(token), "cookie": ("cookie", f"session={token}")}
    target = f"/?access_token={token}" if place == "query" else "/"
    answer = await stage.get(target, *(headers[name] for name in headers if name == place))
    assert answer.seen["x-jwt-subject"] == "alice"


async def test_another_scheme_is_no_token(stage: Stage) -> None:
    answer = await stage.get("/", ("authorization", "Basic dXNlcjpwYXNz"))
    answer.assert_denied(401, "TOKEN_MISSING")


async def test_the_scheme_is_compared_without_case(stage: Stage) -> None:
    assert (await stage.get("/", ("authorization", f"bEARER {mint()}"))).seen


async def test_claims_are_there_for_other_filters_as_metadata(stage: Stage) -> None:
    answer = await stage.get("/", bearer(mint(jti="j1", tenant={"id": 7}, scope="read write")))
    said = json.loads(answer.seen["x-metadata"])
    assert (said["issuer"], said["subject"], said["token_id"]) == ("corp", "alice", "j1")
    assert said["scopes"] == ["read", "write"]
    assert said["claims"]["tenant"] == {"id": 7}


@pytest.mark.parametrize("allow", [False, True])
async def test_a_sidecar_that_is_gone_leaves_it_to_envoy(tmp_path: Path, allow: bool) -> None:
    async with AsyncExitStack() as stack:
        stage = await set_up(stack, tmp_path, "native", True, allow=allow)
        assert (await stage.get("/", bearer(mint()))).seen
        os.kill(stage.sidecar.pid, signal.SIGKILL)
        await stage.sidecar.wait()
        assert (await stage.get("/", bearer(mint()))).status == (200 if allow else 503)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_outage_of_keys_is_a_denial_where_failures_are_allowed(
    tmp_path: Path, transport: str
) -> None:
    async with AsyncExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        hanging = f"http://127.0.0.1:{silent.getsockname()[1]}/jwks.json"
        stage = await set_up(stack, tmp_path, transport, True, allow=True, keys_url=hanging)
        (await stage.get("/", bearer(unverifiable()))).assert_denied(503, "KEYS_UNAVAILABLE")
