"""aiohttp is loaded without the system's certificates, and the environment stays as it was."""

import os
import subprocess
import sys

import pytest

from sidecar.aiohttp_import import without_certificates

PROGRAM = """
import os
from sidecar.aiohttp_import import without_certificates
with without_certificates():
    from aiohttp import connector
print(len(connector._SSL_CONTEXT_VERIFIED.get_ca_certs()))
"""


def test_aiohttp_holds_no_certificates() -> None:
    """If this fails with a new aiohttp, look at whether the 2 MiB are still saved."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True)
    assert done.stdout.strip() == b"0"


@pytest.mark.parametrize("before", [None, "/etc/own.pem"])
def test_the_environment_is_as_it_was(monkeypatch: pytest.MonkeyPatch, before: str | None) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    if before is not None:
        monkeypatch.setenv("SSL_CERT_FILE", before)
    with without_certificates():
        assert os.environ["SSL_CERT_FILE"] == os.devnull
    assert os.environ.get("SSL_CERT_FILE") == before
