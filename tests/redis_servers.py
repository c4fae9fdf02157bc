"""Real Redis servers of a test, each in a directory of its own."""

import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from deploy.demo.stage import free_port
from sidecar.config.store import Store
from sidecar.config.surroundings import Surroundings
from sidecar.state.redis import RedisStore
from sidecar.steady import forget_nothing

_AT_ONCE: Final = ("--repl-diskless-sync-delay", "0")
MISSING: Final = "redis-server is not there; install it: apt-get install redis-server"


class RedisServer:
    """One server on a free port of this machine, which can be stopped, frozen and started anew.

    `configuration` is a file of its own, which makes it a Sentinel.
    """

    def __init__(
        self, directory: Path, *options: str, tls: bool = False, configuration: str = ""
    ) -> None:
        directory.mkdir(exist_ok=True)
        self.port = free_port()
        self._tls = tls
        ports = ("--port", "0", "--tls-port") if tls else ("--port",)
        here = (*ports, str(self.port), "--bind", "127.0.0.1", "--dir", str(directory))
        if configuration:
            (directory / "sentinel.conf").write_text(configuration)
            self._arguments = [str(directory / "sentinel.conf"), "--sentinel", *here]
        else:
            self._arguments = [*here, "--save", "", *_AT_ONCE, *options]
        self._ready = b"+monitor master" if configuration else b"eady to accept connections"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"{'rediss' if self._tls else 'redis'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns when it takes connections."""
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip(MISSING)
        self._process = subprocess.Popen([program, *self._arguments], stdout=subprocess.PIPE)
        assert self._process.stdout
        told = []
        for line in self._process.stdout:
            told.append(line)
            if self._ready in line:
                return
        raise AssertionError(b"".join(told).decode())

    def send(self, by: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(by)

    def freeze(self) -> None:
        """It is there and answers nothing."""
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        self.send(signal.SIGCONT)

    def kill(self) -> None:
        """Ends it as a fault would."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._process = None

    def call(self, *command: str | bytes | int, password: str | None = None) -> Any:
        """What it answers to one command, as it is."""
        with closing(redis.Redis(port=self.port, protocol=2, password=password)) as client:
            client.response_callbacks.clear()
            return client.execute_command(*command)


@contextmanager
def redis_server(
    directory: Path, *options: str, tls: bool = False, configuration: str = ""
) -> Iterator[RedisServer]:
    """A server that runs inside the block."""
    server = RedisServer(directory, *options, tls=tls, configuration=configuration)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def wait_until(holds: Callable[[], bool]) -> None:
    """Returns when it does; a server tells of nothing by itself."""
    end = time.monotonic() + 20.0
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def redis_setting(url: str, **settings: Any) -> Store:
    """The section `store` with this URL."""
    context = Surroundings(str(Path.cwd()), {})
    return Store.model_validate({"url": url, **settings}, context=context)


@asynccontextmanager
async def redis_store(
    url: str, steady: Any = forget_nothing, **settings: Any
) -> AsyncIterator[RedisStore]:
    """A sidecar's view of the Redis at this URL; what has expired by `steady` is removed."""
    setting = redis_setting(url, **settings)
    assert setting.url.redis
    async with RedisStore.opened(setting.url.redis, lambda: setting, steady) as store:
        yield store
