"""Which gRPC methods a listener's `services` bring; the others refuse and say why."""

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Final

from sidecar.api.listener import Handlers, Method, method
from sidecar.api.token_service import TokenService, decoding, not_served
from sidecar.authorization.policy import Policy
from sidecar.engine import Engine
from sidecar.v1 import token_service_pb2 as messages

if TYPE_CHECKING:
    from sidecar.api.admin_service import Operations

TOKEN_SERVICE: Final = "sidecar.v1.TokenService"
ADMIN_SERVICE: Final = "sidecar.v1.AdminService"
AUTHORIZATION: Final = "envoy.service.auth.v3.Authorization"
_SERVED_BY: Final = {
    "ValidateToken": frozenset({"validate"}),
    "ExplainToken": frozenset({"validate"}),
    "GetJwks": frozenset({"validate", "issue"}),
    "IssueToken": frozenset({"issue"}),
    "RefreshToken": frozenset({"issue"}),
    "RevokeToken": frozenset({"issue"}),
}
"""Each working method and the services any of which brings it."""
_NO_ADMIN: Final = {
    name: method(not_served(name, {"admin"}))
    for name in (
        "GetStatus",
        "ReloadConfig",
        "RefreshKeys",
        "CreateConsumer",
        "GetConsumer",
        "ListConsumers",
        "UpdateConsumer",
        "DeleteConsumer",
    )
}
_NO_CHECK: Final = method(not_served("Check", {"ext_authz"}))


def handlers(
    services: Collection[str],
    engine: Engine,
    policy: Callable[[], Policy],
    operations: "Operations",
) -> Mapping[str, Handlers]:
    """The methods of a listener by the full name of their gRPC service.

    `policy` gives the one that holds now.
    """
    made = _token_methods(TokenService(engine))
    for name, needed in _SERVED_BY.items():
        if needed.isdisjoint(services):
            made[name] = method(not_served(name, needed))
    return {
        TOKEN_SERVICE: made,
        ADMIN_SERVICE: _admin_methods(operations) if "admin" in services else _NO_ADMIN,
        AUTHORIZATION: {"Check": _check(engine, policy) if "ext_authz" in services else _NO_CHECK},
    }


def described(services: Collection[str]) -> tuple[str, ...]:
    """The gRPC services that a listener's server reflection lists."""
    bring = {
        TOKEN_SERVICE: {"validate", "issue"},
        ADMIN_SERVICE: {"admin"},
        AUTHORIZATION: {"ext_authz"},
    }
    return tuple(name for name, needed in bring.items() if not needed.isdisjoint(services))


def _check(engine: Engine, policy: Callable[[], Policy]) -> Method:
    from sidecar.api.ext_authz import Authorization

    return method(Authorization(engine, policy).check)


def _admin_methods(operations: "Operations") -> dict[str, Method]:
    from sidecar.api.admin_service import AdminService
    from sidecar.api.consumer_methods import ConsumerMethods
    from sidecar.v1 import admin_service_pb2 as admin

    service = AdminService(operations)
    consumers = ConsumerMethods(operations.consumers)
    return {
        "GetStatus": method(decoding(service.get_status, admin.GetStatusRequest)),
        "ReloadConfig": method(decoding(service.reload_config, admin.ReloadConfigRequest)),
        "RefreshKeys": method(decoding(service.refresh_keys, admin.RefreshKeysRequest)),
        "CreateConsumer": method(decoding(consumers.create, admin.CreateConsumerRequest)),
        "GetConsumer": method(decoding(consumers.get, admin.GetConsumerRequest)),
        "ListConsumers": method(decoding(consumers.list, admin.ListConsumersRequest)),
        "UpdateConsumer": method(decoding(consumers.update, admin.UpdateConsumerRequest)),
        "DeleteConsumer": method(decoding(consumers.delete, admin.DeleteConsumerRequest)),
    }


def _token_methods(service: TokenService) -> dict[str, Method]:
    return {
        "ValidateToken": method(decoding(service.validate_token, messages.ValidateTokenRequest)),
        "ExplainToken": method(decoding(service.explain_token, messages.ExplainTokenRequest)),
        "GetJwks": method(decoding(service.get_jwks, messages.GetJwksRequest)),
        "IssueToken": method(decoding(service.issue_token, messages.IssueTokenRequest)),
        "RefreshToken": method(decoding(service.refresh_token, messages.RefreshTokenRequest)),
        "RevokeToken": method(decoding(service.revoke_token, messages.RevokeTokenRequest)),
    }
