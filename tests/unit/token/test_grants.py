"""A consumer grants itself nothing: what counts of its tokens is what its record makes of them."""

import json
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.steady import forget_nothing
from sidecar.token import base64url
from sidecar.token.claims import find
from sidecar.token.grants import MAX_DEPTH, OWN_CLAIMS, effective_claims, overlap, problems
from sidecar.token.reason import Reason
from sidecar.token.replay import ProofMemory
from sidecar.token.request import Demand, Request, Verified
from sidecar.token.snapshot import Consumers, Grants
from sidecar.token.validator import explain
from tests.authors import STRANGER, key_set
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
    world,
)

BOASTS: dict[str, Any] = {
    "sub": "root",
    "aud": "billing",
    "scope": "admin:write",
    "scp": ["admin:write"],
    "realm_access": {"roles": ["admin"]},
    "realm_access.roles": ["admin"],
    "roles": ["admin"],
    "groups": ["wheel"],
    "client_id": "corp-backend",
    "azp": "corp-backend",
    "email": "root@corp.example",
    "act": {"sub": "root"},
    "Scope": "admin:write",
    "": "nameless",
}
"""What a consumer might like to be."""


def nested(depth: int, kind: type) -> Any:
    value: Any = kind()
    for _ in range(depth - 1):
        value = {"a": value} if kind is dict else [value]
    return value


def jacks(key_claim: str = "key", audiences: Any = None, **grants: Any) -> Consumers:
    jack = replace(consumer("jack", JACK), grants=Grants(**grants))
    return consumers(jack, key_claim=key_claim, audiences=audiences)


def mint_by_jack(**claims: Any) -> str:
    bare = dict.fromkeys(("iss", "sub", "aud", "iat"), ABSENT)
    return mint(JACK, **{**bare, "key": JACK_KEY, **claims})


def passed(party: Consumers, **claims: Any) -> Verified:
    return assert_passes(judge(mint_by_jack(**claims), party))


BARE = {"exp": NOW + 600, "key": JACK_KEY}


