"""A sidecar that is down, slow, gone in the middle or none at all lets nothing through."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from jwt_sidecar_client import AsyncClient, Client, SidecarUnavailable, Token
from tests import sidecars

PEERS = {
    "plain HTTP": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue",
    "random bytes": bytes(range(255, -1, -1)),
    "nothing": b"",
}
DEADLINE = 0.5
SLACK = 5
"""What a busy machine may add to a deadline; without one it would be 20 s, or for ever."""
Call = Callable[[str, str], Awaitable[Token]]


async def in_thread(address: str, token: str) -> Token:
    def call() -> Token:
        with Client(address, timeout=DEADLINE) as client:
            return client.validate(token)

    return await asyncio.to_thread(call)


async def in_loop(address: str, token: str) -> Token:
    async with AsyncClient(address, timeout=DEADLINE) as client:
        return await client.validate(token)


each_client = pytest.mark.parametrize("call", [in_thread, in_loop])


@each_client
async def test_nothing_listens(call: Call) -> None:
    await assert_unavailable(call, sidecars.free_address())


@each_client
async def test_no_socket_is_there(call: Call, tmp_path: Path) -> None:
    await assert_unavailable(call, f"unix:{tmp_path}/sidecar.sock")


@each_client
async def test_an_address_that_is_none(call: Call) -> None:
    await assert_unavailable(call, "http://127.0.0.1:9191")


@each_client
@pytest.mark.parametrize("name", PEERS)
async def test_a_peer_that_speaks_no_grpc(call: Call, name: str) -> None:
    with sidecars.peer(PEERS[name]) as address:
        await assert_unavailable(call, address)


@each_client
async def test_a_peer_that_never_answers(call: Call) -> None:
    with sidecars.silent_peer() as address:
        await assert_unavailable(call, address)


@each_client
async def test_a_sidecar_that_stopped(call: Call) -> None:
    with sidecars.scripted() as (process, address):
        process.send_signal(signal.SIGSTOP)
        try:
            await assert_unavailable(call, address)
        finally:
            process.send_signal(signal.SIGCONT)


def test_a_sidecar_that_is_killed_during_a_call() -> None:
    with sidecars.scripted() as (process, address), Client(address, timeout=10) as client:
        client.validate("valid")
        threading.Timer(0.1, process.kill).start()
        begun = time.monotonic()
        with pytest.raises(SidecarUnavailable):
            client.validate("hangs")
        assert time.monotonic() - begun < 5


def test_a_client_that_is_closed_during_a_call(scripted: str) -> None:
    client = Client(scripted, timeout=10)
    client.validate("valid")
    threading.Timer(0.1, client.close).start()
    with pytest.raises(SidecarUnavailable):
        client.validate("hangs")


def test_a_closed_client_lets_nothing_through(scripted: str) -> None:
    client = Client(scripted, timeout=10)
    client.close()
    with pytest.raises(SidecarUnavailable):
        client.validate("valid")


async def test_a_closed_asynchronous_client_lets_nothing_through(scripted: str) -> None:
    client = AsyncClient(scripted, timeout=10)
    await client.validate("valid")
    await client.close()
    with pytest.raises(SidecarUnavailable):
        await client.validate("valid")


def test_a_sidecar_that_comes_back_is_found(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/s.sock"
    with Client(address, timeout=5) as client:
        for _ in range(2):
            with pytest.raises(SidecarUnavailable):
                client.validate("valid")
            with sidecars.scripted(address):
                assert eventually(lambda: client.validate("valid")).subject == "alice"


async def test_a_sidecar_that_comes_back_is_found_from_a_loop(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/s.sock"
    async with AsyncClient(address, timeout=5) as client:
        for _ in range(2):
            with pytest.raises(SidecarUnavailable):
                await client.validate("valid")
            with sidecars.scripted(address):
                assert (await eventually_in_loop(client)).subject == "alice"


async def test_a_task_that_is_cancelled_ends_its_call(scripted: str) -> None:
    async with AsyncClient(scripted, timeout=10) as client:
        task = asyncio.create_task(client.validate("hangs"))
        await client.validate("valid")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_client_that_is_closed_cancels_its_calls(scripted: str) -> None:
    client = AsyncClient(scripted, timeout=10)
    task = asyncio.create_task(client.validate("hangs"))
    await client.validate("valid")
    await client.close()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_client_serves_one_event_loop_after_another(scripted: str) -> None:
    client = AsyncClient(scripted, timeout=10)
    for _ in range(2):
        assert asyncio.run(client.validate("valid")).subject == "alice"


def test_tokens_go_by_no_proxy(scripted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "grpc_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://" + sidecars.free_address())
    for name in ("no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with Client(scripted, timeout=10) as client:
        assert client.validate("valid").subject == "alice"


def test_the_environment_names_the_address(scripted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "JWT_SIDECAR_ADDRESS", scripted)
    with Client(timeout=10) as client:
        assert client.validate("valid").subject == "alice"


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan")])
def test_a_deadline_that_is_none(client: Client, timeout: float) -> None:
    with pytest.raises(ValueError, match="positive number of seconds"):
        Client(timeout=timeout)
    with pytest.raises(ValueError, match="positive number of seconds"):
        client.validate("valid", timeout=timeout)


async def assert_unavailable(call: Call, address: str) -> None:
    """It ends so, and within the deadline."""
    begun = time.monotonic()
    with pytest.raises(SidecarUnavailable):
        await call(address, "valid")
    assert time.monotonic() - begun < DEADLINE + SLACK


def eventually(call: Callable[[], Token]) -> Token:
    """What the call gives once gRPC has connected anew, which takes it a second at most."""
    end = time.monotonic() + 20
    while True:
        try:
            return call()
        except SidecarUnavailable:
            assert time.monotonic() < end


async def eventually_in_loop(client: AsyncClient) -> Token:
    end = time.monotonic() + 20
    while True:
        try:
            return await client.validate("valid")
        except SidecarUnavailable:
            assert time.monotonic() < end
