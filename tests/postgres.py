"""A PostgreSQL server of the test's own, as an unprivileged user."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.demo.stage import free_port


class Postgres:
    """A cluster on a free port of the loopback interface, with the user `reader`."""

    def __init__(self, programs: Path, data: Path) -> None:
        self._programs = programs
        self._data = data
        self._port = free_port()
        self._as_user: list[str] = []
        if os.geteuid() == 0:
            shutil.chown(data, "postgres", "postgres")
            self._as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        self._run("initdb", "-D", data / "db", "-U", "postgres", "-A", "trust", "--no-sync")

    @property
    def url(self) -> str:
        return f"postgresql://reader@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -k {self._data} -F"
        self._run(
            "pg_ctl",
            "-D",
            self._data / "db",
            "-o",
            options,
            "-l",
            self._data / "log",
            "-w",
            "start",
        )

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self._data / "db", "-m", "immediate", "-w", "stop")

    def execute(self, statement: str) -> None:
        where = ("-h", "127.0.0.1", "-p", str(self._port), "-U", "postgres")
        self._run("psql", *where, "-v", "ON_ERROR_STOP=1", "-q", "-c", statement)

    def _run(self, program: str, *arguments: str | Path) -> None:
        subprocess.run(
            [*self._as_user, self._programs / program, *arguments],
            cwd=self._data,
            check=True,
            stdout=subprocess.DEVNULL,
        )


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """A server that runs; skips the test where the programs are not there."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("needs PostgreSQL: apt-get install postgresql")
    data = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    try:
        server = Postgres(found[-1].parent, data)
        server.start()
        try:
            yield server
        finally:
            with contextlib.suppress(subprocess.CalledProcessError):
                server.stop()
    finally:
        shutil.rmtree(data)
