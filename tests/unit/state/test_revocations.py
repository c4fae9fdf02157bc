"""Making revocations last: durable first, then in effect, never shortened, and bounded."""

import asyncio
import json
import logging

import pytest

from sidecar.state.memory import MemoryStore
from sidecar.state.revocations import KIND, Revocations, read
from sidecar.state.store import Named, Record
from sidecar.token import revoked as memory_of
from sidecar.token.claims import LAST_SECOND
from sidecar.token.reason import CallFailed, ErrorReason
from sidecar.token.revocation import Kind, Revocation
from sidecar.token.revoked import Revoked
from tests.simulated_time import in_simulated_time
from tests.unit.state.shared import START, Clock, Shared

LATER = START + 3600


class Sidecar:
    """What one sidecar knows, and how it revokes."""

    def __init__(self, store: MemoryStore) -> None:
        self.revoked = Revoked("secret")
        self.revocations = Revocations(store, self.revoked, Clock())

    async def revoke(self, name: str = "a", kind: Kind = Kind.TOKEN, **changes: float) -> None:
        end: float | None = changes.get("end", LATER)
        await self.revocations.revoke(Revocation(kind, name, changes.get("time", START), end))

    def knows(self, name: str) -> bool:
        return self.revoked.tokens.get(name) is not None


@in_simulated_time
async def test_what_is_revoked_is_in_the_store_and_in_effect() -> None:
    store = Shared(Clock())
    sidecar = Sidecar(store)
    await sidecar.revoke()
    record = await store.get(KIND, "token a")
    assert record is not None
    assert record.expire_time == LATER
    assert read(Named("token a", record)) == Revocation(Kind.TOKEN, "a", START, LATER)
    assert sidecar.knows("a")


@in_simulated_time
async def test_without_a_store_that_lasts_it_is_in_effect_here() -> None:
    store = MemoryStore(Clock())
    sidecar = Sidecar(store)
    await sidecar.revoke()
    assert sidecar.knows("a")
    assert await store.page(KIND, "", 10) == ()


@in_simulated_time
async def test_where_the_store_fails_nothing_is_revoked() -> None:
    store = Shared(Clock())
    store.works = False
    sidecar = Sidecar(store)
    with pytest.raises(CallFailed) as failed:
        await sidecar.revoke()
    assert failed.value.reason is ErrorReason.STORE_UNAVAILABLE
    assert failed.value.message == (
        "whether it is revoked is not known; try again: redis:6379: it does not answer"
    )
    assert not sidecar.knows("a")


@in_simulated_time
async def test_a_caller_that_does_not_wait_has_it_revoked_all_the_same() -> None:
    store = Shared(Clock())
    store.hangs = True
    sidecar = Sidecar(store)
    call = asyncio.create_task(sidecar.revoke())
    await asyncio.sleep(0.5)
    call.cancel()
    store.hangs = False
    await sidecar.revocations.finish()
    assert call.cancelled()
    assert sidecar.knows("a")
    assert await store.get(KIND, "token a") is not None


@pytest.mark.parametrize(
    ("kind", "first", "second", "time", "end"),
    [
        pytest.param(Kind.TOKEN, (0, 10), (5, 20), 5, 20, id="a token for longer"),
        pytest.param(Kind.TOKEN, (0, 20), (5, 10), 0, 20, id="a token for shorter"),
        pytest.param(Kind.SUBJECT, (0, 10), (5, 20), 5, 20, id="a subject later"),
        pytest.param(Kind.SUBJECT, (5, 20), (0, 10), 5, 20, id="a subject earlier"),
        pytest.param(Kind.SUBJECT, (5, 10), (0, 20), 5, 20, id="a subject earlier, for longer"),
        pytest.param(Kind.SUBJECT, (0, None), (5, 10), 5, None, id="a subject for ever"),
    ],
)
@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_is_revoked_again_is_not_shortened(
    kind: Kind,
    first: tuple[float, float | None],
    second: tuple[float, float | None],
    time: float,
    end: float | None,
    elsewhere: bool,
) -> None:
    @in_simulated_time
    async def check() -> None:
        store = Shared(Clock())
        one = Sidecar(store)
        other = Sidecar(store) if elsewhere else one
        for sidecar, (at, until) in ((one, first), (other, second)):
            until = None if until is None else LATER + until
            await sidecar.revocations.revoke(Revocation(kind, "a", START + at, until))
        record = await store.get(KIND, f"{kind.value} a")
        assert record is not None
        expected = Revocation(kind, "a", START + time, None if end is None else LATER + end)
        assert read(Named(f"{kind.value} a", record)) == expected

    check()


@in_simulated_time
async def test_two_sidecars_at_once_both_succeed() -> None:
    store = Shared(Clock())
    sidecars = [Sidecar(store) for _ in range(4)]
    await asyncio.gather(
        *(one.revoke(kind=Kind.SUBJECT, time=START + n) for n, one in enumerate(sidecars))
    )
    record = await store.get(KIND, "subject a")
    assert record is not None
    assert json.loads(record.data)["time"] == START + 3


@in_simulated_time
async def test_when_it_is_full_the_next_is_refused_and_none_forgotten() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sidecar.state.revocations.MOST", 2)
        sidecar = Sidecar(Shared(Clock()))
        await sidecar.revoke("a")
        await sidecar.revoke("b", end=START + 1)
        with pytest.raises(CallFailed) as failed:
            await sidecar.revoke("c")
        assert failed.value.reason is ErrorReason.LIMIT_EXCEEDED
        assert "max_lifetime" in failed.value.message
        await sidecar.revoke("a", time=START + 5)
        assert (sidecar.knows("a"), sidecar.knows("b"), sidecar.knows("c")) == (True, True, False)
        await asyncio.sleep(1300)
        await sidecar.revoke("c")
        assert (sidecar.knows("b"), sidecar.knows("c")) == (False, True)


def test_a_million_fit() -> None:
    assert memory_of.MOST == 1_000_000


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"{", id="no JSON"),
        pytest.param(b"[]", id="no object"),
        pytest.param(b'{"format": 1}', id="no time"),
        pytest.param(b'{"format": 1, "time": "x"}', id="a time that is none"),
        pytest.param(b'{"format": 1, "time": NaN}', id="not a number"),
        pytest.param(b'{"format": 1, "time": 1e999}', id="for ever"),
        pytest.param(b'{"format": 2, "time": 1}', id="a newer form"),
    ],
)
def test_a_record_that_can_not_be_read_counts_for_all(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    found = read(Named("subject 1 i alice", Record(data, 7, LATER)))
    assert found == Revocation(Kind.SUBJECT, "1 i alice", LAST_SECOND, LATER)
    assert '"subject 1 i alice"' in caplog.text


def test_a_kind_that_a_newer_sidecar_knows_is_none_of_ours() -> None:
    assert read(Named("family a", Record(b"", 7))) is None