@pytest.mark.parametrize(
    ("grants", "claims", "effective"),
    [
        pytest.param({}, BOASTS, {}, id="by itself, nothing"),
        pytest.param({}, {"iss": "https://elsewhere.example"}, {}, id="no iss of its own"),
        pytest.param(
            {},
            {"nbf": NOW - 1, "iat": NOW - 60, "jti": "1"},
            {"nbf": NOW - 1, "iat": NOW - 60, "jti": "1"},
            id="its times and its name, which grant nothing",
        ),
        pytest.param({}, {"cnf": ABSENT}, {}, id="nothing at all"),
        pytest.param({"claims": {"sub": "billing"}}, {}, {"sub": "billing"}, id="the record's sub"),
        pytest.param({"claims": {"iss": "https://x"}}, {}, {"iss": "https://x"}, id="its iss"),
        pytest.param(
            {"claims": {"sub": "billing", "realm_access": {"roles": ["reader"]}}},
            BOASTS,
            {"sub": "billing", "realm_access": {"roles": ["reader"]}},
            id="the record's claims go before the token's",
        ),
        pytest.param(
            {"claims": {"sub": "billing"}, "from_token": ("sub",)},
            BOASTS,
            {"sub": "billing"},
            id="also where the token may state them",
        ),
        pytest.param({"from_token": ("sub",)}, BOASTS, {"sub": "root"}, id="an allowed claim"),
        pytest.param({"from_token": ("sub",)}, {}, {}, id="an allowed claim that is absent"),
        pytest.param({"from_token": ("a",)}, {"a": None}, {"a": None}, id="that is null"),
        pytest.param(
            {"from_token": ("realm_access.roles",)},
            {"realm_access": {"roles": ["admin"], "other": 1}},
            {"realm_access": {"roles": ["admin"]}},
            id="an allowed path, and not what is beside it",
        ),
        pytest.param(
            {"from_token": ("a.b", "a.c.d")},
            {"a": {"b": 1, "c": {"d": 2, "e": 3}, "f": 4}},
            {"a": {"b": 1, "c": {"d": 2}}},
            id="two paths into one object",
        ),
        pytest.param(
            {"from_token": ("https://x.example/team",)},
            {"https://x.example/team": "blue"},
            {"https://x.example/team": "blue"},
            id="a name with dots",
        ),
        pytest.param(
            {"claims": {"a": {"b": "record"}}, "from_token": ("a.c",)},
            {"a": {"b": "token", "c": "token"}},
            {"a": {"b": "record"}},
            id="nothing goes into an object of the record",
        ),
        pytest.param(
            {"claims": {"a": {"b": "record"}}, "from_token": ("a.b",)},
            {"a.b": "token"},
            {"a": {"b": "record"}},
            id="nor before it under a name with a dot",
        ),
        pytest.param(
            {"claims": {"a.b": "record"}, "from_token": ("a",)},
            {"a": {"b": "token"}},
            {"a.b": "record"},
            id="nor behind a name with a dot",
        ),
        pytest.param({"scopes": ("read", "write")}, {}, {"scope": "read write"}, id="scopes"),
        pytest.param(
            {"scopes": ("read", "write")},
            {"scope": "write admin"},
            {"scope": "write"},
            id="a token that states scopes has no others",
        ),
        pytest.param(
            {"scopes": ("read", "write")}, {"scp": ["read"]}, {"scope": "read"}, id="in scp too"
        ),
        pytest.param({"scopes": ("read",)}, {"scope": ""}, {}, id="it may state none"),
        pytest.param({"scopes": ("read",)}, {"scope": None}, {"scope": "read"}, id="null is none"),
        pytest.param(
            {"scopes": ("read",), "from_token": ("scope", "scp")},
            {"scope": "admin read"},
            {"scope": "read"},
            id="scopes of the record are all that can be stated",
        ),
        pytest.param(
            {"from_token": ("scope",)},
            {"scope": "read admin", "scp": ["root"]},
            {"scope": "read admin"},
            id="any scope, if the token may state it",
        ),
        pytest.param({"from_token": ("scp",)}, {"scp": ["a"]}, {"scp": ["a"]}, id="in an array"),
        pytest.param(
            {"from_token": ("scope",)}, {"scp": ["root"]}, {}, id="and not in another claim"
        ),
        pytest.param(
            {"from_token": ("iss", "aud", "key", "exp")},
            {"iss": "https://elsewhere.example", "aud": "billing"},
            {},
            id="what no record can allow",
        ),
    ],
)
def test_what_counts_of_a_token(
    grants: dict[str, Any], claims: dict[str, Any], effective: dict[str, Any]
) -> None:
    verified = passed(jacks(**grants), **claims)
    assert verified.claims == {**BARE, **effective}
    assert json.loads(verified.claims_json) == verified.claims
    assert json.loads(base64url.decode(verified.payload.encode())) == verified.claims
    # So a client that reads the answer as a token would says the same.
    assert verified.scopes == tuple(effective.get("scope", "").split() or effective.get("scp", ()))


@pytest.mark.parametrize(
    ("key_claim", "claims", "effective"),
    [
        pytest.param("sub", {"sub": JACK_KEY}, {"sub": JACK_KEY}, id="sub"),
        pytest.param("iss", {"iss": JACK_KEY}, {"iss": JACK_KEY}, id="iss"),
        pytest.param(
            "app.key",
            {"app": {"key": JACK_KEY, "admin": True}},
            {"app": {"key": JACK_KEY}},
            id="a path",
        ),
        pytest.param(
            "app.key",
            {"app.key": JACK_KEY, "app": {"key": "jill-key"}},
            {"app.key": JACK_KEY},
            id="another's key beside its own",
        ),
    ],
)
@pytest.mark.parametrize("from_token", [(), ("app",), ("app.key",), ("sub", "iss")])
def test_the_key_claim_has_the_records_key(
    key_claim: str, claims: dict[str, Any], effective: dict[str, Any], from_token: tuple[str, ...]
) -> None:
    party = jacks(key_claim, from_token=from_token)
    verified = passed(party, key=ABSENT, **claims)
    assert verified.claims == {"exp": NOW + 600, **effective}


