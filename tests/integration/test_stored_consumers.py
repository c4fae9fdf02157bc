"""Consumers that are created, changed and deleted while sidecars serve that share a store."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from sidecar.v1 import admin_service_pb2 as messages
from sidecar.v1.admin_service_pb2_grpc import AdminServiceStub
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


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[Running, Running]]:
    """Two sidecars on one store."""
    async with AsyncExitStack() as stack:
        both = []
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            both.append(await stack.enter_async_context(running(tmp_path / name, CONFIGURATION)))
        yield both[0], both[1]


async def until_refused(one: Running, token: str) -> Any:
    """The first refusal; a change is noticed within two seconds."""
    async with asyncio.timeout(5):
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
    ],
)
async def test_what_can_not_be_created(
    fields: dict[str, Any], code: str, reason: str, field: str, tmp_path: Path
) -> None:
    async with running(tmp_path, CONFIGURATION.replace("../", "")) as one:
        with fails(grpc.StatusCode[code], reason, field):
            await create(one, **fields)
        assert not (await admin(one).ListConsumers(messages.ListConsumersRequest())).next_page_token


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
