"""Envoy's own filter `jwt_authn` accepts what is issued, by the keys that are published."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
import yaml
from aiohttp import ClientSession

from deploy.demo.demo import ENVOY
from deploy.demo.stage import envoy, free_port, upstream
from tests.authors import author
from tests.running import Running, running

ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
UNKNOWN_TO_ENVOY: Final = ("Ed25519", "Ed448", "ES256K", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87")
FILTER: Final = "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"
JWT_AUTHN: Final = {
    "@type": FILTER,
    "providers": {
        "internal": {
            "issuer": "https://tokens.example",
            "audiences": ["orders"],
            "claim_to_headers": [{"header_name": "x-subject", "claim_name": "sub"}],
            "remote_jwks": {
                "http_uri": {
                    "uri": "http://sidecar/.well-known/jwks.json",
                    "cluster": "sidecar",
                    "timeout": "5s",
                }
            },
        }
    },
    "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "internal"}}],
}


def template() -> str:
    """The demo's Envoy with this filter in place of the first, and the keys' cluster."""
    bootstrap = yaml.safe_load(ENVOY)["static_resources"]
    (chain,) = bootstrap["listeners"][0]["filter_chains"]
    filters = chain["filters"][0]["typed_config"]["http_filters"]
    filters[0] = {"name": "envoy.filters.http.jwt_authn", "typed_config": JWT_AUTHN}
    _, upstream_cluster = bootstrap["clusters"]
    address = {"socket_address": {"address": "127.0.0.1", "port_value": "$SIDECAR_PORT"}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    sidecar_cluster = {
        "name": "sidecar",
        "load_assignment": {"cluster_name": "sidecar", "endpoints": endpoints},
    }
    bootstrap["clusters"] = [sidecar_cluster, upstream_cluster]
    return yaml.safe_dump({"static_resources": bootstrap})


@dataclass(frozen=True)
class Stage:
    """An Envoy that fetches its keys from a sidecar, before an upstream."""

    client: ClientSession
    sidecar: Running

    async def get(self, token: str) -> tuple[int, str]:
        """The status, and what the upstream or Envoy says."""
        headers = {"authorization": f"Bearer {token}"}
        async with self.client.get("/", headers=headers) as response:
            return response.status, await response.text()


def configuration(directory: Path, http_port: int) -> str:
    """One signer with a key for each algorithm, and a secret, which is not published."""
    keys = []
    for algorithm in (*ALGORITHMS, *UNKNOWN_TO_ENVOY):
        file = directory / f"{algorithm}.pem"
        file.write_bytes(author(algorithm).private_pem())
        keys.append(
            f"{{key_id: {algorithm}, algorithm: {algorithm}, private_key: {{file: {file.name}}}}}"
        )
    keys.append(f"{{key_id: hs, algorithm: HS256, secret: {{value: {'s' * 32}}}}}")
    return f"""
        listeners: [{{address: 'unix:s.sock', services: [issue]}}]
        http: {{address: '127.0.0.1:{http_port}', serve: [jwks]}}
        signers:
          - name: internal
            issuer: https://tokens.example
            audiences: [orders]
            keys: [{", ".join(keys)}]
        shutdown: {{drain: 0s, grace: 1s}}
    """


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    directory, port = tmp_path_factory.mktemp("jwt_authn"), free_port()
    async with AsyncExitStack() as stack:
        sidecar = await stack.enter_async_context(
            running(directory, configuration(directory, port))
        )
        upstream_port = await stack.enter_async_context(upstream())
        values = {"SIDECAR_PORT": port, "UPSTREAM_PORT": upstream_port}
        url = await stack.enter_async_context(envoy(template(), values))
        yield Stage(await stack.enter_async_context(ClientSession(url)), sidecar)


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_an_issued_token_passes(stage: Stage, algorithm: str) -> None:
    token = await stage.sidecar.issue(subject="alice", algorithm=algorithm)
    status, said = await stage.get(token)
    assert status == 200, said
    assert '["x-subject", "alice"]' in said


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("part", ["header", "claims", "signature"])
async def test_a_changed_token_does_not(stage: Stage, algorithm: str, part: str) -> None:
    token = await stage.sidecar.issue(subject="alice", algorithm=algorithm)
    parts = dict(zip(("header", "claims", "signature"), token.split("."), strict=True))
    at = len(parts[part]) // 2
    other = "A" if parts[part][at] != "A" else "B"
    parts[part] = parts[part][:at] + other + parts[part][at + 1 :]
    status, said = await stage.get(".".join(parts.values()))
    assert status == 401, said


@pytest.mark.parametrize("algorithm", [*UNKNOWN_TO_ENVOY, "HS256"])
async def test_what_envoy_can_not_verify_does_not_pass(stage: Stage, algorithm: str) -> None:
    """Its key stands between those that Envoy does use, or is a secret and not published."""
    token = await stage.sidecar.issue(subject="alice", algorithm=algorithm)
    status, said = await stage.get(token)
    assert status == 401, said
    assert "alg" in said
