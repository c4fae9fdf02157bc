"""Which gRPC methods a listener's `services` bring; the others refuse and say why."""

from collections.abc import Collection, Mapping
from typing import Final

from sidecar.api.listener import Handlers, Method, method
from sidecar.api.token_service import TokenService, decoding, not_served
from sidecar.authorization.policy import Policy
from sidecar.engine import Engine
from sidecar.v1 import token_service_pb2 as messages

TOKEN_SERVICE: Final = "sidecar.v1.TokenService"
AUTHORIZATION: Final = "envoy.service.auth.v3.Authorization"
_SERVED_BY: Final = {
    "ValidateToken": frozenset({"validate"}),
    "ExplainToken": frozenset({"validate"}),
    "GetJwks": frozenset({"validate", "issue"}),
    "IssueToken": frozenset({"issue"}),
}
"""Each working method and the services any of which brings it."""


def handlers(services: Collection[str], engine: Engine, policy: Policy) -> Mapping[str, Handlers]:
    """The methods of a listener by the full name of their gRPC service."""
    made = _token_methods(TokenService(engine))
    for name, needed in _SERVED_BY.items():
        if needed.isdisjoint(services):
            made[name] = method(not_served(name, needed))
    check = not_served("Check", {"ext_authz"})
    if "ext_authz" in services:
        from sidecar.api.ext_authz import Authorization

        check = Authorization(engine, policy).check
    return {TOKEN_SERVICE: made, AUTHORIZATION: {"Check": method(check)}}


def described(services: Collection[str]) -> tuple[str, ...]:
    """The gRPC services that a listener's server reflection lists."""
    token_service = () if {"validate", "issue"}.isdisjoint(services) else (TOKEN_SERVICE,)
    return token_service + ((AUTHORIZATION,) if "ext_authz" in services else ())


def _token_methods(service: TokenService) -> dict[str, Method]:
    return {
        "ValidateToken": method(decoding(service.validate_token, messages.ValidateTokenRequest)),
        "ExplainToken": method(decoding(service.explain_token, messages.ExplainTokenRequest)),
        "GetJwks": method(decoding(service.get_jwks, messages.GetJwksRequest)),
        "IssueToken": method(decoding(service.issue_token, messages.IssueTokenRequest)),
    }