@pytest.mark.parametrize(
    ("named", "aud", "asked", "counts"),
    [
        pytest.param(None, "billing", (), (), id="any audience names none"),
        pytest.param(None, "billing", ("billing",), None, id="so none can be demanded"),
        pytest.param({"billing"}, "billing", ("billing",), ("billing",), id="named and stated"),
        pytest.param({"billing"}, "orders", ("orders",), None, id="stated and not named"),
        pytest.param({"billing"}, "orders", ("billing",), None, id="named and not stated"),
        pytest.param({"a", "b"}, ["c", "b"], (), ("b",), id="of a list what is named"),
        pytest.param({"a", "b"}, ["b", "c"], ("c", "a"), None, id="nothing else of it"),
        pytest.param({"a", "b"}, ["b", "a"], (), ("b", "a"), id="all of it"),
        pytest.param({"a"}, ABSENT, ("a",), None, id="no aud"),
    ],
)
def test_an_audience_counts_that_the_record_names_and_the_token_states(
    named: set[str] | None, aud: Any, asked: tuple[str, ...], counts: tuple[str, ...] | None
) -> None:
    party = jacks(audiences=named and frozenset(named))
    verdict = judge(mint_by_jack(aud=aud), party, audiences=asked)
    if counts is None:
        words = json.dumps(sorted(named)) if named else "none"
        assert_refused(verdict, Reason.AUDIENCE_MISMATCH, f"audiences name, which are {words}")
        return
    verified = assert_passes(verdict)
    assert verified.audiences == counts
    assert verified.claims.get("aud", []) in (list(counts), *counts)


def test_a_consumers_own_audiences_replace_those_of_all() -> None:
    jack = replace(consumer("jack", JACK), rules=rules(audiences=frozenset({"billing"})))
    party = consumers(jack, audiences=frozenset({"orders"}))
    assert_passes(judge(mint_by_jack(aud="billing"), party, audiences=("billing",)))
    verdict = judge(mint_by_jack(aud="orders"), party, audiences=("orders",))
    assert_refused(verdict, Reason.AUDIENCE_MISMATCH)


@pytest.mark.parametrize(
    ("grants", "claims", "asked", "reason", "words"),
    [
        pytest.param(
            {},
            BOASTS,
            {"scopes": ("admin:write",)},
            Reason.SCOPE_INSUFFICIENT,
            (
                'scope ["admin:write"] is not granted',
                "record of consumer jack grants no scopes",
                "add what is missing to scopes of the consumer, or scope to its claims_from_token",
            ),
            id="a scope, of a record that grants none",
        ),
        pytest.param(
            {"scopes": ("read",)},
            BOASTS,
            {"scopes": ("admin:write",)},
            Reason.SCOPE_INSUFFICIENT,
            ('record of consumer jack grants ["read"]', "add what is missing to scopes"),
            id="a scope, of a record that grants another",
        ),
        pytest.param(
            {"scopes": ("read", "write")},
            {"scope": "read"},
            {"scopes": ("write",)},
            Reason.SCOPE_INSUFFICIENT,
            ('the token has ["read"]', 'grants ["read", "write"]', "or to the token"),
            id="a scope that the token does without",
        ),
        pytest.param(
            {},
            BOASTS,
            {"claims": {"realm_access.roles": "admin"}},
            Reason.CLAIM_MISSING,
            (
                'claim "realm_access.roles" is missing',
                "of consumer jack those claims count that its record grants",
                "claims_from_token",
            ),
            id="a role",
        ),
        pytest.param(
            {"claims": {"realm_access": {"roles": ["reader"]}}},
            BOASTS,
            {"claims": {"realm_access.roles": "admin"}},
            Reason.CLAIM_MISMATCH,
            ('is ["reader"]; it must be "admin"', "consumer jack"),
            id="another role than the record's",
        ),
        pytest.param({}, BOASTS, {"claims": {"sub": "root"}}, Reason.CLAIM_MISSING, (), id="sub"),
        pytest.param(
            {},
            {"iss": "https://elsewhere.example"},
            {"claims": {"iss": "https://elsewhere.example"}},
            Reason.CLAIM_MISSING,
            (),
            id="iss",
        ),
        pytest.param(
            {}, BOASTS, {"claims": {"aud": "billing"}}, Reason.CLAIM_MISSING, (), id="aud"
        ),
        pytest.param({}, {"scope": 5}, {}, Reason.CLAIM_MISMATCH, ("scope",), id="a broken scope"),
        pytest.param({}, {"aud": 5}, {}, Reason.CLAIM_MISMATCH, ("aud",), id="a broken aud"),
    ],
)
def test_a_consumer_can_not_give_itself_what_is_demanded(
    grants: dict[str, Any],
    claims: dict[str, Any],
    asked: dict[str, Any],
    reason: Reason,
    words: tuple[str, ...],
) -> None:
    verdict = judge(mint_by_jack(**claims), jacks(**grants), **asked)
    assert_refused(verdict, reason, *words)


