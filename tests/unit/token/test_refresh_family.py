"""What follows from a refresh token: traded once, repeated for a moment, else its family ends."""

from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sidecar.token.mint import Minted, Order
from sidecar.token.reason import CallFailed, ErrorReason, Reason, Refused
from sidecar.token.refresh_family import (
    Decision,
    Family,
    Repeat,
    Replay,
    Trade,
    advanced,
    answered,
    begun,
    decide,
    mint_again,
    revoked,
)
from sidecar.token.refresh_token import RefreshToken
from sidecar.token.signing import from_private_key
from sidecar.token.snapshot import Limits, Refreshing, Signer
from tests.authors import author
from tests.tokens import NOW, world

DAY: Final = 86400.0
RULES: Final = Refreshing(30 * DAY, 7 * DAY, 10.0)
KEY: Final = from_private_key(author().private_key, "ES256", "key-1")
SIGNER: Final = Signer("internal", "https://tokens.example", (KEY,), refresh=RULES)
FIRST, SECOND, THIRD, STRANGER = (
    RefreshToken(b"h" * 16, one * 32) for one in (b"1", b"2", b"3", b"x")
)
MINTED: Final = Minted("e30.e30.", "internal", "id-1", "key-1", "ES256", NOW, NOW + 900)


def family(**order: Any) -> Family:
    """A family that was begun NOW with the token FIRST."""
    return begun(FIRST, Order(subject="alice", **order), SIGNER, RULES, MINTED, NOW)


def traded(one: Family, token: RefreshToken, successor: RefreshToken, now: float) -> Family:
    """The family once this token was traded for this one."""
    return answered(advanced(one, token, successor, MINTED, now), token.text.encode())


def decided(
    one: Family,
    token: RefreshToken,
    now: float = NOW,
    *scopes: str,
    signer: Signer | None = SIGNER,
) -> Decision:
    return decide(one, token, scopes, {signer.name: signer} if signer else {}, now)


def assert_refused(
    reason: Reason, words: str, one: Family, token: RefreshToken, *more: Any, **signer: Any
) -> None:
    with pytest.raises(Refused) as refused:
        decided(one, token, *more, **signer)
    assert refused.value.reason is reason
    assert words in refused.value.message


def order_of(decision: Decision) -> Order:
    assert isinstance(decision, Trade)
    return decision.order


TWICE: Final = traded(traded(family(), FIRST, SECOND, NOW + 100), SECOND, THIRD, NOW + 105)


@pytest.mark.parametrize(
    ("one", "token", "now", "kind"),
    [
        pytest.param(family(), FIRST, NOW, Trade, id="the first token at once"),
        pytest.param(family(), FIRST, NOW + 7 * DAY - 1, Trade, id="before it has idled away"),
        pytest.param(family(), STRANGER, NOW, Replay, id="a secret that is none of the family's"),
        pytest.param(TWICE, THIRD, NOW + 105, Trade, id="the current one"),
        pytest.param(TWICE, SECOND, NOW + 105, Repeat, id="the one before, at once"),
        pytest.param(TWICE, SECOND, NOW + 114.9, Repeat, id="the one before, within the grace"),
        pytest.param(TWICE, SECOND, NOW + 115, Replay, id="the one before, after the grace"),
        pytest.param(TWICE, SECOND, NOW + 90, Repeat, id="the one before, by a clock that is late"),
        pytest.param(TWICE, SECOND, NOW + 45, Repeat, id="by a clock that is a minute late"),
        pytest.param(TWICE, SECOND, NOW + 44.9, Replay, id="used by a clock that was far ahead"),
        pytest.param(TWICE, FIRST, NOW + 106, Replay, id="the one before that, within its grace"),
        pytest.param(TWICE, SECOND, NOW + 40 * DAY, Replay, id="an old one after the end"),
    ],
)
def test_what_follows_from_a_token(
    one: Family, token: RefreshToken, now: float, kind: type[Decision]
) -> None:
    assert isinstance(decided(one, token, now), kind)


