"""One sidecar, the proxies that ask it, and all upstreams behind a mirror.

A proxy's decision does not depend on the upstream. So each proxy sends its requests to the mirror,
which sends every upstream the same request line and answers with the handlers that ran.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import jwt

from deploy.demo.stage import envoy, nginx, sidecar
from tests.paths.upstreams import UPSTREAMS, Upstream, build, started

SECRET: Final = "a-secret-of-at-least-32-bytes-for-tests"
CONFIGURATION: Final = f"""
listeners: [{{address: 'unix:sidecar.sock', services: [ext_authz]}}]
http: {{address: 'unix:http.sock', serve: [check]}}
issuers:
  - name: corp
    issuer: https://login.example.com/
    keys: {{secret: {{value: {SECRET}}}}}
    algorithms: [HS256]
    audiences: [shop]
authorization:
  paths: {{parameters: %s}}
  rules:
    - match: {{path_prefix: /internal/}}
      deny: true
    - match: {{path: /keys}}
      deny: true
    - match: {{path_prefix: /admin/}}
      require: {{scopes: ["admin:write"]}}
    - match: {{path_prefix: /reports/}}
      require: {{claims: {{department: [finance]}}}}
    - match: {{path_prefix: /public/hidden/}}
      deny: true
    - match: {{path_prefix: /public/}}
      allow: anonymous
log: {{decisions: none}}
shutdown: {{drain: 0s, grace: 1s}}
"""
CALLERS: Final[Mapping[str, Mapping[str, str] | None]] = {
    "stranger": None,
    "clerk": {"department": "finance"},
    "admin": {"scope": "admin:write"},
}
"""The claims of each; None: no token."""
PERMITTED: Final = {
    "internal": (),
    "hidden": (),
    "keys": (),
    "admin": ("admin",),
    "reports": ("clerk",),
    "public": tuple(CALLERS),
    "other": ("clerk", "admin"),
}
"""Whom the rule of each handler permits."""


def _replaced(text: str, old: str, new: str) -> str:
    assert old in text, f"{old!r} is no longer in the file of deploy/"
    return text.replace(old, new)


HARDENED: Final = """stat_prefix: ingress
                normalize_path: true
                merge_slashes: true
                path_with_escaped_slashes_action: UNESCAPE_AND_REDIRECT
"""
ENVOY: Final = _replaced(Path("deploy/demo/envoy.yaml").read_text(), "timeout: 1s", "timeout: 10s")
ENVOYS: Final = {
    "envoy-hardened": _replaced(ENVOY, "stat_prefix: ingress\n", HARDENED),
    "envoy-defaults": ENVOY,
}
NGINX: Final = Path("deploy/nginx/jwt-sidecar.conf").read_text()
NGINXES: Final = {
    "nginx": NGINX,
    "nginx-decoding": _replaced(NGINX, "http://shop$jwt_uri;", "http://shop/;"),
}
"""The file as it is; and with a path in `proxy_pass`, so that nginx sends its own reading."""
PROXIES: Final = (*ENVOYS, *NGINXES)
CONNECTIONS: Final = 8
"""To each proxy at once."""
SECONDS: Final = 20
MAX_KNOWN: Final = 20_000
"""Requests whose handlers the mirror remembers."""
BY_PROXY: Final = {307, 400}
"""A proxy's own answers to a target, whoever sends it: a redirect, and that it is malformed."""


@dataclass(frozen=True)
class Ran:
    """A handler that ran."""

    upstream: str
    handler: str
    path: str
    """As it saw it, percent-encoded."""


@dataclass(frozen=True)
class Answer:
    """What came of a request."""

    target: bytes
    proxy: str
    caller: str
    status: int
    """0 if the connection was closed without an answer."""
    ran: tuple[Ran, ...] = ()

    @property
    def violations(self) -> tuple[Ran, ...]:
        """The handlers that ran for a caller whom their rule does not permit."""
        return tuple(one for one in self.ran if self.caller not in PERMITTED[one.handler])

    def described(self, ran: Ran) -> str:
        """The request and a handler that ran for it, on one line."""
        request = f"{self.target!r} through {self.proxy} from {self.caller}"
        return f"{request}: {ran.upstream} ran {ran.handler} for {ran.path}"


@dataclass(frozen=True)
class Stage:
    """Everything running."""

    upstreams: tuple[Upstream, ...]
    ports: Mapping[str, int]
    """Of the proxies."""
    tokens: Mapping[str, str | None] = field(repr=False)

    async def ask(self, targets: Iterable[bytes]) -> list[Answer]:
        """The answers to each target through each proxy for each caller."""
        wanted = tuple(targets)
        workers = []
        for proxy in self.ports:
            queue = iter(wanted)
            workers += [self._worker(proxy, queue, self.tokens) for _ in range(CONNECTIONS)]
        return [answer for some in await asyncio.gather(*workers) for answer in some]

    async def one(self, target: bytes, proxy: str, caller: str) -> Answer:
        """The answer to one target."""
        return (await self._worker(proxy, [target], [caller]))[0]

    async def _worker(
        self, proxy: str, queue: Iterable[bytes], callers: Iterable[str]
    ) -> list[Answer]:
        connection = Connection(self.ports[proxy])
        answers = []
        for target in queue:
            for caller in callers:
                status, body = await connection.ask(_request(target, self.tokens[caller]))
                ran = tuple(Ran(*one) for one in json.loads(body)) if status == 200 else ()
                answers.append(Answer(target, proxy, caller, status, ran))
                if status in BY_PROXY:
                    break
        connection.close()
        return answers


