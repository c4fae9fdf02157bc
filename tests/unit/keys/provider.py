"""A provider of keys that follows a script, and one issuer's keys as they are published."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from sidecar.keys.answer import Answer, DownloadFailed, Outcome, Validators
from sidecar.keys.held import State
from sidecar.keys.remote import RemoteKeys
from sidecar.keys.saved import Snapshots
from sidecar.keys.schedule import Schedule
from sidecar.token.keyset import KeySet
from tests.unit.parties import jwk, jwks

TIMEOUT: Final = 5.0
URL: Final = "https://login.example.com/jwks"
ANSWERS_500: Final = DownloadFailed(f"{URL} answers 500", Outcome.STATUS, 500)
HANGS: Final = DownloadFailed(f"{URL} did not answer within 5 s", Outcome.TIMEOUT)
HTML: Final = b"<!DOCTYPE html><title>Maintenance</title>"
EMPTY: Final = jwks()
SYMMETRIC: Final = jwks({"kty": "oct", "kid": "h1", "k": "TUFSS0VS"})
K1: Final = jwks(jwk("k1"))
K2: Final = jwks(jwk("k2"))

NOT_MODIFIED: Final = Answer(None, url=URL)

Script = bytes | Answer | Exception
NOW: Final = 1_800_000_000.0
"""Seconds since the epoch when the simulated clock is at 0."""


class Provider:
    """Gives its answers one after another, the last one for ever, each after `delay` seconds."""

    def __init__(self, *answers: Script, delay: float = 0.0) -> None:
        self._answers = list(answers)
        self._delay = delay
        self.asked_at: list[float] = []
        self.asked_with: list[tuple[Validators | None, bool]] = []
        self.at_once = 0
        self.most_at_once = 0
        self.cancelled = 0

    def answers(self, *answers: Script) -> None:
        """Follows another script from now on."""
        self._answers = list(answers)

    async def fetch(self, validators: Validators | None, anew: bool) -> Answer:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        self.asked_at.append(now())
        self.asked_with.append((validators, anew))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(TIMEOUT if answer is HANGS else self._delay)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.at_once -= 1
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Answer) else Answer(answer, url=URL)


def tagged(body: bytes | None, etag: str, lifetime: float | None = None) -> Answer:
    """An answer that has an entity tag; None: the set is still the one of this tag."""
    return Answer(body, lifetime, Validators(URL, etag), URL)


class Punctual(Schedule):
    """With the middle of every spread, and the first interval as long as the others."""

    def first_interval(self, lifetime: float | None, random: float) -> float:
        return self.interval(lifetime, 0.5)

    def unknown_key_pause(self, random: float) -> float:
        return self.unknown_key_interval


@dataclass
class Issuer:
    """One issuer's keys while they are kept fresh."""

    keys: RemoteKeys
    published: list[tuple[float, tuple[str | None, ...] | None, str]] = field(default_factory=list)
    """When, which `kid`s or None, and what was wrong."""

    def key_ids(self) -> tuple[str | None, ...] | None:
        """The `kid`s in use, None while there are no keys."""
        return self.published[-1][1]

    @property
    def problem(self) -> str:
        """What is wrong, empty where nothing is."""
        return self.published[-1][2]


@asynccontextmanager
async def running(
    provider: Provider,
    *,
    refresh: float = 600.0,
    unknown_key_interval: float = 10.0,
    max_stale: float = 86400.0,
    kind: type[Schedule] = Punctual,
    random: float = 0.5,
    initial: State | None = None,
    snapshots: Snapshots | None = None,
    wall_clock: Callable[[], float] | None = None,
) -> AsyncIterator[Issuer]:
    """An issuer whose keys are fetched from this provider, without any jitter."""
    published: list[tuple[float, tuple[str | None, ...] | None, str]] = []

    def publish(_: str, keys: KeySet | None, problem: str) -> None:
        ids = None if keys is None else tuple(key.key_id for key in keys.keys)
        published.append((now(), ids, problem))

    keys = RemoteKeys(
        "corp",
        kind(refresh, unknown_key_interval, max_stale),
        provider.fetch,
        publish,
        lambda: random,
        now=wall_clock or (lambda: NOW + now()),
        initial=initial,
        snapshots=snapshots,
        source=URL,
    )
    keys.start()
    await asyncio.sleep(0.001)  # the first fetch is under way, and over unless it takes time
    try:
        yield Issuer(keys, published)
    finally:
        await keys.stop()


def now() -> float:
    """Simulated seconds since the loop began."""
    return asyncio.get_running_loop().time()


async def until(moment: float) -> None:
    """Lets time pass until a millisecond after this moment."""
    await asyncio.sleep(moment + 0.001 - now())