def test_what_is_repeated_is_the_answer_of_then() -> None:
    assert decided(TWICE, SECOND, NOW + 106) == Repeat(SECOND.text.encode())


def test_of_a_family_that_is_revoked_no_answer_is_kept() -> None:
    assert revoked(TWICE, NOW + 106).before is None


def test_a_family_knows_its_latest_access_token() -> None:
    """By it that is revoked with the family."""
    later = replace(MINTED, token_id="id-2", expire_time=NOW + 1000)
    one = advanced(family(), FIRST, SECOND, later, NOW + 100)
    assert (family().token_id, family().token_expire_time) == ("id-1", NOW + 900)
    assert (one.token_id, one.token_expire_time) == ("id-2", NOW + 1000)


def test_without_grace_nothing_is_repeated() -> None:
    signer = replace(SIGNER, refresh=replace(RULES, grace=0.0))
    assert isinstance(decided(TWICE, SECOND, NOW + 105, signer=signer), Replay)
    assert isinstance(decided(TWICE, THIRD, NOW + 105, signer=signer), Trade)


@pytest.mark.parametrize("token", [FIRST, SECOND, THIRD, STRANGER])
def test_of_a_family_that_was_revoked_no_token_works(token: RefreshToken) -> None:
    gone = revoked(TWICE, NOW + 106)
    assert_refused(Reason.REVOKED, "2027-01-15T08:01:46Z", gone, token, NOW + 106)
    assert revoked(gone, NOW + 200) == gone


@pytest.mark.parametrize(
    ("rules", "ends", "words"),
    [
        pytest.param(RULES, 107 + 7 * DAY, "idle_lifetime", id="unused for the idle lifetime"),
        pytest.param(Refreshing(30 * DAY), 30 * DAY, "has had its lifetime", id="the lifetime"),
        pytest.param(
            Refreshing(5 * DAY, 5 * DAY), 5 * DAY, "lifetime", id="a lifetime that was shortened"
        ),
        pytest.param(
            Refreshing(90 * DAY), 30 * DAY, "lifetime", id="a lifetime that was made longer"
        ),
    ],
)
def test_the_end_of_a_token(rules: Refreshing, ends: float, words: str) -> None:
    one, signer = traded(family(), FIRST, SECOND, NOW + 107), replace(SIGNER, refresh=rules)
    assert one.expire_time(rules) == NOW + ends
    assert isinstance(decided(one, SECOND, NOW + ends - 1, signer=signer), Trade)
    assert_refused(Reason.EXPIRED, words, one, SECOND, NOW + ends, signer=signer)


@pytest.mark.parametrize(
    ("signer", "reason", "words"),
    [
        pytest.param(None, Reason.ISSUER_UNKNOWN, "internal", id="is gone"),
        pytest.param(
            replace(SIGNER, refresh=None),
            Reason.ISSUER_UNKNOWN,
            "no refresh",
            id="does not refresh",
        ),
        pytest.param(
            replace(SIGNER, issuer="https://other.example"),
            Reason.ISSUER_MISMATCH,
            "other.example",
            id="is another issuer",
        ),
    ],
)
@pytest.mark.parametrize("token", [FIRST, SECOND, THIRD], ids=["used", "before", "current"])
def test_a_signer_that_is_not_the_same_any_more(
    signer: Signer | None, reason: Reason, words: str, token: RefreshToken
) -> None:
    assert_refused(reason, words, TWICE, token, NOW + 106, signer=signer)


READ_WRITE: Final = family(scopes=("read", "write"))
READING: Final = replace(SIGNER, scopes=frozenset({"read", "list"}))
LISTING: Final = replace(SIGNER, scopes=frozenset({"list"}))


