"""What a real nginx takes a path for is among the readings of the path, or the path is refused."""

import asyncio
import itertools
import shutil
from pathlib import Path

import pytest
from yarl import URL

from deploy.demo.stage import nginx
from sidecar.authorization.path import parse_path
from sidecar.token.reason import Refused

SITE = 'server { listen 80; location / { return 200 "$uri"; } }'
AT_ONCE = 100
PARTS = ("a", "admin", ".", "..", "", "%2e", "%2E%2e", "%2f", "%61", "..%2f", "%c3%a9", "+")


ORDINARY = ("a", "A-1_~", "a.b", ".well-known", "%c3%a9", "a%20b", "+", "b@c:d", "!$&'()*,=")
pytestmark = pytest.mark.skipif(
    shutil.which("nginx") is None, reason="needs nginx (Debian and Ubuntu: apt install nginx)"
)


async def test_a_path_that_passes_has_the_reading_of_nginx(tmp_path: Path) -> None:
    paths = ["/" + "/".join(parts) for parts in itertools.product(PARTS, repeat=3)]
    async with nginx(tmp_path, SITE) as url:
        read = await served(url, paths)
    known = {path: readings(path) for path in paths}
    assert any(known.values())
    assert [path for path in paths if known[path] and read[path] not in known[path]] == []


async def test_nginx_reads_an_ordinary_path_as_it_is_read_here(tmp_path: Path) -> None:
    paths = ["/" + "/".join(parts) for parts in itertools.product(ORDINARY, repeat=2)]
    async with nginx(tmp_path, SITE) as url:
        read = await served(url, paths)
    assert {path: [read[path]] for path in paths} == {path: readings(path) for path in paths}


def readings(path: str) -> list[str]:
    """The readings of a path, none if it is refused."""
    try:
        parsed = parse_path(path)
    except Refused:
        return []
    return [parsed.text, *parsed.other_readings]


async def served(url: str, paths: list[str]) -> dict[str, str]:
    """What nginx takes each path for."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def ask(path: str) -> str:
        async with turns:
            reader, writer = await asyncio.open_connection(URL(url).host, URL(url).port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
            head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
            writer.close()
        return body if " 200 " in head.splitlines()[0] else "refused"

    return dict(zip(paths, await asyncio.gather(*map(ask, paths)), strict=True))
