"""The process that starts the workers, keeps them running, and serves nothing by itself."""

import asyncio
import gc
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import Final

from sidecar import __version__
from sidecar.api.binding import MODE, ListenFailed, reserved
from sidecar.config.addresses import MOST_PATH_BYTES, Address
from sidecar.config.fixed import fixed
from sidecar.config.load import Configuration
from sidecar.config.settings import Settings
from sidecar.token.words import duration
from sidecar.workers.relay import relaying
from sidecar.workers.worker import LONGEST_NAME, READY, Worker

FIRST_PAUSE: Final = 0.1
"""Seconds until a worker that ended is started again; doubled each time that it ends again."""
LONGEST_PAUSE: Final = 30.0
SETTLED: Final = 60.0
"""Seconds after which a worker that runs counts as one that works."""
_STOPS: Final = (signal.SIGTERM, signal.SIGINT)

log = logging.getLogger(__name__)


class WorkerFailed(Exception):
    """A worker ended before all were ready: why, and its exit status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


async def supervise(configuration: Configuration, announce: Callable[[str], None]) -> None:
    """Serves by as many workers as `workers` says, until SIGTERM or SIGINT.

    Announces once, in one line, that all are ready. They get the signals that it gets. Raises
    ListenFailed where an address can't be had, WorkerFailed where a worker can't start.
    """
    settings = configuration.settings
    command = (sys.executable, "-P", "-m", "sidecar", "serve", "--config", configuration.path)
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(_private_directory())
        numbers = range(1, settings.workers + 1)
        workers = [Worker(number, directory, fixed(settings)) for number in numbers]
        for address, mode in _addresses(settings):
            if address.is_unix:
                targets = [one.place(address) for one in workers]
                await stack.enter_async_context(relaying(address, mode, targets))
            else:
                stack.enter_context(reserved(address))
        crew = Crew(command, workers)
        loop = asyncio.get_running_loop()
        for one in (signal.SIGHUP, *_STOPS):
            loop.add_signal_handler(one, crew.order, one)
        gc.freeze()
        gc.enable()
        await crew.run(lambda: announce(_described(settings)))


def _addresses(settings: Settings) -> Iterator[tuple[Address, str]]:
    """What is listened on, and the permissions of that."""
    yield from ((one.address, one.mode) for one in settings.listeners)
    if settings.http:
        yield settings.http.address, MODE


def _described(settings: Settings) -> str:
    listening = [
        f"{one.address} ({', '.join(one.services) or 'health'})" for one in settings.listeners
    ]
    if settings.http:
        listening.append(f"http {settings.http.address} ({', '.join(settings.http.serve)})")
    where = " and ".join(listening)
    return f"jwt-sidecar {__version__} is ready on {where} with {settings.workers} workers"


@contextmanager
def _private_directory() -> Iterator[str]:
    """A new directory that nobody else may enter; raises ListenFailed."""
    try:
        directory = tempfile.mkdtemp(prefix="jwt-sidecar-")
    except OSError as error:
        raise ListenFailed(
            "workers need a directory for their sockets, and none can be made in "
            f"{tempfile.gettempdir()}: {error.strerror}; set TMPDIR to one that is writable"
        ) from error
    try:
        if len(os.fsencode(directory)) + LONGEST_NAME > MOST_PATH_BYTES:
            raise ListenFailed(
                f"workers need a directory for their sockets, and the path of {directory} is too "
                "long for them; set TMPDIR to a shorter one"
            )
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


class Crew:
    """All workers, from the first one's start to the last one's end."""

    def __init__(self, command: Sequence[str], workers: Sequence[Worker]) -> None:
        self._running = [_Running(self, command, one) for one in workers]
        self.failure: WorkerFailed | None = None
        self.is_ready = False
        """Whether all were ready once."""
        self.stopping = asyncio.Event()
        self.stops = b""
        """The orders to stop that were given so far."""

    def order(self, one: signal.Signals) -> None:
        """Hands a signal on to all."""
        if one in _STOPS:
            self.stopping.set()
            self.stops += bytes([one])
        for running in self._running:
            running.order(bytes([one]))

    def fail(self, failure: WorkerFailed) -> None:
        """Ends all because one can't start."""
        self.failure = self.failure or failure
        self.order(signal.SIGINT)

    async def run(self, announce: Callable[[], None]) -> None:
        """Returns when all have ended; raises WorkerFailed where one can't start."""
        announcing = asyncio.create_task(self._announce(announce))
        try:
            await asyncio.gather(*(one.keep() for one in self._running))
        finally:
            announcing.cancel()
        if self.failure:
            raise self.failure

    async def _announce(self, announce: Callable[[], None]) -> None:
        for one in self._running:
            await one.ready.wait()
        self.is_ready = True
        announce()


class _Running:
    """One worker, whatever process it is at the time."""

    def __init__(self, crew: Crew, command: Sequence[str], worker: Worker) -> None:
        self._crew = crew
        self._command = command
        self._worker = worker
        self._orders: asyncio.StreamWriter | None = None
        self.ready = asyncio.Event()
        """Set once it was ready."""

    def order(self, signals: bytes) -> None:
        """Tells the process, where there is one."""
        if self._orders:
            self._orders.write(signals)

    async def keep(self) -> None:
        """Runs it, and runs it again where it ends before it is to."""
        loop, pause = asyncio.get_running_loop(), FIRST_PAUSE
        while not self._crew.stopping.is_set():
            began = loop.time()
            status, said = await self._run()
            if self._crew.stopping.is_set():
                return
            how = f"worker {self._worker.number} {_ended(status)}{said and ': '}{said}"
            if not self._crew.is_ready:
                self._crew.fail(WorkerFailed(said or how, status if status > 0 else 128 - status))
                return
            if loop.time() - began >= SETTLED:
                pause = FIRST_PAUSE
            log.error("%s; it is started again in %s", how, duration(pause))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._crew.stopping.wait(), pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _run(self) -> tuple[int, str]:
        """One process from start to end: its exit status, and why it could not start."""
        try:
            child = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=_environment(self._worker),
            )
        except OSError as error:
            return 1, f"a worker can't be started: {error}"
        if not child.stdin or not child.stdout:
            raise RuntimeError("a process was started without its pipes")
        self._orders = child.stdin
        self.order(self._crew.stops)
        said = await child.stdout.read(1)
        if said == READY:
            self.ready.set()
            said = b""
        said += await child.stdout.read()
        status = await child.wait()
        self._orders = None
        return status, said.decode(errors="replace").strip()


def _environment(worker: Worker) -> Mapping[str, str]:
    return {**os.environ, **worker.environment()}


def _ended(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"
