"""A sidecar as a process of its own, whose every byte of output is kept."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from typing import IO, Any

import grpc
from aiohttp import ClientError

from tests.secrecy.caller import Caller
from tests.secrecy.pages import http
from tests.secrecy.seen import Seen
from tests.secrecy.world import TRANSPORTS, World

COMMAND = (sys.executable, "-m", "sidecar")


class Process:
    """A sidecar that serves, and what it prints."""

    def __init__(self, one: World, child: asyncio.subprocess.Process, seen: Seen) -> None:
        self._one = one
        self.child = child
        self._seen = seen

    def printed(self) -> str:
        return "".join(_output(self._one, name).read_text() for name in ("stdout", "stderr"))

    async def until_printed(self, words: str, times: int = 1) -> None:
        async with asyncio.timeout(30):
            while self.printed().count(words) < times:
                assert self.child.returncode is None, self.printed()[-2000:]
                await asyncio.sleep(0.05)

    async def until_alive(self) -> None:
        async with asyncio.timeout(30), http(self._one) as session:
            while True:
                with contextlib.suppress(ClientError):
                    async with session.get("/livez"):
                        return
                await asyncio.sleep(0.05)

    def callers(self) -> AbstractAsyncContextManager[list[Caller]]:
        return channels(self._one, self._seen)


@asynccontextmanager
async def channels(one: World, seen: Seen) -> AsyncIterator[list[Caller]]:
    """A caller by each transport."""
    async with AsyncExitStack() as stack:
        found = []
        for transport in TRANSPORTS:
            channel = grpc.aio.insecure_channel(one.address(transport))
            await stack.enter_async_context(channel)
            found.append(Caller(transport, channel, seen))
        yield found


@asynccontextmanager
async def serving(one: World, seen: Seen, has_keys: bool = True) -> AsyncIterator[Process]:
    """A process that is ready, or without keys alive; what it printed is seen at its end."""
    with _opened(one, "stdout") as stdout, _opened(one, "stderr") as stderr:
        child = await asyncio.create_subprocess_exec(
            *(*COMMAND, "serve", "--config", str(one.file)),
            stdout=stdout,
            stderr=stderr,
            env={**os.environ, **one.environment},
        )
        process = Process(one, child, seen)
        try:
            await (process.until_printed(" is ready on ") if has_keys else process.until_alive())
            yield process
        finally:
            if child.returncode is None:
                child.send_signal(signal.SIGTERM)
                try:
                    await asyncio.wait_for(child.wait(), 10)
                except TimeoutError:
                    child.kill()
                    await child.wait()
            for name in ("stdout", "stderr"):
                seen.add(f"the process's {name}", _output(one, name).read_bytes())


async def run(one: World, seen: Seen, *arguments: str, stdin: str = "") -> tuple[int, str]:
    """Exit status and standard output of a command; both its outputs are seen."""
    child = await asyncio.create_subprocess_exec(
        *(*COMMAND, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **one.environment},
    )
    out, err = await child.communicate(stdin.encode())
    assert child.returncode is not None
    command = " ".join(word if len(word) < 20 else "…" for word in arguments)
    if arguments[0] not in {"issue", "refresh"} or child.returncode:
        seen.add(f"standard output of {command}", out)
    seen.add(f"standard error of {command}", err)
    return child.returncode, out.decode()


def see_store(one: World, seen: Seen) -> None:
    """The file of the store and those beside it, as they are."""
    for path in one.path.glob("state.db*"):
        seen.add(path.name, path.read_bytes())


def see_redis(seen: Seen, call: Callable[..., Any], password: str) -> int:
    """All that Redis has, by key; gives how many keys there are."""
    keys = call("KEYS", "*", password=password)
    for key in keys:
        seen.add(f"Redis {key!r}", key + b" " + call("DUMP", key, password=password))
    return len(keys)


def _output(one: World, name: str) -> Any:
    return one.path / f"{name}.log"


@contextmanager
def _opened(one: World, name: str) -> Any:
    file: IO[bytes]
    with _output(one, name).open("ab") as file:
        yield file
