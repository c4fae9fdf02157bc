"""A sidecar over TLS that wants to know who calls."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from jwt_sidecar_client import AsyncClient, CallRejected, Client, SidecarUnavailable
from tests import sidecars

CERTIFICATE = """
import datetime, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
now = datetime.datetime.now(datetime.timezone.utc)
certificate = (
    x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    .not_valid_before(now - datetime.timedelta(hours=1))
    .not_valid_after(now + datetime.timedelta(hours=1))
    .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    .sign(key, hashes.SHA256())
)
pem = serialization.Encoding.PEM
form = serialization.PrivateFormat.PKCS8
open("tls.crt", "wb").write(certificate.public_bytes(pem))
open("tls.key", "wb").write(key.private_bytes(pem, form, serialization.NoEncryption()))
"""
CONFIGURATION = """
listeners:
  - {address: "unix:s.sock", services: [issue]}
  - address: "localhost:0"
    services: [validate]
    tls: {certificate_file: tls.crt, private_key_file: tls.key}
    caller_token: {issuer: internal}
signers:
  - name: internal
    issuer: https://tokens.example
    keys: [{generate: ES256}]
    audiences: [orders]
    accept: true
shutdown: {drain: 0s}
"""


@dataclass(frozen=True)
class Guarded:
    address: str
    credentials: grpc.ChannelCredentials
    token: str


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    directory = tmp_path_factory.mktemp("tls")
    subprocess.run([sidecars.PYTHON, "-c", CERTIFICATE], cwd=directory, check=True)
    (directory / "sidecar.yaml").write_text(CONFIGURATION)
    with sidecars.serving(directory) as line, Client(f"unix:{directory}/s.sock") as issuing:
        port = re.findall(r":(\d+)", line)[-1]
        credentials = grpc.ssl_channel_credentials((directory / "tls.crt").read_bytes())
        token = issuing.issue(subject="checkout", timeout=10).token
        yield Guarded(f"localhost:{port}", credentials, token)


def test_a_caller_that_shows_its_token_is_answered(guarded: Guarded) -> None:
    for caller_token in (guarded.token, lambda: guarded.token):
        with Client(
            guarded.address,
            timeout=10,
            credentials=guarded.credentials,
            caller_token=caller_token,
        ) as client:
            assert client.validate(guarded.token).subject == "checkout"


async def test_an_asynchronous_caller_that_shows_its_token_is_answered(guarded: Guarded) -> None:
    async with AsyncClient(
        guarded.address,
        timeout=10,
        credentials=guarded.credentials,
        caller_token=guarded.token,
    ) as client:
        assert (await client.validate(guarded.token)).subject == "checkout"


def test_a_caller_that_shows_none_is_rejected(guarded: Guarded) -> None:
    client = Client(guarded.address, timeout=10, credentials=guarded.credentials)
    with client, pytest.raises(CallRejected) as caught:
        client.validate(guarded.token)
    assert caught.value.code is grpc.StatusCode.PERMISSION_DENIED
    assert caught.value.error_reason == "CALLER_DENIED"


def test_a_sidecar_that_nobody_vouches_for_is_not_asked(guarded: Guarded, tmp_path: Path) -> None:
    subprocess.run([sidecars.PYTHON, "-c", CERTIFICATE], cwd=tmp_path, check=True)
    other = grpc.ssl_channel_credentials((tmp_path / "tls.crt").read_bytes())
    for credentials in (other, None):
        client = Client(guarded.address, credentials=credentials)
        with client, pytest.raises(SidecarUnavailable):
            client.validate(guarded.token)
