"""What is not minted: with which reason, and which field is at fault."""

from dataclasses import replace
from typing import Any

import pytest

from sidecar.token.mint import Order, mint
from sidecar.token.reason import CallFailed, ErrorReason
from sidecar.token.signing import from_private_key
from sidecar.token.snapshot import Consumers, Limits, Refreshing, Signer
from tests.authors import author
from tests.tokens import JACK, NOW, consumer, consumers, world

INVALID, RESERVED = ErrorReason.FIELD_INVALID, ErrorReason.NAME_RESERVED
NOT_CONFIGURED, NOT_GRANTABLE = ErrorReason.NOT_CONFIGURED, ErrorReason.NOT_GRANTABLE
KEY = from_private_key(author().private_key, "ES256", "key-1")
SIGNER = Signer("internal", "https://tokens.example", (KEY,), claims={"env": "prod"})
GRANTING = Signer("internal", "https://tokens.example", (KEY,), scopes=frozenset({"read"}))
OTHER = Signer("external", "https://other.example", (KEY,))
OFF = replace(consumer("off", JACK), disabled=True)
JACKS = consumers(consumer("jack", JACK), consumer("rsa", author("RS256", None)), OFF)
HEADERS, ENV = '{"tenant":"blue"}', '{"env":1}'


def order(*parties: Signer | Consumers | Limits, **fields: Any) -> CallFailed:
    """Why this order fails where these are configured, or SIGNER alone."""
    if not any(isinstance(one, Signer | Consumers) for one in parties):
        parties = (SIGNER, *parties)
    with pytest.raises(CallFailed) as failed:
        mint(Order(**fields), world(*parties), NOW, "new-id")
    return failed.value


def assert_failed(failed: CallFailed, reason: ErrorReason, field: str, words: str) -> None:
    assert (failed.reason, failed.field) == (reason, field), failed.message
    assert words in failed.message


@pytest.mark.parametrize(
    ("fields", "reason", "field", "words"),
    [
        pytest.param({"signer": "nobody"}, NOT_CONFIGURED, "signer", '["internal"]', id="signer"),
        pytest.param({"signer": "Internal"}, NOT_CONFIGURED, "signer", '"Internal"', id="case"),
        pytest.param({"lifetime": 3601.0}, NOT_GRANTABLE, "lifetime", "1 h", id="3601"),
        pytest.param({"lifetime": 3600.001}, NOT_GRANTABLE, "lifetime", "1 h", id="a moment more"),
        pytest.param({"lifetime": 0.999}, INVALID, "lifetime", "one second", id="under a second"),
        pytest.param({"lifetime": 0.0}, INVALID, "lifetime", "one second", id="no lifetime"),
        pytest.param({"lifetime": -60.0}, INVALID, "lifetime", "one second", id="negative"),
        pytest.param({"lifetime": float("nan")}, INVALID, "lifetime", "second", id="not a number"),
        pytest.param({"lifetime": float("inf")}, INVALID, "lifetime", "second", id="infinite"),
        pytest.param(
            {"not_before_time": NOW + 900.0}, INVALID, "not_before_time", "expire", id="nbf is exp"
        ),
        pytest.param(
            {"not_before_delay": 900.0}, INVALID, "not_before_delay", "expire", id="delay to exp"
        ),
        pytest.param(
            {"not_before_delay": -1.0}, INVALID, "not_before_delay", "negative", id="delay under 0"
        ),
        pytest.param(
            {"not_before_time": -1.0}, INVALID, "not_before_time", "1970", id="nbf before 1970"
        ),
        pytest.param(
            {"not_before_time": 1e12}, INVALID, "not_before_time", "9999", id="nbf after 9999"
        ),
        pytest.param(
            {"not_before_time": float("nan")}, INVALID, "not_before_time", "1970", id="nbf NaN"
        ),
        pytest.param(
            {"not_before_delay": float("inf")}, INVALID, "not_before_delay", "9999", id="endless"
        ),
        pytest.param({"audiences": ("",)}, INVALID, "audiences", "empty", id="an empty audience"),
        pytest.param({"audiences": ("a", "")}, INVALID, "audiences", "empty", id="the second"),
        pytest.param({"scopes": ("",)}, INVALID, "scopes", "no scope", id="an empty scope"),
        pytest.param({"scopes": ("a b",)}, INVALID, "scopes", '"a b" is no', id="two in one"),
        pytest.param({"scopes": ("a\n",)}, INVALID, "scopes", "no scope", id="with a newline"),
        pytest.param({"scopes": ('a"',)}, INVALID, "scopes", "no scope", id="with a quote"),
        pytest.param({"scopes": ("a\\b",)}, INVALID, "scopes", "no scope", id="with a backslash"),
        pytest.param({"scopes": ("\u00e4",)}, INVALID, "scopes", "no scope", id="not ASCII"),
        pytest.param({"algorithm": "RS256"}, NOT_GRANTABLE, "algorithm", ": ES256", id="algorithm"),
        pytest.param({"algorithm": "none"}, NOT_GRANTABLE, "algorithm", '"none"', id="none"),
        pytest.param({"algorithm": "es256"}, NOT_GRANTABLE, "algorithm", '"es256"', id="its case"),
        pytest.param(
            {"with_refresh_token": True},
            NOT_GRANTABLE,
            "with_refresh_token",
            "internal",
            id="refresh token",
        ),
        pytest.param({"claims_json": "[]"}, INVALID, "claims_json", "an array", id="an array"),
        pytest.param({"claims_json": "{"}, INVALID, "claims_json", "not JSON", id="no JSON"),
        pytest.param({"claims_json": '{"a":1,"a":2}'}, INVALID, "claims_json", "twice", id="twice"),
        pytest.param({"claims_json": '{"a":NaN}'}, INVALID, "claims_json", "NaN", id="NaN"),
        pytest.param({"claims_json": '{"a":1e999}'}, INVALID, "claims_json", "range", id="1e999"),
        pytest.param(
            {"claims_json": '{"a":' * 33 + "1" + "}" * 33}, INVALID, "claims_json", "32", id="depth"
        ),
        pytest.param({"claims_json": '"\ud800"'}, INVALID, "claims_json", "JSON", id="surrogate"),
        pytest.param({"claims_json": ENV}, RESERVED, "claims_json", '"env"', id="signer's"),
        pytest.param(
            {"claims_json": '{"env.x":1}'}, RESERVED, "claims_json", '"env.x"', id="hiding it"
        ),
        pytest.param({"headers_json": "1"}, INVALID, "headers_json", "a number", id="a number"),
        pytest.param({"headers_json": '{"cty":1}'}, INVALID, "headers_json", "cty", id="cty"),
        pytest.param(
            {"critical_headers": ("tenant",)}, INVALID, "critical_headers", '"tenant"', id="crit"
        ),
        pytest.param(
            {"critical_headers": ("tenant", "tenant"), "headers_json": HEADERS},
            INVALID,
            "critical_headers",
            "twice",
            id="crit twice",
        ),
        pytest.param(
            {"critical_headers": ("cty",), "headers_json": '{"cty":"json"}'},
            INVALID,
            "critical_headers",
            '"cty" is never critical',
            id="crit with a registered name",
        ),
        pytest.param(
            {"critical_headers": ("alg",), "headers_json": HEADERS},
            INVALID,
            "critical_headers",
            '"alg"',
            id="crit with a reserved name",
        ),
    ],
)
def test_an_order_that_can_not_be_met_names_the_field(
    fields: dict[str, Any], reason: ErrorReason, field: str, words: str
) -> None:
    assert_failed(order(**fields), reason, field, words)


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"])
@pytest.mark.parametrize("spelling", ["{name}", "\\u{code:04x}{rest}"])
def test_a_registered_claim_is_not_given(name: str, spelling: str) -> None:
    """Also not spelled with an escape."""
    text = spelling.format(name=name, code=ord(name[0]), rest=name[1:])
    failed = order(claims_json=f'{{"{text}":1}}')
    assert_failed(failed, RESERVED, "claims_json", f'"{name}"')


