"""Tokens of every asymmetric algorithm, from a generated key to a verdict, over gRPC."""

from pathlib import Path

import pytest
from envoy.service.auth.v3 import external_auth_pb2
from envoy.service.auth.v3.external_auth_pb2_grpc import AuthorizationStub
from google.rpc import code_pb2

from sidecar.token.algorithms import ASYMMETRIC
from tests.running import TRANSPORTS, Running, assert_valid, listener, running

SIGNERS = "signers:\n" + "\n".join(
    f"  - name: {name.lower()}\n"
    f"    issuer: https://{name.lower()}.example\n"
    f"    keys: [{{generate: {name}}}]\n"
    "    audiences: [orders]\n"
    "    accept: true"
    for name in sorted(ASYMMETRIC)
)


async def passes_envoy(sidecar: Running, token: str) -> bool:
    request = external_auth_pb2.CheckRequest()
    request.attributes.request.http.headers["authorization"] = f"Bearer {token}"
    answer = await AuthorizationStub(sidecar.channel).Check(request)
    return bool(answer.status.code == code_pb2.OK)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_what_is_issued_is_valid_and_passes_envoy(tmp_path: Path, transport: str) -> None:
    services = listener(transport, services="validate, issue, ext_authz")
    async with running(tmp_path, services + SIGNERS) as sidecar:
        for algorithm in sorted(ASYMMETRIC):
            token = await sidecar.issue(signer=algorithm.lower(), subject="alice")
            valid = assert_valid(await sidecar.validate(token))
            assert (valid.algorithm, valid.subject) == (algorithm, "alice")
            assert await passes_envoy(sidecar, token), algorithm
            header, payload, signature = token.split(".")
            forged = f"{header}.{payload}.{signature[:-8]}AAAAAAAA"
            assert not (await sidecar.validate(forged)).valid, algorithm
            assert not await passes_envoy(sidecar, forged), algorithm
