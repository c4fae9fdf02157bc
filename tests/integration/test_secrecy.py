"""Nothing secret is ever printed, answered or kept: a process with a marker in every place.

What is looked for, and in which forms, is tests/secrecy/markers.py; where the secrets are is
tests/secrecy/world.py; what is asked is tests/secrecy/surfaces.py.
"""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.redis_servers import RedisServer, redis_server
from tests.secrecy import surfaces
from tests.secrecy.provider import Provider, good
from tests.secrecy.serving import see_redis, see_store, serving
from tests.secrecy.surfaces import Seen
from tests.secrecy.tokens import tokens
from tests.secrecy.world import world


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


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
async def test_of_all_that_is_asked_nothing_secret_is_seen(kind: str, tmp_path: Path) -> None:
    provider = Provider(good)
    with store(kind, tmp_path) as (section, server):
        async with provider.serving() as url:
            one = world(tmp_path, url, section)
            seen = Seen(one.markers)
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
                await surfaces.browse(one, seen, shown)
                codes = await surfaces.show_caller_tokens(one, seen, shown.values())
                assert codes == {"OK", "PERMISSION_DENIED"}
                if server:
                    password = section["password"]["value"]
                    assert see_redis(seen, server.call, password) > 5
            see_store(one, seen)
    printed = seen.places["the process's stderr"].decode()
    lines = [json.loads(line) for line in printed.splitlines() if line]
    assert "debug" in {one["level"] for one in lines}
    seen.assert_clean()
