"""/introspect of a real sidecar, asked as RFC 7662 says."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import jwt
import pytest
from aiohttp import ClientSession, StreamReader, UnixConnector
from aiohttp.test_utils import make_mocked_request

from sidecar.api.introspect import Introspection
from sidecar.v1 import token_service_pb2 as messages
from tests.running import CONSUMERS_AND_SIGNER, SECRET, Running, listener, running

HTTP = "http: {address: 'unix:http.sock', serve: [introspect]}\n"
DOWN = """
issuers:
  - {name: down, issuer: down, audiences: [a],
     keys: {url: "http://127.0.0.1:9/jwks", timeout: 100ms}}
"""


@asynccontextmanager
async def asking(
    directory: Path, more: str = CONSUMERS_AND_SIGNER
) -> AsyncIterator[tuple[ClientSession, Running]]:
    text = listener("native", services="validate, issue" if "signers" in more else "validate")
    async with running(directory, text + HTTP + more) as sidecar:
        connector = UnixConnector(str(directory / "http.sock"))
        async with ClientSession("http://sidecar", connector=connector) as client:
            yield client, sidecar


async def asked(client: ClientSession, token: str) -> Any:
    async with client.post("/introspect", data={"token": token}) as answer:
        assert answer.status == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.content_type == "application/json"
        return await answer.json()


async def test_an_active_token(tmp_path: Path) -> None:
    async with asking(tmp_path) as (client, sidecar):
        token = await sidecar.issue(
            subject="alice",
            scopes=["read", "write"],
            claims_json='{"active": false, "token_type": "x", "tenant": "t1"}',
        )
        said = await asked(client, token)
    times = {said.pop(name) for name in ("iat", "exp")}
    assert all(isinstance(time, int) for time in times)
    assert said.pop("jti")
    assert said == {
        "active": True,
        "token_type": "Bearer",
        "iss": "https://tokens.example",
        "sub": "alice",
        "aud": "orders",
        "scope": "read write",
        "env": "prod",
        "tenant": "t1",
    }


async def test_a_consumers_token(tmp_path: Path) -> None:
    async with asking(tmp_path) as (client, sidecar):
        said = await asked(client, await sidecar.issue(consumer="jack"))
    assert (said["active"], said["client_id"], said["key"]) == (True, "jack", "user-key")
    assert SECRET not in str(said)


@pytest.mark.parametrize("token", ["x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."])
async def test_what_is_refused_is_inactive_and_no_more(tmp_path: Path, token: str) -> None:
    async with asking(tmp_path) as (client, _):
        assert await asked(client, token) == {"active": False}


async def test_a_revoked_token_is_inactive(tmp_path: Path) -> None:
    async with asking(tmp_path) as (client, sidecar):
        token = await sidecar.issue(subject="alice")
        assert (await asked(client, token))["active"] is True
        await sidecar.tokens.RevokeToken(messages.RevokeTokenRequest(token=token))
        assert await asked(client, token) == {"active": False}


async def test_it_uses_nothing_up(tmp_path: Path) -> None:
    once = CONSUMERS_AND_SIGNER.replace("accept: true", "accept: false") + (
        "issuers: [{name: once, issuer: 'https://once.example', audiences: [orders], "
        f"keys: {{secret: {{value: {SECRET}}}}}, algorithms: [HS256], one_time: true}}]\n"
    )
    async with asking(tmp_path, once) as (client, sidecar):
        token = hs256({"iss": "https://once.example", "aud": "orders", "jti": "1"})
        for _ in range(2):
            assert (await asked(client, token))["active"] is True
        assert (await sidecar.validate(token)).valid
        assert await asked(client, token) == {"active": False}


def hs256(claims: dict[str, Any]) -> str:
    return jwt.encode({**claims, "exp": 4_000_000_000}, SECRET, "HS256")


async def test_what_is_not_known_is_no_answer(tmp_path: Path) -> None:
    async with asking(tmp_path, DOWN) as (client, _):
        token = hs256({"iss": "down", "aud": "a"}).split(".")
        header = "eyJhbGciOiJSUzI1NiJ9"
        data = {"token": ".".join((header, *token[1:]))}
        async with client.post("/introspect", data=data) as answer:
            assert answer.status == 503
            assert answer.headers["retry-after"] == "1"
            assert "active" not in await answer.json()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param({"method": "GET", "params": {"token": "x"}}, 405, id="GET"),
        pytest.param({"data": {}}, 400, id="no form"),
        pytest.param({"data": {"other": "x"}}, 400, id="no token"),
        pytest.param({"data": [("token", "x"), ("token", "y")]}, 400, id="two tokens"),
        pytest.param({"json": {"token": "x"}}, 400, id="JSON"),
        pytest.param({"data": "token=x"}, 400, id="a form that is called text"),
        pytest.param({"data": {"token": "x" * 70_000}}, 400, id="too long"),
        pytest.param({"data": [(f"f{n}", "") for n in range(30)]}, 400, id="many fields"),
        pytest.param(
            {
                "data": b"token=\xff",
                "headers": {"content-type": "application/x-www-form-urlencoded"},
            },
            400,
            id="bytes that are no form",
        ),
    ],
)
async def test_what_is_no_question(tmp_path: Path, request_: dict[str, Any], status: int) -> None:
    asks = {"method": "POST", "url": "/introspect", **request_}
    async with asking(tmp_path) as (client, _), client.request(**asks) as answer:
        assert answer.status == status
        if status == 400:
            assert (await answer.json())["error"] == "invalid_request"


async def test_a_form_may_come_in_pieces(tmp_path: Path) -> None:
    async with asking(tmp_path) as (_, sidecar):
        form = f"token={await sidecar.issue(subject='alice')}".encode()
        pieces = StreamReader(Mock(), 2**16)
        headers = {"content-type": "application/x-www-form-urlencoded"}
        request = make_mocked_request("POST", "/introspect", headers=headers, payload=pieces)
        answering = asyncio.create_task(Introspection(sidecar.sidecar.engine).answer(request))
        for start in range(0, len(form), 100):
            pieces.feed_data(form[start : start + 100])
            await asyncio.sleep(0)
        pieces.feed_eof()
        answer = await answering
    assert isinstance(answer.body, bytes)
    assert json.loads(answer.body)["active"] is True


async def test_decisions_are_counted(tmp_path: Path) -> None:
    async with asking(tmp_path) as (client, sidecar):
        await asked(client, await sidecar.issue(subject="alice"))
        await asked(client, "x")
        assert sidecar.sidecar.engine.metrics.decisions == {
            ("http", "internal", "OK"): 1,
            ("http", "", "TOKEN_MALFORMED"): 1,
        }


async def test_where_it_is_not_served_it_is_not_there(tmp_path: Path) -> None:
    text = HTTP.replace("introspect", "health")
    async with running(tmp_path, listener("native") + text + CONSUMERS_AND_SIGNER):
        connector = UnixConnector(str(tmp_path / "http.sock"))
        async with (
            ClientSession("http://sidecar", connector=connector) as client,
            client.post("/introspect", data={"token": "x"}) as answer,
        ):
            assert answer.status == 404


async def test_a_bound_token_is_inactive_as_nobody_shows_its_key(tmp_path: Path) -> None:
    async with asking(tmp_path) as (client, sidecar):
        bound = await sidecar.issue(subject="alice", claims_json='{"cnf": {"jkt": "x"}}')
        assert await asked(client, bound) == {"active": False}


async def test_more_calls_than_can_be_served_are_no_answer(tmp_path: Path) -> None:
    async with asking(tmp_path) as (client, sidecar):
        token = await sidecar.issue(subject="alice")
        sidecar.sidecar.engine.turns.most = 0
        async with client.post("/introspect", data={"token": token}) as answer:
            assert answer.status == 503
            assert "limits.concurrent_calls" in (await answer.json())["error_description"]