@pytest.mark.parametrize(
    ("one", "signer", "asked", "granted"),
    [
        pytest.param(READ_WRITE, SIGNER, (), ("read", "write"), id="all that were granted"),
        pytest.param(READ_WRITE, SIGNER, ("write",), ("write",), id="fewer"),
        pytest.param(READ_WRITE, SIGNER, ("write", "read"), ("write", "read"), id="as asked for"),
        pytest.param(READ_WRITE, READING, (), ("read",), id="those that the signer still grants"),
        pytest.param(READ_WRITE, READING, ("read",), ("read",), id="one that it still grants"),
        pytest.param(family(), SIGNER, (), (), id="none"),
        pytest.param(family(), LISTING, (), (), id="none, where scopes are limited since"),
        pytest.param(READ_WRITE, SIGNER, ("admin",), None, id="one that was not granted"),
        pytest.param(READ_WRITE, SIGNER, ("read", "admin"), None, id="one of two was not"),
        pytest.param(READ_WRITE, SIGNER, ("Read",), None, id="in another case"),
        pytest.param(READ_WRITE, READING, ("write",), None, id="one that it grants no more"),
        pytest.param(READ_WRITE, READING, ("list",), None, id="one that it grants to others"),
        pytest.param(READ_WRITE, LISTING, (), None, id="all are granted no more"),
        pytest.param(family(), SIGNER, ("read",), None, id="one where none was granted"),
    ],
)
def test_scopes_only_shrink(
    one: Family, signer: Signer, asked: tuple[str, ...], granted: tuple[str, ...] | None
) -> None:
    if granted is None:
        assert_refused(Reason.SCOPE_INSUFFICIENT, "scope", one, FIRST, NOW, *asked, signer=signer)
    else:
        assert order_of(decided(one, FIRST, NOW, *asked, signer=signer)).scopes == granted


def test_fewer_scopes_once_are_not_fewer_for_ever() -> None:
    one = traded(READ_WRITE, FIRST, SECOND, NOW)
    assert order_of(decided(one, SECOND)).scopes == ("read", "write")


@pytest.mark.parametrize(
    ("ordered", "now", "traded_for"),
    [
        pytest.param({"lifetime": 60.0}, NOW, {"lifetime": 60.0}, id="its own lifetime"),
        pytest.param({"lifetime": 3600.0}, NOW, {"lifetime": 1800.0}, id="max_lifetime shrank"),
        pytest.param({"token_id": "mine"}, NOW, {}, id="its own jti is for the first alone"),
        pytest.param(
            {"not_before_delay": 60.0}, NOW + 59, {"not_before_time": NOW + 60.0}, id="too early"
        ),
        pytest.param({"not_before_delay": 60.0}, NOW + 60, {}, id="nbf is past"),
        pytest.param(
            {"not_before_time": NOW + 9.0}, NOW, {"not_before_time": NOW + 9.0}, id="nbf, a time"
        ),
        pytest.param({"algorithm": "ES256"}, NOW, {"algorithm": "ES256"}, id="algorithm"),
        pytest.param({"algorithm": "RS256"}, NOW, {}, id="an algorithm that is gone"),
        pytest.param(
            {"claims_json": '{"a":1}', "headers_json": '{"h":1}', "critical_headers": ("h",)},
            NOW,
            {"claims_json": '{"a":1}', "headers_json": '{"h":1}', "critical_headers": ("h",)},
            id="claims and headers",
        ),
        pytest.param({"audiences": ("a",)}, NOW, {"audiences": ("a",)}, id="audiences"),
        pytest.param({}, NOW, {}, id="by the only signer, which was not named"),
        pytest.param({"with_refresh_token": True}, NOW, {}, id="no family in the family"),
    ],
)
def test_what_is_minted_is_what_was_granted(
    ordered: dict[str, Any], now: float, traded_for: dict[str, Any]
) -> None:
    signer = replace(SIGNER, max_lifetime=1800.0)
    order = order_of(decided(family(**ordered), FIRST, now, signer=signer))
    assert order == Order(signer="internal", subject="alice", **traded_for)


