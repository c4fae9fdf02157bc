"""One gRPC listener: a bound address, a transport, and the services that it serves."""

import importlib.util
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import grpc
from grpc_health.v1 import health, health_pb2_grpc

from sidecar.api.binding import ListenFailed, binding, remove_socket
from sidecar.config.addresses import Address
from sidecar.config.listeners import Listener as ListenerSettings
from sidecar.config.tls import Unfit

if TYPE_CHECKING:
    from sidecar.api.tls import Certificates

MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024
"""Of a request; gRPC's own default."""
MAX_CHECK_BYTES: Final = 64 * 1024 * 1024
"""Of a request where ext_authz is served: Envoy may send a body along, and one refused here would
be an RPC error, which Envoy lets through where `failure_mode_allow` is on."""
_MAX_METADATA_BYTES: Final = 64 * 1024
HANDSHAKE_MS: Final = 10_000
"""Milliseconds that a connection may take until it is through with TLS and says HTTP/2; gRPC's own
default is two minutes, in which whoever reaches the port could hold any number of descriptors."""

log = logging.getLogger(__name__)

Method: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Handlers = Mapping[str, Method]


@dataclass(frozen=True, slots=True)
class Listener:
    """A server that is bound to its address."""

    address: Address
    services: tuple[str, ...]
    transport: str
    server: grpc.aio.Server
    certificates: "Certificates | None" = None
    """What it shows in handshakes, where it is reached by TLS."""

    def describe(self) -> str:
        """Address, transport and services, for the line that says the sidecar is ready."""
        transport = f"{self.transport} with TLS" if self.certificates else self.transport
        return f"{self.address} ({transport}; {', '.join(self.services) or 'health'})"

    def close(self) -> None:
        """Removes what a Unix socket leaves behind."""
        remove_socket(self.address)


def bind(
    settings: ListenerSettings,
    services: Mapping[str, Handlers],
    described: Sequence[str],
    health_service: health.aio.HealthServicer,
    shared: bool = False,
) -> Listener:
    """A listener for these services, by full name, for health checking, and for reflection.

    Reflection lists the services that are `described`. Several processes may have a port that is
    `shared`.

    Raises ListenFailed where the address can't be had, or its certificate any more.
    """
    transport = _transport(settings)
    server = _server(transport, settings.services, shared)
    for name, handlers in services.items():
        server.add_registered_method_handlers(name, dict(handlers))
    health_pb2_grpc.add_HealthServicer_to_server(health_service, server)
    if settings.reflection:
        from grpc_reflection.v1alpha import reflection

        names = (*described, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
    _warn_of_plain_tokens(settings)
    certificates = _certificates(settings)
    with binding(settings.address, settings.mode, shared):
        port = _add_port(server, settings.address, certificates)
    address = settings.address if settings.address.is_unix else replace(settings.address, port=port)
    return Listener(address, settings.services, transport, server, certificates)


def _add_port(
    server: grpc.aio.Server, address: Address, certificates: "Certificates | None"
) -> int:
    if certificates is None:
        return server.add_insecure_port(str(address))
    from sidecar.api.tls import credentials

    return server.add_secure_port(str(address), credentials(certificates))


def _certificates(settings: ListenerSettings) -> "Certificates | None":
    if settings.tls is None:
        return None
    from sidecar.api.tls import Certificates

    try:
        return Certificates(settings.tls, str(settings.address), time.time)
    except Unfit as unfit:
        problem = f"{settings.address} can't be listened on: {unfit.message}"
        raise ListenFailed(problem) from unfit


def _warn_of_plain_tokens(settings: ListenerSettings) -> None:
    address = settings.address
    if settings.caller_token and not (settings.tls or address.is_unix or address.is_loopback):
        log.warning(
            "%s: caller tokens come in plain text; add tls, unless something before it adds TLS",
            address,
        )


def _transport(settings: ListenerSettings) -> str:
    installed = importlib.util.find_spec("pygrpc_native") is not None
    if settings.transport == "native" and not installed:
        raise ListenFailed(
            f"{settings.address}: transport native needs the package pygrpc-native "
            "(pip install 'jwt-sidecar[native]')"
        )
    # Native closes a connection on which more than 20 calls were reset at once, and with it
    # ends all others: clients of Envoy could have each other let through as failures.
    fit = "ext_authz" not in settings.services and settings.tls is None
    if settings.transport == "auto":
        return "native" if installed and fit else "grpcio"
    if settings.transport == "native" and not fit:
        log.warning(
            "%s: clients that reset many requests at once can make others' checks fail with "
            "transport native; never use it with failure_mode_allow",
            settings.address,
        )
    return settings.transport


def _server(transport: str, services: Collection[str], shared: bool) -> grpc.aio.Server:
    make: Callable[..., grpc.aio.Server]
    if transport == "native":
        from sidecar.api.native import server as make
    else:
        from grpc.aio import server as make
    most = MAX_CHECK_BYTES if "ext_authz" in services else MAX_MESSAGE_BYTES
    options = (
        ("grpc.so_reuseport", int(shared)),
        ("grpc.max_receive_message_length", most),
        ("grpc.max_metadata_size", _MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", _MAX_METADATA_BYTES),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
    )
    return make(options=options)


def method(handler: Callable[[bytes, Any], Awaitable[bytes]]) -> Method:
    """A unary method whose messages stay bytes: handlers read and write them themselves."""
    return grpc.unary_unary_rpc_method_handler(handler)
