"""The ready-made configurations in deploy/, started for real where the proxy can be had."""

import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from yarl import URL

from deploy.demo.stage import caddy, envoy, free_port, sidecar
from sidecar.config.load import load
from tests.integration.test_envoy import mint
from tests.raw_http import Arrived, upstream
from tests.running import SECRET

DEPLOY = Path("deploy")
FORWARDED = {"x-jwt-subject", "x-jwt-roles", "x-jwt-payload", "x-consumer", "x-plan"}
CARRIERS = {"authorization", "cookie", "dpop"}


def caddy_is_new() -> bool:
    """Whether there is one that removes the headers which a client must not set."""
    if shutil.which("caddy") is None:
        return False
    asked = ["caddy", "build-info"]  # its version is unknown where Go has built it
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    found = re.search(r"caddyserver/caddy/v2\s+v(\d+)\.(\d+)\.(\d+)", said)
    return found is not None and tuple(map(int, found.groups())) >= (2, 11, 2)


CALLERS = {"nginx": "jwt-sidecar.yaml", "envoy": "jwt-sidecar.yaml"}
ENVOY = (DEPLOY / "envoy/envoy.yaml").read_text()


def documents(*paths: str) -> list[Any]:
    return [one for path in paths for one in yaml.safe_load_all((DEPLOY / path).read_text())]


@pytest.mark.parametrize("folder", CALLERS)
def test_the_sidecars_configurations_are_valid(folder: str) -> None:
    load(DEPLOY / folder / CALLERS[folder], {})


def test_the_one_in_istios_pod_is_valid(tmp_path: Path) -> None:
    (settings,) = [
        one["data"]["jwt-sidecar.yaml"]
        for one in documents("istio/deployment.yaml")
        if one["kind"] == "ConfigMap"
    ]
    (tmp_path / "jwt-sidecar.yaml").write_text(settings)
    found = load(tmp_path / "jwt-sidecar.yaml", {}).settings
    for_envoy, outside = found.listeners
    assert str(for_envoy.address) == "127.0.0.1:9191"
    assert (str(outside.address), outside.services) == ("0.0.0.0:9192", ())


def test_the_kubelet_asks_for_health_past_envoy() -> None:
    (pod,) = [
        one["spec"]["template"]
        for one in documents("istio/deployment.yaml")
        if one["kind"] == "Deployment"
    ]
    (container,) = pod["spec"]["initContainers"]
    for kind in ("startup", "readiness"):
        assert container[f"{kind}Probe"]["grpc"] == {"port": 9192}
    annotations = pod["metadata"]["annotations"]
    assert annotations["traffic.sidecar.istio.io/excludeInboundPorts"] == "9192"


def test_istio_finds_the_sidecar_by_one_name() -> None:
    mesh, entry, policy = documents(
        "istio/mesh.yaml", "istio/service-entry.yaml", "istio/policy.yaml"
    )
    (provider,) = mesh["spec"]["meshConfig"]["extensionProviders"]
    grpc = provider["envoyExtAuthzGrpc"]
    assert policy["spec"]["provider"]["name"] == provider["name"]
    assert entry["spec"]["hosts"] == [grpc["service"]]
    assert entry["spec"]["ports"][0]["number"] == grpc["port"]
    assert grpc["failOpen"] is False


def headers_of(proxy: str) -> set[str]:
    """The headers that a proxy takes from the sidecar's answer alone, in lower case."""
    if proxy == "traefik":
        (found,) = documents("traefik/dynamic.yaml")
        middleware = found["http"]["middlewares"]["jwt-sidecar"]["forwardAuth"]
        assert middleware["trustForwardHeader"] is False
        names = middleware["authResponseHeaders"]
    elif proxy == "apisix":
        (found,) = documents("apisix/apisix.yaml")
        plugin = found["routes"][0]["plugins"]["forward-auth"]
        assert plugin["allow_degradation"] is False
        names = plugin["upstream_headers"]
    else:
        text = (DEPLOY / "caddy/Caddyfile").read_text()
        names = text.partition("copy_headers ")[2].partition("\n")[0].split()
    return {name.lower() for name in names}


@pytest.mark.parametrize("proxy", ["traefik", "caddy", "apisix"])
def test_a_client_sets_no_header_that_the_sidecar_does(proxy: str) -> None:
    found = load(DEPLOY / "nginx/jwt-sidecar.yaml", {}).settings.authorization
    assert found is not None
    forward = found.forward
    named = {*forward.headers, *forward.label_headers}
    named |= {one for one in (forward.payload_header, forward.consumer_header) if one}
    assert named == FORWARDED
    assert headers_of(proxy) == FORWARDED | CARRIERS