def test_the_next_access_token_is_minted_by_the_signer_as_it_is_now() -> None:
    minted = mint_again(order_of(decided(family(), FIRST)), world(SIGNER), NOW, "id-2")
    assert (minted.signer_name, minted.token_id, minted.expire_time) == (
        "internal",
        "id-2",
        NOW + 900,
    )


def test_what_the_signer_fixes_by_now_is_not_replaced() -> None:
    order = order_of(decided(family(claims_json='{"env":"test"}'), FIRST))
    with pytest.raises(Refused) as refused:
        mint_again(order, world(replace(SIGNER, claims={"env": "prod"})), NOW, "id-2")
    assert refused.value.reason is Reason.CLAIM_MISMATCH
    assert '"env"' in refused.value.message


def test_a_token_that_is_too_large_by_now_is_over_a_limit() -> None:
    with pytest.raises(CallFailed) as failed:
        mint_again(order_of(decided(family(), FIRST)), world(SIGNER, Limits(16)), NOW, "id-2")
    assert failed.value.reason is ErrorReason.LIMIT_EXCEEDED


def test_no_hash_and_no_answer_is_in_a_repr() -> None:
    one = answered(TWICE, b"MARKER")
    assert "MARKER" not in repr(one)
    assert "MARKER" not in repr(decided(one, SECOND, NOW + 106))
    assert repr(one.digest) not in repr(one)


class Life(RuleBasedStateMachine):
    """Clients, a thief and a clock: whatever they do, at most one token can be traded."""

    def __init__(self) -> None:
        super().__init__()
        self.now = float(NOW)
        self.family = family()
        self.tokens = [FIRST]
        """All that were ever given out; the last is the current one."""
        self.used: dict[RefreshToken, float] = {}
        self.is_revoked = False

    @rule(place=st.integers(1, 4), ago=st.booleans())
    def present(self, place: int, ago: bool) -> None:
        """Somebody presents one of the last tokens, or the first."""
        token = self.tokens[0] if ago else self.tokens[-min(place, len(self.tokens))]
        try:
            decision = decided(self.family, token, self.now)
        except Refused as refused:
            self._assert_over(refused.reason)
            return
        assert not self.is_revoked
        match decision:
            case Trade():
                assert token not in self.used
                self._trade(token)
            case Repeat(sealed):
                assert token == self.tokens[-2]
                assert self.now < self.used[token] + RULES.grace
                assert sealed == token.text.encode()
            case Replay():
                assert token in self.used
                self.family, self.is_revoked = revoked(self.family, self.now), True

    def _assert_over(self, reason: Reason) -> None:
        assert reason is (Reason.REVOKED if self.is_revoked else Reason.EXPIRED)
        assert self.is_revoked or self.now >= self.family.expire_time(RULES)

    def _trade(self, token: RefreshToken) -> None:
        secret = len(self.tokens).to_bytes(32, "big")
        self.used[token] = self.now
        self.tokens.append(token.followed_by(secret))
        self.family = traded(self.family, token, self.tokens[-1], self.now)

    @rule()
    def forge(self) -> None:
        """A secret that was never given out ends the family too."""
        if not self.is_revoked:
            assert isinstance(decided(self.family, STRANGER, self.now), Replay)

    @rule(seconds=st.sampled_from([0.5, 9.5, 10.0, DAY, 6.9 * DAY, 7 * DAY]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(seconds=st.sampled_from([0.5, 60.0]))
    def set_clock_back(self, seconds: float) -> None:
        self.now -= seconds

    @invariant()
    def at_most_the_last_token_can_be_traded(self) -> None:
        for token in dict.fromkeys((self.tokens[0], *self.tokens[-3:])):
            try:
                decision = decided(self.family, token, self.now)
            except Refused:
                continue
            assert not self.is_revoked
            assert isinstance(decision, Trade) == (token == self.tokens[-1])


Life.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestLife = Life.TestCase
