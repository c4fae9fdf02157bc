"""Restarts, ends and shortage of real processes, while others call them."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
import yaml
from aiohttp import ClientSession, web

from deploy.demo.stage import envoy, free_port, process, sidecar, upstream
from sidecar.v1 import token_service_pb2 as messages
from sidecar.v1.token_service_pb2_grpc import TokenServiceStub
from tests.integration.test_envoy import CONFIGURATION, ENVOY, bearer, mint
from tests.integration.test_process import run
from tests.integration.test_remote_keys import Provider, jwks, providing
from tests.integration.test_remote_keys import mint as mint_es256
from tests.running import CONSUMERS_AND_SIGNER, TRANSPORTS, listener, until
from tests.unit.test_docs import DOCS, blocks

HTTP: Final = "http: {address: 'unix:http.sock'}\n"
CLIENTS: Final = 8
"""Clients of Envoy that ask all the time."""
INTERVAL: Final = 0.2
"""Seconds between two health checks of Envoy's."""
DRAIN: Final = 4.0
"""Seconds: more than until Envoy has asked (INTERVAL) and acts on the answer (1 s, as docs say)."""
OWN: Final = [("grpc.use_local_subchannel_pool", 1)]
"""A channel with connections of its own."""


def cluster(sockets: Collection[Path]) -> Any:
    """The cluster of docs/envoy.md with two sidecars, faster, on these sockets."""
    (shown,) = [
        one
        for block in blocks(DOCS / "envoy.md")
        if block.kind == "envoy" and "health_checks" in block.text
        for one in yaml.safe_load(block.text)
    ]
    for check in shown["health_checks"]:
        check |= {"interval": f"{INTERVAL}s", "no_traffic_interval": f"{INTERVAL}s"}
    (locality,) = shown["load_assignment"]["endpoints"]
    paths = [one["endpoint"]["address"]["pipe"] for one in locality["lb_endpoints"]]
    for pipe, path in zip(paths, sockets, strict=True):
        pipe["path"] = str(path)
    return shown


@asynccontextmanager
async def behind_envoy(sockets: Collection[Path]) -> AsyncIterator[tuple[str, str]]:
    """Envoy before these sidecars: its URL and that of its admin interface."""
    port = free_port()
    template = yaml.safe_load(ENVOY)
    resources = template["static_resources"]
    resources["clusters"] = [
        cluster(sockets) if one["name"] == "jwt-sidecar" else one for one in resources["clusters"]
    ]
    template["admin"] = {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    }
    async with (
        upstream() as upstream_port,
        envoy(json.dumps(template), {"UPSTREAM_PORT": upstream_port}) as url,
    ):
        yield url, f"http://127.0.0.1:{port}"


class Load:
    """Requests that are made all the time, and how many had which status."""

    def __init__(self, url: str, client: ClientSession) -> None:
        self._url = url
        self._client = client
        self.statuses: dict[int, int] = {}

    async def go_on(self) -> None:
        while True:
            headers = dict([bearer(mint())])
            async with self._client.get(self._url, headers=headers) as answer:
                await answer.read()
                self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1


async def healthy(client: ClientSession, admin: str) -> dict[str, bool]:
    """The sidecars that Envoy knows, and whether it asks them."""
    async with client.get(f"{admin}/clusters?format=json") as answer:
        told = await answer.json(content_type=None)
    hosts = next(one for one in told["cluster_statuses"] if one["name"] == "jwt-sidecar")
    return {
        one["address"]["pipe"]["path"]: not one["health_status"].get("failed_active_health_check")
        for one in hosts["host_statuses"]
    }


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_rolling_restart_fails_no_request(tmp_path: Path, transport: str) -> None:
    sockets = {}
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        text = CONFIGURATION % (transport, "http://127.0.0.1:9/jwks.json")
        text = text.replace("drain: 0s", f"drain: {DRAIN}s")
        (tmp_path / name / "jwt-sidecar.yaml").write_text(text)
        sockets[name] = tmp_path / name / "sidecar.sock"
    async with AsyncExitStack() as stack:
        running = {name: await start(stack, tmp_path / name) for name in sockets}
        url, admin = await stack.enter_async_context(behind_envoy(sockets.values()))
        client = await stack.enter_async_context(ClientSession())
        load = Load(url, client)

        async def all_are_asked() -> bool:
            known = await healthy(client, admin)
            return known == {str(one): True for one in sockets.values()}

        await until(all_are_asked)
        async with asyncio.TaskGroup() as group:
            clients = [group.create_task(load.go_on()) for _ in range(CLIENTS)]
            for name in sockets:
                before = sum(load.statuses.values())
                running[name].send_signal(signal.SIGTERM)
                assert await running[name].wait() == 0
                assert not sockets[name].exists()
                assert sum(load.statuses.values()) > before
                running[name] = await start(stack, tmp_path / name)
                await until(all_are_asked)
            for one in clients:
                one.cancel()
    assert load.statuses.keys() == {200}


