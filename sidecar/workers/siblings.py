"""What the other workers have counted: each tells it to whoever asks at its own socket.

Only processes of one sidecar reach these: the directory that they are in is private.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Final

from sidecar.api.binding import binding, remove_socket
from sidecar.api.openmetrics import Family
from sidecar.workers.worker import Worker

_PATIENCE: Final = 1.0
"""Seconds that the others have to answer."""

log = logging.getLogger(__name__)


@asynccontextmanager
async def telling(
    worker: Worker, workers: int, counts: Callable[[], Iterable[Family]]
) -> AsyncIterator["Siblings"]:
    """Tells the other workers what this one has counted inside the block; gives these.

    Raises ListenFailed.
    """

    async def tell(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(json.dumps([asdict(one) for one in counts()]).encode())
        writer.close()

    address = worker.counts(worker.number)
    with binding(address):
        server = await asyncio.start_unix_server(tell, address.path)
    try:
        yield Siblings(worker, workers)
    finally:
        server.close()
        remove_socket(address)


class Siblings:
    """The other workers."""

    def __init__(self, worker: Worker, workers: int) -> None:
        self._worker = worker
        self._others = [one for one in range(1, workers + 1) if one != worker.number]

    async def counts(self) -> list[list[Family]]:
        """What each has counted; one that does not answer in time is left out."""
        found = await asyncio.gather(*(self._counts_of(one) for one in self._others))
        return [one for one in found if one is not None]

    async def _counts_of(self, number: int) -> list[Family] | None:
        try:
            async with asyncio.timeout(_PATIENCE):
                return await _ask(self._worker.counts(number).path)
        except (OSError, TimeoutError, LookupError, TypeError, ValueError) as error:
            problem = str(error) or "it does not answer"
            log.warning("the metrics are without those of worker %d: %s", number, problem)
            return None


async def _ask(path: str) -> list[Family]:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        return [
            Family(**{**one, "samples": tuple(tuple(sample) for sample in one["samples"])})
            for one in json.loads(await reader.read())
        ]
    finally:
        writer.close()
