"""The engine gives an answer again where, and only where, all that it was judged by holds.

And what a token that was seen before costs and holds where its answer can't be given again.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from sidecar.answering import Answers
from sidecar.engine import Engine
from sidecar.token.again import Kept
from sidecar.token.reason import CallFailed, ErrorReason, Reason, Refused
from sidecar.token.request import Proof, Refusal, Request, Verdict, Verified
from sidecar.token.revocation import Kind, Revocation
from sidecar.token.revoked import Revoked
from sidecar.token.seen import RefusedTokens, SeenTokens, VerifiedTokens
from sidecar.token.snapshot import Issuer, Limits, Snapshot
from sidecar.token.subject import Standing, SubjectAnswer, SubjectQuestion, SubjectRule
from sidecar.turns import AT_A_TIME
from tests.unit.parties import NOW, key_set, snapshot, token

ASKED = b"asked"
TOKEN = token()
OTHER = Revocation(Kind.TOKEN, "another token", NOW, None)


class Time:
    """What the clock on the wall says."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Judge:
    engine: Engine
    time: Time
    revoked: Revoked

    async def decide_and_keep(self, asked: object | None = ASKED) -> Verdict:
        verdict = await self.engine.decide(Request(TOKEN))
        self.engine.keep(TOKEN, asked, verdict, b"yes")
        return verdict

    def again(self) -> Kept | None:
        return self.engine.again(TOKEN, ASKED)


def judge(rules: Callable[[Issuer], Issuer] = lambda issuer: issuer) -> Judge:
    """An engine that remembers tokens, with the issuer `corp`."""
    time, revoked = Time(), Revoked("secret")
    issuer = rules(snapshot(key_set()).issuers["corp"])
    engine = Engine(Snapshot.of((issuer,)), time, lambda: "id-1", lambda: 0.0)
    engine.seen_tokens = memory()
    engine.revoked = revoked
    return Judge(engine, time, revoked)


def memory() -> SeenTokens:
    return SeenTokens(VerifiedTokens(100, 600.0), RefusedTokens(100, 60.0))


async def test_a_pass_is_answered_again() -> None:
    one = judge()
    await one.decide_and_keep()
    assert one.again() == Kept("corp", b"yes")


def reload(one: Judge) -> None:
    """Though nothing has changed."""
    one.engine.snapshot = Snapshot.of(tuple(one.engine.snapshot.issuers.values()))


def log_each_pass(one: Judge) -> None:
    one.engine.decisions.passed = True


def know_nothing(one: Judge) -> None:
    one.revoked.set_unknown("the store is away")


def know_too_little(one: Judge) -> None:
    """As where the process stood still, and no timer has said so yet."""
    one.revoked.set_late(0.0, "the store has not answered since")


def forget(one: Judge) -> None:
    one.engine.seen_tokens = memory()


def remember_nothing(one: Judge) -> None:
    one.engine.seen_tokens = None


def publish(one: Judge) -> None:
    """The same key, as another set has it."""
    one.engine.snapshot = one.engine.snapshot.with_keys("corp", key_set(), "")


def at(seconds: float) -> Callable[[Judge], None]:
    def set_clock(one: Judge) -> None:
        one.time.now = NOW + seconds

    return set_clock


@pytest.mark.parametrize(
    "happens",
    [
        pytest.param(reload, id="a reload"),
        pytest.param(publish, id="keys are published"),
        pytest.param(lambda one: one.revoked.add(OTHER), id="a revocation"),
        pytest.param(know_nothing, id="it is not known what is revoked"),
        pytest.param(know_too_little, id="it has not been asked for too long what is revoked"),
        pytest.param(at(60.0), id="it expires"),
        pytest.param(at(-0.001), id="the clock is set back"),
        pytest.param(log_each_pass, id="each pass is to be logged"),
        pytest.param(forget, id="another memory"),
        pytest.param(remember_nothing, id="no memory"),
    ],
)
async def test_once_something_has_changed_the_checks_are_made(
    happens: Callable[[Judge], None],
) -> None:
    one = judge()
    await one.decide_and_keep()
    happens(one)
    assert one.again() is None


