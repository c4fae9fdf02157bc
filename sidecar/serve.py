"""A running sidecar: its listeners, its life from start to SIGTERM, and what it leaves behind."""

import asyncio
import gc
import logging
import random
import signal
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Final

from grpc_health.v1 import health, health_pb2

from sidecar import __version__
from sidecar.api.callers import guarded
from sidecar.api.listener import Listener, bind
from sidecar.api.services import AUTHORIZATION, TOKEN_SERVICE, described, handlers
from sidecar.authorization.policy import policy_of
from sidecar.config.addresses import Address
from sidecar.config.listeners import Listener as ListenerSettings
from sidecar.config.load import Configuration
from sidecar.config.signers import Signer
from sidecar.config.snapshot import build, build_signer
from sidecar.engine import Engine
from sidecar.readiness import Missing, missing
from sidecar.state.opening import opened
from sidecar.token.keyset import KeySet
from sidecar.token.snapshot import GeneratedKeys
from sidecar.token.words import duration

HEALTH_SERVICES: Final = ("", TOKEN_SERVICE, AUTHORIZATION)
_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING

_NO_RELOAD: Final = "SIGHUP: this version does not read its configuration again; restart it"

log = logging.getLogger(__name__)


class Sidecar:
    """One configuration at work."""

    def __init__(self, configuration: Configuration) -> None:
        self._settings = configuration.settings
        snapshot = build(self._settings, generated={})
        self.engine = Engine(snapshot, time.time, lambda: str(uuid.uuid4()))
        self._policy = policy_of(self._settings.authorization)
        self._health = health.aio.HealthServicer()
        self._listeners: tuple[Listener, ...] = ()
        self._http: Address | None = None
        self._keys_changed = asyncio.Event()
        self._ready = asyncio.Event()
        self._hurry = asyncio.Event()

    async def run(self, announce: Callable[[str], None]) -> None:
        """Serves until SIGTERM or SIGINT; announces once, in one line, that it is ready.

        Health says NOT_SERVING from the signal on; after `shutdown.drain`, which Ctrl-C skips,
        running calls have `shutdown.grace` to finish. A second signal ends both. Raises
        ListenFailed where an address can't be had, StoreFailed where the store can't.
        """
        stop = asyncio.Event()
        drain = self._settings.shutdown.drain

        def stopped(by: signal.Signals) -> None:
            nonlocal drain
            if stop.is_set():
                self._hurry.set()
            if by is signal.SIGINT:
                drain = 0.0
            stop.set()

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, log.warning, _NO_RELOAD)
        for one in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(one, stopped, one)
        async with self.serving():
            gc.freeze()
            gc.enable()
            announcing = asyncio.create_task(self._announce(announce))
            await stop.wait()
            announcing.cancel()
            grace = duration(self._settings.shutdown.grace)
            log.info("stopping: running calls have %s; a second signal ends them", grace)
            await self._health.enter_graceful_shutdown()
            await _first(asyncio.sleep(drain), self._hurry.wait())

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Listens and keeps the keys fresh inside the block; then lets running calls finish."""
        async with AsyncExitStack() as stack:
            await self._start_generating(stack)
            await self._set_health()
            stack.callback(self._remove_sockets)
            for settings in self._settings.listeners:
                self._listeners += (self._bind(settings),)
            await self._start_http(stack)
            await self._start_fetching(stack)
            stack.push_async_callback(self._stop_listeners)
            for listener in self._listeners:
                await listener.server.start()
            yield

    def addresses(self) -> tuple[str, ...]:
        """Where the gRPC listeners listen, in the order of the configuration."""
        return tuple(str(listener.address) for listener in self._listeners)

    def missing(self) -> tuple[Missing, ...]:
        """What keeps the sidecar from being ready."""
        optional = frozenset(one.name for one in self._settings.issuers if not one.keys.required)
        return missing(self.engine, optional)

    async def wait_until_ready(self) -> None:
        """Returns when nothing is missing any more."""
        await self._ready.wait()

    def _bind(self, settings: ListenerSettings) -> Listener:
        served = handlers(settings.services, self.engine, self._policy)
        served = guarded(served, settings, self.engine)
        return bind(settings, served, described(settings.services), self._health)

    async def _announce(self, announce: Callable[[str], None]) -> None:
        await self.wait_until_ready()
        addresses = [listener.describe() for listener in self._listeners]
        if self._settings.http:
            serve = ", ".join(self._settings.http.serve)
            addresses.append(f"http {self._http} ({serve})")
        announce(f"jwt-sidecar {__version__} is ready on {' and '.join(addresses)}")

    async def _set_health(self) -> None:
        lacks = self.missing()
        for service in HEALTH_SERVICES:
            await self._health.set(service, _NOT_SERVING if lacks else _SERVING)
        if not lacks:
            self._ready.set()

    async def _keep_health(self) -> None:
        while True:
            await self._keys_changed.wait()
            self._keys_changed.clear()
            await self._set_health()

    def _publish(self, issuer_name: str, keys: KeySet | None, problem: str) -> None:
        self.engine.set_keys(issuer_name, keys, problem)
        self._keys_changed.set()

    def _publish_signer(self, signer: Signer, generated: GeneratedKeys) -> None:
        self.engine.set_signer(*build_signer(signer, generated))

    async def _start_generating(self, stack: AsyncExitStack) -> None:
        store = await stack.enter_async_context(opened(self._settings.store))
        signers = self._settings.signers
        if not any(key.generate for signer in signers for key in signer.keys):
            return
        from sidecar.keys.rotation import generated_keys

        await stack.enter_async_context(
            generated_keys(signers, store, self._publish_signer, time.time)
        )

    async def _start_fetching(self, stack: AsyncExitStack) -> None:
        remote = [one for one in self._settings.issuers if one.keys.are_remote]
        if not remote:
            return
        from sidecar.keys.download import downloader
        from sidecar.keys.places import Places
        from sidecar.keys.remote import RemoteKeys
        from sidecar.keys.schedule import schedule_of
        from sidecar.keys.source import fetcher, source_of

        limits = self._settings.limits
        download = await stack.enter_async_context(downloader(limits.keys_bytes))
        places = Places(limits.concurrent_fetches)
        sources = {
            one.name: RemoteKeys(
                one.name,
                schedule_of(one.keys),
                fetcher(one.name, source_of(one), download, places),
                self._publish,
                random.random,
            )
            for one in remote
        }
        self.engine.key_sources = sources
        keeping_health = asyncio.create_task(self._keep_health())
        stack.push_async_callback(partial(_cancel, [keeping_health]))
        for source in sources.values():
            stack.push_async_callback(source.stop)
            source.start()

    async def _start_http(self, stack: AsyncExitStack) -> None:
        if self._settings.http is None:
            return
        from sidecar.api.http import application, serving

        app = application(self.engine, self._settings.http.serve, self.missing)
        self._http = await stack.enter_async_context(serving(self._settings.http.address, app))

    async def _stop_listeners(self) -> None:
        grace = self._settings.shutdown.grace
        stops = (listener.server.stop(grace) for listener in self._listeners)
        await _first(asyncio.gather(*stops), self._hurry.wait())

    def _remove_sockets(self) -> None:
        for listener in self._listeners:
            listener.close()


async def _first(*things: Coroutine[Any, Any, Any] | asyncio.Future[Any]) -> None:
    """Waits for the first of these and cancels the others."""
    tasks = [asyncio.ensure_future(one) for one in things]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    await _cancel(tasks)


async def _cancel(tasks: Sequence[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
