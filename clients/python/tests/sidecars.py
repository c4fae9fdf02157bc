"""Sidecars in processes of their own, and peers that are none."""

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from tests.table import TOP

PYTHON = Path(os.environ.get("SIDECAR_PYTHON", TOP / ".venv/bin/python")).absolute()


@contextmanager
def running(*arguments: str, directory: Path = TOP) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A Python process of the sidecar's interpreter, and the line that it says when it is ready."""
    process = subprocess.Popen(
        [PYTHON, *arguments],
        cwd=directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process, _first_line(process.stdout)
        finally:
            process.terminate()


@contextmanager
def scripted(address: str = "127.0.0.1:0") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A sidecar that answers as the table says, and its address."""
    with running("tests/clients/scripted.py", address) as (process, line):
        yield process, line


@contextmanager
def real(directory: Path) -> Iterator[str]:
    """A real sidecar whose files are in this directory, and its address."""
    shutil.copy(TOP / "tests/clients/sidecar.yaml", directory)
    with serving(directory):
        yield f"unix:{directory}/sidecar.sock"


@contextmanager
def serving(directory: Path) -> Iterator[str]:
    """A real sidecar with the sidecar.yaml of this directory, and what it says when ready."""
    arguments = ("-m", "sidecar", "serve", "--config", "sidecar.yaml")
    with running(*arguments, directory=directory) as (_, line):
        yield line


@contextmanager
def peer(answer: bytes) -> Iterator[str]:
    """A TCP server that says the same to everybody once they spoke, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_say, args=(server, answer), daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


@contextmanager
def silent_peer() -> Iterator[str]:
    """A TCP server that takes connections and never says anything, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def free_address() -> str:
    """An address of 127.0.0.1 at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def _say(server: socket.socket, answer: bytes) -> None:
    with suppress(OSError):
        while True:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.recv(65536)
                connection.sendall(answer)


def _first_line(stream: IO[str] | None) -> str:
    line = stream.readline().strip() if stream else ""
    assert line, "it ended before it was ready"
    return line
