"""No token is in a text that leaves the client, whatever the sidecar says."""

import logging
import traceback

import pytest

from jwt_sidecar_client import AsyncClient, Client, Proof, SidecarUnavailable, TokenRefused
from jwt_sidecar_client.request import validation
from tests import sidecars

SECRET = "no-case-has-this.name-so.the-peer-quotes-it"


def test_a_peer_that_quotes_the_token_is_not_repeated(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(SidecarUnavailable) as caught:
        client.validate(SECRET)
    assert "no case '[secret]'" in str(caught.value)
    assert SECRET not in everything_told_by(caught.value) + caplog.text


def test_what_is_no_secret_spoils_no_message() -> None:
    with Client(sidecars.free_address()) as client, pytest.raises(SidecarUnavailable) as caught:
        client.validate("a")
    assert "[secret]" not in str(caught.value)


async def test_a_peer_that_quotes_the_token_is_not_repeated_to_a_loop(
    aio_client: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(SidecarUnavailable) as caught:
        await aio_client.validate(SECRET)
    assert "no case '[secret]'" in str(caught.value)
    assert SECRET not in everything_told_by(caught.value) + caplog.text


def test_what_is_issued_is_not_shown(real_client: Client) -> None:
    issued = real_client.issue(subject="alice", with_refresh_token=True)
    token = real_client.validate(issued.token)
    explained = real_client.explain(issued.token, audiences=["billing"])
    for secret in (issued.token, issued.refresh_token, *issued.token.split(".")):
        assert secret not in f"{issued!r}{token!r}{explained!r}"
    with pytest.raises(TokenRefused) as caught:
        real_client.validate(issued.token + "x")
    assert issued.token not in everything_told_by(caught.value)


def test_a_proof_is_not_shown() -> None:
    assert SECRET not in repr(Proof(dpop=SECRET))


@pytest.mark.parametrize("token", [f"{SECRET}\ud800", "\udfff"])
def test_a_token_that_is_no_text_is_refused(client: Client, token: str) -> None:
    with pytest.raises(TokenRefused) as caught:
        client.validate(token)
    assert caught.value.reason == "TOKEN_MALFORMED"
    assert caught.value.http_status == 401
    assert token not in everything_told_by(caught.value)
    for call in (client.explain, client.refresh, lambda one: client.revoke(token=one)):
        with pytest.raises(TokenRefused):
            call(token)


def test_a_proof_that_is_no_text_is_refused() -> None:
    with pytest.raises(TokenRefused) as caught:
        validation("a.b.c", proof=Proof(dpop=f"{SECRET}\ud800"))
    assert caught.value.reason == "PROOF_INVALID"
    assert SECRET not in everything_told_by(caught.value)


@pytest.mark.parametrize(
    "caller_token", [f"{SECRET}\n", f"{SECRET}\u00e9", "", f"{SECRET} {SECRET}"]
)
def test_a_caller_token_that_is_none_is_not_shown(scripted: str, caller_token: str) -> None:
    with Client(scripted, timeout=10, caller_token=caller_token) as client:
        with pytest.raises(ValueError, match="a token alone") as caught:
            client.validate("valid")
        assert SECRET not in everything_told_by(caught.value)


def everything_told_by(error: BaseException) -> str:
    return repr(error) + "".join(traceback.format_exception(error)) + repr(error.__context__)