@pytest.mark.parametrize(
    ("grants", "claims", "asked"),
    [
        pytest.param({"scopes": ("read",)}, {}, {"scopes": ("read",)}, id="a scope"),
        pytest.param({"from_token": ("scp",)}, {"scp": ["a"]}, {"scopes": ("a",)}, id="its own"),
        pytest.param(
            {"claims": {"realm_access": {"roles": ["reader"]}}},
            {},
            {"claims": {"realm_access.roles": "reader"}},
            id="a role",
        ),
        pytest.param({"from_token": ("a.b",)}, {"a": {"b": 1}}, {"claims": {"a.b": 1}}, id="a.b"),
    ],
)
def test_what_the_record_grants_or_allows_meets_a_demand(
    grants: dict[str, Any], claims: dict[str, Any], asked: dict[str, Any]
) -> None:
    assert_passes(judge(mint_by_jack(**claims), jacks(**grants), **asked))


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        pytest.param({"exp": NOW - 1}, Reason.EXPIRED, id="exp"),
        pytest.param({"nbf": NOW + 1}, Reason.NOT_YET_VALID, id="nbf"),
        pytest.param({"sub": 5}, Reason.CLAIM_MISMATCH, id="a sub that is no text"),
        pytest.param({"tenant": ABSENT}, Reason.CLAIM_MISSING, id="a required claim"),
        pytest.param({"cnf": {"jkt": "x"}}, Reason.PROOF_INVALID, id="cnf"),
    ],
)
def test_what_only_refuses_reads_the_token_itself(claims: dict[str, Any], reason: Reason) -> None:
    jack = replace(consumer("jack", JACK), grants=Grants(claims={"sub": "x"}))
    party = consumers(jack, required=("exp", "tenant"))
    assert_passes(judge(mint_by_jack(tenant="blue"), party))
    assert_refused(judge(mint_by_jack(**{"tenant": "blue", **claims}), party), reason)


def test_a_condition_sees_what_counts_and_nothing_that_a_consumer_puts_into_its_header() -> None:
    header = {"kid": "trusted", "role": "admin", "typ": "JWT"}
    bare = dict.fromkeys(("iss", "iat"), ABSENT)
    token = mint(JACK, header=header, **bare, key=JACK_KEY, **BOASTS)
    party, seen = jacks(claims={"sub": "billing"}), Seeing()
    assert_passes(judge(token, party, demand=Demand("rule 1", condition=seen)))
    assert seen.header == {"alg": "HS256", "typ": "JWT"}
    assert seen.claims == {**BARE, "sub": "billing"}


class Seeing:
    """A condition that is met, and remembers all that it saw."""

    def why_not(self, header: Any, claims: Any, consumer: Any) -> str:
        self.header, self.claims = dict(header), dict(claims)
        return ""


def test_an_issuers_token_counts_as_it_is() -> None:
    token = mint(**{**BOASTS, "aud": "orders"})
    verified = assert_passes(judge(token, issuer(), jacks(), claims={"roles": "admin"}))
    assert verified.payload == token.split(".")[1]
    assert verified.claims["sub"] == "root"


def test_a_consumer_never_has_the_iss_of_an_issuer() -> None:
    """Not even under a rule that would try its own issuer of any `iss`."""
    open_issuer = issuer("open", None, key_set(STRANGER))
    demand = Demand("rule 1", frozenset({"open"}), frozenset({"*"}), "open")
    token = mint(JACK, iss=ISSUER, key=JACK_KEY)
    verified = assert_passes(judge(token, issuer(), open_issuer, jacks(), demand=demand))
    assert verified.consumer is not None
    assert "iss" not in verified.claims


def test_a_demand_for_an_issuer_by_name_takes_no_consumer() -> None:
    party = jacks(scopes=("read",), claims={"iss": ISSUER}, audiences=frozenset({"orders"}))
    for iss in (ABSENT, ISSUER):
        token = mint_by_jack(iss=iss, aud="orders")
        verdict = judge(token, issuer(), party, issuer_name="corp")
        expected = Reason.ISSUER_MISMATCH if iss is ABSENT else Reason.ALGORITHM_NOT_ALLOWED
        assert_refused(verdict, expected)


def detail(token: str, *parties: Any) -> str:
    explanation = explain(Request(token), world(*parties), NOW, ProofMemory(forget_nothing))
    return next(one.detail for one in explanation.findings if one.name == "grants")


def test_an_explanation_says_where_each_value_comes_from() -> None:
    party = jacks(scopes=("read",), claims={"sub": "billing"}, from_token=("team",))
    assert detail(mint_by_jack(team="blue", roles=["admin"]), party) == (
        'consumer jack signs its own claims: from its record come ["sub", "scope"], from the token '
        '["exp", "key", "team"]; ["roles"] of the token count for nothing'
    )
    assert detail(mint(), issuer()) == "issuer corp vouches for every claim"


