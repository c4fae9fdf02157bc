"""An issuer's last good key set as a record of the store."""

import json
from typing import Any

import pytest

from sidecar.keys.answer import Validators
from sidecar.keys.saved import Saved
from sidecar.keys.stored import KIND, StoredSet
from sidecar.state.memory import MemoryStore
from sidecar.state.store import ABSENT

SAVED = Saved("https://a.example/jwks", b'{"keys": []}', 1_800_000_000.5)
WITH_VALIDATORS = Saved("u", b"\xff", 0.0, Validators("https://a.example/jwks", '"1"', "yesterday"))


@pytest.mark.parametrize("saved", [SAVED, WITH_VALIDATORS])
async def test_what_was_saved_is_loaded(saved: Saved) -> None:
    kept = StoredSet(MemoryStore(), "corp")
    assert await kept.load() is None
    await kept.save(SAVED)
    await kept.save(saved)
    assert await kept.load() == saved


async def test_each_issuer_has_its_own() -> None:
    store = MemoryStore()
    await StoredSet(store, "corp").save(SAVED)
    assert await StoredSet(store, "other").load() is None


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"source": 1}, id="source"),
        pytest.param({"body": "%"}, id="body"),
        pytest.param({"body": None}, id="no body"),
        pytest.param({"fetched_at": True}, id="a time that is none"),
        pytest.param({"fetched_at": "x"}, id="a time in text"),
        pytest.param({"fetched_at": float("nan")}, id="not a number"),
        pytest.param({"fetched_at": 10**400}, id="a number that no float holds"),
        pytest.param({"validators": {"url": "u"}}, id="half of the validators"),
        pytest.param({"validators": []}, id="validators of another type"),
    ],
)
async def test_a_damaged_record_is_told(members: dict[str, Any]) -> None:
    store = MemoryStore()
    await StoredSet(store, "corp").save(SAVED)
    record = await store.get(KIND, "corp")
    assert record is not None
    data = json.dumps({**json.loads(record.data), **members}).encode()
    await store.put(KIND, "corp", data, record.version)
    with pytest.raises(ValueError, match="damaged"):
        await StoredSet(store, "corp").load()


async def test_a_record_of_a_newer_sidecar_is_left_alone() -> None:
    store = MemoryStore()
    await store.put(KIND, "corp", b'{"format": 2, "body": 7}', ABSENT)
    assert await StoredSet(store, "corp").load() is None
