"""Identity headers in other spellings, before an upstream to which all of them are one name.

lighttpd hands a header to a CGI program as HTTP_ and its name in capitals, with `_` for every
character that is not a letter or digit.
"""

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from multidict import CIMultiDict

from deploy.demo.stage import caddy, envoy, free_port, nginx, process, sidecar
from tests.integration.test_deployments import caddy_is_new, replaced
from tests.integration.test_envoy import CONFIGURATION, ENVOY, mint
from tests.integration.test_proofs_at_proxies import CADDY, NGINX

LIGHTTPD = "/usr/sbin/lighttpd"
"""Where Debian has it, outside of the usual PATH."""
CONFIGURED = """
server.document-root = "%(directory)s/www"
server.port = %(port)d
server.bind = "127.0.0.1"
server.modules = ("mod_cgi")
cgi.assign = (".cgi" => "/bin/sh")
"""
PROGRAM = "printf 'Content-Type: text/plain\\r\\n\\r\\n'; env | grep ^HTTP_\n"
ROLELESS = mint(sub=None)
TOKEN_FROM = '    - {header: authorization, prefix: "Bearer "}\n'
PROXIES = [
    "envoy",
    "envoy without raw headers",
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
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        shutil.which(LIGHTTPD) is None,
        reason="needs lighttpd (Debian and Ubuntu: apt install lighttpd)",
    ),
]


@asynccontextmanager
async def lighttpd(directory: Path) -> AsyncIterator[int]:
    """lighttpd with a program that shows the headers that it got, at /who.cgi; gives its port."""
    port = free_port()
    (directory / "www").mkdir()
    (directory / "www/who.cgi").write_text(PROGRAM)
    path = directory / "lighttpd.conf"
    path.write_text(CONFIGURED % {"directory": directory, "port": port})
    async with process(LIGHTTPD, "-D", "-f", str(path)):
        yield port


class Stage:
    """A proxy before lighttpd."""

    def __init__(self, proxy: str, url: str, client: ClientSession) -> None:
        self.drops = proxy in {"nginx", "caddy"}
        """Whether it drops other spellings before it asks; Envoy is told to remove them."""
        self._url = f"{url}/who.cgi"
        self._client = client

    async def get(
        self, *headers: tuple[str, str], token: str = ROLELESS
    ) -> tuple[int, dict[str, str]]:
        """The status, and the program's variables of headers that are forwarded or have a token."""
        sent = CIMultiDict([("authorization", f"Bearer {token}"), *headers])
        async with self._client.get(self._url, headers=sent) as answer:
            pairs = [line.partition("=") for line in (await answer.text()).splitlines()]
            shown = ("HTTP_X_JWT_", "HTTP_X_PLAN", "HTTP_X_CONSUMER", "HTTP_X_ACCESS_TOKEN")
            named = {name: value for name, _, value in pairs if name.startswith(shown)}
            named.pop("HTTP_X_JWT_PAYLOAD", None)
            return answer.status, named


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=PROXIES)
async def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    directory = tmp_path_factory.mktemp("cgi")
    text = CONFIGURATION % ("auto", "http://127.0.0.1:9/jwks.json")
    (directory / "jwt-sidecar.yaml").write_text(
        replaced(text, {TOKEN_FROM: f"{TOKEN_FROM}    - {{header: x-access-token}}\n"})
        + "http: {address: 'unix:http.sock', serve: [check]}\n"
    )
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(lighttpd(directory))
        await stack.enter_async_context(sidecar(directory / "jwt-sidecar.yaml"))
        proxy = started(request.param, directory, port)
        url = await stack.enter_async_context(proxy)
        yield Stage(request.param, url, await stack.enter_async_context(ClientSession()))


def started(proxy: str, directory: Path, port: int) -> Any:
    ours = f"127.0.0.1:{port}"
    if proxy == "nginx":
        socket = {"unix:/run/jwt-sidecar/http.sock": f"unix:{directory}/http.sock"}
        return nginx(directory, replaced(NGINX, {**socket, "127.0.0.1:8080": ours}))
    if proxy == "caddy":
        socket = {"127.0.0.1:9192 {": f"unix/{directory}/http.sock {{"}
        return caddy(directory, replaced(CADDY, {**socket, "127.0.0.1:8080": ours}))
    template = ENVOY
    if proxy == "envoy without raw headers":
        template = replaced(ENVOY, {"encode_raw_headers: true": "encode_raw_headers: false"})
    return envoy(template, {"UPSTREAM_PORT": port, "SIDECAR_SOCKET": directory / "sidecar.sock"})


async def test_the_program_gets_what_the_token_says(stage: Stage) -> None:
    assert await stage.get() == (200, {})
    token = mint(realm_access={"roles": ["ops"]})
    said = {"HTTP_X_JWT_SUBJECT": "alice", "HTTP_X_JWT_ROLES": "ops"}
    assert await stage.get(token=token) == (200, said)
    assert await stage.get(("X-Jwt-Roles", "admin"), token=token) == (200, said)


SPELLINGS = [
    *("x_jwt_roles", "X-Jwt_Roles"),
    *(f"X{one}Jwt{one}Roles" for one in "!#$%&'*+.^`|~"),
    *("X-Jwt.Roles", "x.jwt-subject", "X~Jwt~Subject", "x.consumer", "X|Plan", "X.Jwt.Payload"),
    *("X.Access.Token", "x_access_token"),
]


@pytest.mark.parametrize("name", SPELLINGS)
async def test_a_client_sets_no_header_under_another_spelling(stage: Stage, name: str) -> None:
    status, seen = await stage.get((name, "mallory"), (name, "eve"))
    assert status == 200
    assert seen == {}


async def test_all_spellings_at_once_reach_nobody(stage: Stage) -> None:
    marks = "!#$%&'*+-.^_`|~"
    names = [f"X{one}Jwt{two}Roles" for one in marks for two in marks]
    status, _ = await stage.get(*((name, "mallory") for name in names[:80]))
    assert status == (200 if stage.drops else 403)
