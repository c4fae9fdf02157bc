"""pygrpc-native's server, which closes its connections only once the last answers are written.

Its own `stop` closes them as soon as the last handler has returned: of the answers that another
thread is yet to write then, some are lost. It has no way to wait for that thread, so time must do.
"""

import time
from collections.abc import Callable
from typing import Any, Final

from pygrpc_native.aio import Server

_AFTER_CALLS: Final = 0.2
"""Seconds from the end of calls that ran when it was stopped; a busy machine takes up to 0.1."""
_AFTER_NONE: Final = 0.01
"""Seconds where none ran: one may have just ended."""


class NativeServer(Server):
    """A server that loses no answer when it stops."""

    _front: Any

    async def stop(self, grace: float | None) -> None:
        """Takes no more calls; those that run have so many seconds."""
        if not isinstance(self._front, _LateToClose | None):
            self._front = _LateToClose(self._front, _AFTER_CALLS if self._calls else _AFTER_NONE)
        await super().stop(grace)


class _LateToClose:
    """The part in Rust, whose `close` is called in a thread of its own and waits there."""

    def __init__(self, front: Any, seconds: float) -> None:
        self._front = front
        self._seconds = seconds

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(self._front, name)
        return method

    def close(self) -> None:
        """Closes after the pause."""
        time.sleep(self._seconds)
        self._front.close()


def server(**options: Any) -> NativeServer:
    """As `grpc.aio.server`."""
    return NativeServer(**options)
