"""What callers, clients and issuers try, and what it must not get them."""

import asyncio
import json
import socket
import textwrap
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import jwt
import pytest
from aiohttp import ClientSession

from deploy.demo.stage import free_port
from sidecar.api.binding import ListenFailed, check_free
from sidecar.authorization.http_request import HttpRequest
from sidecar.config.addresses import Address
from sidecar.keys.answer import Answer, DownloadFailed
from sidecar.keys.download import Access, downloader
from sidecar.keys.generated import generate_private_key
from sidecar.keys.location import Location
from sidecar.keys.places import Places
from sidecar.token.jwk import public_jwk
from sidecar.token.key import from_public_key
from sidecar.token.keyset import from_jwks
from sidecar.token.mint import Minted
from sidecar.token.request import Request
from sidecar.token.strict_json import parse_object
from tests.running import SECRET, fails, listener, running
from tests.simulated_time import in_simulated_time_with_sockets

NESTED = f"""
signers:
  - name: internal
    issuer: https://tokens.example
    keys: [{{generate: ES256}}]
    claims: {{tenant: {{id: shop}}}}
consumers:
  key_claim: user.key
  list:
    - {{name: jack, key: jacks, algorithm: HS256, secret: {{value: {SECRET}}},
       claims_from_token: [scope, n]}}
    - {{name: jill, key: jills, algorithm: HS256, secret: {{value: {SECRET}}}}}
"""
ESCAPED_QUOTES = rb"\"" * 30_000


def test_a_string_without_an_end_costs_no_more_than_its_length() -> None:
    started = time.process_time()
    for text in (b'{"a":"' + b"[" * 33 + ESCAPED_QUOTES, b'{"a":"' + ESCAPED_QUOTES + b"[" * 33):
        try:
            parse_object(text, 32)
        except ValueError:
            continue
        raise AssertionError("it has no end")
    assert time.process_time() - started < 1


def test_brackets_in_strings_are_no_nesting() -> None:
    claims = {"a": "[" * 40 + '"' + "{" * 40, "b": "\\", "c": ["]"]}
    assert parse_object(json.dumps(claims).encode(), 2) == claims


@pytest.mark.parametrize("alg", [["RS256"], {}, 5, True, ""])
def test_a_key_whose_alg_is_no_name_leaves_the_others_in_use(alg: object) -> None:
    public_key = generate_private_key("EdDSA").public_key()
    good = {"kid": "good", **public_jwk(from_public_key(public_key))}
    keys = from_jwks({"keys": [{**good, "kid": "odd", "alg": alg}, good]})
    assert [one.key_id for one in keys.keys] == ["good"]
    assert [one.key_id for one in keys.unusable] == ["odd"]


