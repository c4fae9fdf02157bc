"""A provider of keys that follows a script, and one issuer's keys as they are published."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from sidecar.keys.download import DownloadFailed
from sidecar.keys.remote import RemoteKeys, Schedule
from sidecar.token.keyset import KeySet
from tests.unit.parties import jwk, jwks

TIMEOUT: Final = 5.0
ANSWERS_500: Final = DownloadFailed("https://login.example.com/jwks answers 500")
HANGS: Final = DownloadFailed("https://login.example.com/jwks did not answer within 5 s")
HTML: Final = b"<!DOCTYPE html><title>Maintenance</title>"
EMPTY: Final = jwks()
SYMMETRIC: Final = jwks({"kty": "oct", "kid": "h1", "k": "TUFSS0VS"})
K1: Final = jwks(jwk("k1"))
K2: Final = jwks(jwk("k2"))

Script = bytes | Exception


class Provider:
    """Gives its answers one after another, the last one for ever, each after `delay` seconds."""

    def __init__(self, *answers: Script, delay: float = 0.0) -> None:
        self._answers = list(answers)
        self._delay = delay
        self.asked_at: list[float] = []
        self.at_once = 0
        self.most_at_once = 0
        self.cancelled = 0

    def answers(self, *answers: Script) -> None:
        """Follows another script from now on."""
        self._answers = list(answers)

    async def fetch(self) -> bytes:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        self.asked_at.append(now())
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
        return answer


@dataclass
class Issuer:
    """One issuer's keys while they are kept fresh."""

    keys: RemoteKeys
    task: asyncio.Task[None]
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
    random: float = 0.5,
) -> AsyncIterator[Issuer]:
    """An issuer whose keys are fetched from this provider; `random` 0.5 is no jitter at all."""
    published: list[tuple[float, tuple[str | None, ...] | None, str]] = []

    def publish(_: str, keys: KeySet | None, problem: str) -> None:
        ids = None if keys is None else tuple(key.key_id for key in keys.keys)
        published.append((now(), ids, problem))

    schedule = Schedule(refresh, unknown_key_interval, max_stale)
    keys = RemoteKeys("corp", schedule, provider.fetch, publish, lambda: random)
    task = asyncio.create_task(keys.run())
    await asyncio.sleep(0.001)  # the first fetch is under way, and over unless it takes time
    try:
        yield Issuer(keys, task, published)
    finally:
        task.cancel()
        await asyncio.wait({task})


def now() -> float:
    """Simulated seconds since the loop began."""
    return asyncio.get_running_loop().time()


async def until(moment: float) -> None:
    """Lets time pass until a millisecond after this moment."""
    await asyncio.sleep(moment + 0.001 - now())