async def start(stack: AsyncExitStack, directory: Path) -> asyncio.subprocess.Process:
    return await stack.enter_async_context(sidecar(directory / "jwt-sidecar.yaml"))


class Hanging:
    """A provider that keeps its answer until it is let go."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._let_go = asyncio.Event()
        provider.answer = self.answer

    async def answer(self, request: web.Request) -> web.StreamResponse:
        await self._let_go.wait()
        return await self._provider.document(jwks("k1"))(request)

    def let_go(self) -> None:
        self._let_go.set()


@asynccontextmanager
async def one_call_running(
    directory: Path, transport: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, Any, Hanging]]:
    """A sidecar that got SIGTERM, a call to it that waits for keys, and their provider."""
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(providing())
        hanging = Hanging(provider)
        stack.callback(hanging.let_go)
        keys = f"{{url: '{provider.url}/jwks.json', required: false, timeout: 30s}}"
        issuer = (
            f"{{name: corp, issuer: 'https://login.example', audiences: [orders], keys: {keys}}}"
        )
        text = listener(transport, services="validate").replace("grace: 2s", "grace: 30s")
        (directory / "jwt-sidecar.yaml").write_text(f"{text}issuers: [{issuer}]\n{HTTP}")
        child = await start(stack, directory)
        address = f"unix:{directory}/s.sock"
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(address, OWN))
        stub = TokenServiceStub(channel)
        call = stub.ValidateToken(messages.ValidateTokenRequest(token=mint_es256()), timeout=30)
        # One that comes after it on the same connection is answered: so it has arrived.
        assert not (await stub.ValidateToken(messages.ValidateTokenRequest(token="a.b"))).valid
        assert not call.done()
        child.send_signal(signal.SIGTERM)

        async def takes_no_more() -> bool:
            request = messages.ValidateTokenRequest(token="a.b")
            async with grpc.aio.insecure_channel(address, OWN) as other:
                try:
                    await TokenServiceStub(other).ValidateToken(request, timeout=1)
                except grpc.aio.AioRpcError as error:
                    return error.code() is grpc.StatusCode.UNAVAILABLE
                return False

        await until(takes_no_more)
        yield child, call, hanging


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_call_that_runs_at_sigterm_is_answered(tmp_path: Path, transport: str) -> None:
    async with one_call_running(tmp_path, transport) as (child, call, hanging):
        assert child.returncode is None
        hanging.let_go()
        assert (await call).valid
        async with asyncio.timeout(20):
            assert await child.wait() == 0
    assert [one.name for one in tmp_path.iterdir()] == ["jwt-sidecar.yaml"]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_second_sigterm_ends_running_calls_at_once(tmp_path: Path, transport: str) -> None:
    async with one_call_running(tmp_path, transport) as (child, call, _):
        child.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            assert await child.wait() == 0
        with pytest.raises(grpc.aio.AioRpcError):
            await call
    assert [one.name for one in tmp_path.iterdir()] == ["jwt-sidecar.yaml"]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_all_sockets_of_a_killed_sidecar_are_replaced(tmp_path: Path, transport: str) -> None:
    (tmp_path / "jwt-sidecar.yaml").write_text(listener(transport) + CONSUMERS_AND_SIGNER + HTTP)
    for _ in range(2):
        async with AsyncExitStack() as stack:
            child = await start(stack, tmp_path)
            status, *_ = await run(
                "issue", "--subject", "a", "--address", f"unix:{tmp_path}/s.sock"
            )
            assert status == 0
            _, writer = await asyncio.open_unix_connection(tmp_path / "http.sock")
            writer.close()
            child.kill()
            await child.wait()
        assert {one.name for one in tmp_path.iterdir()} >= {"s.sock", "http.sock"}


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_the_socket_of_a_sidecar_that_hangs_is_in_use(tmp_path: Path, transport: str) -> None:
    path = tmp_path / "jwt-sidecar.yaml"
    path.write_text(listener(transport) + CONSUMERS_AND_SIGNER)
    async with AsyncExitStack() as stack:
        child = await start(stack, tmp_path)
        child.send_signal(signal.SIGSTOP)
        stack.callback(child.send_signal, signal.SIGCONT)
        status, out, error = await run("serve", "--config", str(path))
        assert (status, out) == (2, "")
        assert f"unix:{tmp_path}/s.sock is in use by another process; stop it" in error
        assert (tmp_path / "s.sock").is_socket()


PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""With it a connection is one of HTTP/2, which is not closed for being silent."""
HANDLES: Final = 64
OUT_OF_HANDLES: Final = "out of file handles (Too many open files; this process may have 64)"
GRPC_CORE: Final = "File descriptor limit reached"
"""What gRPC's own library writes once a second, past Python's log."""


