"""Consumers: parties known by a claim in their tokens and a credential of their own."""

from dataclasses import replace
from typing import Any

import pytest

from sidecar.token.reason import Reason
from tests.authors import ALL_ALGORITHMS, CORP, author
from tests.tokens import (
    ABSENT,
    ISSUER,
    JACK,
    JACK_KEY,
    NOW,
    assert_passes,
    assert_refused,
    consumer,
    consumers,
    issuer,
    judge,
    mint,
    rules,
)

JILL = author("HS256", None, other=1)
BOTH = consumers(consumer("jack", JACK), consumer("jill", JILL))


def mint_by(by: Any = JACK, **claims: Any) -> str:
    """A consumer's token: it has no `iss`, and JACK's key unless told otherwise."""
    return mint(by, **{"iss": ABSENT, "key": JACK_KEY, **claims})


@pytest.mark.parametrize("algorithm", ALL_ALGORITHMS)
def test_a_consumer_may_use_any_algorithm(algorithm: str) -> None:
    by = author(algorithm, None)
    verified = assert_passes(judge(mint_by(by), consumers(consumer("jack", by))))
    assert verified.consumer is not None
    assert (verified.consumer.name, verified.issuer_name) == ("jack", "")


def test_a_consumers_key_proves_that_consumer_only() -> None:
    assert_passes(judge(mint_by(JILL, key="jill-key"), BOTH))
    for by, key in ((JILL, JACK_KEY), (JACK, "jill-key")):
        verdict = judge(mint_by(by, key=key), BOTH)
        assert_refused(verdict, Reason.SIGNATURE_INVALID, f"consumer {key[:4]}'s key")


@pytest.mark.parametrize("alg", ["HS384", "HS512", "RS256", "ES256", "none", "hs256"])
def test_a_consumers_algorithm_is_bound(alg: str) -> None:
    verdict = judge(mint_by(header={"alg": alg}), BOTH)
    assert_refused(verdict, Reason.ALGORITHM_NOT_ALLOWED, f'"{alg}"', "consumer jack uses HS256")


def test_a_consumers_rsa_key_verifies_its_own_algorithm_only() -> None:
    """The key could verify RS512 too."""
    party = consumers(consumer("jack", author("RS256", None)))
    verdict = judge(mint_by(author("RS512", None)), party)
    assert_refused(verdict, Reason.ALGORITHM_NOT_ALLOWED, "jack uses RS256")


def test_a_consumers_eddsa_goes_by_both_of_its_names() -> None:
    by = author("EdDSA", None)
    party = consumers(consumer("jack", by))
    assert_passes(judge(mint_by(by, header={"alg": "Ed25519"}), party))
    verdict = judge(mint_by(by, header={"alg": "Ed448"}), party)
    assert_refused(verdict, Reason.ALGORITHM_NOT_ALLOWED, "jack uses Ed25519, EdDSA")


@pytest.mark.parametrize("key_id", ["key-1", "", "jill", ABSENT])
def test_a_kid_selects_nothing_among_consumers(key_id: object) -> None:
    assert_passes(judge(mint_by(header={"kid": key_id}), BOTH))


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        pytest.param({"key": ABSENT}, "is missing", id="absent"),
        pytest.param({"key": None}, "is missing", id="null"),
        pytest.param({"key": 7}, "is a number and not a string", id="a number"),
        pytest.param({"key": [JACK_KEY]}, "is an array and not", id="an array"),
        pytest.param({"key": {JACK_KEY: 1}}, "is an object and not", id="an object"),
        pytest.param({"key": True}, "is a boolean and not", id="true"),
        pytest.param({"key": ABSENT, "Key": JACK_KEY}, "is missing", id="another case"),
    ],
)
def test_a_token_without_a_key_claim_is_told_what_to_do(claims: dict[str, Any], words: str) -> None:
    verdict = judge(mint_by(**claims), BOTH)
    named = ('claim "key"', '"sub"', '"aud"', "consumers.key_claim")
    assert_refused(verdict, Reason.CONSUMER_KEY_MISSING, words, *named)


@pytest.mark.parametrize("key", ["", "nobody", "Jack-Key", "jack-key ", "jack", "*"])
def test_an_unknown_key_is_named(key: str) -> None:
    verdict = judge(mint_by(key=key), BOTH)
    assert_refused(verdict, Reason.CONSUMER_UNKNOWN, f'"{key}"', "claim key")


@pytest.mark.parametrize(
    ("key_claim", "claims"),
    [
        pytest.param("iss", {"iss": JACK_KEY}, id="iss"),
        pytest.param("sub", {"sub": JACK_KEY}, id="sub"),
        pytest.param("app.key", {"app": {"key": JACK_KEY}}, id="by path"),
        pytest.param("app.key", {"app.key": JACK_KEY}, id="a name with a dot"),
        pytest.param("https://x.example/key", {"https://x.example/key": JACK_KEY}, id="a URL"),
    ],
)
def test_the_key_claim_is_configured(key_claim: str, claims: dict[str, Any]) -> None:
    party = consumers(key_claim=key_claim)
    assert_passes(judge(mint_by(**{"key": ABSENT, **claims}), party))
    verdict = judge(mint_by(**{**claims, next(iter(claims)): ABSENT}), party)
    assert_refused(verdict, Reason.CONSUMER_KEY_MISSING, f'claim "{key_claim}"')


