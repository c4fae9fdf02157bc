"""Callers that show a token, over both transports, and the command that does."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from sidecar.v1 import token_service_pb2 as messages
from tests.identities import HERE, Ca
from tests.integration.test_process import run
from tests.running import SECRET, TRANSPORTS, Running, fails, running

DENIED = grpc.StatusCode.PERMISSION_DENIED
OTHER_SECRET = SECRET[::-1]
PARTIES = f"""
issuers:
  - name: platform
    issuer: https://platform.example
    keys: {{secret: {{value: {SECRET}}}}}
    algorithms: [HS256]
    audiences: [jwt-sidecar]
  - name: shop
    issuer: https://shop.example
    keys: {{secret: {{value: {OTHER_SECRET}}}}}
    algorithms: [HS256]
    audiences: [jwt-sidecar]
signers:
  - {{name: internal, issuer: "https://tokens.example", keys: [{{generate: ES256}}]}}
shutdown: {{drain: 0s, grace: 2s}}
"""
CALLER_TOKEN = "caller_token: {issuer: platform, scopes: ['tokens:issue']}"


def listener(transport: str, socket: str = "tcp", services: str = "validate, issue") -> str:
    address = "unix:s.sock" if socket == "unix" else "127.0.0.1:0"
    return (
        f"listeners: [{{address: '{address}', services: [{services}], transport: {transport}, "
        f"{CALLER_TOKEN}}}]\n{PARTIES}"
    )


def token(secret: str = SECRET, **claims: Any) -> str:
    usual = {
        "iss": "https://platform.example",
        "aud": "jwt-sidecar",
        "scope": "tokens:issue",
        "exp": int(time.time()) + 600,
    }
    return jwt.encode({**usual, **claims}, secret, "HS256")


def showing(shown: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {shown}"),)


@pytest.fixture(
    params=[
        pytest.param((transport, socket), id=f"{transport}-{socket}")
        for transport in TRANSPORTS
        for socket in ("unix", "tcp")
    ]
)
async def sidecar(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path, listener(*request.param)) as one:
        yield one


async def issue(sidecar: Running, metadata: Any) -> str:
    answer = await sidecar.tokens.IssueToken(
        messages.IssueTokenRequest(subject="alice"), metadata=metadata
    )
    return answer.token


async def test_a_caller_with_a_good_token_is_served(sidecar: Running) -> None:
    assert (await issue(sidecar, showing(token()))).count(".") == 2


REFUSED: Mapping[str, tuple[Any, str]] = {
    "no token": (None, "TOKEN_MISSING"),
    "no bearer": ((("authorization", "Basic eA=="),), "TOKEN_MISSING"),
    "no JWT": (showing("MARKER"), "TOKEN_MALFORMED"),
    "expired": (showing(token(exp=int(time.time()) - 600)), "EXPIRED"),
    "another scope": (showing(token(scope="tokens:read")), "SCOPE_INSUFFICIENT"),
    "another audience": (showing(token(aud="orders")), "AUDIENCE_MISMATCH"),
    "another issuer": (
        showing(token(OTHER_SECRET, iss="https://shop.example")),
        "ISSUER_MISMATCH",
    ),
    "another's signature": (showing(token(OTHER_SECRET)), "SIGNATURE_INVALID"),
    "two tokens": (showing(token()) + showing(token()), "authorization 2 times"),
}


@pytest.mark.parametrize(("metadata", "words"), REFUSED.values(), ids=list(REFUSED))
async def test_a_caller_without_one_is_refused_on_every_method(
    sidecar: Running, metadata: Any, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    with fails(DENIED, "CALLER_DENIED"):
        await issue(sidecar, metadata)
    with fails(DENIED, "CALLER_DENIED"):
        await sidecar.tokens.GetJwks(messages.GetJwksRequest(), metadata=metadata)
    with pytest.raises(grpc.aio.AioRpcError, match=words) as caught:
        await sidecar.tokens.ValidateToken(
            messages.ValidateTokenRequest(token=token()), metadata=metadata
        )
    said = f"{caught.value.details()} {caplog.text}"
    assert words in caplog.text
    assert "MARKER" not in said
    assert not any(part in said for part in token().split("."))


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_envoy_needs_the_token_too(tmp_path: Path, transport: str) -> None:
    configuration = listener(transport, services="ext_authz")
    async with running(tmp_path, configuration) as one:
        check: Any = one.channel.unary_unary("/envoy.service.auth.v3.Authorization/Check")
        with fails(DENIED, "CALLER_DENIED"):
            await check(b"")
        assert b"TOKEN_MISSING" in await check(b"", metadata=showing(token()))


async def test_health_and_reflection_need_no_token(sidecar: Running) -> None:
    health: Any = health_pb2_grpc.HealthStub(sidecar.channel)
    answer = await health.Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    stub: Any = reflection_pb2_grpc.ServerReflectionStub
    call = stub(sidecar.channel).ServerReflectionInfo(
        iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    )
    assert (await anext(aiter(call))).list_services_response.service


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_caller_tokens_in_plain_text_on_a_network_are_worth_a_warning(
    tmp_path: Path, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    configuration = listener(transport).replace("127.0.0.1:0", "0.0.0.0:0")
    async with running(tmp_path, configuration):
        pass
    assert "0.0.0.0:0: caller tokens come in plain text" in caplog.text


CA, OTHER_CA = Ca(), Ca("another")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the files of a listener and of a caller."""
    CA.certify(*HERE).write(tmp_path / "tls.crt", tmp_path / "tls.key")
    CA.certify("ops.example").write(tmp_path / "ops.crt", tmp_path / "ops.key")
    OTHER_CA.certify("ops.example").write(tmp_path / "bad.crt", tmp_path / "bad.key")
    (tmp_path / "ca.crt").write_bytes(CA.certificate)
    (tmp_path / "other.crt").write_bytes(OTHER_CA.certificate)
    (tmp_path / "token").write_text(f"{token()}\n")
    (tmp_path / "old").write_text(token(exp=1))
    (tmp_path / "bearer").write_text(f"Bearer {token()}")
    return tmp_path


