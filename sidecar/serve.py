"""A running sidecar: one configuration after the other, on its listeners and in its store."""

import asyncio
import gc
import logging
import os
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Collection, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from sidecar import __version__, logs
from sidecar.answering import Answerer, Answers
from sidecar.api.binding import ListenFailed
from sidecar.api.callers import guarded
from sidecar.api.health import Health
from sidecar.api.http_listener import Answering, HttpListener
from sidecar.api.listener import Listener, bind
from sidecar.api.listeners import Listeners
from sidecar.api.services import described, handlers
from sidecar.config.fixed import fixed, unchangeable
from sidecar.config.listeners import Listener as ListenerSettings
from sidecar.config.load import Configuration, load
from sidecar.config.problems import InvalidConfiguration
from sidecar.config.settings import Cache, Settings
from sidecar.config.watching import stamps, until_changed
from sidecar.engine import Engine
from sidecar.generation import Generation
from sidecar.operations import Operations
from sidecar.readiness import Ending, Lack, MissingStore, missing
from sidecar.state.clock_record import HOLD, kept
from sidecar.state.counted import CountedStore
from sidecar.state.following import remembering
from sidecar.state.one_time import PROOFS, TOKENS, OneTimeUses
from sidecar.state.opening import opened
from sidecar.state.store import StoreFailed
from sidecar.steady import UNKNOWN, SteadyClock
from sidecar.token.checks.one_time import OneTimeUse
from sidecar.token.checks.proof import ProofUse
from sidecar.token.outside import Question
from sidecar.token.reason import CallFailed, ErrorReason
from sidecar.token.revoked import Revoked
from sidecar.token.seen import RefusedTokens, SeenTokens, VerifiedTokens
from sidecar.token.subject import SubjectQuestion
from sidecar.workers.worker import Worker

READ_ATTEMPTS: Final = 3
"""Times that a configuration is read which changes while it is read."""
_LONGEST_ERROR: Final = 1500
"""Bytes of what is wrong with a configuration. Clients take 8 KiB of metadata, in which a status
is twice; beyond ASCII each byte becomes three in the one place and one and a third in the other."""

log = logging.getLogger(__name__)


