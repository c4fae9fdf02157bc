"""Upstreams in several languages: the same handlers behind routers that read paths differently.

Their sources are in tests/upstreams. The handlers internal, admin, public and reports each serve a
path and everything below it, keys serves one path, and other everything else. An answer names the
handler that ran and the path that it saw.
"""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.demo.stage import free_port, process

SOURCES: Final = Path("tests/upstreams")
BUILT: Final = Path("build/upstreams")
START_SECONDS: Final = 30

GO: Final = ("Go (https://go.dev/dl/)", "go")
NODE: Final = ("Node.js with npm (Debian and Ubuntu: apt install nodejs npm)", "node", "npm")
JAVA: Final = ("a JDK and Maven (Debian and Ubuntu: apt install default-jdk maven)", "javac", "mvn")
PYTHON: Final = ("Python", sys.executable)


@dataclass(frozen=True)
class Upstream:
    """A server to start."""

    name: str
    folder: str
    command: tuple[str, ...]
    """To which the port is added."""
    toolchain: tuple[str, ...] = PYTHON
    """What to install, and the commands that show that it is there."""
    strips_parameters: bool = False
    """Whether `;` and what follows are no part of a segment's name."""

    @property
    def missing(self) -> str:
        """What must be installed first; empty if nothing."""
        what, *commands = self.toolchain
        return "" if all(map(shutil.which, commands)) else f"needs {what}"


def _java(name: str) -> Upstream:
    folder = BUILT / name
    options = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")
    command = ("java", *options, "-cp", f"{folder}:{folder}/lib/*", "Main")
    return Upstream(name, name, command, JAVA, strips_parameters=True)


def _node(name: str, router: str) -> Upstream:
    return Upstream(name, "node", ("node", str(BUILT / "node/main.js"), router), NODE)


def _go(name: str, router: str) -> Upstream:
    return Upstream(name, "go", (str(BUILT / "go/main"), router), GO)


def _python(name: str, folder: str, *arguments: str) -> Upstream:
    return Upstream(name, folder, (sys.executable, str(SOURCES / folder / "main.py"), *arguments))


UPSTREAMS: Final = (
    _go("go-servemux", "servemux"),
    _go("go-chi", "chi"),
    _go("go-gorilla", "gorilla"),
    _node("node-url", "url"),
    _node("node-url-decoded", "decoded"),
    _node("node-legacy-url", "legacy"),
    _node("node-express", "express"),
    _node("node-find-my-way", "find-my-way"),
    _python("werkzeug", "werkzeug"),
    _python("starlette-h11", "starlette", "h11"),
    _python("starlette-httptools", "starlette", "httptools"),
    _python("aiohttp", "aiohttp"),
    _java("jetty"),
    _java("tomcat"),
    _java("spring"),
)


def build(upstreams: tuple[Upstream, ...]) -> None:
    """Compile those that need it, unless they are fresh."""
    folders = sorted({one.folder for one in upstreams if one.toolchain is not PYTHON})
    command = ("make", "--silent", "--no-print-directory", "-j2", "-C", str(SOURCES), *folders)
    subprocess.run(command, check=True)


@asynccontextmanager
async def started(upstream: Upstream) -> AsyncIterator[int]:
    """The upstream, ready to answer; gives its port."""
    port = free_port()
    command = (*upstream.command, str(port))
    quiet = asyncio.subprocess.DEVNULL
    async with process(*command, stdout=asyncio.subprocess.PIPE, stderr=quiet) as child:
        assert child.stdout
        line = await asyncio.wait_for(child.stdout.readline(), START_SECONDS)
        if line.strip() != b"ready":
            raise RuntimeError(f"the upstream {upstream.name} did not start")
        yield port
