"""The memory of tokens: bounded, in two parts, and never an answer by itself."""

import gc
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sidecar.steady import forget_nothing
from sidecar.token import jws
from sidecar.token import seen as seen_tokens
from sidecar.token.addresses import AddressRules, Networks, network_range
from sidecar.token.again import Grounds, Kept
from sidecar.token.claims import RequiredClaim
from sidecar.token.keyset import KeySet
from sidecar.token.outside import NOTHING, Question
from sidecar.token.reason import Reason
from sidecar.token.replay import ProofMemory
from sidecar.token.request import Demand, Proof, Refusal, Request, Verdict, Verified
from sidecar.token.revocation import Revocation
from sidecar.token.revoked import Revoked
from sidecar.token.seen import RefusedTokens, SeenTokens, VerifiedTokens, digest_of
from sidecar.token.snapshot import ClaimRules, Issuer, Limits, Snapshot
from sidecar.token.subject import Standing, SubjectAnswer, SubjectQuestion, SubjectRule
from sidecar.token.use import Use
from sidecar.token.validator import revocation_of, validate
from tests.authors import CORP, STRANGER, author, key_set
from tests.tokens import (
    ABSENT,
    AUDIENCE,
    ISSUER,
    JACK,
    JACK_KEY,
    NOW,
    consumer,
    consumers,
    issuer,
    mint,
    revoking,
    rules,
    world,
)

KEYS = key_set(CORP).keys
TOKEN = mint()
PARSED = jws.parse(TOKEN, 32)
DIGEST = digest_of(TOKEN)


def memory(capacity: int = 100) -> SeenTokens:
    return SeenTokens(VerifiedTokens(capacity, 600.0), RefusedTokens(capacity, 10.0))


def ask(seen: SeenTokens, token: str, snapshot: Snapshot, now: float = NOW) -> Verdict:
    return validate(Request(token), snapshot, now, ProofMemory(forget_nothing), seen)


class Counting:
    """A key that counts its verifications."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        verify = type(KEYS[0]).verify

        def counted(*arguments: Any) -> bool:
            self.count += 1
            return verify(*arguments)

        monkeypatch.setattr(type(KEYS[0]), "verify", counted)


@pytest.mark.parametrize("token", [TOKEN, mint(STRANGER)])
def test_a_signature_is_verified_once(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    verifications, seen, snapshot = Counting(monkeypatch), memory(), world(issuer())
    first = ask(seen, token, snapshot)
    for _ in range(3):
        assert ask(seen, token, snapshot) == first
    assert verifications.count == 1
    assert (seen.verified.hits, seen.refused.hits) in {(3, 0), (0, 3)}


def test_a_key_that_is_fetched_anew_verifies_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two fetches of the same JWK are two keys."""
    verifications, seen = Counting(monkeypatch), memory()
    for _ in range(3):
        assert isinstance(ask(seen, TOKEN, world(issuer(keys=key_set(CORP)))), Verified)
    assert verifications.count == 3


def test_a_token_that_was_seen_is_refused_from_the_moment_on_when_it_is_revoked() -> None:
    seen, snapshot, revoked = memory(), world(issuer()), revoking()
    asked = (Request(TOKEN), snapshot, NOW, ProofMemory(forget_nothing), seen, NOTHING, revoked)
    assert isinstance(validate(*asked), Verified)
    revocation = revocation_of(Request(TOKEN), snapshot, NOW)
    assert isinstance(revocation, Revocation)
    revoked.add(revocation)
    verdict = validate(*asked)
    assert isinstance(verdict, Refusal)
    assert verdict.reason is Reason.REVOKED
    assert seen.verified.hits == 1


def test_a_key_that_is_gone_verifies_nothing() -> None:
    seen = memory()
    assert isinstance(ask(seen, TOKEN, world(issuer())), Verified)
    other = world(issuer(keys=key_set(author(key_id="key-2", other=2))))
    verdict = ask(seen, TOKEN, other)
    assert isinstance(verdict, Refusal)
    assert verdict.reason is Reason.KEY_NOT_FOUND


def test_a_key_that_takes_the_name_of_another_verifies_anew() -> None:
    seen = memory()
    assert isinstance(ask(seen, TOKEN, world(issuer())), Verified)
    assert isinstance(ask(seen, TOKEN, world(issuer(keys=key_set(STRANGER)))), Refusal)
    assert isinstance(ask(seen, TOKEN, world(issuer())), Verified)


def test_a_refusal_holds_for_just_those_keys() -> None:
    seen, token = memory(), mint(STRANGER)
    assert isinstance(ask(seen, token, world(issuer())), Refusal)
    assert isinstance(ask(seen, token, world(issuer(keys=key_set(STRANGER)))), Verified)


