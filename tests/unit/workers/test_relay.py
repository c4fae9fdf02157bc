"""Connections that are handed on: whole, in order, bounded, and to the one with the fewest."""

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sidecar.api.binding import ListenFailed
from sidecar.config.addresses import Address
from sidecar.workers.relay import relaying

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
MUCH = 8 * 1024 * 1024
HELD = 2 * 1024 * 1024
"""More than sockets and transports hold on the way."""


def addresses(places: Path, *names: str) -> list[Address]:
    return [Address(path=str(places / name)) for name in names]


@asynccontextmanager
async def worker(address: Address) -> AsyncIterator[list[Streams]]:
    """A server that keeps its connections, for the test to use."""
    connections: list[Streams] = []

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append((reader, writer))

    server = await asyncio.start_unix_server(connected, address.path)
    try:
        yield connections
    finally:
        server.close()
        for _, writer in connections:
            writer.close()


@asynccontextmanager
async def connected(address: Address) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_unix_connection(address.path)
    try:
        yield reader, writer
    finally:
        writer.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the state of another party
            await asyncio.sleep(0.005)


async def within(awaitable: Awaitable[bytes]) -> bytes:
    async with asyncio.timeout(20):
        return await awaitable


async def test_bytes_go_both_ways_and_the_end_of_either_is_told(places: Path) -> None:
    front, target = addresses(places, "front", "1")
    async with (
        worker(target) as there,
        relaying(front, "0600", [target]),
        connected(front) as (reader, writer),
    ):
        writer.write(b"question")
        writer.write_eof()
        await until(lambda: len(there) == 1)
        asked, answer = there[0]
        assert await within(asked.read()) == b"question"
        answer.write(b"answer")
        answer.close()
        assert await within(reader.read()) == b"answer"


async def test_a_worker_may_speak_first(places: Path) -> None:
    front, target = addresses(places, "front", "1")
    async with (
        worker(target) as there,
        relaying(front, "0600", [target]),
        connected(front) as (reader, _),
    ):
        await until(lambda: len(there) == 1)
        there[0][1].write(b"hello")
        assert await within(reader.readexactly(5)) == b"hello"


async def test_much_arrives_whole_in_both_directions(places: Path) -> None:
    front, target = addresses(places, "front", "1")
    data = os.urandom(MUCH)
    async with (
        worker(target) as there,
        relaying(front, "0600", [target]),
        connected(front) as (reader, writer),
    ):
        writer.write(data)
        await until(lambda: len(there) == 1)
        assert await within(there[0][0].readexactly(MUCH)) == data
        there[0][1].write(data)
        assert await within(reader.readexactly(MUCH)) == data


@pytest.mark.parametrize("writes", ["the client", "the worker"])
async def test_who_writes_waits_for_who_does_not_read(places: Path, writes: str) -> None:
    front, target = addresses(places, "front", "1")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(target.path)
        server.listen()
        async with relaying(front, "0600", [target]):
            client.connect(front.path)
            server.setblocking(False)
            there, _ = await asyncio.get_running_loop().sock_accept(server)
            with there:
                sender = client if writes == "the client" else there
                sender.setblocking(False)
                sent = await written_until_full(sender)
                assert sent < HELD
                reader = there if writes == "the client" else client
                reader.setblocking(False)
                assert await read_all(reader, sent) == sent


async def written_until_full(sender: socket.socket) -> int:
    """How many bytes it takes when nobody reads them."""
    sent, idle = 0, 0
    while idle < 20 and sent <= HELD:
        try:
            sent += sender.send(b"x" * 65536)
            idle = 0
        except BlockingIOError:
            idle += 1
            await asyncio.sleep(0.005)
    return sent


async def read_all(reader: socket.socket, size: int) -> int:
    received = 0
    async with asyncio.timeout(20):
        while received < size:
            received += len(await asyncio.get_running_loop().sock_recv(reader, 65536))
    return received


