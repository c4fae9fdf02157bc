"""Nothing secret comes to light where something fails: keys, users, the store, the sidecar."""

import asyncio
import contextlib
import io
import logging
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.stage import free_port
from sidecar import engine, logs
from sidecar.config.load import load
from sidecar.serve import Sidecar
from sidecar.v1 import admin_service_pb2 as admin
from sidecar.v1 import token_service_pb2 as messages
from tests.redis_servers import redis_server
from tests.secrecy import pages, surfaces
from tests.secrecy.caller import ADMIN, TOKENS, Caller
from tests.secrecy.provider import BAD, Provider, good, parrot
from tests.secrecy.seen import Seen
from tests.secrecy.serving import Process, channels, run, see_redis, see_store, serving
from tests.secrecy.tokens import token, tokens
from tests.secrecy.world import World, world


async def fetch_and_ask(caller: Caller, one: World, seen: Seen, what: str) -> None:
    """Fetches keys, asks about users, and looks at all that tells how it went."""
    for name in ("corp", "found", "down"):
        request = admin.RefreshKeysRequest(issuer_name=name)
        await caller.call(f"{name} {what}", f"{ADMIN}/RefreshKeys", request)
    shown = token(one.markers, f"a token beside {what}")
    for unknown in ("", "x"):
        asked = messages.ValidateTokenRequest(token=shown, issuer_name="found" if unknown else "")
        await caller.call(what, f"{TOKENS}/ValidateToken", asked)
        explain = messages.ExplainTokenRequest(request=asked)
        await caller.call(what, f"{TOKENS}/ExplainToken", explain)
    await caller.call(what, f"{ADMIN}/GetStatus", admin.GetStatusRequest())
    async with pages.http(one) as session:
        for path in ("/readyz", "/metrics"):
            async with session.get(path) as response:
                seen.add(f"{path} {what}", await response.read())


async def test_providers_that_repeat_what_they_are_asked(tmp_path: Path) -> None:
    provider = Provider(good)
    async with provider.serving() as url:
        one = world(tmp_path, url)
        seen = Seen(one.markers)
        async with serving(one, seen) as process, process.callers() as callers:
            for what, answer in BAD.items():
                provider.answer = answer
                await fetch_and_ask(callers[0], one, seen, what)
            address = one.address("native")
            assert (await run(one, seen, "status", "--address", address))[0] == 0
        see_store(one, seen)
        # Once more, from the start: there are no keys but those in the store.
        async with serving(one, seen, has_keys=False) as process, process.callers() as callers:
            await fetch_and_ask(callers[1], one, seen, "a start")
    seen.assert_clean()


async def test_providers_that_are_away_or_speak_no_http(tmp_path: Path) -> None:
    port = free_port()
    one = world(tmp_path, f"http://127.0.0.1:{port}")
    seen = Seen(one.markers)
    async with serving(one, seen, has_keys=False) as process, process.callers() as callers:
        await fetch_and_ask(callers[0], one, seen, "nobody")
        async with parrot(port):
            await fetch_and_ask(callers[1], one, seen, "a parrot")
    seen.assert_clean()


async def use_the_store(caller: Caller, one: World, shown: dict[str, str], what: str) -> None:
    """All at once: each waits for a store that is away."""
    secret = one.markers.make(f"secret of a consumer {what}")
    consumer = admin.Consumer(name="c", key="c", algorithm="HS256", secret=secret.encode())
    create = admin.CreateConsumerRequest(consumer=consumer)
    revoke = messages.RevokeTokenRequest(token=shown["of jack"])
    family = messages.RevokeTokenRequest(refresh_token=shown["refresh"])
    await asyncio.gather(
        caller.issue(what, signer="internal", subject="a", with_refresh_token=True),
        caller.refresh(what, shown["refresh"]),
        caller.call(what, f"{TOKENS}/RevokeToken", revoke),
        caller.call(f"{what} family", f"{TOKENS}/RevokeToken", family),
        caller.call(what, f"{ADMIN}/CreateConsumer", create),
        caller.call(what, f"{ADMIN}/ListConsumers", admin.ListConsumersRequest()),
        caller.call(what, f"{ADMIN}/GetStatus", admin.GetStatusRequest()),
    )


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process has the file for itself."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


