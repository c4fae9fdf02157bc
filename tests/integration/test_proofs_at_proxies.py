"""DPoP proofs through a real Envoy, nginx and Caddy: one table, decided the same by all."""

import shutil
import time
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from deploy.demo.stage import caddy, envoy, nginx, sidecar
from tests.integration.test_deployments import caddy_is_new, replaced
from tests.integration.test_envoy import CONFIGURATION, ENVOY, mint
from tests.proofs import dpop, thumbprint
from tests.raw_http import Arrived, Response, send, upstream

HOST = "shop.example.com"
RULES = """
  rules:
    - match: {path: /healthz}
      allow: anonymous
    - match: {path_prefix: /static/}
      allow: optional
"""
NGINX = Path("deploy/nginx/jwt-sidecar.conf").read_text()
CADDY = Path("deploy/caddy/Caddyfile").read_text()
PROXIES = [
    "envoy",
    pytest.param(
        "nginx",
        marks=pytest.mark.skipif(
            shutil.which("nginx") is None,
            reason="needs nginx (Debian and Ubuntu: apt install nginx)",
        ),
    ),
    pytest.param(
        "caddy",
        marks=pytest.mark.skipif(
            not caddy_is_new(),
            reason="needs Caddy: go install github.com/caddyserver/caddy/v2/cmd/caddy@v2.11.2",
        ),
    ),
]
pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Stage:
    """A proxy before an upstream, and the requests that came to it."""

    proxy: str
    url: str
    arrived: list[Arrived]

    async def send(self, *headers: tuple[str, str], target: str = "/orders") -> Response:
        """Send a GET request with these headers; `arrived` then has it, or nothing."""
        self.arrived.clear()
        fields = "".join(f"{name}: {value}\r\n" for name, value in (("host", HOST), *headers))
        return await send(self.url, f"GET {target} HTTP/1.1\r\n{fields}\r\n".encode("latin-1"))

    def seen(self) -> dict[str, str]:
        """What the upstream got of the headers that matter here."""
        (request,) = self.arrived
        shown = ("x-jwt-subject", "authorization", "dpop")
        return {name: ",".join(request.headers.getall(name, ())) for name in shown}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=PROXIES)
async def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    directory = tmp_path_factory.mktemp("proofs")
    text = CONFIGURATION % ("auto", "http://127.0.0.1:9/jwks.json")
    (directory / "jwt-sidecar.yaml").write_text(
        replaced(text, {"\n  denied:": f"{RULES}  denied:"})
        + "http: {address: 'unix:http.sock', serve: [check]}\n"
    )
    async with AsyncExitStack() as stack:
        port, arrived = await stack.enter_async_context(upstream())
        await stack.enter_async_context(sidecar(directory / "jwt-sidecar.yaml"))
        started = {"envoy": with_envoy, "nginx": with_nginx, "caddy": with_caddy}[request.param]
        url = await stack.enter_async_context(started(directory, port))
        yield Stage(request.param, url, arrived)


def with_envoy(directory: Path, port: int) -> Any:
    return envoy(ENVOY, {"UPSTREAM_PORT": port, "SIDECAR_SOCKET": directory / "sidecar.sock"})


def with_nginx(directory: Path, port: int) -> Any:
    changes = {
        "unix:/run/jwt-sidecar/http.sock": f"unix:{directory}/http.sock",
        "127.0.0.1:8080": f"127.0.0.1:{port}",
    }
    return nginx(directory, replaced(NGINX, changes))


def with_caddy(directory: Path, port: int) -> Any:
    changes = {
        "127.0.0.1:9192 {": f"unix/{directory}/http.sock {{",
        "127.0.0.1:8080": f"127.0.0.1:{port}",
    }
    return caddy(directory, replaced(CADDY, changes))


BOUND = mint(cnf={"jkt": thumbprint()})
FREE = mint()


