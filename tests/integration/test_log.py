"""The log of a real process: every line is JSON, and a decision is one on each surface."""

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from aiohttp import ClientSession
from envoy.service.auth.v3 import external_auth_pb2

from deploy.demo.stage import free_port, process
from sidecar.v1.token_service_pb2 import IssueTokenRequest, ValidateTokenRequest
from sidecar.v1.token_service_pb2_grpc import TokenServiceStub
from tests.running import TRANSPORTS

CHECK = "/envoy.service.auth.v3.Authorization/Check"


def configuration(directory: Path, transport: str, decisions: str, port: int) -> Path:
    path = directory / "jwt-sidecar.yaml"
    path.write_text(
        f"""
listeners:
  - {{address: "unix:s.sock", services: [validate, issue, ext_authz], transport: {transport}}}
http: {{address: "127.0.0.1:{port}", serve: [check]}}
signers: [{{name: internal, issuer: a, keys: [{{generate: ES256}}], accept: true}}]
authorization:
  rules: [{{name: orders, match: {{path_prefix: /orders}}, require: {{scopes: [read]}}}}]
log: {{decisions: {decisions}}}
shutdown: {{drain: 0s, grace: 1s}}
"""
    )
    return path


def check_request(token: str) -> bytes:
    message = external_auth_pb2.CheckRequest()
    message.attributes.source.address.socket_address.address = "192.0.2.1"
    http = message.attributes.request.http
    http.method, http.host, http.path = "POST", "shop.example", f"/orders/7?access_token={token}"
    http.headers["authorization"] = f"Bearer {token}"
    http.headers["x-request-id"] = "id-1"
    data: bytes = message.SerializeToString()
    return data


async def asked(directory: Path, port: int) -> str:
    """Asks on every surface about one token without the scope; gives the token."""
    async with grpc.aio.insecure_channel(f"unix:{directory}/s.sock") as channel:
        tokens = TokenServiceStub(channel)
        token = str((await tokens.IssueToken(IssueTokenRequest(subject="alice"))).token)
        for scopes in ((), ("read",)):
            await tokens.ValidateToken(
                ValidateTokenRequest(token=token, scopes=scopes, client_address="192.0.2.1"),
                metadata=(("x-request-id", "id-1"),),
            )
        check: Any = channel.unary_unary(CHECK)
        await check(check_request(token))
    headers = {
        "authorization": f"Bearer {token}",
        "x-original-method": "POST",
        "x-original-uri": f"/orders/7?access_token={token}",
        "x-forwarded-host": "shop.example",
        "x-forwarded-for": "192.0.2.1",
        "x-request-id": "id-1",
    }
    async with ClientSession() as session:
        await session.get(f"http://127.0.0.1:{port}/check", headers=headers)
    return token


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("decisions", ["none", "refused", "all"])
async def test_decisions(transport: str, decisions: str, tmp_path: Path) -> None:
    port = free_port()
    path = configuration(tmp_path, transport, decisions, port)
    command = (sys.executable, "-m", "sidecar", "serve", "--config", str(path))
    pipe = asyncio.subprocess.PIPE
    async with process(*command, stdout=pipe, stderr=pipe) as child:
        assert child.stdout
        await child.stdout.readline()
        token = await asked(tmp_path, port)
        child.send_signal(signal.SIGTERM)
        _, written = await child.communicate()
    lines: list[dict[str, Any]] = [json.loads(line) for line in written.decode().splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    assert not any(part in written.decode() for part in token.split("."))
    found = [line for line in lines if line["logger"] == "sidecar.decisions"]
    refused = [line for line in found if line["reason"] == "SCOPE_INSUFFICIENT"]
    passed = [line for line in found if line["reason"] == "OK"]
    assert len(passed) == (1 if decisions == "all" else 0)
    assert len(found) == len(passed) + len(refused)
    surfaces = [] if decisions == "none" else ["grpc", "ext_authz", "http"]
    assert [line["surface"] for line in refused] == surfaces
    for line in refused:
        assert (line["issuer"], line["sub"], line["client_address"]) == (
            "internal",
            "alice",
            "192.0.2.1",
        )
        assert (line["request_id"], line["level"]) == ("id-1", "info")
        assert "read" in line["message"]
    for line in refused[1:]:
        assert (line["method"], line["path"], line["rule"]) == ("POST", "/orders/7", "orders")
