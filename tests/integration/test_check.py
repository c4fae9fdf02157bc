"""/check of a real sidecar, asked as proxies ask."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, UnixConnector

from tests.integration.test_envoy import CONFIGURATION, bearer, mint
from tests.proofs import dpop, thumbprint
from tests.running import Running, running

CONFIGURED = (
    CONFIGURATION % ("auto", "http://127.0.0.1:9/jwks.json")
    + "http: {address: 'unix:http.sock', serve: [check]}\n"
)
TRAEFIK = {
    "x-forwarded-method": "PUT",
    "x-forwarded-uri": "/orders",
    "x-forwarded-host": "shop.example.com",
}


@asynccontextmanager
async def asking(
    directory: Path, text: str = CONFIGURED
) -> AsyncIterator[tuple[ClientSession, Running]]:
    """A client of the sidecar's HTTP listener."""
    async with running(directory, text) as sidecar:
        connector = UnixConnector(str(directory / "http.sock"))
        async with ClientSession("http://sidecar", connector=connector) as client:
            yield client, sidecar


def with_token(**headers: str) -> dict[str, str]:
    return {**TRAEFIK, **dict([bearer(mint())]), **headers}


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "PURGE"])
async def test_any_method_asks(tmp_path: Path, method: str) -> None:
    async with asking(tmp_path) as (client, _):
        async with client.request(method, "/check", headers=with_token()) as answer:
            assert (answer.status, await answer.text()) == (200, "")
            assert answer.headers["x-jwt-subject"] == "alice"
            assert answer.headers["cache-control"] == "no-store"
            assert "authorization" not in answer.headers
        async with client.request(method, "/check", headers=TRAEFIK) as answer:
            assert answer.status == 401
            assert answer.headers["www-authenticate"] == 'Bearer realm="shop"'
            assert answer.headers["cache-control"] == "no-store"


async def test_names_of_headers_have_no_case(tmp_path: Path) -> None:
    headers = {name.title(): value for name, value in with_token().items()}
    async with asking(tmp_path) as (client, _), client.get("/check", headers=headers) as answer:
        assert answer.status == 200


async def test_headers_that_are_left_out_are_counted(tmp_path: Path) -> None:
    headers = {**TRAEFIK, **dict([bearer(mint(sub="a\nb"))])}
    async with asking(tmp_path) as (client, one):
        async with client.get("/check", headers=headers) as answer:
            assert answer.status == 200
            assert "x-jwt-subject" not in answer.headers
        assert one.sidecar.engine.metrics.left_out == {"x-jwt-subject": 1}


async def test_a_denial_is_whole(tmp_path: Path) -> None:
    async with asking(tmp_path) as (client, _):
        headers = {**TRAEFIK, "authorization": f"Bearer {mint(aud='web')}"}
        async with client.get("/check", headers=headers) as answer:
            assert answer.status == 401
            assert answer.content_type == "application/json"
            body = await answer.json()
    assert (body["error"], body["reason"]) == ("audience_mismatch", "REASON_AUDIENCE_MISMATCH")


async def test_a_denial_has_no_body_where_none_is_wanted(tmp_path: Path) -> None:
    text = CONFIGURED.replace("{realm: shop}", "{realm: shop, body: none}")
    async with asking(tmp_path, text) as (client, _):
        for headers, status in ((TRAEFIK, 401), ({}, 400)):
            async with client.get("/check", headers=headers) as answer:
                assert (answer.status, await answer.text()) == (status, "")


