"""What the log says when no file handles are left: a line in place of thousands of libraries'."""

import errno
import logging
import math
import os
import resource
from collections.abc import Callable
from typing import Final

QUIET: Final = 60.0
"""Seconds until it is said again: libraries say it at every try, some a hundred times a second."""
_CODES: Final = (errno.EMFILE, errno.ENFILE)


class Exhaustion(logging.Filter):
    """Lets one record a minute through of those that tell of connections that can't be accepted.

    That one says what it means and what to do. `clock` gives seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._quiet_until = -math.inf

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged."""
        if _is_too_late(record):
            return False
        code = _cause(record)
        if code is None:
            return True
        if self._clock() < self._quiet_until:
            return False
        self._quiet_until = self._clock() + QUIET
        record.name, record.levelno, record.levelname = __name__, logging.ERROR, "ERROR"
        record.msg, record.args, record.exc_info = _message(code), (), None
        return True


def _cause(record: logging.LogRecord) -> int | None:
    """The error number, where a connection could not be accepted for want of a file handle."""
    error = record.exc_info[1] if record.exc_info else None
    if record.name == "asyncio" and isinstance(error, OSError) and "accept" in record.getMessage():
        return error.errno if error.errno in _CODES else None
    if record.name.startswith("pygrpc_native"):
        text = record.getMessage()
        return next((code for code in _CODES if f"(os error {code})" in text), None)
    return None


def _is_too_late(record: logging.LogRecord) -> bool:
    """Whether asyncio could not take up accepting again, as the listener was closed meanwhile.

    It says so a hundred times at the end, once for every try.
    """
    error = record.exc_info[1] if record.exc_info else None
    late = record.name == "asyncio" and isinstance(error, ValueError)
    return late and "_start_serving" in record.getMessage()


def _message(code: int) -> str:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        f"out of file handles ({os.strerror(code)}; this process may have {limit}): new "
        "connections wait until others close, open ones are served. Let clients share connections, "
        "or raise the limit (ulimit -n, LimitNOFILE)"
    )
