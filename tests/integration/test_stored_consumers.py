"""Consumers that are created, changed and deleted while sidecars serve that share a store."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest

from sidecar.state.consumers.record import KEY_KIND, KIND, KeptConsumer, digest_of, dump
from sidecar.state.consumers.seal import Seal
from sidecar.state.sqlite import SqliteStore
from sidecar.state.store import MOST_AT_ONCE, Write
from sidecar.v1 import admin_service_pb2 as messages
from sidecar.v1 import token_service_pb2
from sidecar.v1.admin_service_pb2_grpc import AdminServiceStub
from tests.integration.test_process import run, serving
from tests.redis_servers import redis_server
from tests.running import SECRET, Running, assert_refused, assert_valid, fails, listener, running

KEY = "0123456789abcdef" * 2
CONFIGURATION = (
    listener("grpcio", services="validate, issue, admin")
    + f"""
store: {{url: "sqlite:../state.db", secrets_key: {{value: {KEY}}}}}
consumers:
  store: true
  list: [{{name: ops, key: ops-key, algorithm: HS256, secret: {{value: {SECRET}}}}}]
"""
)


def consumer(**fields: Any) -> messages.Consumer:
    return messages.Consumer(**{"name": "jack", "key": "user-key", "algorithm": "HS256", **fields})


def secret(text: str = SECRET) -> bytes:
    return text.encode()


def admin(one: Running) -> Any:
    return AdminServiceStub(one.channel)


async def create(one: Running, **fields: Any) -> messages.Consumer:
    fields = {"secret": secret(), **fields}
    answer = await admin(one).CreateConsumer(
        messages.CreateConsumerRequest(consumer=consumer(**fields))
    )
    return answer.consumer  # type: ignore[no-any-return]


@pytest.fixture(params=["sqlite", "redis"])
async def pair(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[Running, Running]]:
    """Two sidecars on one store."""
    async with AsyncExitStack() as stack:
        text, both = CONFIGURATION, []
        if request.param == "redis":
            server = stack.enter_context(redis_server(tmp_path / "redis"))
            text = text.replace("sqlite:../state.db", server.url)
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            both.append(await stack.enter_async_context(running(tmp_path / name, text)))
        yield both[0], both[1]


async def until_refused(one: Running, token: str) -> Any:
    """The first refusal."""
    async with asyncio.timeout(20):
        answer = await one.validate(token)
        while answer.valid:
            answer = await one.validate(token)
        return answer


async def test_a_consumer_counts_on_every_sidecar_from_its_creation_to_its_deletion(
    pair: tuple[Running, Running], tmp_path: Path
) -> None:
    ours, theirs = pair
    made = await create(ours, labels={"plan": "gold"})
    assert (made.name, made.labels["plan"], made.secret) == ("jack", "gold", b"")
    assert made.HasField("create_time")
    token = await ours.issue(consumer="jack")
    assert assert_valid(await ours.validate(token)).consumer == "jack"
    assert assert_valid(await theirs.validate(token)).consumer == "jack"
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in tmp_path.glob("state.db*"))
    await admin(ours).DeleteConsumer(messages.DeleteConsumerRequest(name="jack"))
    assert_refused(await ours.validate(token), "CONSUMER_UNKNOWN")
    assert_refused(await until_refused(theirs, token), "CONSUMER_UNKNOWN")


async def test_a_consumer_that_is_disabled_elsewhere_is_refused(
    pair: tuple[Running, Running],
) -> None:
    ours, theirs = pair
    await create(ours)
    token = await ours.issue(consumer="jack")
    assert_valid(await theirs.validate(token))
    await admin(ours).UpdateConsumer(
        messages.UpdateConsumerRequest(consumer=consumer(disabled=True))
    )
    assert_refused(await ours.validate(token), "CONSUMER_UNKNOWN", "disabled")
    assert_refused(await until_refused(theirs, token), "CONSUMER_UNKNOWN", "disabled")
    await admin(theirs).UpdateConsumer(messages.UpdateConsumerRequest(consumer=consumer()))
    assert_valid(await theirs.validate(token))


async def test_pages_are_in_order_of_the_names_and_hold_those_of_the_configuration(
    pair: tuple[Running, Running],
) -> None:
    ours, _ = pair
    for name in ("z", "a", "p"):
        await create(ours, name=name, key=name)
    await admin(ours).DeleteConsumer(messages.DeleteConsumerRequest(name="p"))
    names, token = [], ""
    while True:
        page = await admin(ours).ListConsumers(
            messages.ListConsumersRequest(page_size=1, page_token=token)
        )
        names += [one.name for one in page.consumers]
        if not (token := page.next_page_token):
            break
    assert names == ["a", "ops", "z"]


@pytest.mark.parametrize(
    ("fields", "code", "reason", "field"),
    [
        pytest.param({"name": "ops"}, "ALREADY_EXISTS", "ALREADY_EXISTS", "", id="name"),
        pytest.param({"key": "ops-key"}, "ALREADY_EXISTS", "ALREADY_EXISTS", "", id="key"),
        pytest.param({"name": "Jack"}, "INVALID_ARGUMENT", "FIELD_INVALID", "consumer.name"),
        pytest.param({"key": ""}, "INVALID_ARGUMENT", "FIELD_INVALID", "consumer.key"),
        pytest.param(
            {"algorithm": "none"}, "INVALID_ARGUMENT", "FIELD_INVALID", "consumer.algorithm"
        ),
        pytest.param(
            {"secret": secret("s" * 31)}, "INVALID_ARGUMENT", "KEY_UNFIT", "consumer.secret"
        ),
        pytest.param({"scopes": ["a b"]}, "INVALID_ARGUMENT", "FIELD_INVALID", "consumer.scopes"),
        pytest.param(
            {"claims_json": "[]"}, "INVALID_ARGUMENT", "FIELD_INVALID", "consumer.claims_json"
        ),
        pytest.param(
            {"claims_json": '{"exp": 1}'},
            *("INVALID_ARGUMENT", "FIELD_INVALID", "consumer.claims_json"),
        ),
        pytest.param(
            {"claims_from_token": ["iss"]},
            *("INVALID_ARGUMENT", "FIELD_INVALID", "consumer.claims_from_token"),
        ),
    ],
)
async def test_what_can_not_be_created(
    fields: dict[str, Any], code: str, reason: str, field: str, tmp_path: Path
) -> None:
    async with running(tmp_path, CONFIGURATION.replace("../", "")) as one:
        with fails(grpc.StatusCode[code], reason, field):
            await create(one, **fields)
        assert not (await admin(one).ListConsumers(messages.ListConsumersRequest())).next_page_token


GRANTS: dict[str, Any] = {
    "scopes": ["read"],
    "claims_json": '{"sub":"billing","realm_access":{"roles":["reader"]}}',
    "claims_from_token": ["team"],
}


async def test_what_a_record_grants_counts_on_every_sidecar_and_is_taken_back_on_every_one(
    pair: tuple[Running, Running],
) -> None:
    """Also for a token that both remember as verified."""
    ours, theirs = pair
    made = await create(ours, **GRANTS)
    assert {name: getattr(made, name) for name in GRANTS} == GRANTS
    boasts = {"sub": "root", "scope": "read admin", "team": "blue", "roles": ["admin"]}
    token = jwt.encode({"key": "user-key", "exp": 4_000_000_000, **boasts}, SECRET, "HS256")
    for one in pair:
        for _ in range(2):
            said = assert_valid(await one.validate(token, scopes=["read"]))
            assert (said.subject, list(said.scopes)) == ("billing", ["read"])
        claims = json.loads(said.claims_json)
        assert (claims["team"], claims["realm_access"]) == ("blue", {"roles": ["reader"]})
        assert "roles" not in claims
        assert_refused(await one.validate(token, scopes=["admin"]), "SCOPE_INSUFFICIENT", "jack")
    await admin(ours).UpdateConsumer(
        messages.UpdateConsumerRequest(consumer=consumer(claims_from_token=["sub"]))
    )
    assert assert_valid(await ours.validate(token)).subject == "root"
    async with asyncio.timeout(20):
        while assert_valid(await theirs.validate(token)).subject != "root":
            pass
    for one in pair:
        assert_refused(await one.validate(token, scopes=["read"]), "SCOPE_INSUFFICIENT")


@pytest.mark.parametrize("fields", [{"key": "other"}, {"name": "jill"}])
async def test_names_and_keys_are_unique_on_all_sidecars(
    pair: tuple[Running, Running], fields: dict[str, Any]
) -> None:
    await create(pair[0])
    with fails(grpc.StatusCode.ALREADY_EXISTS, "ALREADY_EXISTS"):
        await create(pair[1], **fields)


async def test_those_of_the_configuration_are_read_only(tmp_path: Path) -> None:
    async with running(tmp_path, CONFIGURATION.replace("../", "")) as one:
        with fails(grpc.StatusCode.FAILED_PRECONDITION, "READ_ONLY"):
            await admin(one).DeleteConsumer(messages.DeleteConsumerRequest(name="ops"))


async def test_without_the_setting_nothing_can_be_created(tmp_path: Path) -> None:
    text = CONFIGURATION.replace("../", "").replace("store: true", "store: false")
    async with running(tmp_path, text) as one:
        with fails(grpc.StatusCode.FAILED_PRECONDITION, "NOT_CONFIGURED"):
            await create(one)


async def test_without_a_key_secrets_are_refused(tmp_path: Path) -> None:
    text = CONFIGURATION.replace("../", "").replace(f", secrets_key: {{value: {KEY}}}", "")
    async with running(tmp_path, text) as one:
        with fails(grpc.StatusCode.FAILED_PRECONDITION, "NOT_CONFIGURED"):
            await create(one)


async def test_the_tokens_of_a_consumer_in_the_store_can_be_revoked(
    pair: tuple[Running, Running],
) -> None:
    ours, theirs = pair
    await create(ours)
    token = await ours.issue(consumer="jack")
    assert_valid(await theirs.validate(token))
    await ours.tokens.RevokeToken(token_service_pb2.RevokeTokenRequest(consumer="jack"))
    assert_refused(await ours.validate(token), "REVOKED")
    assert_refused(await until_refused(theirs, token), "REVOKED")
    with fails(grpc.StatusCode.FAILED_PRECONDITION, "NOT_CONFIGURED"):
        await ours.tokens.RevokeToken(token_service_pb2.RevokeTokenRequest(consumer="jill"))


async def test_a_new_secret_ends_the_tokens_of_the_old_one(pair: tuple[Running, Running]) -> None:
    ours, theirs = pair
    await create(ours)
    token = await ours.issue(consumer="jack")
    assert_valid(await theirs.validate(token))
    await admin(ours).UpdateConsumer(
        messages.UpdateConsumerRequest(consumer=consumer(secret=secret("another" * 5)))
    )
    assert_refused(await ours.validate(token), "SIGNATURE_INVALID")
    assert_refused(await until_refused(theirs, token), "SIGNATURE_INVALID")


async def test_a_reload_keeps_them(tmp_path: Path) -> None:
    text = CONFIGURATION.replace("../", "")
    async with running(tmp_path, text) as one:
        await create(one)
        token = await one.issue(consumer="jack")
        for changed in ("cache: {entries: 5}", "cache: {entries: 5}, clock_skew: 5s"):
            members = "\n  ".join(changed.split(", "))
            (tmp_path / "jwt-sidecar.yaml").write_text(
                text.replace("  store: true", f"  store: true\n  {members}")
            )
            await admin(one).ReloadConfig(messages.ReloadConfigRequest())
            assert_valid(await one.validate(token))
            status = await admin(one).GetStatus(messages.GetStatusRequest())
            assert {c.name: c.capacity for c in status.caches}["consumers"] == 5


MANY = 100_000


async def fill(path: Path) -> None:
    """Keeps as many consumers in a store as are promised."""
    seal = Seal([KEY.encode()], allows_plaintext=False)
    async with SqliteStore.opened(str(path)) as store:
        for first in range(0, MANY, MOST_AT_ONCE):
            writes = []
            for number in range(first, first + MOST_AT_ONCE):
                name = f"c{number:06}"
                sealed = seal.close(name, secret())
                kept = KeptConsumer(name, f"{name}-key", "HS256", sealed, "", {}, False, 1.0, 1.0)
                writes.append(Write(KIND, name, dump(kept)))
                writes.append(Write(KEY_KIND, digest_of(kept.key), name.encode()))
            assert await store.write(*writes)


async def test_a_hundred_thousand_consumers(tmp_path: Path) -> None:
    await fill(tmp_path / "state.db")
    async with running(tmp_path, CONFIGURATION.replace("../", "")) as one:
        for number in range(0, MANY, MANY // 100):
            token = jwt.encode({"key": f"c{number:06}-key", "exp": 4_000_000_000}, SECRET, "HS256")
            assert assert_valid(await one.validate(token)).consumer == f"c{number:06}"
        count, token = 0, ""
        while True:
            page = await admin(one).ListConsumers(
                messages.ListConsumersRequest(page_size=1000, page_token=token)
            )
            count += len(page.consumers)
            if not (token := page.next_page_token):
                break
        assert count == MANY + 1


async def test_the_commands_create_show_change_and_delete(tmp_path: Path) -> None:
    path = tmp_path / "jwt-sidecar.yaml"
    path.write_text(CONFIGURATION.replace("../", ""))
    async with serving(path):
        at = ("--address", f"unix:{tmp_path}/s.sock")
        described = ("--key", "jack-key", "--algorithm", "HS256", "--label", "plan=gold")
        status, said, error = await run(
            "consumers", "create", "jack", *described, "--secret-file", "-", *at, stdin=SECRET
        )
        assert (status, error) == (0, "")
        assert '"plan": "gold"' in said
        assert SECRET not in said
        status, token, _ = await run("issue", "--consumer", "jack", *at)
        assert (await run("validate", token.strip(), *at))[0] == 0
        status, said, _ = await run("consumers", "list", *at)
        assert [line.split() for line in said.splitlines()] == [
            ["CONSUMER", "KEY", "ALGORITHM", "STATE", "FROM"],
            ["jack", "jack-key", "HS256", "enabled", "store"],
            ["ops", "ops-key", "HS256", "enabled", "configuration"],
        ]
        status, said, _ = await run("consumers", "update", "jack", "--disabled", *at)
        assert (status, '"disabled": true' in said, '"plan": "gold"' in said) == (0, True, True)
        status, said, _ = await run("validate", token.strip(), *at)
        assert (status, said.splitlines()[0]) == (1, "refused: CONSUMER_UNKNOWN")
        assert (await run("consumers", "update", "jack", "--no-disabled", *at))[0] == 0
        assert (await run("validate", token.strip(), *at))[0] == 0
        status, said, _ = await run("consumers", "get", "jack", *at)
        assert (status, '"key": "jack-key"' in said, "disabled" in said) == (0, True, False)
        grants = ("--scope", "read", "--claim", "sub=billing", "--claim-from-token", "team")
        for options, granted in (
            (grants, (["read"], '{"sub":"billing"}', ["team"])),
            (("--label", "plan=silver"), (["read"], '{"sub":"billing"}', ["team"])),
            (("--scope", "write", "--claim", "n=1"), (["write"], '{"n":1}', ["team"])),
            (("--scope", "", "--claim", "", "--claim-from-token", ""), (None, None, None)),
        ):
            status, said, error = await run("consumers", "update", "jack", *options, *at)
            assert (status, error) == (0, "")
            shown = json.loads(said)
            names = ("scopes", "claims_json", "claims_from_token")
            assert tuple(shown.get(name) for name in names) == granted
        assert await run("consumers", "delete", "jack", *at) == (0, "deleted jack\n", "")
        for arguments in (("get", "jack"), ("delete", "jack"), ("update", "jack", "--disabled")):
            status, said, error = await run("consumers", *arguments, *at)
            assert (status, said, '"jack"' in error) == (2, "", True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(("create", "a", "--algorithm", "HS256"), "--key", id="no key"),
        pytest.param(
            ("update", "a", "--secret-file", "x", "--public-key-file", "y"), "are two", id="two"
        ),
        pytest.param(("update", "a", "--secret-file", "/nowhere"), "/nowhere can't be", id="file"),
        pytest.param(("update", "a", "--label", "gold"), "must be NAME=VALUE", id="label"),
    ],
)
async def test_a_command_that_is_wrong_says_so(
    arguments: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "jwt-sidecar.yaml"
    path.write_text(CONFIGURATION.replace("../", "").replace("name: ops,", "name: a,"))
    async with serving(path):
        at = ("--address", f"unix:{tmp_path}/s.sock")
        status, said, error = await run("consumers", *arguments, *at)
    assert (status, said) == (2, "")
    assert words in error
