"""`make fleet`: what ten thousand sidecars ask of a provider of keys within a day.

Each sidecar runs the product's own `RemoteKeys` on a simulated clock. Beside it, computed and not
simulated, is a naive cache: it fetches every `refresh` to the second, tries again a second after
a failure, and fetches for every token with an unknown `kid`.
"""

import argparse
import asyncio
import gc
import json
import logging
import math
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from bench.chart import Phase, chart
from bench.events import EventLoop
from sidecar.keys.answer import Answer, DownloadFailed, Outcome, Validators
from sidecar.keys.remote import RemoteKeys
from sidecar.keys.schedule import Schedule
from sidecar.token.keyset import KeySet

SCHEDULE: Final = Schedule(refresh=600.0, unknown_key_interval=10.0, max_stale=86400.0)
"""The defaults."""
HOUR: Final = 3600.0
SPREAD: Final = 5.0
"""Mean seconds until a sidecar gets the first token of a new key, and between forged ones."""
LATENCY: Final = 0.05
_CHART: Final = Path(__file__).parents[1] / "docs" / "fleet.svg"
_X: Final = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"


@dataclass(frozen=True, slots=True)
class Day:
    """What happens, in seconds since the sidecars started."""

    length: float = 24 * HOUR
    announced: float = 4 * HOUR
    """A new key is published, half an hour before the first token of it."""
    sudden: float = 8 * HOUR
    """A new key is published together with the first tokens of it."""
    outage: tuple[float, float] = (12 * HOUR, 12.5 * HOUR)
    flood: tuple[float, float] = (18 * HOUR, 18 * HOUR + 600)
    """Every sidecar gets tokens with random `kid`s."""

    def phases(self) -> tuple[Phase, ...]:
        """The parts of the day, by what to expect of them."""
        return (
            Phase("start", 0.0, 1.0),
            Phase("usual hours", 1.0, self.announced),
            Phase("announced rotation", self.announced, self.announced + HOUR / 2),
            Phase("sudden rotation", self.sudden, self.sudden + 60),
            Phase("outage", *self.outage),
            Phase("after the outage", self.outage[1], self.outage[1] + HOUR),
            Phase("flood", *self.flood),
            Phase("last hours", self.flood[1], self.length),
        )


@dataclass(frozen=True, slots=True)
class Load:
    """Requests in each second of a day."""

    product: Sequence[int]
    naive: Sequence[int]
    wrong: int
    """Sidecars that did not have the newest key at the end."""


class Provider:
    """Counts the requests of each second, and answers 304 where it may."""

    def __init__(self, day: Day) -> None:
        self.requests = array("L", bytes(8 * (int(day.length) + 1)))
        self._day = day
        self._version = 0
        self._answers: tuple[Answer, Answer]
        self.rotate()

    def rotate(self) -> str:
        """The `kid` of a key that is in the set from now on."""
        self._version += 1
        key_id = f"k{self._version}"
        members = [
            {"kty": "OKP", "crv": "Ed25519", "x": _X, "kid": f"k{number}"}
            for number in range(max(1, self._version - 1), self._version + 1)
        ]
        tag = Validators("https://login.example.com/jwks", f'"{self._version}"')
        body = json.dumps({"keys": members}).encode()
        self._answers = (Answer(body, None, tag), Answer(None, None, tag))
        return key_id

    async def fetch(self, validators: Validators | None, anew: bool) -> Answer:
        now = asyncio.get_running_loop().time()
        self.requests[int(now)] += 1
        began, ended = self._day.outage
        down = began <= now < ended
        await asyncio.sleep(LATENCY)
        if down:
            raise DownloadFailed("it answers 503", Outcome.STATUS, 503)
        whole, unchanged = self._answers
        return unchanged if validators == whole.validators else whole