async def test_what_is_revoked_is_not_judged_by_once_it_is_too_old() -> None:
    one = judge()
    know_too_little(one)
    for verdict in (
        await one.engine.decide(Request(TOKEN)),
        (await one.engine.explain(Request(TOKEN))).verdict,
    ):
        assert isinstance(verdict, Refusal)
        assert verdict.reason is Reason.STATE_UNAVAILABLE
        assert verdict.message == "the store has not answered since"
        one.revoked.set_unknown("")


async def test_nor_is_a_refresh_token_traded_by_it() -> None:
    one = judge()
    know_too_little(one)
    unknown = []

    class RefreshTokens:
        async def trade(self, *_: object) -> None:
            unknown.append(one.revoked.unknown)
            raise Refused(Reason.STATE_UNAVAILABLE, "enough")

    one.engine.refresh_tokens = cast("Any", RefreshTokens())
    one.engine.revocations = cast("Any", object())
    await one.engine.refresh("token", ())
    assert unknown == ["the store has not answered since"]


@pytest.mark.parametrize(
    "problem", [pytest.param("", id="not modified"), pytest.param("answers 500", id="in vain")]
)
async def test_a_fetch_that_leaves_the_keys_as_they_are_leaves_answers_too(problem: str) -> None:
    """With a hundred issuers there is one every few seconds."""
    one = judge()
    await one.decide_and_keep()
    snapshot = one.engine.snapshot
    keys = snapshot.issuers["corp"].keys
    one.engine.snapshot = snapshot.with_keys("corp", keys, problem, NOW)
    assert one.again() == Kept("corp", b"yes")
    one.engine.snapshot = one.engine.snapshot.with_keys("corp", None, problem)
    assert one.again() is None


@pytest.mark.parametrize(
    "happens",
    [
        pytest.param(reload, id="a reload"),
        pytest.param(publish, id="keys are published"),
        pytest.param(lambda one: one.revoked.add(OTHER), id="a revocation"),
    ],
)
async def test_what_changes_before_it_is_kept_counts_as_well(
    happens: Callable[[Judge], None],
) -> None:
    """The answer is that of the moment when the checks were made."""
    one = judge()
    verdict = await one.engine.decide(Request(TOKEN))
    happens(one)
    one.engine.keep(TOKEN, ASKED, verdict, b"yes")
    assert one.again() is None


async def test_what_is_asked_but_once_is_not_kept() -> None:
    one = judge()
    await one.decide_and_keep(asked=None)
    assert one.engine.again(TOKEN, None) is None


async def test_a_refusal_is_not_kept() -> None:
    one = judge()
    one.engine.keep(TOKEN, ASKED, Refusal(Reason.EXPIRED, "why"), b"no")
    assert one.again() is None


