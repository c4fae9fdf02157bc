"""A library is loaded only where the configuration needs it: each is memory in every pod."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LEAST = """
listeners: [{address: "unix:s.sock", services: [validate], reflection: false}]
signers: [{name: a, issuer: a, keys: [{generate: ES256}], accept: true}]
"""
HEAVY = (
    *(
        "aiohttp",
        "cel_expr_python",
        "envoy",
        "grpc_reflection.v1alpha",
        "pydantic.v1",
        "re2",
        "redis",
    ),
    *("sqlalchemy", "sqlite3", "xds"),
)
STARTED = f"""
import asyncio, pathlib, sys
from sidecar.config.load import load
from sidecar.serve import Sidecar

async def started():
    async with Sidecar(load(pathlib.Path("jwt-sidecar.yaml"), {{}})).serving():
        print(*sorted({{*{HEAVY!r}}} & {{*sys.modules}}))

asyncio.run(started())
"""


@pytest.mark.parametrize(
    ("settings", "loaded"),
    [
        pytest.param("", "", id="the least"),
        pytest.param("http: {address: '127.0.0.1:0'}\n", "aiohttp", id="HTTP"),
        pytest.param("store: {url: 'sqlite:state.db'}\n", "sqlite3", id="SQLite"),
        pytest.param(
            "http: {address: '127.0.0.1:0', serve: [check]}\n"
            "authorization: {rules: [{match: {path_regex: '^/a'}, allow: anonymous}]}\n",
            "aiohttp re2",
            id="a rule with a regular expression",
        ),
        pytest.param(
            "issuers: [{name: b, issuer: b, audiences: [b], "
            "keys: {url: 'https://127.0.0.1:1/jwks', required: false}}]\n",
            "aiohttp",
            id="keys over HTTP",
        ),
    ],
)
def test_what_is_loaded(settings: str, loaded: str, tmp_path: Path) -> None:
    (tmp_path / "jwt-sidecar.yaml").write_text(LEAST + settings)
    started = subprocess.run(
        [sys.executable, "-c", STARTED],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert started.returncode == 0, started.stderr
    assert started.stdout.split() == loaded.split()
