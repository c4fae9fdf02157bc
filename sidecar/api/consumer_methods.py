"""The methods of sidecar.v1.AdminService for consumers: messages in, messages out."""

import binascii
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from sidecar.api import fields
from sidecar.state.consumers.record import KeptConsumer, NewConsumer
from sidecar.token import base64url
from sidecar.token.snapshot import Grants
from sidecar.v1 import admin_service_pb2 as messages

if TYPE_CHECKING:
    import grpc

    Context = grpc.aio.ServicerContext[Any, Any]

DEFAULT_PAGE: Final = 100
LARGEST_PAGE: Final = 1000
_NAME: Final = re.compile(r"[a-z0-9._-]{1,100}")


class Consumers(Protocol):
    """What can be done with consumers; every method raises CallFailed."""

    async def get(self, name: str) -> KeptConsumer:
        """The one of this name."""

    async def page(self, after: str, size: int) -> tuple[list[KeptConsumer], bool]:
        """The first behind this name, and whether there are more."""

    async def create(self, wanted: NewConsumer) -> KeptConsumer:
        """A new one."""

    async def update(self, wanted: NewConsumer) -> KeptConsumer:
        """One that takes the place of that with its name."""

    async def delete(self, name: str) -> None:
        """Removes one."""


class ConsumerMethods:
    """The methods, each of which may raise CallFailed; `consumers` gives what there is now."""

    def __init__(self, consumers: Callable[[], Consumers]) -> None:
        self._consumers = consumers

    async def create(
        self, message: messages.CreateConsumerRequest, _: "Context"
    ) -> messages.CreateConsumerResponse:
        """Keeps a new one in the store."""
        kept = await self._consumers().create(_new(message))
        return messages.CreateConsumerResponse(consumer=consumer_message(kept))

    async def get(
        self, message: messages.GetConsumerRequest, _: "Context"
    ) -> messages.GetConsumerResponse:
        """One by its name."""
        kept = await self._consumers().get(_named(message.name))
        return messages.GetConsumerResponse(consumer=consumer_message(kept))

    async def list(
        self, message: messages.ListConsumersRequest, _: "Context"
    ) -> messages.ListConsumersResponse:
        """A page of them, by name."""
        size, after = _page_size(message.page_size), _after(message.page_token)
        found, more = await self._consumers().page(after, size)
        return messages.ListConsumersResponse(
            consumers=[consumer_message(one) for one in found],
            next_page_token=_page_token(found[-1].name) if more else "",
        )

    async def update(
        self, message: messages.UpdateConsumerRequest, _: "Context"
    ) -> messages.UpdateConsumerResponse:
        """Replaces one in the store."""
        kept = await self._consumers().update(_new(message))
        return messages.UpdateConsumerResponse(consumer=consumer_message(kept))

    async def delete(
        self, message: messages.DeleteConsumerRequest, _: "Context"
    ) -> messages.DeleteConsumerResponse:
        """Removes one from the store."""
        await self._consumers().delete(_named(message.name))
        return messages.DeleteConsumerResponse()


def consumer_message(kept: KeptConsumer) -> messages.Consumer:
    """The message of a consumer, without its secret."""
    message = messages.Consumer(
        name=kept.name,
        key=kept.key,
        algorithm=kept.algorithm,
        disabled=kept.disabled,
        labels=kept.labels,
        scopes=kept.grants.scopes,
        claims_from_token=kept.grants.from_token,
    )
    if kept.grants.claims:
        message.claims_json = json.dumps(
            kept.grants.claims, separators=(",", ":"), ensure_ascii=False
        )
    if kept.public_key:
        message.public_key = kept.public_key
    if kept.create_time is not None:
        message.create_time.CopyFrom(fields.timestamp(kept.create_time))
    if kept.update_time is not None:
        message.update_time.CopyFrom(fields.timestamp(kept.update_time))
    return message


def _new(
    message: messages.CreateConsumerRequest | messages.UpdateConsumerRequest,
) -> NewConsumer:
    if not message.HasField("consumer"):
        raise fields.invalid("consumer", "it is missing")
    consumer = message.consumer
    credential = consumer.WhichOneof("credential")
    return NewConsumer(
        consumer.name,
        consumer.key,
        consumer.algorithm,
        consumer.secret if credential == "secret" else None,
        consumer.public_key if credential == "public_key" else None,
        consumer.disabled,
        dict(consumer.labels),
        Grants(
            tuple(consumer.scopes),
            fields.json_object("consumer.claims_json", consumer.claims_json),
            tuple(consumer.claims_from_token),
        ),
    )


def _named(name: str) -> str:
    if not name:
        raise fields.invalid("name", "it is empty; name a consumer")
    return name


def _page_size(size: int) -> int:
    if not 0 <= size <= LARGEST_PAGE:
        raise fields.invalid(
            "page_size", f"it must be 1 to {LARGEST_PAGE}, or 0 for {DEFAULT_PAGE}; it is {size}"
        )
    return size or DEFAULT_PAGE


def _page_token(name: str) -> str:
    return base64url.encode(name.encode()).decode()


def _after(token: str) -> str:
    """The name that a page begins behind."""
    if not token:
        return ""
    try:
        name = base64url.decode(token.encode()).decode("ascii")
    except (ValueError, binascii.Error):
        name = ""
    if not _NAME.fullmatch(name):
        raise fields.invalid("page_token", "it is not the next_page_token of an answer")
    return name