@asynccontextmanager
async def deployed(directory: Path, address: str) -> AsyncIterator[tuple[str, Path]]:
    """Envoy by deploy/envoy with a real sidecar and upstream: its URL, and its access log."""
    text = (DEPLOY / "envoy/jwt-sidecar.yaml").read_text()
    changes = {"unix:/run/jwt-sidecar/sidecar.sock": address, **OUR_ISSUER}
    (directory / "jwt-sidecar.yaml").write_text(replaced(text, changes) + AT_ONCE)
    log = directory / "access.log"
    async with AsyncExitStack() as stack:
        port, _ = await stack.enter_async_context(upstream())
        await stack.enter_async_context(sidecar(directory / "jwt-sidecar.yaml"))
        pipe = "pipe: {path: /run/jwt-sidecar/sidecar.sock}"
        host, _, number = address.rpartition(":")
        socket = f"pipe: {{path: {directory}/sidecar.sock}}"
        tcp = f"socket_address: {{address: {host}, port_value: {number}}}"
        template = replaced(
            ENVOY,
            {
                "0.0.0.0, port_value: 8080": "127.0.0.1, port_value: $INGRESS_PORT",
                "port_value: 8081": f"port_value: {port}",
                pipe: socket if host == "unix" else tcp,
                "timeout: 1s": "timeout: 10s",  # for a busy machine
                "access_loggers.stream.v3.StdoutAccessLog": (
                    f"access_loggers.file.v3.FileAccessLog\n{' ' * 22}path: {log}"
                ),
            },
        )
        yield await stack.enter_async_context(envoy(template, {})), log


AT_ONCE = "shutdown: {drain: 0s, grace: 1s}\n"
OUR_ISSUER = {
    "keys: {discovery: true}": f"keys: {{secret: {{value: {SECRET}}}}}\n    algorithms: [HS256]",
    "https://login.example.com/": "https://login.example/",
}


def replaced(text: str, changes: Mapping[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


ALICE, BOB, MALLORY = (mint(sub=name) for name in ("alice", "bob", "mallory"))
ADMIN = mint(scope="admin:write")


@pytest.mark.parametrize("transport", ["unix", "tcp"])
async def test_envoy_decides_limits_and_logs_by_what_the_token_says(
    tmp_path: Path, transport: str
) -> None:
    address = "unix:sidecar.sock" if transport == "unix" else f"127.0.0.1:{free_port()}"
    async with deployed(tmp_path, address) as (url, log), aiohttp.ClientSession() as client:

        async def status(path: str, token: str = "") -> int:
            headers = {"authorization": f"Bearer {token}"} if token else {}
            async with client.get(
                URL(url + path, encoded=True), headers=headers, allow_redirects=False
            ) as answer:
                return answer.status

        assert await status("/ready") == 200
        assert await status("/healthz") == 200
        assert await status("/orders") == 401
        assert await status("/orders", ALICE) == 200
        assert await status("/admin/users", ALICE) == 403
        assert await status("/admin/users", ADMIN) == 200
        assert await status("//admin//users", ALICE) == 403
        assert await status("/x/../admin/users", ALICE) == 403
        assert await status("/x/..%2Fadmin/users", ALICE) == 307
        assert await status("/reports/q3", ALICE) == 200
        assert await status("/reports/q3", BOB) == 403
        assert [await status("/orders", MALLORY) for _ in range(3)] == [200, 200, 429]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    of_alice = {
        "method": "GET",
        "status": 200,
        "issuer": "corp",
        "subject": "alice",
        "reason": None,
    }
    assert {**of_alice, "rule": ""} in lines
    assert {**of_alice, "rule": "admin"} in lines
    assert [one["reason"] for one in lines].count("REASON_SCOPE_INSUFFICIENT") == 3


@pytest.mark.skipif(
    not caddy_is_new(),
    reason="needs Caddy 2.11.2: go install github.com/caddyserver/caddy/v2/cmd/caddy@v2.11.2",
)
async def test_caddy_asks_about_every_request(tmp_path: Path) -> None:
    text = (DEPLOY / "nginx/jwt-sidecar.yaml").read_text()
    check = f"127.0.0.1:{free_port()}"
    (tmp_path / "jwt-sidecar.yaml").write_text(
        replaced(
            text,
            {
                "unix:/run/jwt-sidecar/sidecar.sock": "unix:sidecar.sock",
                "unix:/run/jwt-sidecar/http.sock": check,
                **OUR_ISSUER,
            },
        )
        + AT_ONCE
    )
    async with AsyncExitStack() as stack:
        port, arrived = await stack.enter_async_context(upstream())
        await stack.enter_async_context(sidecar(tmp_path / "jwt-sidecar.yaml"))
        site = replaced(
            (DEPLOY / "caddy/Caddyfile").read_text(),
            {"127.0.0.1:9192 {": f"{check} {{", "127.0.0.1:8080": f"127.0.0.1:{port}"},
        )
        url = await stack.enter_async_context(caddy(tmp_path, site))
        client = await stack.enter_async_context(aiohttp.ClientSession())
        arrived.clear()
        headers = [("authorization", f"Bearer {ALICE}"), *SMUGGLED]
        async with client.post(f"{url}/orders?a=1", headers=headers, data=b"x") as answer:
            assert answer.status == 200
        (seen,) = arrived
        assert (seen.method, seen.target) == ("POST", "/orders?a=1")
        assert shown(seen) == {"x-jwt-subject": "alice", "x-jwt-payload": ALICE.split(".")[1]}
        async with client.get(f"{url}/orders", headers=SMUGGLED) as answer:
            assert answer.status == 401
            assert answer.headers["www-authenticate"].startswith("Bearer ")
        assert len(arrived) == 1


SMUGGLED = [
    *((name, "mallory") for name in sorted(FORWARDED)),
    *(("x-original-uri", "/healthz"), ("x-original-url", "http://h/"), ("x-forwarded-uri", "/")),
]


def shown(seen: Arrived) -> dict[str, str]:
    return {
        name.lower(): value
        for name, value in seen.headers.items()
        if name.lower() in FORWARDED | CARRIERS
    }