async def test_each_connection_goes_to_the_one_with_the_fewest(places: Path) -> None:
    front, one, two = addresses(places, "front", "1", "2")
    async with worker(one) as first, worker(two) as second, relaying(front, "0600", [one, two]):
        opened = [await asyncio.open_unix_connection(front.path) for _ in range(6)]
        await until(lambda: (len(first), len(second)) == (3, 3))
        for _, writer in opened[0:6:2]:
            writer.close()
        for reader, writer in first:
            assert await within(reader.read()) == b""
            writer.close()
        opened += [await asyncio.open_unix_connection(front.path) for _ in range(3)]
        await until(lambda: len(first) + len(second) == 9)
        assert len(first) == 6
        for _, writer in opened:
            writer.close()


async def test_one_that_is_down_is_passed_over(places: Path) -> None:
    front, down, absent, up = addresses(places, "front", "1", "2", "3")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(down.path)
    async with worker(up) as there, relaying(front, "0600", [down, absent, up]):
        for number in range(1, 4):
            async with connected(front) as (_, writer):
                writer.write(b"x")
                await until(lambda number=number: len(there) == number)  # type: ignore[misc]


async def test_one_that_hangs_and_whose_queue_is_full_is_passed_over(places: Path) -> None:
    front, hanging, up = addresses(places, "front", "1", "2")
    with socket.socket(socket.AF_UNIX) as hung, socket.socket(socket.AF_UNIX) as queued:
        hung.bind(hanging.path)
        hung.listen(0)
        queued.connect(hanging.path)
        async with worker(up) as there, relaying(front, "0600", [hanging, up]):
            for number in range(1, 4):
                async with connected(front) as (_, writer):
                    writer.write(b"x")
                    await until(lambda number=number: len(there) == number)  # type: ignore[misc]


async def test_where_none_is_up_a_connection_ends_at_once(places: Path) -> None:
    front, absent = addresses(places, "front", "1")
    async with relaying(front, "0600", [absent]), connected(front) as (reader, _):
        assert await within(reader.read()) == b""


async def test_a_connection_ends_with_its_worker_and_another_one_takes_the_next(
    places: Path,
) -> None:
    front, one, two = addresses(places, "front", "1", "2")
    async with worker(two) as there, relaying(front, "0600", [one, two]):
        async with worker(one) as dying, connected(front) as (reader, _):
            await until(lambda: len(dying) == 1)
            dying[0][1].transport.abort()
            assert await within(reader.read()) == b""
        async with connected(front) as (_, writer):
            writer.write(b"x")
            await until(lambda: len(there) == 1)


async def test_a_client_that_goes_while_it_waits_leaves_nothing_behind(places: Path) -> None:
    front, target = addresses(places, "front", "1")
    async with worker(target) as there, relaying(front, "0600", [target]):
        for _ in range(5):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(front.path)
        await until(lambda: len(there) == 5)
        for reader, _ in there:
            assert await within(reader.read()) == b""


async def test_what_a_client_wrote_before_it_went_arrives(places: Path) -> None:
    front, target = addresses(places, "front", "1")
    async with worker(target) as there, relaying(front, "0600", [target]):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(front.path)
            client.sendall(b"farewell")
        await until(lambda: len(there) == 1)
        assert await within(there[0][0].read()) == b"farewell"


async def test_permissions_and_what_is_left_behind(places: Path) -> None:
    front, target = addresses(places, "front", "1")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(front.path)
    async with worker(target) as there:
        async with relaying(front, "0640", [target]):
            assert stat.S_IMODE(os.stat(front.path).st_mode) == 0o640
            reader, writer = await asyncio.open_unix_connection(front.path)
            await until(lambda: len(there) == 1)
            with pytest.raises(ListenFailed, match="in use by another process"):
                async with relaying(front, "0640", [target]):
                    pass
        assert await within(reader.read()) == b""
        writer.close()
    assert not os.path.exists(front.path)
