"""An issuer's last good key set as a record of the store."""

import json
from typing import Any

import pytest

from sidecar.keys.answer import Validators
from sidecar.keys.download import Access
from sidecar.keys.saved import Saved
from sidecar.keys.source import Source
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


async def test_no_query_of_a_url_is_kept() -> None:
    url = "https://a.example/jwks?api_key=marker"
    store, source = MemoryStore(), Source("https://a.example", url, Access(1.0))
    saved = Saved(source.digest, b"{}", 0.0, Validators(url, '"1"'))
    await StoredSet(store, "corp").save(saved)
    record = await store.get(KIND, "corp")
    assert record is not None
    assert b"marker" not in record.data
    assert "marker" not in repr(saved)
    assert await StoredSet(store, "corp").load() == Saved(source.digest, b"{}", 0.0)


def test_sources_of_other_queries_are_others() -> None:
    of = [
        Source("https://a.example", f"https://a.example/jwks{query}", Access(1.0)).digest
        for query in ("", "?a", "?b", "?a")
    ]
    assert (len(set(of)), of[1]) == (3, of[3])


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