class Sidecar:
    """What serves, and how it goes from one configuration to the next."""

    def __init__(self, configuration: Configuration, worker: Worker | None = None) -> None:
        """One of several processes, where `worker` says which."""
        self._worker = worker
        self._steady = SteadyClock(time.time, time.monotonic, HOLD, UNKNOWN)
        self._generation = self._next(configuration)
        self._watched = configuration.files
        self.engine = Engine(self._generation.snapshot, time.time, lambda: str(uuid.uuid4()))
        self.engine.seen_tokens = _memory(configuration.settings.cache)
        if configuration.settings.workers > 1:
            self.engine.used_proofs.shared = True
        self.engine.revoked = self._revoked = Revoked(secrets.token_hex())
        self.health = Health()
        self.listeners = Listeners(self._bind)
        self.operations = Operations(
            self.engine, lambda: self._generation, self.listeners, self.reload
        )
        self._http = HttpListener(
            Answering(
                self.engine,
                self.missing,
                lambda: self._generation.policies,
                self.operations.metrics,
            ),
            worker is not None,
        )
        self._changed = asyncio.Event()
        self._ready = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def configuration(self) -> Configuration:
        """The one that is in use."""
        return self._generation.configuration

    @asynccontextmanager
    async def serving(self, hurry: asyncio.Event | None = None) -> AsyncIterator[None]:
        """Listens and keeps the keys fresh inside the block; then lets running calls finish.

        `hurry` ends these at once. Raises ListenFailed where an address can't be had, StoreFailed
        where the store can't.
        """
        settings = self._placed(self.configuration.settings)
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(
                opened(lambda: self.configuration.settings.store, self._steady)
            )
            await stack.enter_async_context(kept(store, self._steady))
            self._store = CountedStore(store, self.engine.metrics.store_errors)
            self.engine.revocations = await stack.enter_async_context(
                remembering(
                    self._store,
                    lambda: self.configuration.settings.store,
                    self._revoked,
                    time.time,
                    self._steady,
                )
            )
            if self._worker:
                from sidecar.workers.siblings import telling

                self.operations.siblings = await stack.enter_async_context(
                    telling(self._worker, settings.workers, self.operations.counts)
                )
            stack.push_async_callback(self._close_generation)
            stack.push_async_callback(self._http.close)
            stack.callback(self.listeners.close)
            stack.push_async_callback(self._stop_listeners, hurry or asyncio.Event())
            async with self._reloading:
                await self._generation.prepare(self._store)
                self._adopt(self._generation)
                await self._set_health()
                await self.listeners.prepare(settings.listeners)
                await self._http.prepare(settings.http)
                await self._http.change(settings.http)
                await self.listeners.change(settings.listeners, 0.0)
            self._tasks |= {
                asyncio.create_task(one())
                for one in (self._keep_health, self._watch, self._await_store)
            }
            stack.push_async_callback(_cancel, self._tasks)
            yield

    def addresses(self) -> tuple[str, ...]:
        """Where the gRPC listeners listen, in the order of the configuration."""
        return tuple(str(listener.address) for listener in self.listeners.all)

    def describe(self) -> str:
        """Version and listeners, for the line that says the sidecar is ready."""
        listening = [listener.describe() for listener in self.listeners.all]
        listening += [described for described in (self._http.describe(),) if described]
        return f"jwt-sidecar {__version__} is ready on {' and '.join(listening)}"

    def missing(self) -> tuple[Lack, ...]:
        """What keeps the sidecar from being ready."""
        if self.health.is_stopping:
            return (Ending(),)
        settings = self.configuration.settings
        optional = frozenset(one.name for one in settings.issuers if not one.keys.required)
        keys = missing(self.engine, optional)
        if settings.store is None or not self._store.problem:
            return keys
        return (MissingStore(str(settings.store.url), self._store.problem), *keys)

    async def wait_until_ready(self) -> None:
        """Returns when nothing is missing any more."""
        await self._ready.wait()

    async def reload(self) -> bool:
        """Reads the configuration again and goes on with it; whether it was another one.

        Raises CallFailed with CONFIG_INVALID where that can't be: then all is as it was. Goes on
        to its end also where the caller does not wait for it.
        """
        task = asyncio.create_task(self._reload(), name="reload")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def try_reload(self) -> None:
        """Reloads where nobody waits for the outcome: of what goes wrong, the log tells."""
        try:
            await self.reload()
        except CallFailed:
            return  # the log has it
        except Exception:
            log.exception("the configuration could not be reloaded")

    async def _reload(self) -> bool:
        async with self._reloading:
            try:
                configuration = await self._read_again()
                changed = configuration.digest != self.configuration.digest
                if changed:
                    await self._change(configuration)
            except (InvalidConfiguration, ListenFailed, StoreFailed, _CantChange) as error:
                problem = str(error).replace("\n", "; ")
                log.error("the configuration is not reloaded, the old one stays: %s", problem)
                self.operations.config_error = _cut(problem)
                if self._worker and isinstance(error, ListenFailed | StoreFailed):
                    self._watched = self.configuration.files  # it may have worked in the others
                self.engine.metrics.reloads["failed"] += 1
                raise CallFailed(
                    ErrorReason.CONFIG_INVALID, self.operations.config_error
                ) from error
            self.operations.config_error = ""
            self.engine.metrics.reloads["changed" if changed else "unchanged"] += 1
            log.info("configuration reloaded%s", "" if changed else ": nothing has changed")
            return changed

    async def _read_again(self) -> Configuration:
        for _ in range(READ_ATTEMPTS):
            try:
                configuration = await asyncio.to_thread(load, self.configuration.path, os.environ)
            except InvalidConfiguration as invalid:
                old = await asyncio.to_thread(stamps, self.configuration.files)
                self._watched = {**old, **invalid.files}
                raise
            self._watched = configuration.files
            if await asyncio.to_thread(stamps, configuration.files) == configuration.files:
                return configuration
        raise _CantChange("its files change while they are read; it is read again when they rest")

    async def _change(self, configuration: Configuration) -> None:
        """Goes on with the next generation; raises before anything that serves is touched."""
        old, settings = self._generation, self._placed(configuration.settings)
        if problem := unchangeable(fixed(old.settings), fixed(configuration.settings)):
            raise _CantChange(problem)
        new = self._next(configuration)
        try:
            await new.prepare(self._store, old)
            await self.listeners.prepare(settings.listeners)
            await self._http.prepare(settings.http)
        except BaseException:
            await self.listeners.abandon()
            await self._http.abandon()
            await new.close()
            raise
        # What a listener that goes lets through is for the old configuration alone to decide.
        await self.listeners.retire(settings.listeners, settings.shutdown.grace)
        new.take_over(old)
        if settings.cache != old.settings.cache:
            self.engine.seen_tokens = _memory(settings.cache)
        self._adopt(new)
        if settings.log != old.settings.log:
            number = self._worker.number if self._worker else None
            logs.set_up(settings.log.level, settings.log.format, number)
        await old.close()
        if gc.get_freeze_count():
            # As at the start of the process: what a configuration is made of lives on, and may be a
            # million objects, which the collector would go through in the middle of calls.
            gc.freeze()
        await self.listeners.change(settings.listeners, settings.shutdown.grace)
        await self._http.change(settings.http)
        await self._set_health()

    def _next(self, configuration: Configuration) -> Generation:
        return Generation(configuration, self._keys_changed, time.time, self._steady)

    def _adopt(self, generation: Generation) -> None:
        """From here on calls are decided by it: one assignment, no wait in between."""
        self._generation = generation
        self.engine.key_sources = generation.sources
        self.engine.refresh_tokens = generation.refresh_tokens
        self.engine.answers = self._answers(generation)
        self.engine.snapshot = generation.snapshot
        decisions = generation.settings.log.decisions
        self.engine.decisions.refused = decisions != "none"
        self.engine.decisions.passed = decisions == "all"
        self.engine.turns.most = generation.settings.limits.concurrent_calls

    def _answers(self, generation: Generation) -> Answers:
        answerers: dict[type[Question[Any]], Answerer] = {
            OneTimeUse: OneTimeUses(self._store, TOKENS, self._steady),
            ProofUse: OneTimeUses(self._store, PROOFS, self._steady),
        }
        if generation.subjects:
            answerers[SubjectQuestion] = generation.subjects
        if generation.consumers:
            answerers |= generation.consumers.answerers
        return Answers(answerers)

    def _keys_changed(self) -> None:
        self.engine.snapshot = self._generation.snapshot
        self._changed.set()

    def _bind(self, settings: ListenerSettings) -> Listener:
        is_local = settings.address.is_local
        served = handlers(
            settings.services,
            self.engine,
            lambda: self._generation.policies.at(is_local),
            self.operations,
        )
        served = guarded(served, settings, self.engine)
        return bind(
            settings,
            served,
            described(settings.services),
            self.health.servicer,
            shared=self._worker is not None,
        )

    def _placed(self, settings: Settings) -> Settings:
        """With the addresses that this process listens on."""
        return self._worker.placed(settings) if self._worker else settings

    async def _set_health(self) -> None:
        ready = not self.missing()
        await self.health.set(ready)
        if ready:
            self._ready.set()

    async def _keep_health(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._set_health()

    async def _await_store(self) -> None:
        await self._store.wait_until_open()
        self._changed.set()

    async def _watch(self) -> None:
        """Reloads whenever a file has changed since it was read."""
        while True:
            await until_changed(lambda: self._watched)
            await self.try_reload()

    async def _close_generation(self) -> None:
        if self._generation.subjects:
            self._generation.subjects.abandon()  # the listeners are closed: nobody waits
        await self._generation.close()

    async def _stop_listeners(self, hurry: asyncio.Event) -> None:
        grace = self.configuration.settings.shutdown.grace
        await first(self.listeners.stop(grace), hurry.wait())


def _memory(cache: Cache) -> SeenTokens:
    tokens, refused = cache.tokens, cache.refused
    return SeenTokens(
        VerifiedTokens(tokens.entries, tokens.ttl), RefusedTokens(refused.entries, refused.ttl)
    )


class _CantChange(Exception):
    """A change that a running sidecar can't make, and what to do."""


def _cut(text: str) -> str:
    return text.encode("utf-8", "replace")[:_LONGEST_ERROR].decode("utf-8", "ignore")


async def first(*things: Coroutine[Any, Any, Any]) -> None:
    """Waits for the first of these and cancels the others."""
    tasks = [asyncio.ensure_future(one) for one in things]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    await _cancel(tasks)


async def _cancel(tasks: Collection[asyncio.Future[Any]]) -> None:
    tasks = tuple(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
