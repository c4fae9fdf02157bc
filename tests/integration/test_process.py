"""The life of the process: ready, serving, stopping, killed, and what it leaves behind."""

import asyncio
import gc
import json
import logging
import os
import re
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from aiohttp import ClientSession
from grpc_health.v1 import health_pb2

from deploy.demo.stage import free_port, process
from sidecar import life
from sidecar.config.load import load
from sidecar.serve import Sidecar
from sidecar.v1 import token_service_pb2 as messages
from tests.running import CONSUMERS_AND_SIGNER, TRANSPORTS, listener
from tests.tokens import decode

COMMAND = (sys.executable, "-m", "sidecar")


@asynccontextmanager
async def serving(configuration: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """`serve` as a process that has said that it is ready."""
    command = (*COMMAND, "serve", "--config", str(configuration))
    async with process(*command, stdout=asyncio.subprocess.PIPE) as child:
        assert child.stdout
        line = (await child.stdout.readline()).decode()
        assert re.match(r"jwt-sidecar \S+ is ready on ", line), line
        yield child


async def run(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
    """Exit status, standard output and standard error of one command."""
    child = await asyncio.create_subprocess_exec(
        *COMMAND,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await child.communicate(stdin.encode())
    assert child.returncode is not None
    return child.returncode, out.decode(), err.decode()


@pytest.fixture(params=TRANSPORTS)
def configuration(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "jwt-sidecar.yaml"
    path.write_text(listener(request.param) + CONSUMERS_AND_SIGNER)
    return path


def address(configuration: Path) -> str:
    return f"unix:{configuration.parent / 's.sock'}"


async def test_issue_and_validate_as_a_user_does(configuration: Path) -> None:
    async with serving(configuration):
        at = ("--address", address(configuration).replace("unix:", "unix://"))
        status, token, _ = await run("issue", "--subject", "alice", "--claim", "admin=true", *at)
        assert status == 0
        status, said, _ = await run("validate", *at, stdin=token)
        assert (status, said.splitlines()[0]) == (0, "valid")
        assert '"admin": true' in said
        status, said, _ = await run("validate", "--audience", "web", "--json", token.strip(), *at)
        assert status == 1
        assert "REASON_AUDIENCE_MISMATCH" in said
        status, said, error = await run("issue", "--subject", "a", "--signer", "nobody", *at)
        assert (status, said) == (2, "")
        assert '"nobody"' in error


async def test_every_option_of_issue_goes_into_the_token(configuration: Path) -> None:
    values = {
        "text": ("plan=gold", "gold"),
        "a number": ("n=5", 5),
        "a number in quotes": ('q="5"', "5"),
        "a long number": ("big=123456789012345678901234567890", 123456789012345678901234567890),
        "nested": ('o={"a":[1,null,true,{"b":"\u00e9"}]}', {"a": [1, None, True, {"b": "\u00e9"}]}),
        "not JSON": ("nan=NaN", "NaN"),
        "with an equals sign": ("eq=a=b", "a=b"),
        "empty": ("none=", ""),
        "a name with dots": ("a.b=c", "c"),
    }
    options = {
        "--signer": "internal",
        "--subject": "alice",
        "--scope": "read",
        "--lifetime": "1500ms",
        "--not-before": "Mon, 14 Aug 2017 11:00:21 PDT",
        "--token-id": "mine",
        "--algorithm": "ES256",
        "--header": "tenant=blue",
        "--critical-header": "tenant",
        "--address": address(configuration),
    }
    arguments = [word for option in options.items() for word in option]
    arguments += ["--audience", "a", "--audience", "b"]
    arguments += [word for pair, _ in values.values() for word in ("--claim", pair)]
    async with serving(configuration):
        status, token, error = await run("issue", *arguments)
    assert status == 0, error
    header, payload = (json.loads(decode(part)) for part in token.split(".")[:2])
    assert (header["tenant"], header["crit"]) == ("blue", ["tenant"])
    assert (payload["sub"], payload["aud"], payload["scope"]) == ("alice", ["a", "b"], "read")
    assert (payload["jti"], payload["nbf"]) == ("mine", 1502733621)
    assert payload["exp"] - payload["iat"] in {1, 2}
    for pair, value in values.values():
        assert payload[pair.partition("=")[0]] == value


async def test_a_token_may_start_later(configuration: Path) -> None:
    async with serving(configuration):
        at = ("--address", address(configuration))
        status, token, _ = await run("issue", "--subject", "a", "--not-before", "10m", *at)
        assert status == 0
        status, said, _ = await run("validate", *at, stdin=token)
        assert (status, said.splitlines()[0]) == (1, "refused: NOT_YET_VALID")
        status, _, error = await run("issue", "--subject", "a", "--not-before", "15m", *at)
        assert (status, "would expire before it is valid" in error) == (2, True)


async def test_health_is_the_exit_status(configuration: Path) -> None:
    configuration.write_text(configuration.read_text().replace("drain: 0s", "drain: 30s"))
    at = ("--address", address(configuration))
    assert (await run("health", *at))[:2] == (3, "")
    async with serving(configuration) as child:
        assert await run("health", *at) == (0, "serving\n", "")
        child.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            while (said := await run("health", *at))[0] == 0:
                pass
        assert said == (1, "not serving\n", "")
        child.send_signal(signal.SIGTERM)


async def test_nobody_at_the_address_is_exit_status_3(tmp_path: Path) -> None:
    status, out, error = await run("validate", "a.b.c", "--address", f"unix:{tmp_path}/no.sock")
    assert (status, out) == (3, "")
    assert "no.sock" in error
    assert "--address" in error


async def test_something_else_at_the_address_is_exit_status_3() -> None:
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    status, _, error = await run("validate", "a.b.c", "--address", f"127.0.0.1:{port}")
    await server.stop(None)
    assert status == 3
    assert "no jwt-sidecar" in error


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_with_status_0_and_no_socket(
    configuration: Path, by: signal.Signals
) -> None:
    async with serving(configuration) as child:
        child.send_signal(by)
        assert await child.wait() == 0
    assert [one.name for one in configuration.parent.iterdir()] == ["jwt-sidecar.yaml"]


async def test_on_sigterm_health_says_not_serving_and_calls_still_pass(
    configuration: Path,
) -> None:
    text = configuration.read_text().replace("drain: 0s", "drain: 30s")
    configuration.write_text(text)
    async with (
        serving(configuration) as child,
        grpc.aio.insecure_channel(address(configuration)) as channel,
    ):
        watch = channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            health_pb2.HealthCheckRequest.SerializeToString,
            health_pb2.HealthCheckResponse.FromString,
        )(health_pb2.HealthCheckRequest())
        changes = aiter(watch)
        assert (await anext(changes)).status == health_pb2.HealthCheckResponse.SERVING
        child.send_signal(signal.SIGTERM)
        assert (await anext(changes)).status == health_pb2.HealthCheckResponse.NOT_SERVING
        validate = channel.unary_unary(
            "/sidecar.v1.TokenService/ValidateToken",
            messages.ValidateTokenRequest.SerializeToString,
            messages.ValidateTokenResponse.FromString,
        )
        assert not (await validate(messages.ValidateTokenRequest(token="a.b"))).valid
        child.send_signal(signal.SIGTERM)
        assert await child.wait() == 0


async def test_garbage_is_collected_once_it_is_ready(configuration: Path) -> None:
    """And threads that bring calls need not wait for Python's lock."""
    gc.disable()
    usual = sys.getswitchinterval()
    found: list[bool] = []

    def announce(_: str) -> None:
        found.extend((gc.isenabled(), sys.getswitchinterval() < usual / 5))
        os.kill(os.getpid(), signal.SIGTERM)

    try:
        await life.run(Sidecar(load(configuration, {})), announce)
    finally:
        gc.enable()
        gc.unfreeze()
        sys.setswitchinterval(usual)
    assert found == [True, True]


async def test_sighup_reloads_and_status_tells(configuration: Path) -> None:
    at = ("--address", address(configuration))
    text = configuration.read_text().replace("validate, issue]", "validate, issue, admin]")
    configuration.write_text(text)
    async with serving(configuration) as child:
        _, before, _ = await run("status", *at)
        configuration.write_text(text.replace("env: prod", "env: test"))
        child.send_signal(signal.SIGHUP)
        async with asyncio.timeout(20):
            while (said := await run("status", *at))[1] == before:
                pass
        assert said[0] == 0
        lines = said[1].splitlines()
        assert lines[0].startswith("jwt-sidecar ")
        assert lines[1].startswith("configuration ")
        row = r"internal +k1 \(ES256\) +- +- +signer internal"
        assert any(re.match(row, line) for line in lines)
        _, token, _ = await run("issue", "--subject", "a", *at)
        assert json.loads(decode(token.split(".")[1]))["env"] == "test"
        status, as_json, _ = await run("status", "--json", *at)
        assert (status, json.loads(as_json)["signers"]) == (
            0,
            [{"name": "internal", "key_ids": ["k1"]}],
        )


async def test_sighup_with_a_broken_configuration_ends_nothing(configuration: Path) -> None:
    async with serving(configuration) as child:
        configuration.write_text("listeners: [")
        child.send_signal(signal.SIGHUP)
        status, _, _ = await run("issue", "--subject", "a", "--address", address(configuration))
        assert (status, child.returncode) == (0, None)


async def test_sighup_reloads_nothing_once_it_stops(
    configuration: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def announce(_: str) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGHUP)

    await life.run(Sidecar(load(configuration, {})), announce)
    gc.unfreeze()
    assert "stopping" in caplog.text
    assert "SIGHUP" not in caplog.text


async def test_a_socket_left_by_a_killed_process_is_replaced(configuration: Path) -> None:
    async with serving(configuration) as child:
        child.kill()
        await child.wait()
    assert (configuration.parent / "s.sock").is_socket()
    async with serving(configuration):
        status, _, _ = await run("issue", "--subject", "a", "--address", address(configuration))
        assert status == 0


async def test_a_socket_in_use_is_refused_and_goes_on_serving(configuration: Path) -> None:
    async with serving(configuration):
        status, out, error = await run("serve", "--config", str(configuration))
        assert (status, out) == (2, "")
        assert "in use by another process" in error
        status, _, _ = await run("issue", "--subject", "a", "--address", address(configuration))
        assert status == 0


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_port_in_use_is_named_with_the_cause(tmp_path: Path, transport: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path = tmp_path / "jwt-sidecar.yaml"
        text = listener(transport, "tcp").replace("127.0.0.1:0", f"127.0.0.1:{port}")
        path.write_text(text + CONSUMERS_AND_SIGNER)
        status, _, error = await run("serve", "--config", str(path))
    assert status == 2
    assert f"127.0.0.1:{port} can't be listened on: {os.strerror(98)}" in error


async def test_a_file_in_the_socket_s_place_is_not_removed(configuration: Path) -> None:
    (configuration.parent / "s.sock").write_text("precious")
    status, _, error = await run("serve", "--config", str(configuration))
    assert status == 2
    assert "is no socket" in error
    assert (configuration.parent / "s.sock").read_text() == "precious"


async def test_a_broken_configuration_is_reported_whole(configuration: Path) -> None:
    broken = configuration.read_text().replace("drain: 0s", "drain: 5").replace("keys:", "kees:")
    configuration.write_text(broken)
    status, out, error = await run("serve", "--config", str(configuration))
    assert (status, out) == (2, "")
    assert "shutdown.drain" in error
    assert "kees" in error
    assert "keys" in error


async def test_what_is_no_http_is_not_in_the_log(tmp_path: Path) -> None:
    path = tmp_path / "jwt-sidecar.yaml"
    path.write_text(listener("grpcio") + CONSUMERS_AND_SIGNER + "http: {address: 'unix:h.sock'}\n")
    command = (*COMMAND, "serve", "--config", str(path))
    child = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert child.stdout
    await child.stdout.readline()
    reader, writer = await asyncio.open_unix_connection(tmp_path / "h.sock")
    writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer MARKER\r\n\r\n")
    assert b" 400 " in await reader.readline()
    writer.close()
    child.terminate()
    _, log = await child.communicate()
    assert b"MARKER" not in log
    assert b"Traceback" not in log


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(("validate", "Bearer", "MARKER"), "without Bearer", id="two words"),
        pytest.param(("validate", "x", "--adress=MARKER"), "--adress", id="an unknown option"),
        pytest.param(
            ("validate", "x", "--address", "19191"), "unix:PATH or HOST:PORT", id="a port"
        ),
        pytest.param(("validate", "x", "--address", "unix://run/x"), "unix:PATH", id="two slashes"),
        pytest.param(("validate", "x", "--address", "http://[::1]:9191"), "HOST:PORT", id="a URL"),
        pytest.param(("validate", "x", "--address", "::1:9191"), "in brackets", id="bare IPv6"),
        pytest.param(
            ("validate", "x", "--address", "127.0.0.1:65536"), "HOST:PORT", id="no such port"
        ),
        pytest.param(("serve", "MARKER.yaml"), "--config", id="a file for serve"),
        pytest.param(
            ("issue", "--subject", "a", "--lifetime", "60"), "a unit (ms, s, m, h, d)", id="no unit"
        ),
        pytest.param(
            ("issue", "--subject", "a", "--not-before", "10"),
            '--not-before "10": must be a duration with a unit',
            id="a start without unit",
        ),
        pytest.param(
            ("issue", "--subject", "a", "--not-before", "tomorrow"),
            '--not-before "tomorrow": it is in no known format; it takes a duration from now, such '
            "as 10m, or a time: RFC 3339 (2017-08-14T11:00:21-07:00, also "
            "2017-08-14T11:00:21.269-0700), RFC 1123 (Mon, 14 Aug 2017 11:00:21 PDT), RFC 850 "
            "(Monday, 14-Aug-17 11:00:21 PDT) or ANSI C, in UTC (Mon Aug 14 11:00:21 2017)",
            id="a start in no known format",
        ),
        pytest.param(
            ("issue", "--subject", "a", "--not-before", "9999-12-31T23:59:59-07:00"),
            "date value out of range",
            id="a start after the year 9999",
        ),
        pytest.param(
            ("issue", "--subject", "\udcff"), "an argument is not in UTF-8", id="not UTF-8"
        ),
        pytest.param(
            ("issue", "--subject", "a", "--claim", "a=1", "--claim", "a=MARKER"),
            "--claim a: it is there twice",
            id="a claim twice",
        ),
    ],
)
async def test_a_mistake_in_the_command_is_named(arguments: tuple[str, ...], words: str) -> None:
    status, out, error = await run(*arguments)
    assert (status, out) == (2, "")
    assert words in error
    assert "MARKER" not in error


async def test_an_http_socket_in_use_is_left_to_its_owner(configuration: Path) -> None:
    with configuration.open("a") as file:
        file.write("\nhttp: {address: 'unix:http.sock'}\n")
    other = configuration.with_name("other.yaml")
    other.write_text(configuration.read_text().replace("unix:s.sock", "unix:other.sock"))
    async with serving(configuration):
        status, _, error = await run("serve", "--config", str(other))
        assert (status, "http.sock is in use" in error) == (2, True)
        assert stat.S_IMODE((configuration.parent / "http.sock").stat().st_mode) == 0o660
    assert not (configuration.parent / "http.sock").exists()


async def test_who_asks_over_http_learns_of_the_end_while_calls_are_still_taken(
    configuration: Path,
) -> None:
    port = free_port()
    text = configuration.read_text().replace("drain: 0s", "drain: 30s")
    configuration.write_text(f"{text}\nhttp: {{address: '127.0.0.1:{port}'}}\n")
    async with serving(configuration) as child, ClientSession() as client:
        child.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            while (ready := await client.get(f"http://127.0.0.1:{port}/readyz")).status == 200:
                pass
        assert (ready.status, await ready.json()) == (
            503,
            {"ready": False, "missing": [{"problem": "the sidecar is about to end"}]},
        )
        assert (await run("issue", "--subject", "a", "--address", address(configuration)))[0] == 0
        child.send_signal(signal.SIGTERM)


async def test_the_http_face(configuration: Path) -> None:
    port = free_port()
    with configuration.open("a") as file:
        file.write(f"\nhttp: {{address: '127.0.0.1:{port}'}}\n")
    async with serving(configuration), ClientSession(f"http://127.0.0.1:{port}") as client:
        async with client.get("/livez") as response:
            assert response.status == 200
        async with client.get("/readyz") as response:
            assert (response.status, await response.json()) == (200, {"ready": True, "missing": []})
        async with client.get("/.well-known/jwks.json") as response:
            assert "max-age" in response.headers["cache-control"]
            assert [one["kid"] for one in (await response.json(content_type=None))["keys"]] == [
                "k1"
            ]
        async with client.get("/.well-known/openid-configuration") as response:
            document = await response.json()
        assert document["issuer"] == "https://tokens.example"
        async with client.get(document["jwks_uri"].removeprefix(str(client._base_url))) as response:
            assert response.status == 200
        async with client.get("/metrics") as response:
            assert response.status == 200
        async with client.get("/check") as response:
            assert response.status == 404


@pytest.mark.parametrize(
    ("by", "status"),
    [
        pytest.param("SIGTERM", 0, id="SIGTERM ends it, with nothing to stop yet"),
        pytest.param("SIGHUP", 7, id="SIGHUP has nothing to reload"),
    ],
)
async def test_a_signal_before_it_serves(by: str, status: int) -> None:
    code = f"""
import os, signal, sys, types
from sidecar import cli

def serve(options):
    os.kill(os.getpid(), signal.{by})
    return 7

sys.modules["sidecar.commands.serve"] = types.SimpleNamespace(serve=serve)
sys.exit(cli.main(["serve"]))
"""
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await child.wait() == status
