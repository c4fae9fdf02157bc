"""Noticing that files have changed.

By looking at them: that works on every file system and for the swapped links of Kubernetes'
mounts, and some stats a second cost nothing.
"""

import asyncio
import concurrent.futures.thread  # noqa: F401 - the first look needs it, maybe without a handle
from collections.abc import Callable, Iterable, Mapping

from sidecar.config.stamps import Stamp, stamp

INTERVAL = 1.0
"""Seconds between two looks."""


def stamps(paths: Iterable[str]) -> Mapping[str, Stamp | None]:
    """The state of these files now."""
    return {path: stamp(path) for path in paths}


async def until_changed(known: Callable[[], Mapping[str, Stamp | None]]) -> None:
    """Returns when a file is not as it is known, and none has changed for an interval since.

    What is written in place is half there in between. Meanwhile the files may be read, and are
    then known anew. Looks in a thread: thousands of files take a while, and a file system over a
    network any time.
    """
    last = known()
    while True:
        await asyncio.sleep(INTERVAL)
        before = known()
        now = await asyncio.to_thread(stamps, before)
        if now == last and now != before == known():
            return
        last = now