@pytest.mark.parametrize(
    ("fields", "claims"),
    [
        pytest.param({"consumer": "jack"}, {"user.key": "jills"}, id="the key of a consumer"),
        pytest.param({"signer": "internal"}, {"tenant.id": "bank"}, id="a claim of the signer"),
        pytest.param({"signer": "internal"}, {"tenant.": {"id": 1}}, id="a part of its name"),
    ],
)
async def test_a_dotted_name_cannot_stand_in_for_a_fixed_claim(
    tmp_path: Path, fields: dict[str, str], claims: dict[str, object]
) -> None:
    async with running(tmp_path, listener("grpcio") + NESTED) as sidecar:
        with fails(grpc.StatusCode.INVALID_ARGUMENT, "NAME_RESERVED", "claims_json"):
            await sidecar.issue(**fields, claims_json=json.dumps(claims))


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[str]:
    """The URL of a server that answers so, and not at all where that is empty."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer:
            writer.write(answer)
            writer.close()
        else:
            await reader.read()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


@in_simulated_time_with_sockets
async def test_waiting_for_a_server_that_hangs_is_not_counted_against_another() -> None:
    async with (
        answering(b"") as hanging,
        answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}") as good,
    ):
        download = downloader(100)
        places = Places(1)
        hang = places.run("slow", lambda: download(hanging, Access(0.6), None))
        slow = asyncio.ensure_future(hang)
        await asyncio.sleep(0.1)
        answer = await places.run("good", lambda: download(good, Access(0.3), None))
        assert answer.body == b"{}"
        with pytest.raises(DownloadFailed, match=r"did not answer within 0\.6 s"):
            await slow


def test_a_socket_below_a_file_is_named_with_the_cause(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ListenFailed, match=r"file/s\.sock can't be listened on: Not a directory"):
        check_free(Address(path=str(tmp_path / "file" / "s.sock")))


def test_a_socket_whose_process_hangs_is_in_use(tmp_path: Path) -> None:
    path = str(tmp_path / "s.sock")
    with socket.socket(socket.AF_UNIX) as hanging, socket.socket(socket.AF_UNIX) as waiting:
        hanging.bind(path)
        hanging.listen(0)
        waiting.connect(path)
        with pytest.raises(ListenFailed, match="is in use by another process"):
            check_free(Address(path=path))


@pytest.mark.parametrize(
    "value",
    [
        Minted("TOKEN", "signer", "jti", "kid", "ES256", 1, 2),
        Request("TOKEN"),
        HttpRequest("GET", "host", "/?access_token=TOKEN", {"authorization": ("TOKEN",)}),
    ],
)
def test_no_repr_has_the_token(value: object) -> None:
    assert "TOKEN" not in repr(value)


@pytest.mark.parametrize(
    "uri", ["https://[keys", "https://keys/\nERROR forged", "https://k\0", "x"]
)
async def test_a_jwks_uri_that_is_no_url_is_refused_as_such(uri: str) -> None:
    async def download(*_: object) -> Answer:
        return Answer(json.dumps({"issuer": "https://i", "jwks_uri": uri}).encode())

    with pytest.raises(DownloadFailed, match=r"has the jwks_uri .*; it must be a URL") as caught:
        await Location("https://i", download, Access(1)).url()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "demand",
    [
        pytest.param({"a" + ".a" * 30_000: 1}, id="a path of dots"),
        pytest.param({"a": ["b" * 70_000]}, id="more than any token"),
    ],
)
async def test_required_claims_are_bounded(tmp_path: Path, demand: dict[str, object]) -> None:
    async with running(tmp_path, listener("grpcio") + NESTED) as sidecar:
        with fails(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", "required_claims_json"):
            await sidecar.validate("x", required_claims_json=json.dumps(demand))


async def test_many_demands_on_a_large_token_cost_their_sum(tmp_path: Path) -> None:
    large = "limits: {token_bytes: 1MiB}\n"
    async with running(tmp_path, listener("grpcio") + NESTED + large) as sidecar:
        claims = {"scope": " ".join(map(str, range(50_000))), "n": list(range(50_000))}
        token = await sidecar.issue(consumer="jack", claims_json=json.dumps(claims))
        assert (await sidecar.validate(token, required_claims_json='{"n": 49999}')).valid
        started = time.process_time()
        demand = json.dumps({"n": list(range(-9_000, 0))})
        assert not (await sidecar.validate(token, required_claims_json=demand)).valid
        scopes = list(map(str, range(40_000, 60_000)))
        assert not (await sidecar.validate(token, scopes=scopes)).valid
        assert time.process_time() - started < 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123456789",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        b"no HTTP\r\n\r\n",
        b"",
    ],
)
async def test_clients_and_the_log_never_see_the_query_of_a_url(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, answer: bytes
) -> None:
    async with answering(answer) as url:
        issuer = f"""
        issuers:
          - name: corp
            issuer: https://corp.example
            keys: {{url: '{url}?key=MARKER', timeout: 200ms}}
            audiences: "*"
        limits: {{keys_bytes: 5}}
        """
        at = listener("grpcio", services="validate")
        async with running(tmp_path, at + textwrap.dedent(issuer)) as sidecar:
            token = jwt.encode({"iss": "https://corp.example"}, SECRET, "HS256")
            header = jwt.utils.base64url_encode(b'{"alg":"RS256"}').decode()
            await asyncio.sleep(0.3)
            refusal = await sidecar.validate(".".join([header, *token.split(".")[1:]]))
    assert f"from {url}" in refusal.message
    assert "MARKER" not in refusal.message + caplog.text


async def test_no_cache_keeps_where_another_client_says_the_keys_are(tmp_path: Path) -> None:
    port = free_port()
    http = f"http: {{address: '127.0.0.1:{port}'}}\n"
    async with running(tmp_path, listener("grpcio") + NESTED + http), ClientSession() as client:
        url = f"http://127.0.0.1:{port}/.well-known/openid-configuration"
        async with client.get(url, headers={"host": "mallory.example"}) as answer:
            assert answer.headers["cache-control"] == "no-store"
