"""The HTTP listener of a sidecar, and how it changes while it runs."""

from collections.abc import Awaitable, Callable, Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass

from sidecar.aiohttp_import import without_certificates
from sidecar.authorization.policy import Policies
from sidecar.config.addresses import Address
from sidecar.config.listeners import Http
from sidecar.engine import Engine
from sidecar.readiness import Lack


@dataclass(frozen=True, slots=True)
class Answering:
    """What answers come from."""

    engine: Engine
    missing: Callable[[], tuple[Lack, ...]]
    """What keeps the sidecar from being ready."""
    policies: Callable[[], Policies]
    """How requests are authorized at the time."""
    metrics: Callable[[], Awaitable[str]]
    """What a scraper gets."""


class HttpListener:
    """At most one listener, as the setting `http` asks for it. Its library loads with it.

    Several processes may have a port that is `shared`.
    """

    def __init__(self, answering: Answering, shared: bool) -> None:
        self._answering = answering
        self._shared = shared
        self._settings: Http | None = None
        self._serving = _Serving()
        self._next = _Serving()

    def describe(self) -> str:
        """Address and what it serves, empty where it serves nothing."""
        if self._settings is None:
            return ""
        return f"http {self._serving.address} ({', '.join(self._settings.serve)})"

    async def prepare(self, wanted: Http | None) -> None:
        """Listens on an address that is new; raises ListenFailed, and has then changed nothing."""
        now = self._settings
        if wanted is not None and (now is None or now.address != wanted.address):
            await self._next.open(wanted, self._answering, self._shared)

    async def abandon(self) -> None:
        """Gives up what was prepared."""
        await self._next.close()

    async def change(self, wanted: Http | None) -> None:
        """Serves this, for which all was prepared, and nothing else.

        At the same address connections stay.
        """
        now, self._settings = self._settings, wanted
        if now is None or wanted is None or now.address != wanted.address:
            old, self._serving, self._next = self._serving, self._next, _Serving()
            await old.close()
        if wanted is not None:
            self._serving.serve = wanted.serve

    async def close(self) -> None:
        """Serves nothing."""
        await self.change(None)


class _Serving:
    """An application at its address, or nothing."""

    def __init__(self) -> None:
        self.address: Address | None = None
        self.serve: Collection[str] = ()
        self._stack = AsyncExitStack()

    async def open(self, wanted: Http, answering: Answering, shared: bool) -> None:
        with without_certificates():
            from sidecar.api.http import application, serving

        self.serve = wanted.serve
        app = application(answering, wanted.address, lambda: self.serve)
        self.address = await self._stack.enter_async_context(serving(wanted.address, app, shared))

    async def close(self) -> None:
        await self._stack.aclose()
        self.address = None
