"""sidecar.v1.AdminService: what an operator asks and orders."""

from typing import TYPE_CHECKING, Any, Final, Protocol

from sidecar.api import fields
from sidecar.api.consumer_methods import Consumers
from sidecar.status import IssuerStatus, Status
from sidecar.v1 import admin_service_pb2 as messages

if TYPE_CHECKING:
    import grpc

    Context = grpc.aio.ServicerContext[Any, Any]

MOST_WAITED: Final = 30.0
"""Seconds that RefreshKeys waits for a fetch at most."""


class Operations(Protocol):
    """What can be done to a running sidecar."""

    async def status(self) -> Status:
        """How it is."""

    async def reload(self) -> bool:
        """Reads the configuration again; whether it was another one.

        Raises CallFailed with CONFIG_INVALID: then everything is as it was.
        """

    async def refresh_keys(self, issuer_name: str, at_most: float) -> IssuerStatus:
        """Fetches an issuer's keys now, within its limit, and waits so many seconds.

        Raises CallFailed with NOT_CONFIGURED.
        """

    def consumers(self) -> Consumers:
        """All of them."""


class AdminService:
    """The methods of the service that work. Each may raise CallFailed."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def get_status(
        self, _: messages.GetStatusRequest, __: "Context"
    ) -> messages.GetStatusResponse:
        """Keys and configuration of this process."""
        return status_response(await self._operations.status())

    async def reload_config(
        self, _: messages.ReloadConfigRequest, __: "Context"
    ) -> messages.ReloadConfigResponse:
        """Reads the configuration again."""
        changed = await self._operations.reload()
        status = await self._operations.status()
        return messages.ReloadConfigResponse(config_hash=status.config.hash, changed=changed)

    async def refresh_keys(
        self, message: messages.RefreshKeysRequest, context: "Context"
    ) -> messages.RefreshKeysResponse:
        """Fetches an issuer's keys now."""
        left: float | None = context.time_remaining()
        at_most = MOST_WAITED if left is None else min(MOST_WAITED, left * 0.8)
        if not message.issuer_name:
            raise fields.invalid("issuer_name", "it is empty; name a configured issuer")
        status = await self._operations.refresh_keys(message.issuer_name, at_most)
        return messages.RefreshKeysResponse(issuer=issuer_message(status))


def status_response(status: Status) -> messages.GetStatusResponse:
    """The message of a status."""
    return messages.GetStatusResponse(
        version=status.version,
        start_time=fields.timestamp(status.start_time),
        config_hash=status.config.hash,
        config_load_time=fields.timestamp(status.config.load_time),
        config_error=status.config.error,
        issuers=[issuer_message(one) for one in status.issuers],
        caches=[
            messages.CacheStatus(
                name=one.name,
                entries=one.entries,
                capacity=one.capacity,
                hits=one.hits,
                misses=one.misses,
            )
            for one in status.caches
        ],
        signers=[
            messages.SignerStatus(name=one.name, key_ids=one.key_ids) for one in status.signers
        ],
    )


def issuer_message(status: IssuerStatus) -> messages.IssuerStatus:
    """The message of an issuer's status."""
    message = messages.IssuerStatus(
        name=status.name,
        issuer=status.issuer,
        source=status.source,
        keys=[
            messages.KeyStatus(key_id=one.key_id, type=one.type, algorithm=one.algorithm)
            for one in status.keys
        ],
        fetch_error=status.fetch_error,
        stale=status.stale,
    )
    if status.fetch_time is not None:
        message.fetch_time.CopyFrom(fields.timestamp(status.fetch_time))
    if status.next_fetch_time is not None:
        message.next_fetch_time.CopyFrom(fields.timestamp(status.next_fetch_time))
    return message
