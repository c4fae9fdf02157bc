"""FastAPI: endpoints that need a token, and say so in the OpenAPI document."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.openapi.models import HTTPBearer
from fastapi.openapi.models import SecurityBase as SecurityModel
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse

from jwt_sidecar_client.aio import AsyncClient
from jwt_sidecar_client.bearer import bearer_token
from jwt_sidecar_client.denial import HttpDenial, http_denial
from jwt_sidecar_client.errors import SidecarError
from jwt_sidecar_client.request import standing
from jwt_sidecar_client.token import Token

_JWT: Final = HTTPBearer(bearerFormat="JWT")


class Denied(HTTPException):
    """A request that may not pass. See `answer_denials` for the body of the answer."""

    def __init__(self, denial: HttpDenial) -> None:
        super().__init__(denial.status, dict(denial.content), dict(denial.headers))
        self.denial = denial


class BearerToken(SecurityBase):
    """A dependency that gives the verified token, or ends the request with Denied.

    The scopes of `Security(…, scopes=[…])`, its own and those around it, are demanded of the token.
    `scheme` is how the OpenAPI document describes it, under the name `scheme_name`: a model of
    `fastapi.openapi.models`, such as `OAuth2` with flows that list the scopes, or `OpenIdConnect`.
    """

    def __init__(
        self,
        client: AsyncClient,
        *,
        realm: str = "jwt-sidecar",
        issuer_name: str = "",
        audiences: Iterable[str] = (),
        required_claims: Mapping[str, Any] | None = None,
        scheme: SecurityModel = _JWT,
        scheme_name: str = "BearerToken",
    ) -> None:
        self.model = scheme
        self.scheme_name = scheme_name
        self._client = client
        self._realm = realm
        self._demands = standing(
            issuer_name=issuer_name, audiences=audiences, required_claims=required_claims
        )

    async def __call__(self, connection: HTTPConnection, security_scopes: SecurityScopes) -> Token:
        """The token of the Authorization header, of a request or of a WebSocket's handshake."""
        try:
            token = bearer_token(connection.headers.getlist("authorization"))
            demands = self._demands.copy()
            demands["scopes"] = security_scopes.scopes
            return await self._client.validate(token, **demands)
        except SidecarError as error:
            denial = http_denial(error, self._realm)
        raise Denied(denial)


def answer_denials(app: FastAPI) -> None:
    """Gives denials the body that every client gives, in place of FastAPI's `{"detail": …}`."""
    app.add_exception_handler(Denied, _answer)


async def _answer(_: Request, error: Exception) -> Response:
    if not isinstance(error, Denied):
        raise error
    denial = error.denial
    return JSONResponse(dict(denial.content), denial.status, dict(denial.headers))
