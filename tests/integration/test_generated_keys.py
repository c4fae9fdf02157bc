"""Generated keys of real processes: over a kill, shared by two, and when the store can't be had."""

import json
import signal
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from sidecar.v1 import token_service_pb2 as messages
from sidecar.v1.token_service_pb2_grpc import TokenServiceStub
from tests.integration.test_process import run, serving
from tests.running import assert_valid

if TYPE_CHECKING:
    from sidecar.v1.token_service_pb2_grpc import TokenServiceAsyncStub

CONFIGURATION = """
listeners: [{{address: 'unix:{name}.sock', services: [validate, issue]}}]
store: {{url: 'sqlite:state.db'}}
signers:
  - name: internal
    issuer: https://tokens.example
    keys: [{{generate: ES256, rotate: 30d}}, {{generate: EdDSA}}]
    accept: true
shutdown: {{drain: 0s, grace: 2s}}
"""


def configuration(directory: Path, name: str = "a") -> Path:
    path = directory / f"{name}.yaml"
    path.write_text(CONFIGURATION.format(name=name))
    return path


@asynccontextmanager
async def tokens_of(path: Path) -> AsyncIterator["TokenServiceAsyncStub"]:
    """The TokenService of the sidecar with this configuration."""
    async with grpc.aio.insecure_channel(f"unix:{path.with_suffix('.sock')}") as channel:
        yield TokenServiceStub(channel)


async def key_ids(path: Path) -> list[str]:
    async with tokens_of(path) as stub:
        answer = await stub.GetJwks(messages.GetJwksRequest())
    return [key["kid"] for key in json.loads(answer.jwks_json)["keys"]]


async def issue(path: Path, algorithm: str = "") -> str:
    async with tokens_of(path) as stub:
        request = messages.IssueTokenRequest(subject="alice", algorithm=algorithm)
        return (await stub.IssueToken(request)).token


async def validate(path: Path, token: str) -> messages.ValidateTokenResponse:
    async with tokens_of(path) as stub:
        return await stub.ValidateToken(messages.ValidateTokenRequest(token=token))


async def test_after_a_kill_the_keys_are_the_same_and_tokens_pass(tmp_path: Path) -> None:
    path = configuration(tmp_path)
    async with serving(path) as child:
        before = await key_ids(path)
        tokens = [await issue(path), await issue(path, "EdDSA")]
        child.send_signal(signal.SIGKILL)
        await child.wait()
    async with serving(path):
        assert await key_ids(path) == before
        for token in tokens:
            assert_valid(await validate(path, token))
    assert len(before) == 2


async def test_two_sidecars_on_one_file_have_the_same_keys(tmp_path: Path) -> None:
    one, other = configuration(tmp_path, "a"), configuration(tmp_path, "b")
    async with serving(one), serving(other):
        assert await key_ids(one) == await key_ids(other)
        assert_valid(await validate(one, await issue(other)))
        assert_valid(await validate(other, await issue(one)))


async def test_the_keys_are_the_owners_alone(tmp_path: Path) -> None:
    path = configuration(tmp_path)
    async with serving(path):
        for file in tmp_path.glob("state.db*"):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


async def test_a_store_that_cannot_be_opened_ends_the_start(tmp_path: Path) -> None:
    path = configuration(tmp_path)
    (tmp_path / "state.db").write_bytes(b"no database" * 100)
    status, out, error = await run("serve", "--config", str(path))
    assert (status, out) == (2, "")
    assert error.startswith(f"jwt-sidecar: {tmp_path}/state.db: ")
    assert "Traceback" not in error
    assert not path.with_suffix(".sock").exists()
