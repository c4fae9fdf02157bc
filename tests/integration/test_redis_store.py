"""Sidecars whose store is a real Redis: sharing keys, and starting while it is away."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from sidecar.config.load import load
from sidecar.readiness import MissingStore
from sidecar.serve import Sidecar
from sidecar.state.store import StoreFailed
from tests.redis_servers import RedisServer, redis_server
from tests.running import (
    CONSUMERS_AND_SIGNER,
    Running,
    assert_refused,
    assert_valid,
    fails,
    listener,
    running,
)
from tests.tokens import mint

PATIENCE = 20.0


def configuration(store: str) -> str:
    return listener("grpcio", services="validate, issue, admin") + CONSUMERS_AND_SIGNER + store


async def is_serving(sidecar: Running) -> bool:
    health: Any = health_pb2_grpc.HealthStub(sidecar.channel)
    answer = await health.Check(health_pb2.HealthCheckRequest())
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def test_sidecars_on_one_redis_have_the_same_generated_keys(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for directory in (here, there):
        directory.mkdir()
    with redis_server(tmp_path / "redis") as server:
        text = configuration(f"store: {{url: {server.url}}}\n")
        async with running(here, text) as one, running(there, text) as other:
            assert_valid(await other.validate(await one.issue(subject="alice")))


async def test_a_sidecar_starts_while_redis_is_away_and_is_ready_when_it_comes(
    tmp_path: Path,
) -> None:
    """Until then nothing passes, as what is revoked is not known, and it says what is missing."""
    server = RedisServer(tmp_path / "redis")
    try:
        async with running(tmp_path, configuration(f"store: {{url: {server.url}}}\n")) as sidecar:
            assert not await is_serving(sidecar)
            store, keys = sidecar.sidecar.missing()
            assert isinstance(store, MissingStore)
            assert store.store == server.url
            assert "Connection refused" in str(store)
            assert "the store, which is away" in str(keys)
            of_jack = await sidecar.issue(consumer="jack")
            assert_refused(await sidecar.validate(of_jack), "STATE_UNAVAILABLE", "since the start")
            with fails(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE"):
                await sidecar.issue(subject="alice")
            ours = mint(iss="https://tokens.example", aud="orders")
            assert_refused(await sidecar.validate(ours), "KEYS_UNAVAILABLE", "which is away")
            server.start()
            async with asyncio.timeout(PATIENCE):
                await sidecar.sidecar.wait_until_ready()
            assert sidecar.sidecar.missing() == ()
            assert await is_serving(sidecar)
            async with asyncio.timeout(PATIENCE):
                while not (await sidecar.validate(of_jack)).valid:
                    continue
            assert_valid(await sidecar.validate(await sidecar.issue(subject="alice")))
    finally:
        server.kill()


async def test_an_outage_while_it_serves_changes_nothing_of_the_keys(tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis") as server:
        async with running(tmp_path, configuration(f"store: {{url: {server.url}}}\n")) as sidecar:
            server.kill()
            assert_valid(await sidecar.validate(await sidecar.issue(subject="alice")))
            assert sidecar.sidecar.missing() == ()


async def test_a_password_that_is_replaced_is_used_after_a_reload(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("first")
    with redis_server(tmp_path / "redis", "--requirepass", "first") as server:
        store = f"store: {{url: {server.url}, password: {{file: password}}}}\n"
        async with running(tmp_path, configuration(store)) as sidecar:
            server.call("CONFIG", "SET", "requirepass", "second", password="first")
            (tmp_path / "password").write_text("second")
            assert await sidecar.sidecar.reload()
            server.call("CLIENT", "KILL", "TYPE", "normal", password="second")
            assert_valid(await sidecar.validate(await sidecar.issue(subject="alice")))
            moved = configuration(f"store: {{url: {server.url}/1}}\n")
            (tmp_path / "jwt-sidecar.yaml").write_text(moved)
            await sidecar.sidecar.try_reload()
            status = await sidecar.sidecar.operations.status()
            assert "store.url can't change" in status.config.error


async def test_a_file_that_can_not_be_had_ends_the_start(tmp_path: Path) -> None:
    path = tmp_path / "jwt-sidecar.yaml"
    path.write_text(configuration("store: {url: 'sqlite:none/state.db'}\n"))
    with pytest.raises(StoreFailed, match="is not there; create it"):
        async with Sidecar(load(path, {})).serving():
            pass