class Directory:
    """A directory of subjects that lets callers wait."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.asked = 0

    def known(self, _: object, now: float) -> None:
        return None

    async def find(self, _: object, at_most: float) -> SubjectAnswer:
        self.asked += 1
        await self.answers.wait()
        return SubjectAnswer(Standing.EXISTS, NOW)


def with_directory(issuer: Issuer) -> Issuer:
    return replace(issuer, rules=replace(issuer.rules, subjects=SubjectRule("users")))


async def waiting(one: Judge, count: int) -> list["asyncio.Task[Verdict]"]:
    """Calls with a token that was seen before, which wait."""
    tasks = [asyncio.create_task(one.engine.decide(Request(TOKEN))) for _ in range(count)]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


async def test_a_seen_token_that_waits_counts_among_the_calls_at_work() -> None:
    one, directory = judge(with_directory), Directory()
    one.engine.answers = Answers({SubjectQuestion: directory})
    one.engine.turns.most = 3
    directory.answers.set()
    assert isinstance(await one.engine.decide(Request(TOKEN)), Verified)
    directory.answers.clear()
    tasks = await waiting(one, 3)
    assert one.engine.turns.at_work == 3
    with pytest.raises(CallFailed) as failed:
        await one.engine.decide(Request(TOKEN))
    assert failed.value.reason is ErrorReason.LIMIT_EXCEEDED
    directory.answers.set()
    assert all(isinstance(one, Verified) for one in await asyncio.gather(*tasks))
    assert one.engine.turns.at_work == 0
    assert directory.asked == 4


class Source:
    """Remote keys that let callers wait."""

    def __init__(self) -> None:
        self.fetched = asyncio.Event()

    async def wait_for_keys(self, at_most: float) -> None:
        await self.fetched.wait()

    async def fetch_unknown_key(self, key_id: str, at_most: float) -> bool:
        await self.fetched.wait()
        return True


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        pytest.param(key_set("k2"), Reason.KEY_NOT_FOUND, id="an unknown key"),
        pytest.param(None, Reason.KEYS_UNAVAILABLE, id="the first keys"),
    ],
)
@pytest.mark.parametrize("seen", [True, False])
async def test_who_waits_for_one_issuers_keys_leaves_room_for_others(
    before: Any, reason: Reason, seen: bool
) -> None:
    one, source = judge(), Source()
    if seen:
        await one.decide_and_keep()
    one.engine.snapshot = one.engine.snapshot.with_keys("corp", before, "")
    one.engine.key_sources = {"corp": source}
    one.engine.turns.most = 6
    tasks = await waiting(one, 3)
    assert one.engine.turns.at_work == 3
    with pytest.raises(CallFailed, match="3 calls wait for the keys of issuer corp") as failed:
        await one.engine.decide(Request(TOKEN))
    assert failed.value.reason is ErrorReason.LIMIT_EXCEEDED
    source.fetched.set()
    assert {task.reason for task in await asyncio.gather(*tasks)} == {reason}  # type: ignore[union-attr]
    assert one.engine.turns.at_work == 0


async def new_tokens(count: int, one: Judge) -> list["asyncio.Task[Verdict]"]:
    """Calls with tokens that were never seen, of which only the first have had their turn."""
    tasks = [
        asyncio.create_task(one.engine.decide(Request(token(jti=str(number)))))
        for number in range(count)
    ]
    await asyncio.sleep(0)
    assert [task.done() for task in tasks] == [number < AT_A_TIME for number in range(count)]
    return tasks


@pytest.mark.parametrize(
    ("proof", "waits"),
    [
        pytest.param(Proof(), False, id="without a proof"),
        pytest.param(Proof(client_certificate_sha256=bytes(32)), False, id="with a certificate"),
        pytest.param(Proof(dpop="x"), True, id="with a proof that is to be verified"),
    ],
)
async def test_a_seen_token_has_its_checks_made_at_once(proof: Proof, waits: bool) -> None:
    """Also one whose answer is not kept."""
    one = judge()
    await one.engine.decide(Request(TOKEN))
    new = await new_tokens(10, one)
    task = asyncio.create_task(one.engine.decide(Request(TOKEN, proof=proof)))
    await asyncio.sleep(0)
    assert task.done() is not waits
    await asyncio.gather(task, *new)


async def test_a_token_that_is_too_long_is_not_even_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have megabytes."""

    def hashed(_: str) -> bytes:
        raise AssertionError

    one = judge()
    one.engine.snapshot = replace(one.engine.snapshot, limits=Limits(token_bytes=10))
    monkeypatch.setattr("sidecar.engine.digest_of", hashed)
    verdict = await one.engine.decide(Request("a" * 11))
    assert isinstance(verdict, Refusal)
    assert verdict.reason is Reason.TOKEN_TOO_LARGE
    assert one.engine.again("a" * 11, ASKED) is None