def test_a_token_that_is_nested_too_deep_from_now_on_is_refused() -> None:
    seen, token = memory(), mint(a={"b": {"c": 1}})
    assert isinstance(ask(seen, token, world(issuer())), Verified)
    verdict = ask(seen, token, world(issuer(), Limits(json_depth=2)))
    assert isinstance(verdict, Refusal)
    assert verdict.reason is Reason.TOKEN_MALFORMED
    assert isinstance(ask(seen, token, world(issuer())), Verified)


def test_so_is_one_whose_header_is() -> None:
    """Headers are not parsed again, but for another depth."""
    seen, token = memory(), mint(header={"a": {"b": {"c": 1}}})
    assert isinstance(ask(seen, token, world(issuer())), Verified)
    for again in (token, mint(header={"a": {"b": {"c": 1}}}, jti="another")):
        verdict = ask(seen, again, world(issuer(), Limits(json_depth=2)))
        assert isinstance(verdict, Refusal)
        assert verdict.reason is Reason.TOKEN_MALFORMED


def test_bad_tokens_push_out_no_good_one() -> None:
    seen, snapshot = memory(2), world(issuer())
    ask(seen, TOKEN, snapshot)
    for number in range(10):
        ask(seen, mint(STRANGER, jti=str(number)), snapshot)
    assert (len(seen.verified), len(seen.refused)) == (1, 2)


def test_the_token_that_was_not_seen_longest_goes_first() -> None:
    seen, snapshot = memory(2), world(issuer())
    tokens = [mint(jti=str(number)) for number in range(3)]
    for token in (tokens[0], tokens[1], tokens[0], tokens[2]):
        ask(seen, token, snapshot)
    known = [seen.verified.get(digest_of(token), 32, NOW) is not None for token in tokens]
    assert known == [True, False, True]


def test_they_are_bounded_by_bytes() -> None:
    verified = VerifiedTokens(100, 600.0, most_bytes=2000)
    for number in range(10):
        verified.add(bytes([number]), PARSED, KEYS, KEYS[0], 32, NOW)
    assert 1 <= len(verified) <= 7
    for number in range(10):
        verified.forget(bytes([number]))
    assert len(verified) == 0
    verified.add(DIGEST, PARSED, KEYS, KEYS[0], 32, NOW)
    assert len(verified) == 1


def kept(verified: VerifiedTokens, digest: bytes, asked: object = b"") -> Kept | None:
    return verified.again(digest, asked, GROUNDS.snapshot, GROUNDS.revocations, NOW)


GROUNDS = Grounds(object(), 0, NOW, NOW + 60.0)


def test_answers_are_bounded_by_bytes_and_go_before_tokens() -> None:
    """The one that was not given for longest goes first."""
    verified = VerifiedTokens(100, 600.0, most_bytes=5000)
    verified.add(DIGEST, PARSED, KEYS, KEYS[0], 32, NOW)
    for number in range(4):
        verified.keep(bytes([number]), b"", GROUNDS, "corp", b"x" * 1000)
        assert kept(verified, bytes([0])) == Kept("corp", b"x" * 1000)
    assert [kept(verified, bytes([number])) is not None for number in range(4)] == [
        True,
        False,
        True,
        True,
    ]
    assert len(verified) == 1


def test_the_collector_of_garbage_has_nothing_to_look_at() -> None:
    """With a hundred thousand tokens it would stop everything for a fifth of a second."""
    verified, keys = VerifiedTokens(10_000, 600.0), key_set(CORP).keys
    gc.collect()
    before = len(gc.get_objects())
    for number in range(1000):
        digest = digest_of(str(number))
        verified.add(digest, PARSED, keys, keys[0], 32, NOW)
        verified.keep(digest, b"", GROUNDS, "corp", b"x" * 400)
    gc.collect()
    assert len(gc.get_objects()) < before + 50


def test_answers_are_as_many_as_tokens_may_be() -> None:
    verified = VerifiedTokens(2, 600.0)
    for number in range(5):
        verified.keep(bytes([number]), b"", GROUNDS, "corp", b"x")
    assert [kept(verified, bytes([number])) is not None for number in range(5)] == [
        *[False] * 3,
        *[True] * 2,
    ]


def test_many_different_questions_take_no_more_room_and_find_no_other_answer() -> None:
    verified = VerifiedTokens(100, 600.0)
    for number in range(5000):
        verified.keep(DIGEST, str(number), GROUNDS, "corp", str(number).encode())
    found = [kept(verified, DIGEST, str(number)) for number in range(5000)]
    assert all(one is None or one.answer == str(n).encode() for n, one in enumerate(found))
    assert 1 <= sum(one is not None for one in found) <= 100


