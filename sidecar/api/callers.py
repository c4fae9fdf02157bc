"""Who may call: a listener's `client_names` and `caller_token`, looked at before each method."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import grpc

from sidecar.api.errors import abort
from sidecar.api.listener import Handlers, Method, method
from sidecar.authorization.generic import GENERIC
from sidecar.config.listeners import CallerToken
from sidecar.config.listeners import Listener as ListenerSettings
from sidecar.engine import Engine
from sidecar.token.reason import CallFailed, ErrorReason
from sidecar.token.request import Refusal, Request
from sidecar.token.words import listed

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Check = Callable[[Context], Awaitable[None]]
"""Lets the call go on, or raises CallFailed."""
_SANS: Final = "x509_subject_alternative_name"
_SCHEME: Final = "bearer "

log = logging.getLogger(__name__)


class CallerDenied(CallFailed):
    """A caller was refused; the log may know more than the caller, who may be a stranger."""

    def __init__(self, message: str, logged: str = "") -> None:
        super().__init__(ErrorReason.CALLER_DENIED, message)
        self.logged = logged or message


def guarded(
    services: Mapping[str, Handlers], settings: ListenerSettings, engine: Engine
) -> Mapping[str, Handlers]:
    """The same methods, for the callers that the listener takes.

    They are the very same where it takes everyone whom its address and its TLS let through.
    """
    checks = tuple(_checks(settings, engine))
    if not checks:
        return services
    denied = _log_once_as_warning(str(settings.address))
    return {
        name: {one: _guarded(handler, checks, denied) for one, handler in handlers.items()}
        for name, handlers in services.items()
    }


def _checks(settings: ListenerSettings, engine: Engine) -> Iterator[Check]:
    if settings.tls and settings.tls.client_names:
        yield by_name(settings.tls.client_names)
    if settings.caller_token:
        yield by_token(settings.caller_token, engine, settings.address.is_local)


def _guarded(handler: Method, checks: Sequence[Check], denied: Callable[[str], None]) -> Method:
    serve: Callable[[bytes, Any], Awaitable[bytes]] | None = handler.unary_unary
    if serve is None:
        raise TypeError("only unary methods can be guarded")

    async def handle(message: bytes, context: Context) -> bytes:
        try:
            for check in checks:
                await check(context)
        except CallerDenied as failure:
            denied(failure.logged)
            await abort(context, failure)
        except CallFailed as failure:
            denied(failure.message)
            await abort(context, failure)
        return await serve(message, context)

    return method(handle)


def _log_once_as_warning(address: str) -> Callable[[str], None]:
    """Whoever is refused calls again and again: the first time is worth a warning."""
    level = logging.WARNING

    def denied(message: str) -> None:
        nonlocal level
        log.log(level, "%s: a caller was refused: %s", address, message)
        level = logging.DEBUG

    return denied


def by_name(names: Iterable[str]) -> Check:
    """Callers whose certificate has one of these as SAN, character for character."""
    wanted = frozenset(name.encode("utf-8") for name in names)

    async def check(context: Context) -> None:
        sans = context.auth_context().get(_SANS, ())
        if wanted.isdisjoint(sans):
            came = listed(san.decode("utf-8", "replace") for san in sans)
            raise CallerDenied(
                f"the caller's certificate has the SANs {came}; none of them is in the listener's "
                "tls.client_names"
            )

    return check


def by_token(settings: CallerToken, engine: Engine, is_local: bool) -> Check:
    """Callers who send `authorization: Bearer TOKEN` with a token of this issuer and scopes.

    Unless the listener is local, a refusal does not say what is configured.
    """

    async def check(context: Context) -> None:
        request = Request(_token(context), issuer_name=settings.issuer, scopes=settings.scopes)
        verdict = await engine.decide(request, context.time_remaining())
        if isinstance(verdict, Refusal):
            said = f"caller token: {verdict.reason.name}: "
            message = verdict.message if is_local else GENERIC[verdict.reason]
            raise CallerDenied(said + message, said + verdict.message)

    return check


def _token(context: Context) -> str:
    """The one bearer token in the call's metadata (RFC 6750, section 2.1)."""
    found = [value for key, value in context.invocation_metadata() or () if key == "authorization"]
    if len(found) > 1:
        raise CallerDenied(
            f"caller token: the metadata has authorization {len(found)} times; send one"
        )
    value = found[0] if found else ""
    if not isinstance(value, str) or not value.lower().startswith(_SCHEME):
        raise CallerDenied(
            "caller token: TOKEN_MISSING: this listener needs the metadata "
            '"authorization: Bearer TOKEN" with each call'
        )
    return value[len(_SCHEME) :].strip(" ")
