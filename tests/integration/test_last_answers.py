"""Calls that run when a server is stopped get their answers, whole, before its connections end."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health

from sidecar.api.listener import Listener, bind, method
from sidecar.config.listeners import Listener as Settings
from sidecar.config.surroundings import Surroundings
from tests.running import TRANSPORTS

SERVICE, METHOD = "tests.Late", "Call"
ANSWER = b"x" * 100_000
CALLS, SERVERS = 16, 10


class Late:
    """A method whose calls all run until they may end."""

    def __init__(self) -> None:
        self.running = 0
        self.all_run = asyncio.Event()
        self.may_end = asyncio.Event()

    async def call(self, message: bytes, context: Any) -> bytes:
        self.running += 1
        if self.running == CALLS:
            self.all_run.set()
        await self.may_end.wait()
        return ANSWER


def listening(late: Late, path: Path, transport: str) -> Listener:
    settings = Settings.model_validate(
        {"address": f"unix:{path}", "services": ["validate"], "transport": transport},
        context=Surroundings("", {}),
    )
    services = {SERVICE: {METHOD: method(late.call)}}
    return bind(settings, services, (), health.aio.HealthServicer())


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_no_answer_is_lost(transport: str, tmp_path: Path) -> None:
    for number in range(SERVERS):
        late, path = Late(), tmp_path / str(number)
        server = listening(late, path, transport).server
        await server.start()
        async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
            ask: Any = channel.unary_unary(f"/{SERVICE}/{METHOD}")
            calls = [asyncio.ensure_future(ask(b"")) for _ in range(CALLS)]
            await late.all_run.wait()
            stopping = asyncio.create_task(server.stop(10.0))
            await asyncio.sleep(0)
            late.may_end.set()
            assert await asyncio.gather(*calls) == [ANSWER] * CALLS
            await stopping