@pytest.mark.parametrize(
    "name",
    ["alg", "typ", "kid", "crit", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "b64"],
)
def test_a_reserved_header_parameter_is_not_given(name: str) -> None:
    failed = order(headers_json=f'{{"{name}":"x"}}')
    assert_failed(failed, RESERVED, "headers_json", f'"{name}"')


@pytest.mark.parametrize("name", ["scope", "scp"])
def test_scopes_are_not_smuggled_in_as_claims(name: str) -> None:
    claims = f'{{"{name}":"admin"}}'
    assert_failed(order(GRANTING, claims_json=claims), RESERVED, "claims_json", f'"{name}"')
    beside = order(claims_json=claims, scopes=("read",))
    assert_failed(beside, RESERVED, "claims_json", f'"{name}"')


def test_only_the_signers_scopes_are_granted() -> None:
    for scopes in (("admin",), ("read", "admin")):
        failed = order(GRANTING, scopes=scopes)
        assert_failed(failed, NOT_GRANTABLE, "scopes", '"admin" is not one')
        assert '["read"]' in failed.message


@pytest.mark.parametrize("fixed", ["scope", "scp"])
def test_scopes_that_a_signer_fixes_are_neither_replaced_nor_hidden(fixed: str) -> None:
    """`scope` is read before `scp`, so either could stand in for the other."""
    fixing = Signer("internal", "https://tokens.example", (KEY,), claims={fixed: "read"})
    assert_failed(order(fixing, scopes=("admin",)), NOT_GRANTABLE, "scopes", f"fixes {fixed}")
    for name in ("scope", "scp"):
        failed = order(fixing, claims_json=f'{{"{name}":"admin"}}')
        assert_failed(failed, RESERVED, "claims_json", f'"{name}"')


def test_without_a_signer_none_is_found() -> None:
    failed = order(consumers(), subject="alice")
    assert_failed(failed, NOT_CONFIGURED, "signer", "no signer is configured")


def test_without_consumers_none_is_found() -> None:
    assert_failed(order(SIGNER, consumer="jack"), NOT_CONFIGURED, "consumer", '"jack"')


