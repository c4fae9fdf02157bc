"""Keys that outlive a killed process, for a start while their provider is down."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
from aiohttp import web

from deploy.demo.stage import free_port, process
from sidecar.keys.stored import KIND
from sidecar.state.sqlite import SqliteStore
from sidecar.v1 import token_service_pb2 as messages
from sidecar.v1.token_service_pb2_grpc import TokenServiceStub
from tests.authors import CORP, author
from tests.integration.test_generated_keys import validate
from tests.integration.test_process import COMMAND, serving
from tests.running import assert_refused, assert_valid
from tests.tokens import ABSENT, mint

CONFIGURATION = """
listeners: [{{address: 'unix:a.sock', services: [validate]}}]
store: {{url: 'sqlite:state.db'}}
issuers:
  - name: corp
    issuer: https://corp.example
    keys: {{url: 'http://127.0.0.1:{port}/{path}', timeout: 1s, snapshot: {snapshot}}}
    audiences: [orders]
shutdown: {{drain: 0s, grace: 1s}}
"""
TOKEN = mint(iat=ABSENT, exp=4102444800)


def configuration(directory: Path, port: int, path: str = "jwks", snapshot: str = "true") -> Path:
    file = directory / "a.yaml"
    file.write_text(CONFIGURATION.format(port=port, path=path, snapshot=snapshot))
    return file


async def jwks(_: web.Request) -> web.Response:
    return web.json_response({"keys": [CORP.jwk()]})


@asynccontextmanager
async def provider(port: int) -> AsyncIterator[None]:
    """CORP's key set at this port."""
    app = web.Application()
    app.router.add_get("/jwks", jwks)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield
    finally:
        await runner.cleanup()


async def saved(directory: Path) -> None:
    """Returns when the key set is in the store."""
    async with asyncio.timeout(20), SqliteStore.opened(str(directory / "state.db")) as store:
        while await store.get(KIND, "corp") is None:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)


async def killed_after_its_first_fetch(file: Path, port: int, saves: bool = True) -> None:
    async with provider(port), serving(file) as child:
        assert_valid(await validate(file, TOKEN))
        if saves:
            await saved(file.parent)
        child.send_signal(signal.SIGKILL)
        await child.wait()


async def test_a_sidecar_that_starts_in_an_outage_validates_at_once(tmp_path: Path) -> None:
    port = free_port()
    file = configuration(tmp_path, port)
    await killed_after_its_first_fetch(file, port)
    async with serving(file):
        assert_valid(await validate(file, TOKEN))
        stranger = author(other=1)
        assert_refused(
            await validate(file, mint(stranger, iat=ABSENT, exp=4102444800)), "SIGNATURE_INVALID"
        )


async def test_what_was_saved_from_another_url_is_not_used(tmp_path: Path) -> None:
    port = free_port()
    await killed_after_its_first_fetch(configuration(tmp_path, port), port)
    file = configuration(tmp_path, port, path="other")
    await assert_waits_for_keys(file)


async def test_nothing_is_saved_where_the_setting_says_so(tmp_path: Path) -> None:
    port = free_port()
    file = configuration(tmp_path, port, snapshot="false")
    await killed_after_its_first_fetch(file, port, saves=False)
    await assert_waits_for_keys(file)


async def assert_waits_for_keys(file: Path) -> None:
    """That a sidecar refuses for want of keys."""
    async with (
        process(*COMMAND, "serve", "--config", str(file)),
        grpc.aio.insecure_channel(f"unix:{file.with_suffix('.sock')}") as channel,
    ):
        request = messages.ValidateTokenRequest(token=TOKEN)
        stub = TokenServiceStub(channel)
        answer = await stub.ValidateToken(request, wait_for_ready=True, timeout=20)
        assert_refused(answer, "KEYS_UNAVAILABLE")
