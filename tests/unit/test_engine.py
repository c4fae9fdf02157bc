import json
import logging
from collections.abc import Callable
from dataclasses import replace

import pytest

from sidecar.engine import Engine
from sidecar.token.keyset import KeySet
from sidecar.token.mint import Order
from sidecar.token.reason import CallFailed, ErrorReason, Reason
from sidecar.token.replay import CheckedProof, Room
from sidecar.token.request import Refusal, Request, Verdict, Verified
from sidecar.token.signing import from_private_key
from sidecar.token.snapshot import Signer, Snapshot
from tests.unit.parties import ISS, KEY, NOW, OTHER_KEY, key_set, snapshot, token

MANY = KeySet(tuple(key for number in range(9) for key in key_set(f"k{number}").keys))


class Source:
    """Remote keys of which the engine may ask for more; counts and does what a test says."""

    def __init__(self, act: Callable[[], None] = lambda: None, fetches: bool = True) -> None:
        self._act = act
        self._fetches = fetches
        self.calls: list[tuple[str, float]] = []

    async def wait_for_keys(self, at_most: float) -> None:
        self.calls.append(("wait", at_most))
        self._act()

    async def fetch_unknown_key(self, key_id: str, at_most: float) -> bool:
        self.calls.append((f"fetch {key_id}", at_most))
        if self._fetches:
            self._act()
        return self._fetches


def engine(
    keys: KeySet | None, source: Source | None = None, clock: Callable[[], float] = lambda: 0.0
) -> Engine:
    """An engine with these keys of the issuer `corp`, and more from this source."""
    made = Engine(snapshot(keys), lambda: NOW, lambda: "id-1", clock)
    if source is not None:
        made.key_sources = {"corp": source}
    return made


def engine_that_gets(keys: KeySet | None, later: KeySet | None) -> tuple[Engine, Source]:
    """An engine whose source publishes other keys as soon as it is asked."""
    source = Source(lambda: set_keys(made, later, "" if later else "answers 500"))
    made = engine(keys, source)
    return made, source


def set_keys(made: Engine, keys: KeySet | None, problem: str = "") -> None:
    """Swaps the keys of the issuer `corp`."""
    made.snapshot = made.snapshot.with_keys("corp", keys, problem)


def assert_refused(verdict: Verdict, reason: Reason) -> None:
    """Asserts that a verdict is a refusal for this reason."""
    assert isinstance(verdict, Refusal)
    assert verdict.reason is reason


def signer(name: str, key_id: str) -> Signer:
    """A signer of the issuer `corp`'s tokens with one key."""
    return Signer(name, ISS, (from_private_key(KEY, "EdDSA", key_id),))


def test_a_signers_keys_are_swapped() -> None:
    made = Engine(Snapshot.of(signers=(signer("a", "k1"), signer("b", "k2"))), lambda: NOW, str)
    before = made.snapshot
    made.snapshot = before.with_signer(signer("a", "k3"), None)
    assert [one["kid"] for one in json.loads(made.jwks())["keys"]] == ["k3", "k2"]
    assert before.signers["a"].keys[0].key_id == "k1"


async def test_a_signers_tokens_pass_by_the_keys_that_it_has_now() -> None:
    made = engine(key_set())
    made.snapshot = made.snapshot.with_signer(signer("corp", "k1"), None)
    accepted = made.snapshot.issuers["corp"]
    accepted = replace(accepted, keys=key_set("k2"))
    made.snapshot = made.snapshot.with_signer(signer("corp", "k2"), accepted)
    assert_refused(await made.decide(Request(token(kid="k1"))), Reason.KEY_NOT_FOUND)
    assert isinstance(await made.decide(Request(token(kid="k2"))), Verified)


async def test_a_good_token_passes_without_asking_for_keys() -> None:
    source = Source()
    verdict = await engine(key_set(), source).decide(Request(token()))
    assert isinstance(verdict, Verified)
    assert source.calls == []


