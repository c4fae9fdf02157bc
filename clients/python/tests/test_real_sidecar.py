"""Every call against a real sidecar."""

import json
import time
from datetime import datetime, timedelta, timezone

import pytest

from jwt_sidecar_client import (
    AsyncClient,
    CallRejected,
    Client,
    SubjectReference,
    TokenReference,
    TokenRefused,
)
from tests.tokens import of_jack

ISSUER = "https://tokens.example"


def test_what_is_issued_passes(real_client: Client) -> None:
    issued = real_client.issue(
        subject="alice",
        scopes=["orders:read"],
        lifetime=timedelta(minutes=5),
        claims={"roles": ["admin"], "address": {"city": "Bern"}},
    )
    token = real_client.validate(issued.token, scopes=["orders:read"], audiences=["orders"])
    assert (token.issuer_name, token.issuer, token.subject) == ("internal", ISSUER, "alice")
    assert (token.token_id, token.key_id) == (issued.token_id, issued.key_id)
    assert (token.issue_time, token.expire_time) == (issued.issue_time, issued.expire_time)
    assert token.expire_time
    assert token.expire_time.tzinfo is timezone.utc
    assert token.claims["roles"] == ("admin",)
    assert token.claims["address"]["city"] == "Bern"
    assert json.loads(token.claims_json)["roles"] == ["admin"]
    assert issued.refresh_token == ""


def test_a_consumers_token_passes(real_client: Client) -> None:
    token = real_client.validate(real_client.issue(consumer="jack").token)
    assert (token.consumer, token.issuer_name) == ("jack", "")


def test_the_required_claims_are_required(real_client: Client) -> None:
    token = real_client.issue(subject="alice", claims={"roles": ["admin"]}).token
    assert real_client.validate(token, required_claims={"roles": "admin"}).subject == "alice"
    with pytest.raises(TokenRefused) as caught:
        real_client.validate(token, required_claims={"roles": ["owner"]})
    assert caught.value.reason == "CLAIM_MISMATCH"


def test_a_consumer_grants_itself_nothing(real_client: Client) -> None:
    boast = of_jack(exp=time.time() + 60, sub="root", scope="orders:write", aud="orders")
    token = real_client.validate(boast)
    assert (token.subject, token.scopes, token.audiences) == ("", (), ())
    assert token.claims.keys() == {"key", "exp"}
    for demand, reason in (
        ({"scopes": ["orders:write"]}, "SCOPE_INSUFFICIENT"),
        ({"audiences": ["orders"]}, "AUDIENCE_MISMATCH"),
        ({"required_claims": {"sub": "root"}}, "CLAIM_MISSING"),
    ):
        with pytest.raises(TokenRefused) as caught:
            real_client.validate(boast, **demand)
        assert caught.value.reason == reason


def test_an_expired_token_is_refused(real_client: Client) -> None:
    assert real_client.validate(of_jack(exp=time.time() + 60)).consumer == "jack"
    with pytest.raises(TokenRefused) as caught:
        real_client.validate(of_jack(exp=time.time() - 3600))
    assert caught.value.reason == "EXPIRED"


@pytest.mark.parametrize(
    "not_before", [timedelta(minutes=5), datetime.now(timezone.utc) + timedelta(minutes=5)]
)
def test_a_token_for_later_is_refused(
    real_client: Client, not_before: datetime | timedelta
) -> None:
    token = real_client.issue(subject="alice", not_before=not_before).token
    with pytest.raises(TokenRefused) as caught:
        real_client.validate(token)
    assert caught.value.reason == "NOT_YET_VALID"


def test_a_token_for_another_audience_is_refused(real_client: Client) -> None:
    token = real_client.issue(subject="alice").token
    with pytest.raises(TokenRefused) as caught:
        real_client.validate(token, audiences=["billing"])
    assert caught.value.reason == "AUDIENCE_MISMATCH"


def test_a_token_without_the_scope_is_refused(real_client: Client) -> None:
    token = real_client.issue(subject="alice", scopes=["orders:read"]).token
    with pytest.raises(TokenRefused) as caught:
        real_client.validate(token, scopes=["orders:write"])
    assert caught.value.reason == "SCOPE_INSUFFICIENT"
    assert 'scope="orders:write"' in caught.value.www_authenticate("shop")