def proof(**claims: Any) -> str:
    """A new proof for the request that the stage sends, but for what is changed."""
    return dpop(
        BOUND,
        **{
            "htm": "GET",
            "htu": f"http://{HOST}/orders",
            "iat": int(time.time()),
            "jti": uuid.uuid4().hex,
            **claims,
        },
    )


@dataclass(frozen=True)
class Row:
    """A request, and what is to come of it; `seen` is what the upstream gets."""

    headers: Callable[[], tuple[tuple[str, str], ...]]
    status: int = 401
    target: str = "/orders"
    seen: Mapping[str, str] = field(default_factory=dict)


def bound(*proofs: str, scheme: str = "DPoP", token: str = BOUND) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"{scheme} {token}"), *(("dpop", one) for one in proofs))


ALICE = {"x-jwt-subject": "alice"}
ROWS = {
    "a good proof": Row(lambda: bound(proof()), 200, seen=ALICE),
    "beside a query": Row(lambda: bound(proof()), 200, "/orders?a=1", ALICE),
    "name and scheme in capitals": Row(
        lambda: (("AUTHORIZATION", f"DPOP {BOUND}"), ("DPOP", proof())), 200, seen=ALICE
    ),
    "a token that is bound to nothing": Row(
        lambda: bound(scheme="Bearer", token=FREE), 200, seen=ALICE
    ),
    "no proof": Row(bound),
    "an empty proof": Row(lambda: bound("")),
    "two proofs": Row(lambda: bound(proof(), proof())),
    "as a bearer token": Row(lambda: bound(proof(), scheme="Bearer")),
    "beside a token that is bound to nothing": Row(
        lambda: bound(proof(), scheme="Bearer", token=FREE)
    ),
    "for another path": Row(lambda: bound(proof(htu=f"http://{HOST}/other"))),
    "for another host": Row(lambda: bound(proof(htu="http://other.example/orders"))),
    "for https": Row(lambda: bound(proof(htu=f"https://{HOST}/orders"))),
    "for a WebSocket": Row(lambda: bound(proof(htu=f"ws://{HOST}/orders"))),
    "for another method": Row(lambda: bound(proof(htm="POST"))),
    "made too long ago": Row(lambda: bound(proof(iat=int(time.time()) - 600))),
    "without a token, where none is needed": Row(
        lambda: (("dpop", "mine"),), 200, "/healthz", {"dpop": "mine"}
    ),
    "with a bad token, where any will do": Row(
        lambda: bound("mine", token="a.b.c"), 200, "/static/a.css"
    ),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
async def test_a_proof_is_decided_alike(stage: Stage, row: Row) -> None:
    response = await stage.send(*row.headers(), target=row.target)
    assert response.status == row.status
    if row.status != 200:
        assert stage.arrived == []
        return
    nothing = dict.fromkeys(("x-jwt-subject", "authorization", "dpop"), "")
    assert stage.seen() == {**nothing, **row.seen}


async def test_a_proof_passes_once(stage: Stage) -> None:
    headers = bound(proof())
    assert [(await stage.send(*headers)).status for _ in range(3)] == [200, 401, 401]
    assert (await stage.send(*bound(proof()))).status == 200


@pytest.mark.parametrize(
    ("odd", "refused_by"),
    [
        pytest.param(("X.Jwt.Subject", "mallory"), (), id="another spelling"),
        pytest.param(("Cookie", "a=\xff"), {"nginx", "caddy"}, id="a cookie that is not in UTF-8"),
        pytest.param(("X-Original-URL", "http://h/a"), (), id="another URL"),
    ],
)
async def test_what_a_proxy_can_not_change_is_refused_and_uses_no_proof_up(
    stage: Stage, odd: tuple[str, str], refused_by: Collection[str]
) -> None:
    """Envoy removes what is odd, and nginx and Caddy some of it."""
    headers = bound(proof())
    refused = stage.proxy in refused_by
    assert (await stage.send(*headers, odd)).status == (400 if refused else 200)
    assert "mallory" not in [value for one in stage.arrived for value in one.headers.values()]
    assert (await stage.send(*headers)).status == (200 if refused else 401)