async def test_an_unknown_key_is_fetched_once_and_the_token_judged_again() -> None:
    judge, source = engine_that_gets(key_set("k1"), key_set("k2"))
    assert isinstance(await judge.decide(Request(token(kid="k2"))), Verified)
    assert source.calls == [("fetch k2", 10.0)]


@pytest.mark.parametrize(
    ("before", "kid", "asked"),
    [
        pytest.param(None, "k2", "wait", id="the first keys"),
        pytest.param(key_set("k1"), "k2", "fetch k2", id="an unknown key"),
    ],
)
async def test_a_source_that_takes_over_meanwhile_is_waited_for(
    before: KeySet | None, kid: str, asked: str
) -> None:
    clock = [0.0]
    made = engine(before, clock=lambda: clock[-1])
    new = Source(lambda: set_keys(made, key_set("k2")))

    def take_over() -> None:
        clock.append(1.5)
        made.key_sources = {"corp": new}

    old = Source(take_over)
    made.key_sources = {"corp": old}
    assert isinstance(await made.decide(Request(token(kid=kid)), 5), Verified)
    assert old.calls == [(asked, 4.0)]
    assert new.calls == [(asked, 2.5)]


async def test_a_source_that_is_gone_meanwhile_is_not_waited_for() -> None:
    made = engine(None)
    made.key_sources = {"corp": Source(lambda: setattr(made, "key_sources", {}))}
    assert_refused(await made.decide(Request(token())), Reason.KEYS_UNAVAILABLE)


async def test_a_key_that_stays_unknown_is_not_fetched_twice() -> None:
    judge, source = engine_that_gets(key_set("k1"), key_set("k2"))
    assert_refused(await judge.decide(Request(token(kid="k3"))), Reason.KEY_NOT_FOUND)
    assert source.calls == [("fetch k3", 10.0)]


async def test_between_two_intervals_an_unknown_key_is_refused_at_once() -> None:
    source = Source(fetches=False)
    verdict = await engine(key_set("k1"), source).decide(Request(token(kid="k2")))
    assert_refused(verdict, Reason.KEY_NOT_FOUND)


async def test_the_second_judgement_is_by_the_new_keys_alone() -> None:
    judge, _ = engine_that_gets(key_set("k1"), key_set("k2", OTHER_KEY))
    assert_refused(await judge.decide(Request(token(kid="k2"))), Reason.SIGNATURE_INVALID)


async def test_missing_keys_are_waited_for() -> None:
    judge, source = engine_that_gets(None, key_set())
    assert isinstance(await judge.decide(Request(token())), Verified)
    assert source.calls == [("wait", 10.0)]


async def test_keys_that_do_not_come_are_unavailable_for_the_latest_reason() -> None:
    judge, _ = engine_that_gets(None, None)
    verdict = await judge.decide(Request(token()))
    assert_refused(verdict, Reason.KEYS_UNAVAILABLE)
    assert isinstance(verdict, Refusal)
    assert verdict.message.endswith("answers 500")


@pytest.mark.parametrize(
    ("deadline", "waited"),
    [
        pytest.param(None, 10.0, id="none"),
        pytest.param(0.5, 0.4, id="four fifths, so that the answer is there in time"),
        pytest.param(12.5, 10.0, id="just the most that is waited"),
        pytest.param(3600.0, 10.0, id="later"),
        pytest.param(0.0, 0.0, id="now"),
    ],
)
async def test_deadlines(deadline: float | None, waited: float) -> None:
    source = Source()
    await engine(None, source).decide(Request(token()), deadline)
    assert source.calls == [("wait", waited)]


