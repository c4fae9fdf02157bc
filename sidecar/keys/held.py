"""The keys that serve, and all else that is known of an issuer's fetches at one moment."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from sidecar.keys.absent import AbsentKeys
from sidecar.keys.answer import Answer, DownloadFailed, Outcome, Validators
from sidecar.token.keyset import KeySet, parse_jwks


@dataclass(frozen=True, slots=True)
class Held:
    """Keys that serve, and what they came from. Moments are on the event loop's clock."""

    keys: KeySet
    body: bytes = field(repr=False)
    validators: Validators | None
    fetched_at: float
    fresh_until: float


@dataclass(frozen=True, slots=True)
class State:
    """All that a RemoteKeys knows, for another one of the same source on the same event loop."""

    held: Held | None = None
    problem: str = ""
    """What was wrong with the latest fetch, empty where nothing was."""
    due: float | None = None
    """When the keys are fetched next; None where they never were."""
    failures: int = 0
    """Fetches that failed since the last good one."""
    unknown_allowed_at: float = 0.0
    fetches: Counter[Outcome] = field(default_factory=Counter)
    absent: AbsentKeys = field(default_factory=AbsentKeys)
    is_fetching: bool = False
    """Whether a fetch was under way; `answer` is what it waits for, once that was asked for."""
    answer: asyncio.Future[Answer] | None = field(default=None, repr=False)
    asked: frozenset[str] = frozenset()
    """The key ids that it looks for."""


def parse(body: bytes, name: str) -> KeySet:
    """The keys of a JWK Set, which messages call `name`; raises DownloadFailed without any."""
    try:
        keys = parse_jwks(body)
    except ValueError as error:
        raise DownloadFailed(f"{name} can't be used: {error}", Outcome.MALFORMED) from error
    if not keys.keys:
        problems = "; ".join(str(one) for one in keys.unusable[:5]) or "it is empty"
        raise DownloadFailed(f"{name} has no usable key: {problems}", Outcome.NO_KEYS)
    return keys
