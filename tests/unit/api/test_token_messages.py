import json
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from sidecar.api.token_service import issue_response, validate_response
from sidecar.engine import Engine
from sidecar.token.mint import Minted
from sidecar.token.request import Request, Verified
from sidecar.v1 import token_service_pb2 as messages
from tests.unit.parties import ISS, NOW, consumer, key_set, snapshot, token, verified


async def validated(shown: str, kid: str | None = "k1") -> messages.Token:
    """The message of a token that was really verified."""
    engine = Engine(snapshot(key_set(kid)), lambda: NOW, lambda: "id-1")
    verdict = await engine.decide(Request(shown))
    assert isinstance(verdict, Verified)
    return validate_response(verdict).token


async def test_every_field_of_an_issuers_token() -> None:
    claims: dict[str, Any] = {
        "iss": ISS,
        "sub": "alice",
        "aud": ["orders", "stock"],
        "exp": NOW + 60,
        "jti": "id-7",
        "iat": NOW - 1.5,
        "nbf": NOW - 0.25,
        "scope": "orders:read orders:write",
    }
    answer = await validated(token(**claims))
    assert answer == messages.Token(
        issuer_name="corp",
        issuer=ISS,
        subject="alice",
        audiences=["orders", "stock"],
        token_id="id-7",
        scopes=["orders:read", "orders:write"],
        issue_time=Timestamp(seconds=int(NOW) - 2, nanos=500_000_000),
        not_before_time=Timestamp(seconds=int(NOW) - 1, nanos=750_000_000),
        expire_time=Timestamp(seconds=int(NOW) + 60),
        key_id="k1",
        algorithm="EdDSA",
        claims_json=answer.claims_json,
    )
    assert json.loads(answer.claims_json) == claims


@pytest.mark.parametrize(
    ("claims", "asked", "insufficient"),
    [
        pytest.param({"exp": NOW - 60}, {"audiences": ("orders",)}, False, id="expired"),
        pytest.param({"aud": "web"}, {}, False, id="the issuer's audience"),
        pytest.param({}, {"audiences": ("web",)}, True, id="the caller's audience"),
        pytest.param({}, {"scopes": ("write",)}, True, id="the caller's scope"),
    ],
)
async def test_an_answer_says_whether_the_caller_asked_for_what_the_token_lacks(
    claims: dict[str, Any], asked: dict[str, Any], insufficient: bool
) -> None:
    engine = Engine(snapshot(key_set("k1")), lambda: NOW, lambda: "id-1")
    answer = validate_response(await engine.decide(Request(token(**claims), **asked)))
    assert not answer.valid
    assert answer.insufficient is insufficient


async def test_what_is_absent_is_empty_or_unset() -> None:
    answer = await validated(token(kid=None), kid=None)
    assert (answer.token_id, answer.key_id, answer.consumer) == ("", "", "")
    assert not answer.HasField("issue_time")
    assert not answer.HasField("not_before_time")
    assert list(answer.scopes) == []


@pytest.mark.parametrize(
    "signed",
    [
        pytest.param(b'{ "sub" : "alice",\n\t"n":1.500 }', id="white space and zeros"),
        pytest.param(b'{"sub":"Zo\\u00eb"}', id="escapes"),
        pytest.param('{"sub":"Zoë 文 🙂"}'.encode(), id="characters beyond ASCII"),
        pytest.param(b'{"z":1,"a":2}', id="order of names"),
        pytest.param(b'{"n":1234567890123456789012345678901234567890}', id="a long number"),
    ],
)
def test_claims_json_is_exactly_as_signed(signed: bytes) -> None:
    answer = validate_response(verified(json.loads(signed), claims_json=signed))
    assert answer.token.claims_json.encode() == signed


def test_a_consumers_token_names_no_issuer() -> None:
    answer = validate_response(verified({"key": "user-key"}, by=consumer("jack"))).token
    assert (answer.consumer, answer.issuer_name, answer.issuer, answer.subject) == (
        "jack",
        "",
        "",
        "",
    )


@pytest.mark.parametrize(
    ("claim", "nanos"),
    [
        pytest.param(NOW, 0, id="whole as a float"),
        pytest.param(int(NOW), 0, id="whole"),
        pytest.param(NOW + 0.5, 500_000_000, id="half"),
        pytest.param(NOW + 0.999_999, 999_999_046, id="as near as a double comes"),
    ],
)
async def test_fractions_of_a_second(claim: float, nanos: int) -> None:
    answer = await validated(token(iat=claim))
    assert answer.issue_time == Timestamp(seconds=int(NOW), nanos=nanos)


@pytest.mark.parametrize(
    ("expiry", "seconds"),
    [
        pytest.param(253402300799, 253402300799, id="the end of the year 9999"),
        pytest.param(253402300798.5, 253402300798, id="half a second earlier"),
    ],
)
async def test_the_last_expiry_that_there_is(expiry: Any, seconds: int) -> None:
    assert (await validated(token(exp=expiry))).expire_time.seconds == seconds


def test_an_issued_token() -> None:
    minted = Minted("a.b.c", "internal", "id-1", "k1", "ES256", 1_800_000_000, 1_800_000_900)
    assert issue_response(minted) == messages.IssueTokenResponse(
        token="a.b.c",
        token_id="id-1",
        key_id="k1",
        algorithm="ES256",
        issue_time=Timestamp(seconds=1_800_000_000),
        expire_time=Timestamp(seconds=1_800_000_900),
    )
