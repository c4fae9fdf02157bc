"""What a provider answers, and which keys serve after it."""

import logging

import pytest

from tests.simulated_time import in_simulated_time
from tests.unit.keys.provider import (
    ANSWERS_500,
    EMPTY,
    HANGS,
    HTML,
    K1,
    K2,
    SYMMETRIC,
    URL,
    Provider,
    Script,
    running,
    until,
)
from tests.unit.parties import jwk, jwks

SET = f"the JWK Set at {URL}"
BAD = [
    pytest.param(ANSWERS_500, "https://login.example.com/jwks answers 500", id="500"),
    pytest.param(HANGS, "https://login.example.com/jwks did not answer within 5 s", id="hangs"),
    pytest.param(
        HTML,
        f"{SET} can't be used: it is not JSON: Expecting value at character 0",
        id="HTML",
    ),
    pytest.param(
        b'{"error":"busy"}',
        f'{SET} can\'t be used: it is no JWK Set: "keys" must be an array and is absent',
        id="no keys member",
    ),
    pytest.param(b"\xff", f"{SET} can't be used: it is not UTF-8", id="not UTF-8"),
    pytest.param(EMPTY, f"{SET} has no usable key: it is empty", id="empty"),
    pytest.param(
        SYMMETRIC,
        f'{SET} has no usable key: keys[0] (kid "h1"): it is a symmetric key, which never '
        "comes from a key set",
        id="symmetric only",
    ),
    pytest.param(
        jwks(jwk("e1", use="enc")),
        f'{SET} has no usable key: keys[0] (kid "e1"): its use is "enc", not "sig"',
        id="for encryption only",
    ),
]


@pytest.mark.parametrize(("answer", "problem"), BAD)
@in_simulated_time
async def test_a_first_fetch_that_fails_gives_no_keys_and_says_why(
    answer: Script, problem: str
) -> None:
    async with running(Provider(answer)) as issuer:
        await until(5)
        assert (issuer.key_ids(), issuer.problem) == (None, problem)


@pytest.mark.parametrize(("answer", "problem"), BAD)
@in_simulated_time
async def test_old_keys_outlive_a_fetch_that_fails(answer: Script, problem: str) -> None:
    async with running(Provider(K1, answer, K2), refresh=600) as issuer:
        await until(605)
        assert (issuer.published[1][1:]) == (("k1",), problem)
        await until(607)
        assert (issuer.key_ids(), issuer.problem) == (("k2",), "")


@in_simulated_time
async def test_an_error_of_ours_is_a_failed_fetch_too() -> None:
    async with running(Provider(K1, ZeroDivisionError("MARKER"), K2), refresh=600) as issuer:
        await until(600)
        assert (issuer.key_ids(), issuer.problem) == (("k1",), "an internal error; see the log")
        await until(601)
        assert issuer.key_ids() == ("k2",)


def test_unusable_members_are_warned_about_once(caplog: pytest.LogCaptureFixture) -> None:
    mixed = jwks(jwk("k1"), jwk("e1", use="enc"))
    both = jwks(jwk("k1"), jwk("e1", use="enc"), jwk("e2", use="enc"))

    @in_simulated_time
    async def fetch_five_times() -> None:
        async with running(Provider(mixed, mixed, ANSWERS_500, mixed, both), refresh=100) as issuer:
            await until(310)
            assert issuer.key_ids() == ("k1",)

    fetch_five_times()
    warned = [one.getMessage() for one in caplog.records if "unusable" in one.getMessage()]
    assert [one.partition('(kid "')[2][:2] for one in warned] == ["e1", "e1", "e2"]


def test_no_key_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = jwk("s1", kty="oct", k="MARKER")
    private = jwk("p1", d="MARKER")

    @in_simulated_time
    async def fetch() -> None:
        async with running(Provider(jwks(secret, private), jwks(jwk(), secret, private))) as issuer:
            await until(1)
            assert "MARKER" not in repr(issuer.published)

    fetch()
    assert "unusable key" in caplog.text
    assert "MARKER" not in caplog.text


@pytest.mark.parametrize(
    "member",
    [
        pytest.param(jwk("x", kty="WAT"), id="unknown kty"),
        pytest.param(jwk("x", alg=["EdDSA"]), id="alg is an array"),
        pytest.param(jwk("x", alg={}), id="alg is an object"),
        pytest.param(jwk("x", crv=["Ed25519"]), id="crv is an array"),
        pytest.param(jwk("x", use=["sig"]), id="use is an array"),
        pytest.param(jwk("x", key_ops={"verify": 1}), id="key_ops is an object"),
        pytest.param({**jwk(), "kid": 7}, id="kid is a number"),
        pytest.param({**jwk(), "kid": ["x"]}, id="kid is an array"),
        pytest.param("k", id="a string"),
        pytest.param(None, id="null"),
        pytest.param([], id="an array"),
    ],
)
@in_simulated_time
async def test_one_strange_member_spoils_no_set(member: object) -> None:
    async with running(Provider(jwks(member, jwk("k1")))) as issuer:
        assert issuer.published == [(0, ("k1",), "")]
