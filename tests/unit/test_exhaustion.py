"""What is logged where file handles ran out."""

import errno
import logging
from collections.abc import Callable

import pytest

from sidecar.exhaustion import QUIET, Exhaustion

ACCEPT = "socket.accept() out of system resource"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def of_asyncio(code: int = errno.EMFILE, text: str = ACCEPT) -> logging.LogRecord:
    error = OSError(code, "why")
    info = (OSError, error, None)
    return logging.LogRecord("asyncio", logging.ERROR, "", 1, text, (), info)


def of_native(code: int = errno.EMFILE) -> logging.LogRecord:
    text = f"gRPC accept failed: why (os error {code})"
    return logging.LogRecord("pygrpc_native.server", logging.WARNING, "", 1, text, (), None)


@pytest.mark.parametrize("record", [of_asyncio, of_native])
@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE])
def test_the_first_says_what_to_do(record: Callable[[int], logging.LogRecord], code: int) -> None:
    one = record(code)
    assert Exhaustion(Clock()).filter(one)
    assert one.getMessage().startswith("out of file handles (")
    assert "LimitNOFILE" in one.getMessage()
    assert (one.levelno, one.levelname, one.exc_info) == (logging.ERROR, "ERROR", None)


def test_it_is_said_once_a_minute() -> None:
    clock = Clock()
    filtered = Exhaustion(clock)
    assert filtered.filter(of_native())
    for clock.now in (0.0, 0.001, QUIET - 0.001):
        assert not filtered.filter(of_native())
        assert not filtered.filter(of_asyncio())
    clock.now = QUIET
    assert filtered.filter(of_asyncio())
    assert not filtered.filter(of_native())


def test_a_listener_that_was_closed_meanwhile_is_no_news() -> None:
    info = (ValueError, ValueError("Invalid file descriptor: -1"), None)
    text = "Exception in callback BaseSelectorEventLoop._start_serving(...)"
    record = logging.LogRecord("asyncio", logging.ERROR, "", 1, text, (), info)
    assert not Exhaustion(Clock()).filter(record)


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(of_asyncio(errno.ENOMEM), id="memory"),
        pytest.param(of_asyncio(text="Task exception was never retrieved"), id="no accept"),
        pytest.param(of_native(errno.ECONNABORTED), id="another error"),
        pytest.param(
            logging.LogRecord("sidecar.serve", logging.ERROR, "", 1, "(os error 24)", (), None),
            id="ours",
        ),
    ],
)
def test_all_else_is_logged_as_it_is(record: logging.LogRecord) -> None:
    filtered, before = Exhaustion(Clock()), dict(vars(record))
    assert all(filtered.filter(record) for _ in range(3))
    assert vars(record) == before
