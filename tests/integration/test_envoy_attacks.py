"""What clients try on a real Envoy that lets requests through where the sidecar fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from yarl import URL

from tests.integration.test_envoy import Stage, bearer, mint, set_up

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[True, False])
async def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    """With `encode_raw_headers` and without, and with the transport that is chosen by itself."""
    directory = tmp_path_factory.mktemp("envoy")
    async with AsyncExitStack() as stack:
        yield await set_up(stack, directory, "auto", request.param, allow=True)


def nested(levels: int) -> object:
    """Objects in objects."""
    claim: object = "x"
    for _ in range(levels):
        claim = {"a": claim}
    return claim


@pytest.mark.parametrize("levels", [1, 31])
async def test_claims_as_deep_as_they_may_be_leave_the_answer_readable(
    stage: Stage, levels: int
) -> None:
    seen = (await stage.get("/", bearer(mint(deep=nested(levels))), ("x-consumer", "mallory"))).seen
    assert "x-consumer" not in seen
    assert '"subject":"alice"' in seen["x-metadata"]
    assert '"deep":' in seen["x-metadata"]


@pytest.mark.parametrize("name", ["x_jwt_subject", "X-Jwt_Subject", "x_consumer", "X_PLAN"])
async def test_a_header_that_cgi_takes_for_a_forwarded_one_is_removed(
    stage: Stage, name: str
) -> None:
    seen = (await stage.get("/", bearer(mint()), (name, "mallory"))).seen
    assert "mallory" not in seen.values()
    assert seen["x-jwt-subject"] == "alice"


@pytest.mark.parametrize("spelled", ["access%5Ftoken", "%61ccess_token", "access%5ftoke%6e"])
async def test_a_token_in_the_query_is_taken_out_however_its_name_is_spelled(
    stage: Stage, spelled: str
) -> None:
    answer = await stage.get(f"/a?x=1&{spelled}={mint()}&y=2")
    assert answer.seen["x-jwt-subject"] == "alice"
    assert answer.body["target"] == "/a?x=1&y=2"


HEADERS, RESET, SETTINGS = 1, 3, 4
ENDS = 0x05  # END_HEADERS and END_STREAM
GET = b"\x82\x84\x86\x01\x01x"  # :method GET, :path /, :scheme http, :authority x (RFC 7541)
STATUS_200 = 0x88


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame of HTTP/2 (RFC 9113, section 4.1)."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream.to_bytes(4, "big") + payload


async def passed_beside_resets(stage: Stage) -> int:
    """How many of ten requests without a token pass; ninety more are reset in the same write."""
    waiting = set(range(1, 200, 20))
    sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0)
    for stream in range(1, 200, 2):
        sent += frame(HEADERS, ENDS, stream, GET)
        if stream not in waiting:
            sent += frame(RESET, 0, stream, b"\0\0\0\x08")
    url = URL(stage.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(sent)
    passed = 0
    async with asyncio.timeout(10):
        while waiting:
            head = await reader.readexactly(9)
            payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
            stream = int.from_bytes(head[5:], "big")
            if head[3] == HEADERS and stream in waiting:
                waiting.remove(stream)
                passed += payload[0] == STATUS_200
    writer.close()
    return passed


async def test_requests_that_are_reset_let_no_others_through(stage: Stage) -> None:
    assert [await passed_beside_resets(stage) for _ in range(5)] == [0] * 5
