"""A token is used up in the store, once among all sidecars, or not at all."""

import asyncio
from pathlib import Path

import pytest

from sidecar.state.memory import MemoryStore
from sidecar.state.one_time import PROOFS, TOKENS, OneTimeUses
from sidecar.state.sqlite import SqliteStore
from sidecar.token.checks.one_time import OneTimeUse
from sidecar.token.use import Use
from tests.simulated_time import in_simulated_time
from tests.unit.state.shared import START, Clock, Shared

FIRST_USE = OneTimeUse("a", START + 60, uses_up=True)
LOOK = OneTimeUse("a", START + 60, uses_up=False)


@in_simulated_time
async def test_the_first_use_is_the_only_one() -> None:
    uses = OneTimeUses(MemoryStore(Clock()), TOKENS)
    asked = (LOOK, FIRST_USE, FIRST_USE, LOOK)
    found = [await uses.find(one, 1.0) for one in asked]
    assert found == [Use.FIRST, Use.FIRST, Use.AGAIN, Use.AGAIN]


@in_simulated_time
async def test_nothing_is_known_without_asking() -> None:
    uses = OneTimeUses(MemoryStore(Clock()), TOKENS)
    await uses.find(FIRST_USE, 1.0)
    known: object = uses.known(FIRST_USE, START)  # type: ignore[func-returns-value]
    assert known is None


@in_simulated_time
async def test_a_use_is_forgotten_when_the_token_has_expired() -> None:
    store = MemoryStore(Clock())
    await OneTimeUses(store, TOKENS).find(FIRST_USE, 1.0)
    assert await store.get(TOKENS, "a") is not None
    await asyncio.sleep(60)
    assert await store.get(TOKENS, "a") is None


@in_simulated_time
async def test_kinds_of_things_are_apart() -> None:
    store = MemoryStore(Clock())
    found = [await OneTimeUses(store, kind).find(FIRST_USE, 1.0) for kind in (TOKENS, PROOFS)]
    assert found == [Use.FIRST, Use.FIRST]


@pytest.mark.parametrize("question", [FIRST_USE, LOOK])
@pytest.mark.parametrize("hangs", [False, True])
def test_without_the_store_it_is_not_known(question: OneTimeUse, hangs: bool) -> None:
    @in_simulated_time
    async def check() -> None:
        store = Shared(Clock())
        store.hangs, store.works = hangs, hangs
        began = asyncio.get_running_loop().time()
        assert await OneTimeUses(store, TOKENS).find(question, 3.0) is Use.UNKNOWN
        assert asyncio.get_running_loop().time() - began <= 3.0

    check()


async def test_of_two_sidecars_at_once_one_is_the_first(tmp_path: Path) -> None:
    path = str(tmp_path / "state.db")
    async with SqliteStore.opened(path) as one, SqliteStore.opened(path) as other:
        for number in range(20):
            question = OneTimeUse(str(number), 1e11, uses_up=True)
            found = await asyncio.gather(
                *(OneTimeUses(store, TOKENS).find(question, 5.0) for store in (one, other) * 3)
            )
            assert sorted(use.name for use in found) == ["AGAIN"] * 5 + ["FIRST"]
