"""Revocation by sidecars that share a real Redis, whatever becomes of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import jwt
import pytest

from sidecar.v1 import token_service_pb2 as messages
from tests.integration.test_process import run
from tests.redis_servers import RedisServer, redis_server
from tests.running import (
    SECRET,
    Running,
    assert_refused,
    fails,
    listener,
    running,
    until_refused,
)

ISS = "https://partner.example"
STALENESS = 2.0
AMPLE = 8.0
"""More staleness than what it takes and what a busy machine adds."""
MANY = 10_000
AT_ONCE = 50
PATIENCE = 20.0


def configuration(server: RedisServer, on_outage: str, staleness: float) -> str:
    return f"""{listener("native")}
issuers:
  - name: partner
    issuer: {ISS}
    keys: {{secret: {{value: {SECRET}}}}}
    algorithms: [HS256]
    audiences: "*"
consumers:
  list: [{{name: jack, key: jack-key, algorithm: HS256, secret: {{value: {SECRET}}}}}]
store: {{url: {server.url}, max_staleness: {staleness:g}s, on_outage: {on_outage}}}
"""


@asynccontextmanager
async def two(
    directory: Path,
    server: RedisServer,
    on_outage: str = "serve",
    staleness: float = STALENESS,
) -> AsyncIterator[tuple[Running, Running]]:
    for name in ("a", "b"):
        (directory / name).mkdir()
    text = configuration(server, on_outage, staleness)
    async with running(directory / "a", text) as one, running(directory / "b", text) as other:
        yield one, other


def mint(token_id: str) -> str:
    claims = {"iss": ISS, "sub": "alice", "jti": token_id, "exp": int(time.time()) + 600}
    return jwt.encode(claims, SECRET, "HS256")


async def revoke(sidecar: Running, token: str) -> None:
    await sidecar.tokens.RevokeToken(messages.RevokeTokenRequest(token=token), timeout=10)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await holds():
            continue


async def passes(sidecar: Running, token: str) -> bool:
    return (await sidecar.validate(token)).valid


async def refuses(sidecar: Running, token: str) -> bool:
    return not await passes(sidecar, token)


async def test_ten_thousand_revocations_are_refused_by_the_other_in_time(tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis") as server:
        async with two(tmp_path, server, staleness=AMPLE) as (one, other):
            tokens = [mint(str(number)) for number in range(MANY)]
            delays: list[float] = []
            turns = asyncio.Semaphore(AT_ONCE)

            async def revoked(token: str) -> None:
                async with turns:
                    await revoke(one, token)
                    at = time.monotonic()
                    delays.append(await until_refused(other, token) - at)

            await asyncio.gather(*map(revoked, tokens))
    delays.sort()
    print(f"{MANY} revocations: passed at the other for {delays[-1]:.3f} s at most")
    assert len(delays) == MANY
    assert delays[-1] < AMPLE


@pytest.mark.parametrize("on_outage", ["serve", "deny"])
async def test_while_redis_hangs_it_is_decided_as_configured_and_then_caught_up(
    tmp_path: Path, on_outage: str
) -> None:
    good, before, meanwhile = (mint(name) for name in ("good", "before", "meanwhile"))
    with redis_server(tmp_path / "redis") as server:
        async with two(tmp_path, server, on_outage) as (one, other):
            await revoke(one, before)
            await until(lambda: refuses(other, before))
            server.freeze()
            with fails(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE"):
                await revoke(one, meanwhile)
            counts = await one.sidecar.operations.metrics()
            assert 'jwt_sidecar_store_errors_total{operation="write"}' in counts
            assert_refused(await other.validate(before), "REVOKED")
            if on_outage == "deny":
                await until(lambda: refuses(other, good))
                assert_refused(await other.validate(good), "STATE_UNAVAILABLE", "on_outage")
            else:
                await asyncio.sleep(STALENESS)
                assert await passes(other, good)
            server.thaw()
            await until(lambda: passes(other, good))
            await until(lambda: _revoked(one, meanwhile))
            await until(lambda: refuses(other, meanwhile))


@pytest.mark.parametrize("fault", ["emptied", "killed and started anew, empty"])
async def test_what_is_known_stays_known_and_what_comes_is_seen(tmp_path: Path, fault: str) -> None:
    before, after = mint("before"), mint("after")
    with redis_server(tmp_path / "redis") as server:
        async with two(tmp_path, server) as (one, other):
            await revoke(one, before)
            await until(lambda: refuses(other, before))
            if fault == "emptied":
                server.call("FLUSHALL")
            else:
                server.kill()
                server.start()
            await until(lambda: _revoked(one, after))
            await until(lambda: refuses(other, after))
            for sidecar in (one, other):
                assert_refused(await sidecar.validate(before), "REVOKED")


async def _revoked(sidecar: Running, token: str) -> bool:
    """Whether it could be revoked; right after a restart the first calls may fail."""
    try:
        await revoke(sidecar, token)
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise
        return False
    return True


async def test_what_was_revoked_while_one_was_cut_off_is_seen_when_it_is_back(
    tmp_path: Path,
) -> None:
    """All connections are killed again and again while the other revokes."""
    tokens = [mint(str(number)) for number in range(200)]
    with redis_server(tmp_path / "redis") as server:
        async with two(tmp_path, server) as (one, other):
            for number, token in enumerate(tokens):
                if number % 40 == 0:
                    await asyncio.to_thread(server.call, "CLIENT", "KILL", "TYPE", "pubsub")
                    await asyncio.to_thread(server.call, "CLIENT", "KILL", "TYPE", "normal")
                await until(lambda token=token: _revoked(one, token))  # type: ignore[misc]
            for token in tokens:
                await until(lambda token=token: refuses(other, token))  # type: ignore[misc]


async def test_the_command_tells_a_store_that_is_away_from_a_sidecar_that_is(
    tmp_path: Path,
) -> None:
    with redis_server(tmp_path / "redis") as server:
        text = configuration(server, "serve", STALENESS)
    async with running(tmp_path, text) as sidecar:
        arguments = ("--consumer", "jack", "--address", sidecar.address)
        status, _, error = await run("revoke", *arguments)
    assert (status, "Connection refused" in error) == (2, True)
    assert "Is a sidecar running there" not in error