class Short:
    """A sidecar that may have few file handles."""

    def __init__(self, child: asyncio.subprocess.Process, directory: Path) -> None:
        self.child = child
        self.lines: list[str] = []
        self._directory = directory
        self._told = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.child.stderr
        async for line in self.child.stderr:
            self.lines.append(line.decode())
            self._told.set()

    async def tells(self, *words: str) -> None:
        """Returns when a line of the log has one of these."""
        async with asyncio.timeout(20):
            while not any(word in line for word in words for line in self.lines):
                self._told.clear()
                await self._told.wait()

    async def ended(self) -> None:
        await self._reading

    def connect(self, name: str, first: bytes = b"") -> socket.socket:
        """A connection that stays open."""
        one = socket.socket(socket.AF_UNIX)
        one.setblocking(False)
        one.connect(str(self._directory / name))
        one.sendall(first)
        return one

    async def validate(self, token: str, at_most: float) -> bool:
        """The answer to a caller with a connection of its own."""
        address = f"unix:{self._directory}/s.sock"
        async with grpc.aio.insecure_channel(address, OWN) as channel:
            request = messages.ValidateTokenRequest(token=token)
            answer = await TokenServiceStub(channel).ValidateToken(
                request, timeout=at_most, wait_for_ready=True
            )
        return answer.valid


@asynccontextmanager
async def short_of_handles(directory: Path, transport: str) -> AsyncIterator[Short]:
    path = directory / "jwt-sidecar.yaml"
    path.write_text(listener(transport) + CONSUMERS_AND_SIGNER + HTTP)
    limited = ("sh", "-c", f'ulimit -n {HANDLES} && exec "$0" "$@"')
    serve = (sys.executable, "-m", "sidecar", "serve", "--config", str(path))
    pipe = asyncio.subprocess.PIPE
    async with process(*limited, *serve, stdout=pipe, stderr=pipe) as child:
        assert child.stdout
        assert b" is ready " in await child.stdout.readline()
        yield Short(child, directory)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_without_file_handles_open_connections_are_served_and_all_are_once_there_are_some(
    tmp_path: Path, transport: str
) -> None:
    async with (
        short_of_handles(tmp_path, transport) as short,
        grpc.aio.insecure_channel(f"unix:{tmp_path}/s.sock", OWN) as channel,
    ):
        stub = TokenServiceStub(channel)
        token = (await stub.IssueToken(messages.IssueTokenRequest(subject="alice"))).token
        request = messages.ValidateTokenRequest(token=token)
        taken = [short.connect("s.sock", PREFACE) for _ in range(HANDLES)]
        await short.tells(OUT_OF_HANDLES, GRPC_CORE)
        taken += [short.connect("http.sock") for _ in range(4)]
        await short.tells(OUT_OF_HANDLES)
        for _ in range(3):
            assert (await stub.ValidateToken(request, timeout=20)).valid
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await short.validate(token, 0.5)
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        short.child.send_signal(signal.SIGHUP)
        await short.tells("the configuration is not reloaded, the old one stays")
        assert (await stub.ValidateToken(request, timeout=20)).valid
        for one in taken:
            one.close()
        assert await short.validate(token, 20)
        short.child.send_signal(signal.SIGHUP)
        await short.tells("configuration reloaded: nothing has changed")
        short.child.terminate()
        assert await short.child.wait() == 0
        await short.ended()
    log = [line for line in short.lines if GRPC_CORE not in line]
    assert sum(OUT_OF_HANDLES in line for line in log) == 1
    assert len(log) < 12, log
    assert len(short.lines) < 40, "a flood"
