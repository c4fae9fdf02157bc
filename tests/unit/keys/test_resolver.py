"""Names that are looked up, some of which hang."""

import asyncio
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from sidecar.keys import resolver
from sidecar.keys.resolver import Resolver


class Names:
    """A system's lookup: names that begin with `hang` hang until it is closed."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.closed = threading.Event()

    def look_up(self, host: str, port: int, family: int) -> Sequence[Any]:
        self.asked.append(host)
        if host.startswith("hang"):
            self.closed.wait()
        if host.startswith("none"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", port))]


@pytest.fixture
def names() -> Iterator[Names]:
    one = Names()
    yield one
    one.closed.set()


async def test_addresses(names: Names) -> None:
    (found,) = await Resolver(names.look_up).resolve("keys.example.com", 443)
    assert (found["hostname"], found["host"], found["port"]) == (
        "keys.example.com",
        "192.0.2.1",
        443,
    )


async def test_a_name_that_is_not_there(names: Names) -> None:
    with pytest.raises(OSError, match="not known"):
        await Resolver(names.look_up).resolve("none.example.com")


async def test_names_that_hang_delay_no_other(names: Names) -> None:
    resolving = Resolver(names.look_up)
    hanging = [
        asyncio.ensure_future(resolving.resolve(f"hang-{number}"))
        for number in range(resolver.MOST - 1)
    ]
    await asyncio.sleep(0)
    assert await resolving.resolve("keys.example.com", 443)
    assert not any(one.done() for one in hanging)
    names.closed.set()
    await asyncio.gather(*hanging)


async def test_whoever_asks_for_the_same_name_shares_the_lookup(names: Names) -> None:
    resolving = Resolver(names.look_up)
    asking = [asyncio.ensure_future(resolving.resolve("hang")) for _ in range(200)]
    await asyncio.sleep(0)
    names.closed.set()
    await asyncio.gather(*asking)
    assert names.asked == ["hang"]


async def test_who_gives_up_ends_the_lookup_for_no_other(names: Names) -> None:
    resolving = Resolver(names.look_up)
    first = asyncio.ensure_future(resolving.resolve("hang"))
    second = asyncio.ensure_future(resolving.resolve("hang"))
    await asyncio.sleep(0)
    first.cancel()
    names.closed.set()
    assert await second


async def test_lookups_that_hang_are_bounded(names: Names) -> None:
    resolving = Resolver(names.look_up)
    hanging = [
        asyncio.ensure_future(resolving.resolve(f"hang-{number}"))
        for number in range(resolver.MOST)
    ]
    await asyncio.sleep(0)
    with pytest.raises(OSError, match="64 lookups of other names hang"):
        await resolving.resolve("keys.example.com")
    names.closed.set()
    await asyncio.gather(*hanging)
    assert await resolving.resolve("keys.example.com")


async def test_a_lookup_that_ends_after_its_loop_disturbs_nobody(names: Names) -> None:
    def ask() -> None:
        async def give_up() -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await Resolver(names.look_up).resolve("hang")

        asyncio.run(give_up())

    await asyncio.to_thread(ask)
    names.closed.set()


async def test_the_systems_lookup_knows_localhost() -> None:
    found = await Resolver().resolve("localhost", 80)
    assert "127.0.0.1" in {one["host"] for one in found}


async def test_a_name_that_is_none() -> None:
    with pytest.raises(OSError, match="it is no name of a host"):
        await Resolver().resolve("a" * 300)
