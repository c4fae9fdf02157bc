"""Nothing secret is ever printed, answered or kept: a process with a marker in every place.

What is looked for, and in which forms, is in tests/secrecy/markers.py; where the secrets are, in
world.py beside it; what is asked, in surfaces.py and pages.py.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sidecar.v1 import admin_service_pb2 as admin
from sidecar.v1 import token_service_pb2 as messages
from tests.redis_servers import RedisServer, redis_server
from tests.secrecy import pages, surfaces
from tests.secrecy.caller import ADMIN, CHECK, TOKENS, Caller
from tests.secrecy.markers import Markers
from tests.secrecy.provider import Provider, good
from tests.secrecy.seen import Seen
from tests.secrecy.serving import see_redis, see_store, serving
from tests.secrecy.tokens import token, tokens
from tests.secrecy.world import World, world


@contextmanager
def store(kind: str, path: Path) -> Iterator[tuple[dict[str, Any], RedisServer | None]]:
    """The section of a store, and the server behind it."""
    if kind == "sqlite":
        yield {"url": "sqlite:state.db"}, None
        return
    password = secrets.token_hex()
    options = ("--requirepass", password, "--rdbcompression", "no")
    with redis_server(path / "redis", *options) as server:
        yield {"url": server.url, "password": {"value": password}}, server


@pytest.mark.parametrize(("kind", "form"), [("sqlite", "json"), ("redis", "text")])
async def test_of_all_that_is_asked_nothing_secret_is_seen(
    kind: str, form: str, tmp_path: Path
) -> None:
    with store(kind, tmp_path) as (section, server):
        async with Provider(good).serving() as url:
            one = world(tmp_path, url, section, form)
            seen, canary = Seen(one.markers), Markers()
            async with serving(one, seen) as process:
                shown = tokens(one)
                async with process.callers() as callers:
                    for caller in callers:
                        await surfaces.ask_about(caller, shown)
                        await surfaces.prove(caller, one.markers, shown["bound"])
                        await surfaces.issue_and_refresh(caller)
                        await surfaces.administer(caller, one)
                        await surfaces.send_garbage(caller, shown["good"])
                        assert {"OK", "INVALID_ARGUMENT"} <= caller.codes
                    await sing(callers[0], one, canary.make("the canary"))
                await pages.browse(one, seen, shown)
                codes = await surfaces.show_caller_tokens(one, seen, shown.values())
                assert codes == {"OK", "PERMISSION_DENIED"}
                if server:
                    assert see_redis(seen, server.call, section["password"]["value"]) > 5
            see_store(one, seen)
    printed = seen.places["the process's stderr"].decode()
    assert ('"level": "debug"' if form == "json" else " DEBUG ") in printed
    heard = {leak.place.partition(",")[0] for leak in canary.leaks(seen.places)}
    kept = "state.db" if kind == "sqlite" else "Redis b'{jwt-sidecar}:records:consumer'"
    assert {*SUNG, "the process's stderr"} <= heard
    assert kept in heard or f"{kept}-wal" in heard
    seen.assert_clean()


SUNG = {"ValidateToken of the canary", "Check of the canary", "GetConsumer canary"}


async def sing(caller: Caller, one: World, word: str) -> None:
    """Something that is no secret, in every kind of place where one would be looked for."""
    shown = token(one.markers, "the canary's token", sub=word)
    validate = messages.ValidateTokenRequest(token=shown)
    await caller.call("of the canary", f"{TOKENS}/ValidateToken", validate)
    await caller.call("of the canary", CHECK, surfaces.checks(shown)["in the header"])
    described = admin.Consumer(
        name="canary", key="canary", algorithm="HS256", secret=b"x" * 32, labels={"song": word}
    )
    create = admin.CreateConsumerRequest(consumer=described)
    await caller.call("of the canary", f"{ADMIN}/CreateConsumer", create)
    get = admin.GetConsumerRequest(name="canary")
    await caller.call("canary", f"{ADMIN}/GetConsumer", get)
