"""One issuer hangs; calls with tokens of the other take as long as they did."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sidecar.engine import Engine
from sidecar.keys.answer import Answer, Validators
from sidecar.keys.places import Places
from sidecar.keys.remote import RemoteKeys
from sidecar.token.keyset import KeySet
from sidecar.token.reason import Reason
from sidecar.token.request import Refusal, Request, Verified
from sidecar.token.snapshot import ClaimRules, Issuer, Snapshot
from tests.simulated_time import in_simulated_time
from tests.unit.keys.provider import HANGS, K1, K2, Provider, Punctual, now, until
from tests.unit.parties import ISS, token
from tests.unit.parties import NOW as WALL

OTHER_ISS = "https://other.example.com/"


@asynccontextmanager
async def judging(**providers: Provider) -> AsyncIterator[Engine]:
    """An engine that trusts issuers of these names, whose fetches share two places."""
    places = Places(2)
    rules = ClaimRules(frozenset({"orders"}))
    issuers = tuple(
        Issuer(name, OTHER_ISS if name == "other" else ISS, rules, None) for name in providers
    )
    engine = Engine(Snapshot.of(issuers), lambda: WALL, lambda: "id-1")

    def publish(name: str, keys: KeySet | None, problem: str) -> None:
        engine.snapshot = engine.snapshot.with_keys(name, keys, problem)

    def source(name: str, provider: Provider) -> RemoteKeys:
        async def fetch(validators: Validators | None, anew: bool) -> Answer:
            return await places.run(name, lambda: provider.fetch(validators, anew))

        return RemoteKeys(name, Punctual(600, 10, 86400), fetch, publish, lambda: 0.5)

    sources = {name: source(name, provider) for name, provider in providers.items()}
    engine.key_sources = sources
    for one in sources.values():
        one.start()
    try:
        yield engine
    finally:
        for one in sources.values():
            await one.stop()


async def seconds(engine: Engine, shown: str) -> float:
    """How long a call with a good token of `other` takes."""
    began = now()
    assert isinstance(await engine.decide(Request(shown)), Verified)
    return now() - began


@in_simulated_time
async def test_the_first_call_waits_for_its_own_keys_only() -> None:
    providers = {"corp": Provider(HANGS), "other": Provider(K1, delay=0.2)}
    async with judging(**providers) as engine:
        assert 0.19 < await seconds(engine, token(iss=OTHER_ISS)) < 0.21


@in_simulated_time
async def test_calls_that_wait_for_the_one_delay_none_of_the_other() -> None:
    providers = {"corp": Provider(K1, HANGS), "other": Provider(K1, K2, delay=0.2)}
    async with judging(**providers) as engine:
        await until(20)
        waiting = [
            asyncio.create_task(engine.decide(Request(token(kid=f"random-{number}")), 2.5))
            for number in range(200)
        ]
        await asyncio.sleep(0)
        assert await seconds(engine, token(iss=OTHER_ISS)) == 0
        assert 0.19 < await seconds(engine, token(iss=OTHER_ISS, kid="k2")) < 0.21
        began = now()
        refused = await asyncio.gather(*waiting)
        assert now() - began < 2
    assert {one.reason for one in refused if isinstance(one, Refusal)} == {Reason.KEY_NOT_FOUND}
    assert [len(provider.asked_at) for provider in providers.values()] == [2, 2]
