"""gRPC servers of both kinds answer as the table says, and let nothing else through."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from jwt_sidecar_client import AsyncClient, Client
from jwt_sidecar_client.interceptors import (
    AsyncTokenInterceptor,
    TokenInterceptor,
    current_token,
)
from tests import sidecars
from tests.table import CASES, HEADERS, seconds_for

each_server = pytest.mark.parametrize("server", ["threads", "asyncio"])
each_kind = pytest.mark.parametrize(
    "kind", ["unary_unary", "unary_stream", "stream_unary", "stream_stream"]
)
SENDABLE = [one for one in HEADERS if "\t" not in "".join(one["authorization"])]
"""gRPC sends and takes no tab in metadata."""
OPEN = "/shop.Orders/open"


def who() -> bytes:
    """What every handler answers: the subject, or the consumer, or that nobody is known."""
    try:
        token = current_token()
    except LookupError:
        return b"nobody"
    return (token.subject or token.consumer).encode()


class Handlers:
    """One handler of each kind, for threads."""

    def open(self, request: bytes, context: Any) -> bytes:
        return who()

    unary_unary = open

    def unary_stream(self, request: bytes, context: Any) -> Iterator[bytes]:
        yield who()
        yield who()

    def stream_unary(self, requests: Iterable[bytes], context: Any) -> bytes:
        return b"".join(who() for _ in requests)

    def stream_stream(self, requests: Iterable[bytes], context: Any) -> Iterator[bytes]:
        for _ in requests:
            yield who()


class AsyncHandlers:
    """One handler of each kind, for asyncio."""

    async def open(self, request: bytes, context: Any) -> bytes:
        return who()

    unary_unary = open

    async def unary_stream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield who()
        yield who()

    async def stream_unary(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        return b"".join([who() async for _ in requests])

    async def stream_stream(
        self, requests: AsyncIterator[bytes], context: Any
    ) -> AsyncIterator[bytes]:
        async for _ in requests:
            yield who()


def service(handlers: object) -> grpc.GenericRpcHandler:
    return grpc.method_handlers_generic_handler(
        "shop.Orders",
        {
            "open": grpc.unary_unary_rpc_method_handler(handlers.open),  # type: ignore[attr-defined]
            **{
                name: getattr(grpc, f"{name}_rpc_method_handler")(getattr(handlers, name))
                for name in ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
            },
        },
    )


@asynccontextmanager
async def serving(server: str, sidecar: str, **options: Any) -> AsyncIterator[grpc.Channel]:
    """A channel to a server with one thread or one loop that asks this sidecar."""
    own: dict[str, Any] = {"timeout": 10, "caller_token": None}
    own |= {name: options.pop(name) for name in tuple(options) if name in own}
    if server == "threads":
        with Client(sidecar, **own) as client:
            threads = ThreadPoolExecutor(1)
            sync = grpc.server(threads, interceptors=[TokenInterceptor(client, **options)])
            sync.add_generic_rpc_handlers([service(Handlers())])
            port = sync.add_insecure_port("127.0.0.1:0")
            sync.start()
            try:
                with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                    yield channel
            finally:
                await asyncio.to_thread(sync.stop(None).wait)
                threads.shutdown()
    else:
        async with AsyncClient(sidecar, **own) as client_of_loop:
            aio = grpc.aio.server(interceptors=[AsyncTokenInterceptor(client_of_loop, **options)])
            aio.add_generic_rpc_handlers([service(AsyncHandlers())])
            port = aio.add_insecure_port("127.0.0.1:0")
            await aio.start()
            try:
                with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                    yield channel
            finally:
                await aio.stop(None)


async def call(channel: grpc.Channel, method: str, *authorization: str) -> list[bytes]:
    """All responses to one request, or to two where they are a stream."""
    kind = "unary_unary" if method in ("open", "none") else method
    requests = iter([b"", b""]) if kind.startswith("stream") else b""
    metadata = tuple(("authorization", one) for one in authorization)

    def calling() -> list[bytes]:
        answer = getattr(channel, kind)(f"/shop.Orders/{method}")(requests, metadata=metadata)
        return list(answer) if kind.endswith("stream") else [answer]

    return await asyncio.to_thread(calling)


async def denied(channel: grpc.Channel, method: str, *authorization: str) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        await call(channel, method, *authorization)
    return caught.value


@each_server
@pytest.mark.parametrize("case", [pytest.param(one, id=one["name"]) for one in CASES])
async def test_a_call_ends_as_the_table_says(
    server: str, case: dict[str, Any], scripted: str
) -> None:
    scopes = case.get("request", {}).get("scopes", [])
    expected = case["client"]
    shown = f"Bearer {case['name']}~{server}"
    async with serving(server, scripted, scopes=scopes, timeout=seconds_for(case)) as channel:
        if expected["outcome"] == "token":
            token = expected["token"]
            answers = await call(channel, "unary_unary", shown)
            assert answers == [(token["subject"] or token["consumer"]).encode()]
            return
        error = await denied(channel, "unary_unary", shown)
    assert error.code().name == expected["grpc_status"]
    assert (
        error.details()
        == {
            "refused": f"{expected.get('reason')}: {expected.get('message')}",
            "unavailable": "the token can't be checked now",
            "rejected": "the token can't be checked",
        }[expected["outcome"]]
    )


@each_server
@pytest.mark.parametrize("row", [pytest.param(one, id=one["name"]) for one in SENDABLE])
async def test_the_metadata_is_read_as_the_table_says(
    server: str, row: dict[str, Any], scripted: str
) -> None:
    async with serving(server, scripted) as channel:
        if not row["reason"]:
            assert await call(channel, "unary_unary", *row["authorization"]) == [b"alice"]
            return
        error = await denied(channel, "unary_unary", *row["authorization"])
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED
        assert (error.details() or "").split(":")[0] == row["reason"]


@each_server
@each_kind
async def test_every_kind_of_call_is_guarded(server: str, kind: str, scripted: str) -> None:
    async with serving(server, scripted) as channel:
        assert b"".join(await call(channel, kind, "Bearer valid")).startswith(b"alice")
        assert (await denied(channel, kind)).code() is grpc.StatusCode.UNAUTHENTICATED
        error = await denied(channel, kind, "Bearer refused-rule-denied")
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED


@each_server
@each_kind
async def test_without_a_sidecar_no_call_passes(server: str, kind: str) -> None:
    async with serving(server, sidecars.free_address()) as channel:
        error = await denied(channel, kind, "Bearer valid")
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        error = await denied(channel, kind)  # which needs no sidecar to be seen
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED


@each_server
@each_kind
async def test_of_a_mistake_of_the_service_the_caller_learns_nothing(
    server: str, kind: str, scripted: str, caplog: pytest.LogCaptureFixture
) -> None:
    def unreadable() -> str:
        raise FileNotFoundError("/run/secrets/inside")

    async with serving(server, scripted, caller_token=unreadable) as channel:
        error = await denied(channel, kind, "Bearer valid")
    assert (error.code().name, error.details()) == ("INTERNAL", "the token can't be checked")
    assert "/run/secrets/inside" in caplog.text


@each_server
async def test_a_stream_is_denied_before_anything_is_sent(server: str, scripted: str) -> None:
    async with serving(server, scripted) as channel:
        nothing = threading.Event()
        calls: grpc.StreamStreamMultiCallable[bool, bytes]
        calls = channel.stream_stream("/shop.Orders/stream_stream")
        stream = calls(iter(nothing.wait, False))
        assert await asyncio.to_thread(stream.code) is grpc.StatusCode.UNAUTHENTICATED
        nothing.set()


@each_server
async def test_open_methods_need_no_token_and_see_none(server: str, scripted: str) -> None:
    async with serving(server, scripted, open_methods=iter([OPEN])) as channel:
        for _ in range(2):
            assert await call(channel, "unary_unary", "Bearer valid") == [b"alice"]
            assert await call(channel, "open") == [b"nobody"]
            assert (await denied(channel, "unary_unary")).code().name == "UNAUTHENTICATED"


@each_server
async def test_what_is_demanded_is_demanded_of_every_call(server: str, real: str) -> None:
    async with AsyncClient(real, timeout=10) as client:
        reader = (await client.issue(subject="reader", scopes=["orders:read"])).token
        writer = (await client.issue(subject="writer", scopes=["orders:write"])).token
    async with serving(server, real, scopes=iter(["orders:write"])) as channel:
        for _ in range(2):
            assert await call(channel, "unary_unary", f"Bearer {writer}") == [b"writer"]
            error = await denied(channel, "unary_unary", f"Bearer {reader}")
            assert error.code() is grpc.StatusCode.PERMISSION_DENIED


@each_server
async def test_calls_at_the_same_time_see_their_own_token(server: str, real: str) -> None:
    async with AsyncClient(real, timeout=10) as client:
        tokens = {
            name: (await client.issue(subject=name)).token for name in ("alice", "bob", "carol")
        }
    async with serving(server, real) as channel:
        names = list(tokens) * 10
        calls = (call(channel, "stream_stream", f"Bearer {tokens[name]}") for name in names)
        assert await asyncio.gather(*calls) == [[name.encode()] * 2 for name in names]


@each_server
async def test_a_method_that_is_none_stays_none(server: str, scripted: str) -> None:
    async with serving(server, scripted) as channel:
        for shown in ([], ["Bearer valid"]):
            assert (await denied(channel, "none", *shown)).code().name == "UNIMPLEMENTED"


async def test_a_slow_sidecar_holds_up_no_other_call(scripted: str) -> None:
    with Client(scripted, timeout=5) as client, ThreadPoolExecutor(2) as threads:
        interceptor = TokenInterceptor(client, open_methods=[OPEN])
        server = grpc.server(threads, interceptors=[interceptor])
        server.add_generic_rpc_handlers([service(Handlers())])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            slow = asyncio.create_task(call(channel, "unary_unary", "Bearer hangs"))
            assert await call(channel, "open") == [b"nobody"]
            assert not slow.done()
            slow.cancel()
        client.close()
        await asyncio.to_thread(server.stop(None).wait)


def test_options_that_are_spelled_wrong_are_none(client: Client) -> None:
    with pytest.raises(TypeError):
        TokenInterceptor(client, scope=["orders:write"])  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="several texts"):
        TokenInterceptor(client, open_methods=OPEN)
    with pytest.raises(TypeError, match="several texts"):
        TokenInterceptor(client, scopes="orders:write")
