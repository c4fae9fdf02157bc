"""The engine gives an answer again where, and only where, all that it was judged by holds."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from sidecar.engine import Engine
from sidecar.token.again import Kept
from sidecar.token.reason import Reason
from sidecar.token.request import Refusal, Request, Verdict
from sidecar.token.revocation import Kind, Revocation
from sidecar.token.revoked import Revoked
from sidecar.token.seen import RefusedTokens, SeenTokens, VerifiedTokens
from sidecar.token.snapshot import Issuer, Snapshot
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


def forget(one: Judge) -> None:
    one.engine.seen_tokens = memory()


def remember_nothing(one: Judge) -> None:
    one.engine.seen_tokens = None


def publish(one: Judge) -> None:
    """The very same keys."""
    keys = one.engine.snapshot.issuers["corp"].keys
    one.engine.snapshot = one.engine.snapshot.with_keys("corp", keys, "")


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
