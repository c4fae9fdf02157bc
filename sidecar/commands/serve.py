"""`jwt-sidecar serve`."""

import argparse
import asyncio
import logging
import time

from sidecar.api.listener import ListenFailed
from sidecar.cli import DONE, CommandFailed
from sidecar.commands.config import loaded
from sidecar.exhaustion import Exhaustion
from sidecar.life import run as live
from sidecar.serve import Sidecar
from sidecar.state.store import StoreFailed


def serve(options: argparse.Namespace) -> int:
    """Runs until SIGTERM; prints one line when it is ready."""
    configuration = loaded(options.config)
    handler = logging.StreamHandler()
    handler.addFilter(Exhaustion(time.monotonic))
    logging.basicConfig(
        handlers=[handler],
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        level=configuration.settings.log.level.upper(),
    )

    async def run() -> None:
        await live(Sidecar(configuration), lambda line: print(line, flush=True))

    try:
        asyncio.run(run())
    except (ListenFailed, StoreFailed) as failure:
        raise CommandFailed(str(failure)) from failure
    return DONE