def test_a_token_that_is_none_is_refused(real_client: Client) -> None:
    for token, reason in {"": "TOKEN_MISSING", "a.b": "TOKEN_MALFORMED"}.items():
        with pytest.raises(TokenRefused) as caught:
            real_client.validate(token)
        assert caught.value.reason == reason


def test_a_refresh_token_works_once(real_client: Client) -> None:
    first = real_client.issue(subject="alice", scopes=["orders:read"], with_refresh_token=True)
    assert first.refresh_expire_time
    second = real_client.refresh(first.refresh_token)
    assert real_client.validate(second.token, scopes=["orders:read"]).subject == "alice"
    third = real_client.refresh(second.refresh_token)
    with pytest.raises(TokenRefused) as caught:
        real_client.refresh(first.refresh_token)
    assert (caught.value.reason, caught.value.http_status) == ("REPLAYED", 401)
    with pytest.raises(TokenRefused):  # its whole family went
        real_client.refresh(third.refresh_token)


def test_a_token_that_is_revoked_is_refused(real_client: Client) -> None:
    issued = real_client.issue(subject="alice")
    before = datetime.now(timezone.utc) - timedelta(seconds=2)
    assert real_client.revoke(token=issued.token, note="a test") > before
    assert_revoked(real_client, issued.token)


def test_a_token_is_revoked_by_its_name(real_client: Client) -> None:
    issued = real_client.issue(subject="alice")
    assert issued.expire_time
    real_client.revoke(token_reference=TokenReference(ISSUER, issued.token_id, issued.expire_time))
    assert_revoked(real_client, issued.token)


def test_all_tokens_of_a_subject_are_revoked(real_client: Client) -> None:
    issued = real_client.issue(subject="bob")
    later = datetime.now(timezone.utc) + timedelta(seconds=1)
    real_client.revoke(subject=SubjectReference(ISSUER, "bob", issued_before=later))
    assert_revoked(real_client, issued.token)


def test_a_family_of_refresh_tokens_is_revoked(real_client: Client) -> None:
    issued = real_client.issue(subject="alice", with_refresh_token=True)
    real_client.revoke(refresh_token=issued.refresh_token)
    with pytest.raises(TokenRefused):
        real_client.refresh(issued.refresh_token)


def test_one_target_is_revoked(real_client: Client) -> None:
    with pytest.raises(TypeError, match="name one of"):
        real_client.revoke()
    with pytest.raises(TypeError, match="name one of"):
        real_client.revoke(token="a.b.c", consumer="jack")


def test_every_check_is_explained(real_client: Client) -> None:
    issued = real_client.issue(subject="alice")
    passed = real_client.explain(issued.token)
    assert passed.refusal is None
    assert json.loads(passed.unverified_claims_json)["sub"] == "alice"
    refused = real_client.explain(issued.token, audiences=["billing"])
    assert refused.refusal
    assert refused.refusal.reason == "AUDIENCE_MISMATCH"
    failed = [one for one in refused.checks if one.outcome == "FAILED"]
    assert [(one.name, one.reason) for one in failed] == [("audience", "AUDIENCE_MISMATCH")]
    assert "billing" in failed[0].detail
    assert {one.reason for one in refused.checks if one.outcome == "PASSED"} == {""}


def test_the_keys_are_published(real_client: Client) -> None:
    issued = real_client.issue(subject="alice")
    keys = json.loads(real_client.jwks())["keys"]
    assert issued.key_id in [key["kid"] for key in keys]


def test_a_wrong_call_is_rejected(real_client: Client) -> None:
    with pytest.raises(CallRejected) as caught:
        real_client.issue(signer="unheard-of", subject="alice")
    assert caught.value.error_reason == "NOT_CONFIGURED"
    assert "unheard-of" in str(caught.value)


async def test_every_asynchronous_call(real: str) -> None:
    async with AsyncClient(real, timeout=10) as client:
        issued = await client.issue(subject="alice", with_refresh_token=True)
        assert (await client.validate(issued.token)).subject == "alice"
        assert (await client.explain(issued.token)).refusal is None
        assert issued.key_id in await client.jwks()
        issued = await client.refresh(issued.refresh_token)
        await client.revoke(token=issued.token)
        with pytest.raises(TokenRefused) as caught:
            await client.validate(issued.token)
        assert caught.value.reason == "REVOKED"


def assert_revoked(client: Client, token: str) -> None:
    with pytest.raises(TokenRefused) as caught:
        client.validate(token)
    assert caught.value.reason == "REVOKED"
