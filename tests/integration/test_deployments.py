"""The ready-made configurations in deploy/, started for real where the proxy can be had."""

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import yaml
from yarl import URL

from deploy.demo.stage import caddy, envoy, free_port, nginx, sidecar
from sidecar.config.load import load
from tests.integration.test_envoy import mint
from tests.raw_http import Arrived, Response, send, upstream
from tests.running import SECRET

DEPLOY = Path("deploy")
FORWARDED = {"x-jwt-subject", "x-jwt-roles", "x-jwt-payload", "x-consumer", "x-plan"}
CARRIERS = {"authorization", "cookie", "dpop"}
OTHER_WORDS: Final = {
    *("x-original-url", "x-original-uri", "x-rewrite-url", "x-original-method"),
    *("x-forwarded-uri", "x-forwarded-prefix", "x-forwarded-path", "x-forwarded-method"),
    *("x-http-method", "x-http-method-override", "x-method-override"),
}
"""Headers in which a client may tell an upstream of another path or method."""
MARKS: Final = "-!#$%&'*+.^_`|~"
"""What a header's name may have beside letters and digits: to some upstreams all are one."""
SMUGGLED: Final = [
    *((name, "mallory") for name in sorted(FORWARDED)),
    *((name, "/mallory") for name in sorted(OTHER_WORDS)),
]


def spelled(name: str, mark: str) -> str:
    """Another spelling of a header."""
    return name.replace("-", mark)


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


@pytest.mark.parametrize("file", ["envoy/envoy.yaml", "compose/envoy.yaml"])
def test_envoy_tells_the_upstream_of_no_other_path_or_method(file: str) -> None:
    (found,) = documents(file)
    manager = found["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0][
        "typed_config"
    ]
    first = manager["http_filters"][0]
    assert first["name"] == "envoy.filters.http.header_mutation"  # before ext_authz, for conditions
    patterns = [
        one["remove_on_match"]["key_matcher"]["safe_regex"]["regex"]
        for one in first["typed_config"]["mutations"]["request_mutations"]
    ]
    usual = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id"}
    names = {spelled(name, mark) for name in OTHER_WORDS for mark in MARKS} | usual
    removed = {name for name in names if any(re.fullmatch(one, name) for one in patterns)}
    assert removed == names - usual
    assert manager["common_http_protocol_options"] == {
        "headers_with_underscores_action": "DROP_HEADER"
    }
    assert manager["normalize_path"] is True
    assert manager["merge_slashes"] is True
    assert manager["path_with_escaped_slashes_action"] == "UNESCAPE_AND_REDIRECT"


def test_so_do_traefik_and_apisix() -> None:
    (traefik,) = documents("traefik/dynamic.yaml")
    removed = traefik["http"]["middlewares"]["described-by-traefik"]["headers"]
    assert {name.lower() for name in removed["customRequestHeaders"]} == {
        *OTHER_WORDS,
        "forwarded",
    }
    assert set(removed["customRequestHeaders"].values()) == {""}
    (apisix,) = documents("apisix/apisix.yaml")
    rewritten = apisix["routes"][0]["plugins"]["proxy-rewrite"]["headers"]
    assert {name.lower() for name in rewritten["remove"]} == {*OTHER_WORDS, "forwarded"}


@dataclass(frozen=True)
class Deployed:
    """Envoy by deploy/envoy with a real sidecar and upstream."""

    url: str
    log: Path
    arrived: list[Arrived]

    async def ask(
        self, target: str, token: str = "", headers: Iterable[tuple[str, str]] = ()
    ) -> Response:
        """The answer to a target that no client library would send."""
        self.arrived.clear()
        return await send(self.url, asking(target, token, headers))


def asking(target: str, token: str, headers: Iterable[tuple[str, str]] = ()) -> bytes:
    fields = [("host", "shop.example.com"), ("connection", "close"), *headers]
    if token:
        fields.append(("authorization", f"Bearer {token}"))
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode()