@pytest.mark.parametrize(
    ("headers", "culprit"),
    [
        pytest.param({"x-forwarded-uri": ""}, "x-forwarded-uri", id="an empty URI"),
        pytest.param({"x-original-uri": "/public"}, "x-original-uri", id="two URIs"),
        pytest.param({"x_jwt.subject": "mallory"}, "x-jwt-subject", id="another spelling"),
        pytest.param({"x-original-url": "/orders"}, "x-original-url", id="no URL"),
    ],
)
async def test_what_leaves_a_doubt_is_400_also_with_a_token(
    tmp_path: Path, headers: Mapping[str, str], culprit: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with asking(tmp_path) as (client, _):
        for _ in range(2):
            async with client.get("/check?/public", headers=with_token(**headers)) as answer:
                assert answer.status == 400
                assert culprit in json.loads(await answer.text())["message"]
    assert len([one for one in caplog.messages if culprit in one]) == 1


BOUND = mint(cnf={"jkt": thumbprint()})


def with_proof(jti: str, htu: str = "https://shop.example.com/orders", **headers: str) -> Any:
    proof = dpop(BOUND, htm="PUT", htu=htu, iat=int(time.time()), jti=jti)
    return {**TRAEFIK, "authorization": f"DPoP {BOUND}", "dpop": proof, **headers}


@pytest.mark.parametrize(
    ("scheme", "proven", "status"),
    [
        pytest.param("https", "https", 200, id="https"),
        pytest.param("wss", "https", 200, id="as Traefik says of a WebSocket's handshake"),
        pytest.param("ws", "http", 200, id="the same without TLS"),
        pytest.param("wss", "http", 401, id="wss is not http"),
        pytest.param("ws", "https", 401, id="ws is not https"),
        pytest.param("wss", "wss", 401, id="a proof is for an HTTP request"),
        pytest.param("ftp", "https", 401, id="another scheme"),
    ],
)
async def test_a_proof_is_for_the_scheme_that_the_proxy_says(
    tmp_path: Path, scheme: str, proven: str, status: int
) -> None:
    headers = with_proof("1", f"{proven}://shop.example.com/orders", x_forwarded_proto=scheme)
    headers["x-forwarded-proto"] = headers.pop("x_forwarded_proto")
    async with asking(tmp_path) as (client, _), client.get("/check", headers=headers) as answer:
        assert answer.status == status
        assert not {"authorization", "dpop"} & {name.lower() for name in answer.headers}


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param("X.Jwt.Subject: mallory", id="another spelling"),
        pytest.param("Cookie: a=\xff", id="a cookie that is not in UTF-8"),
        pytest.param("X-Original-Method: GET", id="two methods"),
    ],
)
async def test_what_is_400_is_no_decision_and_uses_no_proof_up(tmp_path: Path, odd: str) -> None:
    headers = {"host": "sidecar", **with_proof("1"), "x-forwarded-proto": "https"}
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())

    async def status(more: str = "") -> int:
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "http.sock"))
        writer.write(f"GET /check HTTP/1.1\r\n{fields}{more}\r\n".encode("latin-1"))
        line = await reader.readline()
        writer.close()
        return int(line.split()[1])

    async with asking(tmp_path) as (_, one):
        assert await status(f"{odd}\r\n") == 400
        decisions = one.sidecar.engine.metrics.decisions
        assert sum(decisions.values()) == 0
        assert [await status(), await status()] == [200, 401]
        assert (decisions["http", "corp", "OK"], sum(decisions.values())) == (1, 2)


async def test_without_a_description_nothing_is_decided_on_the_question_itself(
    tmp_path: Path,
) -> None:
    async with (
        asking(tmp_path) as (client, _),
        client.get("/check", headers=dict([bearer(mint())])) as answer,
    ):
        assert answer.status == 400


@pytest.mark.parametrize(
    ("size", "status"),
    [
        pytest.param(60 * 1024, 200, id="what Envoy takes"),
        pytest.param(65 * 1024, 431, id="more than is taken"),
        pytest.param(200 * 1024, 400, id="more than is read"),
    ],
)
async def test_headers_are_bounded(tmp_path: Path, size: int, status: int) -> None:
    async with asking(tmp_path) as (client, _):
        headers = with_token(**{"x-large": "a" * size})
        async with client.get("/check", headers=headers) as answer:
            assert answer.status == status


async def test_many_headers_are_bounded_as_large_ones_are(tmp_path: Path) -> None:
    async with asking(tmp_path) as (client, _):
        headers = with_token(**{f"x-{number}": "a" * 1024 for number in range(70)})
        async with client.get("/check", headers=headers) as answer:
            assert answer.status == 431


async def test_a_body_is_not_waited_for(tmp_path: Path) -> None:
    async with asking(tmp_path):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "http.sock"))
        headers = {"host": "sidecar", "content-length": "1000000", **with_token()}
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        writer.write(f"POST /check HTTP/1.1\r\n{''.join(lines)}\r\n".encode())
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        writer.close()


async def test_an_error_of_ours_is_503_and_tells_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asking(tmp_path) as (client, one):

        async def fails(*_: object) -> None:
            raise RuntimeError("marker")

        monkeypatch.setattr(one.sidecar.engine, "decide", fails)
        async with client.get("/check", headers=with_token()) as answer:
            assert answer.status == 503
            assert answer.headers["retry-after"] == "1"
            assert "marker" not in f"{answer.headers} {await answer.text()}"
        assert one.sidecar.engine.metrics.decisions["http", "", "STATE_UNAVAILABLE"] == 1


async def test_it_is_there_only_where_it_is_served_and_goes_with_a_reload(tmp_path: Path) -> None:
    async with asking(tmp_path) as (client, one):
        (tmp_path / "jwt-sidecar.yaml").write_text(CONFIGURED.replace("[check]", "[health]"))
        await one.sidecar.reload()
        async with client.get("/check", headers=with_token()) as answer:
            assert answer.status == 404


async def test_a_reload_decides_by_the_next_policy(tmp_path: Path) -> None:
    async with asking(tmp_path) as (client, one):
        (tmp_path / "jwt-sidecar.yaml").write_text(
            CONFIGURED.replace("x-jwt-subject: sub", "x-user: sub")
        )
        await one.sidecar.reload()
        async with client.get("/check", headers=with_token()) as answer:
            assert answer.headers["x-user"] == "alice"
            assert "x-jwt-subject" not in answer.headers
