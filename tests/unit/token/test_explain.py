"""What an explanation tells an engineer who has never read an RFC."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.steady import forget_nothing
from sidecar.token.outside import NOTHING
from sidecar.token.reason import CallFailed
from sidecar.token.replay import ProofMemory
from sidecar.token.request import Proof, Request
from sidecar.token.snapshot import Binding, Limits
from sidecar.token.validator import Explanation, Outcome, explain
from tests.authors import CORP, STRANGER, author, key_set
from tests.proofs import bound, proof
from tests.refusals import REFUSALS
from tests.tokens import (
    ABSENT,
    JACK,
    JACK_KEY,
    NOW,
    consumers,
    encode,
    issuer,
    judge,
    mint,
    world,
)

PASSED, FAILED, SKIPPED = Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED


def explained(token: str, *parties: Any, **request: Any) -> Explanation:
    snapshot = world(*(parties or (issuer(),)))
    return explain(Request(token, **request), snapshot, NOW, ProofMemory(forget_nothing))


def detail(explanation: Explanation, name: str) -> tuple[Outcome, str]:
    (finding,) = [one for one in explanation.findings if one.name == name]
    return finding.outcome, finding.detail


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("size", ("characters", "limits.token_bytes allows 16384")),
        ("form", ('the header has ["alg", "typ", "kid"]', '"iss", "sub", "aud"')),
        ("type", ('typ is "JWT"', "at+jwt, jwt")),
        ("critical_headers", ("no crit",)),
        ("issuer", ('iss is "https://corp.example": issuer corp',)),
        ("algorithm", ('alg is "ES256"; issuer corp accepts',)),
        ("key", ('key "key-1" fits: an EC key on P-256', "the configuration")),
        ("signature", ('the ES256 signature holds with key "key-1"',)),
        ("expiry", ("expires in 10 min, at 2027-01-15T08:10:00Z",)),
        ("not_before", ("no nbf",)),
        ("issue_time", ("issued 1 min ago, at 2027-01-15T07:59:00Z",)),
        ("age", ("no max_age",)),
        ("lifetime", ("no max_lifetime",)),
        ("audience", ('aud is ["orders"]; accepted here is any of ["orders"]',)),
        ("required_claims", ('required are ["exp"]: all there',)),
        ("claim_values", ("no claim needs",)),
        ("revocation", ("not revoked; 0 revocations are known",)),
        ("address", ("no client address was given", "issuer corp has no addresses")),
        ("scopes", ("none is needed; the token has []",)),
        ("proof", ("bound to no key",)),
        ("replay", ("no DPoP proof was needed",)),
        ("one_time", ("may be used more than once",)),
    ],
)
def test_a_check_that_passed_says_what_was_found(name: str, words: tuple[str, ...]) -> None:
    outcome, said = detail(explained(mint()), name)
    assert outcome is PASSED
    for word in words:
        assert word in said


@pytest.mark.parametrize(
    ("token", "party", "name", "words"),
    [
        (mint(header={"typ": ABSENT}), issuer(), "type", "no typ; accepted are at+jwt, jwt and"),
        (mint(), issuer(types=None), "type", "any is accepted"),
        (
            mint(header={"crit": ["x"], "x": 1}),
            issuer(critical_headers=frozenset({"x"})),
            "critical_headers",
            '["x"]: understood',
        ),
        (
            mint(header={"kid": ABSENT}),
            issuer(keys=key_set(STRANGER.calling_itself("key-2"), CORP)),
            "key",
            "2 keys fit",
        ),
        (mint(exp=NOW - 5), issuer(clock_skew=30.0), "expiry", "5 s ago"),
        (mint(exp=ABSENT), issuer(required=()), "expiry", "never expires"),
        (mint(nbf=NOW - 5), issuer(), "not_before", "valid since 5 s"),
        (mint(nbf=NOW + 5), issuer(clock_skew=30.0), "not_before", "only in 5 s"),
        (mint(iat=ABSENT), issuer(), "issue_time", "no iat"),
        (mint(iat=NOW + 5), issuer(clock_skew=30.0), "issue_time", "5 s in the future"),
        (mint(), issuer(max_age=120.0), "age", "issued 1 min ago"),
        (
            mint(iat=NOW - 70),
            issuer(max_age=60.0, clock_skew=30.0),
            "age",
            "max_age is 1 min; clock skew allowed 30 s",
        ),
        (mint(), issuer(max_lifetime=3600.0), "lifetime", "valid for 11 min"),
        (
            mint(iat=NOW + 10, exp=NOW - 10),
            issuer(max_lifetime=3600.0, clock_skew=30.0),
            "lifetime",
            "expires 20 s before its issue",
        ),
        (mint(), issuer(audiences=None), "audience", "any is accepted here"),
        (mint(), issuer(required=()), "required_claims", "no claim is required"),
        (mint(JACK, iss=ABSENT, key=JACK_KEY), consumers(), "issuer", '"jack-key": consumer jack'),
        (mint(JACK, iss=ABSENT, key=JACK_KEY), consumers(), "algorithm", "consumer jack uses"),
        (mint(JACK, iss=ABSENT, key=JACK_KEY), consumers(), "key", "that of consumer jack"),
        (mint(JACK, iss=ABSENT, key=JACK_KEY), consumers(), "signature", "key of consumer jack"),
    ],
)
def test_a_check_that_passed_says_what_was_allowed(
    token: str, party: Any, name: str, words: str
) -> None:
    outcome, said = detail(explained(token, party), name)
    assert (outcome, words in said) == (PASSED, True), said


def test_what_the_request_demands_is_told() -> None:
    said = explained(mint(scope="read write"), scopes=("read",), issuer_name="corp")
    assert detail(said, "scopes") == (PASSED, 'needed is ["read"]; the token has ["read", "write"]')


def test_an_issuer_that_was_named_and_takes_any_iss_is_told() -> None:
    said = explained(mint(), issuer("any", None), issuer_name="any")
    assert "issuer any was named" in detail(said, "issuer")[1]


def test_a_proof_that_holds_is_told() -> None:
    token = bound()
    said = explained(token, proof=proof(token))
    assert detail(said, "proof") == (
        PASSED,
        'the token is bound by ["jkt"], and the proof holds',
    )
    assert detail(said, "replay") == (PASSED, "the DPoP proof is used once")


@pytest.mark.parametrize(
    ("token", "party", "given"),
    [
        (
            mint(cnf={"x5t#S256": encode(b"c" * 32)}),
            issuer(),
            Proof(client_certificate_sha256=b"c" * 32),
        ),
        (bound(), issuer(proof=Binding.IGNORED), Proof("x", "GET", "https://shop.example/")),
    ],
)
def test_a_proof_that_is_never_used_up_is_told_from_none(
    token: str, party: Any, given: Proof
) -> None:
    said = explained(token, party, proof=given)
    assert detail(said, "replay") == (PASSED, "no DPoP proof was needed, and none is used up")


def test_an_issuer_that_serves_only_where_it_is_named_is_told() -> None:
    said = explained(mint(), issuer("any", None))
    assert detail(said, "issuer") == (
        FAILED,
        'iss is "https://corp.example"; configured issuers are []; ["any"] take any iss, but only '
        "where a request names them (issuer_name)",
    )


def test_checks_go_on_after_a_signature_that_does_not_hold() -> None:
    said = explained(mint(STRANGER, exp=NOW - 60, aud="billing"))
    assert detail(said, "signature")[0] is FAILED
    assert detail(said, "expiry")[0] is FAILED
    assert detail(said, "audience")[0] is FAILED
    assert detail(said, "scopes")[0] is PASSED


@pytest.mark.parametrize(
    ("token", "failed", "skipped", "why"),
    [
        ("", "size", "form", "there is no token, or it is too long"),
        ("x", "form", "type issuer key expiry scopes proof", "the token could not be read"),
        (
            mint(iss="https://evil.example"),
            "issuer",
            "type algorithm key expiry audience proof",
            "no issuer or consumer was found",
        ),
        (mint(header={"kid": "x"}), "key", "signature", "no key to verify it with"),
        (mint(iat="x"), "issue_time", "age lifetime", "iat could not be read"),
        (mint(exp="x"), "expiry", "lifetime", "exp could not be read"),
        (bound(), "proof", "replay", "no proof holds"),
    ],
)
def test_a_check_that_cant_be_made_is_skipped_and_says_why(
    token: str, failed: str, skipped: str, why: str
) -> None:
    said = explained(token)
    assert detail(said, failed)[0] is FAILED
    for name in skipped.split():
        outcome, text = detail(said, name)
        if outcome is PASSED:
            pytest.fail(f"{name} passed: {text}")
        if outcome is SKIPPED:
            assert why in text, name


def test_an_unknown_kid_is_told_with_the_keys_that_are_there_and_their_age() -> None:
    keys = key_set(author(key_id="k5"), author(key_id="k6", other=1))
    corp = replace(issuer(keys=keys), source="https://corp.example/jwks", fetch_time=NOW - 40)
    _, said = detail(explained(mint(header={"kid": "k7"}), corp), "key")
    for word in ('"k7"', '["k5", "k6"]', "https://corp.example/jwks", "fetched 40 s ago"):
        assert word in said


def test_header_and_claims_are_given_as_decoded() -> None:
    said = explained(mint())
    assert '"alg": "ES256"' in said.unverified_header_json
    assert '"sub": "alice"' in said.unverified_claims_json


@pytest.mark.parametrize(
    ("token", "header", "claims"),
    [
        (f"x.{mint().split('.')[1]}.x", False, True),
        (f"{mint().split('.')[0]}.x.x", True, False),
        (mint().split(".")[0], True, False),
        ("", False, False),
        ("\ud800.\ud800", False, False),
    ],
)
def test_of_two_parts_the_one_that_decodes_is_given(token: str, header: bool, claims: bool) -> None:
    said = explained(token)
    assert bool(said.unverified_header_json) is header
    assert bool(said.unverified_claims_json) is claims


def test_of_a_token_that_is_too_large_nothing_is_decoded() -> None:
    said = explained(mint(), issuer(), Limits(token_bytes=len(mint()) - 1))
    assert (said.unverified_header_json, said.unverified_claims_json) == ("", "")


def test_a_token_that_is_as_large_as_it_may_be_is_decoded() -> None:
    said = explained(mint(), issuer(), Limits(token_bytes=len(mint())))
    assert said.unverified_claims_json


def test_a_request_that_cant_be_answered_cant_be_explained() -> None:
    with pytest.raises(CallFailed):
        explained(mint(), issuer_name="nobody")


_VALUES = st.sampled_from([ABSENT, None, 0, 1.5, True, "x", "", [], ["x"], {}, {"jkt": "x"}, NOW])
_CLAIMS = ("iss", "sub", "aud", "exp", "nbf", "iat", "jti", "scope", "scp", "cnf", "key")
_HEADERS = ("alg", "typ", "kid", "crit", "b64", "jwk", "x")


@given(
    st.dictionaries(st.sampled_from(_CLAIMS), _VALUES),
    st.dictionaries(st.sampled_from(_HEADERS), _VALUES),
    st.sampled_from([row.values[0] for row in REFUSALS]),
    st.booleans(),
)
def test_whatever_comes_the_first_check_that_fails_is_the_reason(
    claims: dict[str, Any], header: dict[str, Any], case: Any, named: bool
) -> None:
    """`judge` compares explanation and verdict."""
    parties = [case.party] if case.party else []
    has_corp = not case.party or getattr(case.party, "name", "") == "corp"
    name = "corp" if named and has_corp else ""
    outside = (case.request or {}).get("outside", NOTHING)
    judge(mint(header=header, **claims), *parties, issuer_name=name, outside=outside)
