"""What a minted token says, field by field of the order, and that it validates."""

import json
from dataclasses import replace
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import get_default_algorithms

from sidecar.token.keyset import KeySet, parse_jwks
from sidecar.token.mint import Minted, Order, mint
from sidecar.token.signing import from_private_key, from_secret, public_jwks
from sidecar.token.snapshot import Consumers, Grants, Limits, Refreshing, Signer
from tests.authors import ALL_ALGORITHMS, author
from tests.tokens import (
    JACK,
    NOW,
    assert_passes,
    consumer,
    consumers,
    decode,
    issuer,
    judge,
    rules,
    world,
)

SIGNER_ISS = "https://tokens.example"


def signing_key(algorithm: str, key_id: str = "key-1") -> Any:
    by = author(algorithm)
    if algorithm.startswith("HS"):
        return from_secret(by.private_key, algorithm, key_id)
    return from_private_key(by.private_key, algorithm, key_id)


def signer(*algorithms: str, **changes: Any) -> Signer:
    keys = tuple(signing_key(one) for one in algorithms or ("ES256",))
    return Signer(**{"name": "internal", "issuer": SIGNER_ISS, "keys": keys, **changes})


def minted(*parties: Signer | Consumers | Limits, now: float = NOW, **order: Any) -> Minted:
    if not any(isinstance(one, Signer | Consumers) for one in parties):
        parties = (signer(), *parties)
    return mint(Order(**order), world(*parties), now, "new-id")


def header_and_claims(one: Minted) -> tuple[dict[str, Any], dict[str, Any]]:
    header, payload, _ = one.token.split(".")
    return json.loads(decode(header)), json.loads(decode(payload))


def claims_of(one: Minted) -> dict[str, Any]:
    return header_and_claims(one)[1]


@pytest.mark.parametrize("algorithm", ALL_ALGORITHMS)
def test_what_is_minted_validates_and_pyjwt_decodes_it(algorithm: str) -> None:
    one = signer(algorithm)
    token = minted(one, subject="alice", audiences=("orders",)).token
    if one.keys[0].public is None:
        keys = KeySet((author(algorithm).secret_key(),))
        key: Any = author(algorithm).private_key
    else:
        keys = parse_jwks(public_jwks([one]).encode())
        key = one.keys[0].public.material
    party = issuer("internal", SIGNER_ISS, keys, frozenset({algorithm}))
    assert assert_passes(judge(token, party)).claims["sub"] == "alice"
    if algorithm in get_default_algorithms():  # not Ed25519, Ed448 and ML-DSA
        unlimited = {"verify_exp": False, "verify_iat": False}
        claims = jwt.decode(token, key, [algorithm], audience="orders", options=unlimited)  # type: ignore[arg-type]
        assert claims["sub"] == "alice"


def test_an_empty_order_gives_a_token_with_only_what_must_be() -> None:
    one = minted()
    header, claims = header_and_claims(one)
    assert header == {"alg": "ES256", "typ": "JWT", "kid": "key-1"}
    assert claims == {"iss": SIGNER_ISS, "iat": NOW, "exp": NOW + 900, "jti": "new-id"}
    assert (one.signer_name, one.token_id) == ("internal", "new-id")
    assert (one.key_id, one.algorithm) == ("key-1", "ES256")
    assert (one.issue_time, one.expire_time) == (NOW, NOW + 900)


@pytest.mark.parametrize(
    ("order", "claims"),
    [
        pytest.param({"subject": "alice"}, {"sub": "alice"}, id="subject"),
        pytest.param(
            {"subject": "Zo\u00eb \U0001f600"}, {"sub": "Zo\u00eb \U0001f600"}, id="UTF-8"
        ),
        pytest.param({"audiences": ("a",)}, {"aud": "a"}, id="one audience is a string"),
        pytest.param({"audiences": ("a", "b")}, {"aud": ["a", "b"]}, id="two are an array"),
        pytest.param({"scopes": ("read",)}, {"scope": "read"}, id="one scope"),
        pytest.param({"scopes": ("read", "a:b/c")}, {"scope": "read a:b/c"}, id="two scopes"),
        pytest.param({"lifetime": 1.0}, {"exp": NOW + 1}, id="the shortest lifetime"),
        pytest.param({"lifetime": 3600.0}, {"exp": NOW + 3600}, id="the longest lifetime"),
        pytest.param({"not_before_time": NOW + 5.0}, {"nbf": NOW + 5}, id="not_before_time"),
        pytest.param({"not_before_time": 0.0}, {"nbf": 0}, id="not_before_time at the epoch"),
        pytest.param({"not_before_time": NOW + 899.0}, {"nbf": NOW + 899}, id="the latest"),
        pytest.param({"not_before_delay": 0.0}, {"nbf": NOW}, id="no delay"),
        pytest.param({"not_before_delay": 899.0}, {"nbf": NOW + 899}, id="the longest delay"),
        pytest.param({"token_id": "mine"}, {"jti": "mine"}, id="token_id"),
        pytest.param({"claims_json": '{"a":{"b":[1]}}'}, {"a": {"b": [1]}}, id="claims_json"),
        pytest.param({"claims_json": "{}"}, {}, id="claims_json is an empty object"),
        pytest.param({"claims_json": '{"scope":"x"}'}, {"scope": "x"}, id="scope of any signer"),
        pytest.param({"claims_json": '{"Iss":"x"}'}, {"Iss": "x"}, id="a name like a reserved"),
    ],
)
def test_each_field_is_written(order: dict[str, Any], claims: dict[str, Any]) -> None:
    written = claims_of(minted(**order))
    assert {name: written.get(name) for name in claims} == claims
    assert written.keys() == {"iss", "iat", "exp", "jti"} | claims.keys()


