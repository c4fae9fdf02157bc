"""Consumers in a store, on each of the stores; and what is in their records."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.state.consumers.record import KeptConsumer, UnreadableConsumer, dump, parse
from sidecar.state.consumers.registry import Registry, Taken
from sidecar.state.consumers.seal import Seal, Unsealable
from sidecar.state.memory import MemoryStore
from sidecar.state.sqlite import SqliteStore
from sidecar.token.snapshot import NO_GRANTS, Grants
from tests.redis_servers import redis_server, redis_store


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def registry(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Registry]:
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            yield Registry(MemoryStore())
        elif request.param == "sqlite":
            path = str(tmp_path / "state.db")
            yield Registry(await stack.enter_async_context(SqliteStore.opened(path)))
        else:
            server = stack.enter_context(redis_server(tmp_path / "redis"))
            yield Registry(await stack.enter_async_context(redis_store(server.url)))


def kept(name: str = "jack", key: str = "jack-key", disabled: bool = False) -> KeptConsumer:
    return KeptConsumer(
        *(name, key, "HS256", b"\x00sealed", "", {"plan": "gold"}, disabled, 1.0, 2.0),
        Grants(("read",), {"sub": "billing", "n": [1, {"a": None}]}, ("team",)),
    )


async def test_what_was_created_is_found_by_name_and_by_key(registry: Registry) -> None:
    await registry.create(kept())
    found = await registry.get("jack")
    assert found is not None
    assert found[0] == kept()
    assert await registry.owner("jack-key") == "jack"
    assert await registry.get("jill") is None
    assert await registry.owner("jill-key") is None


async def test_names_and_keys_are_unique(registry: Registry) -> None:
    await registry.create(kept())
    for taken, field in ((kept(key="other"), "name"), (kept(name="jill"), "key")):
        with pytest.raises(Taken) as refused:
            await registry.create(taken)
        assert refused.value.field == field
    assert await registry.get("jill") is None
    assert await registry.owner("other") is None


async def test_one_that_changes_its_key_leaves_the_old_one_to_others(registry: Registry) -> None:
    await registry.create(kept())
    found = await registry.get("jack")
    assert found is not None
    assert await registry.replace(kept(key="new-key"), *found)
    assert not await registry.replace(kept(disabled=True), *found)
    assert await registry.owner("new-key") == "jack"
    await registry.create(kept("jill", "jack-key"))
    assert await registry.owner("jack-key") == "jill"


async def test_one_that_was_deleted_can_be_created_again(registry: Registry) -> None:
    await registry.create(kept())
    assert await registry.delete("jack") == "jack-key"
    assert await registry.delete("jack") is None
    assert await registry.get("jack") is None
    assert await registry.owner("jack-key") is None
    assert await registry.page("", 10, ()) == []
    await registry.create(kept())
    assert await registry.get("jack") is not None


async def test_pages_are_by_name(registry: Registry) -> None:
    for name in ("c", "a", "d", "b"):
        await registry.create(kept(name, f"{name}-key"))
    await registry.delete("b")
    assert [name for name, _ in await registry.page("", 2, ())] == ["a", "c"]
    assert [name for name, _ in await registry.page("a", 10, ("c",))] == ["d"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"{", "is damaged; restore it", id="no JSON"),
        pytest.param(b"{}", "is damaged; restore it", id="no members"),
        pytest.param(b"[]", "is damaged; restore it", id="no object"),
        pytest.param(
            dump(kept()).replace(b'"disabled":false', b'"disabled":"no"'),
            "is damaged; restore it",
            id="a member of another type",
        ),
        pytest.param(
            dump(kept()).replace(b'"format":1', b'"format":2'), "a newer jwt-sidecar", id="newer"
        ),
    ],
)
def test_a_record_that_can_not_be_read_says_whose_it_is(data: bytes, words: str) -> None:
    with pytest.raises(UnreadableConsumer, match="jack") as refused:
        parse("jack", data)
    assert words in str(refused.value)


OLD, NEW = b"o" * 32, b"n" * 32


def test_a_secret_is_encrypted_and_each_time_to_something_else() -> None:
    seal = Seal([NEW], allows_plaintext=False)
    sealed = seal.close("jack", b"a secret")
    assert b"secret" not in sealed
    assert sealed != seal.close("jack", b"a secret")
    assert seal.open("jack", sealed) == b"a secret"


@pytest.mark.parametrize(
    ("seal", "name", "words"),
    [
        pytest.param(Seal([NEW], allows_plaintext=True), "jack", "another key", id="another key"),
        pytest.param(Seal([OLD], allows_plaintext=True), "jill", "another key", id="another name"),
        pytest.param(Seal([], allows_plaintext=True), "jack", "another key", id="no key"),
    ],
)
def test_a_secret_is_read_with_its_key_and_name_only(seal: Seal, name: str, words: str) -> None:
    sealed = Seal([OLD], allows_plaintext=False).close("jack", b"a secret")
    with pytest.raises(UnreadableConsumer, match=words):
        seal.open(name, sealed)


def test_the_previous_key_still_reads() -> None:
    sealed = Seal([OLD], allows_plaintext=False).close("jack", b"a secret")
    assert Seal([NEW, OLD], allows_plaintext=False).open("jack", sealed) == b"a secret"


def test_without_a_key_a_secret_is_kept_only_where_that_was_asked_for() -> None:
    with pytest.raises(Unsealable, match=r"set store\.secrets_key"):
        Seal([], allows_plaintext=False).close("jack", b"a secret")
    plain = Seal([], allows_plaintext=True).close("jack", b"a secret")
    assert Seal([NEW], allows_plaintext=True).open("jack", plain) == b"a secret"
    with pytest.raises(UnreadableConsumer, match="plaintext_secrets"):
        Seal([NEW], allows_plaintext=False).open("jack", plain)


OLDER = b"""{"format":1,"key":"jack-key","algorithm":"HS256","sealed_secret":"AHNlYWxlZA==",\
"public_key":"","labels":{"plan":"gold"},"disabled":false,"create_time":1.0,"update_time":2.0}"""
"""As a jwt-sidecar wrote it that knew no grants."""


def test_a_record_of_an_older_version_grants_nothing() -> None:
    assert parse("jack", OLDER) == replace(kept(), grants=NO_GRANTS)


def test_an_older_version_reads_a_record_with_grants() -> None:
    """It knows the same format, and takes the members that it knows."""
    older, newer = json.loads(OLDER), json.loads(dump(kept()))
    assert {name: newer[name] for name in older} == older


@pytest.mark.parametrize(
    ("member", "value"),
    [
        pytest.param("scopes", "read", id="scopes are text"),
        pytest.param("scopes", [1], id="a scope is a number"),
        pytest.param("claims", [], id="claims are a list"),
        pytest.param("claims", {"sub": 1}, id="sub is a number"),
        pytest.param("claims", {"exp": 1}, id="a claim that no record grants"),
        pytest.param("claims_from_token", "sub", id="paths are text"),
        pytest.param("claims_from_token", [None], id="a path is null"),
    ],
)
def test_grants_that_make_no_sense_are_damage(member: str, value: object) -> None:
    record = json.dumps({**json.loads(OLDER), member: value}).encode()
    with pytest.raises(UnreadableConsumer, match="damaged"):
        parse("jack", record)