def test_a_disabled_consumer_is_refused_and_told_so() -> None:
    party = consumers(replace(consumer("jack", JACK), disabled=True))
    verdict = judge(mint_by(), party)
    assert_refused(verdict, Reason.CONSUMER_UNKNOWN, "consumer jack is disabled")


@pytest.mark.parametrize(
    ("own", "claims", "reason"),
    [
        ({"clock_skew": 30.0}, {"exp": NOW - 29}, None),
        ({"clock_skew": 30.0}, {"exp": NOW - 30}, Reason.EXPIRED),
        ({"audiences": frozenset({"a"})}, {"aud": "a"}, None),
        ({"audiences": frozenset({"a"})}, {"aud": "b"}, Reason.AUDIENCE_MISMATCH),
        ({"required": ("tenant",)}, {"exp": ABSENT, "tenant": "x"}, None),
        ({"required": ("tenant",)}, {}, Reason.CLAIM_MISSING),
    ],
)
def test_a_consumers_own_rules_replace_those_of_all(
    own: dict[str, Any], claims: dict[str, Any], reason: Reason | None
) -> None:
    jack = replace(consumer("jack", JACK), rules=rules(**{"audiences": None, **own}))
    verdict = judge(mint_by(**claims), consumers(jack, consumer("jill", JILL)))
    if reason is None:
        assert_passes(verdict)
    else:
        assert_refused(verdict, reason)
    shared = judge(mint_by(JILL, key="jill-key"), consumers(jack, consumer("jill", JILL)))
    assert_passes(shared)


def test_an_issuer_wins_where_iss_is_known() -> None:
    """A token signed by a consumer does not pass as an issuer's, nor the other way round."""
    assert_passes(judge(mint(key=JACK_KEY), issuer(), BOTH))
    assert_refused(judge(mint(JACK, key=JACK_KEY), issuer(), BOTH), Reason.ALGORITHM_NOT_ALLOWED)
    assert_refused(judge(mint_by(CORP), issuer(), BOTH), Reason.ALGORITHM_NOT_ALLOWED)


def test_an_issuer_wins_where_iss_is_the_key_claim() -> None:
    party = consumers(consumer("jack", JACK, key=ISSUER), key_claim="iss")
    assert assert_passes(judge(mint(), issuer(), party)).issuer_name == "corp"
    assert_refused(judge(mint(JACK), issuer(), party), Reason.ALGORITHM_NOT_ALLOWED)


def test_a_consumer_is_found_beside_issuers() -> None:
    for iss in (ABSENT, "https://jack.example"):
        verified = assert_passes(judge(mint_by(iss=iss), issuer(), BOTH))
        assert verified.consumer is not None


def test_a_request_that_names_an_issuer_takes_no_consumer() -> None:
    verdict = judge(mint_by(), issuer(), BOTH, issuer_name="corp")
    assert_refused(verdict, Reason.ISSUER_MISMATCH)


@pytest.mark.parametrize(
    ("claims", "reason", "words"),
    [
        pytest.param({}, Reason.ISSUER_UNKNOWN, "other.example", id="no key claim either"),
        pytest.param({"key": "jill"}, Reason.CONSUMER_UNKNOWN, '"jill"', id="an unknown key"),
        pytest.param({"key": 1}, Reason.CONSUMER_KEY_MISSING, "a number", id="a key of no type"),
    ],
)
def test_with_issuers_and_consumers_the_nearer_one_is_named(
    claims: dict[str, Any], reason: Reason, words: str
) -> None:
    token = mint(JACK, iss="https://other.example", **claims)
    assert_refused(judge(token, issuer(), BOTH), reason, words)


@pytest.mark.parametrize(
    ("rules", "claims", "reason"),
    [
        ({}, {"exp": NOW - 1}, Reason.EXPIRED),
        ({}, {"nbf": NOW + 1}, Reason.NOT_YET_VALID),
        ({}, {"exp": ABSENT}, Reason.CLAIM_MISSING),
        ({"audiences": frozenset({"stock"})}, {}, Reason.AUDIENCE_MISMATCH),
        ({"max_lifetime": 60.0}, {}, Reason.LIFETIME_TOO_LONG),
        ({"max_age": 30.0}, {}, Reason.TOO_OLD),
        ({}, {"header": {"typ": "x"}}, Reason.TYPE_NOT_ALLOWED),
        ({}, {"header": {"crit": ["x"], "x": 1}}, Reason.CRITICAL_HEADER_UNKNOWN),
        ({}, {"cnf": {}}, Reason.PROOF_INVALID),
    ],
)
def test_consumers_have_rules_too(
    rules: dict[str, Any], claims: dict[str, Any], reason: Reason
) -> None:
    assert_refused(judge(mint_by(**claims), consumers(**rules)), reason)


def test_with_no_consumers_at_all_any_key_is_unknown() -> None:
    nobody = consumers(consumer("jill", JILL))
    assert_refused(judge(mint_by(), nobody), Reason.CONSUMER_UNKNOWN)