SECURE = (
    "listeners: [{address: '127.0.0.1:0', services: [validate, issue], tls: {certificate_file: "
    "tls.crt, private_key_file: tls.key, client_ca_file: ca.crt}, "
    f"{CALLER_TOKEN}}}]\n{PARTIES}"
)
PAIR = "--tls-certificate ops.crt --tls-key ops.key"


def options_in(folder: Path, options: str) -> list[str]:
    """The words of a command line, with files in this folder."""
    return [
        word if word.startswith("--") else str(folder / word) for word in options.split() if word
    ]


COMMANDS: Mapping[str, tuple[str, int, str]] = {
    "all of them": (f"--tls-ca ca.crt {PAIR} --caller-token-file token", 0, ""),
    "no token": (f"--tls-ca ca.crt {PAIR}", 2, "name a file with one by --caller-token-file"),
    "an old token": (
        f"--tls-ca ca.crt {PAIR} --caller-token-file old",
        2,
        "caller token: EXPIRED: ",
    ),
    "no certificate": ("--tls-ca ca.crt", 3, "add --tls-certificate and --tls-key"),
    "another's certificate": (
        "--tls-ca ca.crt --tls-certificate bad.crt --tls-key bad.key",
        3,
        "from the listener's client_ca_file?",
    ),
    "plain text": ("", 3, "If it serves TLS, add --tls-ca."),
    "another CA": (f"--tls-ca other.crt {PAIR}", 3, "CERTIFICATE_VERIFY_FAILED"),
    "no key": (
        "--tls-ca ca.crt --tls-certificate ops.crt",
        2,
        "--tls-certificate and --tls-key need each other",
    ),
    "no CA": (PAIR, 2, "--tls-certificate needs --tls-ca"),
    "a CA that is no CA": ("--tls-ca ops.crt2", 2, "--tls-ca: "),
    "another's key": (
        "--tls-ca ca.crt --tls-certificate ops.crt --tls-key bad.key",
        2,
        "bad.key is not the key of the first certificate in",
    ),
    "no file": ("--caller-token-file nothing", 2, "nothing can't be read: No such file"),
    "a file with more": ("--caller-token-file bearer", 2, "bearer must hold a token, without"),
}


@pytest.mark.parametrize(("options", "status", "words"), COMMANDS.values(), ids=list(COMMANDS))
async def test_the_command_reaches_such_a_listener(
    folder: Path, options: str, status: int, words: str
) -> None:
    async with running(folder, SECURE) as one:
        found, out, error = await run(
            *("issue", "--subject", "alice", "--address", one.address),
            *options_in(folder, options),
        )
    assert (found, bool(out)) == (status, status == 0), error
    assert words in error
    assert "Traceback" not in error


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_the_command_shows_its_token_in_plain_text_too(
    folder: Path, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWT_SIDECAR_CALLER_TOKEN_FILE", str(folder / "token"))
    async with running(folder, listener(transport)) as one:
        status, out, error = await run("issue", "--subject", "alice", "--address", one.address)
    assert (status, out.count(".")) == (0, 2), error


async def test_many_callers_at_once_are_told_apart(sidecar: Running) -> None:
    bad = showing(token(OTHER_SECRET))

    async def try_one(index: int) -> bool:
        try:
            return bool(await issue(sidecar, bad if index % 2 else showing(token())))
        except grpc.aio.AioRpcError:
            return False

    answers = await asyncio.gather(*(try_one(index) for index in range(100)))
    assert answers == [index % 2 == 0 for index in range(100)]