def test_additional_headers_are_written() -> None:
    one = minted(headers_json='{"tenant":"blue","b":2}', critical_headers=("tenant",))
    header, _ = header_and_claims(one)
    assert header["crit"] == ["tenant"]
    assert (header["tenant"], header["b"]) == ("blue", 2)


def test_the_signer_says_what_the_order_does_not() -> None:
    one = signer(
        audiences=("orders", "stock"), lifetime=60.0, claims={"env": "prod"}, type="at+jwt"
    )
    header, claims = header_and_claims(minted(one))
    assert header["typ"] == "at+jwt"
    assert (claims["aud"], claims["env"], claims["exp"]) == (["orders", "stock"], "prod", NOW + 60)
    assert claims_of(minted(one, audiences=("billing",)))["aud"] == "billing"


def test_the_first_key_signs_unless_an_algorithm_is_named() -> None:
    two = signer("ES256", "RS256", "HS256")
    assert minted(two).algorithm == "ES256"
    assert minted(two, algorithm="HS256").algorithm == "HS256"
    assert header_and_claims(minted(two, algorithm="RS256"))[0]["alg"] == "RS256"


def test_a_signer_is_found_by_name_or_is_the_only_one() -> None:
    two = (signer(), signer(name="external"))
    assert minted(*two, signer="external").signer_name == "external"
    assert minted(signer(name="external")).signer_name == "external"


def test_times_are_whole_seconds() -> None:
    one = minted(now=NOW + 0.9, lifetime=60.0, not_before_delay=0.5)
    claims = claims_of(one)
    assert (claims["iat"], claims["nbf"], claims["exp"]) == (NOW, NOW + 1, NOW + 60)
    assert all(type(claims[name]) is int for name in ("iat", "nbf", "exp"))


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_consumers_token_is_signed_with_its_own_secret(algorithm: str) -> None:
    grants = Grants(scopes=("read",), claims={"sub": "alice"})
    party = consumers(replace(consumer("jack", author(algorithm, None)), grants=grants))
    one = minted(party, signer(), consumer="jack", subject="alice", scopes=("read",))
    assert (one.signer_name, one.key_id, one.algorithm) == ("", "", algorithm)
    header, claims = header_and_claims(one)
    assert "kid" not in header
    assert (claims["key"], claims["sub"], claims["scope"]) == ("jack-key", "alice", "read")
    assert "iss" not in claims
    verified = assert_passes(judge(one.token, issuer(), party))
    assert verified.consumer is not None
    assert verified.consumer.name == "jack"


@pytest.mark.parametrize(
    ("grants", "order", "scopes", "sub"),
    [
        pytest.param({"scopes": ("a", "b")}, {}, ("a", "b"), None, id="all scopes of the record"),
        pytest.param({"scopes": ("a", "b")}, {"scopes": ("b",)}, ("b",), None, id="one of them"),
        pytest.param({"from_token": ("scope",)}, {"scopes": ("x",)}, ("x",), None, id="any scope"),
        pytest.param({"claims": {"sub": "billing"}}, {}, (), "billing", id="the record's sub"),
        pytest.param(
            {"claims": {"sub": "billing"}}, {"subject": "billing"}, (), "billing", id="named too"
        ),
        pytest.param({"from_token": ("sub",)}, {"subject": "alice"}, (), "alice", id="any subject"),
    ],
)
def test_what_a_consumers_token_was_ordered_with_counts(
    grants: dict[str, Any], order: dict[str, Any], scopes: tuple[str, ...], sub: str | None
) -> None:
    party = consumers(replace(consumer("jack", JACK), grants=Grants(**grants)))
    verified = assert_passes(judge(minted(party, consumer="jack", **order).token, party))
    assert (verified.scopes, verified.claims.get("sub")) == (scopes, sub)