def test_ways_of_verification_that_are_too_many_are_verified_anew() -> None:
    """Each rotation of keys brings one."""
    verified = VerifiedTokens(10_000, 600.0)
    for number in range(1100):
        keys = key_set(CORP).keys
        digest = str(number).encode()
        verified.add(digest, PARSED, keys, keys[0], 32, NOW)
        seen = verified.get(digest, 32, NOW)
        assert seen is not None
        assert seen.tried is keys
    assert verified.get(b"0", 32, NOW) is None


@pytest.mark.parametrize("name", ["_headers", "_parsed"])
def test_what_stays_parsed_is_bounded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens and headers alike."""
    for limit in ("_MOST_SHARED", "_MOST_PARSED"):
        monkeypatch.setattr(seen_tokens, limit, 3)
    seen, snapshot = memory(), world(issuer())
    for token in [mint(header={"x": number}) for number in range(10)]:
        for _ in range(2):
            ask(seen, token, snapshot)
    held = getattr(seen.verified, name)
    assert 1 <= len(held[32] if name == "_headers" else held) <= 3


def test_the_claims_of_a_long_token_do_not_stay_parsed() -> None:
    seen, snapshot, token = memory(), world(issuer()), mint(long="x" * 2048)
    for _ in range(2):
        assert isinstance(ask(seen, token, snapshot), Verified)
    assert not seen.verified._parsed


def test_nor_does_a_long_header_which_a_consumer_writes_itself() -> None:
    seen, snapshot = memory(), world(issuer())
    for number in range(3):
        token = mint(header={"x": number, "long": [[]] * 300})
        for _ in range(2):
            assert isinstance(ask(seen, token, snapshot), Verified)
    assert not seen.verified.headers(32)
    assert not seen.verified._parsed


def test_a_token_that_alone_is_too_large_is_not_kept() -> None:
    verified = VerifiedTokens(100, 600.0, most_bytes=10)
    verified.add(DIGEST, PARSED, KEYS, KEYS[0], 32, NOW)
    assert len(verified) == 0


@pytest.mark.parametrize(
    ("exp", "ttl", "ends"),
    [(NOW + 600, 10.0, NOW + 10), (NOW + 5, 10.0, NOW + 5), (ABSENT, 10.0, NOW + 10)],
)
def test_an_entry_ends_with_its_time_and_with_exp(exp: Any, ttl: float, ends: float) -> None:
    verified = VerifiedTokens(10, ttl)
    verified.add(DIGEST, jws.parse(mint(exp=exp), 32), KEYS, KEYS[0], 32, NOW)
    assert verified.get(DIGEST, 32, ends - 0.001) is not None
    assert verified.get(DIGEST, 32, ends) is None
    assert len(verified) == 0


@pytest.mark.parametrize("exp", [NOW, NOW - 1, True, -5, 1e300])
def test_only_a_time_to_come_ends_an_entry_later(exp: Any) -> None:
    verified = VerifiedTokens(10, 10.0)
    verified.add(DIGEST, jws.parse(mint(exp=exp), 32), KEYS, KEYS[0], 32, NOW)
    assert len(verified) == (1 if exp == 1e300 else 0)


@pytest.mark.parametrize("capacity", [0])
def test_without_room_nothing_is_kept(capacity: int) -> None:
    seen, snapshot = memory(capacity), world(issuer())
    for token in (TOKEN, mint(STRANGER)):
        ask(seen, token, snapshot)
    assert (len(seen.verified), len(seen.refused)) == (0, 0)


def test_an_entry_holds_neither_token_nor_signature() -> None:
    verified = VerifiedTokens(10, 1000.0)
    verified.add(DIGEST, PARSED, KEYS, KEYS[0], 32, NOW)
    verified.parsed(DIGEST, PARSED)
    seen = verified.get(DIGEST, 32, NOW)
    assert seen is not None
    assert seen.jws is not None
    assert (seen.jws.signing_input, seen.jws.signature) == (b"", b"")
    assert seen.jws.unverified_claims == PARSED.unverified_claims
    held = repr(vars(verified))
    assert not any(part in held for part in TOKEN.split(".")[1:])
    assert repr(PARSED.signature)[2:-1] not in held


AUTHORS = (CORP, STRANGER, author(key_id="key-2", other=2))
CLAIMS: tuple[dict[str, Any], ...] = (
    {},
    {"exp": NOW + 30},
    {"nbf": NOW + 60},
    {"iat": NOW + 90},
    {"aud": "billing"},
    {"exp": ABSENT},
    {"exp": "x"},
    {"a": {"b": {"c": {"d": 1}}}},
    {"cnf": {"jkt": "x"}},
    {"scope": "read"},
)
TOKENS = [
    *(mint(by, **claims) for by in AUTHORS for claims in CLAIMS),
    *(mint(JACK, iss=ABSENT, key=JACK_KEY, **claims) for claims in CLAIMS),
    *(mint(by, header={"kid": ABSENT}) for by in AUTHORS),
    mint()[:-4] + "AAAA",
    "x",
    "",
]
GOOD = [
    mint(),
    mint(header={"kid": ABSENT}),
    mint(STRANGER),
    mint(JACK, iss=ABSENT, key=JACK_KEY),
    mint(a={"b": {"c": {"d": 1}}}),
]
KEY_SETS = (
    key_set(CORP),
    key_set(CORP),
    key_set(STRANGER),
    key_set(CORP, AUTHORS[2]),
    key_set(AUTHORS[2].calling_itself(None), CORP.calling_itself(None)),
    KeySet(()),
    None,
)
RULES = (
    rules(),
    rules(audiences=frozenset({"billing", AUDIENCE})),
    rules(clock_skew=30.0, required=()),
    rules(max_age=100.0),
    rules(types=frozenset({"at+jwt"})),
    rules(addresses=AddressRules(None, Networks.of([network_range("192.0.2.0/24")]))),
    rules(subjects=SubjectRule("users")),
    rules(one_time=True),
)
JACKS = (None, JACK, author("HS256", None, other=3))


@dataclass(frozen=True)
class Moment:
    """All that a decision depends on beside the token and the request."""

    keys: KeySet | None = KEY_SETS[0]
    demanded: ClaimRules = RULES[0]
    iss: str = ISSUER
    algorithms: frozenset[str] | None = None
    jack: Any = JACK
    depth: int = 32

    def world(self) -> Snapshot:
        corp = Issuer("corp", self.iss, self.demanded, self.keys, self.algorithms)
        jacks = (consumers(consumer("jack", self.jack)),) if self.jack else ()
        return replace(world(corp, *jacks), limits=Limits(json_depth=self.depth))


CHANGES: list[dict[str, Any]] = [
    *({"keys": keys} for keys in KEY_SETS),
    *({"keys": keys} for keys in KEY_SETS),
    *({"demanded": demanded} for demanded in RULES),
    {"iss": ISSUER},
    {"iss": "https://other.example"},
    {"algorithms": None},
    {"algorithms": frozenset({"RS256"})},
    *({"jack": jack} for jack in JACKS),
    *({"depth": depth} for depth in (1, 3, 32)),
]
REQUESTS = (
    Request(""),
    Request("", "corp"),
    Request("", audiences=("billing",)),
    Request("", scopes=("read",)),
    Request("", claims=(RequiredClaim("scope", ("read",)),)),
    Request("", client_address="192.0.2.1"),
    Request("", client_address="10.0.0.1"),
    Request("", proof=Proof(dpop="x")),
    Request("", demand=Demand("a rule")),
    Request("", demand=Demand("a rule", audiences=("billing",))),
    Request("", demand=Demand("a rule", scopes=("read",))),
    Request("", demand=Demand("a rule", claims=(RequiredClaim("scope", ("read",)),))),
)


class Changing:
    """The world outside, and a condition: whether a token passes there changes at any time."""

    def __init__(self) -> None:
        self.passes = True

    def answer(self, asked: Question[Any], now: float) -> Any:
        if isinstance(asked, SubjectQuestion):
            return SubjectAnswer(Standing.EXISTS if self.passes else Standing.UNKNOWN, now)
        return Use.FIRST if self.passes else Use.AGAIN

    def why_not(self, *_: object) -> str:
        return "" if self.passes else "it changed"


def question(request: Request) -> object:
    """All of a request but the token, and what need not be told apart: address and condition."""
    rule = request.demand.rule if request.demand else ""
    return (
        request.issuer_name,
        request.audiences,
        request.scopes,
        request.claims,
        request.proof,
        rule,
    )


class Twins(RuleBasedStateMachine):
    """One that remembers and one that does not, in whatever comes: they never differ."""

    @initialize(token=st.sampled_from(TOKENS), by=st.sampled_from(GOOD))
    def start(self, token: str, by: str) -> None:
        self.tokens = (by, token)
        self.seen = SeenTokens(VerifiedTokens(2, 300.0), RefusedTokens(2, 10.0))
        self.now = float(NOW)
        self.moment = Moment()
        self.revoked = Revoked("secret")
        self.world = self.moment.world()
        self.outside = Changing()

    @rule(
        change=st.sampled_from(CHANGES),
        first=st.booleans(),
        anew=st.booleans(),
        request=st.sampled_from(REQUESTS),
    )
    def present_after(
        self, change: dict[str, Any], first: bool, anew: bool, request: Request
    ) -> None:
        """A token before and after a change; `anew`: from how it was at first."""
        token = self.tokens[0 if first else 1]
        self.become(Moment() if anew else self.moment)
        self.present(replace(request, token=token))
        self.become(replace(self.moment, **change))
        self.present(replace(request, token=token))

    def become(self, moment: Moment) -> None:
        """A reload makes a snapshot anew, also where nothing has changed."""
        self.moment, self.world = moment, moment.world()

    @rule(request=st.sampled_from(REQUESTS), other=st.sampled_from(REQUESTS))
    def two_take_turns(self, request: Request, other: Request) -> None:
        """A proxy and the service behind it, who ask different things of one token."""
        for one in (request, other, request, other):
            self.present(replace(one, token=self.tokens[0]))

    @rule(request=st.sampled_from(REQUESTS), demanded=st.sampled_from(RULES))
    def the_world_outside_changes(self, request: Request, demanded: ClaimRules) -> None:
        """What is known there, and what a condition reads, changes from one call to the next."""
        self.become(Moment(demanded=demanded))
        for _ in range(2):
            self.present(replace(request, token=self.tokens[0]))
            self.outside.passes = not self.outside.passes

    @rule(demanded=st.sampled_from(RULES))
    def another_presents_it(self, demanded: ClaimRules) -> None:
        """From elsewhere, and with or without a proof: all that is not of the token."""
        self.become(Moment(demanded=demanded))
        for request in REQUESTS:
            self.present(replace(request, token=self.tokens[0]))

    @rule()
    def nobody_knows_what_is_revoked(self) -> None:
        self.present(Request(self.tokens[0]))
        self.revoked.set_unknown("the store is away")
        assert isinstance(self.present(Request(self.tokens[0])), Refusal)
        self.revoked.set_unknown("")

    @rule(seconds=st.sampled_from([-50.0, 1.0, 9.5, 30.0, 60.0, 400.0]))
    def time_passes(self, seconds: float) -> None:
        """Not always forward."""
        self.present(Request(self.tokens[0]))
        self.now += seconds
        self.present(Request(self.tokens[0]))

    @rule(token=st.sampled_from(TOKENS))
    def another_comes(self, token: str) -> None:
        self.present(Request(token))

    @rule(token=st.sampled_from(TOKENS), first=st.booleans())
    def is_revoked(self, token: str, first: bool) -> None:
        """One that was seen before, or any: from this moment on it passes no more."""
        token = self.tokens[0] if first else token
        self.present(Request(token))
        found = revocation_of(Request(token), self.world, self.now, self.outside)
        if isinstance(found, Revocation):
            self.revoked.add(found)
        assert isinstance(self.present(Request(token)), Refusal)

    def present(self, request: Request) -> Verdict:
        if request.demand:
            request = replace(request, demand=replace(request.demand, condition=self.outside))
        asked = (request, self.world, self.now, ProofMemory(forget_nothing))
        fresh = validate(*asked, None, self.outside, self.revoked)
        self.answered_again(request, fresh)
        verdict = validate(*asked, self.seen, self.outside, self.revoked)
        assert verdict == fresh
        if isinstance(verdict, Verified):
            self.keep(request, verdict)
            self.answered_again(request, fresh)
        return fresh

    def keep(self, request: Request, verdict: Verified) -> None:
        if verdict.grounds is not None:
            digest, answer = digest_of(request.token), repr(verdict).encode()
            self.seen.verified.keep(
                digest, question(request), verdict.grounds, verdict.issuer_name, answer
            )

    def answered_again(self, request: Request, fresh: Verdict) -> None:
        """What is answered without the checks is what they would say at this moment."""
        kept = self.seen.verified.again(
            digest_of(request.token),
            question(request),
            self.world.mark,
            self.revoked.state,
            self.now,
        )
        if kept is not None:
            event("answered again")
            assert isinstance(fresh, Verified)
            assert (kept.answer, kept.issuer_name) == (repr(fresh).encode(), fresh.issuer_name)

    @invariant()
    def is_bounded(self) -> None:
        if hasattr(self, "seen"):
            assert len(self.seen.verified) <= 2
            assert len(self.seen.refused) <= 2


TestTwins = Twins.TestCase
TestTwins.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