async def test_a_file_that_is_locked_and_then_damaged(tmp_path: Path) -> None:
    async with Provider(good).serving() as url:
        one = world(tmp_path, url)
        seen = Seen(one.markers)
        async with serving(one, seen) as process, process.callers() as callers:
            caller = callers[0]
            first = await caller.issue(
                "first", signer="internal", subject="a", with_refresh_token=True
            )
            shown = {**tokens(one), "refresh": first.refresh_token}
            with locked(tmp_path / "state.db"):
                asked = asyncio.create_task(use_the_store(caller, one, shown, "that is locked"))
                async with asyncio.timeout(30):
                    while "UNAVAILABLE" not in caller.codes:  # noqa: ASYNC110 - of another process
                        await asyncio.sleep(0.1)
            await asked
            see_store(one, seen)
            for path in tmp_path.glob("state.db*"):
                path.write_bytes(b"no database" * 999)
            await use_the_store(caller, one, shown, "that is damaged")
        assert (await run(one, seen, "serve", "--config", str(one.file)))[0] == 2
    seen.assert_clean()


async def test_a_redis_that_refuses_the_password_and_goes_away(tmp_path: Path) -> None:
    password = "0123456789" * 4
    with redis_server(tmp_path / "redis", "--requirepass", password) as server:
        async with Provider(good).serving() as url:
            section = {"url": server.url, "password": {"value": password}}
            one = world(tmp_path, url, section)
            seen = Seen(one.markers)
            async with serving(one, seen) as process, process.callers() as callers:
                caller = callers[1]
                first = await caller.issue(
                    "first", signer="internal", subject="a", with_refresh_token=True
                )
                shown = {**tokens(one), "refresh": first.refresh_token}
                assert see_redis(seen, server.call, password)
                server.call("CONFIG", "SET", "requirepass", "another", password=password)
                with contextlib.suppress(ConnectionError):
                    server.call("CLIENT", "KILL", "TYPE", "normal", password="another")
                await use_the_store(caller, one, shown, "with another password")
                assert "UNAVAILABLE" in caller.codes
                server.kill()
                await use_the_store(caller, one, shown, "that is gone")
    seen.assert_clean()


async def test_a_process_that_is_killed_in_the_middle(tmp_path: Path) -> None:
    async with Provider(good).serving() as url:
        one = world(tmp_path, url)
        seen = Seen(one.markers)
        for kill in range(2):
            async with serving(one, seen) as process, process.callers() as callers:
                for caller in callers:
                    await caller.issue(f"before {kill}", signer="internal", subject="a")
                asked = [
                    asyncio.create_task(_keep_asking(process, caller, one)) for caller in callers
                ]
                done, _ = await asyncio.wait(asked, timeout=0.3)
                assert not done
                process.child.send_signal(signal.SIGKILL)
                await process.child.wait()
                see_store(one, seen)
                await asyncio.gather(*asked)
        see_store(one, seen)
    seen.assert_clean()


async def _keep_asking(process: Process, caller: Caller, one: World) -> None:
    while process.child.returncode is None:
        await surfaces.issue_and_refresh(caller)
        await surfaces.administer(caller, one)


def _fail(*arguments: Any, **options: Any) -> Any:
    """As an error of ours: what it was called with is at hand, and in no traceback."""
    raise RuntimeError("an error of ours")


FAILING = {
    "validate": engine,
    "explain": engine,
    "revocation_of": engine,
    "mint": engine,
}


async def test_errors_of_ours_have_tracebacks_without_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Provider(good).serving() as url:
        one = world(tmp_path, url)
        seen = Seen(one.markers)
        for name, value in one.environment.items():
            monkeypatch.setenv(name, value)
        written = io.StringIO()
        handler = logging.StreamHandler(written)
        handler.setFormatter(logs.JsonLines())
        logging.getLogger().addHandler(handler)
        sidecar = Sidecar(load(one.file, one.environment))
        try:
            async with sidecar.serving(), channels(one, seen) as callers:
                shown = tokens(one)
                for name, module in FAILING.items():
                    monkeypatch.setattr(module, name, _fail)
                for caller in callers:
                    await surfaces.ask_about(caller, {name: shown[name] for name in SHOWN})
                    await surfaces.prove(caller, one.markers, shown["bound"])
                    await surfaces.issue_and_refresh(caller)
                await pages.browse(one, seen, {"good": shown["good"]})
        finally:
            logging.getLogger().removeHandler(handler)
        seen.add("the log", written.getvalue())
    assert "Traceback" in written.getvalue()
    assert "an error of ours" in written.getvalue()
    seen.assert_clean()


SHOWN = ("good", "of jack", "expired", "of a stranger", "of two parts", "twice", "a secret")
