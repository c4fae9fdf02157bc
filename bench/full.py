"""A sidecar with much to look things up in: what a call costs must not change by it."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any, Final

from bench.work import AUDIENCE, ISSUER, SECRET, Tokens
from sidecar.state.revocations import KIND, dump, record_name
from sidecar.state.sqlite import SqliteStore
from sidecar.state.store import MOST_AT_ONCE, Write
from sidecar.token.revocation import Kind, Revocation, subject_name

CONSUMERS: Final = 10_000
ISSUERS: Final = 100
RULES: Final = 10_000
REVOCATIONS: Final = 1_000_000
NAME: Final = (
    f"{CONSUMERS:,} consumers, {ISSUERS} issuers, {REVOCATIONS:,} revocations and {RULES:,} rules"
)


def fill(configuration: Path, tokens: Tokens) -> None:
    """Adds all of it to a configuration that is there, and to the store that it then has."""
    settings = json.loads(configuration.read_text())
    settings["issuers"] += [_issuer(number, tokens) for number in range(ISSUERS - 1)]
    settings["consumers"]["list"] += [_consumer(number) for number in range(CONSUMERS - 1)]
    settings["authorization"]["rules"] = [
        {"match": {"path_prefix": f"/tenant-{number}/"}, "require": {"scopes": ["a"]}}
        for number in range(RULES)
    ]
    settings["store"] = {"url": "sqlite:state.db"}
    configuration.write_text(json.dumps(settings))
    asyncio.run(_revoke(str(configuration.parent / "state.db")))


def _issuer(number: int, tokens: Tokens) -> dict[str, Any]:
    return {
        "name": f"issuer-{number}",
        "issuer": f"{ISSUER}/{number}",
        "keys": {"inline": tokens.jwks()},
        "audiences": [AUDIENCE],
    }


def _consumer(number: int) -> dict[str, Any]:
    secret = {"value": SECRET}
    return {
        "name": f"consumer-{number}",
        "key": f"bench-{number}",
        "algorithm": "HS256",
        "secret": secret,
    }


async def _revoke(path: str) -> None:
    """Revocations of tokens, and as many of subjects: half and half."""
    now = time.time()
    async with SqliteStore.opened(path) as store:
        for start in range(0, REVOCATIONS, MOST_AT_ONCE):
            await store.write(
                *(_write(number, now) for number in range(start, start + MOST_AT_ONCE))
            )


def _write(number: int, now: float) -> Write:
    kind = Kind.TOKEN if number % 2 else Kind.SUBJECT
    name = subject_name(ISSUER, f"of-nobody-{number}")
    one = Revocation(kind, name, now, now + 86400.0)
    return Write(KIND, record_name(one), dump(one), None, one.expire_time)