class Fleet:
    """The sidecars, and the tokens that make them ask."""

    def __init__(self, sidecars: int, day: Day, seed: int) -> None:
        self._loop = EventLoop()
        self._random = Random(seed)  # noqa: S311
        self._day = day
        self._provider = Provider(day)
        self._tasks: set[asyncio.Task[bool]] = set()
        self._keys: list[KeySet | None] = [None] * sidecars
        self._forged = 0
        self._sidecars = [
            RemoteKeys(
                str(number), SCHEDULE, self._provider.fetch, self._publish, self._random.random
            )
            for number in range(sidecars)
        ]

    def run(self) -> Load:
        """Lives through the day."""
        loop, day, random = self._loop, self._day, self._random
        for sidecar in self._sidecars:
            loop.call_at(random.random(), sidecar.start)
        loop.call_at(day.announced, self._provider.rotate)
        loop.run_until(day.announced + HOUR / 2)
        self._first_tokens("k2")
        loop.run_until(day.sudden)
        self._first_tokens(self._provider.rotate())
        loop.run_until(day.flood[0])
        for sidecar in self._sidecars:
            self._next_forged(sidecar)
        loop.run_until(day.length)
        if loop.failures:
            raise RuntimeError(f"{len(loop.failures)} failures, the first: {loop.failures[0]}")
        wrong = sum(1 for keys in self._keys if keys is None or not _has(keys, "k3"))
        return Load(self._provider.requests, naive(len(self._sidecars), day), wrong)

    def _publish(self, name: str, keys: KeySet | None, _: str) -> None:
        self._keys[int(name)] = keys

    def _first_tokens(self, key_id: str) -> None:
        """Each sidecar gets a token of this key within seconds, and asks where it must."""
        for number, sidecar in enumerate(self._sidecars):
            delay = self._random.expovariate(1 / SPREAD)
            self._loop.call_later(delay, self._first_token, number, sidecar, key_id)

    def _first_token(self, number: int, sidecar: RemoteKeys, key_id: str) -> None:
        keys = self._keys[number]
        if keys is None or not _has(keys, key_id):
            self._ask(sidecar, key_id)

    def _next_forged(self, sidecar: RemoteKeys) -> None:
        delay = self._random.expovariate(1 / SPREAD)
        if self._loop.time() + delay < self._day.flood[1]:
            self._loop.call_later(delay, self._forged_token, sidecar)

    def _forged_token(self, sidecar: RemoteKeys) -> None:
        self._forged += 1
        self._ask(sidecar, f"random-{self._forged}")
        self._next_forged(sidecar)

    def _ask(self, sidecar: RemoteKeys, key_id: str) -> None:
        task = self._loop.create_task(sidecar.fetch_unknown_key(key_id, 10.0))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def naive(sidecars: int, day: Day) -> Sequence[int]:
    """What as many naive caches ask for in each second."""
    requests = array("L", bytes(8 * (int(day.length) + 1)))
    for second in range(0, int(day.length), int(SCHEDULE.refresh)):
        requests[second] += sidecars
    began, ended = (int(one) for one in day.outage)
    for second in range(began, ended + 1):
        requests[second] = sidecars
    for second in range(int(day.flood[0]), int(day.flood[1])):
        requests[second] += int(sidecars / SPREAD)
    for second in range(60):
        share = math.exp(-second / SPREAD) - math.exp(-(second + 1) / SPREAD)
        requests[int(day.sudden) + second] += round(sidecars * share)
    return requests


def simulate(sidecars: int, day: Day, seed: int) -> Load:
    """The requests of a day. The same seed gives the same day."""
    with _without_noise():
        return Fleet(sidecars, day, seed).run()


def _has(keys: KeySet, key_id: str) -> bool:
    return any(key.key_id == key_id for key in keys.keys)


@contextmanager
def _without_noise() -> Iterator[None]:
    """No log, which tells of each failed fetch, and no search for garbage, of which is none."""
    log = logging.getLogger("sidecar.keys")
    level = log.level
    log.setLevel(logging.CRITICAL)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        log.setLevel(level)


def table(load: Load, day: Day) -> str:
    """Requests a second in each part of the day, in Markdown."""
    lines = [
        "| part of the day | sidecars: mean | highest | naive: mean | highest |",
        "| --- | --- | --- | --- | --- |",
    ]
    for phase in day.phases():
        cells = []
        for requests in (load.product, load.naive):
            part = requests[int(phase.began) : int(phase.ended)]
            cells += [f"{sum(part) / len(part):,.1f}", f"{max(part):,}"]
        lines.append(f"| {phase.name} | {' | '.join(cells)} |")
    cells = [f"{sum(load.product):,}", "", f"{sum(load.naive):,}", ""]
    return "\n".join([*lines, f"| the whole day, requests | {' | '.join(cells)} |"])


def main() -> None:
    """Simulates, prints the table and draws the chart."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sidecars", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    day = Day()
    began = time.monotonic()
    load = simulate(arguments.sidecars, day, arguments.seed)
    title = f"{arguments.sidecars:,} sidecars, 24 hours: requests a second at the provider"
    _CHART.write_text(chart(title, load.product, load.naive, day.phases()))
    print(table(load, day))
    print(f"\n{load.wrong} sidecars without the newest key at the end")
    print(f"{time.monotonic() - began:.0f} s; the chart is {_CHART.relative_to(_CHART.parents[1])}")


if __name__ == "__main__":
    main()
