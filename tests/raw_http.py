"""HTTP/1.1 byte for byte: requests that no client library would send, and what came out of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from multidict import CIMultiDict
from yarl import URL

SECONDS = 20


@dataclass(frozen=True)
class Response:
    """What a client got; status 0 where the connection was closed without a word."""

    status: int
    headers: CIMultiDict[str]


@dataclass(frozen=True)
class Arrived:
    """A request as it came to the upstream."""

    method: str
    target: str
    headers: CIMultiDict[str]


async def send(url: str, data: bytes) -> Response:
    """The answer to these bytes, after which the connection is closed."""
    reader, writer = await asyncio.open_connection(URL(url).host, URL(url).port)
    try:
        async with asyncio.timeout(SECONDS):
            writer.write(data)
            head = await _head(reader)
    finally:
        writer.close()
    line, headers = _parsed(head)
    return Response(int(line.split(" ")[1]) if line else 0, headers)


@asynccontextmanager
async def upstream() -> AsyncIterator[tuple[int, list[Arrived]]]:
    """A server that says yes to everything: its port, and the requests that it got."""
    arrived: list[Arrived] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, headers = _parsed(await _head(reader))
        if line:
            method, target, _ = line.split(" ")
            arrived.append(Arrived(method, target, headers))
            writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], arrived


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionResetError):
        return b""


def _parsed(head: bytes) -> tuple[str, CIMultiDict[str]]:
    line, *fields = head.decode("utf-8", "replace").strip().split("\r\n")
    pairs = (one.partition(":") for one in fields)
    return line, CIMultiDict((name, value.strip()) for name, _, value in pairs)
