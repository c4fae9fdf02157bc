"""What there may be much of, and the calls that look things up in it."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench import plenty
from bench.work import (
    CHECK,
    VALIDATE,
    Tokens,
    check_request,
    is_admitted,
    is_valid,
    validate_request,
)

DISTINCT: Final = 1000
"""Tokens that take turns, each of another consumer, issuer or rule where there are so many."""
REVOCATIONS: Final = (0, 1000, 1_000_000)
STORE: Final = "state.db"

Settings = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Growth:
    """Something of which there may be much."""

    name: str
    sizes: Sequence[int]
    write: Callable[[Settings, Path, int], None]
    """Puts so much of it into the settings, and beside the file that they are in."""
    requests: Callable[[int], Sequence[bytes]]
    """Calls that need so much of it, of one token each."""
    method: str = VALIDATE
    is_right: Callable[[bytes], bool] = is_valid


def growths(tokens: Tokens, revocations: Path) -> Sequence[Growth]:
    """All of them; `revocations` is a store with as many as there are."""

    def new(number: int) -> str:
        return tokens.new("HS256", key=plenty.key_of(number))

    def checked(consumers: int, rules: int) -> Sequence[bytes]:
        return [
            check_request(new(one % consumers), plenty.path_of(one % rules))
            for one in range(DISTINCT)
        ]

    def add_revocations(settings: Settings, directory: Path, size: int) -> None:
        settings["store"] = {"url": f"sqlite:{STORE}"}
        if size == REVOCATIONS[-1]:
            shutil.copy(revocations, directory / STORE)
        elif size:
            plenty.revoke(directory / STORE, size)

    def add_all(settings: Settings, directory: Path, size: int) -> None:
        plenty.add_consumers(settings, size)
        plenty.add_issuers(settings, max(1, size // 100), tokens)
        plenty.add_rules(settings, size)
        add_revocations(settings, directory, REVOCATIONS[-1] if size > 1 else 0)

    return (
        Growth(
            "consumers",
            (1, 100, 10_000),
            lambda settings, _, size: plenty.add_consumers(settings, size),
            lambda size: [validate_request(new(one % size)) for one in range(DISTINCT)],
        ),
        Growth(
            "issuers",
            (1, 10, 100),
            lambda settings, _, size: plenty.add_issuers(settings, size, tokens),
            lambda size: [
                validate_request(tokens.new("ES256", iss=plenty.issuer_of(one % size)))
                for one in range(DISTINCT)
            ],
        ),
        Growth(
            "revocations",
            REVOCATIONS,
            add_revocations,
            lambda _: [validate_request(new(0)) for one in range(DISTINCT)],
        ),
        Growth(
            "rules (Check)",
            (1, 100, 10_000),
            lambda settings, _, size: plenty.add_rules(settings, size),
            lambda size: checked(1, size),
            CHECK,
            is_admitted,
        ),
        Growth(
            "all at once (Check)",
            (1, 10_000),
            add_all,
            lambda size: checked(size, size),
            CHECK,
            is_admitted,
        ),
    )
