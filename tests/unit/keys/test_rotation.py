"""Generated keys at work: made, kept, shared, rotated, and signing on while the store fails."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pytest

from sidecar.config.signers import Signer, SignerKey
from sidecar.keys.generated import generate_private_key
from sidecar.keys.record import KIND, dump, parse
from sidecar.keys.rotation import LONGEST_SLEEP, generated_keys
from sidecar.state.memory import MemoryStore
from sidecar.state.store import ABSENT, Record, StoreFailed, Write
from sidecar.token.ring import CLOCK_SKEW, Ring
from sidecar.token.snapshot import GeneratedKeys
from tests.simulated_time import in_simulated_time

START: Final = 1_800_000_000.0
"""Seconds since the epoch when the simulated loop starts."""
HOUR: Final = 3600.0
DAY: Final = 24 * HOUR


class Shared(MemoryStore):
    """A store that outlives a sidecar in a test, and that fails while it is told to."""

    is_durable = True

    def __init__(self) -> None:
        super().__init__()
        self.works = True
        self.asked = 0

    async def get(self, kind: str, name: str) -> Record | None:
        self._check()
        return await super().get(kind, name)

    async def write(self, *writes: Write) -> bool:
        self._check()
        return await super().write(*writes)

    def _check(self) -> None:
        self.asked += 1
        if not self.works:
            raise StoreFailed("/data/state.db: the disk is full")

    async def ring(self) -> Ring:
        record = await self.get(KIND, "internal")
        assert record is not None
        return parse(record.data)


def signer(*keys: dict[str, Any]) -> Signer:
    keys = keys or ({"generate": "EdDSA", "rotate": "4d"},)
    return Signer(
        name="internal",
        issuer="https://tokens.example",
        keys=tuple(SignerKey(**one) for one in keys),
    )


@dataclass
class Sidecar:
    """What one sidecar has published of its signer, latest last."""

    published: list[GeneratedKeys] = field(default_factory=list)

    def publish(self, _: Signer, keys: GeneratedKeys) -> None:
        self.published.append(keys)

    @property
    def signing(self) -> str:
        (key,) = self.published[-1].signing.values()
        return key.key_id

    @property
    def key_ids(self) -> set[str]:
        keys = self.published[-1]
        return {key.key_id for key in (*keys.signing.values(), *keys.others)}


def now() -> float:
    return START + asyncio.get_running_loop().time()


async def generate(algorithm: str) -> Any:
    return generate_private_key(algorithm)


@asynccontextmanager
async def running(store: MemoryStore, by: Signer | None = None) -> AsyncIterator[Sidecar]:
    """A sidecar with this signer, or with one whose EdDSA key rotates every four days."""
    sidecar = Sidecar()
    async with generated_keys([by or signer()], store, sidecar.publish, now, generate):
        yield sidecar


async def until(moment: float) -> None:
    """Lets time pass until two seconds after this many seconds from the start."""
    await asyncio.sleep(moment + 2 - asyncio.get_running_loop().time())


@in_simulated_time
async def test_keys_are_there_before_anything_else() -> None:
    async with running(Shared()) as sidecar:
        assert len(sidecar.published) == 1
        assert sidecar.key_ids == {sidecar.signing}


@in_simulated_time
async def test_a_life_of_a_key() -> None:
    async with running(Shared()) as sidecar:
        first = sidecar.signing
        await until(3 * DAY - 10)
        assert sidecar.key_ids == {first}
        await until(3 * DAY)
        (second,) = sidecar.key_ids - {first}
        assert sidecar.signing == first
        await until(4 * DAY - 10)
        assert sidecar.signing == first
        await until(4 * DAY)
        assert sidecar.signing == second
        await until(4 * DAY + HOUR + CLOCK_SKEW - 10)
        assert sidecar.key_ids == {first, second}
        await until(4 * DAY + HOUR + CLOCK_SKEW)
        assert sidecar.key_ids == {second}
        await until(7 * DAY)
        assert len(sidecar.key_ids) == 2
        assert sidecar.signing == second


@in_simulated_time
async def test_nothing_is_published_where_nothing_changed() -> None:
    async with running(Shared()) as sidecar:
        await until(2 * DAY)
        assert len(sidecar.published) == 1


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param({"generate": "EdDSA", "rotate": "4d"}, id="rotated"),
        pytest.param({"generate": "EdDSA"}, id="for ever"),
        pytest.param({"generate": "ES256", "key_id": "mine"}, id="named"),
        pytest.param({"generate": "RS256"}, id="RSA"),
    ],
)
@in_simulated_time
async def test_a_restart_keeps_the_keys(keys: dict[str, Any]) -> None:
    store = Shared()
    async with running(store, signer(keys)) as before:
        await until(3 * DAY)
    async with running(store, signer(keys)) as after:
        assert (after.signing, after.key_ids) == (before.signing, before.key_ids)


@in_simulated_time
async def test_a_restart_without_a_store_makes_others() -> None:
    async with running(MemoryStore()) as before:
        pass
    async with running(MemoryStore()) as after:
        assert not after.key_ids & before.key_ids


@in_simulated_time
async def test_two_sidecars_that_start_at_once_have_one_ring() -> None:
    store = Shared()
    async with running(store) as one, running(store) as other:
        assert one.signing == other.signing
        await until(9 * DAY)
        assert one.signing == other.signing
        assert one.key_ids == other.key_ids
        assert len(one.published) == len(other.published)


class Racing(Shared):
    """A store to which somebody else has just written the first ring."""

    def __init__(self, ring: Ring) -> None:
        super().__init__()
        self._other = ring

    async def write(self, *writes: Write) -> bool:
        await super().write(replace(writes[0], data=dump(self._other), expected_version=ABSENT))
        return await super().write(*writes)


@in_simulated_time
async def test_who_comes_second_takes_the_keys_of_who_was_first() -> None:
    store = Shared()
    async with running(store) as first, running(Racing(await store.ring())) as second:
        assert second.signing == first.signing


class Contended(Shared):
    """A store in which somebody else is always faster."""

    async def write(self, *writes: Write) -> bool:
        return False


@in_simulated_time
async def test_a_race_that_never_ends_is_a_failure() -> None:
    with pytest.raises(StoreFailed, match="without pause"):
        async with running(Contended()):
            pass


@in_simulated_time
async def test_what_another_sidecar_made_is_published_within_a_minute() -> None:
    store = Shared()
    async with running(store) as one:
        first = one.signing
        async with running(store, signer({"generate": "EdDSA", "rotate": "1h"})):
            await until(HOUR)
            await until(HOUR + LONGEST_SLEEP)
            made = {key.key_id for key in await store.ring()}
            assert len(made) == 2
            assert one.key_ids == made
            assert one.signing != first


@in_simulated_time
async def test_another_algorithm_signs_and_the_old_key_is_published_on() -> None:
    store = Shared()
    async with running(store) as before:
        old = before.signing
    async with running(store, signer({"generate": "ES256", "rotate": "4d"})) as after:
        assert set(after.published[-1].signing) == {"ES256"}
        assert [key.key_id for key in after.published[-1].others] == [old]
        await until(3 * DAY)
        assert old not in after.key_ids


@in_simulated_time
async def test_a_configured_name_may_go_over_to_another_algorithm() -> None:
    store = Shared()
    async with running(store, signer({"generate": "EdDSA", "key_id": "mine"})):
        pass
    async with running(store, signer({"generate": "ES256", "key_id": "mine"})) as after:
        assert after.published[-1].signing["ES256"].algorithm == "ES256"
        assert [key.algorithm for key in after.published[-1].others] == ["EdDSA"]


@in_simulated_time
async def test_a_store_that_fails_at_first_is_a_failure() -> None:
    store = Shared()
    store.works = False
    with pytest.raises(StoreFailed, match="the disk is full"):
        async with running(store):
            pass


@in_simulated_time
async def test_the_old_key_signs_on_while_the_store_fails() -> None:
    store = Shared()
    async with running(store) as sidecar:
        first = sidecar.signing
        store.works = False
        await until(10 * DAY)
        assert sidecar.signing == first
        store.works = True
        await until(10 * DAY + LONGEST_SLEEP)
        assert len(sidecar.key_ids) == 2
        assert sidecar.signing == first
        await until(11 * DAY + LONGEST_SLEEP)
        assert sidecar.signing != first


@in_simulated_time
async def test_the_next_key_signs_in_time_although_the_store_fails() -> None:
    store = Shared()
    async with running(store) as sidecar:
        first = sidecar.signing
        await until(3 * DAY)
        store.works = False
        await until(4 * DAY + LONGEST_SLEEP)
        assert sidecar.signing != first
        await until(5 * DAY)
        assert first not in sidecar.key_ids


@in_simulated_time
async def test_a_store_that_was_emptied_gets_the_keys_that_are_in_use() -> None:
    store = Shared()
    async with running(store) as sidecar:
        before = await store.ring()
        record = await store.get(KIND, "internal")
        assert record is not None
        await store.delete(KIND, "internal", record.version)
        await until(LONGEST_SLEEP)
        assert await store.ring() == before
        assert len(sidecar.published) == 1


@in_simulated_time
async def test_another_key_of_the_same_name_replaces_the_one_in_use() -> None:
    store, elsewhere = Shared(), Shared()
    named = signer({"generate": "EdDSA", "key_id": "mine"})
    async with running(store, named) as sidecar, running(elsewhere, named) as other:
        record = await store.get(KIND, "internal")
        assert record is not None
        await store.put(KIND, "internal", dump(await elsewhere.ring()), record.version)
        await until(LONGEST_SLEEP)
        mine, others = (one.published[-1].signing["EdDSA"] for one in (sidecar, other))
        assert mine.material.private_bytes_raw() == others.material.private_bytes_raw()


@in_simulated_time
async def test_a_store_that_fails_is_asked_ever_more_rarely(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Shared()
    async with running(store):
        await until(0)
        store.works, before = False, store.asked
        await until(10 * 60)
        assert store.asked - before <= 16
        assert "signer internal: /data/state.db: the disk is full" in caplog.text


@in_simulated_time
async def test_an_error_of_ours_ends_no_rotation(caplog: pytest.LogCaptureFixture) -> None:
    store = Shared()
    failed: list[str] = []

    async def fails_once(algorithm: str) -> Any:
        if asyncio.get_running_loop().time() > 1 and not failed:
            failed.append(algorithm)
            raise RuntimeError
        return generate_private_key(algorithm)

    sidecar = Sidecar()
    async with generated_keys([signer()], store, sidecar.publish, now, fails_once):
        await until(3 * DAY + LONGEST_SLEEP)
    assert failed
    assert len(sidecar.key_ids) == 2
    assert "can't be looked after" in caplog.text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"{", "they are damaged", id="no ring"),
        pytest.param(b'{"format": 2}', "a newer jwt-sidecar wrote them", id="a newer one's"),
    ],
)
@in_simulated_time
async def test_keys_that_cannot_be_read_are_not_replaced(data: bytes, words: str) -> None:
    store = Shared()
    await store.put(KIND, "internal", data, ABSENT)
    with pytest.raises(StoreFailed, match=words):
        async with running(store):
            pass
    record = await store.get(KIND, "internal")
    assert record is not None
    assert record.data == data


@in_simulated_time
async def test_a_private_key_that_is_none_is_named() -> None:
    store = Shared()
    async with running(store) as sidecar:
        (key,) = await store.ring()
    damaged = dump((key,)).replace(b'"private_key": "', b'"private_key": "AAAA')
    record = await store.get(KIND, "internal")
    assert record is not None
    await store.put(KIND, "internal", damaged, record.version)
    with pytest.raises(StoreFailed, match=f'signer internal .* key "{sidecar.signing}" is damaged'):
        async with running(store):
            pass


@pytest.mark.parametrize(
    ("store", "keys", "warns"),
    [
        pytest.param(MemoryStore(), {"rotate": "4d"}, True, id="rotated in memory"),
        pytest.param(MemoryStore(), {}, False, id="for trying out"),
        pytest.param(Shared(), {"rotate": "4d"}, False, id="kept"),
    ],
)
@in_simulated_time
async def test_keys_that_will_be_lost_are_warned_of(
    store: MemoryStore, keys: dict[str, str], warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(store, signer({"generate": "EdDSA", **keys})):
        warnings = [one for one in caplog.records if one.levelno == logging.WARNING]
        assert bool(warnings) is warns


@in_simulated_time
async def test_the_log_tells_a_keys_life_and_no_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    store = Shared()
    async with running(store) as sidecar:
        first = sidecar.signing
        await until(5 * DAY)
        second = sidecar.signing
    said = [one.getMessage().removeprefix("signer internal: key ") for one in caplog.records]
    assert said == [
        f'"{first}" (EdDSA) was made; it signs from 2027-01-15T08:00:00Z',
        f'"{second}" (EdDSA) was made; it signs from 2027-01-19T08:00:00Z',
        f'"{second}" (EdDSA) signs',
        f'"{first}" (EdDSA) is gone',
    ]


@in_simulated_time
async def test_a_signer_without_generated_keys_needs_no_store() -> None:
    sidecar, store = Sidecar(), Shared()
    async with generated_keys([], store, sidecar.publish, now, generate):
        assert (store.asked, sidecar.published) == (0, [])