@pytest.mark.parametrize("key_claim", ["key", "iss", "sub", "app.key", "https://x.example/key"])
def test_a_consumers_token_names_it_in_the_key_claim(key_claim: str) -> None:
    party = consumers(key_claim=key_claim)
    assert_passes(judge(minted(party, consumer="jack").token, party))


def test_a_consumers_token_is_for_the_audiences_that_consumers_need() -> None:
    party = consumers(audiences=frozenset({"stock", "orders"}))
    one = minted(party, consumer="jack")
    assert claims_of(one)["aud"] == ["orders", "stock"]
    assert_passes(judge(one.token, party))


def test_a_consumers_token_lives_no_longer_than_consumers_may() -> None:
    party = consumers(max_lifetime=60.0)
    assert_passes(judge(minted(party, consumer="jack").token, party))


def test_a_consumers_token_follows_the_consumers_own_rules() -> None:
    own = rules(audiences=frozenset({"stock"}), max_lifetime=60.0)
    jack = replace(consumer("jack", JACK), rules=own)
    party = consumers(jack, audiences=frozenset({"orders"}), max_lifetime=600.0)
    one = minted(party, consumer="jack")
    assert (claims_of(one)["aud"], one.expire_time) == ("stock", NOW + 60)
    assert_passes(judge(one.token, party))


def test_a_consumers_token_lives_a_quarter_of_an_hour_where_nothing_is_said() -> None:
    assert minted(consumers(), consumer="jack").expire_time == NOW + 900
    assert minted(consumers(max_lifetime=3600.0), consumer="jack").expire_time == NOW + 900


def test_a_consumers_key_in_sub_may_be_named_as_the_subject() -> None:
    party = consumers(key_claim="sub")
    assert claims_of(minted(party, consumer="jack", subject="jack-key"))["sub"] == "jack-key"


@pytest.mark.parametrize("rule", [None, 604_800.0])
def test_a_consumers_token_lives_a_day_at_most(rule: float | None) -> None:
    party = consumers(max_lifetime=rule)
    assert minted(party, consumer="jack", lifetime=86400.0).expire_time == NOW + 86400


def test_a_refresh_token_may_be_ordered_of_a_signer_that_issues_them() -> None:
    one = minted(signer(refresh=Refreshing(3600.0)), with_refresh_token=True, token_id="t" * 1024)
    assert one.token_id == "t" * 1024


def test_without_a_refresh_token_a_jti_may_be_longer() -> None:
    assert minted(token_id="t" * 1025).token_id == "t" * 1025


def test_one_key_may_sign_with_two_algorithms() -> None:
    """Both are published under one `kid`, and what either signs validates."""
    by = author("RS256").private_key
    keys = (from_private_key(by, "RS256", None), from_private_key(by, "PS256", None))
    one = signer(keys=keys)
    party = issuer("internal", SIGNER_ISS, parse_jwks(public_jwks([one]).encode()), audiences=None)
    for algorithm in ("RS256", "PS256"):
        assert_passes(judge(minted(one, algorithm=algorithm).token, party))


def test_a_jwk_set_publishes_public_keys_only() -> None:
    jwks = json.loads(public_jwks([signer("ES256", "HS256", "RS256"), signer("Ed25519")]))
    assert [one["kty"] for one in jwks["keys"]] == ["EC", "RSA", "OKP"]
    assert {one["use"] for one in jwks["keys"]} == {"sig"}
    assert not {"d", "k", "p", "q"} & {name for one in jwks["keys"] for name in one}


def test_a_jwk_set_names_the_algorithm_of_each_key_and_has_those_that_do_not_sign_too() -> None:
    one = signer("ES256", other_keys=(signing_key("RS256", "key-0"),))
    jwks = json.loads(public_jwks([one]))
    assert [(one["kid"], one["alg"]) for one in jwks["keys"]] == [
        ("key-1", "ES256"),
        ("key-0", "RS256"),
    ]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
NAMES = st.text(max_size=6).map("my {}".format)  # none of the names that mean something


@given(
    st.dictionaries(NAMES, JSON_VALUES, max_size=3),
    st.dictionaries(NAMES, JSON_VALUES, max_size=3),
    st.text(max_size=9),
)
def test_whatever_is_minted_validates(
    claims: dict[str, Any], headers: dict[str, Any], subject: str
) -> None:
    party = signer("HS256", audiences=("orders",))
    one = minted(
        party,
        subject=subject,
        claims_json=json.dumps(claims),
        headers_json=json.dumps(headers),
    )
    keys = KeySet((author("HS256").secret_key(),))
    verified = assert_passes(
        judge(one.token, issuer("internal", SIGNER_ISS, keys, frozenset({"HS256"})))
    )
    assert {name: verified.claims[name] for name in claims} == claims


def test_a_consumer_that_needs_no_audience_gets_none() -> None:
    assert "aud" not in claims_of(minted(consumers(consumer("jack", JACK)), consumer="jack"))