def test_a_signer_whose_keys_are_away_mints_nothing() -> None:
    failed = order(replace(SIGNER, keys=()))
    assert_failed(failed, ErrorReason.STORE_UNAVAILABLE, "", "try again")


def test_beside_a_refresh_token_a_jti_is_one_that_can_be_revoked() -> None:
    party = replace(SIGNER, refresh=Refreshing(3600.0))
    failed = order(party, with_refresh_token=True, token_id="t" * 1025)
    assert_failed(failed, INVALID, "token_id", "1024")


def test_a_consumer_has_a_day_at_most_whatever_its_rules_say() -> None:
    failed = order(consumers(max_lifetime=604_800.0), consumer="jack", lifetime=86401.0)
    assert_failed(failed, NOT_GRANTABLE, "lifetime", "1 d")


def test_of_two_signers_one_must_be_named() -> None:
    assert_failed(order(SIGNER, OTHER), INVALID, "signer", '["internal", "external"]')


@pytest.mark.parametrize(
    ("fields", "reason", "field", "words"),
    [
        pytest.param({"consumer": "jill"}, NOT_CONFIGURED, "consumer", '"jack"', id="unknown"),
        pytest.param({"consumer": "off"}, NOT_CONFIGURED, "consumer", "disabled", id="disabled"),
        pytest.param({"consumer": "jack-key"}, NOT_CONFIGURED, "consumer", '"jack"', id="its key"),
        pytest.param(
            {"consumer": "jack", "signer": "internal"}, INVALID, "consumer", "not both", id="both"
        ),
        pytest.param(
            {"consumer": "jack", "scopes": ("admin",)},
            *(NOT_GRANTABLE, "scopes", "jack may grant"),
            id="a scope that its record does not grant",
        ),
        pytest.param(
            {"consumer": "jack", "subject": "root"},
            *(NOT_GRANTABLE, "subject", "claims_from_token"),
            id="a subject that would count for nothing",
        ),
        pytest.param(
            {"consumer": "jack", "claims_json": '{"scope": "admin"}'},
            *(ErrorReason.NAME_RESERVED, "claims_json", '"scope"'),
            id="a scope among the claims",
        ),
        pytest.param(
            {"consumer": "rsa"}, ErrorReason.KEY_UNFIT, "consumer", "public key", id="public key"
        ),
        pytest.param(
            {"consumer": "jack", "lifetime": 86401.0}, NOT_GRANTABLE, "lifetime", "1 d", id="a day"
        ),
        pytest.param(
            {"consumer": "jack", "algorithm": "HS512"},
            NOT_GRANTABLE,
            "algorithm",
            "HS256",
            id="alg",
        ),
        pytest.param(
            {"consumer": "jack", "claims_json": '{"key":"jill"}'},
            RESERVED,
            "claims_json",
            '"key"',
            id="the key claim",
        ),
        pytest.param(
            {"consumer": "jack", "claims_json": '{"iss":"https://corp.example"}'},
            RESERVED,
            "claims_json",
            '"iss"',
            id="iss",
        ),
        pytest.param(
            {"consumer": "jack", "with_refresh_token": True},
            NOT_GRANTABLE,
            "with_refresh_token",
            "jack",
            id="refresh token",
        ),
    ],
)
def test_an_order_for_a_consumer_that_can_not_be_met_names_the_field(
    fields: dict[str, Any], reason: ErrorReason, field: str, words: str
) -> None:
    assert_failed(order(SIGNER, JACKS, **fields), reason, field, words)


@pytest.mark.parametrize(
    ("key_claim", "claims"),
    [
        pytest.param("app.key", '{"app":{"key":"jill-key"}}', id="the object on the path"),
        pytest.param("app.key", '{"app.key":"jill-key"}', id="the whole path as a name"),
        pytest.param("a.b.c", '{"a.b":{"c":"jill-key"}}', id="a part of the path as a name"),
    ],
)
def test_a_consumer_is_not_made_another_by_an_additional_claim(key_claim: str, claims: str) -> None:
    """A name with dots is matched whole first, so it would hide the consumer's own key."""
    failed = order(consumers(key_claim=key_claim), consumer="jack", claims_json=claims)
    assert failed.reason is RESERVED


def test_a_consumers_key_in_sub_leaves_no_room_for_a_subject() -> None:
    failed = order(consumers(key_claim="sub"), consumer="jack", subject="alice")
    assert_failed(failed, INVALID, "subject", "leave the subject empty")


def test_a_token_that_would_be_too_large_is_not_minted() -> None:
    size = len(mint(Order(subject="a" * 300), world(SIGNER), NOW, "new-id").token)
    mint(Order(subject="a" * 300), world(SIGNER, Limits(token_bytes=size)), NOW, "new-id")
    failed = order(Limits(token_bytes=size - 1), subject="a" * 300)
    assert_failed(failed, ErrorReason.LIMIT_EXCEEDED, "", f"{size} bytes")


def test_no_message_holds_what_was_given_as_claims() -> None:
    for text in ('{"a":"s3cret"', '{"iss":"s3cret"}', '{"a":"s3cret","a":1}'):
        assert "s3cret" not in order(claims_json=text).message