@pytest.mark.parametrize(
    ("grants", "field", "words"),
    [
        *(
            pytest.param({"claims": {name: 1}}, ("claims", name), words, id=f"claims: {name}")
            for name, words in {
                "exp": "each token to state",
                "nbf": "each token to state",
                "iat": "each token to state",
                "jti": "each token to state",
                "aud": "in audiences",
                "cnf": "binds each token",
                "scope": "list them in scopes",
                "scp": "list them in scopes",
                "sub": "must be text",
                "iss": "must be text",
            }.items()
        ),
        pytest.param({"claims": {"": 1}}, ("claims",), "without a name", id="a nameless claim"),
        *(
            pytest.param(
                {"claims": {"a": nested(MAX_DEPTH, kind)}},
                ("claims", "a"),
                "deeper than 32 levels",
                id=f"{kind.__name__} in {kind.__name__}",
            )
            for kind in (dict, list)
        ),
        *(
            pytest.param({"from_token": (path,)}, ("claims_from_token",), words, id=f"path: {path}")
            for path, words in {
                "exp": "counts without it",
                "jti": "counts without it",
                "aud": "in audiences",
                "iss": "did not issue",
                "a..b": "is no path",
                ".": "is no path",
            }.items()
        ),
        pytest.param(
            {"scopes": ("a",), "from_token": ("scope",)},
            ("claims_from_token",),
            "a token can only state fewer",
            id="scopes in two ways",
        ),
        pytest.param(
            {"claims": {"a": 1}, "from_token": ("a.b",)},
            ("claims_from_token",),
            'claims has "a"',
            id="a claim in two ways",
        ),
        pytest.param(
            {"from_token": ("a", "a.b")}, ("claims_from_token",), 'overlaps "a"', id="a path twice"
        ),
    ],
)
def test_what_no_record_can_have(
    grants: dict[str, Any], field: tuple[str, ...], words: str
) -> None:
    ((where, problem),) = problems(Grants(**grants))
    assert (where, words in problem) == (field, True), problem


@pytest.mark.parametrize("kind", [dict, list])
def test_a_record_may_have_claims_as_deep_as_a_token(kind: type) -> None:
    assert not list(problems(Grants(claims={"a": nested(MAX_DEPTH - 1, kind)})))


NAMES = st.sampled_from(["a", "b", "c", "a.b", "b.c", "a.b.c", "key", "sub", "scope", "iss"])
VALUES = st.recursive(
    st.sampled_from([1, "x", None]), lambda inner: st.dictionaries(NAMES, inner, max_size=3)
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=4)
PATHS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4).map(".".join)


@given(OBJECTS, OBJECTS, st.lists(PATHS, max_size=3, unique=True), PATHS)
@example({"a": {"a": 1}}, {"a.b": 1}, ["a.a"], "a")
def test_no_token_reaches_what_the_record_says_or_does_not_allow(
    claims: dict[str, Any], granted: dict[str, Any], allowed: list[str], path: str
) -> None:
    claims = {**claims, "key": JACK_KEY, "scope": ""}
    before = deepcopy((claims, granted))
    jack = replace(consumer("jack", JACK), grants=Grants((), granted, tuple(allowed)))
    effective = effective_claims(claims, jack, rules(), "key")
    assert (claims, granted) == before
    found = find(effective, path)
    stated = [one for one in allowed if not any(overlap(one, name) for name in granted)]
    reaches_stated = any(overlap(path, one) for one in stated)
    if any(overlap(path, name) for name in granted):
        # "a" leads to what the token may state as "a.a", beside a granted claim named "a.b".
        above = not any(f"{path}.".startswith(f"{name}.") for name in granted)
        if not (above and reaches_stated):
            assert found == find(granted, path)
    elif any(path == one or path.startswith(f"{one}.") for one in stated):
        assert found in (None, find(claims, path))
    elif not reaches_stated:
        assert found is None


@given(OBJECTS)
def test_without_grants_only_times_and_the_key_are_left(claims: dict[str, Any]) -> None:
    jack = consumer("jack", JACK)
    claims = {**claims, "key": JACK_KEY, "scope": "", "exp": NOW}
    effective = effective_claims(claims, jack, rules(), "key")
    assert effective.keys() <= {"key", *OWN_CLAIMS}
