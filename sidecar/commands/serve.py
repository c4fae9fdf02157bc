"""`jwt-sidecar serve`."""

import argparse
import asyncio
import gc
import os

from sidecar import logs
from sidecar.api.binding import ListenFailed
from sidecar.cli import DONE, CommandFailed
from sidecar.commands.config import loaded
from sidecar.config.fixed import fixed, unchangeable
from sidecar.config.load import Configuration
from sidecar.config.settings import Settings
from sidecar.workers.worker import READY, Worker


def serve(options: argparse.Namespace) -> int:
    """Runs until SIGTERM; prints one line when it is ready."""
    _shed()
    worker = Worker.of(os.environ)
    if worker:
        return _work(options.config, worker)
    configuration = loaded(options.config)
    _set_up_log(configuration)
    if configuration.settings.workers > 1:
        return _supervise(configuration)
    return _live(configuration, None)


def _shed() -> None:
    """Gives back what building the settings' validators has left behind: half a MiB.

    Before the file is read: what comes of that may be a million objects to look through.
    """
    Settings.model_rebuild()
    gc.collect()


def _work(path: str, worker: Worker) -> int:
    """Serves as one of several, and tells the supervisor where it can't."""
    try:
        configuration = loaded(path)
        _set_up_log(configuration, worker.number)
        if problem := unchangeable(worker.fixed, fixed(configuration.settings)):
            raise CommandFailed(problem)
        status = _live(configuration, worker)
    except CommandFailed as failure:
        worker.say(str(failure).encode())
        return failure.status
    worker.leave()
    return status


def _set_up_log(configuration: Configuration, worker: int | None = None) -> None:
    log = configuration.settings.log
    logs.set_up(log.level, log.format, worker)


def _live(configuration: Configuration, worker: Worker | None) -> int:
    """Serves in this process."""
    from sidecar.life import run
    from sidecar.serve import Sidecar
    from sidecar.state.store import StoreFailed

    async def live() -> None:
        sidecar = Sidecar(configuration, worker)
        if worker:
            await run(sidecar, lambda _: worker.say(READY), worker.obey)
        else:
            await run(sidecar, _print)

    try:
        asyncio.run(live())
    except (ListenFailed, StoreFailed) as failure:
        raise CommandFailed(str(failure)) from failure
    return DONE


def _supervise(configuration: Configuration) -> int:
    """Has it served by several processes."""
    from sidecar.workers.supervisor import WorkerFailed, supervise

    try:
        asyncio.run(supervise(configuration, _print))
    except ListenFailed as failure:
        raise CommandFailed(str(failure)) from failure
    except WorkerFailed as failure:
        raise CommandFailed(str(failure), failure.status) from failure
    return DONE


def _print(line: str) -> None:
    print(line, flush=True)