@pytest.mark.parametrize(
    ("keys", "shown", "reason"),
    [
        pytest.param(key_set(), token(key=OTHER_KEY), Reason.SIGNATURE_INVALID, id="signature"),
        pytest.param(MANY, token(kid=None), Reason.KEY_ID_MISSING, id="no kid and many keys"),
        pytest.param(
            key_set(), token(kid=None, key=OTHER_KEY), Reason.SIGNATURE_INVALID, id="no kid"
        ),
        pytest.param(key_set(), token(exp=NOW - 60), Reason.EXPIRED, id="expired"),
        pytest.param(
            key_set(), token(kid="k2", iss="https://evil/"), Reason.ISSUER_UNKNOWN, id="issuer"
        ),
        pytest.param(key_set(), "", Reason.TOKEN_MISSING, id="no token"),
        pytest.param(key_set(), "a.b", Reason.TOKEN_MALFORMED, id="no JWT"),
    ],
)
async def test_no_other_refusal_asks_for_keys(keys: KeySet, shown: str, reason: Reason) -> None:
    source = Source()
    assert_refused(await engine(keys, source).decide(Request(shown)), reason)
    assert source.calls == []


async def test_an_issuer_without_a_source_has_no_other_keys() -> None:
    assert_refused(await engine(None).decide(Request(token())), Reason.KEYS_UNAVAILABLE)


async def test_a_request_that_can_not_be_answered_is_a_failed_call() -> None:
    with pytest.raises(CallFailed) as failed:
        await engine(key_set()).decide(Request(token(), issuer_name="other"))
    assert failed.value.reason is ErrorReason.NOT_CONFIGURED


def with_broken_clock() -> Engine:
    """One whose clock works when it starts, and never again."""
    times = iter((0.0,))

    def clock() -> float:
        for time in times:
            return time
        raise ZeroDivisionError

    return Engine(snapshot(key_set()), clock, lambda: "id")


def broken_source() -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("judge", "shown"),
    [
        pytest.param(with_broken_clock(), token(jti="MARKER"), id="clock"),
        pytest.param(
            engine(key_set(), Source(broken_source)), token(kid="MARKER"), id="source of keys"
        ),
    ],
)
async def test_an_error_of_ours_is_a_refusal_and_logged_without_the_token(
    judge: Engine, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert await judge.decide(Request(shown)) == Refusal(
        Reason.STATE_UNAVAILABLE, "the sidecar failed while deciding; the cause is in its log"
    )
    assert "ZeroDivisionError" in caplog.text
    assert not any(part in caplog.text for part in shown.split("."))


def test_new_keys_swap_the_snapshot_and_leave_the_old_one_as_it_was() -> None:
    judge = engine(None)
    before = judge.snapshot
    set_keys(judge, key_set())
    assert before.issuers["corp"].keys is None
    assert judge.snapshot.issuers["corp"].keys is not None
    assert judge.snapshot.issuers_by_iss["https://login.example.com/"].keys is not None


async def test_minting_needs_a_signer() -> None:
    with pytest.raises(CallFailed) as failed:
        await engine(key_set()).mint(Order(subject="alice"))
    assert failed.value.reason is ErrorReason.NOT_CONFIGURED


def test_the_keys_of_issuers_are_not_published_as_ours() -> None:
    assert engine(key_set()).jwks() == '{"keys":[]}'


@pytest.mark.parametrize(
    ("ahead", "room"),
    [
        pytest.param(599, Room.USED, id="for less than ten minutes"),
        pytest.param(601, Room.FORGOTTEN, id="for longer"),
    ],
)
def test_a_proof_is_forgotten_by_a_clock_that_is_ahead_for_ten_minutes(
    ahead: int, room: Room
) -> None:
    wall = running = 0.0
    engine = Engine(snapshot(key_set()), lambda: NOW + wall, lambda: "id", lambda: running)
    proof = CheckedProof(b"proof", "key", NOW + 3600.0)
    engine.used_proofs.add(proof)
    for running in range(1, ahead + 1):
        wall = running + 86400.0
        engine.used_proofs.room(proof)
    assert engine.used_proofs.room(proof) is room