STRIPPING: Final = {"refuse": {True, False}, "strip": {True}, "keep": {False}}
"""Whether upstreams may strip parameters, by the setting that is for them."""


@asynccontextmanager
async def stage(directory: Path, parameters: str = "refuse") -> AsyncIterator[Stage]:
    """Everything that the toolchains of this machine allow."""
    upstreams = tuple(
        one
        for one in UPSTREAMS
        if not one.missing and one.strips_parameters in STRIPPING[parameters]
    )
    await asyncio.to_thread(build, upstreams)
    (directory / "jwt-sidecar.yaml").write_text(CONFIGURATION % parameters)
    async with AsyncExitStack() as stack:
        ports = await asyncio.gather(
            *(stack.enter_async_context(started(one)) for one in upstreams)
        )
        names = (one.name for one in upstreams)
        mirror = await stack.enter_async_context(_mirror(dict(zip(names, ports, strict=True))))
        await stack.enter_async_context(sidecar(directory / "jwt-sidecar.yaml"))
        values = {"UPSTREAM_PORT": mirror, "SIDECAR_SOCKET": directory / "sidecar.sock"}
        urls = {
            name: await stack.enter_async_context(envoy(text, values))
            for name, text in ENVOYS.items()
        }
        for name, site in NGINXES.items():
            (directory / name).mkdir()
            urls[name] = await stack.enter_async_context(
                nginx(directory / name, _placed(site, directory, mirror))
            )
        proxies = {name: int(url.rpartition(":")[2]) for name, url in urls.items()}
        yield Stage(upstreams, proxies, {name: _token(one) for name, one in CALLERS.items()})


def _placed(site: str, directory: Path, port: int) -> str:
    site = _replaced(site, "unix:/run/jwt-sidecar/http.sock", f"unix:{directory}/http.sock")
    site = _replaced(site, "127.0.0.1:8080", f"127.0.0.1:{port}")
    return f"error_log /dev/null;\n{site}"


def _token(claims: Mapping[str, str] | None) -> str | None:
    if claims is None:
        return None
    now = int(time.time())
    fixed = {"iss": "https://login.example.com/", "aud": "shop", "sub": "alice"}
    return jwt.encode({**fixed, "iat": now, "exp": now + 86_400, **claims}, SECRET, "HS256")


def _request(target: bytes, token: str | None) -> bytes:
    authorization = b"" if token is None else b"Authorization: Bearer %s\r\n" % token.encode()
    return b"GET %s HTTP/1.1\r\nHost: shop.example.com\r\n%s\r\n" % (target, authorization)


class Connection:
    """Requests one after the other, on one connection as long as the server keeps it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """The status and body of the answer; (0, b"") if there is none."""
        kept = self._streams is not None
        answer = await self._ask(request)
        if answer[0] == 0 and kept:  # it was closed meanwhile
            answer = await self._ask(request)
        return answer

    async def _ask(self, request: bytes) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        try:
            async with asyncio.timeout(SECONDS):
                writer.write(request)
                status, body, keep = await response(reader)
        except (asyncio.IncompleteReadError, ConnectionError):
            status, body, keep = 0, b"", False
        if not keep:
            self.close()
        return status, body

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def head(reader: asyncio.StreamReader) -> tuple[bytes, dict[bytes, bytes]]:
    """The first line of a message, and its fields."""
    line, *fields = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    pairs = (one.partition(b":") for one in fields)
    return line, {name.lower(): value.strip() for name, _, value in pairs}


async def response(reader: asyncio.StreamReader) -> tuple[int, bytes, bool]:
    """The status and body of an answer, and whether another may follow on this connection."""
    line, fields = await head(reader)
    status = int(line.split(b" ")[1])
    keep = fields.get(b"connection", b"keep-alive").lower() == b"keep-alive"
    if b"content-length" in fields:
        return status, await reader.readexactly(int(fields[b"content-length"])), keep
    if fields.get(b"transfer-encoding") == b"chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
        return status, body, keep
    return status, b"", status in {204, 304} and keep


@asynccontextmanager
async def _mirror(upstreams: Mapping[str, int]) -> AsyncIterator[int]:
    """A server that gives each request to all upstreams; gives its port.

    Upstreams see each request line once, as handlers are found by that and the host alone.
    """
    known: dict[tuple[bytes, bytes], asyncio.Task[bytes]] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                line, fields = await head(reader)
                key = (line, fields.get(b"host", b""))
                if key not in known:
                    if len(known) == MAX_KNOWN:
                        known.clear()
                    known[key] = asyncio.create_task(_reached(upstreams, *key))
                body = await known[key]
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _reached(upstreams: Mapping[str, int], line: bytes, host: bytes) -> bytes:
    """The handlers that ran for a request, as JSON."""
    request = b"%s\r\nHost: %s\r\nConnection: close\r\n\r\n" % (line, host)

    async def ask(name: str, port: int) -> tuple[str, str, str] | None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.timeout(SECONDS):
                writer.write(request)
                _, fields = await head(reader)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        finally:
            writer.close()
        handler = fields.get(b"x-handler", b"").decode()
        return (name, handler, fields.get(b"x-path", b"")[:200].decode()) if handler else None

    answers = await asyncio.gather(*(ask(name, port) for name, port in upstreams.items()))
    return json.dumps([one for one in answers if one]).encode()
