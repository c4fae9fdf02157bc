"""The HTTP face: liveness, readiness, metrics, the signers' public keys, checks for proxies."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from sidecar.api.binding import binding, remove_socket
from sidecar.api.http_listener import Answering
from sidecar.api.openmetrics import CONTENT_TYPE
from sidecar.authorization.http_request import MOST_HEADER_BYTES
from sidecar.config.addresses import Address

if TYPE_CHECKING:
    from sidecar.api.check import Check
    from sidecar.api.introspect import Introspection

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

JWKS_PATH = "/.well-known/jwks.json"
_MOST_FIELD_BYTES: Final = 2 * MOST_HEADER_BYTES
"""Of a header; what is above the bound on all of them, /check itself can still say."""
_JWKS_HEADERS = {"cache-control": "public, max-age=300"}


class _NotTheClients(logging.Filter):
    """Leaves out requests that are no HTTP: their errors quote the bytes, a token among them."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is about us."""
        kind = record.exc_info[0] if record.exc_info else None
        return kind is None or not issubclass(kind, HttpProcessingError)


_LOG = logging.getLogger(__name__)
_LOG.addFilter(_NotTheClients())


class _Paths:
    """What is answered at each path; what answers `check` and `introspect` loads when it must."""

    def __init__(self, answering: Answering, address: Address) -> None:
        self._answering = answering
        self._is_local = address.is_local
        self._engine = answering.engine

    @cached_property
    def checks(self) -> "Check":
        from sidecar.api.check import Check

        return Check(self._engine, lambda: self._answering.policies().at(self._is_local))

    @cached_property
    def introspection(self) -> "Introspection":
        from sidecar.api.introspect import Introspection

        return Introspection(self._engine)

    async def livez(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(self, _: web.Request) -> web.Response:
        lacks = self._answering.missing()
        body = {"ready": not lacks, "missing": [asdict(one) for one in lacks]}
        return web.json_response(body, status=503 if lacks else 200)

    async def metrics(self, _: web.Request) -> web.Response:
        text = await self._answering.metrics()
        return web.Response(body=text.encode(), headers={"content-type": CONTENT_TYPE})

    async def jwks(self, _: web.Request) -> web.Response:
        return web.Response(
            text=self._engine.jwks(),
            content_type="application/jwk-set+json",
            headers=_JWKS_HEADERS,
        )

    async def discovery(self, request: web.Request) -> web.Response:
        """Where the keys are (OpenID Connect Discovery 1.0), for the signers' one `iss`.

        Not to be cached: the place is made of the Host that the client named, which may be a lie.
        """
        issuers = {signer.issuer for signer in self._engine.snapshot.signers.values()}
        if len(issuers) != 1:
            problem = f"{len(issuers)} different issuers are configured as signers; this needs one"
            return web.json_response({"error": problem}, status=404)
        document = {"issuer": issuers.pop(), "jwks_uri": str(request.url.with_path(JWKS_PATH))}
        return web.json_response(document, headers={"cache-control": "no-store"})

    async def check(self, request: web.Request) -> web.Response:
        return await self.checks.answer(request)

    async def introspect(self, request: web.Request) -> web.Response:
        return await self.introspection.answer(request)


def application(
    answering: Answering, address: Address, serve: Callable[[], Collection[str]]
) -> web.Application:
    """The paths of what `serve` gives at the time, as the setting `http.serve` names it."""
    paths = _Paths(answering, address)

    def only(service: str, answer: Handler) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            if service not in serve():
                raise web.HTTPNotFound
            return await answer(request)

        return handle

    app = web.Application()
    app.router.add_get("/livez", only("health", paths.livez))
    app.router.add_get("/readyz", only("health", paths.readyz))
    app.router.add_get("/metrics", only("metrics", paths.metrics))
    app.router.add_get(JWKS_PATH, only("jwks", paths.jwks))
    app.router.add_get("/.well-known/openid-configuration", only("jwks", paths.discovery))
    app.router.add_route("*", "/check", only("check", paths.check))
    app.router.add_post("/introspect", only("introspect", paths.introspect))
    # What is served is loaded before the first request.
    if "check" in serve():
        _ = paths.checks
    if "introspect" in serve():
        _ = paths.introspection
    return app


@asynccontextmanager
async def serving(address: Address, app: web.Application, shared: bool) -> AsyncIterator[Address]:
    """Serves the application at an address and gives the one that was bound.

    Several processes may have a port that is `shared`. Raises ListenFailed.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=1.0,
        logger=_LOG,
        max_field_size=_MOST_FIELD_BYTES,
    )
    await runner.setup()
    try:
        with binding(address, shared=shared):
            await _site(runner, address, shared).start()
        try:
            yield address if address.is_unix else replace(address, port=runner.addresses[0][1])
        finally:
            remove_socket(address)
    finally:
        await runner.cleanup()


def _site(runner: web.AppRunner, address: Address, shared: bool) -> web.BaseSite:
    if address.is_unix:
        return web.UnixSite(runner, address.path)
    return web.TCPSite(runner, address.host, address.port, reuse_port=shared or None)