@asynccontextmanager
async def deployed(directory: Path, address: str) -> AsyncIterator[Deployed]:
    """Envoy as it stands in deploy/envoy, but for addresses and the issuer's keys."""
    text = (DEPLOY / "envoy/jwt-sidecar.yaml").read_text()
    changes = {"unix:/run/jwt-sidecar/sidecar.sock": address, **OUR_ISSUER}
    (directory / "jwt-sidecar.yaml").write_text(replaced(text, changes) + AT_ONCE)
    log = directory / "access.log"
    async with AsyncExitStack() as stack:
        port, arrived = await stack.enter_async_context(upstream())
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
        yield Deployed(await stack.enter_async_context(envoy(template, {})), log, arrived)


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
    async with deployed(tmp_path, address) as one, aiohttp.ClientSession() as client:

        async def status(path: str, token: str = "") -> int:
            headers = {"authorization": f"Bearer {token}"} if token else {}
            async with client.get(
                URL(one.url + path, encoded=True), headers=headers, allow_redirects=False
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
    lines = [json.loads(line) for line in one.log.read_text().splitlines()]
    of_alice = {
        "method": "GET",
        "status": 200,
        "issuer": "corp",
        "subject": "alice",
        "reason": None,
    }
    assert {**of_alice, "rule": "users"} in lines
    assert {**of_alice, "rule": "reports"} in lines
    assert [one["reason"] for one in lines].count("REASON_SCOPE_INSUFFICIENT") == 3


ADMIN_PATHS = (
    *("/admin", "/admin/", "/admin/users", "/admin;x/users", "/admin;/users", "/;/admin/users"),
    *("/%61dmin/users", "/./admin/users", "//admin/users", "/x/../admin/users"),
    *("/x/%2e%2e/admin/users", "/x/%2e%2e;/admin/users", "/x/..;/admin/users", "/admin%3b/users"),
    *("/admin%3Bx/users", "/admin/.;/users", "/admin\\users", "/ready/../admin/users"),
    *("/ready;/../admin/users", "/healthz/../admin/users", "/healthz/..;/admin/users"),
)
REPORT_PATHS = tuple(path.replace("admin", "reports") for path in ADMIN_PATHS)
"""Targets that some upstream serves as /admin/users or /reports/users."""


async def test_no_spelling_of_a_path_gets_around_a_rule_or_rbac(tmp_path: Path) -> None:
    async with deployed(tmp_path, "unix:sidecar.sock") as one:
        for target in (*ADMIN_PATHS, *REPORT_PATHS):
            answer = await one.ask(target, BOB)
            assert (target, answer.status in {307, 400, 403}) == (target, True)
            assert one.arrived == []
        for target in ("/admin", "/admin/users"):
            assert (await one.ask(target, ADMIN)).status == 200
        for target in ("/reports", "/reports/users", "/orders"):
            assert (await one.ask(target, ALICE)).status == 200
        assert (await one.ask("/orders", BOB)).status == 200


async def test_what_envoy_answers_itself_reaches_no_upstream(tmp_path: Path) -> None:
    async with deployed(tmp_path, "unix:sidecar.sock") as one:
        assert (await one.ask("/ready")).status == 200
        assert one.arrived == []
        for target in ("/ready/", "/ready;x", "/READY", "/ready/x"):
            assert (await one.ask(target)).status in {401, 403}
            assert one.arrived == []


async def test_envoys_upstream_gets_no_word_of_the_client_on_path_and_method(
    tmp_path: Path,
) -> None:
    async with deployed(tmp_path, "unix:sidecar.sock") as one:
        # Its sidecar knows no consumers, so nothing is forwarded of one.
        sent = [pair for pair in SMUGGLED if pair[0] not in {"x-consumer", "x-plan"}]
        folded = [(name.replace("-", "_"), value) for name, value in sent]
        assert (await one.ask("/orders", ALICE, [*sent, *folded])).status == 200
        (seen,) = one.arrived
        assert "mallory" not in str(seen.headers)
        for mark in MARKS:
            others = [(spelled(name, mark), "/mallory") for name in sorted(OTHER_WORDS)]
            assert (await one.ask("/orders", ALICE, others)).status == 200
            (seen,) = one.arrived
            assert "mallory" not in str(seen.headers)


@asynccontextmanager
async def nginx_deployed(directory: Path) -> AsyncIterator[tuple[str, list[Arrived]]]:
    """nginx as it stands in deploy/nginx, but for addresses and the issuer's keys."""
    changes = {"/run/jwt-sidecar": str(directory), **OUR_ISSUER}
    text = replaced((DEPLOY / "nginx/jwt-sidecar.yaml").read_text(), changes)
    (directory / "jwt-sidecar.yaml").write_text(text + AT_ONCE)
    async with AsyncExitStack() as stack:
        port, arrived = await stack.enter_async_context(upstream())
        await stack.enter_async_context(sidecar(directory / "jwt-sidecar.yaml"))
        changes = {"/run/jwt-sidecar": str(directory), "127.0.0.1:8080": f"127.0.0.1:{port}"}
        site = replaced((DEPLOY / "nginx/jwt-sidecar.conf").read_text(), changes)
        yield await stack.enter_async_context(nginx(directory, site)), arrived


needs_nginx = pytest.mark.skipif(
    shutil.which("nginx") is None, reason="needs nginx (Debian and Ubuntu: apt install nginx)"
)


@needs_nginx
async def test_nginxs_upstream_gets_no_word_of_the_client_on_path_and_method(
    tmp_path: Path,
) -> None:
    async with nginx_deployed(tmp_path) as (url, arrived):
        arrived.clear()
        folded = [(name.replace("-", "_"), value) for name, value in SMUGGLED]
        more = [
            *(("x-forwarded-host", "mallory"), ("x-forwarded-proto", "mallory")),
            *(("x-forwarded-for", "192.0.2.1"), ("forwarded", "host=mallory")),
        ]
        headers = [*SMUGGLED, *folded, *more]
        assert (await send(url, asking("/orders", ALICE, headers))).status == 200
        (seen,) = arrived
        assert "mallory" not in str(seen.headers)
        assert seen.headers["x-forwarded-host"] == "shop.example.com"
        assert seen.headers["x-forwarded-proto"] == "http"
        assert seen.headers["x-forwarded-for"] == "192.0.2.1, 127.0.0.1"
        for mark in MARKS:
            arrived.clear()
            others = [(spelled(name, mark), "/mallory") for name in sorted(OTHER_WORDS)]
            assert (await send(url, asking("/orders", ALICE, others))).status == 200
            (seen,) = arrived
            assert "mallory" not in str(seen.headers)


@needs_nginx
@pytest.mark.parametrize(
    ("target", "host", "said"),
    [
        pytest.param("/a", "shop.example.com", "shop.example.com", id="no port"),
        pytest.param("/a", "shop.example.com:8443", "shop.example.com:8443", id="a port"),
        pytest.param("/a", "SHOP.example.com:8443", "shop.example.com:8443", id="upper case"),
        pytest.param("/a", "[::1]:8443", "[::1]:8443", id="IPv6"),
        pytest.param("/a", "[::1]", "[::1]", id="IPv6 without a port"),
        pytest.param("/a:1", "shop.example.com", "shop.example.com", id="a colon in the path"),
        pytest.param("http://a.example:81/a", "b.example:82", "a.example:81", id="absolute"),
        pytest.param("http://a.example/a", "b.example:82", "a.example", id="without a port"),
        pytest.param("http://a.example/a:83/", "b.example:82", "a.example", id="in its path"),
        pytest.param("http://a.example/?a=:83/", "b.example:82", "a.example", id="in its query"),
        pytest.param("HTTP://a.example:81/", "b.example", "a.example:81", id="in upper case"),
    ],
)
async def test_nginx_names_the_host_and_port_that_the_client_asked_for(
    tmp_path: Path, target: str, host: str, said: str
) -> None:
    """As the upstream gets them too: a proof names the port, a rule the host."""
    async with nginx_deployed(tmp_path) as (url, arrived):
        arrived.clear()
        data = asking(target, ALICE).replace(b"shop.example.com", host.encode())
        assert (await send(url, data)).status == 200
        (seen,) = arrived
        assert seen.headers["host"] == seen.headers["x-forwarded-host"] == said


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
        folded = [(name.replace("-", "_"), value) for name, value in SMUGGLED]
        headers = [("authorization", f"Bearer {ALICE}"), *SMUGGLED, *folded]
        async with client.post(f"{url}/orders?a=1", headers=headers, data=b"x") as answer:
            assert answer.status == 200
        (seen,) = arrived
        assert (seen.method, seen.target) == ("POST", "/orders?a=1")
        assert "mallory" not in str(seen.headers)
        assert shown(seen) == {"x-jwt-subject": "alice", "x-jwt-payload": ALICE.split(".")[1]}
        async with client.get(f"{url}/orders", headers=SMUGGLED) as answer:
            assert answer.status == 401
            assert answer.headers["www-authenticate"].startswith("Bearer ")
        assert len(arrived) == 1
        for mark in MARKS:
            arrived.clear()
            others = [(spelled(name, mark), "/mallory") for name, _ in SMUGGLED]
            assert (await send(url, asking("/orders", ALICE, others))).status == 200
            (seen,) = arrived
            assert "mallory" not in str(seen.headers)
            assert shown(seen)["x-jwt-subject"] == "alice"


@pytest.mark.skipif(not caddy_is_new(), reason="needs Caddy 2.11.2, as above")
async def test_caddy_sends_on_the_target_that_it_asked_about(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        port, arrived = await stack.enter_async_context(upstream())
        check, asked = await stack.enter_async_context(upstream())
        changes = {
            "127.0.0.1:9192 {": f"127.0.0.1:{check} {{",
            "127.0.0.1:8080": f"127.0.0.1:{port}",
        }
        site = replaced((DEPLOY / "caddy/Caddyfile").read_text(), changes)
        url = await stack.enter_async_context(caddy(tmp_path, site))
        host = url.removeprefix("http://")
        for target in (
            *("/a", "//a", "/a//b", "/a/../b", "/a/%2e%2e/b", "/a%2fb", "/a;x/b", "/a/..;/b"),
            *("/a?x=1;y", "/a%3fb", "/a\\b", "/a%5cb", "/a%00b", "/a?", "/a??", "/%61", "/a+b%20c"),
            *("/a{uri}b", "/a?x={http.request.header.X-Plan}", f"{url}/b"),
        ):
            arrived.clear()
            asked.clear()
            data = asking(target, "", SMUGGLED).replace(b"shop.example.com", host.encode())
            assert (await send(url, data)).status == 200
            (question,), (seen,) = asked, arrived
            assert question.headers.getall("x-forwarded-uri") == [seen.target]
            assert question.headers.getall("x-forwarded-method") == [seen.method]
            assert question.headers.getall("x-forwarded-host") == [seen.headers["host"]] == [host]
            assert "mallory" not in seen.target


@pytest.mark.skipif(not caddy_is_new(), reason="needs Caddy 2.11.2, as above")
@pytest.mark.parametrize(
    ("upgrades", "passed_on"),
    [
        pytest.param([], [], id="none"),
        pytest.param(["websocket"], ["websocket"], id="a WebSocket"),
        pytest.param(["h2c"], [], id="requests in a tunnel"),
        pytest.param(["h2c", "websocket"], ["websocket"], id="such before a WebSocket"),
        pytest.param(["h2c, websocket"], [], id="such in one header with a WebSocket"),
    ],
)
async def test_behind_caddy_a_connection_changes_nothing_that_was_decided(
    upgrades: list[str], passed_on: list[str], tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        port, arrived = await stack.enter_async_context(upstream())
        check = await stack.enter_async_context(answering("x-jwt-roles: limited"))
        changes = {
            "127.0.0.1:9192 {": f"127.0.0.1:{check} {{",
            "127.0.0.1:8080": f"127.0.0.1:{port}",
        }
        site = replaced((DEPLOY / "caddy/Caddyfile").read_text(), changes)
        url = await stack.enter_async_context(caddy(tmp_path, site))
        arrived.clear()
        headers = [("connection", "upgrade, http2-settings, x-jwt-roles"), ("http2-settings", "")]
        await send(url, asking("/a", "", headers + [("upgrade", one) for one in upgrades]))
        (seen,) = arrived
        assert seen.headers.getall("upgrade", []) == passed_on
        assert seen.headers.getall("x-jwt-roles", []) == ["limited"]


@asynccontextmanager
async def answering(header: str) -> AsyncIterator[int]:
    """A check that says yes, with one header for the upstream; gives its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            answer = (
                f"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n{header}\r\n\r\n"
            )
            writer.write(answer.encode())
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


def shown(seen: Arrived) -> dict[str, str]:
    return {
        name.lower(): value
        for name, value in seen.headers.items()
        if name.lower() in FORWARDED | CARRIERS
    }
