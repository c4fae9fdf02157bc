"""What a client of Envoy gets while the sidecar is away, hangs, is slow, or reloads."""

import asyncio
import itertools
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import ClientSession, TCPConnector

from deploy.demo.stage import envoy, sidecar, upstream
from tests.integration.test_envoy import (
    CONFIGURATION,
    ENVOY,
    Stage,
    bearer,
    mint,
    set_up,
    unverifiable,
)

HASTY = ENVOY.replace("timeout: 10s", "timeout: 3s")
"""For who waits until it gives up."""
CLIENTS = 1000
AT_ONCE = 50
"""Of the clients, so many ask at the same moment."""
RELOADS = 8
SOME = 200
"""Decisions between two reloads, and more."""
Kinds = tuple[tuple[str, list[tuple[str, str]]], ...]
GONE = signal.SIGKILL
HUNG = signal.SIGSTOP


async def struck(stack: AsyncExitStack, directory: Path, by: signal.Signals, allow: bool) -> Stage:
    """A stage whose sidecar got a signal once it had served."""
    stage = await set_up(stack, directory, "auto", True, allow=allow, template=HASTY)
    assert (await stage.get("/", bearer(mint()))).status == 200
    stage.sidecar.send_signal(by)
    if by is GONE:
        await stage.sidecar.wait()
    else:
        stack.callback(stage.sidecar.send_signal, signal.SIGCONT)
    return stage


@pytest.mark.parametrize("by", [GONE, HUNG], ids=["killed", "hung"])
async def test_closed_while_nobody_decides(tmp_path: Path, by: signal.Signals) -> None:
    async with AsyncExitStack() as stack:
        stage = await struck(stack, tmp_path, by, allow=False)
        for headers in ((), (bearer(mint()),)):
            assert (await stage.get("/", *headers)).status == 503


@pytest.mark.parametrize("by", [GONE, HUNG], ids=["killed", "hung"])
async def test_open_while_nobody_decides_where_envoy_is_told_so(
    tmp_path: Path, by: signal.Signals
) -> None:
    """The upstream sees the token, and what the client sent as ours: docs/envoy.md warns of it."""
    async with AsyncExitStack() as stack:
        stage = await struck(stack, tmp_path, by, allow=True)
        answer = await stage.get("/", ("x-jwt-subject", "mallory"))
        assert (answer.status, answer.seen["x-jwt-subject"]) == (200, "mallory")


@pytest.mark.parametrize("allow", [False, True])
async def test_a_sidecar_that_is_slow_still_decides(tmp_path: Path, allow: bool) -> None:
    async with AsyncExitStack() as stack:
        stage = await struck(stack, tmp_path, HUNG, allow)
        asked = [
            asyncio.create_task(stage.get("/", *headers)) for headers in ((), (bearer(mint()),))
        ]
        asyncio.get_running_loop().call_later(0.3, stage.sidecar.send_signal, signal.SIGCONT)
        assert [answer.status for answer in await asyncio.gather(*asked)] == [401, 200]


async def test_it_decides_again_when_it_is_back(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        stage = await struck(stack, tmp_path, HUNG, allow=False)
        assert (await stage.get("/", bearer(mint()))).status == 503
        stage.sidecar.send_signal(signal.SIGCONT)
        async with asyncio.timeout(20):
            while (await stage.get("/", bearer(mint()))).status != 200:
                continue
        assert (await stage.get("/")).status == 401


@pytest.mark.parametrize("on_outage", ["deny", "error"])
async def test_an_outage_is_envoys_to_decide_only_where_the_sidecar_says_so(
    tmp_path: Path, on_outage: str
) -> None:
    text = CONFIGURATION % ("auto", "http://127.0.0.1:9/jwks.json")
    assert "\n  denied:" in text
    configured = text.replace("\n  denied:", f"\n  on_outage: {on_outage}\n  denied:")
    (tmp_path / "jwt-sidecar.yaml").write_text(configured)
    away = ("authorization", f"Bearer {unverifiable()}")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(sidecar(tmp_path / "jwt-sidecar.yaml"))
        values = {
            "UPSTREAM_PORT": await stack.enter_async_context(upstream()),
            "SIDECAR_SOCKET": tmp_path / "sidecar.sock",
        }
        template = ENVOY.replace("failure_mode_allow: false", "failure_mode_allow: true")
        url = await stack.enter_async_context(envoy(template, values))
        client = await stack.enter_async_context(ClientSession())
        async with client.get(url, headers=[away]) as answer:
            assert answer.status == (503 if on_outage == "deny" else 200)
        async with client.get(url) as answer:
            assert answer.status == 401


async def test_a_thousand_clients_see_no_wrong_decision_while_it_reloads(tmp_path: Path) -> None:
    """Each keeps its connection. With each reload another audience is accepted, and back."""
    good, other = bearer(mint()), bearer(mint(aud="other"))
    async with AsyncExitStack() as stack:
        stage = await set_up(stack, tmp_path, "auto", True)
        connector = TCPConnector(limit=CLIENTS)
        client = await stack.enter_async_context(ClientSession(connector=connector))
        turns, some = asyncio.Semaphore(AT_ONCE), asyncio.Event()
        reloading = True
        decided: list[tuple[str, int]] = []

        async def call(first: int) -> None:
            kinds: Kinds = (("good", [good]), ("none", []), ("other", [other]))
            for number in itertools.count(first):
                kind, headers = kinds[number % 3]
                async with turns, client.get(stage.url, headers=headers) as answer:
                    decided.append((kind, answer.status))
                if len(decided) % SOME == 0:
                    some.set()
                if not reloading and number - first >= 2:
                    return

        calls = [asyncio.create_task(call(number)) for number in range(CLIENTS)]
        for audiences in itertools.islice(itertools.cycle(["[shop, other]", "[shop]"]), RELOADS):
            await reloaded(stage, tmp_path, audiences)
            some.clear()
            await some.wait()
        reloading = False
        await asyncio.gather(*calls)
        assert (await stage.get("/", other)).status == 401
    assert {status for kind, status in decided if kind == "good"} == {200}
    assert {status for kind, status in decided if kind == "none"} == {401}
    assert {status for kind, status in decided if kind == "other"} == {200, 401}
    assert len(decided) > 2 * CLIENTS


async def reloaded(stage: Stage, directory: Path, audiences: str) -> None:
    """The sidecar decides by other audiences, and shows it."""
    path = directory / "jwt-sidecar.yaml"
    head, _, rest = path.read_text().partition("    audiences: ")
    path.write_text(f"{head}    audiences: {audiences}\n{rest.partition(chr(10))[2]}")
    stage.sidecar.send_signal(signal.SIGHUP)
    wanted = 200 if "other" in audiences else 401
    other = bearer(mint(aud="other"))
    async with asyncio.timeout(20):
        while (await stage.get("/", other)).status != wanted:
            continue
