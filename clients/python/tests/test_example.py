"""The example service, with a real sidecar, by real HTTP."""

import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest

from jwt_sidecar_client import Client

READY = re.compile(r"running on (http://\S+)")


@pytest.fixture(scope="module")
def service(real: str) -> Iterator[str]:
    command = [sys.executable, "-m", "uvicorn", "example.service:app", "--port", "0"]
    with subprocess.Popen(
        command,
        cwd=Path(__file__).parents[1],
        env={**os.environ, "JWT_SIDECAR_ADDRESS": real},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stderr
            yield next(found[1] for line in process.stderr if (found := READY.search(line)))
        finally:
            process.terminate()


def test_it_lets_in_who_may_come_in(service: str, real_client: Client) -> None:
    reader = real_client.issue(subject="alice", scopes=["orders:read"]).token
    writer = real_client.issue(subject="bob", scopes=["orders:read", "orders:write"]).token
    assert answer(service, "POST", writer)[::2] == (201, '"bob"')
    assert answer(service, "GET", reader)[::2] == (200, '["bob"]')

    status, headers, body = answer(service, "POST", reader)
    assert status == 403
    assert headers["WWW-Authenticate"] == (
        'Bearer realm="orders", error="insufficient_scope", scope="orders:write"'
    )
    assert body.startswith('{"error":"scope_insufficient","reason":"REASON_SCOPE_INSUFFICIENT"')

    status, headers, _ = answer(service, "GET", "")
    assert (status, headers["WWW-Authenticate"]) == (401, 'Bearer realm="orders"')

    real_client.revoke(token=reader)
    assert answer(service, "GET", reader)[0] == 401


def answer(service: str, method: str, token: str) -> tuple[int, Message, str]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(f"{service}/orders", headers=headers, method=method)  # noqa: S310 # the test made the URL
    try:
        with urllib.request.urlopen(request) as response:  # noqa: S310 # the test made the URL
            return response.status, response.headers, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read().decode()
