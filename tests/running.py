"""A real sidecar in the test's own event loop, and what calls it."""

import asyncio
import contextlib
import itertools
import textwrap
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from sidecar.config.load import load
from sidecar.serve import Sidecar
from sidecar.v1 import reason_pb2
from sidecar.v1 import token_service_pb2 as messages
from sidecar.v1.token_service_pb2_grpc import TokenServiceStub

if TYPE_CHECKING:
    from sidecar.v1.token_service_pb2_grpc import TokenServiceAsyncStub

SECRET = "a-secret-of-at-least-32-bytes-for-tests"
TRANSPORTS = ("native", "grpcio")

CONSUMERS_AND_SIGNER = f"""
signers:
  - name: internal
    issuer: https://tokens.example
    keys: [{{generate: ES256, key_id: k1}}]
    audiences: [orders]
    scopes: [read, write]
    claims: {{env: prod}}
    accept: true
consumers:
  list:
    - {{name: jack, key: user-key, algorithm: HS256, secret: {{value: {SECRET}}},
       labels: {{plan: gold}}}}
"""


@dataclass(frozen=True)
class Running:
    """A sidecar that serves, and a channel to its first listener."""

    sidecar: Sidecar
    channel: grpc.aio.Channel
    address: str

    @property
    def tokens(self) -> "TokenServiceAsyncStub":
        return TokenServiceStub(self.channel)

    async def issue(self, **fields: Any) -> str:
        answer = await self.tokens.IssueToken(messages.IssueTokenRequest(**fields))
        return answer.token

    async def validate(self, token: str, **fields: Any) -> messages.ValidateTokenResponse:
        request = messages.ValidateTokenRequest(token=token, **fields)
        return await self.tokens.ValidateToken(request)


@asynccontextmanager
async def running(directory: Path, configuration: str) -> AsyncIterator[Running]:
    """A sidecar with this configuration, whose relative paths are below the directory."""
    path = directory / "jwt-sidecar.yaml"
    path.write_text(textwrap.dedent(configuration))
    sidecar = Sidecar(load(path, {}))
    async with sidecar.serving():
        address = sidecar.addresses()[0]
        async with grpc.aio.insecure_channel(address) as channel:
            yield Running(sidecar, channel, address)


def listener(transport: str, socket: str = "unix", services: str = "validate, issue") -> str:
    """The YAML of one listener, on a Unix socket or on a free TCP port."""
    address = "unix:s.sock" if socket == "unix" else "127.0.0.1:0"
    unauthenticated = "true" if socket == "tcp" else "false"
    return (
        f"listeners: [{{address: '{address}', services: [{services}], transport: {transport}, "
        f"unauthenticated: {unauthenticated}}}]\nshutdown: {{drain: 0s, grace: 2s}}\n"
    )


def assert_refused(answer: messages.ValidateTokenResponse, reason: str, *words: str) -> None:
    """The answer is a refusal with this reason, whose message has these words."""
    assert not answer.valid
    assert reason_pb2.Reason.Name(answer.reason) == f"REASON_{reason}", answer.message
    assert not answer.HasField("token")
    for word in words:
        assert word in answer.message


def assert_valid(answer: messages.ValidateTokenResponse) -> messages.Token:
    """The token of an answer that says yes."""
    assert answer.valid, answer.message
    assert answer.reason == reason_pb2.REASON_UNSPECIFIED
    return answer.token


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Returns when it does, of what tells of nothing by itself; fails after 20 s."""
    async with asyncio.timeout(20):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.05)


async def until_refused(sidecar: Running, token: str) -> float:
    """When the token was sent that passed last, by `time.monotonic`; 0 where none passed.

    Not when it was refused first: how long that answer takes is the machine's affair.
    """
    last = 0.0
    async with asyncio.timeout(20):
        while True:
            sent = time.monotonic()
            if not (await sidecar.validate(token)).valid:
                return last
            last = sent
            await asyncio.sleep(0.01)


@contextlib.contextmanager
def fails(code: grpc.StatusCode, reason: str, field: str = "") -> Iterator[None]:
    """The call inside ends with this status, ErrorInfo and, for a field, BadRequest."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield
    assert caught.value.code() is code, caught.value.details()
    status = rpc_status.from_call(caught.value)  # type: ignore[arg-type]
    assert status is not None
    details = [_unpacked(one) for one in status.details]
    infos = [one for one in details if isinstance(one, error_details_pb2.ErrorInfo)]
    assert [(one.reason, one.domain) for one in infos] == [(reason, "jwt-sidecar")]
    requests = [one for one in details if isinstance(one, error_details_pb2.BadRequest)]
    violations = itertools.chain.from_iterable(one.field_violations for one in requests)
    assert [one.field for one in violations] == ([field] if field else [])


def _unpacked(detail: Any) -> Message:
    for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest):
        message = kind()
        if detail.Unpack(message):
            return message
    raise AssertionError(f"unexpected detail {detail.type_url}")
