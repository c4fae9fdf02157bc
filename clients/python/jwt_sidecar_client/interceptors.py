"""gRPC servers whose calls need a token: interceptors for threads and for asyncio."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import grpc

from jwt_sidecar_client.aio import AsyncClient
from jwt_sidecar_client.bearer import bearer_token
from jwt_sidecar_client.client import Client
from jwt_sidecar_client.denial import grpc_denial
from jwt_sidecar_client.request import standing, texts
from jwt_sidecar_client.token import Token

if TYPE_CHECKING:
    Handler = grpc.RpcMethodHandler[Any, Any]  # gRPC's class is generic in its types alone
    Behavior = Callable[..., Any]

_CURRENT: Final[ContextVar[Token]] = ContextVar("jwt_sidecar_client_token")
_KINDS: Final[Mapping[tuple[bool, bool], tuple[str, Callable[..., Handler]]]] = {
    (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler),
    (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler),
    (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler),
    (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler),
}
"""By whether requests and responses are streams."""


def current_token() -> Token:
    """The verified token of the call that runs; raises LookupError where none was asked for."""
    return _CURRENT.get()


class TokenInterceptor(grpc.ServerInterceptor):
    """Lets a call through with a token that may pass; its handler gets it by `current_token()`.

    Calls of `open_methods`, such as "/grpc.health.v1.Health/Check", need none. What else is
    demanded is as in `Client.validate`. Every other call ends in UNAUTHENTICATED,
    PERMISSION_DENIED, UNAVAILABLE or INTERNAL.
    """

    def __init__(
        self,
        client: Client,
        *,
        open_methods: Iterable[str] = (),
        issuer_name: str = "",
        audiences: Iterable[str] = (),
        scopes: Iterable[str] = (),
        required_claims: Mapping[str, Any] | None = None,
    ) -> None:
        self._client = client
        self._open_methods = frozenset(texts("open_methods", open_methods))
        self._demands = standing(
            issuer_name=issuer_name,
            audiences=audiences,
            scopes=scopes,
            required_claims=required_claims,
        )

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The handler behind a look at the token, on the handler's thread: here all calls wait."""
        handler = continuation(handler_call_details)
        if handler is None or handler_call_details.method in self._open_methods:
            return handler

        def guard(behavior: Behavior) -> Behavior:
            @functools.wraps(behavior)
            def guarded(request: Any, context: grpc.ServicerContext, *more: Any) -> Any:
                try:
                    token = self._client.validate(_shown(handler_call_details), **self._demands)
                except Exception as error:
                    context.abort(*grpc_denial(error))
                _CURRENT.set(token)  # gRPC runs every call in a context of its own
                return behavior(request, context, *more)

            return guarded

        return _changed(handler, guard)


class AsyncTokenInterceptor(grpc.aio.ServerInterceptor):
    """As TokenInterceptor, for servers of `grpc.aio` and their asynchronous handlers."""

    def __init__(
        self,
        client: AsyncClient,
        *,
        open_methods: Iterable[str] = (),
        issuer_name: str = "",
        audiences: Iterable[str] = (),
        scopes: Iterable[str] = (),
        required_claims: Mapping[str, Any] | None = None,
    ) -> None:
        self._client = client
        self._open_methods = frozenset(texts("open_methods", open_methods))
        self._demands = standing(
            issuer_name=issuer_name,
            audiences=audiences,
            scopes=scopes,
            required_claims=required_claims,
        )

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The handler, in whose task this runs, or one that ends the call."""
        if handler_call_details.method in self._open_methods:
            return await continuation(handler_call_details)
        try:
            token = await self._client.validate(_shown(handler_call_details), **self._demands)
        except Exception as error:
            denial = grpc_denial(error)
        else:
            _CURRENT.set(token)
            return await continuation(handler_call_details)

        async def denied(_: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
            await context.abort(*denial)

        handler = await continuation(handler_call_details)
        return handler and _changed(handler, lambda _: denied)


def _shown(details: grpc.HandlerCallDetails) -> str:
    values = [value for key, value in details.invocation_metadata or () if key == "authorization"]
    return bearer_token([str(one) for one in values])


def _changed(handler: Handler, change: Callable[[Behavior], Behavior]) -> Handler:
    name, make = _KINDS[bool(handler.request_streaming), bool(handler.response_streaming)]
    return make(
        change(getattr(handler, name)), handler.request_deserializer, handler.response_serializer
    )
