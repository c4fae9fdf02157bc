"""Issuers, consumers, rules and revocations, as many as wanted."""

import asyncio
import time
from pathlib import Path
from typing import Any, Final

from bench.work import AUDIENCE, ISSUER, SECRET, Tokens
from sidecar.state.revocations import KIND, dump, record_name
from sidecar.state.sqlite import SqliteStore
from sidecar.state.store import MOST_AT_ONCE, Write
from sidecar.token.revocation import Kind, Revocation, subject_name

SCOPE: Final = "profile"
"""What every rule asks for."""


def add_issuers(settings: dict[str, Any], number: int, tokens: Tokens) -> None:
    """So many in all: the benchmark's own, and others with the same keys."""
    settings["issuers"] += [_issuer(one, tokens) for one in range(1, number)]


def add_consumers(settings: dict[str, Any], number: int) -> None:
    """So many in all: the benchmark's own, and others with the same secret."""
    settings["consumers"]["list"] += [_consumer(one) for one in range(1, number)]


def add_rules(settings: dict[str, Any], number: int) -> None:
    """So many, each for a path of its own."""
    settings["authorization"]["rules"] = [
        {"match": {"path_prefix": path_of(one)}, "require": {"scopes": [SCOPE]}}
        for one in range(number)
    ]


def issuer_of(number: int) -> str:
    """The `iss` of an issuer."""
    return f"{ISSUER}/{number}" if number else ISSUER


def key_of(number: int) -> str:
    """The `key` of a consumer."""
    return f"bench-{number}" if number else "bench"


def path_of(number: int) -> str:
    """The path of a rule."""
    return f"/tenant-{number}/"


def revoke(path: Path, number: int) -> None:
    """Writes a store with so many revocations."""
    asyncio.run(_revoke(str(path), number))


def _issuer(number: int, tokens: Tokens) -> dict[str, Any]:
    return {
        "name": f"issuer-{number}",
        "issuer": issuer_of(number),
        "keys": {"inline": tokens.jwks()},
        "audiences": [AUDIENCE],
    }


def _consumer(number: int) -> dict[str, Any]:
    secret = {"value": SECRET}
    return {
        "name": f"consumer-{number}",
        "key": key_of(number),
        "algorithm": "HS256",
        "secret": secret,
    }


async def _revoke(path: str, number: int) -> None:
    """Revocations of tokens, and as many of subjects: half and half."""
    now = time.time()
    async with SqliteStore.opened(path) as store:
        for start in range(0, number, MOST_AT_ONCE):
            await store.write(
                *(_write(one, now) for one in range(start, min(number, start + MOST_AT_ONCE)))
            )


def _write(number: int, now: float) -> Write:
    kind = Kind.TOKEN if number % 2 else Kind.SUBJECT
    name = subject_name(ISSUER, f"of-nobody-{number}")
    one = Revocation(kind, name, now, now + 86400.0)
    return Write(KIND, record_name(one), dump(one), None, one.expire_time)
